"""The families of models, and which of them a folder's model is of."""

from __future__ import annotations

from pathlib import Path

from finevar.errors import InputError
from finevar.files import read_json
from finevar.models.distilbert.bert import FlatBert
from finevar.models.distilbert.family import FlatDistilBert
from finevar.models.family import Family
from finevar.models.general.family import LAYOUT, Encoder
from finevar.models.tokenization import read_object

# By the model_type of a converted checkpoint; one that is read by the code of transformers says so by a key of its own.
FAMILIES: dict[str, type[Family]] = {"distilbert": FlatDistilBert, "bert": FlatBert}


def convert(folder: Path, output: Path, *, where: str, pairs: bool = False, family: str | None = None) -> list[str]:
    """Write a fetched checkpoint as its family reads it into the folder output; return what was changed.

    where: names the checkpoint in an InputError. pairs: whether it is to read sentence pairs; without them, a BERT is
    DistilBERT's to convert, as it needs no token types. family: transformers, for the model's own code in any case, as
    for all that have no family of their own.
    """
    config = read_object(folder / "config.json", where=where)
    stated = str(config.get("model_type"))
    if family == "transformers" or LAYOUT in config or stated not in FAMILIES:
        return Encoder.convert(folder, output, where=where, pairs=pairs)
    known = FlatDistilBert if stated == "bert" and not pairs else FAMILIES[stated]
    return known.convert(folder, output, where=where)


def read_family(folder: Path) -> Family:
    """Return the family of a folder's model, at its sizes; raise InputError where it is of none."""
    config = read_json(folder / "config.json")
    stated = config.get("model_type")
    if LAYOUT in config:
        return Encoder.from_config(config)
    if stated not in FAMILIES:
        raise InputError(
            f"{folder / 'config.json'}: model_type",
            found=str(stated),
            allowed=", ".join(FAMILIES),
            remedy="Delete the model's folder, so that it is fetched and converted again.",
        )
    return FAMILIES[stated].from_config(config)
