"""Sentences for people: rows of the tidy tables in, words out.

A verdict comes from the tables and is never made here. A sentence says what moved a response, by how much and how
surely; it never turns a missing p-value into "no influence".
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from finevar.reasons import FAILED, MISSING, OK, Stop
from finevar.words.formatting import (
    counted,
    factor_label,
    joined,
    response_labels,
)
from finevar.words.numbers import (
    PLUS_MINUS,
    Row,
    number,
    percent,
)

# The fits -------------------------------------------------------------------------------------------------------------


def gated(fits: pd.DataFrame) -> list[str]:
    """Return the responses whose absolute tables a gate stopped, and with them all others."""
    return list(dict.fromkeys(fits.loc[fits["gate"].notna() & (fits["framework"] == "absolute"), "response"]))


def gate_sentence(row: Row, label: str) -> str:
    """Say why a response has no p-values, or none relative to the baseline."""
    which = "relative " if row["framework"] == "relative" else ""
    return f"No {which}p-values for {label}: {str(row['gate']).rstrip('.')}."


def identity_sentence(fits: pd.DataFrame) -> str:
    """Say what the relative tables add to the absolute ones, with the checked identity, or why there are none."""
    if have_own_baselines(fits):
        return (
            "Each model has a baseline of its own, so that the absolute fit has no relative reading: runs are compared "
            "with the baseline of their own model, one by one."
        )
    deviations = fits.loc[fits["framework"] == "relative", "largest_identity_deviation"].dropna()
    meaning = (
        "Absolute and relative are one fit read at two places: the relative first-order terms are the slopes at the "
        "baseline instead of mid-range, and every second-order term is the same in both, so its p-value counts "
        "once."
    )
    if deviations.empty:
        return meaning
    return f"{meaning} Checked on these data: the two differ from that identity by at most {deviations.max():.1e}."


def have_own_baselines(fits: pd.DataFrame) -> bool:
    """Say whether the relative tables are left out since each model has a baseline of its own."""
    return bool((fits["gate_code"] == Stop.OWN_BASELINES).any())


def runs_sentence(metrics: pd.DataFrame) -> str:
    """Count the planned runs and what became of them."""
    points = len(metrics[["dataset", "point_id"]].drop_duplicates())
    counts = metrics["status"].value_counts()
    of = f"{counted(points, 'setting')} at {counted(metrics['seed'].nunique(), 'seed')}"
    runs = f"{counted(len(metrics), 'run')} of {of}"
    if counts.get("ok", 0) == len(metrics):
        return f"{runs}, all of them complete."
    parts = [f"{counts[status]:,} {status}" for status in (OK, *FAILED, MISSING) if status in counts]
    return f"{runs}: {joined(parts)}."


def ranges_sentence(metrics: pd.DataFrame, responses: Sequence[str]) -> str:
    """Count the runs and give the range of each response over them."""
    ok = metrics[metrics["status"] == "ok"]
    labels = response_labels(metrics, responses)
    parts = [
        f"{label} {number(ok[response].min())} to {number(ok[response].max())}"
        for response, label in labels.items()
        if ok[response].notna().any()
    ]
    runs = runs_sentence(metrics)
    return f"{runs} Over them {', '.join(parts)}." if parts else runs


def baseline_sentence(dataset: str, frozen: float | None, again: pd.Series, label: str) -> str:
    """Set the frozen baseline beside runs at its own factor levels.

    frozen: the baseline's metric on this evaluation set. again: the metric of the runs at its factor levels.
    """
    frozen_text = f"On {dataset}, {label} of the frozen baseline (B0) is {number(frozen)}"
    again = again.dropna()
    if again.empty:
        return f"{frozen_text}; no run of this study has the baseline's own levels (B1)."
    spread = f" {PLUS_MINUS} {number(again.std())}" if len(again) > 1 else ""
    own = f"{number(again.mean())}{spread} over {counted(len(again), 'seed')}"
    return f"{frozen_text}; runs at its own levels (B1) have {own}."


# Figures --------------------------------------------------------------------------------------------------------------

FIGURES = {  # by kind: caption and text alternative; the numbers themselves stand in the tables
    "effects": (
        "Mark and bold line: change of each metric from a hyperparameter's lowest to its highest level, the others "
        "mid-range, with its {confidence} interval. Thin line: the range that the intervals of its changes at all "
        "settings tried span, which its verdict is about. Grey band: smaller than the smallest effect of interest. A "
        "verdict shows in both colour and shape.",
        "Change of each metric by each hyperparameter, with intervals; the table below it lists the same numbers.",
    ),
    "coefficients": (
        "Coefficients of the absolute fit in coded units with {confidence} intervals; intercept and blocks are left "
        "out. A verdict shows in both colour and shape; that on a first-order term is its hyperparameter's, above.",
        "Forest plot of the coded coefficients by metric; the tables beside it list the same numbers.",
    ),
    "importance": (
        "Shapley share of each hyperparameter in the variance of a metric between settings; interactions are divided "
        "evenly between theirs. Lines are {confidence} intervals.",
        "Bars with intervals: the share of each metric's variance that each hyperparameter makes.",
    ),
    "gain": (
        "Bar: what each hyperparameter brings of the predicted change from the baseline's own settings to the "
        "recommended one, averaged over all orders of changing one at a time (Shapley), so that shares add up to the "
        "whole and interactions are divided between those that interact; blue improves the metric. Bold line: its "
        "{confidence} interval; thin line: intervals that hold for all hyperparameters at once.",
        "Bars with intervals: each hyperparameter's share of the recommended setting's gain, by metric.",
    ),
    "main_effects": (
        "Line and band: the prediction along one hyperparameter, the others mid-range, with its {confidence} interval "
        "for the mean. Dots: runs; rings: means over seeds of each setting, at all levels of the others, so "
        "they scatter more widely than the band.",
        "Predicted profiles of each metric along each hyperparameter, over the observed runs.",
    ),
    "interplay": (
        "The slope of one hyperparameter over another, the rest mid-range, with its {confidence} interval: bold where "
        "the interval excludes zero, thin and broken where it includes it.",
        "Slope of one hyperparameter as a line over another, by metric; the sentences and tables say the same.",
    ),
    "surface": (
        "Predicted {label} over each pair of hyperparameters, the others held as stated above; yellow is better. Rings "
        "are measured means of settings in that slice, filled on the same scale; dots are settings at other levels of "
        "the rest. Intervals of these predictions are in the explorer.",
        "Heat maps with contour lines of predicted {label} for each pair of hyperparameters.",
    ),
    "learning_curves": (
        "Training loss by epoch, coloured by {first}: a thin line for each run, a bold one for their mean. Where "
        "epochs vary, runs of different length have means of their own.",
        "Training loss of every run by epoch, with mean curves by level.",
    ),
}


def figure_words(kind: str, label: str, confidence: float, factors: Sequence[str], runs: int) -> tuple[str, str]:
    """Return what a figure draws, from how many runs, and the text that stands in its place."""
    caption, alternative = (
        text.format(label=label, confidence=percent(confidence), first=factor_label(factors[0]))
        for text in FIGURES[kind]
    )
    return f"{caption} From {counted(runs, 'run')}.", alternative
