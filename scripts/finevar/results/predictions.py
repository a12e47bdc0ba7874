"""The saved predictions of a study's runs and of its baseline, sentence by sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from finevar.columns import PREDICTIONS
from finevar.errors import InputError
from finevar.metrics import RESPONSES, SECOND, Evaluated
from finevar.parquet import read_tables
from finevar.results.run_metrics import logits_of
from finevar.study.paths import RUNS, there


@dataclass(frozen=True)
class Predictions:
    """What several models said of the same examples."""

    example_ids: np.ndarray  # [examples]
    labels: np.ndarray  # [examples]
    logits: np.ndarray  # float32 [models, examples, classes]
    positive: int = SECOND.label  # of two classes, that of F1


def run_file(root: str | Path, dataset: str, run_id: str) -> Path:
    """Return where a run's predictions are: kept beside their place where its submission failed afterwards."""
    folder = Path(root) / dataset / run_id
    return there(folder, "predictions.parquet") or folder / "predictions.parquet"


def read_runs(runs: pd.DataFrame, root: str | Path = RUNS) -> dict[str, Predictions]:
    """Return the predictions of finished runs by data set, in the runs' order."""
    groups = [(str(name), found) for name, found in runs.groupby("dataset", sort=False)]
    return {
        name: read_predictions([run_file(root, name, run_id) for run_id in found["run_id"]], positive_label(found))
        for name, found in groups
    }


def own_baselines(runs: pd.DataFrame, baselines: Sequence[str]) -> np.ndarray:
    """Return which of a data set's baselines, by their ids, each run on it is compared with [runs]: its model's."""
    if "baseline_id" not in runs:
        return np.zeros(len(runs), dtype=int)
    return pd.Index(baselines).get_indexer(runs["baseline_id"])


def positive_label(runs: pd.DataFrame) -> int:
    """Return the class that binary F1 is of, of runs on one data set."""
    known = runs["positive_label"].dropna()
    return int(known.iloc[0]) if len(known) else SECOND.label


def read_predictions(paths: Sequence[str | Path], positive: int = SECOND.label) -> Predictions:
    """Read one or more models' predictions of one data set's examples, and check that they are the same examples.

    positive: of two classes, that of F1.
    Raises InputError where a file has other examples than the first, another order of them or other classes.
    """
    tables = read_tables(paths, PREDICTIONS)
    first = tables[0]
    for path, table in zip(paths, tables, strict=True):
        if not (table["example_id"].equals(first["example_id"]) and table["label"].equals(first["label"])):
            found, what = f"{len(table)} examples that are not those of", "examples"
        elif classes_of(table) != classes_of(first):
            found, what = "another number of classes than in", "classes"
        else:
            continue
        allowed = f"the same {what} in the same order, for all runs and the baseline on a data set"
        remedy = "Delete both files and start Snakemake again: they are given back or made again, without a training."
        raise InputError(str(path), found=f"{found} {paths[0]}", allowed=allowed, remedy=remedy)
    logits = np.stack([logits_of(table) for table in tables])
    return Predictions(first["example_id"].to_numpy(), first["label"].to_numpy(), logits, positive)


def classes_of(table: pa.Table) -> set[int]:
    """Return the lengths of a table's logits: one, unless the file is wrong."""
    return set(table["logits"].combine_chunks().value_lengths().unique().to_pylist())


def contributions_of(
    runs: pd.DataFrame, response: str, known: pd.DataFrame, found: Mapping[str, Predictions]
) -> dict[str, np.ndarray]:
    """Return what each example contributes to a response, by data set float64 [runs, examples] in the runs' order.

    Their means over examples are the runs' values. runs: those that have a value of the response. known: the runs whose
    predictions were found by read_runs().
    """
    ids = {dataset: pd.Index(own["run_id"]) for dataset, own in known.groupby("dataset")}
    groups = {str(dataset): own["run_id"] for dataset, own in runs.groupby("dataset", sort=False)}
    kept = {
        name: replace(found[name], logits=found[name].logits[ids[name].get_indexer(own)])
        for name, own in groups.items()
    }
    return {name: example_contributions(part, response) for name, part in kept.items()}


def example_contributions(found: Predictions, response: str) -> np.ndarray:
    """Return each model's contributions to a response that has them, float64 [models, examples]."""
    each = RESPONSES[response].each
    return np.stack([each(Evaluated(logits, found.labels, found.positive)) for logits in found.logits])
