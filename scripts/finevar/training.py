"""Fine-tuning of one model: one visible loop."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from finevar import checkpoint
from finevar.encoder import Architecture, Weights, classify, multiplied
from finevar.encoding import Encoded, load_encoded
from finevar.errors import InputError
from finevar.files import read_json, write_json
from finevar.machine import choose_dtype, machine_facts, peak_memory_mb, set_up
from finevar.optimiser import Moments, update
from finevar.packing import collate
from finevar.randomness import generator
from finevar.records import TRAINING, write_rows
from finevar.state import State, load_state, save_state
from finevar.vocabulary import EMBEDDING, compact, decay_factor, expand

Settings = Mapping[str, Any]


def train_files(
    *,
    start: str,
    train: str,
    facts: str,
    settings: Settings,
    seed: int,
    threads: int,
    name: str,
    model: str,
    training: str,
    summary: str,
    begin: str | None = None,
    state: str | None = None,
) -> dict[str, Any]:
    """Train from the files of one job to the files of another; return the summary.

    In: folder of the starting model, encoded training examples, the data set's facts; perhaps the state of a shorter
    run to go on from. Out: folder of the trained model, Parquet of steps, JSON summary; perhaps the state at the end.
    """
    told = read_json(facts)
    model_sha256 = checkpoint.weights_sha256(Path(start))
    identity = {key: value for key, value in settings.items() if key != "epochs"}
    identity |= {"seed": seed, "data_sha256": told["data_sha256"], "model_sha256": model_sha256}
    trained = train_model(
        Path(start),
        load_encoded(train),
        told["classes"],
        settings,
        seed=seed,
        threads=threads,
        name=name,
        begin=load_state(begin, identity) if begin else None,
    )
    save_trained(trained, Path(model), start=Path(start), classes=told["classes"])
    write_rows(trained.steps, training, TRAINING)
    if state:
        save_state(trained.state, state, identity)
    written = trained.summary | {"model_sha256": model_sha256}
    write_json(written, summary)
    return written


@dataclass(frozen=True)
class Trained:
    """What a training gives: weights, or None where it diverged; a row per step; a summary; the state at its end."""

    weights: Weights | None
    steps: list[dict[str, Any]]
    summary: dict[str, Any]
    state: State


def train_model(
    start: Path,
    examples: Encoded,
    classes: Sequence[str],
    settings: Settings,
    *,
    seed: int,
    threads: int,
    name: str,
    begin: State | None = None,
) -> Trained:
    """Fine-tune the model in folder `start` on the first `train_examples` examples.

    begin: the state at the end of a shorter run on the same trajectory, to go on from; it is changed in place.
    Deterministic for one machine, thread count and set of versions. A loss or gradient that is not finite ends the
    training as diverged. Raises InputError where the settings do not fit the data or the model.
    """
    started = time.monotonic()
    device = set_up(threads)
    full, architecture = checkpoint.load_model(start)
    examples = examples.head(check_fit(settings, architecture, len(examples)))
    head = checkpoint.fit_head(full, architecture, checkpoint.own_labels(start), classes, seed)
    architecture = replace(architecture, dropout=settings["dropout"], attention_dropout=settings["dropout"])
    dtype = choose_dtype(settings["dtype"], device)
    weights, examples, vocabulary = compact(full, examples)
    taken = len(begin.rows) if begin else 0
    state = (begin or first_state(weights, settings["frozen_layers"])).to(device)
    trainable = choose_trainable(state.weights, settings["frozen_layers"])
    reason = fine_tune(state, trainable, architecture, examples, settings, dtype=dtype, seed=seed, name=name)
    rates = [row["learning_rate"] for row in state.rows] if state.weights[EMBEDDING].requires_grad else []
    weights = expand(state.weights, full, vocabulary, decay_factor(rates, settings["weight_decay"]))
    summary = {
        "status": "diverged" if reason else "ok",
        "reason": reason,
        "head": head,
        "train_examples_used": len(examples),
        "steps": len(state.rows),
        "steps_of_shorter_run": taken,
        "tokens": sum(row["tokens"] for row in state.rows),
        "train_seconds": time.monotonic() - started + (state.rows[taken - 1]["seconds"] if taken else 0),
        "train_peak_memory_mb": peak_memory_mb(),
        **machine_facts(threads, dtype),
    }
    return Trained(None if reason else weights, state.rows, summary, state)


def fine_tune(
    state: State,
    trainable: Sequence[Tensor],
    architecture: Architecture,
    examples: Encoded,
    settings: Settings,
    *,
    dtype: torch.dtype,
    seed: int,
    name: str,
) -> str | None:
    """Train from a state to the end, in place; return the reason where it diverged."""
    per_epoch = math.ceil(len(examples) / settings["batch_size"])
    total = per_epoch * settings["epochs"]
    device = str(trainable[0].device)
    weights, rows = state.weights, state.rows
    if rows and (reason := divergence(rows[-1])):
        return reason
    progress = Progress(name, total, settings["epochs"])
    started = time.monotonic() - (rows[-1]["seconds"] if rows else 0)
    for epoch in range(len(rows) // per_epoch, settings["epochs"]):
        masks = generator(seed, "dropout", epoch, device=device)
        for numbers in epoch_batches(len(examples), settings["batch_size"], seed, epoch):
            step = len(rows)
            rate = settings["learning_rate"] * schedule_factor(step, total, settings["warmup"], settings["schedule"])
            sentences = [examples.sentence(number, settings["max_length"]) for number in numbers]
            batch = collate(sentences, examples.labels[numbers], heads=architecture.heads).to(device)

            logits = classify(multiplied(weights, dtype), architecture, batch, masks)
            loss = F.cross_entropy(logits, batch.labels)
            loss.backward()
            norm = update(
                trainable,
                state.moments,
                learning_rate=rate,
                weight_decay=settings["weight_decay"],
                clip_norm=settings["clip_norm"],
            )

            row = {
                "step": step + 1,
                "epoch": (step + 1) / per_epoch,
                "learning_rate": rate,
                "loss": loss.item(),
                "grad_norm": norm.item(),
                "tokens": len(batch.tokens),
                "seconds": time.monotonic() - started,
            }
            rows.append(row)
            progress.show(row)
            if reason := divergence(row):
                progress.clear()
                return reason
    progress.clear()
    return divergence_of(weights)


def first_state(weights: Weights, frozen_layers: int) -> State:
    """Return the state before the first step, its weights a copy."""
    copied = {name: tensor.clone() for name, tensor in weights.items()}
    return State(copied, Moments.zero(choose_trainable(copied, frozen_layers)), [])


def check_fit(settings: Settings, architecture: Architecture, available: int) -> int:
    """Return how many training examples are used; raise InputError where settings do not fit the data or the model."""
    checkpoint.require_positions(architecture, settings["max_length"])
    used = settings["train_examples"] or available
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
    if settings["frozen_layers"] > architecture.layers:
        raise InputError(
            "setting frozen_layers",
            found=str(settings["frozen_layers"]),
            allowed=f"at most {architecture.layers}, the model's layers",
            remedy="Lower frozen_layers.",
        )
    return used


def choose_trainable(weights: Weights, frozen_layers: int) -> list[Tensor]:
    """Mark the weights that learn and return them; frozen layers count from the first, with the embeddings."""
    frozen = [f"distilbert.transformer.layer.{layer}." for layer in range(frozen_layers)]
    if frozen_layers:
        frozen.append("distilbert.embeddings.")
    for name, tensor in weights.items():
        tensor.requires_grad_(not name.startswith(tuple(frozen)))
    return [tensor for tensor in weights.values() if tensor.requires_grad]


def epoch_batches(examples: int, batch_size: int, seed: int, epoch: int) -> Iterator[list[int]]:
    """Yield the example numbers of each step of an epoch, shuffled anew from (seed, epoch); the last may be shorter."""
    order = torch.randperm(examples, generator=generator(seed, "order", epoch)).tolist()
    for first in range(0, examples, batch_size):
        yield order[first : first + batch_size]


def schedule_factor(step: int, total: int, warmup: float, schedule: str) -> float:
    """Return the share of the peak learning rate at a step counted from 0.

    warmup: steps, or below 1 a share of all steps, rounded up. As Hugging Face's schedules of the same names.
    """
    warm = math.ceil(total * warmup) if warmup < 1 else int(warmup)
    if step < warm:
        return step / max(1, warm)
    gone = (step - warm) / max(1, total - warm)
    match schedule:
        case "linear":
            return max(0.0, 1.0 - gone)
        case "cosine":
            return max(0.0, 0.5 * (1.0 + math.cos(math.pi * gone)))
    return 1.0


def divergence(row: Mapping[str, Any]) -> str | None:
    """Say why a step's loss or gradient ends the training, if it does."""
    for quantity in ("loss", "grad_norm"):
        if not math.isfinite(row[quantity]):
            return f"{quantity} is {row[quantity]} at step {row['step']} (epoch {row['epoch']:.2f})"
    return None


