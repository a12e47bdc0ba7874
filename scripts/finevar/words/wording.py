"""Sentences for people: rows of the tidy tables in, words out.

A verdict comes from the tables and is never made here. A sentence says what moved a response, by how much and how
surely; it never turns a missing p-value into "no influence".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from finevar.metrics import LOWER_IS_BETTER
from finevar.reasons import FAILED, MISSING, OK
from finevar.study.coding import factors_of
from finevar.words.formatting import (
    counted,
    factor_label,
    held_levels,
    joined,
    plain_reason,
    response_labels,
    sentence_case,
    settings_text,
    together,
    unit_label,
)
from finevar.words.numbers import (
    PLUS_MINUS,
    Row,
    between_levels,
    estimated,
    is_missing,
    level,
    number,
    p_text,
    percent,
    significant,
    span,
    span_at,
)

VERDICTS = ("effect", "undecided", "negligible")
VERDICT_WORDS = {  # of one term, and of several
    "effect": ("has an effect", "have an effect"),
    "negligible": ("is negligible", "are negligible"),
    "undecided": ("is undecided", "are undecided"),
}
UNANIMOUS = {  # the answer where all effects have the same verdict
    "negligible": (
        "Every factor's effect on every metric is negligible: equivalent to zero within the smallest effect of "
        "interest."
    ),
    "undecided": (
        "Nothing is decided: every interval reaches beyond what counts as negligible, and none shows an effect. More "
        "seeds or points would narrow them."
    ),
}
READABLE_UNITS = (1, 20)  # a slope per unit says little where the levels span less than one or very many units


# What moved what ------------------------------------------------------------------------------------------------------


def effect_sentence(row: Row, label: str, confidence: float = 0.95, partners: Sequence[str] = ()) -> str:
    """Say what one factor did to one response.

    row: a row of the table of effects. label: the response in words. partners: factors that it acts together with on
    this response; its own effect is then an average that says little where it is small.
    """
    what, ends = f"{factor_label(row['factor'])} on {label}", ends_text(row)
    if row["verdict"] == "effect":
        return moved(row, label, confidence)
    if row["verdict"] == "negligible":
        text = (
            f"Negligible for {what}: {estimated(row, 'change')} {ends} ({span_at(row, confidence)}), equivalent to "
            f"zero within the smallest effect of interest, {PLUS_MINUS}{significant(row['smallest_effect'])}."
        )
    elif row["verdict"] == "undecided":
        reach = f"the {percent(confidence)} interval, {span(row)} {ends}"
        text = f"Undecided for {what}: {reach}, {why_undecided(row)}."
    else:
        return f"No verdict for {what}: {plain_reason(row, 'its effect could not be computed')}."
    others = joined([factor_label(name) for name in partners])
    return f"{text} That is at the centre of the design: it acts together with {others}." if partners else text


def together_sentence(interactions: Sequence[Row], labels: Mapping[str, str]) -> str:
    """Say which factors act together, so that their separate figures are not the whole story.

    interactions: two-way rows of the coefficients with verdict effect.
    """
    pairs = together(
        (joined([factor_label(name) for name in factors_of(row["term"])]), labels[row["response"]])
        for row in interactions
    )
    parts = [f"{names} act together on {joined(responses)}" for names, responses in pairs.items()]
    return f"{sentence_case('; '.join(parts))}." if parts else ""


def moved(row: Row, label: str, confidence: float) -> str:
    """Say by how much a factor moved a response, per natural step where a step means something."""
    ends = f"between {level(row['from_level'])} and {level(row['to_level'])}"
    subject, change = f"{sentence_case(factor_label(row['factor']))} moved {label}", estimated(row, "change")
    if not is_readable_per_unit(row):
        return f"{subject}: {change} in all ({span_at(row, confidence)}) {ends}."
    slope = f"{estimated(row, 'per_unit', 'per_unit_ci')} {unit_label(row['unit'], row['factor'])}"
    return f"{subject}: {slope} ({span_at(row, confidence, 'per_unit_ci')}) {ends}, {change} in all."


def is_readable_per_unit(row: Row) -> bool:
    """Say whether the levels span few enough natural steps for a slope per step to be read."""
    if is_missing(row["per_unit"]) or is_missing(row["per_unit_ci_low"]) or not row["per_unit"]:
        return False
    low, high = READABLE_UNITS
    return low <= abs(row["change"] / row["per_unit"]) <= high


def why_undecided(row: Row) -> str:
    """Read from an interval why its verdict is open."""
    includes, bound = row["ci_low"] <= 0 <= row["ci_high"], row["smallest_effect"]
    zero = "includes zero" if includes else "excludes zero"
    if is_missing(bound):
        return f"{zero}, and without replicates there is no noise floor to measure it against"
    if includes:
        return f"{zero} and reaches beyond the smallest effect of interest, {significant(bound)}"
    adjusted = f"adjusted p = {p_text(row['p_adjusted'])}"
    return f"{zero}, but the evidence is short once all comparisons are counted ({adjusted})"


def joint_sentence(row: Row, label: str, confidence: float = 0.95) -> str:
    """Say that two factors act together, or that a response bends along one.

    row: a second-order row of the coefficients, in coded units, with verdict effect.
    """
    value, reach = estimated(row), span_at(row, confidence)
    names = [factor_label(name) for name in factors_of(row["term"])]
    if row["group"] == "quadratic":
        return f"{sentence_case(label)} bends along {names[0]}: the squared term is {value} in coded units ({reach})."
    return (
        f"On {label}, {names[0]} and {names[1]} act together: the slope along one changes by {value} per coded unit of "
        f"the other ({reach})."
    )


def headline(effects: pd.DataFrame, fits: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """Return the study's answer in a few sentences: what moved, what is undecided, negligible or without a verdict."""
    stopped = joined([labels[name] for name in gated(fits)])
    if effects.empty:
        return f"No verdict: {stopped} could not be analysed; the reasons stand below, and no p-value is given."
    kinds = effects["verdict"].fillna("none")
    if kinds.nunique() == 1 and kinds.iloc[0] in UNANIMOUS:
        sentences = [UNANIMOUS[kinds.iloc[0]]]
    else:
        sentences = [verdict_sentence(effects[kinds == kind], kind, labels) for kind in (*VERDICTS, "none")]
    return " ".join(filter(None, [*sentences, f"No verdict on {stopped}." if stopped else ""]))


