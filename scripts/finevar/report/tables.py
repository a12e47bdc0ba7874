"""The report's tables on effects, fits, design, baseline, settings and provenance: tidy rows to printed cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from finevar.metrics import OF_CALIBRATION
from finevar.report.cells import (
    ADJUSTED,
    DATASET,
    P_VALUE,
    VERDICT,
    cell,
    columns,
    crossed,
    level_columns,
    listed,
    metric_column,
    metric_titles,
    ranged,
    table,
    whole,
)
from finevar.report.parts import Cell, Column, Labels, Row, Table
from finevar.statistics.verdicts import EFFECT
from finevar.study.coding import Codings, exists
from finevar.study.settings import MODEL
from finevar.words.data import account_sentence
from finevar.words.design import levels_words
from finevar.words.effects import effect_label, is_named, largest_ends, range_words
from finevar.words.formatting import (
    factor_label,
    held_levels,
    response_label,
    sentence_case,
    settings_list,
    term_label,
    unit_label,
)
from finevar.words.numbers import (
    NOTHING,
    PLUS_MINUS,
    estimated,
    is_missing,
    level,
    number,
    percent,
    significant,
    span,
)

FACT_WORDS = {
    "read": "examples read",
    "files": "examples read from each file",
    "dropped_unlabelled": "dropped: without a label",
    "dropped_empty": "dropped: without a text",
    "texts_in_marks": "texts within quotation marks, which were kept; `quoting: minimal` takes them off",
    "dropped_within_margin": "dropped: rating within the margin",
    "html_decoded": "texts with HTML entities decoded",
    "dropped_contradictory": "dropped: same text with different labels",
    "dropped_repeats": "dropped: repeats of a text",
    "dropped_rare": "dropped: of a class with few examples",
    "rare_classes": "classes left out, with their examples",
    "folded_labels": "labels that are another spelling of a class, with their examples",
    "dropped_in_eval": "dropped from training: also in the evaluation part",
    "train": "training examples",
    "eval": "evaluation examples",
    "held_back": "examples held back for confirmation",
    "classes": "classes",
    "train_share": "share of each class in training",
    "positive": "class that is rarer in training",
    "data_sha256": "SHA-256 of texts and labels",
}
SOFTWARE_WORDS = {
    "engine": "training engine",
    "python": "Python",
    "torch": "PyTorch",
    "device": "device",
    "threads": "threads",
    "dtype_used": "arithmetic",
    "model_sha256": "SHA-256 of the starting weights",
}
SQUARES = columns(  # of a fit
    partial(number, decimals=3),
    r2="R\N{SUPERSCRIPT TWO}#",
    r2_adjusted="Adj. R\N{SUPERSCRIPT TWO}#",
    r2_predicted="Pred. R\N{SUPERSCRIPT TWO}#",
)


def verdict_matrix(effects: pd.DataFrame, labels: Labels) -> Table:
    """Return one row a factor, and a data set where these differ, one column a response: verdict, largest change."""
    caption = (
        "The verdict on each hyperparameter over all settings tried. Of an effect: the largest change between two of "
        "its levels, with its interval; else: the range that the intervals of all changes span."
    )
    about = pd.Series(list(zip(effects["factor"], effects["dataset"], strict=True)), effects.index, dtype=object)
    rows = {(row["factor"], row["dataset"]): [with_ends(row)] for row in effects.to_dict("records")}
    factors = {key: rows[key] for key in sorted(rows, key=lambda key: list(effects["factor"]).index(key[0]))}
    known = {name: title for name, title in metric_titles(labels).items() if name in set(effects["response"])}
    shown = {"": matrix_cell}
    return crossed(caption, effects.assign(about=about), ("about", "response"), ["Factor"], factors, known, shown)


def matrix_cell(row: Row) -> Cell:
    """Return a cell with the verdict on an effect and its largest change, or what all its intervals reach over."""
    if is_missing(row["verdict"]):
        return cell(NOTHING, note="differs between data sets" if row["datasets_differ"] else row["reason"])
    found = ranged(row, "largest", "largest") if row["verdict"] == EFFECT else cell(span(row, "simple"))
    return found | {"verdict": row["verdict"]}


def with_ends(row: Row) -> Cell:
    """Return a cell with a factor, and the levels that a change is between."""
    if is_named(row):
        return cell(effect_label(row), note="any two levels" if is_missing(row["change"]) else "")
    return cell(effect_label(row), note=range_words(row).removeprefix("from "))


def effects_table(effects: pd.DataFrame, labels: Labels, confidence: float) -> Table:
    """Return one row a factor and response, in natural units."""

    def slope(row: Row) -> Cell:
        found, unit = ranged(row, "per_unit", "per_unit_ci"), unit_label(row["unit"], row["factor"])
        return found if found["text"] == NOTHING else found | {"text": f"{found['text']} {unit}"}

    def largest(row: Row) -> Cell:
        where = largest_ends(row).removeprefix("from ")
        at = settings_list(held_levels(row["largest_at"]))
        ends = f"({span(row, 'largest')}), {where}{f' at {at}' if at else ''}"
        return cell(estimated(row, "largest", "largest"), note="" if is_missing(row["largest"]) else ends)

    shown = [("Factor", with_ends), ("Largest change#", largest)]
    shown += [("Mid-range#", partial(ranged, name="change")), ("Slope mid-range#", slope)]
    caption = (
        f"Effects in natural units, with {percent(confidence)} intervals: the most significant change between two "
        "levels at any setting of the others, the change over the whole range with the others mid-range, and its slope."
    )
    return listed(caption, effects, [*metric_column(labels), *shown, P_VALUE, ADJUSTED, VERDICT])


def coefficients_table(coefficients: pd.DataFrame, response: str, label: str, units: str) -> Table:
    """Return one row a term: the absolute and the relative reading of one fit side by side."""
    rows = coefficients[(coefficients["response"] == response) & (coefficients["units"] == units)]
    absolute, relative = (rows[rows["framework"] == name] for name in ("absolute", "relative"))
    other = {row["term"]: row for row in relative.to_dict("records")}
    both = [("Relative#", ranged), P_VALUE]
    beside = [
        (title, lambda row, show=show: show(other[row["term"]]) if row["term"] in other else NOTHING)
        for title, show in both
    ]
    named = columns(term_label, term="Term") + (columns(unit_label, unit="Unit") if units == "natural" else [])
    shown = [*named, ("Absolute#", ranged), P_VALUE, *beside, ADJUSTED, VERDICT]
    return listed(f"{sentence_case(label)} in {units} units", absolute, shown)


def fits_table(fits: pd.DataFrame, labels: Labels) -> Table:
    """Return one row a fitted response."""
    errors = ", ".join(dict.fromkeys(fits["covariance"].dropna()))
    how = f" Standard errors are {errors}." if errors else ""
    shown = [*metric_column(labels), *columns(whole, runs="Runs#", parameters="Terms#"), *SQUARES]
    shown += columns(
        significant, residual_sd="Residual SD#", pure_error_sd="Pure error SD#", test_set_se="Test-set SE#"
    )
    shown += columns(significant, smallest_effect="Smallest effect#")
    return listed(f"The fits. Pure error is the spread of seeds within a setting.{how}", fits, shown)


def factors_table(factors: Codings, own: Row) -> Table:
    """Return one row a factor: its levels, its coding and the baseline's own value."""
    levels = {name: levels_words(coding) for name, coding in factors.items()}
    return coded_table("Factors", "Levels", levels, factors, own)


