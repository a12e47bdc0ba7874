"""Fetch the pretrained model and write it as DistilBERT; in: a source of the config; out: one model folder."""

from pathlib import Path
from typing import Any

from finevar.jobs import JobLog
from finevar.sources import fetch_model


def main(snakemake: Any) -> None:
    """Fetch the model that the rule's params name."""
    with JobLog(snakemake.log[0]):
        fetch_model(dict(snakemake.params.source), Path(snakemake.output[0]))


if __name__ == "__main__":
    main(snakemake)
