"""One fitted surface and inference on it: no config, no file, no column of a table."""
