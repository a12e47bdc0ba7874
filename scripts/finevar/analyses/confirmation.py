"""The confirmation: what the recommended setting and its rivals reach with seeds that had no part in choosing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from finevar.analyses.recommended import recommended_point
from finevar.metrics import RESPONSES
from finevar.reasons import OK
from finevar.results.predictions import Predictions, contributions_of
from finevar.statistics.bounds import limits, within
from finevar.statistics.clustered import Clustered, Contrasts
from finevar.statistics.regression import NEW_SENTENCES, THESE_SENTENCES
from finevar.study.confirmation import RECOMMENDED, chosen_from
from finevar.tables import Rows

MEAN = ("mean", "ci_low", "ci_high")
DIFFERENCE = ("difference", "difference_low", "difference_high")


def confirmation_rows(
    runs: pd.DataFrame,
    found: Mapping[str, Predictions],
    ranking: pd.DataFrame,
    responses: Sequence[str],
    confidence: float,
) -> Rows:
    """Return a row a setting and response: its mean with fresh seeds, and by how much the recommended setting differs.

    runs: those of the confirmation, with their setting's id (point_id) and role, and the part they were evaluated on.
    found: predictions of those that finished, by data set. ranking: what the study itself measured.
    """
    finished, rows = runs[runs["status"] == OK], list[dict[str, Any]]()
    selected = ranking.dropna(subset="mean").set_index(["point_id", "response"])["mean"].to_dict()
    about = {
        "part": runs["part"].iloc[0],
        "chosen_from": runs["chosen_from"].iloc[0],
        "sentences": int(runs.drop_duplicates("dataset")["eval_examples"].sum()),
        "fresh_seeds": " ".join(map(str, sorted(runs["seed"].unique()))),
    }
    for response in responses:
        known = finished[finished[response].notna()]
        measured = compare(known, found, finished, response, confidence) if len(known) else {}
        for (name, role), own in runs.groupby(["point_id", "role"], sort=False):
            row, before = measured.get(name, {}), selected.get((name, response))
            shrinkage = row["mean"] - before if row and before is not None else None
            rows.append(
                {"point_id": name, "role": role, "response": response, "population": population_of(response)}
                | {"runs": int((known["point_id"] == name).sum()), "failed": int((own["status"] != OK).sum())}
                | about | row | {"selected": before, "shrinkage": shrinkage}
            )  # fmt: skip
    return rows


def population_of(response: str) -> str:
    """Return whom a response's intervals hold for."""
    return THESE_SENTENCES if each_of(response) is None else NEW_SENTENCES


def each_of(response: str) -> Any:
    """Return what gives a response's contributions of each sentence; None where it has none."""
    return RESPONSES[response].each


def compare(
    runs: pd.DataFrame, found: Mapping[str, Predictions], known: pd.DataFrame, response: str, confidence: float
) -> dict[str, dict[str, Any]]:
    """Return each setting's mean, and the recommended setting's less it, both with intervals, by its id."""
    codes, names = pd.factorize(runs["point_id"])
    datasets, _ = pd.factorize(runs["dataset"])
    members, blocks = np.eye(len(names))[codes], np.eye(datasets.max() + 1)[datasets]
    each = contributions_of(runs, response, known, found) if each_of(response) else same_everywhere(runs, response)
    clustered = Clustered(
        np.hstack([members, blocks[:, :-1] - blocks[:, -1:]]),  # so that means are over data sets
        runs["seed"].to_numpy(),
        datasets,
        list(each.values()),
    )
    own = np.eye(len(names), clustered.design.shape[1])
    new_sentences = each_of(response) is not None
    means = columns(clustered.contrasts(own, new_sentences=new_sentences), confidence, RESPONSES[response].bounds)
    rows = {name: dict(zip(MEAN, mean, strict=True)) for name, mean in zip(names, means, strict=True)}
    best = np.isin(names, runs.loc[runs["role"] == RECOMMENDED, "point_id"])
    if best.any() and not best.all():
        found_gaps = clustered.contrasts(own[best] - own[~best], new_sentences=new_sentences)
        for name, gap in zip(names[~best], columns(found_gaps, confidence, (-np.inf, np.inf)), strict=True):
            row = rows[name] | dict(zip(DIFFERENCE, gap, strict=True))
            rows[name] = within(row, DIFFERENCE, limits(response, row["mean"]))
    return rows


def same_everywhere(runs: pd.DataFrame, response: str) -> dict[str, np.ndarray]:
    """Return a metric that no sentence has a part of as one that is the same on both of two, by data set."""
    return {
        name: np.repeat(own[response].to_numpy(float)[:, None], 2, axis=1)
        for name, own in runs.groupby("dataset", sort=False)
    }


def columns(found: Contrasts, confidence: float, bounds: tuple[float, float]) -> list[list[float | None]]:
    """Return estimates and the ends of their intervals within bounds, null where one seed says nothing of new ones."""
    ends = [np.clip(end, *bounds) for end in found.interval(confidence)]
    rows = np.column_stack([found.estimate, *ends]).tolist()
    return [[None if np.isnan(value) else value for value in row] for row in rows]


def is_confirmed(tables: Mapping[str, pd.DataFrame]) -> bool:
    """Say whether there is a confirmation, of the study's runs and of the recommended setting as they are now."""
    if "confirmation" not in tables:
        return False
    confirmation = tables["confirmation"]
    best = confirmation.loc[confirmation["role"] == RECOMMENDED, "point_id"].unique().tolist()
    runs = chosen_from(tables["metrics"]["run_id"])
    return best == [recommended_point(tables)] and set(confirmation["chosen_from"]) == {runs}
