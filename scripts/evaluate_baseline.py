"""Evaluate the baseline on one data set of the sweep; in: model, evaluation data; out: predictions, metrics."""

from finevar.jobs.log import arguments
from finevar.jobs.worker import run_job

run_job("finevar.evaluation.evaluation.evaluate_baseline", log=snakemake.log[0], **arguments(snakemake))
