"""The printed tables of slopes, optima, baselines, ladder, checks and sensitivity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from finevar.report.tables import Table, cell, factor_columns, ranged, table, verdict_cell, whole
from finevar.words.caveats import RUNGS, SPECIFICATIONS
from finevar.words.comparisons import MATCHINGS
from finevar.words.formatting import (
    NOTHING,
    TIMES,
    between_levels,
    factor_label,
    is_missing,
    level,
    number,
    p_text,
    percent,
    sentence_case,
    significant,
    term_label,
    unit_label,
)

PLACES = {"baseline": "At the baseline", "centre": "At the centre", "average": "On average"}
CHECKS = {
    "lack_of_fit": "Lack of fit",
    "breusch_pagan": "Unequal noise (Breusch-Pagan)",
    "reset": "Shape (RESET)",
    "normality": "Normal residuals (Shapiro-Wilk)",
    "largest_leverage": "Largest leverage",
    "largest_cook": "Largest Cook's distance",
}
MOST_INFLUENTIAL = 5

Labels = Mapping[str, str]


def p_cell(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cell with a p-value, below it the adjusted one, or why it is withheld or how it was got."""
    adjusted = row.get("p_adjusted")
    if not is_missing(adjusted):
        return cell(p_text(row["p_value"]), note=f"adj. {p_text(adjusted)}")
    return cell(p_text(row["p_value"]), note="" if is_missing(row["reason"]) else str(row["reason"]))


# Slopes ---------------------------------------------------------------------------------------------------------------


def slopes_table(slopes: pd.DataFrame, labels: Labels, confidence: float) -> Table:
    """Return one row a response and factor: its slope at the baseline, at the centre and on average."""
    kept = slopes[(slopes["units"] == "natural") & slopes["place"].isin(list(PLACES))]
    rows = []
    for (response, factor), found in kept.groupby(["response", "factor"], sort=False):
        by_place = {row["place"]: row for row in found.to_dict("records")}
        cells = [sentence_case(labels[response]), cell(factor_label(factor), note=shown_unit(found, factor))]
        for place in PLACES:
            row = by_place[place]
            cells += [ranged(row["estimate"], row["ci_low"], row["ci_high"]), p_cell(row)]
        rows.append(cells)
    families = kept.drop_duplicates("place").set_index("place")["family"].dropna()
    counted = f" Adjusted p-values count, at each place, {families.iloc[0]}." if len(families) else ""
    columns = ["Metric", "Factor", *(title for name in PLACES.values() for title in (f"{name}#", "p#"))]
    return table(f"Slopes in natural units, each with its {percent(confidence)} interval.{counted}", columns, rows)


def shown_unit(rows: pd.DataFrame, factor: str) -> str:
    """Return the unit of a factor's slopes in words."""
    return unit_label(rows.iloc[0]["unit"], factor)


def simple_slopes_table(
    slopes: pd.DataFrame, factor: str, moderator: str, *, labels: Labels, confidence: float
) -> Table:
    """Return one row a response: the slope of a factor at each level of its moderator."""
    simple = slopes[(slopes["place"] == "simple") & (slopes["units"] == "natural")]
    kept = simple[(simple["factor"] == factor) & (simple["moderator"] == moderator)]
    levels = sorted(kept["moderator_level"].unique())
    rows = []
    for response, found in kept.groupby("response", sort=False):
        by_level = {row["moderator_level"]: row for row in found.to_dict("records")}
        cells: list[Any] = [sentence_case(labels[response])]
        for at in levels:
            row = by_level[at]
            cells += [ranged(row["estimate"], row["ci_low"], row["ci_high"]), p_cell(row)]
        rows.append(cells)
    unit = unit_label(kept.iloc[0]["unit"])
    caption = (
        f"Slope of {factor_label(factor)} ({unit}) over {factor_label(moderator)}, the others at their centre, with "
        f"{percent(confidence)} interval."
    )
    columns = [title for at in levels for title in (f"At {level(at)}#", "p#")]
    return table(caption, ["Metric", *columns], rows)


# Optimum --------------------------------------------------------------------------------------------------------------


def optimum_table(places: pd.DataFrame, confidence: float) -> Table:
    """Return one row a factor: recommended level, range of its rivals, stationary point and its region."""
    rows = [
        [
            factor_label(row["factor"]),
            level(row["recommended"]),
            f"{level(row['rival_low'])} to {level(row['rival_high'])}",
            between_levels(row["stationary"]),
            span(row["region_low"], row["region_high"]),
        ]
        for row in places.to_dict("records")
    ]
    caption = (
        f"Recommended level, range over all settings not told from it, stationary point, and its {percent(confidence)} "
        "region within the levels."
    )
    return table(caption, ["Factor", "Recommended#", "Not told from it#", "Stationary point#", "Region#"], rows)


