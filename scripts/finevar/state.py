"""Where a training stands after some steps: all that it needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from finevar.encoder import Weights
from finevar.files import appearing, blank_seal, is_sealed_file, seal_file
from finevar.optimiser import Moments
from finevar.records import TRAINING

INTEGERS = ("step", "tokens", "micro_batches")  # columns of a step's row; all of them fit float64 exactly


@dataclass(frozen=True)
class State:
    """Weights as the loop has them, the moments of those that learn, and a row for each step taken.

    draws: the state of the dropout's generator in the middle of an epoch; each epoch derives a new one from the seed.
    """

    weights: Weights
    moments: Moments
    rows: list[dict[str, Any]]
    draws: Tensor | None = None

    def to(self, device: str) -> State:
        """Return the state on a device."""
        weights = {name: tensor.detach().to(device) for name, tensor in self.weights.items()}
        moments = (self.moments.first, self.moments.second, self.moments.steps)
        moved = Moments(*([tensor.to(device) for tensor in kind] for kind in moments))
        return State(weights, moved, self.rows, self.draws)


def save_state(state: State, path: str | Path, trajectory: Mapping[str, Any]) -> None:
    """Write a state and the trajectory that it lies on: what decides the steps that led to it."""
    tensors = {f"weight/{name}": tensor.detach() for name, tensor in state.weights.items()}
    for kind in ("first", "second", "steps"):
        tensors |= {f"{kind}/{number}": tensor for number, tensor in enumerate(getattr(state.moments, kind))}
    for column in TRAINING.names:
        tensors[f"row/{column}"] = torch.tensor([row[column] for row in state.rows], dtype=torch.float64)
    if state.draws is not None:
        tensors["draws"] = state.draws
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    with appearing(path) as beside:
        save_file(tensors, beside, metadata={"trajectory": canonical(trajectory), "seal": blank_seal()})
        seal_file(beside)


def load_state(path: str | Path, trajectory: Mapping[str, Any]) -> State | None:
    """Read a state of a trajectory.

    None for a file that is damaged or of another trajectory, and the log says so: training then begins anew, which
    takes longer and gives the same.
    """
    if not is_sealed_file(path):
        logging.getLogger("finevar").warning("%s is damaged: training begins anew", path)
        return None
    with safe_open(path, framework="pt") as file:
        found = file.metadata()["trajectory"]
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118, it is no mapping
    if found != canonical(trajectory):
        logging.getLogger("finevar").warning("%s is of another trajectory: training begins anew", path)
        return None
    moments = Moments(*(numbered(tensors, kind) for kind in ("first", "second", "steps")))
    weights = {name.partition("/")[2]: tensor for name, tensor in tensors.items() if name.startswith("weight/")}
    columns = {name: tensors[f"row/{name}"].tolist() for name in TRAINING.names}
    rows = [
        {name: int(value) if name in INTEGERS else value for name, value in zip(columns, values, strict=True)}
        for values in zip(*columns.values(), strict=True)
    ]
    return State(weights, moments, rows, tensors.get("draws"))


def numbered(tensors: Mapping[str, Tensor], kind: str) -> Sequence[Tensor]:
    """Return the tensors of a kind in order."""
    count = sum(name.startswith(f"{kind}/") for name in tensors)
    return [tensors[f"{kind}/{number}"] for number in range(count)]


def canonical(trajectory: Mapping[str, Any]) -> str:
    """Return a trajectory as text that is equal for equal trajectories."""
    return json.dumps(trajectory, sort_keys=True)
