"""Models that others trained: from their cards to runs."""
