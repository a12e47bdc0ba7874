"""Fetch the pretrained model and write it as DistilBERT; in: a source of the config; out: one model folder."""

from pathlib import Path

from finevar.jobs.log import JobLog
from finevar.models.fetch import fetch_model
from finevar.study.config import read_config
from finevar.study.identity import model_identity, require_planned
from finevar.study.settings import model_names

with JobLog(snakemake.log[0]):
    source, own = dict(snakemake.params.source), snakemake.input.local
    if own:
        source["path"] = str(Path(own[0]).parent)
    fetch_model(source, Path(snakemake.output[0]))
    if own:  # the id was made of what the files held when the study was planned
        config, folder = read_config(snakemake.config), Path(own[0]).parent
        name = next(name for name in model_names(config) if Path(config["sources"][name].get("path", "")) == folder)
        require_planned(model_identity(config, name), snakemake.wildcards.model, *own)
