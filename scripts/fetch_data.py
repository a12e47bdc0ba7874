"""Fetch and unpack a data source; in: a source of the config; out: one folder of its files."""

from pathlib import Path
from typing import Any

from finevar.data.sources import fetch_data
from finevar.jobs.log import JobLog


def main(snakemake: Any) -> None:
    """Fetch the data that the rule's params name."""
    with JobLog(snakemake.log[0]):
        fetch_data(dict(snakemake.params.source), Path(snakemake.output[0]))


if __name__ == "__main__":
    main(snakemake)
