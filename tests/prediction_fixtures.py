"""Studies whose metrics come from simulated predictions, written where the workflow writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import report_fixtures as fx
from finevar import metrics as scores
from finevar.analyses.errors import Corpus
from finevar.analyses.fits import FittedStudy, fit_study
from finevar.analyses.predictions import compare_predictions
from finevar.columns import PREDICTIONS
from finevar.metrics import RESPONSES
from finevar.parquet import write_rows

SENTENCES = 240
BASELINE = "movies-seed0"


def write_predictions(path: Path, logits: np.ndarray, labels: np.ndarray, ids: list[str] | None = None) -> None:
    """Write a model's predictions; without logits, the empty file of a diverged run."""
    ids = ids or [f"{number:016x}" for number in range(len(labels))]
    rows = [
        {"example_id": name, "label": int(label), "logits": row.tolist(), "loss": float(loss)}
        for name, label, row, loss in zip(
            ids, labels, logits, scores.losses(scores.Evaluated(logits, labels)) if len(logits) else [], strict=False
        )
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rows(rows, path, PREDICTIONS)


def model_logits(labels: np.ndarray, skill: float, heat: float, draw: np.random.Generator) -> np.ndarray:
    """Return logits [examples, 2] of a model whose confidences are right once divided by its heat.

    The score of a normal two-group model: given the label, x is normal about plus or minus skill with variance 1, and
    the posterior's log odds are 2 skill x.
    """
    x = draw.normal(size=len(labels)) + skill * (2 * labels - 1)
    return (heat * skill * np.column_stack([-x, x])).astype(np.float32)


def write_study(
    folder: Path,
    *,
    study: dict[str, dict[str, Any]] | None = None,
    seeds: tuple[int, ...] = (0, 1),
    datasets: tuple[str, ...] = ("amazon",),
    diverged: int = 0,
) -> tuple[pd.DataFrame, list[Path], Path]:
    """Write a study's predictions; return its metrics, the baseline's files and the folder of the runs.

    Learning rate heats logits, epochs add skill: loss parts along the one by calibration, along the other by
    refinement.
    """
    metrics = fx.simulate_metrics(study or fx.FACTORS, seeds, datasets, diverged)
    draw = np.random.default_rng(3)
    root, files = folder / "runs", []
    baseline = {}
    for dataset in datasets:
        labels = draw.integers(0, 2, SENTENCES)
        logits = model_logits(labels, 1.0, 1.0, draw)
        files.append(folder / "baselines" / BASELINE / dataset / "predictions.parquet")
        write_predictions(files[-1], logits, labels)
        baseline[dataset] = labels, scores.metrics(logits, labels)
    for number, run in metrics.iterrows():
        labels, frozen = baseline[run["dataset"]]
        path = root / run["dataset"] / run["run_id"] / "predictions.parquet"
        if run["status"] == "ok":
            logits = model_logits(labels, 1.2 + 0.1 * run["epochs"], (run["learning_rate"] / 1e-4) ** 0.5, draw)
            measured = scores.metrics(logits, labels)
            for name in (*RESPONSES, "accuracy_se", "f1_se", "loss_se"):
                metrics.loc[number, name] = measured[name]
        write_predictions(path, logits if run["status"] == "ok" else np.empty((0, 2)), labels)
        for name in RESPONSES:
            metrics.loc[number, f"baseline_{name}"] = frozen[name]
    return metrics.assign(eval_examples=SENTENCES), files, root


def compared(folder: Path, **options) -> dict[str, pd.DataFrame]:
    """Return the tables of a written study, as a reader of their files would hold them."""
    metrics, files, root = write_study(folder, **options)
    study = FittedStudy.of(metrics, fx.plan_of(fx.FACTORS, ["accuracy", "loss"]))
    return {"metrics": metrics} | fx.as_read(compare_predictions(study, files, root))


def explored_study(
    folder: Path, *, study: dict[str, dict[str, Any]], seeds: tuple[int, ...]
) -> dict[str, pd.DataFrame]:
    """Return all tables of a written study, as a reader of their files would hold them."""
    metrics, files, root = write_study(folder, study=study, seeds=seeds)
    found = FittedStudy.of(metrics, fx.plan_of(study, list(fx.CENTRE)))
    curves = fx.simulate_curves(metrics)
    tables = {"metrics": metrics, "learning_curves": curves, "epoch_evaluations": fx.simulate_evaluations(curves)}
    tables |= fx.as_read(fit_study(found))
    texts = {f"{number:016x}": f"Sentence {number} of the simulated ones." for number in range(SENTENCES)}
    known = {"amazon": Corpus(("negative", "positive"), texts)}
    compared = compare_predictions(found, files, root, corpora=known, shown=3)
    return fx.explore(tables, study) | fx.as_read(compared)
