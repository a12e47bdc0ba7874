"""The report's tables: tidy rows to printed cells.

A table is {"caption", "columns": [{"title", "kind"}], "rows": [[cell, ...]]}; the first cell heads its row. A cell is
{"text", "verdict", "note"}; kind is "text" or "number".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.metrics import LOWER_IS_BETTER, OF_CALIBRATION
from finevar.study.coding import Codings
from finevar.words.formatting import (
    NOTHING,
    PLUS_MINUS,
    estimate,
    factor_label,
    interval,
    is_missing,
    level,
    number,
    p_text,
    percent,
    response_label,
    sentence_case,
    significant,
    term_label,
    unit_label,
)

FACT_WORDS = {
    "read": "examples read",
    "dropped_within_margin": "dropped: rating within the margin",
    "html_decoded": "texts with HTML entities decoded",
    "dropped_contradictory": "dropped: same text with different labels",
    "dropped_repeats": "dropped: repeats of a text",
    "dropped_in_eval": "dropped from training: also in the evaluation part",
    "train": "training examples",
    "eval": "evaluation examples",
    "classes": "classes",
    "train_share": "share of each class in training",
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

Table = dict[str, Any]


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Return a table; a column is numeric where its title ends with "#"."""
    heads = [
        {"title": title.removesuffix("#"), "kind": "number" if title.endswith("#") else "text"} for title in columns
    ]
    return {"caption": caption, "columns": heads, "rows": [[as_cell(value) for value in row] for row in rows]}


def factor_columns(names: Iterable[str]) -> list[str]:
    """Return the titles of the columns of factors' levels."""
    return [f"{sentence_case(factor_label(name))}#" for name in names]


def as_cell(value: Any) -> dict[str, Any]:
    """Return a cell of a printed value."""
    return value if isinstance(value, dict) else cell("" if is_missing(value) else str(value))


def cell(text: str, *, verdict: str | None = None, note: str = "") -> dict[str, Any]:
    """Return a cell; its verdict is drawn as a mark before the text, its note in smaller type below."""
    return {"text": text, "verdict": verdict, "note": note}


