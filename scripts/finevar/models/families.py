"""The families of models, and which of them a folder's model is of."""

from __future__ import annotations

from pathlib import Path

from finevar.errors import InputError
from finevar.files import read_json
from finevar.models.distilbert.family import FlatDistilBert
from finevar.models.family import Family
from finevar.models.tokenization import read_object

FAMILIES: dict[str, type[Family]] = {"distilbert": FlatDistilBert}  # by the model_type of a converted checkpoint


def convert(folder: Path, output: Path, *, where: str) -> list[str]:
    """Write a fetched checkpoint as its family reads it into the folder output; return what was changed.

    where: names the checkpoint in an InputError. One of no family is DistilBERT's to convert, as BERT is, or to refuse.
    """
    stated = str(read_object(folder / "config.json", where=where).get("model_type"))
    return FAMILIES.get(stated, FlatDistilBert).convert(folder, output, where=where)


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
