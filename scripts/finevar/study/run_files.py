"""Tables of runs from elsewhere: CSV and Parquet, and the forms in which trackers of experiments export them."""

from __future__ import annotations

import ast
import csv
import io
import json
import math
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from finevar.errors import InputError
from finevar.study.classes import with_point
from finevar.study.consistency import cut, listed, nearest
from finevar.study.containers import ZIP, opened, plain_name
from finevar.study.dialects import cells_up_to, stated_separator

MOST_RUNS = 100_000  # far above what a screen of settings has, and still read in seconds
LARGEST_CELL = 1_000_000  # characters
DELIMITERS = ",;\t"
MISSING = ("", "none", "null", "n/a", "na", "<na>", "-")  # cells without a value, in lower case
OF_NAN = ("nan", "inf", "-inf", "infinity", "-infinity", "+inf")  # a value that is no number: a training that diverged


@dataclass(frozen=True)
class Form:
    """How a program exports its runs: where a run's name, its state and its seconds stand."""

    known_by: tuple[str, ...]  # columns that it alone has together
    run: tuple[str, ...]  # the first of these that is there
    state: tuple[str, ...]
    seconds: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()  # before the names of hyperparameters, metrics and tags


LASTED = "duration"  # a column that is added where a program writes when a run began and ended
TIMES = ("start_time", "end_time")
FORMS = {  # in the order in which they are tried
    "mlflow": Form(
        ("run_id", "experiment_id", "status"), ("run_id",), ("status",), (LASTED,), ("params.", "metrics.", "tags.")
    ),
    "optuna": Form(("number", "state"), ("number",), ("state",), ("duration",), ("params_", "user_attrs_", "values_")),
    "wandb": Form(
        ("Name", "State"),
        ("Name", "ID", "name"),
        ("State", "state"),
        ("Runtime", "summary._runtime"),
        ("config.", "summary."),
    ),
    "plain": Form((), ("run", "run_id", "name"), ("status", "state"), ("seconds", "train_seconds")),
}
NESTED = ("config", "summary")  # columns of dictionaries in the table that W&B's documentation makes by its API
# What states mean, in lower case. A run without a state is one that has finished.
FINISHED = ("", "finished", "complete", "completed", "done", "ok", "success", "succeeded")
FAILED = ("failed", "fail", "crashed", "killed", "error", "preempted", "missing")
DIVERGED = ("diverged", "nan")
UNDER_WAY = ("running", "scheduled", "waiting", "pending", "queued", "unfinished")
PRUNED = ("pruned", "stopped_early", "early_stopped", "early-stopped")

Cells = dict[str, str]  # a row's cells by column, as texts


@dataclass(frozen=True)
class Listing:
    """A file's rows, and the form in which it was written."""

    path: Path
    columns: Sequence[str]
    rows: Sequence[Cells]
    form: Form

    def column(self, name: str, key: str) -> str:
        """Return the column that a key of the config names, with or without the form's prefix; raise InputError."""
        for written in (name, *(f"{prefix}{name}" for prefix in self.form.prefixes)):
            if written in self.columns:
                return written
        near = nearest(name, self.columns)
        raise InputError(
            f"config: {key}",
            found=f"no column {cut(repr(name))} in {cut(str(self.path))}",
            allowed=f"one of its columns: {listed(self.columns)}",
            remedy=f"Did you mean {near!r}?" if near else "Name the column that holds it.",
        )

    def first(self, names: Sequence[str]) -> str | None:
        """Return the first of some columns that the file has."""
        return next((name for name in names if name in self.columns), None)


def read_listing(path: Path, form: str) -> Listing:
    """Return a file's rows as texts; form: one of FORMS, or auto for the first that its columns fit.

    Raises InputError for a file that cannot be read, without rows, or with one column twice.
    """
    columns, rows = read_parquet(path) if plain_name(path).lower().endswith(".parquet") else read_csv(path)
    twice = sorted({name for name in columns if columns.count(name) > 1})
    found = f"the column {listed(twice)} twice" if twice else "no row" if not rows else ""
    found = found or (f"{len(rows):,} rows" if len(rows) > MOST_RUNS else "")
    if found:
        allowed = f"a header line, each column once, and 1 to {MOST_RUNS:,} rows"
        raise InputError(cut(str(path), 300), found=found, allowed=allowed, remedy="Correct the file.")
    nested = {*NESTED} <= {*columns} and [{**row, **items_in(row)} for row in rows]
    if nested and len(nested[0]) > len(columns):
        columns = [*dict.fromkeys(name for row in nested for name in row)]
        rows, form = [{name: row.get(name, "") for name in columns} for row in nested], "wandb"
    if form == "auto":
        form = next(name for name, known in FORMS.items() if set(known.known_by) <= set(columns))
    if LASTED in FORMS[form].seconds and {*TIMES} <= {*columns}:
        columns, rows = [*columns, LASTED], [{**row, LASTED: lasted(row)} for row in rows]
    return Listing(path, columns, rows, FORMS[form])


def lasted(row: Mapping[str, str]) -> str:
    """Return how long a run took, by when it began and ended; nothing where that does not show."""
    try:
        begin, end = (datetime.fromisoformat(row[name]) for name in TIMES)
        return str(end - begin) if end > begin else ""
    except (ValueError, TypeError):  # of a run under way, or of times of which one has no zone
        return ""


def items_in(row: Mapping[str, str]) -> Cells:
    """Return a row's nested cells as texts, by columns such as config.lr."""
    return {name: text for column in NESTED for name, text in flat(column, dictionary(row[column]))}


