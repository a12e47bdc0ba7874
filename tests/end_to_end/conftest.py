"""Fixtures of the tests that run whole studies."""

from slurm_study import slurm  # noqa: F401 - for the modules that need a cluster, each its own
