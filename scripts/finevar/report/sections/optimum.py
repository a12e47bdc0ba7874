"""The report's section on stationary points: whether the data enclose an optimum, where, and the path towards it."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.report import analysis_tables
from finevar.report.parts import STOPPED, Group, Labels, Section, Table, Tables, chosen, group, rows_of
from finevar.words import findings
from finevar.words.formatting import sentence_case

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
    (point,) = rows_of(tables["optima"], response=response)
    places = rows_of(tables["optimum_factors"], response=response)
    text = findings.stationary_sentence(point, places, label, confidence)
    return group(sentence_case(label), [text], folded=tables_of(tables, response, label, confidence))


def tables_of(tables: Tables, response: str, label: str, confidence: float) -> list[Table]:
    """Return one response's levels at its stationary point, canonical axes and ridge path, those that there are."""
    places, axes, path = (chosen(tables[name], response=response) for name in ("optimum_factors", "canonical", "ridge"))
    found = [analysis_tables.optimum_table(places, confidence)]
    found += [analysis_tables.canonical_table(axes)] if len(axes) else []
    return found + ([analysis_tables.ridge_table(path, label, confidence)] if len(path) else [])
