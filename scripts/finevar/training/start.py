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


def check_fit(settings: Settings, family: Family, available: int) -> int:
    """Return how many training examples are used; raise InputError where settings do not fit the data or the model."""
    checkpoint.require_positions(family, settings["max_length"])
    used, layers = settings["train_examples"] or available, len(family.blocks()) - 1
    if used > available:
        raise InputError(
            "setting train_examples",
            found=str(used),
            allowed=f"at most {available}, the training examples of this data set",
            remedy="Lower train_examples, or set it to null for all of them.",
        )
    if settings["batch_size"] > used:
        raise InputError(
            "setting batch_size",
            found=str(settings["batch_size"]),
            allowed=f"at most {used}, the training examples used",
            remedy="Lower batch_size, or raise train_examples.",
        )
    if settings["frozen_layers"] > layers:
        raise InputError(
            "setting frozen_layers",
            found=str(settings["frozen_layers"]),
            allowed=f"at most {layers}, the model's layers",
            remedy="Lower frozen_layers.",
        )
    return used


def state_to_go_on_from(begin: State | None, weights: Weights, course: Course) -> State:
    """Return an earlier state if there is one that fits, else the first; the log says why one does not fit."""
    settings = course.settings
    steps = {"per_epoch": math.ceil(len(course.examples) / settings["batch_size"]), "epochs": settings["epochs"]}
    learning = choose_trainable(weights, course.family, settings["frozen_layers"])
    if begin and (why := misfit(begin, weights, learning, **steps)):
        LOGGER.warning("the saved state does not fit this training (%s): training starts from the beginning", why)
        begin = None
    return begin or first_state(weights, course.family, settings["frozen_layers"])


def first_state(weights: Weights, family: Family, frozen_layers: int) -> State:
    """Return the state before the first step, its weights a copy."""
    copied = {name: tensor.clone() for name, tensor in weights.items()}
    return State(copied, Moments.zero(choose_trainable(copied, family, frozen_layers)), [])


def choose_trainable(weights: Weights, family: Family, frozen_layers: int) -> Weights:
    """Return the weights that learn; frozen layers count from the first, with the embeddings."""
    frozen = tuple(family.blocks()[: frozen_layers + 1]) if frozen_layers else ()
    return {name: tensor for name, tensor in weights.items() if not name.startswith(frozen)}
