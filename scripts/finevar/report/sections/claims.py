"""The report's section on claims: what was said before, and what this study finds of it."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.report.cells import cell, columns, listed, ranged
from finevar.report.parts import Labels, Row, Section, Table, Tables, group, sentence
from finevar.study.coding import factors_of
from finevar.words.formatting import counted, factor_label, joined, response_label, sentence_case, term_label
from finevar.words.numbers import estimated, is_missing, level, p_equals, p_text, percent, significant, span

NO_CLAIMS = "No claim was stated before this study; analysis.claims of its config takes them."
VERBS = {"replicated": "replicate {}", "contradicted": "contradict {}", "undecided": "leave {} undecided"}


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
    """Return this study's own verdict on a claim's term."""
    return "undecided" if is_missing(row["found"]) else row["found"]


def finding_sentence(rows: Sequence[Row]) -> str:
    """Count the claims by verdict, and say how far a verdict reaches."""
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in VERBS}
    parts = joined([verb.format(counts[verdict]) for verdict, verb in VERBS.items() if counts[verdict]])
    return (
        f"Of {counted(len(rows), 'claim')} stated before the study, its runs {parts}. That holds for this model, these "
        "data and the levels tried. A claim of no effect counts as replicated only where an effect of the size of "
        "interest is excluded."
    )


def claim_sentence(row: Row, labels: Labels, confidence: float) -> str:
    """Say what was claimed, what is found here, and why nothing is decided where that is so."""
    claim = (row["statement"] or row["name"]).rstrip(".")
    said = "" if is_missing(row["p_published"]) else f" ({p_equals(row['p_published'], 'published p')})"
    here = "" if is_missing(row["estimate"]) else f" {found_sentence(row, labels[row['response']], confidence)}"
    why = "" if is_missing(row["reason"]) else f" Undecided, for {row['reason'].rstrip('.')}."
    verdict = f": {row['verdict']}." if is_missing(row["reason"]) else "."
    return f"{sentence_case(claim)}{said}{verdict}{here}{why}"


def found_sentence(row: Row, label: str, confidence: float) -> str:
    """Say what this study estimates of a claim's term, over which levels and where."""
    value = found_text(row, confidence)
    if is_missing(row["from_level"]):
        first, second = map(factor_label, factors_of(row["term"]))
        return (
            f"Here the change of {label} along {first}, from lowest to highest, is larger by {value} at the highest "
            f"level of {second} than at the middle."
        )
    ends = f"from {level(row['from_level'])} to {level(row['to_level'])}"
    if "^" in row["term"]:
        return f"Here the {row['unit']} of {term_label(row['term'])}, {ends}, is {value} of {label}."
    where = "by the slope that it has at the baseline" if row["framework"] == "relative" else "the rest at the centre"
    return f"Here {label} changes by {value} along {factor_label(row['term'])}, {ends}, {where}."


def found_text(row: Row, confidence: float) -> str:
    """Return a claim's estimate with its interval and adjusted p-value."""
    return f"{estimated(row)} ({percent(confidence)} interval {span(row)}; {p_equals(row['p_adjusted'], 'adjusted p')})"


def claims_table(rows: Sequence[Row], confidence: float) -> Table:
    """Return one row a claim: the published p beside our estimate, its interval and p."""
    caption = (
        "Claims stated before the study. The change is that over the whole range of the levels, with its "
        f"{percent(confidence)} interval; the adjusted p counts all claims (Holm). The smallest change that these runs "
        "would find four times in five stands beside the smallest of interest."
    )
    shown = [
        ("Claim", lambda row: cell(sentence_case(row["name"]), note=row["source"])),
        ("Verdict", lambda row: cell(row["verdict"], verdict=mark(row))),
        ("Claimed", lambda row: cell(row["finding"], note=row["sign"])),
        *columns(p_text, p_published="Published p#"),
        ("Change#", ranged),
        ("p#", lambda row: cell(p_text(row["p_value"]), note=f"adj. {p_text(row['p_adjusted'])}")),
        *columns(significant, minimum_detectable="Would find#", smallest_effect="Of interest#"),
    ]
    return listed(caption, rows, shown)