def span(low: float | None, high: float | None) -> str:
    """Print the ends of a range on a factor's axis."""
    if is_missing(low) or is_missing(high):
        return NOTHING
    return f"{between_levels(low)} to {between_levels(high)}"


def canonical_table(canonical: pd.DataFrame) -> Table:
    """Return one row a canonical axis: its curvature and the factors' weights in its direction."""
    factors = list(dict.fromkeys(canonical["factor"]))
    rows = []
    for axis, found in canonical.groupby("axis", sort=True):
        weights = found.set_index("factor")["weight"]
        curve = significant(found.iloc[0]["eigenvalue"], 3)
        rows.append([whole(axis), curve, *(number(weights[name], 2, sign=True) for name in factors)])
    caption = "Canonical axes in coded units: the surface bends by the eigenvalue along the direction of the weights."
    return table(caption, ["Axis", "Eigenvalue#", *factor_columns(factors)], rows)


def ridge_table(ridge: pd.DataFrame, label: str, confidence: float) -> Table:
    """Return one row a distance from the centre: the best predicted place there, and its prediction."""
    factors = list(dict.fromkeys(ridge["factor"]))
    rows = []
    for radius, found in ridge.groupby("radius", sort=True):
        values, first = found.set_index("factor")["value"], found.iloc[0]
        predicted = ranged(first["predicted"], first["ci_low"], first["ci_high"], sign=False)
        rows.append([number(radius, 1), *(between_levels(values[name]) for name in factors), predicted])
    caption = (
        f"Ridge path: the best predicted place at each distance from the centre (coded units), with the "
        f"{percent(confidence)} interval of its mean."
    )
    titles = factor_columns(factors)
    return table(caption, ["Distance", *titles, f"Predicted {label}#"], rows)


# Baselines ------------------------------------------------------------------------------------------------------------


def matched_table(matched: pd.DataFrame, labels: Labels) -> Table:
    """Return one row a way to match: the residual standard deviation that it leaves of each response."""
    spread = matched.set_index(["analysis", "response"])["residual_sd"]
    kept = [name for name in labels if name in set(matched["response"])]
    rows = [[told, *(significant(spread.get((name, one)), 3) for one in kept)] for name, told in MATCHINGS.items()]
    titles = [f"{sentence_case(labels[name])}#" for name in kept]
    return table("What each way to match leaves unexplained: residual SD.", ["Matching", *titles], rows)


def against_baseline_table(rows: pd.DataFrame, levels: pd.DataFrame, label: str, confidence: float) -> Table:
    """Return one row a tried point: predicted difference from B0 and from B1.

    rows: one response. levels: the factors' levels, by point_id.
    """
    kept = rows.dropna(subset="estimate")
    names = list(dict.fromkeys(kept["baseline"]))
    printed = []
    for point, found in kept.groupby("point_id", sort=False):
        by_name = {row["baseline"]: row for row in found.to_dict("records")}
        differences = [ranged(by_name[n]["estimate"], by_name[n]["ci_low"], by_name[n]["ci_high"]) for n in names]
        printed.append([*(level(value) for value in levels.loc[point]), *differences])
    caption = f"{sentence_case(label)} predicted at each tried point minus the baseline's, with {percent(confidence)} "
    titles = factor_columns(levels.columns)
    return table(f"{caption}interval.", [*titles, *(f"Minus {name}#" for name in names)], printed)


def matched_terms_table(coefficients: pd.DataFrame, labels: Labels, confidence: float) -> Table:
    """Return one row a response and term of the fits to each run minus B1 of its data set and seed."""
    kept = coefficients[(coefficients["framework"] == "matched") & (coefficients["units"] == "natural")]
    rows = [
        [
            sentence_case(labels[row["response"]]),
            cell(term_label(row["term"]), note=unit_label(row["unit"])),
            ranged(row["estimate"], row["ci_low"], row["ci_high"]),
            p_cell(row | {"reason": None}),
            verdict_cell(row) if row["group"] != "intercept" else NOTHING,
        ]
        for row in kept[kept["group"] != "block"].to_dict("records")
    ]
    caption = (
        f"Each run minus B1 of its own data set and seed, read at the baseline's settings, with {percent(confidence)} "
        "interval; the intercept is the change at those settings."
    )
    return table(caption, ["Metric", "Term", "Estimate#", "p#", "Verdict"], rows)


# Ladder and checks ----------------------------------------------------------------------------------------------------


