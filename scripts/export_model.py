"""Export the recommended run's model; in: metrics, what is advised, what the run was made from; out: a model folder."""

from finevar.commands.export import export_files
from finevar.jobs.log import JobLog, arguments

with JobLog(snakemake.log[0]) as log:
    log.info("logits differ from the evaluated ones by at most %g", export_files(**arguments(snakemake)))
