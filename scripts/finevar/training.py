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
) -> dict[str, Any]:
    """Train from the files of one job to the files of another; return the summary.

    In: folder of the starting model, encoded training examples, the data set's facts. Out: folder of the trained model,
    Parquet of steps, JSON summary.
    """
    classes = read_json(facts)["classes"]
    trained = train_model(Path(start), load_encoded(train), classes, settings, seed=seed, threads=threads, name=name)
    save_trained(trained, Path(model), start=Path(start), classes=classes)
    write_rows(trained.steps, training, TRAINING)
    write_json(trained.summary, summary)
    return trained.summary


@dataclass(frozen=True)
class Trained:
    """What a training gives: the weights, or None where it diverged; a row per step; a summary."""

    weights: Weights | None
    steps: list[dict[str, Any]]
    summary: dict[str, Any]


def train_model(
    start: Path,
    examples: Encoded,
    classes: Sequence[str],
    settings: Settings,
    *,
    seed: int,
    threads: int,
    name: str,
) -> Trained:
    """Fine-tune the model in folder `start` on the first `train_examples` examples.

    Deterministic for one machine, thread count and set of versions. A loss or gradient that is not finite ends the
    training as diverged. Raises InputError where the settings do not fit the data or the model.
    """
    started = time.monotonic()
    device = set_up(threads)
    weights, architecture = checkpoint.load_model(start)
    examples = examples.head(check_fit(settings, architecture, len(examples)))
    head = checkpoint.fit_head(weights, architecture, checkpoint.own_labels(start), classes, seed)
    architecture = replace(architecture, dropout=settings["dropout"], attention_dropout=settings["dropout"])
    weights = {key: tensor.to(device) for key, tensor in weights.items()}
    dtype = choose_dtype(settings["dtype"], device)
    small, examples, rows = compact(weights, examples)
    steps, reason = fine_tune(small, architecture, examples, settings, dtype=dtype, seed=seed, name=name)
    rates = [step["learning_rate"] for step in steps] if small[EMBEDDING].requires_grad else []
    weights = expand(small, weights, rows, decay_factor(rates, settings["weight_decay"]))
    tokens = sum(row["tokens"] for row in steps)
    summary = {
        "status": "diverged" if reason else "ok",
        "reason": reason,
        "head": head,
        "train_examples_used": len(examples),
        "steps": len(steps),
        "tokens": tokens,
        "train_seconds": time.monotonic() - started,
        "train_peak_memory_mb": peak_memory_mb(),
        "model_sha256": checkpoint.weights_sha256(start),
        **machine_facts(threads, dtype),
    }
    return Trained(None if reason else {key: tensor.detach().cpu() for key, tensor in weights.items()}, steps, summary)


def fine_tune(
    weights: Weights,
    architecture: Architecture,
    examples: Encoded,
    settings: Settings,
    *,
    dtype: torch.dtype,
    seed: int,
    name: str,
) -> tuple[list[dict[str, Any]], str | None]:
    """Train weights in place; return a row per step and, where it diverged, the reason."""
    trainable = choose_trainable(weights, settings["frozen_layers"])
    moments = Moments.zero(trainable)
    per_epoch = math.ceil(len(examples) / settings["batch_size"])
    total = per_epoch * settings["epochs"]
    device = str(trainable[0].device)
    progress = Progress(name, total, settings["epochs"])
    rows: list[dict[str, Any]] = []
    started = time.monotonic()
    for epoch in range(settings["epochs"]):
        masks = generator(seed, "dropout", epoch, device=device)
        for numbers in epoch_batches(len(examples), settings["batch_size"], seed, epoch):
            step = len(rows)
            rate = settings["learning_rate"] * schedule_factor(step, total, settings["warmup"], settings["schedule"])
            sentences = [examples.sentence(number, settings["max_length"]) for number in numbers]
            batch = collate(sentences, examples.labels[numbers], heads=architecture.heads).to(device)

            logits = classify(multiplied(weights, dtype), architecture, batch, masks)
            loss = F.cross_entropy(logits, batch.labels)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(trainable, settings["clip_norm"])
            update(trainable, moments, learning_rate=rate, weight_decay=settings["weight_decay"])

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
                return rows, reason
    progress.clear()
    return rows, divergence_of(weights)


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
