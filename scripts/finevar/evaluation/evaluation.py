"""A model's predictions on held-out sentences, and the files of an evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from finevar import ENGINES
from finevar.columns import EXAMPLES, METRICS, PREDICTIONS
from finevar.data.encoding import Encoded, encoded_sha256, load_encoded
from finevar.errors import InputError
from finevar.files import damaged, read_facts
from finevar.jobs.cache import drop_weights, keep_finished, kept_identity, restore_finished
from finevar.jobs.stall import ending_if_stalled
from finevar.metrics import Evaluated, Positive, averaging, losses, metrics
from finevar.models import checkpoint
from finevar.models.family import Family, Forward
from finevar.models.machine import choose_dtype, machine_facts, peak_memory_mb, provenance, set_up
from finevar.parquet import read_sealed_table, read_table, write_rows
from finevar.results.run_metrics import UNDEFINED, engine, read_run_metrics
from finevar.study.classes import positive_of

BATCH = 64  # sentences; of no effect on any metric beyond rounding

Row = dict[str, Any]


@dataclass(frozen=True)
class EvaluationJob:
    """The files of an evaluation, and what is said of the run.

    In: folder of the model, JSON summary of its training (None for a model that was not trained here), evaluation
    examples as text and encoded, the data set's facts; record: what identifies the run. Out: two Parquet files.
    weights_kept: whether the model stays as long as these. positive: the data set's key. head: see row_order().
    """

    model: str
    summary: str | None
    examples: str
    encoded: str
    facts: str
    record: Mapping[str, Any]
    threads: int
    predictions: str
    metrics: str
    weights_kept: bool = True
    positive: Any = None
    head: checkpoint.Meanings | None = None

    @property
    def folder(self) -> Path:
        """Return the run's folder."""
        return Path(self.metrics).parent


def evaluate_files(**arguments: Any) -> Row:
    """Run an evaluation's job; return the row of metrics; arguments: those of an EvaluationJob.

    The outputs of an evaluation that was finished are given back.
    """
    job = EvaluationJob(**arguments)
    data, record, outputs = read_facts(job.facts), dict(job.record), [job.predictions, job.metrics]
    if job.summary:
        trained = read_facts(job.summary)
    else:  # what a training's summary would say
        content = checkpoint.content_of(Path(job.model))
        own = {"head": dict(job.head)} if job.head else {}
        trained = {"status": "ok", "model_sha256": content["weights"], "identity": content | own}
    identity = evaluation_identity(trained.pop("identity"), job.encoded, data, record)
    if job.weights_kept and trained["status"] == "ok":
        require_weights(Path(job.model))
    kept = kept_identity(job.folder, "evaluation") == identity
    positive = positive_of(data, job.positive, record["dataset"])
    if kept and restore_finished(job.folder, "evaluation", outputs):
        row = read_run_metrics([job.metrics], {record["dataset"]: positive})[0] | record | {"engine": engine()}
        if read_sealed_table(job.metrics).to_pylist() == [row]:
            return row
    else:
        rows, row = evaluate_trained(job, trained, data, positive)
        write_rows(rows, job.predictions, PREDICTIONS)
    write_rows([row], job.metrics, METRICS)
    keep_finished(job.folder, "evaluation", outputs, identity)
    if not job.weights_kept:
        drop_weights(Path(job.model).parent)
    return row


def require_weights(model: Path) -> None:
    """Raise InputError, and quarantine the model's folder, where its weights went once they were evaluated."""
    if not (model / checkpoint.WEIGHTS).exists():
        raise damaged(model, found="no weights, as they were evaluated once", what="a model with its weights")


def evaluation_identity(
    model: Mapping[str, Any], encoded: str, facts: Mapping[str, Any], settings: Mapping[str, Any]
) -> Row:
    """Return all that decides a model's predictions but for the machine; model: the identity of its training."""
    return {
        "engine": ENGINES["evaluation"],
        "model": dict(model),
        "encoded": encoded_sha256(encoded),
        "data_sha256": facts["data_sha256"],
        "classes": facts["classes"],
        "max_length": settings["max_length"],
        "dtype": settings["dtype"],
    }


