"""Evaluate one run; in: its model, evaluation data; out: predictions, metrics."""

from finevar.jobs.log import arguments
from finevar.jobs.worker import run_job

kept = bool(snakemake.resources.keep_weights)
work = "finevar.evaluation.evaluation.evaluate_files"
positive = snakemake.config["datasets"][snakemake.wildcards.dataset].get("positive")  # no param: an edit reruns nothing
run_job(work, log=snakemake.log[0], weights_kept=kept, positive=positive, **arguments(snakemake))
