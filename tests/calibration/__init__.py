"""Simulated studies with a known truth: how often reported p-values and intervals are wrong."""
