"""Read the runs that a file lists; in: a CSV or Parquet file; out: a study's runs, its baseline, what every row is."""

from finevar.jobs.worker import run_rule

run_rule("finevar.commands.found_jobs.aggregate_runs", snakemake)
