"""A study's tables: written for programs (Parquet) and for people (CSV), and read back, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from finevar.columns import FOUND_METRICS, MODELS_METRICS, STUDY_METRICS, listed_metrics
from finevar.files import write_bytes
from finevar.parquet import checked, read_sealed_table, read_table, write_table
from finevar.tables import TABLES, Rows

# Tables are small and read cell by cell, which takes a third less of a page's time than from Arrow's own strings.
pd.set_option("mode.string_storage", "python")


def read_metrics(path: str | Path) -> pd.DataFrame:
    """Return a study's runs: those that it trained, those that it found, or those that a file lists."""
    table = read_sealed_table(path)
    known = {field.name: field.type for field in STUDY_METRICS}
    factors = [field.name for field in table.schema if known.get(field.name) != field.type and field.name != "line"]
    schemas = (STUDY_METRICS, MODELS_METRICS, FOUND_METRICS, listed_metrics(factors))
    return checked(table, path, *schemas).to_pandas()


def read_analysis(path: str | Path) -> pd.DataFrame:
    """Return the analysis table that a file is named after, for its widest population."""
    return widest(read_table(path, *TABLES[Path(path).stem].schemas).to_pandas())


def widest(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table's rows for each response's widest population, which its rows begin with.

    What compares responses is of one population.
    """
    if not {"population", "response"} <= set(table):
        return table
    first = table.groupby("response")["population"].transform("first")
    return table[table["population"].isna() | (table["population"] == first)].reset_index(drop=True)


def as_table(name: str, rows: Rows) -> pa.Table:
    """Return rows as the analysis table of that name; a column that no row has is null."""
    known = TABLES[name]
    named = known.of_names and any(known.of_names in row for row in rows)
    return pa.Table.from_pylist(rows, schema=known.schemas[-1] if named else known.schema)


def write_tables(tables: Mapping[str, Rows], paths: Iterable[str]) -> None:
    """Write analysis tables to the paths named after them, as Parquet or as CSV by suffix."""
    places = list(map(Path, paths))
    made = {name: as_table(name, tables[name]) for name in {place.stem for place in places}}

    def write(place: Path) -> None:
        (write_csv if place.suffix == ".csv" else write_table)(made[place.stem], place)

    with ThreadPoolExecutor() as threads:  # which wait for the disk together
        list(threads.map(write, places))


def write_csv(table: pa.Table, path: str | Path) -> None:
    """Write a table for people, complete or not at all."""
    buffer = pa.BufferOutputStream()
    csv.write_csv(table, buffer)
    write_bytes(buffer.getvalue().to_pybytes(), path)