def coded_table(caption: str, title: str, levels: Mapping[str, str], factors: Codings, own: Row) -> Table:
    """Return one row a factor: its levels in words under a title, its coding and the baseline's own value."""
    rows = [
        [
            factor_label(name),
            levels[name],
            coding.scale,
            level(own[name]) if name in own and exists(coding, own) else NOTHING,
        ]
        for name, coding in factors.items()
    ]
    return table(caption, ["Factor", title, "Coding", "Baseline's own"], rows)


def lost_runs(metrics: pd.DataFrame) -> Table | None:
    """Return the excluded runs (missing, diverged, collapsed) by name, or None."""
    lost = metrics.loc[metrics["status"] != "ok", ["run_id", "dataset", "seed", "status", "reason"]]
    columns = ["Run", "Data set", "Seed#", "Status", "Reason"]
    return None if lost.empty else table("Runs that no metric counts", columns, lost.to_numpy())


def baselines_table(frozen: pd.DataFrame, again: pd.DataFrame, labels: Labels) -> Table:
    """Return one row a data set and baseline: B0 as it is, B1 the runs at its own levels with the study's seeds."""
    responses = with_calibration(labels)
    rows = []
    for where, row, runs in each_baseline(frozen, again):
        rows.append([where, "B0, frozen", *(number(row[name]) for name in responses)])
        if len(runs):
            rows.append([where, "B1, its own levels", *(spread(runs[name]) for name in responses)])
    caption = f"The baselines; B1 is mean {PLUS_MINUS} standard deviation over seeds."
    return table(caption, ["Data set", "Baseline", *metric_titles(responses).values()], rows)


