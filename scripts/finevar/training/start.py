"""Where a training starts: settings that fit its data and model, and the state that it goes on from or begins with."""

from __future__ import annotations

import math

from finevar.errors import InputError
from finevar.jobs.log import LOGGER
from finevar.models import checkpoint
from finevar.models.family import Family, Weights
from finevar.training.optimiser import Moments
from finevar.training.state import State, misfit
from finevar.training.steps import Course, Settings


def check_fit(settings: Settings, family: Family, available: int, classes: int) -> int:
    """Return how many training examples are used; raise InputError where settings do not fit the data or the model."""
    checkpoint.require_positions(family, settings["max_length"])
    used, layers = settings["train_examples"] or available, len(family.blocks()) - 1
    for name, most, what, otherwise in (
        ("train_examples", available, "the training examples of this data set", ", or set it to null for all of them"),
        ("batch_size", used, "the training examples used", ", or raise train_examples"),
        ("frozen_layers", layers, "the model's layers", ""),
    ):
        if (settings[name] or 0) > most:
            allowed, remedy = f"at most {most}, {what}", f"Lower {name}{otherwise}."
            raise InputError(f"setting {name}", found=str(settings[name]), allowed=allowed, remedy=remedy)
    if used < classes:
        raise InputError(
            "setting train_examples",
            found=f"{used} for {classes} classes",
            allowed=f"at least {classes}, an example of each class",
            remedy="Raise train_examples.",
        )
    return used


def state_to_go_on_from(begin: State | None, weights: Weights, course: Course) -> State:
    """Return an earlier state if there is one that fits, else the first; the log says why one does not fit."""
    settings = course.settings
    steps = {"per_epoch": math.ceil(len(course.examples) / settings["batch_size"]), "epochs": settings["epochs"]}
    start = course.family, settings["frozen_layers"], settings["optimizer"]
    if begin and (why := misfit(begin, weights, zero_moments(weights, *start), **steps)):
        LOGGER.warning("the saved state does not fit this training (%s): training starts from the beginning", why)
        begin = None
    return begin or first_state(weights, *start)


def first_state(weights: Weights, family: Family, frozen_layers: int, optimizer: str = "adamw") -> State:
    """Return the state before the first step, its weights a copy."""
    copied = {name: tensor.clone() for name, tensor in weights.items()}
    return State(copied, zero_moments(copied, family, frozen_layers, optimizer), [])


def zero_moments(weights: Weights, family: Family, frozen_layers: int, optimizer: str) -> Moments:
    """Return the moments before the first step of the weights that learn."""
    return Moments.zero(choose_trainable(weights, family, frozen_layers), optimizer)


def choose_trainable(weights: Weights, family: Family, frozen_layers: int) -> Weights:
    """Return the weights that learn; frozen layers count from the first, with the embeddings."""
    frozen = tuple(family.blocks()[: frozen_layers + 1]) if frozen_layers else ()
    return {name: tensor for name, tensor in weights.items() if not name.startswith(frozen)}