def ladder_table(ladder: pd.DataFrame, labels: Labels) -> Table:
    """Return one row a response and rung of the model ladder."""
    rows = []
    for row in ladder.to_dict("records"):
        tested = cell(number(row["f_value"], 2), note=f"df {number(row['df'], 0)}, {number(row['df_residual'], 0)}")
        fit = [number(row[name], 3) for name in ("r2", "r2_adjusted", "r2_predicted")]
        rung = cell(sentence_case(RUNGS[row["rung"]]), note="the study's model" if row["chosen"] else "")
        head = [sentence_case(labels[row["response"]]), rung, whole(row["parameters"]), significant(row["sum_sq"])]
        robust = [number(row["f_robust"], 2), p_text(row["p_robust"])]
        rows.append([*head, tested, p_text(row["p_value"]), *robust, *fit, number(row["aicc"], 1)])
    square = "R\N{SUPERSCRIPT TWO}"
    columns = ["Metric", "Rung", "Terms#", "Sum of squares#", "F#", "p#", "Robust F#", "p#"]
    columns += [f"{square}#", f"Adj. {square}#", f"Pred. {square}#", "AICc#"]
    caption = "The model ladder: what each rung adds to those before it, and the quality of the model up to it."
    return table(f"{caption}{withheld_note(ladder)}", columns, rows)


def withheld_note(ladder: pd.DataFrame) -> str:
    """Say why sequential F tests have no p-value, where they have none."""
    reasons = [str(reason).rstrip(".") for reason in ladder["reason"].dropna().unique()]
    return f" Sequential p-values are withheld where {'; '.join(reasons)}." if reasons else ""


def checks_table(checks: pd.DataFrame, labels: Labels) -> Table:
    """Return one row a check, a column pair a response: statistic and p."""
    kept = [name for name in labels if name in set(checks["response"])]
    by_key = {(row["check"], row["response"]): row for row in checks.to_dict("records")}
    rows = []
    for check, title in CHECKS.items():
        cells: list[Any] = [title]
        for response in kept:
            row = by_key.get((check, response))
            cells += [NOTHING, NOTHING] if row is None else [statistic_cell(row), p_cell(row)]
        rows.append(cells)
    columns = [title for name in kept for title in (f"{sentence_case(labels[name])}#", "p#")]
    return table("Checks of the fits: statistic, degrees of freedom and p.", ["Check", *columns], rows)


def statistic_cell(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cell with a check's statistic, its degrees of freedom below it."""
    dfs = [row["df_numerator"], row["df_denominator"]]
    note = "" if any(is_missing(df) for df in dfs) else f"df {dfs[0]:.4g}, {dfs[1]:.4g}"
    return cell(number(row["statistic"], 3), note=note)


def influence_table(influence: pd.DataFrame, labels: Labels) -> Table:
    """Return for each response the runs of largest Cook's distance."""
    rows = []
    for response, found in influence.groupby("response", sort=False):
        for row in found.nlargest(MOST_INFLUENTIAL, "cook").to_dict("records"):
            shown = [number(row["fitted"]), number(row["residual"], sign=True), number(row["leverage"], 2)]
            shown += [number(row["studentised"], 2, sign=True), number(row["cook"], 3)]
            shown.append(cell(number(row["robust"], 1, sign=True), note="suspect" if row["suspect"] else ""))
            rows.append([row["run_id"], sentence_case(labels[response]), *shown])
    columns = [
        "Run",
        "Metric",
        "Fitted#",
        "Residual#",
        "Leverage#",
        "Studentised residual#",
        "Cook's distance#",
        "Robust residual#",
    ]
    return table(f"The {MOST_INFLUENTIAL} runs of largest Cook's distance for each metric.", columns, rows)


# Sensitivity ----------------------------------------------------------------------------------------------------------


def sensitivity_table(rows: pd.DataFrame, label: str) -> Table:
    """Return one row a term, one column a specification: its p-value, or its range over refits."""
    tried = rows[rows["p_value"].notna() | rows["p_low"].notna()]
    names = [name for name in SPECIFICATIONS if name in set(tried["specification"])]
    by_key = {(row["term"], row["specification"]): row for row in tried.to_dict("records")}
    printed = [
        [term_label(term), *(specification_cell(by_key.get((term, name))) for name in names)]
        for term in dict.fromkeys(rows["term"])
    ]
    columns = [f"{sentence_case(SPECIFICATIONS[name])}#" for name in names]
    return table(f"{sentence_case(label)}: p-values under other specifications.", ["Term", *columns], printed)


def specification_cell(row: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a cell with a p-value or a range of p-values; marked where it disagrees with the report's."""
    if row is None:
        return cell(NOTHING)
    ranged_p = not is_missing(row["p_low"])
    text = f"{p_text(row['p_low'])} to {p_text(row['p_high'])}" if ranged_p else p_text(row["p_value"])
    differs = row["agrees"] is not None and not is_missing(row["agrees"]) and not row["agrees"]
    refits = f"{TIMES} {whole(row['refits'])}" if ranged_p else ""
    return cell(text, note="changes" if differs else refits)
