"""A model's folder: a checkpoint in Hugging Face's layout, read into plain weights and written back."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from finevar.errors import InputError
from finevar.files import check_sums, read_json, write_bytes, write_json, write_sums
from finevar.models.families import read_family
from finevar.models.family import Family, Weights
from finevar.models.randomness import generator
from finevar.reasons import Head, Reason
from finevar.study.classes import label_key
from finevar.study.consistency import listed

WEIGHTS = "model.safetensors"
OWN_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
Meanings = Mapping[str, Any]  # the data's class that each class of a checkpoint is, by that one's name
DRAWN_STD = 0.02  # standard deviation of weights drawn anew, Hugging Face's initializer_range


def load_model(folder: Path) -> tuple[Weights, Family]:
    """Return the weights that a folder holds, and their family.

    Raises InputError, and quarantines the folder, where a file is not as it was written.
    """
    check_sums(folder)
    return load_file(folder / WEIGHTS), read_family(folder)


def head_classes(weights: Weights, family: Family) -> int:
    """Return how many classes the weights' head has; 0 where they have none."""
    return len(weights.get(f"{output_layer(family)}.weight", ()))


def output_layer(family: Family) -> str:
    """Return the name of the layer that gives the logits."""
    *_, matrix = (name for name, shape in family.head(0).items() if len(shape) == 2)
    return matrix.removesuffix(".weight")


def fit_head(
    weights: Weights,
    family: Family,
    labels: Sequence[str],
    classes: Sequence[str],
    seed: int,
    meanings: Meanings | None = None,
) -> Reason:
    """Give weights, in place, a head for these classes, and say how.

    labels: the checkpoint's own class names in order. meanings: see row_order(). A head whose classes are the data's is
    kept, its rows put in their order; another is replaced by one drawn from the seed. Raises InputError where meanings
    do not fit.
    """
    draw, had, output = generator(seed, "head"), head_classes(weights, family), f"{output_layer(family)}."
    order = row_order(labels if had else [], classes, meanings)
    for name, shape in family.head(len(classes)).items():
        if name not in weights or weights[name].shape != shape or (name.startswith(output) and order is None):
            weights[name] = drawn_weight(name, shape, draw)
    if order is None:
        return drawn_head(labels, classes, had)
    for name in [name for name in weights if name.startswith(output)]:
        weights[name] = weights[name][order].contiguous()
    if order == sorted(order):
        return Reason(Head.KEPT, "the checkpoint's head, whose classes are the data's")
    return Reason(Head.REORDERED, "the checkpoint's head, its rows put in the order of the data's classes")


def drawn_weight(name: str, shape: tuple[int, ...], draw: torch.Generator) -> torch.Tensor:
    """Return a new weight of a head or layer: a matrix or kernel is drawn, a bias zero, and what scales a norm one."""
    if len(shape) > 1:
        return torch.randn(shape, generator=draw) * DRAWN_STD
    return torch.zeros(shape) if name.endswith("bias") else torch.ones(shape)


def redraw_layers(weights: Weights, family: Family, count: int, seed: int) -> None:
    """Draw the weights of so many of the last layers from the seed, in place; each layer's own, however many are."""
    _, *layers = family.blocks()
    for layer in layers[len(layers) - count :]:
        draw = generator(seed, f"reinit/{layer}")
        for name in sorted(name for name in weights if name.startswith(layer)):
            weights[name] = drawn_weight(name, weights[name].shape, draw)


def drawn_head(labels: Sequence[str], classes: Sequence[str], had: int) -> Reason:
    """Say why a head is drawn from the seed; had: the classes of the checkpoint's own."""
    new = f"new head of {len(classes)} classes from the seed"
    if had != len(classes):
        return Reason(Head.NEW, f"{new} (the checkpoint had {f'one of {had} classes' if had else 'none'})")
    why = f"the checkpoint's classes, {listed(labels)}, are not those of the data, {listed(classes)}"
    return Reason(Head.REPLACED, f"{new} ({why}; the key `head` can say which is which)")


def row_order(labels: Sequence[str], classes: Sequence[str], meanings: Meanings | None) -> list[int] | None:
    """Return the row of each class in a checkpoint's head, or None where names do not say.

    meanings: by the name of each of the checkpoint's classes, the data's class that it is; without it, names are
    compared. Raises InputError where it does not name all classes of both.
    """
    if not meanings:
        return match_names(labels, classes)
    rows, said = match_names(labels, [*meanings]), match_names([*map(str, meanings.values())], classes)
    if rows is None or said is None:
        own = listed(labels) or "it has no head"
        raise InputError(
            "config: head",
            found=listed(f"{own_name}: {name}" for own_name, name in meanings.items()),
            allowed=f"each class of the checkpoint ({own}) with its own class of the data ({listed(classes)})",
            remedy="Correct `head`, or remove it: then names are compared, and a head of other names is drawn anew.",
        )
    return [rows[place] for place in said]


def require_head(folder: Path, had: int, classes: Sequence[str], head: Meanings | None) -> None:
    """Raise InputError unless a model has a trained head whose classes are the data's; had: how many it has."""
    labels = own_labels(folder) if had else []
    if had == len(classes) and row_order(labels, classes, head) is not None:
        return
    remedy = "Use a model with a trained head for these classes, or give `baseline` a dataset to train it on."
    if had == len(classes):
        pairs = ", ".join(f"{name}: ..." for name in labels[:2])
        remedy = f"Say which class of the data each of them is, with the key `head: {{{pairs}}}`, or give `baseline` a "
        remedy += "dataset, on which a new head is trained."
    raise InputError(
        f"{folder}",
        found=f"a head of {had} classes{f' ({listed(labels)})' if labels else ''}",
        allowed=f"a head whose classes have the names of those of the data set ({listed(classes)})",
        remedy=remedy,
    )


def match_names(labels: Sequence[str], classes: Sequence[str]) -> list[int] | None:
    """Return the place of each class among the labels, or None unless each is one label and each label one class.

    Names are compared as they are; those left over as spellings of a class, where that leaves no doubt.
    """
    places: dict[str, int] = {}
    for form in (str, label_key):
        left = [name for name in classes if name not in places]
        free = [place for place in range(len(labels)) if place not in places.values()]
        for name in left:
            alike = [place for place in free if form(labels[place]) == form(name)]
            if len(alike) == 1 and sum(form(other) == form(name) for other in left) == 1:
                places[name] = alike[0]
    return [places[name] for name in classes] if len(places) == len(classes) == len(labels) else None


def own_labels(folder: Path) -> list[str]:
    """Return the class names of a checkpoint's head in order; none where its config names none."""
    names = read_json(folder / "config.json").get("id2label") or {}
    return [names[key] for key in sorted(names, key=int)]


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
