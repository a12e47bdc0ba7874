"""Evaluate the baseline on one data set of the sweep; in: model, evaluation data; out: predictions, metrics."""

from finevar.jobs.log import arguments
from finevar.jobs.worker import run_job

positive = snakemake.config["datasets"][snakemake.wildcards.dataset].get("positive")  # no param: an edit reruns nothing
work = "finevar.evaluation.evaluation.evaluate_baseline"
run_job(work, log=snakemake.log[0], positive=positive, **arguments(snakemake))
