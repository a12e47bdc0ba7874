"""Which model cards can be compared, and what stands between them and a p-value.

Cards are no experiment: nobody chose their settings apart from their data, their owners and each other. So they are
looked at before any regression. Some cards are excluded, each with its reason; what then still forbids a p-value stops
all regressions with a sentence, and what only has to be known is noted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from finevar.found.choice import (
    Question,
    choose,
    coded,
    compared,
    methods,
    of_base,
    of_method,
    of_task,
    outside,
    stating,
    stopped_early,
)
from finevar.found.methods import FULL, METHODS
from finevar.metrics import ON_CARDS
from finevar.reasons import Aside
from finevar.study.coding import model_matrix, term_name, terms
from finevar.study.factors import CARD_COLUMNS
from finevar.study.matrices import aliased_terms
from finevar.words.formatting import counted, factor_label, joined, response_label, sentence_case, term_label
from finevar.words.numbers import level, percent

CAREFUL = 0.5  # share of one value of a factor, or of one owner, that is worth a note
PASSED, NOTED, SET_ASIDE, STOPPED = "passed", "noted", "excluded", "stopped"
OWNERS, ALIASING = "owners", "aliasing"  # gates that other code asks for

HEADLINES = {  # by what a card says of its own
    "last": "the last row",
    "best": "the row of lowest loss",
    "last and best": "the last and best row",
    "another row": "another row",
    "no row": "no row of the card's table",
}

Row = dict[str, Any]


def judge_cards(cards: pd.DataFrame, question: Question) -> tuple[pd.DataFrame, list[Row], str | None]:
    """Return the cards (columns.CARDS), the gates (the table found_gates), and what stops every p-value, or None.

    cards: as they were read (columns.MODEL_CARDS).
    """
    cards = choose(cards, question)
    gates = [*gates_of(cards, question)]
    stops = [gate["finding"] for gate in gates if gate["verdict"] == STOPPED]
    return cards, gates, " ".join(stops) or None


def gates_of(cards: pd.DataFrame, question: Question) -> Iterator[Row]:
    """Yield a row a gate: what was looked at, what was found, and what follows."""
    used = compared(cards)
    yield unusable_gate(cards)
    yield duplicate_gate(cards)
    yield owner_gate(cards, used, question)
    yield dataset_gate(cards, used, question)
    yield task_gate(cards, used, question)
    yield base_gate(cards, used, question)
    yield method_gate(cards, question)
    yield metrics_gate(used, question)
    yield averaging_gate(used)
    yield headline_gate(used) if question.evaluation == "headline" else row_gate(cards, question)
    yield early_gate(cards)
    for name in question.codings:
        yield range_gate(cards, name, question)
    yield alias_gate(cards, used, question)


def gate(name: str, looked: int, flagged: int, finding: str, consequence: str = "", verdict: str | None = None) -> Row:
    """Return the row of a gate, which excludes what it flags unless another verdict is given."""
    verdict = verdict or (SET_ASIDE if flagged else PASSED)
    row = {"gate": name, "verdict": verdict, "cards": int(looked), "flagged": int(flagged)}
    return row | {"finding": finding, "consequence": consequence}


def unusable_gate(cards: pd.DataFrame) -> Row:
    """Count the cards that state too little."""
    reasons = cards["reason"].dropna()
    if reasons.empty:
        return gate("unusable", len(cards), 0, "Every card states its settings and a metric.")
    most = reasons.value_counts().index[0]
    finding = f"{counted(len(reasons), 'card')} of {len(cards)} cannot be used; most often {most}."
    return gate("unusable", len(cards), len(reasons), finding, "They are left out, each with its reason.")


def duplicate_gate(cards: pd.DataFrame) -> Row:
    """Count the cards that repeat another one's metrics exactly."""
    count = cards["duplicate_of"].notna().sum()
    if not count:
        return gate("duplicates", len(cards), 0, "No two cards state the same metrics.")
    finding = f"{counted(count, 'card')} of {len(cards)} repeat another card's metrics to the last digit."
    return gate("duplicates", len(cards), count, finding, "A training counts once: the first card is kept.")


def owner_gate(cards: pd.DataFrame, used: pd.DataFrame, question: Question) -> Row:
    """Find the owner of most cards, and whether too many of those that are compared are one owner's."""
    everywhere = cards["owner"].value_counts()
    if everywhere.empty:
        return gate(OWNERS, len(cards), 0, "No card names its owner.", "Whether owners matter cannot be seen.", NOTED)
    most = everywhere.iloc[0]
    finding = f"{most} of all {len(cards)} cards are {everywhere.index[0]}'s"
    among = used["owner"].value_counts()
    if among.empty:
        return gate(OWNERS, len(cards), most, f"{finding}.", "", NOTED)
    verdict, what = NOTED if most / len(cards) > CAREFUL else PASSED, "Errors are clustered by owner."
    if among.iloc[0] / len(used) > question.largest_owner_share:
        what = "No p-value: it would reflect that owner's code and data as much as the settings."
        verdict = STOPPED
    return gate(OWNERS, len(cards), most, f"{finding}; {largest_owner(used)}.", what, verdict)


