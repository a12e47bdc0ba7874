"""Which model cards a study of found models compares: every other one is excluded, with the first reason for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from finevar.found.methods import FULL, METHODS
from finevar.metrics import ON_CARDS
from finevar.reasons import Aside
from finevar.study.coding import Coding, Codings, codings_of
from finevar.study.factors import CARD_COLUMNS
from finevar.words.formatting import counted, factor_label

SLACK = 0.01  # of an evaluation interval: epochs are rounded


@dataclass(frozen=True)
class Question:
    """What a study of found models asks of the cards."""

    codings: Codings
    responses: Sequence[str]
    order: str
    task: str | None
    base_models: Sequence[str]
    cards_per_dataset: int
    largest_owner_share: float
    evaluation: str = "headline"  # or last, best: a row of the cards' tables
    method: str = FULL  # of training, or one of methods.METHODS

    @classmethod
    def of(cls, params: Any) -> Question:
        """Read a rule's params: factors, analysis and cards."""
        names = ("task", "base_models", "cards_per_dataset", "largest_owner_share", "evaluation", "method")
        cards = {name: params.cards[name] for name in names}
        return cls(codings_of(params.factors), params.analysis["responses"], params.analysis["model"], **cards)


def choose(cards: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Return the cards (columns.CARDS) with what is said of each: copy of another, complete, excluded, rare metrics.

    cards: as they were read (columns.MODEL_CARDS); their metrics become those of the evaluation that is compared.
    """
    if question.evaluation != "headline":
        cards = cards.assign(**{name: cards[f"{question.evaluation}_{name}"] for name in ON_CARDS})
    cards = cards.assign(duplicate_of=duplicates(cards), complete=is_complete(cards, question))
    cards["data"] = blocks(cards, question)
    cards[["set_aside", "set_aside_code"]] = set_aside(cards, question)
    cards["rare"] = rare_metrics(cards, question)
    return cards


def compared(cards: pd.DataFrame) -> pd.DataFrame:
    """Return those of chosen cards that are not excluded."""
    return cards[cards["set_aside"].isna()]


def stating(cards: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return those of chosen cards with a metric that enough others on their data set state."""
    rare = [metric in names.split() for names in cards["rare"]]
    return cards[cards[metric].notna() & ~np.array(rare, dtype=bool)]


def coded(cards: pd.DataFrame, question: Question) -> dict[str, np.ndarray]:
    """Return each factor of the cards [cards] in coded units."""
    return {name: coding.coded(cards[CARD_COLUMNS[name]].to_numpy(float)) for name, coding in question.codings.items()}


def outside(values: pd.Series, coding: Coding) -> pd.Series:
    """Say which stated values of a factor lie beyond the levels compared."""
    low, high = min(coding.levels), max(coding.levels)
    return values.notna() & ~values.between(low * (1 - 1e-9), high * (1 + 1e-9))


def blocks(cards: pd.DataFrame, question: Question) -> pd.Series:
    """Return what an effect of its own is given to: the data set, within its task where tasks are mixed; "" unknown."""
    if question.task is not None:
        return cards["data"]
    return (cards["task"].fillna("unknown task") + ", " + cards["data"]).where(cards["data"] != "", "")


def duplicates(cards: pd.DataFrame) -> pd.Series:
    """Return, for each card, the first one that states exactly the same metrics, None for none.

    To four decimal places, as cards give them, two trainings do not agree in loss and another metric. A card with a
    single metric is compared by its settings, too.
    """
    metrics = cards[list(ON_CARDS)].astype(float).round(6)
    stated = metrics.notna().sum(axis=1)
    settings = cards[list(CARD_COLUMNS.values())].astype(float).where(stated < 2)
    keys = [column for _, column in [*metrics.items(), *settings.items()]]
    first = cards["card_id"].groupby(keys, dropna=False, sort=False).transform("first")
    return first.astype(object).where((first != cards["card_id"]) & (stated > 0), None)


def is_complete(cards: pd.DataFrame, question: Question) -> pd.Series:
    """Say which cards are of the study's task, base models and method and state every factor and every metric of it."""
    states = [CARD_COLUMNS[name] for name in question.codings]
    whole = cards[[*states, *question.responses]].notna().all(axis=1) & cards["reason"].isna()
    return whole & of_task(cards, question) & of_base(cards, question) & of_method(cards, question)


def of_task(cards: pd.DataFrame, question: Question) -> pd.Series:
    """Say which cards are of the study's task."""
    if question.task is None:
        return pd.Series(True, index=cards.index)
    return cards["task"].fillna("").str.lower().str.replace(" ", "-") == question.task.lower().replace(" ", "-")


def of_base(cards: pd.DataFrame, question: Question) -> pd.Series:
    """Say which cards start from one of the study's base models; of a card that names none, that is not known."""
    return cards["base_model"].isin(question.base_models) if question.base_models else pd.Series(True, cards.index)


def methods(cards: pd.DataFrame) -> pd.Series:
    """Return the method by which each card's model was trained; the usual one where a card says nothing of another."""
    return cards["method"].fillna(FULL)


def of_method(cards: pd.DataFrame, question: Question) -> pd.Series:
    """Say which cards' models were trained by the study's method."""
    return methods(cards) == question.method


def stopped_early(cards: pd.DataFrame) -> pd.Series:
    """Say which cards' tables end a whole evaluation interval, one epoch where it is unknown, before their epochs."""
    interval = cards["eval_interval"].fillna(1.0)
    return cards["epochs_run"] + interval <= cards["epochs_asked"] + SLACK * interval


def beyond(cards: pd.DataFrame, question: Question) -> pd.Series:
    """Return which factors of each card lie beyond the levels compared, joined; "" for none."""
    names = pd.Series("", index=cards.index)
    for name, coding in question.codings.items():
        names = names.mask(outside(cards[CARD_COLUMNS[name]], coding), names + f" {factor_label(name)}")
    return names.str.strip()


def set_aside(cards: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Return, for each card, the first reason why it is not compared and its code; None where it is.

    Columns: set_aside, set_aside_code.
    """
    reasons = pd.DataFrame(None, cards.index, ["set_aside", "set_aside_code"], dtype=object)
    for code, flag, sentence in own_reasons(cards, question):
        give(reasons, code, flag, sentence)
    few = f"fewer than {counted(question.cards_per_dataset, 'card')} on its data set"
    give(reasons, Aside.RARE_DATASET, on_rare(cards, reasons["set_aside_code"].isna(), question), few)
    return reasons


def on_rare(cards: pd.DataFrame, among: pd.Series, question: Question) -> pd.Series:
    """Say which of some cards are too few on their data set."""
    data = cards["data"].where(among)
    return data.map(data.value_counts()) < question.cards_per_dataset


def own_reasons(cards: pd.DataFrame, question: Question) -> Iterator[tuple[Aside, pd.Series, str | pd.Series]]:
    """Yield each reason that a card gives by itself: its code, the cards that it holds for, and its sentence."""
    unusable = cards["reason"].notna()
    copies = duplicates(cards[~unusable]).reindex(cards.index)  # an unusable card does not take a usable one's place
    lacks = cards[[CARD_COLUMNS[name] for name in question.codings]].isna().any(axis=1)
    factors = beyond(cards, question)
    yield Aside.UNUSABLE, unusable, cards["reason"]
    yield Aside.NO_FACTOR, lacks, "it does not state every hyperparameter"
    none = cards[list(ON_CARDS)].isna().all(axis=1)
    yield Aside.NO_METRIC, none, f"no metric of its {question.evaluation} evaluation"
    yield Aside.DUPLICATE, copies.notna(), "same metrics as " + copies.fillna("").astype(str)
    yield Aside.TASK, ~of_task(cards, question), "another task: " + cards["task"].fillna("unknown")
    yield Aside.BASE_MODEL, ~of_base(cards, question), "another base model: " + cards["base_model"].fillna("unknown")
    others = methods(cards).map({FULL: "all weights"} | {name: known.words for name, known in METHODS.items()})
    yield Aside.METHOD, ~of_method(cards, question), "another method of training: " + others
    yield Aside.STOPPED_EARLY, stopped_early(cards), "stopped early, and when was decided by its metrics"
    yield Aside.RANGE, factors != "", "beyond the levels compared: " + factors
    yield Aside.NO_DATASET, cards["data"] == "", "data set unknown"


def give(reasons: pd.DataFrame, code: Aside, flag: pd.Series, sentence: str | pd.Series) -> None:
    """Write a reason, in place, for the flagged cards that have none yet."""
    new = flag & reasons["set_aside_code"].isna()
    reasons.loc[new, "set_aside"] = sentence if isinstance(sentence, str) else sentence[new]
    reasons.loc[new, "set_aside_code"] = code.value


def rare_metrics(cards: pd.DataFrame, question: Question) -> pd.Series:
    """Return which metrics of each card that is compared too few cards on its data set state, joined; "" for none."""
    used, names = cards["set_aside"].isna(), pd.Series("", index=cards.index)
    for name in ON_CARDS:
        names = names.mask(on_rare(cards, used & cards[name].notna(), question), names + f" {name}")
    return names.str.strip()
