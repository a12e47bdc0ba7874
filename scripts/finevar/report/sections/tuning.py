"""The report's section on tuning curves: what trying some runs buys, and how much of it is luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.analyses.tuning import enough_draws, smallest_effects
from finevar.report.groups import group
from finevar.report.sections.regressions import STOPPED
from finevar.report.tables import Table, cell, ranged, table, whole
from finevar.words.formatting import (
    counted,
    estimate,
    interval,
    is_missing,
    joined,
    number,
    percent,
    sentence_case,
    significant,
)

TITLE = "Tuning curves"
PLACE = 40
TOLD_DRAWS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500)


def section(
    tables: Mapping[str, pd.DataFrame], labels: Mapping[str, str], factors: Sequence[str], confidence: float
) -> dict[str, Any]:
    """Return how many runs are enough, a sentence a curve, and the curves as a table; tables: tuning_curves, fits."""
    curves = tables["tuning_curves"]
    curves = curves[curves["response"].isin(list(labels))]
    if curves.empty:
        return {"finding": STOPPED, "groups": []}
    smallest = smallest_effects(tables["fits"])
    several = curves["dataset"].nunique() > 1
    parts = [curve for _, curve in curves.groupby(["response", "dataset"], sort=False)]
    part = group(
        "",
        [curve_sentence(curve, labels, smallest, confidence, several=several) for curve in parts],
        figures=["tuning_curves"] if curves["expected"].notna().any() else [],
        folded=[curves_table(parts, labels, confidence)],
    )
    return {"finding": finding_sentence(parts, labels, smallest), "groups": [part]}


def finding_sentence(parts: Sequence[pd.DataFrame], labels: Mapping[str, str], smallest: Mapping[str, float]) -> str:
    """Say after how many random runs more of them are not expected to matter, the range over data sets."""
    enough: dict[str, list[int]] = {}
    for curve in parts:
        response = curve["response"].iloc[0]
        row = enough_draws(curve, smallest.get(response))
        if row is not None:
            enough.setdefault(response, []).append(int(row["draws"]))
    if not enough:
        return "How many random runs are enough cannot be told: no smallest effect of interest is known."
    told = [f"{counts_text(counts)} for {labels[response]}" for response, counts in enough.items()]
    return (
        f"Drawn at random from this grid, the best of {joined(told)} is expected to come within the smallest effect of "
        "interest of the best of as many runs as there are settings."
    )


def counts_text(counts: Sequence[int]) -> str:
    """Print a number of runs, or the range of several."""
    low, high = min(counts), max(counts)
    return counted(low, "run") if low == high else f"{low} to {counted(high, 'run')}"


def name_of(curve: pd.DataFrame, labels: Mapping[str, str], *, several: bool) -> str:
    """Return a curve's response, with its data set where there are several."""
    first = curve.iloc[0]
    return labels[first["response"]] + (f" on {first['dataset']}" if several else "")


def curve_sentence(
    curve: pd.DataFrame, labels: Mapping[str, str], smallest: Mapping[str, float], confidence: float, *, several: bool
) -> str:
    """Say what one run and the best of many are expected to give, and what is left of that at another seed."""
    name, last, first = name_of(curve, labels, several=several), curve.iloc[-1], curve.iloc[0]
    if is_missing(last["expected"]):
        return f"There is no tuning curve of {name}: {last['reason']}."
    half = (last["ci_high"] - last["ci_low"]) / 2
    text = (
        f"{sentence_case(name)}: {number(first['expected'])} is expected of one run, and "
        f"{estimate(last['expected'], half, sign=False)} ({percent(confidence)} band "
        f"{interval(last['ci_low'], last['ci_high'])}) of the best of {whole(last['draws'])}, drawn from "
        f"{whole(last['runs'])} runs. {again_text(last, smallest.get(last['response']))}"
    )
    if is_missing(last["expected_again"]) or is_missing(last["reason"]):
        return text
    return f"{text} Of these runs {last['reason']}."


def again_text(last: Mapping[str, Any], smallest_effect: float | None) -> str:
    """Say what the setting of the best run gives at another seed, and how the difference compares."""
    if is_missing(last["expected_again"]):
        return f"What is left of it at another seed cannot be told: {last['reason']}."
    luck = abs(last["expected"] - last["expected_again"])
    told = (
        f"At another seed the setting so chosen is expected to give {number(last['expected_again'])}: "
        f"{significant(luck)} of the best run is the luck of its seed"
    )
    if smallest_effect is None:
        return f"{told}."
    side = "less" if luck <= smallest_effect else "more"
    return f"{told}, which is {side} than the smallest effect of interest, {significant(smallest_effect)}."


def curves_table(parts: Sequence[pd.DataFrame], labels: Mapping[str, str], confidence: float) -> Table:
    """Return the curves at some numbers of draws."""
    rows = []
    for curve in parts:
        known = curve.dropna(subset="expected")
        for row in known[known["draws"].isin({*TOLD_DRAWS, known["draws"].max()})].to_dict("records"):
            rows.append(
                [
                    cell(sentence_case(labels[row["response"]]), note=row["dataset"]),
                    whole(row["draws"]),
                    ranged(row["expected"], row["ci_low"], row["ci_high"], sign=False),
                    number(row["expected_again"]),
                ]
            )
    methods = joined(sorted({str(name) for curve in parts for name in curve["method"].dropna()}))
    caption = (
        f"Expected metric of the best of some runs, with the {percent(confidence)} band over all numbers of runs at "
        f"once ({methods}), and of its setting at another seed."
    )
    return table(caption, ["Metric", "Runs drawn#", "Best run#", "At another seed#"], rows)
