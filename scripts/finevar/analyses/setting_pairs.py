"""Any two tried settings compared on the same sentences: differences of every metric, and sentences gained and lost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations

import numpy as np

from finevar.analyses.errors import MOST
from finevar.analyses.fits import FittedStudy
from finevar.statistics.bounds import limits, within
from finevar.statistics.ranking import comparison
from finevar.statistics.regression import Surface
from finevar.statistics.setting_means import setting_names
from finevar.tables import Rows

MOST_SETTINGS = 30  # that are compared, the best first: 435 pairs


def pair_tables(study: FittedStudy, recommendation: Rows) -> dict[str, Rows]:
    """Return rows of the tables setting_pairs and pair_sentences; none where nothing is ranked, as of found models.

    recommendation: the rows of that table, in their order.
    """
    names = [row["point_id"] for row in recommendation[:MOST_SETTINGS]]
    if len(names) < 2:
        return {"setting_pairs": [], "pair_sentences": []}
    accuracy = study.of_responses(["accuracy"]).surfaces
    counted = [row for surface in accuracy if surface.sentences for row in sentence_rows(names, surface)]
    return {"setting_pairs": study.rows(partial(pair_rows, names)), "pair_sentences": counted}


def pair_rows(names: Sequence[str], surface: Surface) -> Rows:
    """Return one metric's difference between the settings of each pair, for new seeds and sentences; one family.

    names: of settings; those without a mean of this metric are left out.
    """
    points = surface.points["point_id"].tolist()
    kept = [name for name in names if name in points]
    if len(kept) < 2:
        return []
    compared, weights = comparison(surface)
    weights = weights[[points.index(name) for name in kept]]
    first, second = np.triu_indices(len(kept), 1)  # in the order of combinations()
    judged = compared.family(weights[first] - weights[second])
    ends = [*judged.found.interval(surface.confidence), *judged.interval(surface.confidence)]
    names_of = ("estimate", "ci_low", "ci_high", "simultaneous_low", "simultaneous_high")
    columns = zip(np.round(judged.found.estimate, 12), *ends, strict=True)  # 0 where rounding alone parts two means
    subtracted = weights[second] @ compared.fit.params
    who = {"response": surface.response, "population": surface.population}
    rows = [
        who | {"point_id": one, "other": other, "std_error": float(error)} | dict(zip(names_of, found, strict=True))
        for (one, other), error, found in zip(combinations(kept, 2), judged.found.std_error, columns, strict=True)
    ]
    between = zip(*limits(surface.response, subtracted), strict=True)
    return [within(row, names_of, ends) for row, ends in zip(rows, between, strict=True)]


def sentence_rows(names: Sequence[str], accuracy: Surface) -> Rows:
    """Return for each pair of settings how many sentences most runs of one get right and most of the other wrong."""
    own = setting_names(accuracy.runs, accuracy.codings).to_numpy()
    gained, sentences = 0, 0
    for dataset, right in accuracy.sentences.items():  # [the data set's runs, sentences], 1 where a run is right
        here = own[(accuracy.runs["dataset"] == dataset).to_numpy()]
        none = np.full(right.shape[1], MOST)  # of a setting without runs here: neither right nor wrong
        shares = np.stack([right[here == name].mean(0) if name in here else none for name in names])
        gained = gained + (shares > MOST).astype(int) @ (shares < MOST).astype(int).T
        sentences += right.shape[1]
    known = [number for number, name in enumerate(names) if name in own]
    return [
        {"point_id": names[one], "other": names[other], "sentences": sentences}
        | {"gained": int(gained[one, other]), "lost": int(gained[other, one])}
        for one, other in combinations(known, 2)
    ]
