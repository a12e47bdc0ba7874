"""Time the parts of a run, as many at once as in the study; in: models, encoded data; out: seconds, memory, disk."""

from finevar.files import write_facts
from finevar.jobs.log import JobLog
from finevar.planning.pilot import Data, pilot_settings, time_pilot
from finevar.study.settings import of_training

with JobLog(snakemake.log[0]) as log:
    files, params = snakemake.input, snakemake.params
    encoded = zip(files.train, files.evaluation, strict=True)  # for one model after the other
    texts = list(zip(files.examples, files.facts, strict=True))
    pilots = [
        time_pilot(
            start=start,
            data={name: Data(*next(encoded), *own) for name, own in zip(params.datasets, texts, strict=True)},
            settings=pilot_settings(params.training, of_training(params.factors)),
            concurrent=params.concurrent,
            threads=1,  # of a run, as finetune_run has
            beside=snakemake.output.pilot,
        )
        for start in files.start
    ]
    pilot, *others = pilots
    if others:
        pilot["models"] = dict(zip(list(params.models)[1:], others, strict=True))
    log.info("pilot: %s", {name: value for name, value in pilot.items() if name != "data"})
    write_facts(pilot, snakemake.output.pilot)
