"""Read model cards; in: a folder of them, or a CSV of their facts; out: a row per card."""

from typing import Any

from finevar.found_sources import read_cards
from finevar.jobs import JobLog


def main(snakemake: Any) -> None:
    """Read the cards that the rule's params name."""
    with JobLog(snakemake.log[0]):
        read_cards(dict(snakemake.params.cards), str(snakemake.input.files), snakemake.output[0])


if __name__ == "__main__":
    main(snakemake)
