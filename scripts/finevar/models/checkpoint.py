"""A model's folder: a checkpoint in Hugging Face's layout, read into plain weights and written back."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from finevar.errors import InputError
from finevar.files import check_sums, read_json, write_bytes, write_json, write_sums
from finevar.models.families import read_family
from finevar.models.family import Family, Weights
from finevar.models.randomness import generator

WEIGHTS = "model.safetensors"
OWN_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
HEAD_STD = 0.02  # standard deviation of a new head's weights, Hugging Face's initializer_range


def load_model(folder: Path) -> tuple[Weights, Family]:
    """Return the weights that a folder holds, and their family.

    Raises InputError, and quarantines the folder, where a file is not as it was written.
    """
    check_sums(folder)
    return load_file(folder / WEIGHTS), read_family(folder)


def head_classes(weights: Weights, family: Family) -> int:
    """Return how many classes the weights' head has; 0 where they have none."""
    *_, output = family.head(0)
    return len(weights.get(f"{output}.weight", ()))


def fit_head(weights: Weights, family: Family, labels: Sequence[str] | None, classes: Sequence[str], seed: int) -> str:
    """Give weights, in place, a head for these classes, and say how.

    labels: the checkpoint's own class names in order, if it has a head. A head of the right size is kept, its rows put
    in the order of the classes where all names agree; another is replaced by one drawn from the seed.
    """
    draw, had, layers = generator(seed, "head"), head_classes(weights, family), family.head(len(classes))
    for name, (rows, columns) in layers.items():
        if len(weights.get(f"{name}.weight", ())) != rows:
            weights[f"{name}.weight"] = torch.randn(rows, columns, generator=draw) * HEAD_STD
            weights[f"{name}.bias"] = torch.zeros(rows)
    if had != len(classes):
        before = f"one of {had} classes" if had else "none"
        return f"new head of {len(classes)} classes from the seed (the checkpoint had {before})"
    order = match_names(labels or [], classes)
    if order and order != sorted(order):
        *_, output = layers
        for part in ("weight", "bias"):
            weights[f"{output}.{part}"] = weights[f"{output}.{part}"][order].contiguous()
        return "the checkpoint's head, its rows put in the order of the data's classes"
    return f"the checkpoint's head, its classes ({', '.join(labels or ['unnamed'])}) taken in order"


def match_names(labels: Sequence[str], classes: Sequence[str]) -> list[int] | None:
    """Return the place of each class among the labels, or None unless each is one label and each label one class.

    Names are compared as they are; those left over without regard to case, where that leaves no doubt.
    """
    places: dict[str, int] = {}
    for form in (str, str.casefold):
        left = [name for name in classes if name not in places]
        free = [place for place in range(len(labels)) if place not in places.values()]
        for name in left:
            alike = [place for place in free if form(labels[place]) == form(name)]
            if len(alike) == 1 and sum(form(other) == form(name) for other in left) == 1:
                places[name] = alike[0]
    return [places[name] for name in classes] if len(places) == len(classes) == len(labels) else None


def own_labels(folder: Path) -> list[str] | None:
    """Return the class names of a checkpoint's head in order, if its config names them."""
    names = read_json(folder / "config.json").get("id2label")
    return [names[key] for key in sorted(names, key=int)] if names else None


def save_model(weights: Weights, folder: Path, *, start: Path, classes: Sequence[str]) -> None:
    """Write a folder that Hugging Face's `from_pretrained` and this workflow both read.

    start: the folder that the training began from; it gives the architecture and the tokeniser.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = save({name: tensor.detach().contiguous() for name, tensor in weights.items()}, metadata={"format": "pt"})
    write_bytes(data, folder / WEIGHTS)
    write_config(folder, start=start, classes=classes)


def write_config(folder: Path, *, start: Path, classes: Sequence[str]) -> None:
    """Write a model's config and tokeniser, without weights."""
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = read_json(start / "config.json")
    config["id2label"] = {str(number): name for number, name in enumerate(classes)}
    config["label2id"] = {name: number for number, name in enumerate(classes)}
    config["architectures"] = [read_family(start).transformers_class]
    write_json(config, folder / "config.json")
    copy_tokenizer(start, folder)


def copy_tokenizer(start: Path, folder: Path) -> None:
    """Give a model's folder the tokenizer of another, and new sums."""
    for name in OWN_TOKENIZER_FILES:
        (folder / name).unlink(missing_ok=True)  # it may be a hard link to a file that is kept
        if (start / name).exists():
            shutil.copyfile(start / name, folder / name)
    write_sums(folder)


def content_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of what decides a model's outputs: its weights and its config, as the folder's sums say."""
    sums = check_sums(folder)
    return {"weights": sums[WEIGHTS], "config": sums["config.json"]}


def require_positions(family: Family, max_length: int) -> None:
    """Raise InputError where sentences may be longer than the model's positions."""
    if max_length > family.positions:
        raise InputError(
            "config: training.max_length",
            found=str(max_length),
            allowed=f"at most {family.positions}, the model's positions",
            remedy="Lower max_length.",
        )
