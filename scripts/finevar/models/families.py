"""The families of models, and which of them a folder's model is of."""

from __future__ import annotations

from pathlib import Path

from finevar.errors import InputError
from finevar.files import read_json
from finevar.models.distilbert.family import FlatDistilBert
from finevar.models.family import Family

FAMILIES: dict[str, type[Family]] = {"distilbert": FlatDistilBert}  # by the model_type of a converted checkpoint
FETCHED: type[Family] = FlatDistilBert  # that fetched checkpoints are converted to


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
