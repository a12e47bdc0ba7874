"""What runs left, read back: predictions, metrics, the study's aggregate."""
