"""Simple effects: what a factor changes between its levels at each setting of the others, read as one family.

A verdict on a factor is about all of them at once: it moves a metric where the largest of them differs from zero, and
is negligible only where every one lies within the smallest effect of interest.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from finevar.statistics.regression import Surface
from finevar.study.coding import Coding, Codings, axes_of, changes_of, factor_of, model_matrix, natural_of

MOST_LEVELS = 5  # of a factor with more levels, as many spread evenly over its range stand for them
MOST_SETTINGS = 64  # of the other factors; with more, those furthest from the centre, where a simple effect is largest


@dataclass(frozen=True)
class SimpleEffects:
    """The simple effects of one factor on one response."""

    weights: np.ndarray  # [effects, parameters]
    from_levels: np.ndarray  # natural [effects]
    to_levels: np.ndarray  # natural [effects]
    others: Mapping[str, np.ndarray]  # natural levels [effects] of the other factors


def simple_effects(surface: Surface, name: str) -> SimpleEffects:
    """Return the differences between each two levels of a factor at every tried setting of the others.

    name: a factor, or a change between two levels that are names, see changes_of(). Differences go from the lower to
    the higher level, of names from the earlier to the later. In a surface without third-order interactions a simple
    effect is linear in the others' coded levels, so that settings inside the design's hull add nothing to its ends.
    """
    factor = factor_of(name)
    coding, codings = surface.codings[factor], {other: own for other, own in surface.codings.items() if other != factor}
    pairs = np.array(level_pairs(surface, name))  # [pairs, 2, axes]
    settings = tried_settings(surface, codings)
    which, pair = (part.ravel() for part in np.indices((len(settings), len(pairs))))
    which, pair = which[kept := allowed_pairs(surface, factor, settings[which], pairs[pair])], pair[kept]
    place = dict(zip(axes_of(codings), settings[which].T, strict=True))
    low, high = (pairs[pair, end] for end in (0, 1))
    ends = [
        model_matrix(place | dict(zip(coding.axes(factor), end.T, strict=True)), surface.columns) for end in (low, high)
    ]
    return SimpleEffects(
        weights=surface.padded(ends[1] - ends[0]),
        from_levels=coding.values(low),
        to_levels=coding.values(high),
        others=natural_of(codings, place),
    )


def allowed_pairs(surface: Surface, factor: str, settings: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Say which pairs of coded levels [pairs, 2, axes] the design's condition allows at settings [pairs, axes].

    All of them where it allows none: the factor then never varies alone, and its effect is the model's word.
    """
    others = axes_of({name: coding for name, coding in surface.codings.items() if name != factor})
    place, own = dict(zip(others, settings.T, strict=True)), surface.codings[factor].axes(factor)
    ends = [place | dict(zip(own, pairs[:, end].T, strict=True)) for end in (0, 1)]
    allowed = ~np.any([surface.is_forbidden(end) for end in ends], axis=0)
    return allowed if allowed.any() else ~allowed


def level_pairs(surface: Surface, name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the coded levels [axes] of each two levels between which a factor, or a change of one, is judged."""
    own = surface.codings[factor_of(name)]
    if isinstance(own, Coding):
        return list(itertools.combinations(tried_levels(surface, name)[:, None], 2))
    changes = changes_of({factor_of(name): own}, both_ways=name != factor_of(name))
    kept = [changes[name]] if name in changes else changes.values()
    return [tuple(own.columns([change.start, change.end])) for change in kept]


def tried_levels(surface: Surface, factor: str) -> np.ndarray:
    """Return a number's coded levels among the finished runs, in order; of many, a few over their range."""
    levels = np.unique(surface.coded()[factor].round(12))
    return levels if len(levels) <= MOST_LEVELS else np.linspace(levels[0], levels[-1], MOST_LEVELS)


def tried_settings(surface: Surface, codings: Codings) -> np.ndarray:
    """Return the coded settings [settings, axes] of some factors among the finished runs; of many, the outermost."""
    coded, axes = surface.coded(), axes_of(codings)
    none = np.zeros((len(surface.runs), 0))  # of a study of a single factor
    settings = np.unique(np.column_stack([none, *(coded[axis] for axis in axes)]).round(12), axis=0)
    if len(settings) <= MOST_SETTINGS:
        return settings
    numbers = [axis in codings for axis in axes]  # a category has no centre to be far from
    distance = (settings[:, numbers] ** 2).sum(1)
    return settings[np.sort(np.argsort(-distance, kind="stable")[:MOST_SETTINGS])]
