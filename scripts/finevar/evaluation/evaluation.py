"""A model's predictions on held-out sentences, and the files of an evaluation."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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
from finevar.metrics import cross_entropies, f1_average, metrics
from finevar.models import checkpoint
from finevar.models.encoder import classify, multiplied
from finevar.models.machine import choose_dtype, machine_facts, peak_memory_mb, provenance, set_up
from finevar.models.packing import collate
from finevar.parquet import read_sealed_table, read_table, write_rows
from finevar.results.run_metrics import UNDEFINED, engine, read_run_metrics

BATCH = 64  # sentences; of no effect on any metric beyond rounding

Row = dict[str, Any]


def evaluate_files(
    *,
    model: str,
    summary: str | None,
    examples: str,
    encoded: str,
    facts: str,
    record: Mapping[str, Any],
    threads: int,
    predictions: str,
    metrics: str,
    weights_kept: bool = True,
) -> Row:
    """Evaluate from the files of other jobs to the files of this one; return the row of metrics.

    In: folder of the model, JSON summary of its training (None for a model that was not trained here), evaluation
    examples as text and encoded, the data set's facts, and what identifies the run. Out: two Parquet files; those of an
    evaluation that was finished are given back. weights_kept: whether the model stays as long as this one's outputs.
    """
    data = read_facts(facts)
    trained = read_facts(summary) if summary else untrained(Path(model))
    identity = evaluation_identity(trained.pop("identity"), encoded, data, record)
    folder, outputs = Path(metrics).parent, [predictions, metrics]
    if weights_kept and trained["status"] == "ok":
        require_weights(Path(model))
    if kept_identity(folder, "evaluation") == identity and restore_finished(folder, "evaluation", outputs):
        row = read_run_metrics([metrics])[0] | dict(record) | {"engine": engine()}
        if read_sealed_table(metrics).to_pylist() == [row]:
            return row
    else:
        rows, row = evaluate_trained(Path(model), trained, examples, encoded, data, record, threads)
        write_rows(rows, predictions, PREDICTIONS)
    write_rows([row], metrics, METRICS)
    keep_finished(folder, "evaluation", outputs, identity)
    if not weights_kept:
        drop_weights(folder)
    return row


def require_weights(model: Path) -> None:
    """Raise InputError, and quarantine the model's folder, where its weights went once they were evaluated."""
    if not (model / checkpoint.WEIGHTS).exists():
        raise damaged(model, found="no weights, as they were evaluated once", what="a model with its weights")


def untrained(model: Path) -> Row:
    """Return what there is to say of a model that was not trained here, as a training's summary has it."""
    content = checkpoint.content_of(model)
    return {"status": "ok", "model_sha256": content["weights"], "identity": content}


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


def evaluate_trained(
    model: Path, trained: Row, examples: str, encoded: str, facts: Row, record: Mapping[str, Any], threads: int
) -> tuple[list[Row], Row]:
    """Return a prediction per example and the row of metrics of a training's model; of one that diverged, neither."""
    device = set_up(threads)
    dtype = choose_dtype(record["dtype"], device)
    ids = read_table(examples, EXAMPLES).column("example_id").to_pylist()
    if trained["status"] == "ok":
        require_weights(model)
        data = load_encoded(encoded)
        rows, measured = evaluate_model(
            model, data, ids, facts["classes"], dtype, max_length=record["max_length"], device=device
        )
    else:
        rows, measured = [], diverged_metrics(facts["classes"], len(ids)) | {"reason": trained["reason"]}
    versions = machine_facts(threads, dtype) | provenance()
    row = {name: (versions | trained | measured | dict(record)).get(name) for name in METRICS.names}
    return rows, row | {"data_sha256": facts["data_sha256"]}


def evaluate_baseline(**job: Any) -> Row:
    """Evaluate as `evaluate_files` does; raise InputError where the model gives no metrics to compare runs with."""
    row = evaluate_files(**job)
    if row["status"] != "ok":
        raise InputError(
            "the baseline",
            found=f"a model without finite outputs ({row['reason']})",
            allowed="a starting model whose outputs are finite, since every relative figure is taken against it",
            remedy="Use another model; if the baseline was trained here, lower the learning rate in its settings.",
        )
    return row


def evaluate_model(
    folder: Path,
    examples: Encoded,
    example_ids: Sequence[str],
    classes: Sequence[str],
    dtype: torch.dtype,
    *,
    max_length: int,
    device: str,
) -> tuple[list[Row], Row]:
    """Return a prediction per example and one row of metrics for the model in a folder.

    dtype: what the transformer's matrices are multiplied in, as in training; all else is float32, metrics float64.
    Where logits are not finite there are no predictions, and the row is that of a run that diverged, with the reason.
    Raises InputError where the model's head does not fit the classes.
    """
    started = time.monotonic()
    weights, architecture = checkpoint.load_model(folder)
    checkpoint.require_positions(architecture, max_length)
    if len(weights.get("classifier.weight", ())) != len(classes):
        raise InputError(
            f"{folder}",
            found=f"a head of {len(weights.get('classifier.weight', ()))} classes",
            allowed=f"one of {len(classes)}, as the data set has ({', '.join(classes)})",
            remedy="Use a model with a trained head for these classes, or give `baseline` a dataset to train it on.",
        )
    checkpoint.fit_head(weights, architecture, checkpoint.own_labels(folder), classes, seed=0)
    weights = multiplied({name: tensor.to(device) for name, tensor in weights.items()}, dtype)
    logits = np.empty((len(examples), len(classes)), dtype=np.float32)
    by_length = np.argsort(np.diff(examples.offsets), kind="stable")
    with torch.inference_mode(), ending_if_stalled("batch") as progressed:
        for numbers in np.array_split(by_length, max(1, round(len(examples) / BATCH))):
            sentences = [examples.sentence(number, max_length) for number in numbers]
            batch = collate(sentences, examples.labels[numbers], heads=architecture.heads).to(device)
            logits[numbers] = classify(weights, architecture, batch).cpu().numpy()
            progressed()
    if odd := int((~np.isfinite(logits)).any(1).sum()):
        reason = f"logits of {odd:,} of {len(examples):,} evaluation examples are not finite"
        return [], diverged_metrics(classes, len(examples)) | {"status": "diverged", "reason": reason}
    losses = cross_entropies(logits, examples.labels)
    predictions = [
        {"example_id": example_id, "label": int(label), "logits": row.tolist(), "loss": float(loss)}
        for example_id, label, row, loss in zip(example_ids, examples.labels, logits, losses, strict=True)
    ]
    measured = metrics(logits, examples.labels) | {
        "eval_examples": len(examples),
        "eval_seconds": time.monotonic() - started,
        "eval_peak_memory_mb": peak_memory_mb(),
        "engine": engine(),
    }
    return predictions, measured


def diverged_metrics(classes: Sequence[str], examples: int) -> Row:
    """Return the metrics of a run that diverged: none."""
    return (
        UNDEFINED
        | dict.fromkeys(("eval_seconds", "eval_peak_memory_mb"))
        | {
            "f1_average": f1_average(len(classes)),
            "classes": len(classes),
            "eval_examples": examples,
            "engine": engine(),
        }
    )
