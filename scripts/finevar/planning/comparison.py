"""Designs compared before any run: the study's own, and the same levels in others, by how well each predicts."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from finevar.study.coding import Codings, Term, coded_of, codings_of, model_matrix, term_name, terms
from finevar.study.design import Point, design_points
from finevar.study.design_checks import SETTINGS_PER_TERM, allowed_combinations, design_problems, optimal_problems
from finevar.study.matrices import aliased_terms
from finevar.study.seed_parts import combination_count
from finevar.study.settings import model_names

KINDS = ("full_factorial", "central_composite", "box_behnken", "definitive", "optimal")
MOST_CHOICES = 1_000  # combinations of levels that an optimal design is searched among, for the sake of a comparison

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Compared:
    """A kind of design and what it would give."""

    kind: str
    settings: int
    runs: int
    variance: float | None  # of a prediction, averaged over all settings that are allowed, for noise of 1 in a run
    aliased: tuple[str, ...]  # terms of the model that it does not separate; then there is no variance

    def at(self, runs: int) -> float | None:
        """Return the average variance at another number of runs, by as many more or fewer seeds."""
        return None if self.variance is None else self.variance * self.runs / runs


def compared_designs(config: Config) -> Iterator[Compared]:
    """Yield the study's own design, then each other kind that its levels allow.

    An optimal one of as many settings or, where these are all that there are, of the fewest that carry the model. None
    of levels that make too many combinations to average over.
    """
    every = allowed_combinations(config["sweep"])
    if not every:
        return
    own = design_points(config)
    yield compared(config, config["sweep"]["design"]["kind"], own, every)
    for kind in KINDS:
        other = of_kind(config, kind, len(own) if len(own) < len(every) else fewest_settings(config))
        searched = kind != "optimal" or len(every) <= MOST_CHOICES
        if kind != config["sweep"]["design"]["kind"] and searched and not any(problems(other)):
            yield compared(other, kind, design_points(other), every)


def of_kind(config: Config, kind: str, settings: int) -> Config:
    """Return a config with another kind of design; settings: of an optimal one, the baseline's own counted."""
    other = copy.deepcopy(dict(config))
    other["sweep"]["additions"] = []  # which were made to the study's own
    kept = {name: part for name, part in other["sweep"]["design"].items() if name in ("where", "include_baseline")}
    runs = {"runs": settings - own_settings(config)} if kind == "optimal" else {}
    other["sweep"]["design"] = {"kind": kind} | kept | runs
    return other


def fewest_settings(config: Config) -> int:
    """Return how many settings an optimal design has at least, the baseline's own counted where it is included."""
    columns = terms(codings_of(config["sweep"]["factors"]), config["analysis"]["model"])
    return math.ceil(SETTINGS_PER_TERM * len(columns)) + own_settings(config)


def own_settings(config: Config) -> int:
    """Return how many settings are included as the baseline's own: one for each model."""
    return len(model_names(config)) if config["sweep"]["design"]["include_baseline"] else 0


def problems(config: Config) -> Iterator[Any]:
    """Yield why levels allow no such design."""
    yield from design_problems(config["sweep"])
    yield from optimal_problems(config["sweep"], config["analysis"]["model"])


def compared(config: Config, kind: str, points: list[Point], every: list[Point]) -> Compared:
    """Return what a design gives; every: the settings that are predicted."""
    codings = codings_of(config["sweep"]["factors"])
    columns = terms(codings, config["analysis"]["model"])
    matrix, predicted = rows_of(points, codings, columns), rows_of(every, codings, columns)
    each = combination_count(config["sweep"]) * len(config["sweep"]["datasets"])
    aliased = tuple(aliased_terms(matrix, [term_name(term) for term in columns]))
    variance = None if aliased else average_variance(matrix, predicted) / each
    return Compared(kind, len(points), len(points) * each, variance, aliased)


def rows_of(points: list[Point], codings: Codings, columns: list[Term]) -> np.ndarray:
    """Return the model matrix [settings, terms] of settings."""
    return model_matrix(coded_of(codings, {name: [point[name] for point in points] for name in codings}), columns)


def average_variance(matrix: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean of x'(X'X)^-1 x over rows x, for one run at each setting."""
    spread = np.linalg.solve(np.linalg.qr(matrix, mode="r").T, predicted.T)
    return float((spread**2).sum(0).mean())
