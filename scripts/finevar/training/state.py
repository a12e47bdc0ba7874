"""Where a training stands after some steps: all that it needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from finevar.columns import EPOCHS, TRAINING
from finevar.files import appearing, blank_seal, is_sealed_file, seal_file
from finevar.models.family import Weights
from finevar.models.kernels import layout
from finevar.training.optimiser import Moments

INTEGERS = ("step", "tokens", "micro_batches")  # columns of a step's row; all of them fit float64 exactly
OF_EPOCHS = tuple(name for name in EPOCHS.names if name != "reason")
KINDS = ("weight", "first", "second", "row", "epoch")  # of a file's tensors: each is called kind/name, but for `draws`


@dataclass(frozen=True)
class State:
    """The weights that learn, as the loop has them, their moments, and a row for each step taken.

    draws: the state of the dropout's generator in the middle of an epoch; each epoch derives a new one from the seed.
    taken_over: how many of the steps are those of a shorter run, whose state this training began from. epochs: a row of
    scores for each epoch that was evaluated. fixed: the other weights, as the training starts with them, which no file
    of a state holds.
    """

    weights: Weights
    moments: Moments
    rows: list[dict[str, Any]]
    draws: Tensor | None = None
    taken_over: int = 0
    epochs: list[dict[str, Any]] = field(default_factory=list)
    fixed: Weights = field(default_factory=dict)

    @property
    def model(self) -> Weights:
        """Return all weights."""
        return self.fixed | self.weights

    @property
    def device(self) -> str:
        """Return the name of the device that the state lies on."""
        return str(self.moments.steps.device)

    def to(self, device: str) -> State:
        """Return the state on a device, its weights in the order of their names, ready to learn.

        One order for all: a checkpoint's own order of tensors may decide nothing that a training computes or reports.
        """
        weights = {name: tensor.detach().to(device).requires_grad_() for name, tensor in sorted(self.weights.items())}
        fixed = {name: tensor.to(device) for name, tensor in self.fixed.items()}
        return replace(self, weights=weights, moments=self.moments.to(device), fixed=fixed)


def save_state(state: State, path: str | Path, trajectory: Mapping[str, Any]) -> None:
    """Write a state and the trajectory that it lies on: what decides the steps that led to it."""
    parts = {"weight": state.weights, "first": state.moments.first, "second": state.moments.second}
    parts["row"] = {
        name: torch.tensor([row[name] for row in state.rows], dtype=torch.float64) for name in TRAINING.names
    }
    if state.epochs:
        parts["epoch"] = {
            name: torch.tensor([row[name] for row in state.epochs], dtype=torch.float64) for name in OF_EPOCHS
        }
    tensors = {f"{kind}/{name}": tensor for kind, part in parts.items() for name, tensor in part.items()}
    if state.draws is not None:
        tensors["draws"] = state.draws
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    facts = {"trajectory": canonical(trajectory), "taken_over": str(state.taken_over), "seal": blank_seal()}
    with appearing(path) as beside:
        save_file(tensors, beside, metadata=facts)
        seal_file(beside)


def load_state(path: str | Path, trajectory: Mapping[str, Any], *, own: bool = False) -> State | None:
    """Read a state of a trajectory; own: that of the same training, not of a shorter run, all of whose steps it takes.

    None for a file that is damaged, of another trajectory or of another format, and the log says so: training then
    starts from the beginning, which takes longer and gives the same.
    """
    if not is_sealed_file(path):
        return refuse(path, "is damaged")
    with safe_open(path, framework="pt") as file:
        facts = file.metadata() or {}
        if facts.get("trajectory") != canonical(trajectory):
            return refuse(path, "belongs to another training")
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118, it is no mapping
    draws = tensors.pop("draws", None)
    parts: dict[str, Weights] = {kind: {} for kind in KINDS}
    for key, tensor in sorted(tensors.items()):
        kind, _, name = key.partition("/")
        if kind not in KINDS:
            return refuse(path, f"does not have the format of a state ({key} is unexpected)")
        parts[kind][name] = tensor
    why = misfit_of_columns("row", parts["row"], TRAINING.names)
    if parts["epoch"]:
        why = why or misfit_of_columns("epoch", parts["epoch"], OF_EPOCHS)
    if why:
        return refuse(path, f"does not have the format of a state ({why})")
    rows = rows_of(parts["row"])
    moments = Moments(parts["first"], parts["second"], torch.tensor(float(len(rows))))
    taken_over = int(facts["taken_over"]) if own else len(rows)
    return State(parts["weight"], moments, rows, draws, taken_over, rows_of(parts["epoch"], OF_EPOCHS))


def refuse(path: str | Path, why: str) -> None:
    """Log why a state is not used."""
    logging.getLogger("finevar").warning("%s %s: training starts from the beginning", path, why)


def misfit_of_columns(kind: str, columns: Weights, names: Sequence[str]) -> str | None:
    """Name the first column of rows that is missing or unexpected, or does not have a number for each row."""
    first = columns.get(names[0])
    expected = torch.zeros(len(first) if first is not None and first.ndim else 0, dtype=torch.float64)
    return first_difference(kind, columns, dict.fromkeys(names, expected))


def rows_of(columns: Weights, names: Sequence[str] = TRAINING.names) -> list[dict[str, Any]]:
    """Return a row for each step, or epoch, from a column of float64 for each quantity; none without columns."""
    lists = {name: columns[name].tolist() for name in names if columns}
    return [
        {name: int(value) if name in INTEGERS else value for name, value in zip(lists, values, strict=True)}
        for values in zip(*lists.values(), strict=True)
    ]


def misfit(state: State, weights: Weights, moments: Moments, *, per_epoch: int, epochs: int) -> str | None:
    """Say by which tensor or step a state does not fit a training that would go on from it; None if it fits.

    weights: those that learn, as the training starts with them; moments: before its first step. A state that does not
    fit would stop the training at every attempt, or train other weights than it names.
    """
    return (
        first_difference("weight", state.weights, weights)
        or first_difference("first", state.moments.first, moments.first)
        or first_difference("second", state.moments.second, moments.second)
        or misfit_of_steps(state, per_epoch=per_epoch, epochs=epochs)
    )


def first_difference(kind: str, found: Weights, expected: Weights) -> str | None:
    """Name the first tensor that is missing or unexpected, or of another shape or type than expected."""
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            return f"{kind}/{name} is missing"
        if name not in expected:
            return f"{kind}/{name} is unexpected"
        if found[name].shape != expected[name].shape or found[name].dtype != expected[name].dtype:
            return f"{kind}/{name} is {layout(found[name])}, and the training has {layout(expected[name])}"
    return None


def misfit_of_steps(state: State, *, per_epoch: int, epochs: int) -> str | None:
    """Say how a state's steps do not fit a training of so many steps an epoch and epochs."""
    steps: Sequence[int] = [row["step"] for row in state.rows]
    if steps != list(range(1, len(steps) + 1)) or int(state.moments.steps) != len(steps):
        return "its steps are not counted from 1"
    if len(steps) > per_epoch * epochs:
        return f"it has {len(steps)} steps, and the training takes {per_epoch * epochs}"
    goes_on = len(steps) % per_epoch and all(math.isfinite(state.rows[-1][name]) for name in ("loss", "grad_norm"))
    return "draws is missing in the middle of an epoch" if goes_on and state.draws is None else None


def canonical(trajectory: Mapping[str, Any]) -> str:
    """Return a trajectory as text that is equal for equal trajectories."""
    return json.dumps(trajectory, sort_keys=True)
