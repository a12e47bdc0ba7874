"""Compare the settings that are confirmed; in: their list, runs with fresh seeds; out: the table confirmation."""

from finevar.jobs.worker import run_rule

run_rule("finevar.commands.analysis_jobs.analyse_confirmation", snakemake)
