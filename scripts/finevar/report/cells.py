"""What the report's tables are made of: cells, and columns that print tidy rows.

A table is {"caption", "columns": [{"title", "kind"}], "rows": [[cell, ...]]}; the first cell heads its row. A cell is
{"text", "verdict", "note", "shade"}; kind is "text" or "number".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.report.parts import Cell, Column, Labels, Show, Table
from finevar.words.effects import VERDICTS
from finevar.words.formatting import factor_label, sentence_case
from finevar.words.numbers import NOTHING, Row, estimated, is_missing, level, number, p_text, span

# Tables ---------------------------------------------------------------------------------------------------------------


def table(caption: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    """Return a table; a column is numeric where its title ends with "#"."""
    heads = [
        {"title": title.removesuffix("#"), "kind": "number" if title.endswith("#") else "text"} for title in columns
    ]
    return {"caption": caption, "columns": heads, "rows": [[as_cell(value) for value in row] for row in rows]}


def listed(caption: str, rows: pd.DataFrame | Iterable[Row], columns: Sequence[Column]) -> Table:
    """Return a table with one line a row."""
    records = rows.to_dict("records") if isinstance(rows, pd.DataFrame) else rows
    return table(caption, [title for title, _ in columns], [[show(row) for _, show in columns] for row in records])


def crossed(
    caption: str,
    rows: pd.DataFrame,
    by: tuple[str, str],
    heads: Sequence[str],
    down: Mapping[Any, Sequence[Any]],
    across: Mapping[Any, str],
    shown: Mapping[str, Show],
) -> Table:
    """Return a table with a line for each value of one column, and columns for each value of another.

    by: the two. heads: titles of the cells that begin a line; down: those cells, by value. across: titles, by value.
    shown: what is printed of a row for each value, under a title of its own; under the value's where that is "".
    """
    known = {tuple(row[name] for name in by): row for row in rows.to_dict("records")}
    titles = [own or title for title in across.values() for own in shown]
    lines = []
    for one, cells in down.items():
        found = [known.get((one, other)) for other in across]
        lines.append([*cells, *(NOTHING if row is None else show(row) for row in found for show in shown.values())])
    return table(caption, [*heads, *titles], lines)


# Cells ----------------------------------------------------------------------------------------------------------------


def as_cell(value: Any) -> Cell:
    """Return a cell of a printed value."""
    return value if isinstance(value, dict) else cell("" if is_missing(value) else str(value))


def cell(text: str, *, verdict: str | None = None, note: Any = "", shade: float | None = None) -> Cell:
    """Return a cell; its verdict is drawn as a mark before the text, its note in smaller type below.

    shade: how strongly its ground is coloured, 0 to 1.
    """
    return {"text": text, "verdict": verdict, "note": "" if is_missing(note) else str(note), "shade": shade}


def ranged(row: Row, name: str = "estimate", ends: str = "ci", *, sign: bool = True) -> Cell:
    """Return a cell with an estimate and, below it, its interval, in the columns <ends>_low and <ends>_high."""
    known = not (is_missing(row[f"{ends}_low"]) or is_missing(row[f"{ends}_high"]))
    return cell(estimated(row, name, ends, sign=sign), note=span(row, ends) if known else "")


def rounded_span(row: Row, decimals: int, ends: str = "ci") -> str:
    """Print an interval with so many decimals."""
    return f"{number(row[f'{ends}_low'], decimals)} to {number(row[f'{ends}_high'], decimals)}"


def verdict_cell(row: Row) -> Cell:
    """Return a cell with a verdict, and the reason where it is open or there is none."""
    if is_missing(row["verdict"]):
        return cell(NOTHING, note=row["reason"])
    return cell(VERDICTS.get(row["verdict"], row["verdict"]), verdict=row["verdict"], note=row["reason"])


def p_cell(row: Row) -> Cell:
    """Return a cell with a p-value, below it the adjusted one, or why it is withheld or how it was got."""
    adjusted = row.get("p_adjusted")
    note = row["reason"] if is_missing(adjusted) else f"adj. {p_text(adjusted)}"
    return cell(p_text(row["p_value"]), note=note)


def whole(value: Any) -> str:
    """Print a count."""
    return NOTHING if is_missing(value) else f"{int(value):,}"


# Columns --------------------------------------------------------------------------------------------------------------


def columns(show: Callable[[Any], Any], **titles: str) -> list[Column]:
    """Return columns that print one value of a row each, by its name, under its title."""
    return [(title, lambda row, name=name: show(row[name])) for name, title in titles.items()]


def metric_column(labels: Labels) -> list[Column]:
    """Return the column of the responses."""
    return columns(lambda name: sentence_case(labels[name]), response="Metric")


def level_columns(factors: Iterable[str], levels: Callable[[Row], Row] = lambda row: row) -> list[Column]:
    """Return a column for each factor; levels: where those of a row are."""
    titles = factor_titles(factors)
    return [(title, lambda row, name=name: level_or_dash(levels(row)[name])) for name, title in titles.items()]


def level_or_dash(value: Any) -> str:
    """Print a level; a dash of a factor that does not exist there."""
    return NOTHING if is_missing(value) else level(value)


def factor_titles(names: Iterable[str]) -> dict[str, str]:
    """Return the titles of the columns of factors' levels, by factor."""
    return {name: f"{sentence_case(factor_label(name))}#" for name in names}


def metric_titles(labels: Labels) -> dict[str, str]:
    """Return the titles of the columns of responses' numbers, by response."""
    return {name: f"{sentence_case(label)}#" for name, label in labels.items()}


P_VALUE, ADJUSTED = columns(p_text, p_value="p#", p_adjusted="Adjusted p#")
(FACTOR,) = columns(factor_label, factor="Factor")
(DATASET,) = columns(str, dataset="Data set")
VERDICT: Column = ("Verdict", verdict_cell)
