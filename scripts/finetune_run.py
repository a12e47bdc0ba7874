"""Fine-tune one run; in: baseline, encoded data, perhaps a shorter run's state; out: model, steps, summary, state."""

from finevar.jobs.log import arguments
from finevar.jobs.worker import run_job

given = arguments(snakemake) | {"weights_kept": bool(snakemake.resources.keep_weights), "micro_batches": 1}
given["evaluated_each_epoch"] = bool(snakemake.resources.evaluate_each_epoch)
given["slots"] = None if snakemake.resources.gpu_slots < 0 else snakemake.resources.gpu_slots
given["keeps_head"] = bool(snakemake.resources.keep_head)
if given["begin"] == given["train"]:  # no shorter run to go on from
    given["begin"] = None
run_job("finevar.training.job.train_files", log=snakemake.log[0], name=snakemake.wildcards.run, **given)
