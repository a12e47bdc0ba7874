"""Fetch the pretrained model and write it as DistilBERT; in: a source of the config; out: one model folder."""

from pathlib import Path

from finevar.jobs.log import JobLog
from finevar.models.fetch import fetch_model
from finevar.study.config import read_config
from finevar.study.identity import model_identity, require_planned

with JobLog(snakemake.log[0]):
    source, own = dict(snakemake.params.source), snakemake.input.local
    if own:
        source["path"] = str(Path(own[0]).parent)
    fetch_model(source, Path(snakemake.output[0]))
    if own:  # the id was made of what the files held when the study was planned
        require_planned(model_identity(read_config(snakemake.config)), snakemake.wildcards.model, *own)