def verdict_sentence(rows: pd.DataFrame, kind: str, labels: Mapping[str, str]) -> str:
    """Name the pairs of factor and response that share a verdict, factors with the same responses together."""
    if rows.empty:
        return "No factor is shown to move a metric." if kind == "effect" else ""
    alike = together(
        (tuple(found["response"]), factor_label(factor)) for factor, found in rows.groupby("factor", sort=False)
    )
    verb = " moved " if kind == "effect" else " on "
    parts = [joined(names) + verb + joined([labels[name] for name in found]) for found, names in alike.items()]
    opening = {"effect": "", "none": "Without a verdict: "}.get(kind, f"{sentence_case(kind)}: ")
    return f"{sentence_case(opening + '; '.join(parts))}."


def largest_sentence(effects: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """Say along which factor each response moves most, of those that are shown to move it."""
    shown = effects[effects["verdict"] == "effect"]
    parts, still = [], []
    for response, label in labels.items():
        rows = shown[shown["response"] == response]
        if rows.empty:
            still.append(label)
            continue
        most = rows.loc[rows["change"].abs().idxmax()]
        change = f"{estimated(most, 'change')} {ends_text(most)}"
        parts.append(f"{label} moves most along {factor_label(most['factor'])} ({change})")
    moves = f"{sentence_case('; '.join(parts))}." if parts else ""
    return f"{moves} No factor is shown to move {joined(still, 'or')}.".strip() if still else moves


def ends_text(row: Row) -> str:
    """Print the levels between which a change is given."""
    return f"from {level(row['from_level'])} to {level(row['to_level'])}"


def terms_sentence(coefficients: pd.DataFrame) -> str:
    """Count the terms of the absolute fits by verdict."""
    rows = coefficients[(coefficients["framework"] == "absolute") & (coefficients["units"] == "coded")]
    counts = rows["verdict"].value_counts()
    parts = [
        f"{counts[kind]} {words[int(counts[kind] > 1)]}" for kind, words in VERDICT_WORDS.items() if kind in counts
    ]
    total = int(counts.sum())
    return f"Of {counted(total, 'term')} over all metrics {joined(parts)}." if total else ""


# The fits -------------------------------------------------------------------------------------------------------------


def gated(fits: pd.DataFrame) -> list[str]:
    """Return the responses whose absolute tables a gate stopped, and with them all others."""
    return list(dict.fromkeys(fits.loc[fits["gate"].notna() & (fits["framework"] == "absolute"), "response"]))


def gate_sentence(row: Row, label: str) -> str:
    """Say why a response has no p-values, or none relative to the baseline."""
    which = "relative " if row["framework"] == "relative" else ""
    return f"No {which}p-values for {label}: {str(row['gate']).rstrip('.')}."


def floor_sentence(row: Row, label: str) -> str:
    """Say what counts as the smallest effect of interest on a response, and where it comes from."""
    if is_missing(row["smallest_effect"]):
        return f"For {label} there is no noise floor: seeds were not replicated, and no test-set error is known."
    noise = None if is_missing(row["pure_error_sd"]) else 2 * row["pure_error_sd"]
    known = {"twice the spread between seeds": noise, "the test set's standard error": row["test_set_se"]}
    sources = [f"{name} ({significant(value)})" for name, value in known.items() if not is_missing(value)]
    source = f", {'the larger of ' if len(sources) > 1 else ''}{joined(sources)}" if sources else ""
    return f"For {label} the smallest effect of interest is {significant(row['smallest_effect'])}{source}."


def identity_sentence(fits: pd.DataFrame) -> str:
    """Say what the relative tables add to the absolute ones, with the checked identity."""
    deviations = fits.loc[fits["framework"] == "relative", "largest_identity_deviation"].dropna()
    meaning = (
        "Absolute and relative are one fit read at two places: the relative first-order terms are the slopes at the "
        "baseline instead of at the centre, and every second-order term is the same in both, so its p-value counts "
        "once."
    )
    if deviations.empty:
        return meaning
    return f"{meaning} Checked on these data: the two differ from that identity by at most {deviations.max():.1e}."


def runs_sentence(metrics: pd.DataFrame) -> str:
    """Count the planned runs and what became of them."""
    points = len(metrics[["dataset", "point_id"]].drop_duplicates())
    counts = metrics["status"].value_counts()
    of = f"{counted(points, 'point')} at {counted(metrics['seed'].nunique(), 'seed')}"
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
    return f"{frozen_text}; fine-tuned at its own levels (B1) it is {own}."


def extreme_sentence(surface: pd.DataFrame, response: str, label: str, confidence: float = 0.95) -> str:
    """Say where within the drawn planes a response is predicted to be best, with that prediction's interval."""
    rows = surface[surface["response"] == response].dropna(subset="predicted")
    if rows.empty:
        return ""
    lowest = response in LOWER_IS_BETTER
    best = rows.loc[rows["predicted"].idxmin() if lowest else rows["predicted"].idxmax()]
    place = joined([f"{factor_label(best[f'factor_{axis}'])} {between_levels(best[f'value_{axis}'])}" for axis in "xy"])
    fixed = held_levels(best["held"])
    held = f" with {settings_text(fixed)}" if fixed else ""
    return (
        f"Within these planes predicted {label} is {'lowest' if lowest else 'highest'} at {place}{held}: "
        f"{estimated(best, 'predicted', sign=False)} ({percent(confidence)} interval for the mean {span(best)})."
    )


# Figures --------------------------------------------------------------------------------------------------------------

FIGURES = {  # by kind: caption and text alternative; the numbers themselves stand in the tables
    "effects": (
        "Change of each metric from a factor's lowest to its highest level, the others at their centre, with its "
        "{confidence} interval. Within the grey band it would count as negligible. A verdict shows in both colour and "
        "shape.",
        "Change of each metric by each factor, with intervals; the table below it lists the same numbers.",
    ),
    "coefficients": (
        "Coefficients of the absolute fit in coded units with {confidence} intervals; intercept and blocks are left "
        "out. A verdict shows in both colour and shape.",
        "Forest plot of the coded coefficients by metric; the tables beside it list the same numbers.",
    ),
    "main_effects": (
        "Line and band: the prediction along one factor, the others at their centre, with its {confidence} interval "
        "for the mean. Dots: runs; rings: means over seeds of each point, at all levels of the other factors, so they "
        "scatter more widely than the band.",
        "Predicted profiles of each metric along each factor, over the observed runs.",
    ),
    "interplay": (
        "The slope of one factor over another, the rest at their centre, with its {confidence} interval: bold where "
        "the interval excludes zero, thin and broken where it includes it.",
        "Slope of one factor as a line over another, by metric; the sentences and tables say the same.",
    ),
    "surface": (
        "Predicted {label} over each pair of factors, the others held as stated; yellow is better. Rings mark the "
        "design's points and the diamond the baseline's own settings, as seen from above. Intervals of these "
        "predictions are in the explorer.",
        "Heat maps with contour lines of predicted {label} for each pair of factors.",
    ),
    "learning_curves": (
        "Training loss by epoch, coloured by {first}: a thin line for each run, a bold one for their mean. Where "
        "epochs is a factor, runs of different length have means of their own.",
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