def dictionary(cell: str) -> Any:
    """Return the dictionary that a cell is, as JSON or as Python prints it; the cell itself where it is none."""
    try:
        return json.loads(cell)
    except ValueError:
        quoted = re.sub(r"""(?<![\w'"])(-?(?:nan|inf))(?![\w'"])""", r"'\1'", cell)  # no literals of Python
    try:
        return ast.literal_eval(quoted)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return cell


def flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the values of a dictionary in dictionaries, as texts, by their keys one after the other.

    W&B's own files have a setting as {"lr": {"value": 1e-5}}.
    """
    if not isinstance(value, Mapping):
        yield name, "" if value is None else str(value)  # nan, which is written here, is a value
        return
    for key, inner in value.items():
        yield from flat(name if key == "value" and len(value) < 3 else f"{name}.{key}", inner)


def read_csv(path: Path) -> tuple[list[str], list[Cells]]:
    """Return a CSV's columns and rows; commas, semicolons or tabs between cells, as its first line has most of.

    Where commas are not between cells they are in numbers.
    """
    try:
        with cells_up_to(LARGEST_CELL), opened(path) as file:
            text = table_text(path, file.read())
            first, _, rest = text.partition("\n")
            stated = stated_separator(first)
            delimiter = stated or max(DELIMITERS, key=first.count)
            lines = list(csv.reader(io.StringIO(rest if stated else text, newline=""), delimiter=delimiter))
    except (ValueError, csv.Error) as error:
        allowed, remedy = "a CSV file in UTF-8", "Save it as such; a Parquet file has the suffix .parquet."
        raise InputError(cut(str(path), 300), found=cut(str(error)), allowed=allowed, remedy=remedy) from None
    columns = [name.strip() for name in lines[0]] if lines else []
    if two := len(lines) > 1 and are_parts(columns, lines[1]):
        columns = [*map(joined, zip(columns, lines.pop(1), strict=True))]
    for number, line in enumerate(lines[1:], 2 + two):
        if line and len(line) != len(columns):
            raise InputError(
                f"{cut(str(path), 300)}: row {number}",
                found=f"{len(line)} cells",
                allowed=f"{len(columns)}, as in the header line",
                remedy="Put texts that hold the delimiter in quotation marks, or remove the line.",
            )
    cell = str.strip if delimiter == "," else with_point
    return columns, [dict(zip(columns, map(cell, line), strict=True)) for line in lines[1:] if line]


def are_parts(columns: Sequence[str], second: Sequence[str]) -> bool:
    """Return whether a table's second line has further parts of its columns' names.

    As Optuna writes them with multi_index=True: params above lr, and nothing below number and state.
    """
    parts = dict(zip(columns, second, strict=False))
    return len(second) == len(columns) and all(parts.get(name) == "" for name in FORMS["optuna"].known_by)


def joined(parts: Sequence[str]) -> str:
    """Return the name of a column in one, as Optuna writes it by default."""
    return "_".join(filter(None, parts))


def table_text(path: Path, content: bytes) -> str:
    """Return a CSV's text; raise InputError, with a way out, for what is another sort of file."""
    found, remedy = "", "Save it as CSV in UTF-8."
    if content.startswith(ZIP):
        found = "an Excel workbook, or a zip of several files"
    elif content.lstrip()[:1] in (b"{", b"["):
        new, many = path.with_name(f"{path.stem}.csv"), "" if content.lstrip().startswith(b"[") else ", lines=True"
        old, made = json.dumps(str(path)), json.dumps(str(new))
        code = f"import pandas; pandas.read_json({old}{many}, dtype=False).to_csv({made}, index=False)"
        found, remedy = "JSON", f"Run: {sys.executable} -c {shlex.quote(code)}, and name {new} as `runs.file`."
    if found:
        raise InputError(cut(str(path), 300), found=found, allowed="a CSV file, or a Parquet file", remedy=remedy)
    return content.decode("utf-8-sig")


def read_parquet(path: Path) -> tuple[list[str], list[Cells]]:
    """Return a Parquet file's columns and rows; a null, and a number that is none, is a cell without a value."""
    import pyarrow as pa  # not before a file needs it: a dry run of other studies reads none
    import pyarrow.parquet as pq

    try:
        with opened(path) as file:
            table = pq.read_table(pa.BufferReader(file.read()))
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        allowed, remedy = "a complete Parquet file", "Export it again."
        raise InputError(cut(str(path), 300), found=cut(str(error)), allowed=allowed, remedy=remedy) from None
    rows = zip(*(map(as_text, column.to_pylist()) for column in table.columns), strict=True)
    pairs = [re.fullmatch(r"\('(.*)', '(.*)'\)", name) for name in table.column_names]  # as pandas writes two parts
    names = [joined(pair.groups()) if pair else name for pair, name in zip(pairs, table.column_names, strict=True)]
    return names, [dict(zip(names, row, strict=True)) for row in rows]


def as_text(value: Any) -> str:
    """Return a value as a CSV would hold it."""
    return "" if value is None or value != value else str(value)


def has_value(cell: str) -> bool:
    """Say whether a cell holds something."""
    return cell.lower() not in MISSING


def number_of(cell: str) -> float | None:
    """Return the finite number that a cell is, a share where it ends with %; None for any other text."""
    try:
        value = float(cell.removesuffix("%").replace("_", "x")) / (100 if cell.endswith("%") else 1)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def seconds_of(cell: str) -> float | None:
    """Return the seconds that a cell holds, as a number or as pandas writes a time (0 days 00:01:02.5)."""
    if match := re.fullmatch(r"(?:(\d+) days?,? )?(\d+):(\d\d):(\d\d(?:\.\d+)?)", cell):
        days, hours, minutes, rest = (float(part or 0) for part in match.groups())
        return 86400 * days + 3600 * hours + 60 * minutes + rest
    value = number_of(cell)
    return value if value is not None and value > 0 else None
