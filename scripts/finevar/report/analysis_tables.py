"""The printed tables of slopes, optima, baselines, ladder, checks and sensitivity."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from finevar.report.cells import (
    FACTOR,
    P_VALUE,
    VERDICT,
    cell,
    columns,
    crossed,
    factor_titles,
    level_or_dash,
    listed,
    metric_column,
    metric_titles,
    p_cell,
    ranged,
    table,
    whole,
)
from finevar.report.parts import Cell, Labels, Row, Table
from finevar.report.tables import SQUARES
from finevar.statistics.optimum import RADII
from finevar.words.caveats import RUNGS, SPECIFICATIONS
from finevar.words.comparisons import MATCHINGS
from finevar.words.formatting import factor_label, sentence_case, term_label, unit_label
from finevar.words.numbers import (
    NOTHING,
    TIMES,
    between_levels,
    is_missing,
    level,
    number,
    p_text,
    percent,
    significant,
)

PLACES = {"baseline": "At the baseline#", "centre": "Mid-range#", "average": "On average#"}
CHECKS = {
    "lack_of_fit": "Lack of fit",
    "breusch_pagan": "Unequal noise (Breusch-Pagan)",
    "reset": "Shape (RESET)",
    "normality": "Normal residuals (Shapiro-Wilk)",
    "largest_leverage": "Largest leverage",
    "largest_cook": "Largest Cook's distance",
}
MOST_INFLUENTIAL = 5
MOST_LEVELS = 7  # side by side
ESTIMATED = {"": ranged, "p#": p_cell}  # see cells.crossed


def slopes_table(slopes: pd.DataFrame, labels: Labels, confidence: float) -> Table:
    """Return one row a response and factor: its slope at the baseline, mid-range and on average."""
    kept = slopes[(slopes["units"] == "natural") & slopes["place"].isin(list(PLACES))]
    pairs = pd.Series(list(zip(kept["response"], kept["factor"], strict=True)), kept.index)
    down = {
        (row["response"], row["factor"]): [
            sentence_case(labels[row["response"]]),
            cell(factor_label(row["factor"]), note=unit_label(row["unit"], row["factor"])),
        ]
        for row in kept.drop_duplicates(["response", "factor"]).to_dict("records")
    }
    families = kept["family"].dropna()
    counted = f" Adjusted p-values count, at each place, {families.iloc[0]}." if len(families) else ""
    caption = f"Slopes in natural units, each with its {percent(confidence)} interval.{counted}"
    return crossed(caption, kept.assign(pair=pairs), ("pair", "place"), ["Metric", "Factor"], down, PLACES, ESTIMATED)


def simple_slopes_table(slopes: pd.DataFrame, factor: str, moderator: str, labels: Labels, confidence: float) -> Table:
    """Return one row a response: the slope of a factor at each level of its moderator, or at some of many."""
    simple = slopes[(slopes["place"] == "simple") & (slopes["units"] == "natural")]
    kept = simple[(simple["factor"] == factor) & (simple["moderator"] == moderator)]
    down = {name: [sentence_case(labels[name])] for name in kept["response"].unique()}
    tried = np.array(sorted(kept["moderator_level"].unique()))
    picked = np.linspace(0, len(tried) - 1, min(len(tried), MOST_LEVELS)).round().astype(int)
    levels = {at: f"At {level(at)}#" for at in tried[picked]}
    some = f" at {len(levels)} of {len(tried)} levels" if len(levels) < len(tried) else ""
    caption = (
        f"Slope of {factor_label(factor)} ({unit_label(kept.iloc[0]['unit'])}) over {factor_label(moderator)}{some}, "
        f"the others mid-range, with {percent(confidence)} interval."
    )
    return crossed(caption, kept, ("response", "moderator_level"), ["Metric"], down, levels, ESTIMATED)


def slopes_by_level_table(slopes: pd.DataFrame, labels: Labels, confidence: float) -> Table:
    """Return one row a response: the slope of a number within each level that is a name."""
    down = {name: [sentence_case(labels[name])] for name in slopes["response"].unique()}
    levels = {name: f"{sentence_case(factor_label(name))}#" for name in slopes["moderator"].unique()}
    factor, unit = slopes.iloc[0][["factor", "unit"]]
    caption = (
        f"Slope of {factor_label(factor)} ({unit_label(unit)}) within each level, the others mid-range, with "
        f"{percent(confidence)} interval."
    )
    return crossed(caption, slopes, ("response", "moderator"), ["Metric"], down, levels, ESTIMATED)


def optimum_table(places: pd.DataFrame, confidence: float) -> Table:
    """Return one row a factor: level predicted best, range of its rivals, stationary point and its region."""

    def span(row: Row, what: str, show: Callable[[float], str]) -> str:
        low, high = row[f"{what}_low"], row[f"{what}_high"]
        return NOTHING if is_missing(low) or is_missing(high) else f"{show(low)} to {show(high)}"

    caption = (
        "Level predicted best, range over all settings not significantly different from it, stationary point, and its "
        f"{percent(confidence)} region within the levels."
    )
    rivals = ("Not different#", lambda row: span(row, "rival", level_or_dash))
    shown = [FACTOR, *columns(level_or_dash, best="Predicted best#"), rivals]
    shown += [*columns(between_levels, stationary="Stationary point#")]
    shown += [("Region#", lambda row: span(row, "region", between_levels))]
    return listed(caption, places, shown)


def canonical_table(canonical: pd.DataFrame) -> Table:
    """Return one row a canonical axis: its curvature and the factors' weights in its direction."""
    axes = canonical.drop_duplicates("axis").sort_values("axis").set_index("axis")["eigenvalue"]
    down = {axis: [whole(axis), significant(curve, 3)] for axis, curve in axes.items()}
    caption = "Canonical axes in coded units: the surface bends by the eigenvalue along the direction of the weights."
    titles = factor_titles(canonical["factor"].unique())
    weight = {"": lambda row: number(row["weight"], 2, sign=True)}
    return crossed(caption, canonical, ("axis", "factor"), ["Axis", "Eigenvalue#"], down, titles, weight)


