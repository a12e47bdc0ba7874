"""Gather all runs; in: design.csv, every run's metrics and steps, the baseline's metrics; out: two tables."""

from finevar.jobs.worker import run_rule

run_rule("finevar.commands.analysis_jobs.aggregate_metrics", snakemake)
