"""The report's section on calibration: what the loss is made of, and whether confidences can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from finevar.analyses.calibration import BINS, PARTS
from finevar.reasons import FAILED
from finevar.report.cells import cell, columns, crossed, listed, ranged, rounded_span, table, whole
from finevar.report.parts import Cell, Group, Labels, Row, Section, Table, Tables, group
from finevar.study.kinds import TRAINED
from finevar.words.formatting import counted, factor_label, joined, settings_text
from finevar.words.numbers import estimated, level, number, p_text, percent, significant, span, whole_percent

PART, PLACE, TITLE = "errors", 20, "Calibration"
STUDIES = (TRAINED,)
PART_WORDS = {"loss": "loss", "refinement": "refinement", "calibration_loss": "calibration loss"}
WHAT_CHANGES = {"refinement": "discrimination", "calibration_loss": "confidence"}
BESIDE = ("accuracy", *PARTS, "temperature", "ece", "brier")
BESIDE_TITLES = ("Accuracy#", "Loss#", "Refinement#", "Calibration loss#", "Best temperature#", "ECE#", "Brier score#")
MOST_NAMED = 3  # data sets that have sentences of their own


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return the loss in its parts by factor and group of points, and how often confidences are right.

    tables: metrics, effects, calibration, calibration_effects and reliability.
    """
    parts = tables["calibration"]
    runs = parts[parts["role"] == "run"]
    if runs.empty:
        return {"finding": "No run has finished with predictions, so the loss cannot be taken apart.", "groups": []}
    runs = runs.merge(tables["metrics"][["dataset", "run_id", *factors]], on=["dataset", "run_id"])
    groups = [
        group("", [], figures=["calibration"]),
        loss_group(tables, runs, labels, factors, confidence),
        places_group(parts, runs, tables["reliability"], factors),
        reliability_group(tables["reliability"], confidence),
    ]
    return {"finding": mean_sentence(runs), "groups": groups}


def mean_sentence(runs: pd.DataFrame) -> str:
    """Say how much of the runs' mean loss is calibration loss."""
    loss, extra = runs["loss"].mean(), runs["calibration_loss"]
    return (
        f"Of the mean loss of {number(loss, 3)} ({counted(len(runs), 'finished run')}), {significant(extra.mean())} "
        f"({whole_percent(extra.mean() / loss)}) is calibration loss: a temperature for each run's logits would remove "
        "it."
    )


def parted_finding(parted: Mapping[str, str], tables: Tables, labels: Labels) -> str:
    """Say along which factors loss and accuracy part, and what changed there."""
    if tables["calibration_effects"]["change"].isna().all() or "accuracy" not in labels:
        return ""
    if not parted:
        return "Along no factor did loss rise without accuracy falling, as far as intervals show."
    along = [f"{factor_label(name)} (what got worse: {changed})" for name, changed in parted.items()]
    return f"Loss rose while accuracy was not shown to fall along {joined(along)}."


def parted_factors(tables: Tables, labels: Labels) -> dict[str, str]:
    """Return the factors along which loss rises and accuracy is not shown to fall, with what changed there."""
    changes = tables["calibration_effects"].dropna(subset="change")
    parted = {}
    for factor, rows in changes.groupby("factor", sort=False):
        by_part = rows.set_index("response")
        accuracy = accuracy_effect(tables, labels, factor)
        rises = "loss" in by_part.index and by_part.loc["loss", "ci_low"] > 0
        if rises and accuracy is not None and accuracy["ci_high"] > 0:
            risen = [word for part, word in WHAT_CHANGES.items() if by_part["ci_low"].get(part, 0) > 0]
            parted[factor] = joined(risen) or "undecided"
    return parted


def accuracy_effect(tables: Tables, labels: Labels, factor: str) -> Row | None:
    """Return the row of a factor's effect on accuracy; None where accuracy is no response or was stopped by a gate."""
    effects = tables["effects"]
    rows = effects[(effects["response"] == "accuracy") & (effects["factor"] == factor)]
    return rows.iloc[0].to_dict() if "accuracy" in labels and len(rows) else None


