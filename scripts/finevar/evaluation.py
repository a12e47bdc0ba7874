"""A model's predictions on held-out sentences and the metrics made from them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from finevar import ENGINES, checkpoint
from finevar.checkpoint import weights_sha256
from finevar.encoder import classify, multiplied
from finevar.encoding import Encoded, load_encoded
from finevar.errors import InputError
from finevar.files import read_facts
from finevar.finished import drop_weights, keep_finished, kept_identity, restore_finished
from finevar.machine import choose_dtype, machine_facts, peak_memory_mb, provenance, set_up
from finevar.packing import collate
from finevar.records import EXAMPLES, METRICS, PREDICTIONS, RESPONSES, read_table, write_rows

BATCH = 64  # sentences; of no effect on any metric beyond rounding
ECE_BINS = 15
STANDARD_ERRORS = ("accuracy_se", "f1_se", "loss_se")

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
    told = read_facts(facts)
    trained = read_facts(summary) if summary else {"status": "ok", "model_sha256": weights_sha256(Path(model))}
    device = set_up(threads)
    dtype = choose_dtype(record["dtype"], device)
    identity = {"training": trained.pop("identity", trained.get("model_sha256")), "engine": ENGINES["evaluation"]}
    identity |= {"record": dict(record), "data_sha256": told["data_sha256"], **machine_facts(threads, dtype)}
    folder, outputs = Path(metrics).parent, [predictions, metrics]
    if kept_identity(folder, "evaluation") == identity and restore_finished(folder, "evaluation", outputs):
        return read_table(metrics, METRICS).to_pylist()[0]
    ids = read_table(examples, EXAMPLES).column("example_id").to_pylist()
    if trained["status"] == "ok":
        data = load_encoded(encoded)
        rows, measured = evaluate_model(
            Path(model), data, ids, told["classes"], dtype, max_length=record["max_length"], device=device
        )
    else:
        rows, measured = [], diverged_metrics(told["classes"], len(ids)) | {"reason": trained["reason"]}
    versions = machine_facts(threads, dtype) | provenance()
    row = {name: (versions | trained | measured | dict(record)).get(name) for name in METRICS.names}
    row["data_sha256"] = told["data_sha256"]
    write_rows(rows, predictions, PREDICTIONS)
    write_rows([row], metrics, METRICS)
    keep_finished(folder, "evaluation", outputs, identity)
    if not weights_kept:
        drop_weights(folder)
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
    with torch.inference_mode():
        for numbers in np.array_split(by_length, max(1, round(len(examples) / BATCH))):
            sentences = [examples.sentence(number, max_length) for number in numbers]
            batch = collate(sentences, examples.labels[numbers], heads=architecture.heads).to(device)
            logits[numbers] = classify(weights, architecture, batch).cpu().numpy()
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


def engine() -> str:
    """Return the versions that decide a metric: the training's and the evaluation's."""
    return f"{ENGINES['training']}.{ENGINES['evaluation']}"


def diverged_metrics(classes: Sequence[str], examples: int) -> Row:
    """Return the metrics of a run that diverged: none."""
    nothing = dict.fromkeys((*RESPONSES, *STANDARD_ERRORS, "eval_seconds", "eval_peak_memory_mb"))
    return nothing | {
        "f1_average": f1_average(len(classes)),
        "classes": len(classes),
        "eval_examples": examples,
        "engine": engine(),
    }


def f1_average(classes: int) -> str:
    """Return how F1, precision and recall are averaged: of the second class for two, over all classes for more."""
    return "binary" if classes == 2 else "macro"


def metrics(logits: np.ndarray, labels: np.ndarray) -> Row:
    """Return every response from logits [examples, classes] and labels [examples].

    One that is not defined (a precision where nothing was predicted positive) is None, with the reason under `reason`.
    """
    classes = logits.shape[1]
    probabilities = softmax(logits)
    predicted = logits.argmax(1)
    confusion = np.zeros((classes, classes), dtype=np.int64)  # rows are true classes, columns predicted ones
    np.add.at(confusion, (labels, predicted), 1)
    values: Row = {
        "accuracy": float((predicted == labels).mean()),
        "loss": float(cross_entropies(logits, labels).mean()),
        **averaged(confusion),
        "mcc": matthews(confusion),
        "roc_auc": roc_auc(probabilities, labels),
        "ece": calibration_error(probabilities, labels),
        "brier": brier(probabilities, labels),
    }
    values |= sampling_errors(logits, labels, confusion)
    undefined = [name for name, value in values.items() if value is None]
    return values | {
        "reason": f"not defined for these predictions: {', '.join(undefined)}" if undefined else None,
        "f1_average": f1_average(classes),
        "classes": classes,
    }


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, float64 [examples, classes]."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return -log p(label) of each example, float64 [examples]."""
    wide = logits.astype(np.float64)
    shifted = wide - wide.max(1, keepdims=True)
    return np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]