def verdict_cell(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cell with a verdict; where there is none, with the reason."""
    if is_missing(row["verdict"]):
        return cell(NOTHING, note="" if is_missing(row["reason"]) else str(row["reason"]))
    return cell(row["verdict"], verdict=row["verdict"])


def ranged(value: float | None, low: float | None, high: float | None, *, sign: bool = True) -> dict[str, Any]:
    """Return a cell with an estimate and, below it, its interval."""
    spread = None if is_missing(low) or is_missing(high) else (high - low) / 2
    return cell(estimate(value, spread, sign=sign), note="" if spread is None else interval(low, high))


# Effects and fits -----------------------------------------------------------------------------------------------------


def verdict_matrix(effects: pd.DataFrame, labels: Mapping[str, str], confidence: float) -> Table:
    """Return one row a factor, one column a response: verdict, change over all levels, interval."""
    responses = [response for response in labels if response in set(effects["response"])]
    rows = []
    for factor, found in effects.groupby("factor", sort=False):
        by_response = {row["response"]: row for row in found.to_dict("records")}
        ends = found.iloc[0]
        cells: list[Any] = [
            cell(factor_label(factor), note=f"{level(ends['from_level'])} to {level(ends['to_level'])}")
        ]
        for response in responses:
            row = by_response.get(response)
            value = cell(NOTHING) if row is None else ranged(row["change"], row["ci_low"], row["ci_high"])
            cells.append(value | {"verdict": None if row is None or is_missing(row["verdict"]) else row["verdict"]})
        rows.append(cells)
    caption = (
        f"Change of each metric from a factor's lowest to its highest level, the other factors at their centre, with "
        f"{percent(confidence)} interval."
    )
    return table(caption, ["Factor", *(f"{sentence_case(labels[name])}#" for name in responses)], rows)


def effects_table(effects: pd.DataFrame, labels: Mapping[str, str], confidence: float) -> Table:
    """Return one row a factor and response, in natural units."""
    rows = []
    for row in effects.to_dict("records"):
        slope = ranged(row["per_unit"], row["per_unit_ci_low"], row["per_unit_ci_high"])
        unit = unit_label(row["unit"], row["factor"])
        ends = f"{level(row['from_level'])} to {level(row['to_level'])}"
        rows.append(
            [
                cell(sentence_case(labels[row["response"]])),
                cell(factor_label(row["factor"]), note=ends),
                ranged(row["change"], row["ci_low"], row["ci_high"]),
                slope | {"text": f"{slope['text']} {unit}"} if slope["text"] != NOTHING else slope,
                p_text(row["p_value"]),
                p_text(row["p_adjusted"]),
                verdict_cell(row),
            ]
        )
    columns = ["Metric", "Factor", "Change#", "Slope#", "p#", "Adjusted p#", "Verdict"]
    return table(f"Effects in natural units, each with its {percent(confidence)} interval.", columns, rows)


def coefficients_table(coefficients: pd.DataFrame, response: str, label: str, units: str) -> Table:
    """Return one row a term: the absolute and the relative reading of one fit side by side."""
    rows = coefficients[(coefficients["response"] == response) & (coefficients["units"] == units)]
    sides = {name: {row["term"]: row for row in found.to_dict("records")} for name, found in rows.groupby("framework")}
    absolute, relative = sides.get("absolute", {}), sides.get("relative", {})
    printed = [coefficient_row(row, relative.get(term), units) for term, row in absolute.items()]
    columns = ["Term", "Unit"] if units == "natural" else ["Term"]
    columns += ["Absolute#", "p#", "Relative#", "p#", "Adjusted p#", "Verdict"]
    return table(f"{sentence_case(label)} in {units} units", columns, printed)


def coefficient_row(row: Mapping[str, Any], other: Mapping[str, Any] | None, units: str) -> list[Any]:
    """Return the cells of one term."""
    cells: list[Any] = [term_label(row["term"])]
    if units == "natural":
        cells.append(unit_label(row["unit"]))
    cells += [ranged(row["estimate"], row["ci_low"], row["ci_high"]), p_text(row["p_value"])]
    if other is None:
        cells += [NOTHING, NOTHING]
    else:
        cells += [ranged(other["estimate"], other["ci_low"], other["ci_high"]), p_text(other["p_value"])]
    return [*cells, p_text(row["p_adjusted"]), verdict_cell(row)]


def fits_table(fits: pd.DataFrame, labels: Mapping[str, str]) -> Table:
    """Return one row a fitted response."""
    rows = [
        [
            sentence_case(labels[row["response"]]),
            whole(row["runs"]),
            whole(row["parameters"]),
            number(row["r2"], 3),
            number(row["r2_adjusted"], 3),
            number(row["r2_predicted"], 3),
            significant(row["residual_sd"]),
            significant(row["pure_error_sd"]),
            significant(row["test_set_se"]),
            significant(row["smallest_effect"]),
        ]
        for row in fits.to_dict("records")
    ]
    square = "R\N{SUPERSCRIPT TWO}"
    columns = ["Metric", "Runs#", "Terms#", f"{square}#", f"Adj. {square}#", f"Pred. {square}#", "Residual SD#"]
    columns += ["Pure error SD#", "Test-set SE#", "Smallest effect#"]
    errors = ", ".join(dict.fromkeys(fits["covariance"].dropna()))
    how = f" Standard errors are {errors}." if errors else ""
    return table(f"The fits. Pure error is the spread of seeds within a point.{how}", columns, rows)


# Design, baseline and points ------------------------------------------------------------------------------------------


def factors_table(factors: Codings, own: Mapping[str, Any]) -> Table:
    """Return one row a factor: its levels, its coding and the baseline's own value."""
    rows = [
        [
            factor_label(name),
            ", ".join(map(level, coding.levels)),
            coding.scale,
            level(own[name]) if name in own else NOTHING,
        ]
        for name, coding in factors.items()
    ]
    return table("Factors", ["Factor", "Levels", "Coding", "Baseline's own"], rows)


def lost_runs(metrics: pd.DataFrame) -> Table | None:
    """Return the runs that no metric counts, by name, or None."""
    lost = metrics[metrics["status"] != "ok"]
    if lost.empty:
        return None
    columns = ["run_id", "dataset", "seed", "status", "reason"]
    return table(
        "Runs that no metric counts", ["Run", "Data set", "Seed#", "Status", "Reason"], lost[columns].to_numpy()
    )


def baselines_table(frozen: pd.DataFrame, again: pd.DataFrame, labels: Mapping[str, str]) -> Table:
    """Return one row a data set and baseline: B0 as it is, B1 fine-tuned at its own levels with the study's seeds."""
    responses = with_calibration(labels)
    rows = []
    for row in frozen.to_dict("records"):
        rows.append([cell(row["dataset"]), "B0, frozen", *(number(row[response]) for response in responses)])
        runs = again[again["dataset"] == row["dataset"]]
        if len(runs):
            rows.append(
                [cell(row["dataset"]), "B1, its own levels", *(spread(runs[response]) for response in responses)]
            )
    caption = f"The baselines; B1 is mean {PLUS_MINUS} standard deviation over seeds."
    return table(caption, ["Data set", "Baseline", *(f"{sentence_case(name)}#" for name in responses.values())], rows)


def with_calibration(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the responses' names with ECE and Brier beside them."""
    return dict(labels) | {name: response_label(name) for name in OF_CALIBRATION}


def spread(values: pd.Series) -> str:
    """Print mean and standard deviation over runs."""
    values = values.dropna()
    if values.empty:
        return NOTHING
    return number(values.mean()) + (f" {PLUS_MINUS} {number(values.std())}" if len(values) > 1 else "")


def point_means(metrics: pd.DataFrame, responses: Sequence[str], factors: Sequence[str]) -> pd.DataFrame:
    """Return one row a point and data set: levels, and mean, sd and number of runs of each response."""
    ok = metrics[metrics["status"] == "ok"]
    grouped = ok.groupby(["dataset", "point_id"], sort=False)
    shown = list(dict.fromkeys([*responses, *OF_CALIBRATION]))
    parts = [grouped[list(factors)].first(), grouped.size().rename("runs")]
    parts += [grouped[shown].mean(), grouped[shown].std().add_suffix("_sd")]
    return pd.concat(parts, axis=1).reset_index()


def extreme_points(
    points: pd.DataFrame, ranked: Mapping[str, str], *, labels: Mapping[str, str], factors: Sequence[str], several: bool
) -> list[Table]:
    """Return for each data set the best and the worst point by each ranked response; labels: all that are shown."""
    found = []
    for dataset, rows in points.groupby("dataset", sort=False):
        roles: dict[str, list[str]] = {}
        for which in ("best", "worst"):
            for response, label in ranked.items():
                values = rows[response].dropna()
                if len(values):
                    lowest = (which == "best") == (response in LOWER_IS_BETTER)
                    place = values.idxmin() if lowest else values.idxmax()
                    roles.setdefault(place, []).append(f"{which} {label}")
        printed = [[", ".join(told), *point_cells(rows.loc[at], labels, factors)] for at, told in roles.items()]
        where = f" on {dataset}" if several else ""
        caption = f"Observed best and worst points{where}: mean over the runs, standard deviation below."
        found.append(table(caption, ["Point", *point_columns(labels, factors)], printed))
    return found


def point_columns(labels: Mapping[str, str], factors: Sequence[str]) -> list[str]:
    """Return the titles of a point's columns."""
    return [*factor_columns(factors), *(f"{sentence_case(name)}#" for name in labels.values())]


def point_cells(row: pd.Series, labels: Mapping[str, str], factors: Sequence[str]) -> list[Any]:
    """Return a point's levels and its responses' means and standard deviations."""
    cells: list[Any] = [level(row[name]) for name in factors]
    for response in labels:
        sd = row[f"{response}_sd"]
        cells.append(cell(number(row[response]), note="" if is_missing(sd) else f"{PLUS_MINUS} {number(sd)}"))
    return cells


def all_points(points: pd.DataFrame, *, labels: Mapping[str, str], factors: Sequence[str], several: bool) -> Table:
    """Return every point."""
    rows = [[row["dataset"], *point_cells(row, labels, factors), whole(row["runs"])] for _, row in points.iterrows()]
    return table("All points", ["Data set", *point_columns(labels, factors), "Runs#"], rows)


def all_runs(metrics: pd.DataFrame, *, labels: Mapping[str, str], factors: Sequence[str], several: bool) -> Table:
    """Return every run."""
    rows = [
        [
            row["run_id"],
            *([row["dataset"]] if several else []),
            *(level(row[name]) for name in factors),
            whole(row["seed"]),
            row["status"],
            *(number(row[response]) for response in labels),
            number(row["train_seconds"], 1),
        ]
        for row in metrics.to_dict("records")
    ]
    columns = [
        "Run",
        *(["Data set"] if several else []),
        *factor_columns(factors),
    ]
    columns += ["Seed#", "Status", *(f"{sentence_case(name)}#" for name in labels.values()), "Training s#"]
    return table("All runs", columns, rows)


def whole(value: Any) -> str:
    """Print a count."""
    return NOTHING if is_missing(value) else f"{int(value):,}"


# Provenance -----------------------------------------------------------------------------------------------------------


def software_table(metrics: pd.DataFrame) -> Table:
    """Return what the runs were made with, all values where they differ."""
    rows = []
    for column, title in SOFTWARE_WORDS.items():
        values = [str(value) for value in metrics[column].dropna().convert_dtypes().unique()]
        rows.append([title, ", ".join(values) or NOTHING])
    return table("What the runs were made with.", ["What", "Value"], rows)


def dataset_facts(name: str, facts: Mapping[str, Any]) -> Table:
    """Return what the preparation of a data set found and did."""
    rows = [[FACT_WORDS.get(key, key.replace("_", " ")), fact_text(value)] for key, value in facts.items()]
    return table(f"Data set {name}", ["What", "Value"], rows)


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
