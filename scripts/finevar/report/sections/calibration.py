"""The report's section on calibration: what the loss is made of, and whether confidences can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.analyses.calibration import PARTS
from finevar.report.groups import group
from finevar.report.sections.reliability import (
    BESIDE_TITLES,
    geometric_mean,
    mean_cells,
    places_group,
    reliability_group,
)
from finevar.report.tables import Table, cell, ranged, table
from finevar.words.formatting import (
    counted,
    estimate,
    factor_label,
    interval,
    joined,
    level,
    number,
    p_text,
    percent,
    significant,
)

TITLE = "Loss and calibration"
PLACE = 20
PART_WORDS = {"loss": "loss", "refinement": "refinement", "calibration_loss": "calibration loss"}
WHAT_CHANGES = {"refinement": "discrimination", "calibration_loss": "confidence"}

Tables = Mapping[str, pd.DataFrame]
Row = Mapping[str, Any]
Section = dict[str, Any]


def section(tables: Tables, labels: Mapping[str, str], factors: Sequence[str], confidence: float) -> Section:
    """Return the loss in its parts by factor and group of points, and how often confidences are right.

    tables: metrics, effects, calibration, calibration_effects and reliability.
    """
    parts = tables["calibration"]
    runs = parts[parts["role"] == "run"]
    if runs.empty:
        return {"finding": "No run has finished with predictions, so the loss cannot be taken apart.", "groups": []}
    runs = runs.merge(tables["metrics"][["dataset", "run_id", *factors]], on=["dataset", "run_id"])
    parted = parted_factors(tables, labels)
    finding = f"{mean_sentence(runs)} {parted_finding(parted, tables, labels)}"
    groups = [
        loss_group(tables, runs, labels, factors, parted, confidence),
        places_group(parts, runs, tables["reliability"], factors),
        reliability_group(tables["reliability"], confidence),
    ]
    return {"finding": finding, "groups": groups}


# What the loss is made of ---------------------------------------------------------------------------------------------


def mean_sentence(runs: pd.DataFrame) -> str:
    """Say how much of the runs' mean loss is calibration loss."""
    loss, extra = runs["loss"].mean(), runs["calibration_loss"]
    return (
        f"Of the mean loss of {number(loss, 3)} ({counted(len(runs), 'finished run')}), {significant(extra.mean())} "
        f"({100 * extra.mean() / loss:.0f} %; {significant(extra.min())} to {significant(extra.max())} by run) is "
        "calibration loss: it would go if each run's logits were divided by one temperature that suits the test set."
    )


def parted_finding(parted: Mapping[str, str], tables: Tables, labels: Mapping[str, str]) -> str:
    """Say along which factors loss and accuracy part, and what changed there."""
    if tables["calibration_effects"]["change"].isna().all() or "accuracy" not in labels:
        return ""
    if not parted:
        return "Along no factor did loss rise without accuracy falling, as far as intervals tell."
    told = [f"{factor_label(name)} (what got worse: {changed})" for name, changed in parted.items()]
    return f"Loss rose while accuracy was not shown to fall along {joined(told)}."


def parted_factors(tables: Tables, labels: Mapping[str, str]) -> dict[str, str]:
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


def accuracy_effect(tables: Tables, labels: Mapping[str, str], factor: str) -> Row | None:
    """Return the row of a factor's effect on accuracy; None where accuracy is no response or was stopped by a gate."""
    effects = tables["effects"]
    rows = effects[(effects["response"] == "accuracy") & (effects["factor"] == factor)]
    return rows.iloc[0].to_dict() if "accuracy" in labels and len(rows) else None


def loss_group(
    tables: Tables,
    runs: pd.DataFrame,
    labels: Mapping[str, str],
    factors: Sequence[str],
    parted: Mapping[str, str],
    confidence: float,
) -> dict[str, Any]:
    """Return how each factor moves the loss and its parts."""
    changes = tables["calibration_effects"]
    stopped = changes[changes["change"].isna()].to_dict("records")
    told = [factor_sentence(tables, runs, labels, name, confidence) for name in factors]
    told += [f"No change of {PART_WORDS[row['response']]} is told: {row['reason']}" for row in stopped]
    told += [own_temperature_sentence(tables["metrics"], runs)]
    levels = levels_table(runs, factors)
    grids = [changes_table(changes, factors, confidence)] if changes["change"].notna().any() else []
    return group("What the loss is made of", told, figures=["calibration"], tables=grids, folded=[levels])


