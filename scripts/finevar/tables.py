"""The analysis tables on disk: Parquet for programs, CSV beside it for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from finevar import records
from finevar.files import write_bytes

Rows = list[dict[str, Any]]


def read_metrics(path: str | Path) -> pd.DataFrame:
    """Return a study's runs: those that it trained, or those that it found."""
    return records.read_table(path, records.STUDY_METRICS, records.FOUND_METRICS).to_pandas()


def are_found(runs: pd.DataFrame) -> bool:
    """Tell whether runs were found, as model cards, and not trained here."""
    return "owner" in runs


def as_table(name: str, rows: Rows) -> pa.Table:
    """Return rows as the table of that name; a column that no row has is null."""
    return pa.Table.from_pylist(rows, schema=getattr(records, name.upper()))


def as_rows(table: pd.DataFrame) -> Rows:
    """Return a table's rows, missing values as None."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def write_tables(tables: Mapping[str, Rows], paths: Iterable[str]) -> None:
    """Write tables to the paths named after them, as Parquet or as CSV by suffix."""
    for path in paths:
        name = Path(path).stem
        table = as_table(name, tables[name])
        if Path(path).suffix == ".csv":
            buffer = pa.BufferOutputStream()
            csv.write_csv(table, buffer)
            write_bytes(buffer.getvalue().to_pybytes(), path)
        else:
            records.write_table(table, path)