def loss_group(tables: Tables, runs: pd.DataFrame, labels: Labels, factors: Sequence[str], confidence: float) -> Group:
    """Return how each factor moves the loss and its parts."""
    changes = tables["calibration_effects"]
    stopped = changes[changes["change"].isna()].to_dict("records")
    sentences = [parted_finding(parted_factors(tables, labels), tables, labels)]
    sentences += [factor_sentence(tables, runs, labels, name, confidence) for name in factors]
    sentences += [f"No change of {PART_WORDS[row['response']]} is given: {row['reason']}" for row in stopped]
    sentences += [own_temperature_sentence(tables["metrics"], runs)]
    grids = [changes_table(changes, factors, confidence)] if changes["change"].notna().any() else []
    folded = [levels_table(runs, factors)]
    return group("What the loss is made of", sentences, tables=grids, folded=folded, fold=True)


def slides(effects: pd.DataFrame, factor: str) -> bool:
    """Say whether a number's levels slide with a category, so that there is no lowest one to compare runs at."""
    own = effects[effects["factor"] == factor]
    return bool(own["largest_from"].notna().any() and own["from_level"].isna().all())


def factor_sentence(tables: Tables, runs: pd.DataFrame, labels: Labels, factor: str, confidence: float) -> str:
    """Say how the loss changes along a factor, in which part, and what accuracy and confidence do meanwhile."""
    changes = tables["calibration_effects"]
    rows = changes[(changes["factor"] == factor) & changes["change"].notna()].to_dict("records")
    if not rows or slides(tables["effects"], factor):
        return ""
    shown = joined([f"{PART_WORDS[row['response']]} by {changed(row)}" for row in rows])
    ends = runs.groupby(factor)
    low, high = min(ends.groups), max(ends.groups)
    accuracy = accuracy_effect(tables, labels, factor)
    beside = "" if accuracy is None else f", while accuracy changes by {changed(accuracy)}"
    heat = ends["temperature"].agg(geometric_mean)
    ece, brier = ends["ece"].mean(), ends["brier"].mean()
    return (
        f"From {level(low)} to {level(high)} of {factor_label(factor)}, the others mid-range, the fitted "
        f"surfaces change {shown} ({percent(confidence)} intervals in brackets){beside}. Over all runs at those two "
        f"levels, the best temperature is {number(heat[low], 2)} and {number(heat[high], 2)} (above 1: overconfident), "
        f"ECE {number(ece[low], 3)} and {number(ece[high], 3)}, Brier score {number(brier[low], 3)} and "
        f"{number(brier[high], 3)}."
    )


def changed(row: Row) -> str:
    """Print a change with its interval in brackets."""
    return f"{estimated(row, 'change')} ({span(row)})"


