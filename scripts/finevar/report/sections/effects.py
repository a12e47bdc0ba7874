"""The report's section on effects: the verdict on each hyperparameter and metric, and the sentences behind it."""

from __future__ import annotations

from finevar.report import tables as report_tables
from finevar.report.labels import gate_sentences, names, second_order
from finevar.report.parts import Facts, Group, Labels, Section, Tables, group, sentence
from finevar.words import effects as words
from finevar.words.numbers import is_missing

PART, PLACE, TITLE = "effects", 20, "Effects"
MATRIX = "Largest change between two levels; where none is shown, what is not excluded."
ANSWERS = {  # by verdict, in the section's order
    "effect": "What moved",
    "small": "What moved by too little to matter",
    "joint": "Interactions and curvature",
    "undecided": "What is undecided",
    "negligible": "What is negligible",
    "none": "What has no verdict",
}


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section:
    """Return what moved, the matrix of verdicts, and a sentence on each effect, grouped by verdict."""
    known, confidence = names(tables, facts), facts["config"]["analysis"]["confidence"]
    matrix = report_tables.verdict_matrix(tables["effects"], known) | {"worded": True, "caption": MATRIX}
    drawn = group("The same, drawn", [intervals(tables, confidence)], figures=["effects"], fold=True)
    shown = [group("", [], tables=[matrix]), drawn] if labels else []
    finding = words.headline(tables["effects"], tables["fits"], known)
    return {"finding": finding, "groups": [*shown, *verdict_groups(tables, known)]}


def verdict_groups(tables: Tables, labels: Labels) -> list[Group]:
    """Return a sentence on each effect, on interactions, curvature and gates, grouped by verdict."""
    said: dict[str, list[str]] = {"none": gate_sentences(tables["fits"], labels)}
    for row in tables["effects"].to_dict("records"):
        kind = "none" if is_missing(row["verdict"]) else row["verdict"]
        said.setdefault(kind, []).append(words.effect_sentence(row, labels[row["response"]]))
    bent = second_order(tables, ["two_way", "quadratic"])
    said["joint"] = [words.joint_sentence(row, labels[row["response"]]) for row in bent]
    return [
        group(title, [sentence(text, kind) for text in said[kind]], fold=kind != "none")
        for kind, title in ANSWERS.items()
        if said.get(kind)
    ]


def intervals(tables: Tables, confidence: float) -> str:
    """Say what the intervals of effects hold for."""
    population = words.population_sentence(tables["effects"], tables["metrics"]["seed"].nunique())
    return f"{words.simultaneous_sentence(confidence)} {population}".strip()
