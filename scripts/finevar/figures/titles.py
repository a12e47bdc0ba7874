"""What each figure shows, in words above it: a finding where a verdict or an interval supports it, else its subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace

import numpy as np
import pandas as pd

from finevar.analyses.epochs import epoch_means, lowest_early
from finevar.analyses.recommended import levels_of, recommended_point
from finevar.analyses.tuning import enough_draws, smallest_effects
from finevar.figures.names import response_of
from finevar.figures.slices import measured, predictions
from finevar.figures.variability import source_label
from finevar.metrics import towards
from finevar.study.coding import Codings, coded_of
from finevar.tables import as_rows
from finevar.words.effects import separate, verdict_sentence, whole
from finevar.words.findings import epochs_sentence, interactions, interactions_sentence, notable_pairs, pair_row
from finevar.words.formatting import (
    counted,
    factor_label,
    joined,
    levels_there,
    response_label,
    response_labels,
    sentence_case,
    settings_list,
)
from finevar.words.numbers import is_missing, number, significant, whole_percent

Tables = Mapping[str, pd.DataFrame]
Title = Callable[[Tables, SimpleNamespace, str], str]


def effects_title(effects: pd.DataFrame) -> str:
    """Name the factors with an effect, and the metrics that they moved."""
    shown = whole(separate(effects)).query("verdict == 'effect'")
    labels = {name: response_label(name) for name in shown["response"]}
    return verdict_sentence(shown, "effect", labels).rstrip(".")


def coefficients_title(coefficients: pd.DataFrame) -> str:
    """Name the factors that interact."""
    rows = interactions(coefficients).query("verdict == 'effect'")
    labels = {name: response_label(name) for name in rows["response"]}
    return interactions_sentence(rows.to_dict("records"), labels).rstrip(".") or "Coefficients of the fitted surfaces"


def importance_title(importance: pd.DataFrame) -> str:
    """Name the factor that matters most to the first metric, where its interval lies above all others'."""
    rows = importance.dropna(subset=["shapley", "shapley_ci_low", "shapley_ci_high"])
    rows = rows[rows["response"] == rows["response"].iloc[0]].sort_values("shapley") if len(rows) else rows
    if len(rows) > 1 and rows["shapley_ci_low"].iloc[-1] > rows["shapley_ci_high"].iloc[:-1].max():
        label = response_label(rows["response"].iloc[-1])
        return f"{sentence_case(factor_label(rows['factor'].iloc[-1]))} matters most to {label}"
    return "How much each hyperparameter matters to each metric"


def gain_title(gain_shares: pd.DataFrame) -> str:
    """Name the factors that bring some of the first metric's gain: of an interval, at all factors at once, off zero."""
    rows = gain_shares.dropna(subset="estimate")
    rows = rows[rows["response"] == rows["response"].iloc[0]] if len(rows) else rows
    sign = towards(rows["response"].iloc[0]) if len(rows) else 1
    ends = rows["simultaneous_low"] if sign > 0 else -rows["simultaneous_high"]
    shown = rows[(rows["factor"] != "") & (ends > 0)].sort_values("estimate", key=abs, ascending=False)
    if shown.empty:
        return "What each hyperparameter brings of the recommended setting's gain"
    whole = number(rows.loc[rows["factor"] == "", "estimate"].iloc[0], 3, sign=True)
    parts = [f"{factor_label(row['factor'])} brings {number(row['estimate'], 3, sign=True)}" for row in as_rows(shown)]
    return f"Of the predicted {whole} in {response_label(rows['response'].iloc[0])}, {joined(parts)}"


def main_effects_title(effects: pd.DataFrame) -> str:
    """Say for each metric along which factors with an effect it rises and falls, the others mid-range."""
    shown = separate(effects).query("verdict == 'effect'")
    parts = [rise_and_fall(rows, response_label(name)) for name, rows in shown.groupby("response", sort=False)]
    return sentence_case("; ".join(filter(None, parts))) or "Each metric along each hyperparameter"


def rise_and_fall(rows: pd.DataFrame, label: str) -> str:
    """Say with which factors a metric rises and falls: those whose change over their range has an interval off zero."""
    ways = {
        "rises": rows.loc[rows["ci_low"] > 0, "factor"],
        "falls": rows.loc[rows["ci_high"] < 0, "factor"],
    }
    parts = [f"{way} with {joined(list(map(factor_label, found)))}" for way, found in ways.items() if len(found)]
    return f"{label} {' and '.join(parts)}" if parts else ""


def interplay_title(coefficients: pd.DataFrame, interplay: pd.DataFrame) -> str:
    """Say on which metrics the drawn pair interacts."""
    if not (pairs := notable_pairs(coefficients, interplay)):
        return ""
    rows = interactions(coefficients)
    found = {name: pair_row(rows, name, pairs[0]) for name in dict.fromkeys(rows["response"])}
    shown = [response_label(name) for name, row in found.items() if row and row["verdict"] == "effect"]
    first, second = map(factor_label, pairs[0])
    if shown:
        return f"{sentence_case(first)} and {second} interact on {joined(shown)}"
    return f"Slope of {first} over {second}: no interaction is shown"