def factor_sentence(
    tables: Tables, runs: pd.DataFrame, labels: Mapping[str, str], factor: str, confidence: float
) -> str:
    """Say how the loss changes along a factor, in which part, and what accuracy and confidence do meanwhile."""
    changes = tables["calibration_effects"]
    rows = changes[(changes["factor"] == factor) & changes["change"].notna()].to_dict("records")
    if not rows:
        return ""
    shown = joined([f"{PART_WORDS[row['response']]} by {changed(row)}" for row in rows])
    ends = runs.groupby(factor)
    low, high = min(ends.groups), max(ends.groups)
    accuracy = accuracy_effect(tables, labels, factor)
    beside = "" if accuracy is None else f", while accuracy changes by {changed(accuracy)}"
    heat = ends["temperature"].agg(geometric_mean)
    ece, brier = ends["ece"].mean(), ends["brier"].mean()
    return (
        f"From {level(low)} to {level(high)} of {factor_label(factor)}, the others at their centre, the fitted "
        f"surfaces change {shown} ({percent(confidence)} intervals in brackets){beside}. Over all runs at those two "
        f"levels, the best temperature is {number(heat[low], 2)} and {number(heat[high], 2)} (above 1: too sure), ECE "
        f"{number(ece[low], 3)} and {number(ece[high], 3)}, Brier score {number(brier[low], 3)} and "
        f"{number(brier[high], 3)}."
    )


def changed(row: Row) -> str:
    """Print a change with its interval in brackets."""
    spread = (row["ci_high"] - row["ci_low"]) / 2
    return f"{estimate(row['change'], spread)} ({interval(row['ci_low'], row['ci_high'])})"


def own_temperature_sentence(metrics: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Say how the temperature was found, what that does to the figures, and which runs are left out."""
    sizes = metrics.loc[metrics["status"] == "ok", "eval_examples"].dropna()
    smallest = "" if sizes.empty else f", {significant(1 / (2 * sizes.min()))} with {int(sizes.min()):,} sentences"
    left = int((metrics["status"] == "diverged").sum())
    out = (
        f" {counted(left, 'diverged run')} without predictions {'is' if left == 1 else 'are'} left out." if left else ""
    )
    edge = int(runs["reason"].notna().sum())
    held = f" For {counted(edge, 'run')} {runs['reason'].dropna().iloc[0]}." if edge else ""
    return (
        "Each run's best temperature is found on the test sentences themselves, so that even a model whose confidences "
        f"are right shows a calibration loss of about 1 / (2 n){smallest}.{held}{out}"
    )


def changes_table(changes: pd.DataFrame, factors: Sequence[str], confidence: float) -> Table:
    """Return the change of the loss and its parts along each factor."""
    found = {(row["factor"], row["response"]): row for row in changes.dropna(subset="change").to_dict("records")}
    rows = [[factor_label(name), *(change_cell(found.get((name, part))) for part in PARTS)] for name in factors]
    caption = (
        "Change from a factor's lowest to its highest level, the others at their centre, with "
        f"{percent(confidence)} interval and unadjusted p; the change of loss is the sum of the other two."
    )
    return table(caption, ["Factor", "Loss#", "Refinement#", "Calibration loss#"], rows)


def change_cell(row: Row | None) -> dict[str, Any]:
    """Return a change with its interval and p."""
    if row is None:
        return cell("")
    shown = ranged(row["change"], row["ci_low"], row["ci_high"])
    return shown | {"note": f"{shown['note']}; p {p_text(row['p_value'])}"}


def levels_table(runs: pd.DataFrame, factors: Sequence[str]) -> Table:
    """Return the means of the loss's parts and of what stands beside them at each level of each factor."""
    rows = []
    for factor in factors:
        for at, own in runs.groupby(factor):
            rows.append([f"{factor_label(factor)} {level(at)}", f"{len(own):,}", *mean_cells(own)])
    return table("Means over all runs at a level; temperatures geometric.", ["Level", "Runs#", *BESIDE_TITLES], rows)
