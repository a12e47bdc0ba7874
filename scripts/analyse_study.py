"""Make all analyses of a study; in: metrics, fits, predictions; out: the analysis tables of finevar/tables.py."""

from finevar.jobs.worker import run_rule

run_rule("finevar.commands.analysis_jobs.analyse_study", snakemake)
