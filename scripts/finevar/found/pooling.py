"""The same cards pooled, with data-set effects, and with clustered errors, side by side.

Owners choose settings with their data in view, so data sets differ in both, and a regression that pools them takes what
data sets do for what settings do. How far it does is seen where the estimate moves once each data set has an effect of
its own; how far cards of one data set or owner go together is seen where the interval widens once they are clustered.

Terms are the factors', first order: cards seldom bear more. Where every data set lies within one cluster, data sets are
taken out by subtracting their means, which leaves every estimate as it is, since without a cluster its own data sets'
effects would have nothing to be estimated from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from finevar.found.choice import Question, choose, coded, compared, stating
from finevar.reasons import Stop
from finevar.statistics.covariance import CLASSICAL, INDEPENDENT, Errors, Fit, clustered_by, contrasts, fit_ols
from finevar.statistics.estimability import Obstacle, obstacle
from finevar.study.coding import block_columns
from finevar.study.factors import CARD_COLUMNS
from finevar.study.matrices import aliased_terms
from finevar.tables import Rows
from finevar.words.formatting import counted

ALL_TASKS, COMPARED = "all tasks", "compared"
POOLS = {ALL_TASKS: "the cards of every task", COMPARED: "the cards that are compared"}
SPECIFICATIONS = POOLED, APART = ("pooled", "data-set effects")
ROBUST = INDEPENDENT.kind
UNCLUSTERED = {CLASSICAL.kind: CLASSICAL, ROBUST: INDEPENDENT}
CLUSTERS = {"clustered by data set": ("data", "data set"), "clustered by owner": ("owner", "owner")}  # column, in words
ERRORS = (*UNCLUSTERED, *CLUSTERS)


def pooling_rows(cards: pd.DataFrame, question: Question, confidence: float) -> Rows:
    """Return a row (the table pooling) of each response, factor, pool, specification and kind of errors.

    cards: as they were read (columns.MODEL_CARDS). The pool of all tasks is there where the study is of one task only.
    """
    pools = {COMPARED: question}
    if question.task is not None:
        pools = {ALL_TASKS: dataclasses.replace(question, task=None)} | pools
    rows: Rows = []
    for pool, asked in pools.items():
        used = compared(choose(cards, asked))
        for response in question.responses:
            stated = stating(used, response).reset_index(drop=True)
            rows += [{"pool": pool} | row for row in response_rows(stated, response, asked, confidence)]
    return rows


def response_rows(
    cards: pd.DataFrame, response: str, question: Question, confidence: float
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one response and one pool: changes from a factor's lowest to its highest level."""
    for specification in SPECIFICATIONS:
        apart = specification == APART and len(cards)
        blocks = block_columns(cards["data"])[0] if apart else np.empty((len(cards), 0))
        factors, found = estimable(cards, blocks, question)
        for errors in ERRORS:
            fit = fitted(cards, response, factors, blocks, errors, question) if factors else ""
            if isinstance(fit, Fit):
                changes = contrasts(fit, 2 * np.eye(len(fit.params))[1 : 1 + len(factors)], confidence)
                rows = (change._asdict() | {"df": float(fit.df)} for change in changes)
            else:
                rows = ({"reason": fit} for _ in factors)
            found |= dict(zip(factors, rows, strict=True))
            row = {"response": response, "specification": specification, "errors": errors, "cards": len(cards)}
            row["datasets"] = cards["data"].nunique()
            row |= {"clusters": cards[CLUSTERS[errors][0]].nunique()} if errors in CLUSTERS else {}
            for name in question.codings:
                yield row | {"factor": name} | found[name]


def estimable(
    cards: pd.DataFrame, blocks: np.ndarray, question: Question
) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Return the factors that can be estimated beside blocks and each other, and the reasons why the others cannot."""
    if cards.empty:
        return [], {name: {"reason": "no card is left"} for name in question.codings}
    lacks = {name: "it has one value only" for name in question.codings if cards[CARD_COLUMNS[name]].nunique() < 2}
    x = {name: column for name, column in coded(cards, question).items() if name not in lacks}
    matrix = np.column_stack([np.ones(len(cards)), blocks, *x.values()])
    labels = [*[""] * (1 + blocks.shape[1]), *x]
    where = "within data sets it does not vary, or only with" if blocks.shape[1] else "it varies only with"
    lacks |= {name: f"{where} what stands before it" for name in aliased_terms(matrix, labels) if name}
    return [name for name in x if name not in lacks], {name: {"reason": why} for name, why in lacks.items()}


def fitted(
    cards: pd.DataFrame, response: str, factors: list[str], blocks: np.ndarray, errors: str, question: Question
) -> Fit | str:
    """Return the first-order fit with one kind of errors, its factors behind the intercept; or why there is none."""
    x, values = coded(cards, question), cards[response].to_numpy(float)
    columns, ones = np.column_stack([x[name] for name in factors]), np.ones((len(cards), 1))
    if np.ptp(values) == 0:
        return "every card states the same value"
    matrix = np.column_stack([ones, columns, blocks])
    if found := obstacle(matrix, CLASSICAL):
        return obstacle_text(found, CLASSICAL, errors, len(cards))
    used = UNCLUSTERED.get(errors)
    if used is None:
        labels = cards[CLUSTERS[errors][0]].fillna(cards["card_id"])
        used = clustered_by(labels.to_numpy(), "")
        if blocks.shape[1] and (labels.groupby(cards["data"]).nunique() == 1).all():
            both = pd.DataFrame(np.column_stack([columns, values]))
            within = (both - both.groupby(cards["data"]).transform("mean")).to_numpy()
            matrix, values = np.column_stack([ones, within[:, :-1]]), within[:, -1]
    found = obstacle(matrix, used, tested=1 + len(factors))
    return obstacle_text(found, used, errors, len(cards)) if found else fit_ols(values, matrix, used)


def obstacle_text(found: Obstacle, used: Errors, errors: str, cards: int) -> str:
    """Say what keeps cards from being regressed with one kind of errors."""
    what = CLUSTERS[errors][1] if errors in CLUSTERS else "card"
    if found.code == Stop.NO_RESIDUAL:
        return f"{cards} cards for {found.parameters} parameters"
    if found.code == Stop.FEW_CLUSTERS:
        return f"{counted(used.count or 0, what)}, too few to cluster by"
    return f"one {what} alone decides a parameter"
