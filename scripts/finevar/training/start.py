"""Where a training starts: settings that fit its data and model, and the state that it goes on from or begins with."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace

import torch

from finevar.errors import InputError
from finevar.jobs.log import LOGGER
from finevar.models import checkpoint, lora
from finevar.models.family import Family, Weights
from finevar.training.optimiser import Moments
from finevar.training.state import State, misfit
from finevar.training.steps import Course, Settings

ATTENTION = re.compile(r"\.(attention|attn)\.")  # in the names of the matrices around attention


def check_fit(settings: Settings, family: Family, available: int, classes: int) -> int:
    """Return how many training examples are used; raise InputError where settings do not fit the data or the model."""
    checkpoint.require_positions(family, settings["max_length"])
    used, layers = settings["train_examples"] or available, len(family.blocks()) - 1
    for name, most, what, otherwise in (
        ("train_examples", available, "the training examples of this data set", ", or set it to null for all of them"),
        ("batch_size", used, "the training examples used", ", or raise train_examples"),
        ("frozen_layers", layers, "the model's layers", ""),
        ("reinit_layers", layers - settings["frozen_layers"], "the model's layers that are not frozen", ""),
    ):
        if (settings.get(name) or 0) > most:
            allowed, remedy = f"at most {most}, {what}", f"Lower {name}{otherwise}."
            raise InputError(f"setting {name}", found=str(settings[name]), allowed=allowed, remedy=remedy)
    if settings["layer_decay"] < 1 and not layers:
        raise InputError(
            "setting layer_decay",
            found=f"{settings['layer_decay']}, and {family.transformers_class} has no layers with weights of their own",
            allowed="1 for such a model",
            remedy="Set `layer_decay: 1`.",
        )
    if used < classes:
        raise InputError(
            "setting train_examples",
            found=f"{used} for {classes} classes",
            allowed=f"at least {classes}, an example of each class",
            remedy="Raise train_examples.",
        )
    return used


def state_to_go_on_from(begin: State | None, weights: Weights, course: Course) -> State:
    """Return an earlier state if there is one that fits, else the first; the log says why one does not fit.

    weights: those of the model, which are not changed.
    """
    settings, first = course.settings, first_state(weights, course)
    steps = {"per_epoch": math.ceil(len(course.examples) / settings["batch_size"]), "epochs": settings["epochs"]}
    if begin and (why := misfit(begin, first.weights, first.moments, **steps)):
        LOGGER.warning("the saved state does not fit this training (%s): training starts from the beginning", why)
        begin = None
    return replace(begin, fixed=first.fixed) if begin else first


def first_state(weights: Weights, course: Course) -> State:
    """Return the state before the first step, the weights that learn a copy; raise InputError where LoRA has none."""
    settings, blocks = course.settings, course.family.blocks()
    # Layers count from the first, with the embeddings.
    frozen = tuple(blocks[: settings["frozen_layers"] + 1]) if settings["frozen_layers"] else ()
    learning = {name: weight.clone() for name, weight in weights.items() if not name.startswith(frozen)}
    if settings["method"] == "lora":
        head = course.family.head(0)
        shapes = {name: weights[name].shape for name in adaptable(course) if name in learning}
        adapted = lora.factors(shapes, rank=allowed_rank(settings["lora_rank"], shapes), seed=course.parts["init"])
        learning = {name: weight for name, weight in learning.items() if name in head} | adapted
    fixed = {name: weight for name, weight in weights.items() if name not in learning}
    return State(learning, Moments.zero(learning, settings["optimizer"]), [], fixed=fixed)


def adaptable(course: Course) -> list[str]:
    """Return the names of the matrices that LoRA is asked to adapt; raise InputError where the model has none."""
    asked = course.settings["lora_layers"]
    names = [name for name in course.family.linear() if asked == "all" or ATTENTION.search(name)]
    if not names:
        raise InputError(
            "setting lora_layers",
            found=f"{asked}, and {course.family.transformers_class} has no such linear layers",
            allowed="a model whose encoder's layers hold them",
            remedy="Set `lora_layers: all`." if asked != "all" else "Set `method: full`.",
        )
    return names


def allowed_rank(rank: int, shapes: Mapping[str, torch.Size]) -> int:
    """Return a rank; raise InputError where it is larger than a matrix could have."""
    if rank > (most := min(map(min, shapes.values()), default=rank)):
        raise InputError(
            "setting lora_rank",
            found=str(rank),
            allowed=f"at most {most}, the smallest side of the model's matrices that are adapted",
            remedy="Lower lora_rank.",
        )
    return rank
