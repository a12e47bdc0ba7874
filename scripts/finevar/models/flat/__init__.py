"""Sentences laid end to end: batches without padding, attention over them, and cheap dropout; for any family."""
