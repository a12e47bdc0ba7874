"""Numbers, names and sentences for people."""