def each_baseline(frozen: pd.DataFrame, again: pd.DataFrame) -> Iterator[tuple[str, Row, pd.DataFrame]]:
    """Yield each baseline's data set, with its model where there are several, its row, and the runs at its levels."""
    for row in frozen.to_dict("records"):
        runs, model = again[again["dataset"] == row["dataset"]], row.get(MODEL)
        where = f"{row['dataset']} ({model})" if model else row["dataset"]
        yield where, row, runs[runs[MODEL] == model] if model else runs


def with_calibration(labels: Labels) -> dict[str, str]:
    """Return the responses' names with ECE and Brier beside them."""
    return dict(labels) | {name: response_label(name) for name in OF_CALIBRATION}


def spread(values: pd.Series) -> str:
    """Print mean and standard deviation over runs."""
    values = values.dropna()
    if values.empty:
        return NOTHING
    return number(values.mean()) + (f" {PLUS_MINUS} {number(values.std())}" if len(values) > 1 else "")


def point_means(metrics: pd.DataFrame, responses: Sequence[str], factors: Sequence[str]) -> pd.DataFrame:
    """Return one row a setting and data set: levels, and mean, sd and number of runs of each response."""
    grouped = metrics[metrics["status"] == "ok"].groupby(["dataset", "point_id"], sort=False)
    shown = list(dict.fromkeys([*responses, *OF_CALIBRATION]))
    parts = [grouped[list(factors)].first(), grouped.size().rename("runs")]
    parts += [grouped[shown].mean(), grouped[shown].std().add_suffix("_sd")]
    return pd.concat(parts, axis=1).reset_index()


def point_columns(labels: Labels, factors: Sequence[str]) -> list[Column]:
    """Return the columns of a setting's levels and its responses' means and standard deviations."""

    def mean(row: Row, name: str) -> Cell:
        sd = row[f"{name}_sd"]
        return cell(number(row[name]), note="" if is_missing(sd) else f"{PLUS_MINUS} {number(sd)}")

    means = [(title, partial(mean, name=name)) for name, title in metric_titles(labels).items()]
    return [*level_columns(factors), *means]


def all_points(points: pd.DataFrame, *, labels: Labels, factors: Sequence[str]) -> Table:
    """Return every setting."""
    shown = [DATASET, *point_columns(labels, factors), *columns(whole, runs="Runs#")]
    return listed("All settings", points, shown)


def all_runs(metrics: pd.DataFrame, *, labels: Labels, factors: Sequence[str], several: bool) -> Table:
    """Return every run."""
    shown = [*columns(str, run_id="Run"), *([DATASET] if several else []), *level_columns(factors)]
    shown += [*columns(whole, seed="Seed#"), *columns(str, status="Status"), *columns(number, **metric_titles(labels))]
    shown += columns(partial(number, decimals=1), train_seconds="Training s#")
    return listed("All runs", metrics, shown)


def software_table(metrics: pd.DataFrame) -> Table:
    """Return what the runs were made with, all values where they differ."""
    values = {column: map(str, metrics[column].dropna().convert_dtypes().unique()) for column in SOFTWARE_WORDS}
    rows = [[title, ", ".join(values[column]) or NOTHING] for column, title in SOFTWARE_WORDS.items()]
    return table("What the runs were made with.", ["What", "Value"], rows)


def dataset_facts(name: str, facts: Mapping[str, Any]) -> Table:
    """Return what the preparation of a data set found and did."""
    rows = [[FACT_WORDS.get(key, key.replace("_", " ")), fact_text(value)] for key, value in facts.items()]
    return table(f"Data set {name}. {account_sentence(facts)}", ["What", "Value"], rows)


def sources_table(sources: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return where model and data come from."""
    rows = [[name, ", ".join(f"{key} {value}" for key, value in spec.items())] for name, spec in sources.items()]
    return table("Sources of model and data.", ["Source", "What and where"], rows)


def fact_text(value: Any) -> str:
    """Print a fact: a count, a list, a text."""
    if isinstance(value, (list, tuple)):
        return ", ".join(fact_text(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {fact_text(item)}" for key, item in value.items())
    if isinstance(value, (bool, str)):
        return str(value)
    if is_missing(value):
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
