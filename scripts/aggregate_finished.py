"""Gather the runs that are done; in: design.csv, the files that there are, the baseline's metrics; out: two tables."""

from finevar.jobs.worker import run_rule

run_rule("finevar.commands.analysis_jobs.aggregate_finished", snakemake)
