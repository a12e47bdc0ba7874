"""Calibration in the report, by group of points: what their losses are made of, and how often confidence is right."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from finevar.analyses.calibration import BINS, PARTS
from finevar.report.cells import cell, columns, ends_text, listed, table, whole
from finevar.report.groups import group
from finevar.report.kinds import Group, Table
from finevar.words.formatting import settings_text
from finevar.words.numbers import number, percent

BESIDE = ("accuracy", *PARTS, "temperature", "ece", "brier")
BESIDE_TITLES = ("Accuracy#", "Loss#", "Refinement#", "Calibration loss#", "Best temperature#", "ECE#", "Brier score#")
MOST_NAMED = 3  # data sets that have sentences of their own


def geometric_mean(values: pd.Series) -> float:
    """Return the geometric mean of some temperatures."""
    return float(np.exp(np.log(values).mean()))


def mean_cells(runs: pd.DataFrame) -> list[str]:
    """Return the means of the loss's parts and of what stands beside them."""
    means = runs[list(BESIDE)].mean().to_dict()
    means["temperature"] = geometric_mean(runs["temperature"])
    return [number(means[name], 2 if name == "temperature" else 3) for name in BESIDE]


# Groups of points -----------------------------------------------------------------------------------------------------


def places_group(parts: pd.DataFrame, runs: pd.DataFrame, reliability: pd.DataFrame, factors: Sequence[str]) -> Group:
    """Return what the points of best accuracy, best loss and highest loss are made of."""
    places = reliability.drop_duplicates(["dataset", "group"]).to_dict("records")
    models = dict(list(parts.groupby(["dataset", "point_id"])))
    rows = []
    for place in places:
        key = place["dataset"], place["point_id"]
        own = runs[(runs["dataset"] == key[0]) & (runs["point_id"] == key[1])]
        settings = settings_text(own.iloc[0][list(factors)]) if len(own) else ""
        rows.append([place["dataset"], cell(place["group"], note=settings), *mean_cells(models[key])])
    caption = "Chosen by the mean over seeds on the sentences that the figures are from, which flatters the best."
    grid = table(caption, ["Data set", "Point", *BESIDE_TITLES], rows)
    names = reliability["dataset"].unique()[:MOST_NAMED]
    sentences = [places_sentence(runs[runs["dataset"] == name], name, factors) for name in names]
    return group("Best accuracy, best loss and highest loss", sentences, tables=[grid])


def places_sentence(runs: pd.DataFrame, dataset: str, factors: Sequence[str]) -> str:
    """Say whether the point of best accuracy is that of best loss, and which part of the loss tells them apart."""
    means = runs.groupby("point_id", sort=False)[["accuracy", *PARTS]].mean()
    if means.empty:
        return f"On {dataset} no run has finished."
    best, least = means["accuracy"].idxmax(), means["loss"].idxmin()
    names = {point: settings_text(own.iloc[0][list(factors)]) for point, own in runs.groupby("point_id")}
    if best == least:
        return f"On {dataset} one point, {names[best]}, has both the best accuracy and the best loss."
    gap = means.loc[best] - means.loc[least]
    return (
        f"On {dataset} accuracy is highest at {names[best]} ({number(means['accuracy'][best], 3)}) and loss lowest at "
        f"{names[least]} ({number(means['loss'][least], 3)}). The former's loss is {number(gap['loss'], 3)} higher: "
        f"{number(gap['refinement'], 3, sign=True)} by refinement and "
        f"{number(gap['calibration_loss'], 3, sign=True)} by calibration."
    )


# Reliability ----------------------------------------------------------------------------------------------------------


def reliability_group(reliability: pd.DataFrame, confidence: float) -> Group:
    """Return how often each group of models is right at its confidences."""
    sentences, datasets = [], dict(list(reliability.groupby("dataset", sort=False)))
    for rows in [*datasets.values()][:MOST_NAMED]:
        sentences += [fullest_bin_sentence(own, confidence) for _, own in rows.groupby("group", sort=False)]
    if len(datasets) > MOST_NAMED:
        sentences.append(f"The tables hold the other {len(datasets) - MOST_NAMED} data sets as well.")
    sentences.append(
        "The seeds of a point meet the same sentences, so the intervals (Wilson) count a bin's predictions per seed, "
        "not all of them; they are as wide as if seeds agreed fully."
    )
    folded = [reliability_table(own, name, confidence) for name, own in datasets.items()]
    return group("How often confidence is right", sentences, folded=folded)


def fullest_bin_sentence(rows: pd.DataFrame, confidence: float) -> str:
    """Say how often one group is right where most of its predictions lie."""
    row = rows.loc[rows["count"].idxmax()]
    share = 100 * row["count"] / rows["count"].sum()
    if row["ci_high"] < row["confidence_mean"]:
        surety = "overconfident"
    elif row["ci_low"] > row["confidence_mean"]:
        surety = "underconfident"
    else:
        surety = "neither overconfident nor underconfident, as far as is shown"
    return (
        f"{row['group'].capitalize()} on {row['dataset']}: {share:.0f} % of predictions have a confidence of "
        f"{bin_text(row['bin'])}, on average {number(row['confidence_mean'], 3)}, and "
        f"{number(row['correct_share'], 3)} of them are right ({percent(confidence)} interval {ends_text(row, 3)}): "
        f"{surety}."
    )


def bin_text(bin_number: float) -> str:
    """Print a bin's range of confidence."""
    return f"{bin_number / BINS:.1f} to {(bin_number + 1) / BINS:.1f}"


def reliability_table(rows: pd.DataFrame, dataset: str, confidence: float) -> Table:
    """Return one data set's shares of right predictions by confidence; empty bins are left out."""
    caption = f"Confidence and share of right predictions on {dataset}, with {percent(confidence)} interval."
    shown = [*columns(str, group="Group"), *columns(bin_text, bin="Confidence")]
    shown += columns(whole, count="Predictions#", models="Models#")
    shown += columns(partial(number, decimals=3), confidence_mean="Mean confidence#")
    shown.append(("Right#", lambda row: cell(number(row["correct_share"], 3), note=ends_text(row, 3))))
    return listed(caption, rows, shown)