def surface_title(tables: Tables, response: str, factors: Codings) -> str:
    """Name the slices' setting, with what is predicted and what was measured there."""
    metrics = tables["metrics"]
    label = response_labels(metrics, [response])[response]
    levels = levels_of(recommended_point(tables), metrics, factors)
    if not levels or response not in set(tables["coefficients"]["response"]):
        return f"Predicted {label}, the other hyperparameters mid-range"
    coded = coded_of(factors, {name: [value] for name, value in levels.items()})
    at = predictions(tables, response, factors, coded)["predicted"].iloc[0]
    tried = measured(metrics, response, factors)
    here = np.logical_and.reduce([tried[name] == value for name, value in levels_there(levels).items()])
    seen = tried.loc[here, "mean"]
    values = [f"{number(value, 3)} {word}" for value, word in zip([*seen, at], ["measured", "predicted"], strict=False)]
    return f"{sentence_case(label)} around the recommended setting ({settings_list(levels)}): {joined(values)}"


def epochs_title(evaluations: pd.DataFrame, factors: Codings) -> str:
    """Say at how many settings the loss had been lower before the last epoch."""
    return epochs_sentence(*lowest_early(epoch_means(evaluations, list(factors)), list(factors))).rstrip(".")


def calibration_title(effects: pd.DataFrame) -> str:
    """Say with which factors the loss of calibration rises and falls."""
    rows = effects[effects["response"] == "calibration_loss"].dropna(subset="change")
    found = rise_and_fall(rows, "calibration loss (confidence)")
    return sentence_case(found) or "What moves the parts of the loss, and how often confidences are right"


def variability_title(variability: pd.DataFrame) -> str:
    """Name the largest source of variance in the first metric."""
    rows = variability.dropna(subset="share")
    if rows.empty:
        return ""
    rows = rows[rows["response"] == rows["response"].iloc[0]]
    most = rows.loc[rows["share"].idxmax()]
    source, label = sentence_case(source_label(most["component"])), response_label(most["response"])
    return f"{source} is the largest estimated source of variance in {label}: {whole_percent(most['share'])}"


def tradeoffs_title(pareto_points: pd.DataFrame) -> str:
    """Count the settings on the Pareto front, and those that are shown to be dominated."""
    if pareto_points.empty:
        return ""
    rows = pareto_points[pareto_points["dataset"] == pareto_points["dataset"].min()]  # "" is all data sets together
    efficient, dominated = int(rows["efficient"].sum()), int((rows["verdict"] == "dominated").sum())
    behind = f"; {dominated} are shown to be dominated" if dominated else ""
    return f"{efficient} of {counted(len(rows), 'setting')} are on the Pareto front{behind}"


def tuning_title(tuning_curves: pd.DataFrame, fits: pd.DataFrame) -> str:
    """Say from how many runs on more of them hardly raise the expected best in the first metric."""
    rows = tuning_curves.dropna(subset="expected")
    if rows.empty:
        return ""
    response, dataset = rows[["response", "dataset"]].iloc[0]
    smallest = smallest_effects(fits).get(response)
    enough = enough_draws(rows[(rows["response"] == response) & (rows["dataset"] == dataset)], smallest)
    if enough is None or is_missing(smallest):
        return "The expected best of some runs"
    runs, label = counted(int(enough["draws"]), "random run"), response_label(response)
    return f"After {runs}, more improve the expected best {label} by {significant(smallest)} at most"


TITLES: dict[str, Title] = {  # by kind: of tables, what the config says and the figure's name
    "effects": lambda tables, params, name: effects_title(tables["effects"]),
    "coefficients": lambda tables, params, name: coefficients_title(tables["coefficients"]),
    "importance": lambda tables, params, name: importance_title(tables["importance"]),
    "gain": lambda tables, params, name: gain_title(tables["gain_shares"]),
    "main_effects": lambda tables, params, name: main_effects_title(tables["effects"]),
    "interplay": lambda tables, params, name: interplay_title(tables["coefficients"], tables["interplay"]),
    "surface": lambda tables, params, name: surface_title(tables, response_of(name), params.factors),
    "learning_curves": lambda tables, params, name: "Training loss by epoch",
    "epoch_evaluations": lambda tables, params, name: epochs_title(tables["epoch_evaluations"], params.factors),
    "calibration": lambda tables, params, name: calibration_title(tables["calibration_effects"]),
    "variability": lambda tables, params, name: variability_title(tables["variability"]),
    "tradeoffs": lambda tables, params, name: tradeoffs_title(tables["pareto_points"]),
    "tuning_curves": lambda tables, params, name: tuning_title(tables["tuning_curves"], tables["fits"]),
}
