"""The report's section on robustness: how many reasonable analyses agree, and what those that do not have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.report.groups import group, sentence
from finevar.report.sections.regressions import STOPPED
from finevar.report.tables import Table, cell, table
from finevar.words.formatting import NOTHING, counted, factor_label, joined, number, p_text, sentence_case, significant

DIMENSIONS = {"coding": "the coding", "degree": "the degree", "covariance": "the covariance", "scale": "the scale"}
VALUES = {
    "first_order": "first order",
    "identity": "levels as they are",
    "log2": "logarithms of the levels",
    "CR3": "CR3, clustered by trajectory",
    "classical": "classical, independent with one variance",
    "unbounded": "without bounds (logit, logarithm)",
}


def section(
    tables: Mapping[str, pd.DataFrame], labels: Mapping[str, str], factors: Sequence[str], confidence: float
) -> dict[str, Any]:
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


def finding_sentence(conclusions: Sequence[pd.DataFrame], labels: Mapping[str, str]) -> str:
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


def subject(part: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """Name what a conclusion is about."""
    first = part.iloc[0]
    label = labels[first["response"]]
    return f"{factor_label(first['factor'])} and {label}" if first["factor"] else f"the setting recommended for {label}"


def agreed_text(part: pd.DataFrame) -> str:
    """Print how many of how many specifications agree."""
    return f"{part['agrees'].astype(bool).sum()} of {len(part)}"


def response_group(conclusions: Sequence[pd.DataFrame], response: str, label: str, alpha: float) -> dict[str, Any]:
    """Return one response's sentences: a conclusion each."""
    parts = [part for part in conclusions if part["response"].iloc[0] == response]
    sentences = [
        sentence(conclusion_sentence(part, alpha), part["conclusion"].iloc[0] if part["factor"].iloc[0] else None)
        for part in parts
    ]
    return group(sentence_case(label), sentences)


def conclusion_sentence(part: pd.DataFrame, alpha: float) -> str:
    """Say how many specifications agree on a conclusion, and what those that do not have in common."""
    first = part.iloc[0]
    if first["factor"]:
        about = f"{sentence_case(factor_label(first['factor']))} ({first['conclusion']})"
        what = "see the same direction" if first["p_value"] < alpha else "see no direction, either"
    else:
        about = "The recommended setting"
        what = "recommend it, too, or one that is not significantly better"
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


def shares_table(conclusions: Sequence[pd.DataFrame], labels: Mapping[str, str]) -> Table:
    """Return one row a conclusion: how many specifications agree, and the range of their p-values."""
    rows = []
    for part in conclusions:
        first, p_values = part.iloc[0], part["p_value"].dropna()
        verdict = first["conclusion"] if first["factor"] else None
        span = f"{p_text(p_values.min())} to {p_text(p_values.max())}" if len(p_values) else NOTHING
        rows.append(
            [
                cell(sentence_case(labels[first["response"]])),
                factor_label(first["factor"]) if first["factor"] else "recommended setting",
                cell(first["conclusion"], verdict=verdict),
                agreed_text(part),
                span,
            ]
        )
    caption = (
        "Specifications that agree with the reported one: on the direction of a change where its p alone is below the "
        "error rate, else on there being none shown; on the recommended setting where it is theirs, or not "
        "significantly worse than theirs."
    )
    return table(caption, ["Metric", "About", "Reported", "Agree#", "p from, to#"], rows)


def dissent_table(dissent: pd.DataFrame, labels: Mapping[str, str]) -> Table:
    """Return one row a specification that disagrees."""
    rows = [
        [
            cell(sentence_case(labels[row["response"]])),
            factor_label(row["factor"]) if row["factor"] else "recommended setting",
            *(shown(row[column]) for column in DIMENSIONS),
            number(row["estimate"], sign=True) if row["scale"] == "raw" else significant(row["estimate"]),
            p_text(row["p_value"]),
        ]
        for row in dissent.to_dict("records")
    ]
    caption = "Specifications that disagree; an estimate above zero is better, and without bounds on that scale."
    return table(caption, ["Metric", "About", "Coding", "Degree", "Covariance", "Scale", "Estimate#", "p#"], rows)
