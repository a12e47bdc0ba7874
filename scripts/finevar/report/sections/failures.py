"""The report's section on runs that failed: how many, where, and whether they grow along a factor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.reasons import FAILED
from finevar.report.groups import group, sentence
from finevar.report.tables import Table, cell, table, whole
from finevar.words.formatting import (
    counted,
    factor_label,
    is_missing,
    joined,
    level,
    p_equals,
    p_text,
    percent,
    sentence_case,
)

Row = Mapping[str, Any]


def section(
    tables: Mapping[str, pd.DataFrame], labels: Mapping[str, str], factors: Sequence[str], confidence: float
) -> dict[str, Any]:
    """Return how many runs failed, a sentence a factor where some did, and the counts; tables: failures."""
    failures = tables["failures"]
    if failures.empty or not failures["runs"].max():
        return {"finding": "No run has ended yet, so nothing tells how many fail.", "groups": []}
    groups = []
    for dataset, rows in failures.groupby("dataset", sort=False):
        if failed(rows.iloc[0]):
            groups.append(dataset_group(rows, str(dataset), confidence))
    return {"finding": finding_sentence(failures.iloc[0], confidence), "groups": groups}


def failed(row: Row) -> int:
    """Return how many runs failed."""
    return int(sum(row[status] for status in FAILED))


def failed_text(row: Row) -> str:
    """Say how many runs failed, by name."""
    return joined([f"{int(row[status]):,} {status}" for status in FAILED if row[status]])


def finding_sentence(row: Row, confidence: float) -> str:
    """Say how many of all runs failed, with the interval of the rate, and how many are missing."""
    runs = int(row["runs"])
    missing = f" {counted(int(row['missing']), 'run')} did not end and counts as neither." if row["missing"] else ""
    exact = f"{percent(confidence)} interval, Clopper-Pearson"
    if not failed(row):
        return (
            f"Not one of {counted(runs, 'run')} diverged or collapsed; a rate above {percent_text(row['ci_high'])} at "
            f"the settings tried is excluded ({exact}).{missing}"
        )
    span = f"{percent_text(row['ci_low'])} to {percent_text(row['ci_high'])}"
    return (
        f"Of {counted(runs, 'run')} {failed_text(row)}: {percent_text(row['share'])} ({exact}: {span}). They "
        "are results of their settings: no metric counts them, so each metric speaks of the runs that did neither."
        f"{missing}"
    )


def percent_text(share: float) -> str:
    """Print a share in per cent, with two digits."""
    return f"{100 * share:.2g} %"


def dataset_group(rows: pd.DataFrame, dataset: str, confidence: float) -> dict[str, Any]:
    """Return one data set's sentences, or those of all, and the counts at each level."""
    by_factor = [part.to_dict("records") for name, part in rows.groupby("factor", sort=False) if name]
    alpha = 1 - confidence
    told = [sentence(trend_sentence(part, alpha=alpha), verdict(part, alpha)) for part in by_factor]
    levels = levels_table([row for part in by_factor for row in part], dataset, confidence)
    return group(f"On {dataset}" if dataset else "", told, folded=[levels])


def verdict(part: Sequence[Row], alpha: float) -> str:
    """Return whether a trend along a factor is shown."""
    p_value = part[0]["p_adjusted"]
    return "none" if is_missing(p_value) else "effect" if p_value < alpha else "undecided"


def trend_sentence(part: Sequence[Row], *, alpha: float) -> str:
    """Say how many runs failed at each level of a factor, and whether there is a trend."""
    name = sentence_case(factor_label(part[0]["factor"]))
    counts = joined([f"{failed(row)} of {row['runs']:.0f} at {level(row['level'])}" for row in part])
    if is_missing(part[0]["p_value"]):
        return f"{name}: {counts}; there is no test of a trend, as {part[0]['reason']}."
    shown = part[0]["p_adjusted"] < alpha
    way = "rises" if part[0]["trend"] > 0 else "falls"
    told = f"the rate {way} along the levels" if shown else "a trend along the levels is undecided"
    return f"{name}: {counts} failed; {told} ({p_equals(part[0]['p_adjusted'], 'adjusted p')})."


def levels_table(rows: Sequence[Row], dataset: str, confidence: float) -> Table:
    """Return one row a level of a factor."""
    printed = [
        [
            cell(factor_label(row["factor"])),
            level(row["level"]),
            whole(row["runs"]),
            *(whole(row[status]) for status in FAILED),
            whole(row["missing"]),
            share_cell(row),
            p_text(row["p_value"]),
            p_text(row["p_adjusted"]),
        ]
        for row in rows
    ]
    caption = (
        f"Runs that failed{f' on {dataset}' if dataset else ''} by level, with the {percent(confidence)} interval of "
        "the rate (Clopper-Pearson) and the p of a trend along the levels (logistic regression with Firth's penalty, "
        "likelihood ratio), adjusted over factors (Holm)."
    )
    columns = ["Factor", "Level#", "Runs#", "Diverged#", "Collapsed#", "Missing#", "Rate#", "p#", "Adjusted p#"]
    return table(caption, columns, printed)


def share_cell(row: Row) -> dict[str, Any]:
    """Return a cell with a rate and its interval."""
    if is_missing(row["share"]):
        return cell("", note="no run ended")
    return cell(percent_text(row["share"]), note=f"{percent_text(row['ci_low'])} to {percent_text(row['ci_high'])}")
