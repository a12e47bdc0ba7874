"""The report's section on stationary points: whether the data enclose an optimum, where, and the path towards it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from finevar.report import analysis_tables
from finevar.report.parts import STOPPED, Group, Labels, Section, Table, Tables, chosen, group, rows_of
from finevar.words import findings
from finevar.words.formatting import held_levels, sentence_case, settings_text

PART, PLACE, TITLE = "details", 50, "Stationary points"


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return for each response where its surface is stationary, with the axes there and the ridge path."""
    if not labels:
        return {"finding": STOPPED, "groups": []}
    finding = "Where each fitted surface is flat in every direction, and whether that is an optimum."
    return {
        "finding": finding,
        "groups": [response_group(tables, name, labels[name], confidence) for name in responses_of(tables, labels)],
    }


def responses_of(tables: Tables, labels: Labels) -> list[str]:
    """Return the responses whose surface was searched."""
    return [name for name in labels if name in set(tables["predicted_best"]["response"])]


def response_group(tables: Tables, response: str, label: str, confidence: float) -> Group:
    """Return one response's sentence and tables."""
    texts, folded = [], []
    for point in rows_of(tables["optima"], response=response):
        at = point.get("at")
        places = rows_of(of_cut(tables["optimum_factors"], response, at))
        texts.append(where(at) + findings.stationary_sentence(point, places, label, confidence))
        folded += tables_of(tables, response, label, confidence, at)
    return group(sentence_case(label), texts, folded=folded)


def where(at: str | None) -> str:
    """Say at which levels that are names a sentence or a table holds; nothing where there are none."""
    return f"At {settings_text(held_levels(at))}: " if at else ""


def of_cut(table: pd.DataFrame, response: str, at: str | None) -> pd.DataFrame:
    """Return a response's rows; at: those of one combination of levels that are names, where there are any."""
    return chosen(table, response=response, **({"at": at} if at else {}))


def tables_of(tables: Tables, response: str, label: str, confidence: float, at: str | None = None) -> list[Table]:
    """Return one response's levels at its stationary point, canonical axes and ridge path, those that there are."""
    names = ("optimum_factors", "canonical", "ridge")
    places, axes, path = (of_cut(tables[name], response, at) for name in names)
    found = [analysis_tables.optimum_table(places, confidence)] if len(places) else []
    found += [analysis_tables.canonical_table(axes)] if len(axes) else []
    found += [analysis_tables.ridge_table(path, label, confidence)] if len(path) else []
    return [table | {"caption": where(at) + table["caption"]} for table in found]
