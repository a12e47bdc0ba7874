"""Fetch model cards from the Hub; in: models by name; out: a folder with each one's README.md, and their commits."""

from pathlib import Path

from finevar.found.sources import fetch_cards
from finevar.jobs.log import JobLog

with JobLog(snakemake.log[0]):
    fetch_cards(snakemake.params.models, Path(snakemake.output[0]))
