"""Read a data set's files and splits as tables of texts and labels, unchanged."""

from __future__ import annotations

import codecs
import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from finevar.errors import InputError
from finevar.study.consistency import cut, listed
from finevar.study.content import SUFFIXES, format_of, is_file


def read_split(spec: Mapping[str, Any], source: Path, name: str) -> pd.DataFrame:
    """Read one split of a data set repository's snapshot, its class names as labels."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    damage = (TypeError, LookupError, AttributeError, yaml.YAMLError)  # what the library makes of a damaged card
    try:
        data = load_dataset(str(source), spec.get("subset"), split=name, cache_dir=str(source / ".cache"))
        data.data.validate(full=True)
        return name_labels(require_columns(data.to_pandas(), spec, str(source)), spec, data.features)
    except (ValueError, DatasetsError, OSError, pa.ArrowException, *damage) as error:
        raise InputError(
            f"{source}, split {cut(name)}",
            found=reason(error),
            allowed="a split (and, where there are several, a subset) that the repository has",
            remedy="Correct train_split, eval_split or subset.",
        ) from None


def name_labels(table: pd.DataFrame, spec: Mapping[str, Any], features: Mapping[str, Any]) -> pd.DataFrame:
    """Replace the numbers of classes by the names that a data set repository gives them, where it does."""
    from datasets import ClassLabel

    feature = features[spec["label"]]
    if isinstance(feature, ClassLabel):
        table = table[table[spec["label"]] >= 0]  # -1 marks an unlabelled example on the Hub
        table[spec["label"]] = [feature.int2str(int(k)) for k in table[spec["label"]]]
        table.attrs["classes"] = [name.strip() for name in feature.names]
    return table


def read_file(spec: Mapping[str, Any], source: Path, name: str) -> pd.DataFrame:
    """Read one file of a source as a table; raise InputError where it is not what its format says."""
    path, where = source / name, cut(str(source / name), 300)
    form = format_of(spec, path)
    if form is None:
        found, remedy = f"suffix {cut(repr(path.suffix))}", "Rename the file, or give `format`."
        raise InputError(where, found=found, allowed=f"one of {', '.join(SUFFIXES)}", remedy=remedy)
    if not is_file(path):
        remedy = "Correct the data set's `file`."
        raise InputError(where, found="no such file", allowed="a file of the source", remedy=remedy)
    try:
        table = parse(path, form, spec.get("columns"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}, byte {error.start}",
            found=f"{error.object[error.start]:#04x}, which is not UTF-8",
            allowed="text in UTF-8",
            remedy="Convert the file, for instance with iconv -t UTF-8.",
        ) from None
    except (ValueError, OSError, pa.ArrowException, pd.errors.ParserWarning) as error:
        raise InputError(
            where,
            found=f"content that is not {form} ({reason(error)})",
            allowed=f"a {form} file",
            remedy="Correct the file, or give its `format`.",
        ) from None
    return require_columns(table, spec, where)


def reason(error: Exception) -> str:
    """Return the first line of a library's error."""
    return cut(str(error).partition("\n")[0] or type(error).__name__, 200)


def parse(path: Path, form: str, columns: list[str] | None) -> pd.DataFrame:
    """Parse a file of a known format; texts stay unchanged, no word is taken for a missing value."""
    if form == "parquet":
        with pq.ParquetFile(path) as file:
            table = file.read()
        table.validate(full=True)  # damage to a text need not be seen by reading it
        return table.to_pandas(ignore_metadata=True)
    content = path.read_bytes()
    if b"\0" in content and not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("it holds NUL bytes, so it is not text")
    text = content.decode("utf-8-sig")
    if form == "jsonl":
        return pd.DataFrame([parse_line(*line) for line in enumerate(text.split("\n"), 1) if line[1].strip()])
    # A TSV has one example per line and no quoting, so a lone quotation mark is a character like any other.
    style = {"sep": "\t", "quoting": 3} if form == "tsv" else {"sep": ","}
    header = {"header": None, "names": columns} if columns else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # of lines with more cells than columns
        return pd.read_csv(
            io.StringIO(text), **style, **header, dtype=str, keep_default_na=False, na_values=[""], index_col=False
        )


def parse_line(number: int, line: str) -> dict[str, Any]:
    """Parse a line of a JSONL file; raise ValueError unless it is an object of whole characters."""
    try:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError("no JSON object")
        if "\\ud" in line.lower():  # half a character, as a JSON escape can write it
            json.dumps(row, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {number}: {error}") from None
    return row


def require_columns(table: pd.DataFrame, spec: Mapping[str, Any], where: str) -> pd.DataFrame:
    """Return the text and label columns only; raise InputError where one is missing."""
    for column in (spec["text"], spec["label"]):
        if list(table.columns).count(column) != 1:
            raise InputError(
                where,
                found=f"columns {listed(table.columns) or 'none'}",
                allowed=f"a column named {cut(repr(column))}, once",
                remedy="Correct `text` or `label`, or name the `columns` of a file without a header.",
            )
    table = table[[spec["text"], spec["label"]]].copy()
    table.attrs["where"] = where
    return table
