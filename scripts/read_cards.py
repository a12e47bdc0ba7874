"""Read model cards; in: a folder of them, or a CSV of their facts; out: a row per card."""

from finevar.found.sources import read_cards
from finevar.jobs.log import JobLog
from finevar.study.identity import cards_identity, require_planned

with JobLog(snakemake.log[0]):
    cards = dict(snakemake.params.cards)
    read_cards(cards, str(snakemake.input.files), snakemake.output[0])
    require_planned(cards_identity(cards), snakemake.params.content, "the model cards")
