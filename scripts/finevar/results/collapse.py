"""Collapsed runs: they finished, but answer (nearly) one class, or no better than always one class would.

Such a run is a failure of its settings, as a diverged one is, and its metrics do not say how settings move a metric.
Its own file stays as it is: runs are marked where they are gathered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom

from finevar.metrics import Evaluated
from finevar.reasons import COLLAPSED, OK, Collapse, Reason
from finevar.results.predictions import read_predictions
from finevar.results.run_metrics import read_run_metrics

ONE_CLASS = 0.98  # share of the predictions from which they are called one class
UNLIKELY = 1e-4  # probability below which so few right answers are no chance
SURE = 2.0  # standard errors by which a share must differ to be more than another

Row = dict[str, Any]


def surely_above(share: float, examples: int) -> float:
    """Return what a share of so many examples must exceed to be more than this one: by two binomial errors."""
    return share + SURE * float(np.sqrt(share * (1 - share) / examples))


def collapse(evaluated: Evaluated, baseline_accuracy: float) -> Reason | None:
    """Return why predictions are those of a collapsed run, or None.

    They are where nearly all are one class that surely holds less of the examples, or where accuracy is not surely
    better than the share of the largest class while the baseline's is.
    """
    examples, classes = evaluated.logits.shape
    held = np.bincount(evaluated.labels, minlength=classes) / examples
    answered = np.bincount(evaluated.predicted, minlength=classes) / examples
    most = int(answered.argmax())
    if answered[most] >= ONE_CLASS and answered[most] > surely_above(held[most], examples):
        sentence = f"{answered[most]:.1%} of its predictions are class {most}, as {held[most]:.1%} of the examples are"
        return Reason(Collapse.ONE_CLASS, sentence)
    accuracy, largest = float((evaluated.predicted == evaluated.labels).mean()), float(held.max())
    if accuracy <= surely_above(largest, examples) < baseline_accuracy:
        sentence = f"its accuracy of {accuracy:.3f} is no better than the {largest:.3f} of always the largest class"
        return Reason(Collapse.NO_BETTER, sentence)
    return None


def below_chance(accuracy: pd.Series, chance: pd.Series, examples: pd.Series) -> pd.Series:
    """Say of each model whether it is wrong clearly more often than its answers at random, bool [models].

    An exact binomial test of its right answers against the accuracy that the shares of its answers would have by chance
    alone; a model that always answers one class has exactly that. False where a figure is missing.
    """
    return pd.Series(binom.cdf((accuracy * examples).round(), examples, chance) < UNLIKELY, accuracy.index)


def mark_collapsed(
    rows: Iterable[Row],
    paths: Mapping[str, Path],
    baselines: Iterable[Path],
    own: Mapping[str, str] | None = None,
) -> list[Row]:
    """Return runs' rows in order, collapsed ones with that status, the reason and, as `ending`, its code.

    paths: each run's file of metrics by its id, beside which its predictions lie; only those of runs that may have
    collapsed are read. baselines: the baseline's files of metrics; a run on a data set without one stays as it is. own:
    of several models, the id of each run's own baseline.
    """
    files = list(map(Path, baselines))
    frozen = {(row["dataset"], row["run_id"] if own else ""): row["accuracy"] for row in read_run_metrics(files)}
    limits = {key: largest_suspect(path, frozen[key]) for key, path in zip(frozen, files, strict=True)}

    def marked(row: Row) -> Row:
        key = row["dataset"], own[row["run_id"]] if own else ""
        if row["status"] != OK or key not in limits or row["accuracy"] > limits[key]:
            return row
        found = collapse(evaluated_beside(paths[row["run_id"]]), frozen[key])
        why = "; ".join(filter(None, (found and found.sentence, row["reason"])))
        return row | {"status": COLLAPSED, "reason": why, "ending": found.code} if found else row

    return [marked(row) for row in rows]


def largest_suspect(path: Path, baseline_accuracy: float) -> float:
    """Return the accuracy above which no run has collapsed, by the labels beside the baseline's metrics."""
    labels = evaluated_beside(path).labels
    largest = float(np.bincount(labels).max() / len(labels))
    limit = surely_above(largest, len(labels))
    return max(largest + 1 - ONE_CLASS, limit if limit < baseline_accuracy else 0.0) + 1e-9


def evaluated_beside(path: Path) -> Evaluated:
    """Read the predictions beside a file of metrics."""
    found = read_predictions([Path(path).with_name("predictions.parquet")])
    return Evaluated(found.logits[0], found.labels)
