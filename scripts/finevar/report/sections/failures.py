"""The report's section on diverged runs: how many, where, and whether they grow along a factor."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from finevar.report.cells import ADJUSTED, FACTOR, P_VALUE, cell, columns, listed, whole
from finevar.report.groups import group, sentence
from finevar.report.kinds import Cell, Group, Labels, Row, Section, Table, Tables
from finevar.words.formatting import counted, factor_label, joined, sentence_case
from finevar.words.numbers import is_missing, level, p_equals, percent


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return how many runs diverged, a sentence a factor where some did, and the counts; tables: failures."""
    failures = tables["failures"]
    if failures.empty or not failures["runs"].max():
        return {"finding": "No run has ended yet, so nothing shows how many diverge.", "groups": []}
    parts = failures.groupby("dataset", sort=False)
    groups = [dataset_group(rows, str(name), confidence) for name, rows in parts if rows["diverged"].iloc[0]]
    return {"finding": finding_sentence(failures.iloc[0], confidence), "groups": groups}


def finding_sentence(row: Row, confidence: float) -> str:
    """Say how many of all runs diverged, with the interval of the rate, and how many are missing."""
    runs, diverged = int(row["runs"]), int(row["diverged"])
    missing = f" {counted(int(row['missing']), 'run')} did not end and counts as neither." if row["missing"] else ""
    exact = f"{percent(confidence)} interval, Clopper-Pearson"
    if not diverged:
        return (
            f"Not one of {counted(runs, 'run')} diverged; a rate above {percent_text(row['ci_high'])} at the settings "
            f"tried is excluded ({exact}).{missing}"
        )
    return (
        f"{diverged:,} of {counted(runs, 'run')} diverged, {percent_text(row['share'])} ({exact}: {rate_span(row)}). "
        "They are results of their settings: no metric counts them, so each metric speaks of the runs that did not "
        f"diverge.{missing}"
    )


def percent_text(share: float) -> str:
    """Print a share in per cent, with two digits."""
    return f"{100 * share:.2g} %"


def rate_span(row: Row) -> str:
    """Print the interval of a rate."""
    return f"{percent_text(row['ci_low'])} to {percent_text(row['ci_high'])}"


def dataset_group(rows: pd.DataFrame, dataset: str, confidence: float) -> Group:
    """Return one data set's sentences, or those of all, and the counts at each level."""
    by_factor = [part.to_dict("records") for name, part in rows.groupby("factor", sort=False) if name]
    alpha = 1 - confidence
    sentences = [sentence(trend_sentence(part, alpha=alpha), verdict(part, alpha)) for part in by_factor]
    levels = levels_table([row for part in by_factor for row in part], dataset, confidence)
    return group(f"On {dataset}" if dataset else "", sentences, folded=[levels])


def verdict(part: Sequence[Row], alpha: float) -> str:
    """Return whether a trend along a factor is shown."""
    p_value = part[0]["p_adjusted"]
    return "none" if is_missing(p_value) else "effect" if p_value < alpha else "undecided"


def trend_sentence(part: Sequence[Row], *, alpha: float) -> str:
    """Say how many runs diverged at each level of a factor, and whether there is a trend."""
    name = sentence_case(factor_label(part[0]["factor"]))
    counts = joined([f"{row['diverged']:.0f} of {row['runs']:.0f} at {level(row['level'])}" for row in part])
    if is_missing(part[0]["p_value"]):
        return f"{name}: {counts}; there is no test of a trend, as {part[0]['reason']}."
    shown = part[0]["p_adjusted"] < alpha
    rates = [row["share"] for row in part if not is_missing(row["share"])]
    way = "rises" if rates[-1] > rates[0] else "falls"
    trend = f"the rate {way} along the levels" if shown else "a trend along the levels is undecided"
    return f"{name}: {counts} diverged; {trend} ({p_equals(part[0]['p_adjusted'], 'adjusted p')})."


def levels_table(rows: Sequence[Row], dataset: str, confidence: float) -> Table:
    """Return one row a level of a factor."""

    def rate(row: Row) -> Cell:
        if is_missing(row["share"]):
            return cell("", note="no run ended")
        return cell(percent_text(row["share"]), note=rate_span(row))

    caption = (
        f"Diverged runs{f' on {dataset}' if dataset else ''} by level, with the {percent(confidence)} interval of the "
        "rate (Clopper-Pearson) and the p of a trend along the levels (permutation), adjusted over factors (Holm)."
    )
    shown = [FACTOR, *columns(level, level="Level#")]
    shown += columns(whole, runs="Runs#", diverged="Diverged#", missing="Missing#")
    return listed(caption, rows, [*shown, ("Rate#", rate), P_VALUE, ADJUSTED])