def evaluate_trained(job: EvaluationJob, trained: Row, facts: Row, positive: Positive | None) -> tuple[list[Row], Row]:
    """Return a prediction per example and the row of metrics of a training's model; of one that diverged, neither."""
    device, record = set_up(job.threads), job.record
    dtype = choose_dtype(record["dtype"], device)
    ids = read_table(job.examples, EXAMPLES).column("example_id").to_pylist()
    rows = []
    if trained["status"] == "ok":
        require_weights(Path(job.model))
        data = load_encoded(job.encoded)
        logits, measured = evaluate_model(
            Path(job.model),
            data,
            facts["classes"],
            dtype,
            max_length=record["max_length"],
            device=device,
            positive=positive,
            head=job.head,
        )
        if logits is not None:
            losses_of = losses(Evaluated(logits, data.labels))
            columns = zip(ids, data.labels.tolist(), logits.tolist(), losses_of.tolist(), strict=True)
            rows = [dict(zip(("example_id", "label", "logits", "loss"), row, strict=True)) for row in columns]
    else:
        measured = diverged_metrics(facts["classes"], len(ids), positive) | {"reason": trained["reason"]}
    versions = machine_facts(job.threads, dtype) | provenance()
    row = {name: (versions | trained | measured | dict(record)).get(name) for name in METRICS.names}
    return rows, row | {"data_sha256": facts["data_sha256"]}


def evaluate_baseline(**arguments: Any) -> Row:
    """Evaluate as `evaluate_files` does; raise InputError where the model gives no metrics to compare runs with."""
    row = evaluate_files(**arguments)
    if row["status"] != "ok":
        raise InputError(
            "the baseline",
            found=f"a model whose outputs are not finite ({row['reason']})",
            allowed="a starting model whose outputs are finite, since every relative figure is taken against it",
            remedy="Use another model; if the baseline was trained here, lower the learning rate in its settings.",
        )
    return row


def evaluate_model(
    folder: Path,
    examples: Encoded,
    classes: Sequence[str],
    dtype: torch.dtype,
    *,
    max_length: int,
    device: str,
    positive: Positive | None = None,
    head: checkpoint.Meanings | None = None,
) -> tuple[np.ndarray | None, Row]:
    """Return the logits, float32 [examples, classes], and one row of metrics of the model in a folder.

    dtype: what the transformer's matrices are multiplied in, as in training; all else is float32, metrics float64.
    positive: of two classes, that of F1. head: see row_order(). Where logits are not finite there are none, and the row
    is that of a run that diverged, with the reason.
    Raises InputError where the model's positions do not do for the length, or its head's classes are not these.
    """
    started = time.monotonic()
    weights, family = checkpoint.load_model(folder)
    checkpoint.require_positions(family, max_length)
    checkpoint.require_head(folder, checkpoint.head_classes(weights, family), classes, head)
    checkpoint.fit_head(weights, family, checkpoint.own_labels(folder), classes, 0, head)  # rows in the classes' order
    forward = family.forward({name: tensor.to(device) for name, tensor in weights.items()}, dtype)
    logits = predict(forward, family, examples, max_length, device)
    if odd := int((~np.isfinite(logits)).any(1).sum()):
        reason = f"logits of {odd:,} of {len(examples):,} evaluation examples are not finite"
        return None, diverged_metrics(classes, len(examples), positive) | {"status": "diverged", "reason": reason}
    measured = metrics(logits, examples.labels, positive) | {
        "architecture": family.transformers_class,
        "layout": family.layout,
        "eval_examples": len(examples),
        "eval_seconds": time.monotonic() - started,
        "eval_peak_memory_mb": peak_memory_mb(),
        "engine": engine(),
    }
    return logits, measured


def predict(forward: Forward, family: Family, examples: Encoded, max_length: int, device: str) -> np.ndarray:
    """Return logits, float32 [examples, classes]; end the process where no batch is done for too long."""
    with ending_if_stalled("batch") as progressed:
        return predict_batches(forward, family, examples, max_length, device, progressed)


def predict_batches(
    forward: Forward, family: Family, examples: Encoded, max_length: int, device: str, progressed: Callable[[], None]
) -> np.ndarray:
    """Return logits, float32 [examples, classes]; sentences of like length go through the model together."""
    by_length = np.argsort(np.diff(examples.offsets), kind="stable")
    logits = []
    with torch.inference_mode():
        for numbers in np.array_split(by_length, max(1, round(len(examples) / BATCH))):
            sentences = [examples.sentence(number, max_length) for number in numbers]
            batch = family.batch(sentences, examples.seconds(numbers, max_length)).to(device)
            logits.append(forward(batch, None).cpu().numpy())
            progressed()
    return np.concatenate(logits)[np.argsort(by_length)]


def diverged_metrics(classes: Sequence[str], examples: int, positive: Positive | None) -> Row:
    """Return the metrics of a run that diverged: none."""
    known = averaging(len(classes), positive) | {"eval_examples": examples, "engine": engine()}
    return UNDEFINED | dict.fromkeys(("eval_seconds", "eval_peak_memory_mb")) | known
