"""Fine-tuning of one model: one visible loop."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from finevar import ENGINES
from finevar.columns import TRAINING
from finevar.data.encoding import Encoded, encoded_sha256, load_encoded
from finevar.errors import InputError
from finevar.evaluation.evaluation import evaluation_identity
from finevar.files import read_facts, write_facts
from finevar.jobs.cache import keep_finished, kept_identity, restore_finished
from finevar.jobs.log import LOGGER
from finevar.jobs.stall import ending_if_stalled
from finevar.models import checkpoint
from finevar.models.encoder import Architecture, Weights, classify, multiplied
from finevar.models.machine import choose_dtype, is_out_of_memory, machine_facts, peak_memory_mb, provenance, set_up
from finevar.models.packing import collate
from finevar.models.randomness import generator
from finevar.models.vocabulary import EMBEDDING, compact, decay_factor, expand
from finevar.parquet import write_rows
from finevar.study.identity import chosen
from finevar.training.optimiser import Moments, update
from finevar.training.padded import PaddedSteps
from finevar.training.saving import keeping
from finevar.training.state import State, load_state, misfit, save_state

Settings = Mapping[str, Any]
Keep = Callable[[State, torch.Generator], None]


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
    micro_batches: int = 1,
    weights_kept: bool = True,
    evaluation: str | None = None,
) -> dict[str, Any]:
    """Train from the files of one job to the files of another; return the summary.

    In: folder of the starting model, encoded training examples, the data set's facts; perhaps the state of a shorter
    run to go on from, and, where weights are not kept, the encoded evaluation examples. Out: folder of the trained
    model, Parquet of steps, JSON summary; perhaps the state at the end. Goes on from where an earlier attempt was cut
    short, and gives the outputs of a finished one back: without weights if they are not to be kept and the evaluation
    that would read them is finished, too. Raises Interruption where this one is cut short.
    """
    data, folder = read_facts(facts), Path(summary).parent
    identity = training_identity(Path(start), train, data["classes"], settings, seed)
    dtype = choose_dtype(settings["dtype"], set_up(threads))
    course = identity | machine_facts(threads, dtype)  # all that decides the bytes of a state
    outputs = [model, training, summary, *([state] if state else [])]
    with keeping(folder, course) as keeper:
        if kept_identity(folder, "training") == identity and (
            restore_trained(folder, outputs, start=Path(start))
            or (
                evaluation
                and not weights_kept
                and restore_evaluated(
                    folder, outputs, evaluation_identity(identity, evaluation, data, settings), Path(start)
                )
            )
        ):
            keeper.restored()
            return read_facts(summary)
        trained = train_model(
            Path(start),
            load_encoded(train),
            data["classes"],
            settings,
            seed=seed,
            threads=threads,
            name=name,
            begin=keeper.load() or (load_state(begin, without_epochs(course)) if begin else None),
            keep=keeper.keep,
            micro_batches=micro_batches,
        )
        save_trained(trained, Path(model), start=Path(start), classes=data["classes"])
        write_rows(trained.steps, training, TRAINING)
        if state:
            save_state(trained.state, state, without_epochs(course))
        written = trained.summary | {"model_sha256": identity["weights"], **provenance()}
        write_facts(written | {"identity": identity}, summary)
        keep_finished(folder, "training", outputs, identity)
        keeper.done(written["steps"], written["status"])
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
    keep: Keep | None = None,
    micro_batches: int = 1,
) -> Trained:
    """Fine-tune the model in folder `start` on the first `train_examples` examples.

    begin: an earlier state on the same trajectory, to go on from if it fits; it is changed in place. keep: called after
    each step. micro_batches: parts that a step's batch is worked in at first; more where memory runs out.
    Deterministic for one machine, thread count and set of versions, whatever the order of the checkpoint's tensors. A
    loss or gradient that is not finite ends the training as diverged. Raises InputError where the settings do not fit
    the data, the model or the memory.
    """
    started = time.monotonic()
    device = set_up(threads)
    full, architecture = checkpoint.load_model(start)
    examples = examples.head(check_fit(settings, architecture, len(examples)))
    check_parts(micro_batches, settings["batch_size"])
    head = checkpoint.fit_head(full, architecture, checkpoint.own_labels(start), classes, seed)
    architecture = replace(architecture, dropout=settings["dropout"], attention_dropout=settings["dropout"])
    dtype = choose_dtype(settings["dtype"], device)
    weights, architecture, examples, vocabulary = compact(full, architecture, examples)
    state = state_to_go_on_from(begin, weights, settings, len(examples)).to(device)
    earlier = state.rows[-1]["seconds"] if state.rows else 0
    course = {"dtype": dtype, "seed": seed, "name": name, "keep": keep, "micro_batches": micro_batches}
    reason = fine_tune(state, architecture, examples, settings, **course)
    rates = [row["learning_rate"] for row in state.rows] if EMBEDDING in state.moments.first else []
    weights = expand(state.weights, full, vocabulary, decay_factor(rates, settings["weight_decay"]))
    summary = {
        "status": "diverged" if reason else "ok",
        "reason": reason,
        "head": head,
        "train_examples_used": len(examples),
        "steps": len(state.rows),
        "steps_of_shorter_run": state.taken_over,
        "tokens": sum(row["tokens"] for row in state.rows),
        "micro_batches": max(row["micro_batches"] for row in state.rows),
        "train_seconds": time.monotonic() - started + earlier,
        "train_peak_memory_mb": peak_memory_mb(),
        **machine_facts(threads, dtype),
    }
    return Trained(None if reason else weights, state.rows, summary, replace(state, draws=None))


def state_to_go_on_from(begin: State | None, weights: Weights, settings: Settings, examples: int) -> State:
    """Return an earlier state if there is one that fits, else the first; the log says why one does not fit."""
    steps = {"per_epoch": math.ceil(examples / settings["batch_size"]), "epochs": settings["epochs"]}
    learning = choose_trainable(weights, settings["frozen_layers"])
    if begin and (why := misfit(begin, weights, learning, **steps)):
        LOGGER.warning("the saved state does not fit this training (%s): training starts from the beginning", why)
        begin = None
    return begin or first_state(weights, settings["frozen_layers"])


def fine_tune(
    state: State,
    architecture: Architecture,
    examples: Encoded,
    settings: Settings,
    *,
    dtype: torch.dtype,
    seed: int,
    name: str,
    keep: Keep | None,
    micro_batches: int,
) -> str | None:
    """Train from a state to the end, in place; return the reason where it diverged."""
    rows, epochs = state.rows, settings["epochs"]
    if rows and (reason := divergence(rows[-1])):
        return reason
    per_epoch = math.ceil(len(examples) / settings["batch_size"])
    total, schedule = per_epoch * epochs, (settings["warmup"], settings["schedule"])
    device = str(state.weights[EMBEDDING].device)
    parts = max(micro_batches, rows[-1]["micro_batches"] if rows else 1)
    padded = PaddedSteps(state, architecture, examples, settings, dtype) if pads(device) else None
    started = time.monotonic() - (rows[-1]["seconds"] if rows else 0)
    with Progress(name, total, epochs) as progress, ending_if_stalled("training step") as progressed:
        for epoch in range(len(rows) // per_epoch, epochs):
            taken = len(rows) - epoch * per_epoch
            masks = generator(seed, "dropout", epoch, device=device)
            if padded:
                padded.masks.set_state(masks.get_state())
                masks = padded.masks
            if taken:
                masks.set_state(state.draws)
            for numbers in epoch_batches(len(examples), settings["batch_size"], seed, epoch, skip=taken):
                step = len(rows)
                rate = settings["learning_rate"] * schedule_factor(step, total, *schedule)

                done = padded.attempt(numbers, rate) if padded and parts == 1 else None
                if done is None:
                    padded = None  # it needs more memory than what is laid end to end
                    batch = (numbers, masks, parts)
                    parts, *done = end_to_end(state, architecture, examples, settings, *batch, rate=rate, dtype=dtype)
                loss, tokens, norm = done

                row = {
                    "step": step + 1,
                    "epoch": (step + 1) / per_epoch,
                    "learning_rate": rate,
                    "loss": loss,
                    "grad_norm": norm,
                    "tokens": tokens,
                    "micro_batches": parts,
                    "seconds": time.monotonic() - started,
                }
                rows.append(row)
                progressed()
                progress.show(row)
                if reason := divergence(row):
                    return reason
                if keep:
                    keep(state, masks)
    return divergence_of(state.weights)


def end_to_end(
    state: State,
    architecture: Architecture,
    examples: Encoded,
    settings: Settings,
    numbers: Sequence[int],
    masks: torch.Generator,
    parts: int,
    *,
    rate: float,
    dtype: torch.dtype,
) -> tuple[int, float, int, float]:
    """Take a step on a batch laid end to end, in so many parts, or more where memory runs out.

    Return the parts, the batch's mean loss, the tokens read and the gradient's norm.
    """
    before, length, weights = masks.get_state(), settings["max_length"], state.weights
    while (done := backpropagate(numbers, parts, weights, architecture, examples, masks, length, dtype)) is None:
        for weight in weights.values():
            weight.grad = None
        masks.set_state(before)
        parts = smaller(parts, len(numbers))
    norm = update(
        weights,
        state.moments,
        learning_rate=rate,
        weight_decay=settings["weight_decay"],
        clip_norm=settings["clip_norm"],
    )
    return parts, *done, norm.item()


def pads(device: str) -> bool:
    """Tell whether a device takes batches of a few fixed shapes: a GPU, on which a step costs its launches."""
    return device.startswith("cuda")


def backpropagate(
    numbers: Sequence[int],
    parts: int,
    weights: Weights,
    architecture: Architecture,
    examples: Encoded,
    masks: torch.Generator,
    max_length: int,
    dtype: torch.dtype,
) -> tuple[float, int] | None:
    """Add the gradients of a batch's mean loss, worked in parts; return that loss and the tokens read.

    None, with some gradients added, where memory ran out.
    """
    loss, tokens = 0.0, 0
    try:
        for some in np.array_split(numbers, min(parts, len(numbers))):
            sentences = [examples.sentence(number, max_length) for number in some]
            batch = collate(sentences, examples.labels[some], heads=architecture.heads).to(str(masks.device))
            logits = classify(multiplied(weights, dtype), architecture, batch, masks)
            share = F.cross_entropy(logits, batch.labels) * (len(some) / len(numbers))
            share.backward()
            loss += share.item()
            tokens += len(batch.tokens)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None
    return loss, tokens


def smaller(parts: int, batch_size: int) -> int:
    """Return in how many parts to work a batch that needed too much memory; raise InputError if there are no more."""
    check_parts(2 * parts, batch_size)
    LOGGER.warning("memory ran out: each batch is now worked in %d parts, its gradients added up", 2 * parts)
    return 2 * parts


def check_parts(parts: int, batch_size: int) -> None:
    """Raise InputError where memory ran out with a sentence at a time."""
    if parts >= 2 * batch_size:
        raise InputError(
            "memory",
            found="too little for a single sentence at a time",
            allowed="enough for the model, its gradients and moments, and one sentence",
            remedy="Run fewer jobs at once (--cores), ask for more memory (mem_mb in a profile), or lower max_length.",
        )


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


def choose_trainable(weights: Weights, frozen_layers: int) -> Weights:
    """Return the weights that learn; frozen layers count from the first, with the embeddings."""
    frozen = [f"distilbert.transformer.layer.{layer}." for layer in range(frozen_layers)]
    if frozen_layers:
        frozen.append("distilbert.embeddings.")
    return {name: tensor for name, tensor in weights.items() if not name.startswith(tuple(frozen))}


def epoch_batches(examples: int, batch_size: int, seed: int, epoch: int, *, skip: int = 0) -> Iterator[list[int]]:
    """Yield the example numbers of each step of an epoch, shuffled anew from (seed, epoch); the last may be shorter.

    skip: the steps of it that have been taken.
    """
    order = torch.randperm(examples, generator=generator(seed, "order", epoch)).tolist()
    for first in range(skip * batch_size, examples, batch_size):
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


def training_identity(
    start: Path, encoded: str, classes: Sequence[str], settings: Settings, seed: int
) -> dict[str, Any]:
    """Return all that decides what a training gives but for the machine; start: the folder of the model it begins with.

    Data by their token ids and labels; settings that are at their defaults are left out.
    """
    return checkpoint.content_of(start) | {
        "engine": ENGINES["training"],
        "encoded": encoded_sha256(encoded),
        "classes": list(classes),
        "settings": chosen(settings),
        "seed": seed,
    }


def without_epochs(course: Mapping[str, Any]) -> dict[str, Any]:
    """Return what runs of one trajectory have in common: all but how long they follow it."""
    return {**course, "settings": {key: value for key, value in course["settings"].items() if key != "epochs"}}


def restore_trained(folder: Path, outputs: Sequence[str], *, start: Path) -> bool:
    """Give the outputs of a kept training back, with the tokenizer that its start has now; False where one is gone."""
    if not restore_finished(folder, "training", outputs):
        return False
    checkpoint.copy_tokenizer(start, Path(outputs[0]))
    return True


def restore_evaluated(folder: Path, outputs: Sequence[str], identity: Mapping[str, Any], start: Path) -> bool:
    """Give the outputs back of a training whose weights are gone because they are evaluated; False if they are not.

    identity: that of the evaluation that will read them. In place of weights there is a model's config alone, which
    that evaluation, finished as well, does not read.
    """
    model, training, summary, *state = outputs
    if kept_identity(folder, "evaluation") != identity or not restore_finished(folder, "training", [training, summary]):
        return False
    checkpoint.write_config(Path(model), start=start, classes=identity["classes"])
    for path in state:
        Path(path).touch()  # no state: what would go on from it begins anew
    return True


def save_trained(trained: Trained, folder: Path, *, start: Path, classes: Sequence[str]) -> None:
    """Write the model's folder; a diverged run leaves its config only."""
    shutil.rmtree(folder, ignore_errors=True)
    if trained.weights is None:
        checkpoint.write_config(folder, start=start, classes=classes)
    else:
        checkpoint.save_model(trained.weights, folder, start=start, classes=classes)


class Progress:
    """One line on a terminal that shows how far a training is, until the block ends; nothing elsewhere."""

    def __init__(self, name: str, total: int, epochs: int) -> None:
        self.name, self.total, self.epochs = name, total, epochs
        self.on = sys.stderr.isatty()
        self.started = self.shown = time.monotonic()
        self.tokens = 0

    def __enter__(self) -> Progress:
        return self

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

    def __exit__(self, *_: object) -> None:
        """Leave the terminal's line empty for what comes next."""
        if self.on:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