def largest_owner(used: pd.DataFrame) -> str:
    """Say whose most of the models compared are, and how many."""
    among = used["owner"].value_counts()
    count, share = among.iloc[0], among.iloc[0] / len(used)
    return f"of the {len(used)} compared, {count} are {among.index[0]}'s ({percent(share)})"


def dataset_gate(cards: pd.DataFrame, used: pd.DataFrame, question: Question) -> Row:
    """Count the cards whose data set is unknown, or too rare for an effect of its own."""
    unknown = (cards["data"] == "").sum()
    rare = (cards["set_aside_code"] == Aside.RARE_DATASET).sum()
    finding = f"{counted(unknown, 'card')} of {len(cards)} name no data set"
    finding += f", and {rare} more are on one with fewer than {question.cards_per_dataset} cards" if rare else ""
    if used.empty:
        return gate("data sets", len(cards), unknown + rare, f"{finding}.", "No card is left to compare.", STOPPED)
    owners = used.groupby("data")["owner"].nunique()
    left, alone = len(owners), int((owners <= 1).sum())
    what = f"{counted(left, 'data set')} {'is' if left == 1 else 'are'} left, each with an effect of its own"
    what += f"; {alone} of them {'has' if alone == 1 else 'have'} one owner only" if alone else ""
    return gate("data sets", len(cards), unknown + rare, f"{finding}.", f"{what}.")


def task_gate(cards: pd.DataFrame, used: pd.DataFrame, question: Question) -> Row:
    """Count tasks: a metric of sentences and one of tokens have their name in common, and no more."""
    counts = cards["task"].fillna("unknown").value_counts()
    finding = f"The cards are of {joined([f'{name} ({count})' for name, count in counts.items()])}."
    if used["task"].fillna("unknown").nunique() > 1:
        stop = "No p-value: one task's accuracy is not the other's. Name one as cards.task."
        return gate("tasks", len(cards), len(used), finding, stop, STOPPED)
    other = (~of_task(cards, question)).sum()
    return gate("tasks", len(cards), other, finding, f"Only {question.task} is compared." if other else "")


def base_gate(cards: pd.DataFrame, used: pd.DataFrame, question: Question) -> Row:
    """Count base models among the cards compared."""
    counts = cards["base_model"].fillna("unknown").value_counts()
    finding = f"{counts.iloc[0]} of {len(cards)} cards started from {counts.index[0]}"
    finding += f", the rest from {counted(len(counts) - 1, 'other')}." if len(counts) > 1 else "."
    other = (~of_base(cards, question)).sum()
    if used["base_model"].fillna("unknown").nunique() > 1:
        what = "Several are compared as if they were one: cards.base_models can name which."
        return gate("base models", len(cards), other, finding, what, NOTED)
    return gate("base models", len(cards), other, finding)


def method_gate(cards: pd.DataFrame, question: Question) -> Row:
    """Count the cards of models that were trained by another method, which is not another setting."""
    other = ~of_method(cards, question)
    if not other.any():
        return gate("methods of training", len(cards), 0, "No card says that its model was trained by another method.")
    counts = methods(cards)[other].value_counts()
    named = [
        f"{count} {METHODS[name].words if name in METHODS else 'of all weights'}" for name, count in counts.items()
    ]
    finding = (
        f"{other.sum()} of {counted(len(cards), 'card')} are of models trained by another method: {joined(named)}."
    )
    usual = "Only models of which all weights were trained under cross-entropy are compared."
    what = usual if question.method == FULL else f"Only {METHODS[question.method].words} are compared."
    return gate("methods of training", len(cards), other.sum(), finding, what)


def metrics_gate(used: pd.DataFrame, question: Question) -> Row:
    """Count the cards with a metric that too few others on their data set state."""
    rare = used[used["rare"] != ""]
    if rare.empty:
        return gate("metrics", len(used), 0, "Each metric is stated by enough cards of its data set, or by none.")
    counts = rare["rare"].str.split().explode().value_counts()
    which = joined([f"{response_label(name)} of {counted(count, 'card')}" for name, count in counts.items()])
    few = f"fewer than {counted(question.cards_per_dataset, 'card')} on the data set state it"
    finding = f"{sentence_case(which)}: {few}."
    return gate("metrics", len(used), len(rare), finding, "That metric of theirs is left out.")


