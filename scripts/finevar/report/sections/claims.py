"""The report's section on claims: what was said before, and what this study finds of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.report.groups import group, sentence
from finevar.report.tables import Table, cell, ranged, table
from finevar.study.coding import factors_of
from finevar.words.formatting import (
    counted,
    estimate,
    factor_label,
    interval,
    is_missing,
    joined,
    level,
    p_equals,
    p_text,
    percent,
    response_label,
    sentence_case,
    significant,
    term_label,
)

NO_CLAIMS = "No claim was stated before this study; analysis.claims of its config takes them."
VERBS = {"replicated": "replicate {}", "contradicted": "contradict {}", "undecided": "leave {} undecided"}

Row = Mapping[str, Any]


def section(
    tables: Mapping[str, pd.DataFrame], labels: Mapping[str, str], factors: Sequence[str], confidence: float
) -> dict[str, Any]:
    """Return how many claims are replicated, a sentence on each, and the table; tables: claims."""
    rows = tables["claims"].to_dict("records")
    if not rows:
        return {"finding": NO_CLAIMS, "groups": []}
    names = {row["response"]: labels.get(row["response"], response_label(row["response"])) for row in rows}
    sentences = [sentence(claim_sentence(row, names, confidence), mark(row)) for row in rows]
    part = group("", sentences, tables=[claims_table(rows, names, confidence)])
    return {"finding": finding_sentence(rows), "groups": [part]}


def mark(row: Row) -> str:
    """Return this study's own verdict on a claim's term."""
    return "undecided" if is_missing(row["found"]) else row["found"]


def finding_sentence(rows: Sequence[Row]) -> str:
    """Count the claims by verdict, and say how far a verdict reaches."""
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in VERBS}
    parts = joined([verb.format(counts[verdict]) for verdict, verb in VERBS.items() if counts[verdict]])
    return (
        f"Of {counted(len(rows), 'claim')} stated before the study, its runs {parts}. That holds for this model, these "
        "data and the levels tried. A claim of no effect counts as replicated only where an effect of the size of "
        "interest is excluded."
    )


def claim_sentence(row: Row, labels: Mapping[str, str], confidence: float) -> str:
    """Say what was claimed, what is found here, and why nothing is decided where that is so."""
    claim = (row["statement"] or row["name"]).rstrip(".")
    said = "" if is_missing(row["p_published"]) else f" ({p_equals(row['p_published'], 'published p')})"
    here = "" if is_missing(row["estimate"]) else f" {found_sentence(row, labels[row['response']], confidence)}"
    why = "" if is_missing(row["reason"]) else f" Undecided, for {row['reason'].rstrip('.')}."
    verdict = f": {row['verdict']}." if is_missing(row["reason"]) else "."
    return f"{sentence_case(claim)}{said}{verdict}{here}{why}"


def found_sentence(row: Row, label: str, confidence: float) -> str:
    """Say what this study estimates of a claim's term, over which levels and where."""
    value = estimated(row, confidence)
    if is_missing(row["from_level"]):
        first, second = map(factor_label, factors_of(row["term"]))
        return (
            f"Here the change of {label} along {first}, from lowest to highest, is larger by {value} at the highest "
            f"level of {second} than at the middle."
        )
    span = f"from {level(row['from_level'])} to {level(row['to_level'])}"
    if "^" in row["term"]:
        return f"Here the {row['unit']} of {term_label(row['term'])}, {span}, is {value} of {label}."
    where = "by the slope that it has at the baseline" if row["framework"] == "relative" else "the rest at the centre"
    return f"Here {label} changes by {value} along {factor_label(row['term'])}, {span}, {where}."


def estimated(row: Row, confidence: float) -> str:
    """Return a claim's estimate with its interval and adjusted p-value."""
    half = (row["ci_high"] - row["ci_low"]) / 2
    return (
        f"{estimate(row['estimate'], half)} ({percent(confidence)} interval {interval(row['ci_low'], row['ci_high'])}; "
        f"{p_equals(row['p_adjusted'], 'adjusted p')})"
    )


def claims_table(rows: Sequence[Row], labels: Mapping[str, str], confidence: float) -> Table:
    """Return one row a claim: the published p beside our estimate, its interval and p."""
    printed = [
        [
            cell(sentence_case(row["name"]), note=row["source"] or ""),
            cell(row["verdict"], verdict=mark(row)),
            cell(row["finding"], note="" if is_missing(row["sign"]) else row["sign"]),
            p_text(row["p_published"]),
            ranged(row["estimate"], row["ci_low"], row["ci_high"]),
            cell(p_text(row["p_value"]), note=f"adj. {p_text(row['p_adjusted'])}"),
            significant(row["minimum_detectable"]),
            significant(row["smallest_effect"]),
        ]
        for row in rows
    ]
    caption = (
        "Claims stated before the study. The change is that over the whole range of the levels, with its "
        f"{percent(confidence)} interval; the adjusted p counts all claims (Holm). The smallest change that these runs "
        "would find four times in five stands beside the smallest of interest."
    )
    columns = ["Claim", "Verdict", "Claimed", "Published p#", "Change#", "p#", "Would find#", "Of interest#"]
    return table(caption, columns, printed)