def divergence_of(weights: Weights) -> str | None:
    """Name a weight that is not finite after the last step, if there is one."""
    for name, tensor in weights.items():
        if not bool(tensor.isfinite().all()):
            return f"{name} is not finite after the last step"
    return None


def save_trained(trained: Trained, folder: Path, *, start: Path, classes: Sequence[str]) -> None:
    """Write the model's folder; a diverged run leaves its config only."""
    shutil.rmtree(folder, ignore_errors=True)
    if trained.weights is None:
        checkpoint.write_config(folder, start=start, classes=classes)
    else:
        checkpoint.save_model(trained.weights, folder, start=start, classes=classes)


class Progress:
    """One line on a terminal that tells how far a training is; nothing elsewhere."""

    def __init__(self, name: str, total: int, epochs: int) -> None:
        self.name, self.total, self.epochs = name, total, epochs
        self.on = sys.stderr.isatty()
        self.started = self.shown = time.monotonic()
        self.tokens = 0

    def show(self, row: Mapping[str, Any]) -> None:
        """Show a step, at most twice a second."""
        now = time.monotonic()
        self.tokens += row["tokens"]
        if not self.on or now - self.shown < 0.5:
            return
        self.shown = now
        seconds = now - self.started
        left = seconds / row["step"] * (self.total - row["step"])
        line = (
            f"{self.name}  epoch {row['epoch']:.1f}/{self.epochs}  step {row['step']}/{self.total}"
            f"  loss {row['loss']:.4f}  {self.tokens / seconds:,.0f} tokens/s  {left:.0f} s left"
        )
        print(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave the terminal's line empty for what comes next."""
        if self.on:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
