"""Fetch and unpack a data source; in: a source of the config; out: one folder of its files."""

from pathlib import Path

from finevar.data.sources import fetch_data
from finevar.jobs.log import JobLog

with JobLog(snakemake.log[0]):
    fetch_data(dict(snakemake.params.source), Path(snakemake.output[0]))
