"""What a study costs and what it can show, before it runs."""