def ridge_table(ridge: pd.DataFrame, label: str, confidence: float) -> Table:
    """Return one row a distance from the centre: the best predicted place there, and its prediction."""
    titles, rows, cut = factor_titles(ridge["factor"].unique()), [], ridge["radius"].nunique() < len(RADII)
    for radius, found in ridge.groupby("radius", sort=True):
        values, predicted = found.set_index("factor")["value"], ranged(found.iloc[0], "predicted", sign=False)
        rows.append([number(radius, 1), *(between_levels(values[name]) for name in titles), predicted])
    caption = (
        f"Ridge path: the best predicted place at each distance from the centre (coded units), with the "
        f"{percent(confidence)} interval of its mean{'; what the design forbids is left out' if cut else ''}."
    )
    return table(caption, ["Distance", *titles.values(), f"Predicted {label}#"], rows)


def matched_table(matched: pd.DataFrame, labels: Labels) -> Table:
    """Return one row a way to match: the residual standard deviation that it leaves of each response."""
    titles = {name: title for name, title in metric_titles(labels).items() if name in set(matched["response"])}
    ways = {name: [words] for name, words in MATCHINGS.items()}
    left = {"": lambda row: significant(row["residual_sd"], 3)}
    caption = "What each way to match leaves unexplained: residual SD."
    return crossed(caption, matched, ("analysis", "response"), ["Matching"], ways, titles, left)


def against_baseline_table(rows: pd.DataFrame, levels: pd.DataFrame, label: str, confidence: float) -> Table:
    """Return one row a tried point: predicted difference from B0 and from B1.

    rows: one response. levels: the factors' levels, by point_id.
    """
    kept = rows.dropna(subset="estimate")
    points = {point: map(level_or_dash, levels.loc[point]) for point in kept["point_id"].unique()}
    names = {name: f"Minus {name}#" for name in kept["baseline"].unique()}
    what = f"{sentence_case(label)} predicted at each setting tried minus the baseline's"
    titles = [*factor_titles(levels.columns).values()]
    caption = f"{what}, with {percent(confidence)} interval."
    return crossed(caption, kept, ("point_id", "baseline"), titles, points, names, {"": ranged})


def matched_terms_table(coefficients: pd.DataFrame, labels: Labels, confidence: float) -> Table:
    """Return one row a response and term of the fits to each run minus B1 of its data set and seed."""
    kept = coefficients.query("framework == 'matched' and units == 'natural' and group != 'block'")
    shown = [
        ("Term", lambda row: cell(term_label(row["term"]), note=unit_label(row["unit"]))),
        ("Estimate#", ranged),
        ("p#", lambda row: p_cell(row | {"reason": None})),
        ("Verdict", lambda row: NOTHING if row["group"] == "intercept" else VERDICT[1](row)),
    ]
    caption = (
        f"Each run minus B1 of its own data set and seed, read at the baseline's settings, with {percent(confidence)} "
        "interval; the intercept is the change at those settings."
    )
    return listed(caption, kept, [*metric_column(labels), *shown])


