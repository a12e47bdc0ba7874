"""A run's row of metrics, whichever version of finevar scored it.

Metrics are a function of predictions. Where a run's file was scored by another version than this one, perhaps before a
metric or a setting was added, its predictions beside it are scored again as the file is read: nothing is trained or
predicted again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from finevar import ENGINES
from finevar.columns import METRICS, PREDICTIONS
from finevar.files import damaged
from finevar.metrics import RESPONSES, STANDARD_ERRORS, Positive, averaging, metrics
from finevar.parquet import read_sealed_tables, read_table
from finevar.study.settings import SPECS, TRAINING_DEFAULTS, in_effect

UNDEFINED = dict.fromkeys((*RESPONSES, *STANDARD_ERRORS))  # the scores of a run that has none
# Columns that runs of earlier versions lack.
NEWER = dict.fromkeys(("positive", "positive_label", "chance", "head", "architecture", "layout"))

Row = dict[str, Any]
Positives = Mapping[str, Positive | None]  # by data set


def engine() -> str:
    """Return the versions of all that decides a row, that of the metrics last."""
    return ".".join(ENGINES[part] for part in ("model", "corpus", "encoding", "training", "evaluation", "metrics"))


def is_trained_and_evaluated_alike(row: Row) -> bool:
    """Say whether this version would prepare, train and evaluate a run as the one did that made its row."""
    return row["engine"].rpartition(".")[0] == engine().rpartition(".")[0]


def read_run_metrics(paths: Sequence[str | Path], positives: Positives | None = None) -> list[Row]:
    """Return the row of each file of metrics, in order, with this version's metrics.

    positives: the classes that binary F1 is of, where another than a file's own may be wanted.
    Raises InputError, and quarantines the file, where one is damaged or lacks what its predictions cannot give.
    """
    tables = read_sealed_tables(paths)
    current = [table.schema.equals(METRICS) and is_scored_alike(table, positives or {}) for table in tables]
    alike = [table for table, is_current in zip(tables, current, strict=True) if is_current]
    rows = iter(pa.concat_tables(alike).to_pylist() if alike else [])
    found = zip(paths, tables, current, strict=True)
    return [
        next(rows) if new else scored_again(path, table.to_pylist()[0], positives or {}) for path, table, new in found
    ]


def is_scored_alike(table: pa.Table, positives: Positives) -> bool:
    """Say whether this version would score a run's row alike, by its `engine`, and of the same class.

    A published row has no engine.
    """
    parts = (table["engine"][0].as_py() or engine()).split(".")
    wanted = positives.get(table["dataset"][0].as_py())
    alike = wanted is None or wanted == (table["positive_label"][0].as_py(), table["positive"][0].as_py())
    return alike and len(parts) == len(engine().split(".")) and parts[-1] == ENGINES["metrics"]


def logits_of(table: pa.Table) -> np.ndarray:
    """Return the logits of a table of predictions, float32 [examples, classes]."""
    return table["logits"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)


def scored_again(path: str | Path, row: Row, positives: Positives) -> Row:
    """Return a run's row with the metrics of its predictions, which lie beside its file."""
    row = NEWER | in_effect(TRAINING_DEFAULTS | row)  # a setting that is newer than the run was at its default
    row = dict.fromkeys(SPECS) | row
    lacking = [name for name in METRICS.names if name not in row and name not in UNDEFINED]
    if lacking:
        raise damaged(path, found=f"no column {', '.join(lacking)}", what=", ".join(METRICS.names))
    own = None if row["positive_label"] is None else Positive(row["positive_label"], row["positive"])
    positive = positives.get(row["dataset"]) or own
    if row["status"] != "ok":
        scored = UNDEFINED | ({} if row["classes"] is None else averaging(row["classes"], positive))
    else:
        table = read_table(Path(path).with_name("predictions.parquet"), PREDICTIONS)
        scored = metrics(logits_of(table), np.asarray(table["label"]), positive)
    versions = f"{row['engine'].rpartition('.')[0]}.{ENGINES['metrics']}"
    return {name: (row | scored).get(name) for name in METRICS.names} | {"engine": versions}
