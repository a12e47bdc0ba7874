"""The report's section on robustness: how many reasonable analyses agree, and what those that do not have in common."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from finevar.report.cells import P_VALUE, cell, columns, listed, metric_column
from finevar.report.parts import STOPPED, Group, Labels, Row, Section, Table, Tables, group, sentence
from finevar.words.effects import VERDICTS
from finevar.words.formatting import counted, factor_label, joined, sentence_case
from finevar.words.numbers import NOTHING, is_missing, number, p_text, significant

PART, PLACE, TITLE = "details", 35, "Specifications"
DIMENSIONS = {"coding": "the coding", "degree": "the degree", "covariance": "the covariance", "scale": "the scale"}
VALUES = {
    "first_order": "first order",
    "identity": "levels as they are",
    "log2": "logarithms of the levels",
    "CR3": "CR3, clustered by trajectory",
    "classical": "classical, independent with one variance",
    "unbounded": "without bounds (logit, logarithm)",
}


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return how many conclusions hold in every specification, a sentence each, and counts; tables: robustness."""
    rows = tables["robustness"]
    rows = rows[rows["response"].isin(list(labels))]
    if rows.empty:
        return {"finding": STOPPED, "groups": []}
    tried = rows[rows["agrees"].notna()]
    conclusions = [part for _, part in tried.groupby(["response", "factor"], sort=False)]
    groups = [response_group(conclusions, response, label, 1 - confidence) for response, label in labels.items()]
    groups[-1] |= {
        "tables": [shares_table(conclusions, labels)],
        "folded": [dissent_table(tried[~tried["agrees"].astype(bool)], labels)],
    }
    groups[-1]["sentences"] += map(sentence, untried_sentences(rows))
    return {"finding": finding_sentence(conclusions, labels), "groups": groups}


def share(part: pd.DataFrame) -> float:
    """Return the share of specifications that agree with the reported one."""
    return float(part["agrees"].astype(bool).mean())


def finding_sentence(conclusions: Sequence[pd.DataFrame], labels: Labels) -> str:
    """Count the conclusions that every specification shares, and name the one that fewest do."""
    firm = sum(share(part) == 1 for part in conclusions)
    tried = max(len(part) for part in conclusions)
    counts = (
        f"{firm} of {counted(len(conclusions), 'conclusion')} hold in every one of up to {tried} specifications "
        "(coding, degree, covariance, scale)."
    )
    weakest = min(conclusions, key=share)
    if share(weakest) == 1:
        return counts
    return f"{counts} The one that depends most on them is on {subject(weakest, labels)}: {agreed_text(weakest)} agree."


def subject(part: pd.DataFrame, labels: Labels) -> str:
    """Name what a conclusion is about."""
    first = part.iloc[0]
    label = labels[first["response"]]
    return (
        f"{factor_label(first['factor'])} and {label}" if first["factor"] else f"the setting predicted best for {label}"
    )


def agreed_text(part: pd.DataFrame) -> str:
    """Print how many of how many specifications agree."""
    return f"{part['agrees'].astype(bool).sum()} of {len(part)}"


def conclusion(row: Row) -> str:
    """Print what is reported: the verdict on a factor, or the setting predicted best."""
    if is_missing(row["conclusion"]):
        return "no verdict on all data sets together"
    return VERDICTS[row["conclusion"]] if row["factor"] else row["conclusion"]


def mark(row: Row) -> str | None:
    """Return the mark of a verdict on a factor; a setting has none."""
    return None if not row["factor"] else "none" if is_missing(row["conclusion"]) else row["conclusion"]


def response_group(conclusions: Sequence[pd.DataFrame], response: str, label: str, alpha: float) -> Group:
    """Return one response's sentences: a conclusion each."""
    parts = [(part, part.iloc[0]) for part in conclusions]
    sentences = [
        sentence(conclusion_sentence(part, alpha), mark(first))
        for part, first in parts
        if first["response"] == response
    ]
    return group(sentence_case(label), sentences)


def conclusion_sentence(part: pd.DataFrame, alpha: float) -> str:
    """Say how many specifications agree on a conclusion, and what those that do not have in common."""
    first = part.iloc[0]
    if first["factor"]:
        about = f"{sentence_case(factor_label(first['factor']))} ({conclusion(first)})"
        what = f"see {'the same' if first['p_value'] < alpha else 'no'} direction mid-range, as is reported"
    else:
        about = "The setting predicted best"
        what = "predict it best, too, or one that is not significantly better"
    return f"{about}: {agreed_text(part)} specifications {what}.{dissent_text(part)}"


def dissent_text(part: pd.DataFrame) -> str:
    """Say which choices all disagreeing specifications share, and which choices always disagree."""
    dissent = part[~part["agrees"].astype(bool)]
    if dissent.empty:
        return ""
    shared, always = [], []
    for column, words in DIMENSIONS.items():
        values = set(dissent[column])
        if len(values) == 1 and part[column].nunique() > 1:
            shared.append(f"{words} {shown(values.pop())}")
            continue
        for value, found in part.groupby(column):
            if not found["agrees"].astype(bool).any():
                always.append(f"{words} {shown(value)}")
    if shared:
        return f" All that do not have {joined(shared)}."
    if always:
        return f" Not one agrees that has {joined(always, 'or')}."
    return " Those that do not have no one choice in common."


def shown(value: str) -> str:
    """Print a choice in words."""
    return VALUES.get(value, value)


def untried_sentences(rows: pd.DataFrame) -> list[str]:
    """Say which degrees the runs do not support, and why."""
    untried = rows[rows["agrees"].isna()].drop_duplicates(["degree", "reason"])
    return [f"Not tried, {shown(row.degree)}: {row.reason}." for row in untried.itertuples()]


def subject_cell(row: Row) -> str:
    """Name what a conclusion on a metric is about."""
    return factor_label(row["factor"]) if row["factor"] else "setting predicted best"


def shares_table(conclusions: Sequence[pd.DataFrame], labels: Labels) -> Table:
    """Return one row a conclusion: how many specifications agree, and the range of their p-values."""
    rows = []
    for part in conclusions:
        p_values = part["p_value"].dropna()
        reach = f"{p_text(p_values.min())} to {p_text(p_values.max())}" if len(p_values) else NOTHING
        rows.append(part.iloc[0].to_dict() | {"agree": agreed_text(part), "reach": reach})
    caption = (
        "Specifications that agree with the reported one: on the direction of a change where its p alone is below the "
        "error rate, else on there being none shown; on the setting predicted best where it is theirs, or not "
        "significantly worse than theirs."
    )
    shown = [*metric_column(labels), ("About", subject_cell)]
    shown.append(("Reported", lambda row: cell(conclusion(row), verdict=mark(row))))
    return listed(caption, rows, [*shown, *columns(str, agree="Agree#", reach="p from, to#")])


def dissent_table(dissent: pd.DataFrame, labels: Labels) -> Table:
    """Return one row a specification that disagrees."""

    def estimate(row: Row) -> str:
        return number(row["estimate"], sign=True) if row["scale"] == "raw" else significant(row["estimate"])

    caption = "Specifications that disagree; an estimate above zero is better, and without bounds on that scale."
    choices = columns(shown, coding="Coding", degree="Degree", covariance="Covariance", scale="Scale")
    about = [*metric_column(labels), ("About", subject_cell)]
    return listed(caption, dissent, [*about, *choices, ("Estimate#", estimate), P_VALUE])