def ladder_table(ladder: pd.DataFrame, labels: Labels) -> Table:
    """Return one row a response and rung of the model ladder."""

    def rung(row: Row) -> Cell:
        return cell(sentence_case(RUNGS[row["rung"]]), note="the study's model" if row["chosen"] else "")

    def tested(row: Row) -> Cell:
        return cell(number(row["f_value"], 2), note=f"df {number(row['df'], 0)}, {number(row['df_residual'], 0)}")

    shown = [*metric_column(labels), ("Rung", rung), *columns(whole, parameters="Terms#")]
    shown += [*columns(significant, sum_sq="Sum of squares#"), ("F#", tested), P_VALUE]
    shown += [*columns(partial(number, decimals=2), f_robust="Robust F#"), *columns(p_text, p_robust="p#"), *SQUARES]
    caption = "The model ladder: what each rung adds to those before it, and the quality of the model up to it."
    reasons = [str(reason).rstrip(".") for reason in ladder["reason"].dropna().unique()]
    withheld = f" Sequential p-values are withheld where {'; '.join(reasons)}." if reasons else ""
    return listed(f"{caption}{withheld}", ladder, [*shown, *columns(partial(number, decimals=1), aicc="AICc#")])


def checks_table(checks: pd.DataFrame, labels: Labels) -> Table:
    """Return one row a check, a column pair a response: statistic and p."""

    def statistic(row: Row) -> Cell:
        dfs = [row["df_numerator"], row["df_denominator"]]
        note = "" if any(map(is_missing, dfs)) else f"df {dfs[0]:.4g}, {dfs[1]:.4g}"
        return cell(number(row["statistic"], 3), note=note)

    titles = {name: title for name, title in metric_titles(labels).items() if name in set(checks["response"])}
    down = {name: [title] for name, title in CHECKS.items()}
    joint = [name for name in checks["check"].unique() if name.startswith("joint[")]
    down |= {name: [f"Joint test of {term_label(name[6:-1])}"] for name in joint}
    caption = "Checks of the fits: statistic, degrees of freedom and p."
    return crossed(caption, checks, ("check", "response"), ["Check"], down, titles, {"": statistic, "p#": p_cell})


def influence_table(influence: pd.DataFrame, labels: Labels) -> Table:
    """Return for each response the runs of largest Cook's distance."""
    found = [rows.nlargest(MOST_INFLUENTIAL, "cook") for _, rows in influence.groupby("response", sort=False)]
    shown = [*columns(str, run_id="Run"), *metric_column(labels), *columns(number, fitted="Fitted#")]
    shown += columns(partial(number, sign=True), residual="Residual#")
    shown += columns(partial(number, decimals=2), leverage="Leverage#")
    shown += columns(partial(number, decimals=2, sign=True), studentised="Studentised residual#")
    shown += columns(partial(number, decimals=3), cook="Cook's distance#")
    shown.append(("Robust residual#", robust_cell))
    caption = f"The {MOST_INFLUENTIAL} runs of largest Cook's distance for each metric."
    return listed(caption, [row for rows in found for row in rows.to_dict("records")], shown)


def robust_cell(row: Row) -> Cell:
    """Return a cell with a run's robust residual, marked where that makes the run suspect."""
    return cell(number(row["robust"], 1, sign=True), note="suspect" if row["suspect"] else "")


def sensitivity_table(rows: pd.DataFrame, label: str) -> Table:
    """Return one row a term, one column a specification: its p-value, or its range over refits."""
    tried = rows[rows["p_value"].notna() | rows["p_low"].notna()]
    titles = {
        name: f"{sentence_case(words)}#"
        for name, words in SPECIFICATIONS.items()
        if name in set(tried["specification"])
    }
    down = {term: [term_label(term)] for term in rows["term"].unique()}
    caption = f"{sentence_case(label)}: p-values under other specifications."
    return crossed(caption, tried, ("term", "specification"), ["Term"], down, titles, {"": specification_cell})


def specification_cell(row: Row) -> Cell:
    """Return a cell with a p-value or a range of p-values; marked where it disagrees with the report's."""
    many = not is_missing(row["p_low"])
    text = f"{p_text(row['p_low'])} to {p_text(row['p_high'])}" if many else p_text(row["p_value"])
    refits = f"{TIMES} {whole(row['refits'])}" if many else ""
    return cell(text, note=refits if is_missing(row["agrees"]) or row["agrees"] else "changes")
