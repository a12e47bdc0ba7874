"""The model cards that are compared as a study's runs, the published baseline's figures beside each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from finevar.columns import CARDS, FOUND_METRICS, METRICS
from finevar.found.choice import compared
from finevar.metrics import RESPONSES
from finevar.study.factors import CARD_COLUMNS, short_name
from finevar.tables import as_rows

SEED = 0  # of every row: what a card calls its seed has nothing in common with another owner's
PUBLISHED = "as published"  # data set of the baseline's figures

Row = dict[str, Any]


def found_runs(cards: pd.DataFrame, baseline: Mapping[str, Any], gate: str | None) -> pa.Table:
    """Return a row (columns.FOUND_METRICS) of each card that is compared, in the cards' order.

    cards: judged (columns.CARDS). baseline: its settings and metrics. gate: what stops every p-value.
    """
    names = set(FOUND_METRICS.names) & set(CARDS.names) - {"dataset", "epochs"}
    rows = []
    for stated in as_rows(compared(cards)):
        settings = {name: stated[column] for name, column in CARD_COLUMNS.items()}
        rows.append(
            {name: None if name in stated["rare"].split() else stated[name] for name in names}
            | settings
            | {f"baseline_{name}": baseline["metrics"].get(name) for name in RESPONSES}
            | {
                "run_id": stated["card_id"],
                "point_id": short_name(settings),
                "dataset": stated["data"],
                "seed": SEED,
                "status": "ok",
                "is_baseline_point": False,  # who has its settings did not retrain it on the same data and seed
                "trajectory_id": stated["owner"] or stated["card_id"],
                "gate": gate,
            }
        )
    return pa.Table.from_pylist(rows, schema=FOUND_METRICS)


def baseline_row(name: str, baseline: Mapping[str, Any]) -> pa.Table:
    """Return the published baseline as the row (columns.METRICS) that a trained one has."""
    row = {"run_id": name, "point_id": name, "dataset": PUBLISHED, "status": "ok"}
    return pa.Table.from_pylist([row | baseline["settings"] | baseline["metrics"]], schema=METRICS)
