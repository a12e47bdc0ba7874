"""Runs that a file lists as a study's runs, the baseline's figures beside each, and what became of every row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from finevar.columns import METRICS, listed_metrics
from finevar.reasons import OK, Unused
from finevar.study.listed_runs import ListedRun, used
from finevar.tables import Rows

Config = Mapping[str, Any]
USED = {"ok": "used", "diverged": "diverged", "missing": "missing"}  # rows that are runs of the study, by status


def listed_runs(runs: Sequence[ListedRun], config: Config) -> pa.Table:
    """Return a row (columns.listed_metrics) of each row that is a run of the study, in the file's order."""
    frozen, factors = baseline_figures(runs, config), list(config["sweep"]["factors"])
    own = config["baseline"]["settings"]
    rows = [
        {
            "run_id": run.run_id,
            "point_id": run.point_id,
            "dataset": run.dataset,
            "seed": run.seed,
            "status": run.status,
            "reason": run.reason,
            "train_seconds": run.seconds,
            "line": run.line,
            "trajectory_id": run.run_id,
            "is_baseline_point": bool(own) and all(np.isclose(run.levels[name], own[name], rtol=1e-9) for name in own),
        }
        | run.levels
        | (run.metrics if run.status == OK else {})
        | {f"baseline_{name}": value for name, value in frozen.get(run.dataset, {}).items()}
        for run in used(runs)
    ]
    return pa.Table.from_pylist(rows, schema=listed_metrics(factors))


def baseline_figures(runs: Sequence[ListedRun], config: Config) -> dict[str, dict[str, float]]:
    """Return the baseline's metrics by data set: its row's there, or those of the config everywhere."""
    datasets = {run.dataset for run in used(runs)}
    stated = {name: dict(config["baseline"]["metrics"]) for name in datasets if config["baseline"]["metrics"]}
    return stated | {run.dataset: dict(run.metrics) for run in runs if run.code == Unused.BASELINE}


def baseline_rows(runs: Sequence[ListedRun], config: Config, name: str) -> pa.Table:
    """Return a row (columns.METRICS) of the baseline on each data set that it has figures on."""
    rows = [
        {"run_id": name, "point_id": name, "dataset": dataset, "status": OK} | figures
        for dataset, figures in baseline_figures(runs, config).items()
    ]
    return pa.Table.from_pylist(rows, schema=METRICS)


def listing_rows(runs: Sequence[ListedRun]) -> Rows:
    """Return a row (the table listing) of each row of the file, with what it is to the study."""
    return [
        {
            "line": run.line,
            "run_id": run.run_id,
            "dataset": run.dataset,
            "use": "excluded" if run.code else USED[run.status],
            "reason": run.reason,
            "reason_code": run.code,
        }
        for run in runs
    ]


def account(runs: Sequence[ListedRun]) -> str:
    """Say how many rows are runs that finished, failed or are missing, and how many are none."""
    counts = Counter("excluded" if run.code else USED[run.status] for run in runs)
    parts = [f"{counts[name]} {name}" for name in (*USED.values(), "excluded") if counts[name]]
    return f"{len(runs)} rows: {', '.join(parts)}."
