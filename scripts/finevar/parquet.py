"""Parquet files: written complete or not at all, and checked when they are read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from finevar.files import blank_seal, damaged, read_sealed, sealed, write_bytes


def write_rows(rows: Iterable[Mapping[str, Any]], path: str | Path, columns: pa.Schema) -> None:
    """Write rows as a Parquet file of these columns; the file appears complete or not at all."""
    write_table(pa.Table.from_pylist(list(rows), schema=columns), path)


def write_table(table: pa.Table, path: str | Path) -> None:
    """Write a table as a Parquet file, complete or not at all."""
    buffer = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({"seal": blank_seal()}), buffer, compression="zstd")
    write_bytes(sealed(buffer.getvalue().to_pybytes()), path)


def read_tables(paths: Sequence[str | Path], columns: pa.Schema) -> list[pa.Table]:
    """Read many small Parquet files of these columns, in order."""
    return [checked(table, path, columns) for table, path in zip(read_sealed_tables(paths), paths, strict=True)]


def read_sealed_tables(paths: Iterable[str | Path]) -> list[pa.Table]:
    """Read many small Parquet files of whatever columns, in order, on as many threads as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(read_sealed_table, paths))


def read_table(path: str | Path, columns: pa.Schema, *others: pa.Schema) -> pa.Table:
    """Read a Parquet file that another job wrote, which has these columns or, where more are given, those of one other.

    Raises InputError, and quarantines the file, where it is damaged or has the columns of another version.
    """
    return checked(read_sealed_table(path), path, columns, *others)


def read_sealed_table(path: str | Path) -> pa.Table:
    """Read a Parquet file that another job wrote, perhaps of another version; raise InputError where it is damaged."""
    data = read_sealed(path, what="a complete Parquet file of this workflow")
    with pq.ParquetFile(pa.BufferReader(data)) as file:
        return file.read(use_threads=False).replace_schema_metadata()


def checked(table: pa.Table, path: str | Path, columns: pa.Schema, *others: pa.Schema) -> pa.Table:
    """Return a file's table; raise InputError, and quarantine the file, where it has the columns of another version."""
    if table.schema not in [known.remove_metadata() for known in (columns, *others)]:
        wrong = sorted(set(table.schema.names) ^ set(columns.names))
        found = f"other columns or types than this version writes{': ' + ', '.join(wrong) if wrong else ''}"
        raise damaged(path, found=found, what=", ".join(columns.names))
    return table
