"""Calibration in the report, by group of points: what their losses are made of, and how often confidence is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from finevar.analyses.calibration import BINS, PARTS
from finevar.report.groups import group
from finevar.report.tables import Table, cell, table
from finevar.words.formatting import number, percent, settings_text

BESIDE = ("accuracy", *PARTS, "temperature", "ece", "brier")
BESIDE_TITLES = ("Accuracy#", "Loss#", "Refinement#", "Calibration loss#", "Best temperature#", "ECE#", "Brier score#")
MOST_TOLD = 3  # data sets that have sentences of their own

Row = Mapping[str, Any]


def geometric_mean(values: pd.Series) -> float:
    """Return the geometric mean of some temperatures."""
    return float(np.exp(np.log(values).mean()))


def mean_cells(runs: pd.DataFrame) -> list[str]:
    """Return the means of the loss's parts and of what stands beside them."""
    means = runs[list(BESIDE)].mean().to_dict()
    means["temperature"] = geometric_mean(runs["temperature"])
    return [number(means[name], 2 if name == "temperature" else 3) for name in BESIDE]


# Groups of points -----------------------------------------------------------------------------------------------------


def places_group(
    parts: pd.DataFrame, runs: pd.DataFrame, reliability: pd.DataFrame, factors: Sequence[str]
) -> dict[str, Any]:
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
    names = list(dict.fromkeys(place["dataset"] for place in places))
    told = [places_sentence(runs[runs["dataset"] == name], name, factors) for name in names[:MOST_TOLD]]
    return group("Best accuracy, best loss and highest loss", told, tables=[grid])


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


def reliability_group(reliability: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Return how often each group of models is right at its confidences."""
    told = []
    datasets = list(dict.fromkeys(reliability["dataset"]))
    for dataset in datasets[:MOST_TOLD]:
        rows = reliability[reliability["dataset"] == dataset]
        told += [fullest_bin_sentence(own, confidence) for _, own in rows.groupby("group", sort=False)]
    if len(datasets) > MOST_TOLD:
        told.append(f"The tables hold the other {len(datasets) - MOST_TOLD} data sets as well.")
    told.append(
        "The seeds of a point meet the same sentences, so the intervals (Wilson) count a bin's predictions per seed, "
        "not all of them; they are as wide as if seeds agreed fully."
    )
    folded = [reliability_table(own, str(name), confidence) for name, own in reliability.groupby("dataset", sort=False)]
    return group("How often confidence is right", told, folded=folded)


def fullest_bin_sentence(rows: pd.DataFrame, confidence: float) -> str:
    """Say how often one group is right where most of its predictions lie."""
    row = rows.loc[rows["count"].idxmax()]
    share = 100 * row["count"] / rows["count"].sum()
    right = f"{number(row['correct_share'], 3)} of them are right"
    span = f"{percent(confidence)} interval {number(row['ci_low'], 3)} to {number(row['ci_high'], 3)}"
    return (
        f"{row['group'].capitalize()} on {row['dataset']}: {share:.0f} % of predictions have a confidence of "
        f"{bin_text(row['bin'])}, on average {number(row['confidence_mean'], 3)}, and {right} ({span}): {surety(row)}."
    )


def surety(row: Row) -> str:
    """Say whether a bin's models are too sure, by its interval."""
    if row["ci_high"] < row["confidence_mean"]:
        return "too sure"
    return "not sure enough" if row["ci_low"] > row["confidence_mean"] else "no more and no less sure than can be told"


def bin_text(bin_number: float) -> str:
    """Print a bin's range of confidence."""
    return f"{bin_number / BINS:.1f} to {(bin_number + 1) / BINS:.1f}"


def reliability_table(rows: pd.DataFrame, dataset: str, confidence: float) -> Table:
    """Return one data set's shares of right predictions by confidence; empty bins are left out."""
    printed = [
        [
            row["group"],
            bin_text(row["bin"]),
            f"{int(row['count']):,}",
            f"{int(row['models'])}",
            number(row["confidence_mean"], 3),
            cell(number(row["correct_share"], 3), note=f"{number(row['ci_low'], 3)} to {number(row['ci_high'], 3)}"),
        ]
        for row in rows.to_dict("records")
    ]
    caption = f"Confidence and share of right predictions on {dataset}, with {percent(confidence)} interval."
    columns = ["Group", "Confidence", "Predictions#", "Models#", "Mean confidence#", "Right#"]
    return table(caption, columns, printed)