def averaging_gate(used: pd.DataFrame) -> Row:
    """Count the cards that do not say how their F1 is averaged."""
    stated = stating(used, "f1")
    unknown = stated["f1_average"].isna().sum()
    if not unknown:
        return gate("averaging of F1", len(stated), 0, "Every F1 says how it is averaged.")
    finding = f"{unknown} of {len(stated)} cards with an F1 do not say how it is averaged over classes."
    what = "Within a data set of two classes that hardly matters; between data sets, F1 is not one metric."
    return gate("averaging of F1", len(stated), unknown, finding, what, NOTED)


def headline_gate(used: pd.DataFrame) -> Row:
    """Count which evaluation the headlines are."""
    known = used["headline"].dropna()
    if known.empty:
        return gate("headline", len(used), 0, "No card has a table to find its headline metrics in.", "", NOTED)
    other = (~known.isin(["last", "last and best"])).sum()
    rows = joined([f"{HEADLINES[name]} in {count}" for name, count in known.value_counts().items()])
    finding = f"The headline is {rows} of {len(known)} cards with a table."
    if not other:
        return gate("headline", len(used), 0, finding)
    what = "A headline that is no row was measured on other data than the table was, or by another call."
    return gate("headline", len(used), other, finding, what, NOTED)


def row_gate(cards: pd.DataFrame, question: Question) -> Row:
    """Say that a row of each card's table is compared, and count the cards that have no table."""
    none, best = cards[list(ON_CARDS)].isna().all(axis=1).sum(), question.evaluation == "best"
    finding = f"Compared is the {question.evaluation} row of each card's table; {none} of {len(cards)} have none."
    what = "The lowest of several losses is lower the more often a training was evaluated." if best else ""
    return gate("headline", len(cards), none, finding, what, NOTED if none or best else PASSED)


def early_gate(cards: pd.DataFrame) -> Row:
    """Count the trainings that stopped before the epochs that they were asked for, and those of which it is unknown."""
    early, unknown = int(stopped_early(cards).sum()), int(cards["epochs_run"].isna().sum())
    finding = f"{counted(early, 'card')} of {len(cards)} stopped before the epochs asked for; {unknown} do not say."
    what = "When a training stops is decided by its metrics, so its epochs cannot explain them." if early else ""
    return gate("early stops", len(cards), early, finding, what)


def range_gate(cards: pd.DataFrame, name: str, question: Question) -> Row:
    """Say over which values a factor ranges, and whether most cards have the same one."""
    stated, label = cards[CARD_COLUMNS[name]].dropna(), factor_label(name)
    title = f"range of {label}"
    if stated.empty:
        return gate(title, len(cards), len(cards), f"No card states {label}.", "", STOPPED)
    coding, counts = question.codings[name], stated.value_counts()
    beyond, most = int(outside(stated, coding).sum()), counts.iloc[0]
    several = f"{level(stated.min())} to {level(stated.max())}, {len(counts)} values"
    spread = several if len(counts) > 1 else "one value"
    finding = (
        f"{label.capitalize()}: {spread}; {level(counts.index[0])} in {most} of {len(stated)} cards that state it."
    )
    if beyond:
        ends = f"{level(min(coding.levels))} to {level(max(coding.levels))}"
        return gate(title, len(stated), beyond, finding, f"{counted(beyond, 'card')} beyond {ends}: excluded.")
    if most / len(stated) > CAREFUL:
        return gate(title, len(stated), 0, finding, "One habitual value says little about the others.", NOTED)
    return gate(title, len(stated), 0, finding)


def alias_gate(cards: pd.DataFrame, used: pd.DataFrame, question: Question) -> Row:
    """Name the terms that the cards cannot separate from others, among all that state everything and those compared."""
    whole = cards[cards["complete"]]
    complete, among = aliased(whole, question), aliased(used, question)
    if not complete and not among:
        finding = f"All terms of the {question.order} model can be separated among the {len(whole)} complete cards."
        return gate(ALIASING, len(whole), 0, finding) | {"terms": ""}
    found = [
        f"among the {len(part)} {kind} {joined([term_label(name) for name in names])}"
        for part, kind, names in ((whole, "complete cards", complete), (used, "compared", among))
        if names
    ]
    finding = f"Exact combinations of the terms before them: {'; '.join(found)}."
    verdict, count = (STOPPED, len(among)) if among else (NOTED, len(complete))
    consequence = "No p-value: there is no estimate of them." if among else ""
    return gate(ALIASING, len(whole), count, finding, consequence, verdict) | {"terms": " ".join(complete)}


def aliased(cards: pd.DataFrame, question: Question) -> list[str]:
    """Return the terms of the study's model that are linear combinations of those before them, by name."""
    if cards.empty:
        return []
    columns = terms(list(question.codings), question.order)
    return aliased_terms(model_matrix(coded(cards, question), columns), [term_name(term) for term in columns])
