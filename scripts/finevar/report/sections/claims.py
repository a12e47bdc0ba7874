"""The report's section on claims: what was said before, and what this study finds of it."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.analyses.claims import UNITS
from finevar.analyses.seed_parts import RATIO
from finevar.report.cells import cell, columns, listed, ranged
from finevar.report.parts import Labels, Row, Section, Table, Tables, group, sentence
from finevar.report.sections.seed_parts import source_words
from finevar.study.claim_files import ratio_parts
from finevar.study.coding import factors_of
from finevar.words.formatting import (
    counted,
    factor_label,
    joined,
    response_label,
    sentence_case,
    term_label,
    unit_label,
)
from finevar.words.numbers import estimated, is_missing, level, p_equals, p_text, percent, significant, span

PART, PLACE, TITLE = "details", 75, "Published claims"
NO_CLAIMS = "No claim was stated before this study; analysis.claims of its config takes them."
VERBS = {
    "replicated": "replicate {}",
    "contradicted": "contradict {}",
    "smaller than matters": "find {} smaller than matters",
    "undecided": "leave {} undecided",
}
CLAIMED = {"effect": "an effect", "none": "no effect", "not_significant": "not found significant"}


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return how many claims are replicated, a sentence on each, and the table; tables: claims."""
    rows = tables["claims"].to_dict("records")
    if not rows:
        return {"finding": NO_CLAIMS, "groups": []}
    names = {row["response"]: labels.get(row["response"], response_label(row["response"])) for row in rows}
    sentences = [sentence(claim_sentence(row, names, confidence), mark(row)) for row in rows]
    part = group("", sentences, tables=[claims_table(rows, confidence)])
    return {"finding": finding_sentence(rows), "groups": [part]}


def mark(row: Row) -> str:
    """Return the mark of a verdict on a claim: replicated is no effect's, since no effect may be claimed."""
    return "small" if row["verdict"] == "smaller than matters" else row["verdict"]


def finding_sentence(rows: Sequence[Row]) -> str:
    """Count the claims by verdict, and say how far a verdict reaches."""
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in VERBS}
    parts = joined([verb.format(counts[verdict]) for verdict, verb in VERBS.items() if counts[verdict]])
    return (
        f"Of {counted(len(rows), 'claim')} stated before the study, its runs {parts}. That holds for this model, these "
        "data and the levels tried. A claim of no effect is replicated only where an effect of the size of interest "
        "is excluded. That something was not found significant claims nothing, so it stays undecided."
    )


def claim_sentence(row: Row, labels: Labels, confidence: float) -> str:
    """Say what was claimed, what is found here, and why nothing is decided where that is so."""
    claim = (row["statement"] or row["name"]).rstrip(".")
    said = "" if is_missing(row["p_published"]) else f" ({p_equals(row['p_published'], 'published p')})"
    here = "" if is_missing(row["estimate"]) else f" {found_sentence(row, labels[row['response']], confidence)}"
    why = "" if is_missing(row["reason"]) else f" Undecided: {row['reason'].rstrip('.')}."
    verdict = f": {row['verdict']}." if is_missing(row["reason"]) else "."
    return f"{sentence_case(claim)}{said}{verdict}{here}{why}"


def found_sentence(row: Row, label: str, confidence: float) -> str:
    """Say what this study estimates: a slope at the baseline, how a change differs, or a change over a range."""
    if row["unit"] == RATIO:
        one, other = (source_words(part) for part in ratio_parts(row["term"]))
        ends = f"{percent(confidence)} interval {ratio_text(row['ci_low'])} to {ratio_text(row['ci_high'])}"
        return (
            f"Here {one} makes {ratio_text(row['estimate'])} times the variance of {label} that {other} makes ({ends})."
        )
    value, names = found_text(row, confidence), [factor_label(name) for name in factors_of(row["term"])]
    if row["unit"] == UNITS["of_names"]:
        first, second = (
            f"{'with' if '[' in name else 'along'} {factor_label(name)}" for name in factors_of(row["term"])
        )
        return f"Here the change of {label} {first} differs by {value} {second}."
    if is_missing(row["from_level"]) and row["unit"] in UNITS.values() and len(names) == 1:
        return f"Here, of {label} and {names[0]}, the {row['unit']} is {value}."
    if is_missing(row["from_level"]) and len(names) > 1:
        return (
            f"Here the change of {label} along {names[0]}, from lowest to highest, differs by {value} between the "
            f"highest level of {names[1]} and the lowest."
        )
    if is_missing(row["from_level"]):
        return f"Here the slope of {label} along {names[0]} at the baseline is {value} {unit_label(row['unit'])}."
    ends = f"{level(row['from_level'])} to {level(row['to_level'])}"
    return f"Here, of {label} along {term_label(row['term'])} ({ends}), the {row['unit']} is {value}."


def ratio_text(value: float) -> str:
    """Print a ratio of two variances; without a limit it is missing."""
    return "any number of" if is_missing(value) else significant(value)


def found_text(row: Row, confidence: float) -> str:
    """Return a claim's estimate with its interval and adjusted p-value."""
    return f"{estimated(row)} ({percent(confidence)} interval {span(row)}; {p_equals(row['p_adjusted'], 'adjusted p')})"


def claims_table(rows: Sequence[Row], confidence: float) -> Table:
    """Return one row a claim: the published p beside our estimate, its interval and p."""
    caption = (
        f"Claims stated before the study. Each estimate stands with its {percent(confidence)} interval and what it "
        "is of; the adjusted p counts all claims (Holm). The smallest change that these runs "
        "would find four times in five stands beside the smallest of interest."
    )
    shown = [
        ("Claim", lambda row: cell(sentence_case(row["name"]), note=row["source"])),
        ("Verdict", lambda row: cell(row["verdict"], verdict=mark(row))),
        ("Claimed", lambda row: cell(CLAIMED[row["finding"]], note=row["sign"])),
        *columns(p_text, p_published="Published p#"),
        ("Estimate#", ranged),
        *columns(unit_label, unit="What it is"),
        ("p#", lambda row: cell(p_text(row["p_value"]), note=f"adj. {p_text(row['p_adjusted'])}")),
        *columns(significant, minimum_detectable="Would find#", smallest_effect="Of interest#"),
    ]
    return listed(caption, rows, shown)
