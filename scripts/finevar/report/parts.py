"""What the pages are made of: tables of cells, and sections of groups of sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from finevar.statistics.regression import NEW_SENTENCES
from finevar.words.numbers import Row

Tables = Mapping[str, pd.DataFrame]
Facts = Mapping[str, Any]  # config, factors, datasets, seen, interim, folder: see page.render_page
Labels = Mapping[str, str]  # responses in words
Table = dict[str, Any]
Cell = dict[str, Any]
Show = Callable[[Row], Any]  # what is printed of a row: a text or a cell
Column = tuple[str, Show]  # under its title
Sentence = dict[str, Any]  # text and verdict
Group = dict[str, Any]
Section = dict[str, Any]  # finding and groups; or a template of its own with what that needs

# A section says this where every response was stopped by a gate, and then falls away.
STOPPED = "No result: every response was stopped by a gate."


def sentence(text: str, verdict: str | None = None) -> Sentence:
    """Return a sentence with the mark of its verdict, or with none."""
    return {"text": text, "verdict": verdict}


def group(
    title: str,
    sentences: Iterable[str | Sentence],
    *,
    figures: Iterable[str] = (),
    tables: Iterable[Table] = (),
    folded: Iterable[Table] = (),
    beside: Iterable[Table] = (),
    fold: bool = False,
) -> Group:
    """Return a part of a section; empty sentences are left out, folded tables open on a click.

    beside: small tables, which stand side by side where there is room. fold: the whole group opens on a click.
    """
    return {
        "title": title,
        "sentences": [sentence(text) if isinstance(text, str) else text for text in sentences if text],
        "figures": list(figures),
        "tables": list(tables),
        "folded": list(folded),
        "beside": list(beside),
        "fold": fold,
    }


def chosen(table: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """Return the part of a table with these values."""
    for name, value in values.items():
        table = table[table[name] == value]
    return table


def rows_of(table: pd.DataFrame, **values: Any) -> list[dict[str, Any]]:
    """Return a table's rows with these values, in order."""
    return chosen(table, **values).to_dict("records")


def for_new_sentences(tables: Tables) -> bool:
    """Say whether errors hold for new sentences."""
    return NEW_SENTENCES in set(tables["effects"]["population"])
