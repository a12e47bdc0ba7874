"""From a source to token ids: fetch, read, label, clean, split, tokenise."""
