"""Fine-tuning of one model: one visible loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from logging import INFO, WARNING
from pathlib import Path
from typing import Any

from finevar.data.encoding import Encoded
from finevar.jobs.log import LOGGER
from finevar.jobs.stall import ending_if_stalled
from finevar.models import checkpoint, lora
from finevar.models.checkpoint import Meanings
from finevar.models.family import Weights
from finevar.models.machine import choose_dtype, machine_facts, peak_memory_mb, set_up
from finevar.models.vocabulary import compact, expand
from finevar.reasons import Head
from finevar.study.seed_parts import Seed, parts_of
from finevar.training.epochs import EpochEvaluation, complete_rows, seconds_of
from finevar.training.padded import PaddedSteps
from finevar.training.progress import progress_bar
from finevar.training.schedule import epoch_batches, in_groups, learnt_from, schedule_factor
from finevar.training.slot_steps import Slot, SlotSteps
from finevar.training.start import check_fit, state_to_go_on_from
from finevar.training.state import State
from finevar.training.steps import Course, FlatSteps, Masks, Settings, Steps, Turn, check_parts

AfterStep = Callable[[State, Masks], None]


@dataclass(frozen=True)
class Plan:
    """A training as it is asked for.

    start: the folder of the model that it begins with. micro_batches: parts that a step's batch is split into at first;
    more where memory runs out. name: what a terminal shows. evaluation: examples to evaluate on after each epoch. head:
    which class each class of the start's head is, where names do not say. keeps_head: whether a start with another head
    than the data's is refused. slot: that of a GPU which takes the steps, beside those of other runs.
    """

    start: Path
    examples: Encoded
    classes: Sequence[str]
    settings: Settings
    seed: Seed
    threads: int
    name: str
    micro_batches: int = 1
    evaluation: Encoded | None = None
    head: Meanings | None = None
    keeps_head: bool = False
    slot: Slot | None = None


@dataclass(frozen=True)
class Trained:
    """What a training gives: weights, or None where it diverged; a row per step; a summary; the state at its end.

    epochs: a row for each epoch that has ended, where the plan has examples for its evaluation.
    """

    weights: Weights | None
    steps: list[dict[str, Any]]
    epochs: list[dict[str, Any]]
    summary: dict[str, Any]
    state: State


def train_model(plan: Plan, *, begin: State | None = None, after_step: AfterStep | None = None) -> Trained:
    """Fine-tune a model on as many examples as `train_examples` says, which hold each class by its share.

    begin: an earlier state on the same trajectory, to go on from if it fits; it is changed in place.
    Deterministic for one machine, thread count and set of versions, whatever the order of the checkpoint's tensors. A
    loss or gradient that is not finite ends the training as diverged. Raises InputError where the settings do not fit
    the data, the model or the memory.
    """
    started, settings, seeds = time.monotonic(), plan.settings, parts_of(plan.seed)
    device = set_up(plan.threads)
    full, family = checkpoint.load_model(plan.start)
    used = check_fit(settings, family, len(plan.examples), len(plan.classes))
    examples = learnt_from(plan.examples, used, seeds["sample"])
    check_parts(plan.micro_batches, settings["batch_size"])
    if plan.keeps_head:
        checkpoint.require_head(plan.start, checkpoint.head_classes(full, family), plan.classes, plan.head)
    head = checkpoint.fit_head(full, family, checkpoint.own_labels(plan.start), plan.classes, seeds["init"], plan.head)
    checkpoint.redraw_layers(full, family, settings.get("reinit_layers", 0), seeds["init"])
    LOGGER.log(WARNING if head.code == Head.REPLACED else INFO, "%s", head)
    dtype = choose_dtype(settings["dtype"], device)
    every = settings["optimizer"] == "adafactor"  # whose step of a row depends on all of them
    weights, fewer, examples, words = compact(full, family.with_dropout(settings["dropout"]), examples, every=every)
    course = Course(fewer, examples, settings, plan.seed, dtype)
    state = state_to_go_on_from(begin, weights, course).to("cpu" if plan.slot else device)
    earlier = (state.rows[-1]["seconds"] if state.rows else 0) + seconds_of(state.epochs)

    def whole() -> Weights:
        """Return the weights as they are, with a row for every word."""
        rates = [row["learning_rate"] for row in state.rows] if family.embedding in state.moments.first else []
        share = course.rate_share(family.embedding)
        shrunk = math.prod(1 - rate * share * settings["weight_decay"] for rate in rates)  # Loshchilov and Hutter 2019
        return expand(lora.merged(state.model, settings), full, words, embedding=family.embedding, shrunk=shrunk)

    evaluation = plan.evaluation and EpochEvaluation(
        family, plan.evaluation, settings["max_length"], dtype, device, whole
    )
    reason = fine_tune(course, state, plan, evaluation=evaluation, after_step=after_step)
    state.moments.steps.fill_(len(state.rows))  # those after a bad one, where it was seen late, do not count
    weights = whole()
    summary = {
        "status": "diverged" if reason else "ok",
        "reason": reason,
        "head": head.code,
        "head_reason": head.sentence,
        "architecture": family.transformers_class,
        "layout": family.layout,
        "train_examples_used": len(examples),
        "steps": len(state.rows),
        "steps_of_shorter_run": state.taken_over,
        "tokens": sum(row["tokens"] for row in state.rows),
        "micro_batches": max(row["micro_batches"] for row in state.rows),
        "train_seconds": time.monotonic() - started + earlier - seconds_of(state.epochs),
        "train_peak_memory_mb": peak_memory_mb(),
        **machine_facts(plan.threads, dtype),
    }
    ended = (len(state.rows) - bool(reason)) // steps_an_epoch(course)
    epochs = complete_rows(state.epochs, ended) if evaluation else []
    return Trained(None if reason else weights, state.rows, epochs, summary, replace(state, draws=None))


def steps_an_epoch(course: Course) -> int:
    """Return the steps of an epoch."""
    return math.ceil(len(course.examples) / course.settings["batch_size"])


def fine_tune(
    course: Course, state: State, plan: Plan, *, evaluation: EpochEvaluation | None, after_step: AfterStep | None
) -> str | None:
    """Train from a state to the end, in place; return the reason where it diverged."""
    rows, settings = state.rows, course.settings
    if rows and (reason := divergence(rows[-1])):
        return reason
    per_epoch = steps_an_epoch(course)
    total = per_epoch * settings["epochs"]
    parts = max(plan.micro_batches, rows[-1]["micro_batches"] if rows else 1)
    steps = steps_of(course, state, plan, parts)
    # An earlier attempt's seconds count, those of evaluations do not.
    started = time.monotonic() - (rows[-1]["seconds"] if rows else 0) - seconds_of(state.epochs)
    with progress_bar(plan.name, total, len(rows)) as bar, ending_if_stalled("training step") as progressed:
        for epoch in range(len(rows) // per_epoch, settings["epochs"]):
            taken = len(rows) - epoch * per_epoch
            if evaluation and epoch and not taken:  # here, so that an attempt that begins between epochs does it, too
                steps.settle()
                evaluation.record(state.epochs, epoch, progressed)
            # From the seed alone, so that runs of one trajectory draw alike; within an epoch, from where it stopped.
            steps.begin_epoch(epoch, state.draws if taken else None)
            for turns in in_groups(epoch_turns(course, epoch, taken), steps.ahead):
                for turn, done in zip(turns, steps.take_all(turns), strict=True):
                    row = {
                        "step": len(rows) + 1,
                        "epoch": (len(rows) + 1) / per_epoch,
                        "learning_rate": turn.learning_rate,
                        **done._asdict(),
                        "seconds": time.monotonic() - started - seconds_of(state.epochs),
                    }
                    rows.append(row)
                    bar.set_postfix(epoch=f"{row['epoch']:.1f}", loss=f"{row['loss']:.4f}", refresh=False)
                    bar.update()
                    if reason := divergence(row):
                        return reason
                progressed()
                if after_step:
                    after_step(state, steps.masks)
        steps.settle()
        if evaluation:
            evaluation.record(state.epochs, settings["epochs"], progressed)
    odd = (name for name, tensor in state.weights.items() if not bool(tensor.isfinite().all()))
    return next((f"{name} is not finite after the last step" for name in odd), None)


def epoch_turns(course: Course, epoch: int, taken: int) -> Iterator[Turn]:
    """Yield the steps of an epoch that are left to take: on which examples, and how fast they learn."""
    settings, size, per_epoch = course.settings, course.settings["batch_size"], steps_an_epoch(course)
    batches = epoch_batches(len(course.examples), size, course.parts["order"], epoch, skip=taken)
    for step, numbers in enumerate(batches, start=epoch * per_epoch + taken):
        share = schedule_factor(step, per_epoch * settings["epochs"], settings["warmup"], settings["schedule"])
        rate = settings["learning_rate"] * share
        yield Turn(numbers, rate)


def steps_of(course: Course, state: State, plan: Plan, parts: int) -> Steps:
    """Return how a training takes its steps."""
    if plan.slot:
        return SlotSteps(course, state, plan.slot)
    padded = pads(state.device) and parts == 1  # a batch that needed more parts before is laid end to end
    return PaddedSteps(course, state) if padded else FlatSteps(course, state, parts)


def pads(device: str) -> bool:
    """Return whether a device takes batches of a few fixed shapes: a GPU, on which a step costs its launches."""
    return device.startswith("cuda")


def divergence(row: Mapping[str, Any]) -> str | None:
    """Say why a step's loss or gradient ends the training, if it does."""
    for quantity in ("loss", "grad_norm"):
        if not math.isfinite(row[quantity]):
            return f"{quantity} is {row[quantity]} at step {row['step']} (epoch {row['epoch']:.2f})"
    return None
