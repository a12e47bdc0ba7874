"""Train the baseline that every run starts from; in: source model, encoded data; out: model, steps, summary."""

from finevar.jobs.log import arguments
from finevar.jobs.worker import run_job

work = "finevar.training.job.train_files"
run_job(work, log=snakemake.log[0], name="baseline", micro_batches=1, **arguments(snakemake))
