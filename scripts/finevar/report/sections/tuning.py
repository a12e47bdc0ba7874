"""The report's section on tuning curves: what trying some runs gains, and how much of it is luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from finevar.analyses.tuning import enough_draws, smallest_effects
from finevar.report.cells import cell, columns, listed, ranged, whole
from finevar.report.parts import STOPPED, Labels, Row, Section, Table, Tables, group
from finevar.words.formatting import counted_between, joined, sentence_case
from finevar.words.numbers import estimated, is_missing, number, percent, significant, span

PART, PLACE, TITLE = "details", 70, "Tuning curves"
SHOWN_DRAWS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500)


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
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


def finding_sentence(parts: Sequence[pd.DataFrame], labels: Labels, smallest: Mapping[str, float]) -> str:
    """Say after how many random runs more of them are not expected to matter, the range over data sets."""
    enough: dict[str, list[int]] = {}
    for curve in parts:
        response = curve["response"].iloc[0]
        row = enough_draws(curve, smallest.get(response))
        if row is not None:
            enough.setdefault(response, []).append(int(row["draws"]))
    if not enough:
        return "How many random runs are enough is not known: no smallest effect of interest is."
    counts = [f"{counted_between(min(n), max(n), 'run')} for {labels[response]}" for response, n in enough.items()]
    return (
        f"Drawn at random from this grid, the best of {joined(counts)} is expected to come within the smallest effect "
        "of interest of the best of as many runs as there are settings."
    )


def curve_sentence(
    curve: pd.DataFrame, labels: Labels, smallest: Mapping[str, float], confidence: float, *, several: bool
) -> str:
    """Say what one run and the best of many are expected to give, and what is left of that at another seed."""
    first, last = curve.iloc[0], curve.iloc[-1]
    name = labels[first["response"]] + (f" on {first['dataset']}" if several else "")
    if is_missing(last["expected"]):
        return f"There is no tuning curve of {name}: {last['reason']}."
    text = (
        f"{sentence_case(name)}: {number(first['expected'])} is expected of one run, and "
        f"{estimated(last, 'expected', sign=False)} ({percent(confidence)} band {span(last)}) of the best of "
        f"{whole(last['draws'])}, drawn from {whole(last['runs'])} runs. "
        f"{again_text(last, smallest.get(last['response']))}"
    )
    if is_missing(last["expected_again"]) or is_missing(last["reason"]):
        return text
    return f"{text} Of these runs {last['reason']}."


def again_text(last: Row, smallest_effect: float | None) -> str:
    """Say what the setting of the best run gives at another seed, and how the difference compares."""
    if is_missing(last["expected_again"]):
        return f"What is left of it at another seed is not known: {last['reason']}."
    luck = abs(last["expected"] - last["expected_again"])
    text = (
        f"At another seed the setting so chosen is expected to give {number(last['expected_again'])}: "
        f"{significant(luck)} of the best run is the luck of its seed"
    )
    if smallest_effect is None:
        return f"{text}."
    side = "less" if luck <= smallest_effect else "more"
    return f"{text}, which is {side} than the smallest effect of interest, {significant(smallest_effect)}."


def curves_table(parts: Sequence[pd.DataFrame], labels: Labels, confidence: float) -> Table:
    """Return the curves at some numbers of draws."""
    rows: list[Row] = []
    for known in (curve.dropna(subset="expected") for curve in parts):
        rows += known[known["draws"].isin({*SHOWN_DRAWS, known["draws"].max()})].to_dict("records")
    shown = [("Metric", lambda row: cell(sentence_case(labels[row["response"]]), note=row["dataset"]))]
    shown += [*columns(whole, draws="Runs drawn#"), ("Best run#", partial(ranged, name="expected", sign=False))]
    shown += columns(number, expected_again="At another seed#")
    methods = joined(sorted({str(name) for curve in parts for name in curve["method"].dropna()}))
    caption = (
        f"Expected metric of the best of some runs, with the {percent(confidence)} band over all numbers of runs at "
        f"once ({methods}), and of its setting at another seed."
    )
    return listed(caption, rows, shown)
