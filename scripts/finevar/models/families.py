"""The families of models, and which of them a folder's model is of."""

from __future__ import annotations

from pathlib import Path

from finevar.errors import InputError
from finevar.files import read_json
from finevar.models.distilbert.bert import FlatBert
from finevar.models.distilbert.family import FlatDistilBert
from finevar.models.family import Family
from finevar.models.tokenization import read_object

# By the model_type of a converted checkpoint.
FAMILIES: dict[str, type[Family]] = {"distilbert": FlatDistilBert, "bert": FlatBert}


def convert(folder: Path, output: Path, *, where: str, pairs: bool = False) -> list[str]:
    """Write a fetched checkpoint as its family reads it into the folder output; return what was changed.

    where: names the checkpoint in an InputError. pairs: whether it is to read sentence pairs; without them, a BERT is
    DistilBERT's to convert, as it needs no token types. One of no family is DistilBERT's to refuse.
    """
    stated = str(read_object(folder / "config.json", where=where).get("model_type"))
    family = FlatDistilBert if stated == "bert" and not pairs else FAMILIES.get(stated, FlatDistilBert)
    return family.convert(folder, output, where=where)


def read_family(folder: Path) -> Family:
    """Return the family of a folder's model, at its sizes; raise InputError where it is of none."""
    config = read_json(folder / "config.json")
    stated = config.get("model_type")
    if stated not in FAMILIES:
        raise InputError(
            f"{folder / 'config.json'}: model_type",
            found=str(stated),
            allowed=", ".join(FAMILIES),
            remedy="Delete the model's folder, so that it is fetched and converted again.",
        )
    return FAMILIES[stated].from_config(config)