def own_temperature_sentence(metrics: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Say how the temperature was found, what that does to the figures, and which runs are left out."""
    sizes = metrics.loc[metrics["status"] == "ok", "eval_examples"].dropna()
    smallest = "" if sizes.empty else f", {significant(1 / (2 * sizes.min()))} with {int(sizes.min()):,} sentences"
    left = metrics.loc[metrics["status"].isin(FAILED), "status"].value_counts()
    out = f" {joined([f'{count:,} {status}' for status, count in left.items()])} left out." if len(left) else ""
    edge = int(runs["reason"].notna().sum())
    held = f" For {counted(edge, 'run')} {runs['reason'].dropna().iloc[0]}." if edge else ""
    return (
        "Each run's best temperature is found on the test sentences themselves, so that even a model whose confidences "
        f"are right shows a calibration loss of about 1 / (2 n){smallest}.{held}{out}"
    )


def changes_table(changes: pd.DataFrame, factors: Sequence[str], confidence: float) -> Table:
    """Return the change of the loss and its parts along each factor."""

    def change(row: Row) -> Cell:
        shown = ranged(row, "change")
        return shown | {"note": f"{shown['note']}; p {p_text(row['p_value'])}"}

    caption = (
        "Change from a factor's lowest to its highest level, the others mid-range, with "
        f"{percent(confidence)} interval and unadjusted p; the change of loss is the sum of the other two."
    )
    titles = dict(zip(PARTS, ("Loss#", "Refinement#", "Calibration loss#"), strict=True))
    down = {name: [factor_label(name)] for name in factors}
    known = changes.dropna(subset="change")
    return crossed(caption, known, ("factor", "response"), ["Factor"], down, titles, {"": change})


def levels_table(runs: pd.DataFrame, factors: Sequence[str]) -> Table:
    """Return the means of the loss's parts and of what stands beside them at each level of each factor."""
    rows = [
        [f"{factor_label(factor)} {level(at)}", f"{len(own):,}", *mean_cells(own)]
        for factor in factors
        for at, own in runs.groupby(factor)
    ]
    return table("Means over all runs at a level; temperatures geometric.", ["Level", "Runs#", *BESIDE_TITLES], rows)


def geometric_mean(values: pd.Series) -> float:
    """Return the geometric mean of some temperatures."""
    return float(np.exp(np.log(values).mean()))


def mean_cells(runs: pd.DataFrame) -> list[str]:
    """Return the means of the loss's parts and of what stands beside them."""
    means = runs[list(BESIDE)].mean().to_dict()
    means["temperature"] = geometric_mean(runs["temperature"])
    return [number(means[name], 2 if name == "temperature" else 3) for name in BESIDE]


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
    return group("Best accuracy, best loss and highest loss", sentences, tables=[grid], fold=True)


def places_sentence(runs: pd.DataFrame, dataset: str, factors: Sequence[str]) -> str:
    """Say whether the point of best accuracy is that of best loss, and in which part of the loss they differ."""
    means = runs.groupby("point_id", sort=False)[["accuracy", *PARTS]].mean()
    if means.empty:
        return f"On {dataset} no run has finished."
    best, least = means["accuracy"].idxmax(), means["loss"].idxmin()
    names = {point: settings_text(own.iloc[0][list(factors)]) for point, own in runs.groupby("point_id")}
    if best == least:
        return f"On {dataset} one setting, {names[best]}, has both the best accuracy and the best loss."
    gap = means.loc[best] - means.loc[least]
    return (
        f"On {dataset} accuracy is highest at {names[best]} ({number(means['accuracy'][best], 3)}) and loss lowest at "
        f"{names[least]} ({number(means['loss'][least], 3)}). The former's loss is {number(gap['loss'], 3)} higher: "
        f"{number(gap['refinement'], 3, sign=True)} by refinement and "
        f"{number(gap['calibration_loss'], 3, sign=True)} by calibration."
    )


def reliability_group(reliability: pd.DataFrame, confidence: float) -> Group:
    """Return how often each group of models is right at its confidences."""
    sentences, datasets = [], dict(list(reliability.groupby("dataset", sort=False)))
    for rows in [*datasets.values()][:MOST_NAMED]:
        sentences += [fullest_bin_sentence(own, confidence) for _, own in rows.groupby("group", sort=False)]
    if len(datasets) > MOST_NAMED:
        sentences.append(f"The tables hold the other {len(datasets) - MOST_NAMED} data sets as well.")
    sentences.append(
        "The seeds of a setting meet the same sentences, so the intervals (Wilson) count a bin's predictions per seed, "
        "not all of them; they are as wide as if seeds agreed fully."
    )
    folded = [reliability_table(own, name, confidence) for name, own in datasets.items()]
    return group("How often confidence is right", sentences, folded=folded, fold=True)


def fullest_bin_sentence(rows: pd.DataFrame, confidence: float) -> str:
    """Say how often one group is right where most of its predictions lie."""
    row = rows.loc[rows["count"].idxmax()]
    share = row["count"] / rows["count"].sum()
    if row["ci_high"] < row["confidence_mean"]:
        surety = "overconfident"
    elif row["ci_low"] > row["confidence_mean"]:
        surety = "underconfident"
    else:
        surety = "neither overconfident nor underconfident, as far as is shown"
    return (
        f"{row['group'].capitalize()} on {row['dataset']}: {whole_percent(share)} of predictions have a confidence of "
        f"{bin_text(row['bin'])}, on average {number(row['confidence_mean'], 3)}, and "
        f"{number(row['correct_share'], 3)} of them are right ({percent(confidence)} interval {rounded_span(row, 3)}): "
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
    shown.append(("Right#", lambda row: cell(number(row["correct_share"], 3), note=rounded_span(row, 3))))
    return listed(caption, rows, shown)
