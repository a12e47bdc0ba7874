"""Time the parts of a run, as many at once as in the study; in: baseline, encoded data; out: seconds, memory, disk."""

from finevar.files import write_facts
from finevar.jobs.log import JobLog
from finevar.planning.pilot import Data, pilot_settings, time_pilot

with JobLog(snakemake.log[0]) as log:
    files = zip(*(snakemake.input[name] for name in ("train", "evaluation", "examples", "facts")), strict=True)
    pilot = time_pilot(
        start=snakemake.input.start,
        data=dict(zip(snakemake.params.datasets, (Data(*paths) for paths in files), strict=True)),
        settings=pilot_settings(snakemake.params.training, snakemake.params.factors),
        concurrent=snakemake.params.concurrent,
        threads=1,  # of a run, as finetune_run has
        beside=snakemake.output.pilot,
    )
    log.info("pilot: %s", {name: value for name, value in pilot.items() if name != "data"})
    write_facts(pilot, snakemake.output.pilot)