def averaged(confusion: np.ndarray) -> Mapping[str, float | None]:
    """Return precision, recall and F1 of the second of two classes, or their means over more classes."""
    hits, predicted, true = np.diag(confusion), confusion.sum(0), confusion.sum(1)
    chosen = slice(1, 2) if len(confusion) == 2 else slice(None)
    scores = {"precision": (hits, predicted), "recall": (hits, true), "f1": (2 * hits, predicted + true)}
    return {
        name: float((part[chosen] / whole[chosen]).mean()) if whole[chosen].all() else None
        for name, (part, whole) in scores.items()
    }


def sampling_errors(logits: np.ndarray, labels: np.ndarray, confusion: np.ndarray) -> Mapping[str, float | None]:
    """Return the standard errors that accuracy, F1 and loss have from the choice of test examples alone.

    F1 of a class is a ratio of two sums over examples, so its error is that of a ratio estimator (delta method).
    """
    count, predicted = len(labels), logits.argmax(1)
    accuracy = (predicted == labels).mean()
    classes = range(1, 2) if len(confusion) == 2 else range(len(confusion))
    influence = np.zeros(count)
    for k in classes:
        whole = confusion[:, k].sum() + confusion[k].sum()
        hits, members = (predicted == k) & (labels == k), (predicted == k).astype(int) + (labels == k)
        influence += (2 * hits - 2 * confusion[k, k] / max(whole, 1) * members) / max(whole, 1) / len(classes)
    return {
        "accuracy_se": float(np.sqrt(accuracy * (1 - accuracy) / count)),
        "f1_se": float(np.sqrt((influence**2).sum())),
        "loss_se": float(cross_entropies(logits, labels).std(ddof=1) / np.sqrt(count)) if count > 1 else None,
    }


def matthews(confusion: np.ndarray) -> float | None:
    """Return the multi-class Matthews correlation coefficient (Gorodkin 2004)."""
    counts = confusion.astype(np.float64)
    total, hits, predicted, true = counts.sum(), np.trace(counts), counts.sum(0), counts.sum(1)
    scale = np.sqrt((total**2 - predicted @ predicted) * (total**2 - true @ true))
    return float((hits * total - predicted @ true) / scale) if scale > 0 else None


def roc_auc(probabilities: np.ndarray, labels: np.ndarray) -> float | None:
    """Return the area under the ROC curve; for more than two classes, the mean of each class against the rest."""
    classes = probabilities.shape[1]
    areas = [rank_area(probabilities[:, k], labels == k) for k in (range(1, 2) if classes == 2 else range(classes))]
    return None if None in areas else float(np.mean(areas))


def rank_area(scores: np.ndarray, positive: np.ndarray) -> float | None:
    """Return the share of (positive, negative) pairs in order, ties counted half (Mann-Whitney)."""
    pairs = int(positive.sum()) * int((~positive).sum())
    if pairs == 0:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mid_ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    smallest = positive.sum() * (positive.sum() + 1) / 2
    return float((mid_ranks[positive].sum() - smallest) / pairs)


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the expected calibration error over equal-width bins of confidence (Guo et al. 2017)."""
    confidence, correct = probabilities.max(1), probabilities.argmax(1) == labels
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - correct, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the Brier score: mean squared error of the probabilities, summed over classes, halved for two."""
    squared = ((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(1).mean()
    return float(squared / 2 if probabilities.shape[1] == 2 else squared)
