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
from finevar.statistics.slopes import where_present
from finevar.study.coding import (
    Coded,
    Coding,
    as_level,
    axes_of,
    changes_of,
    factor_of,
    model_matrix,
    natural_of,
    present,
)
from finevar.study.presence import settled
from finevar.study.scales import Category

MOST_LEVELS = 5  # of a factor with more levels, as many spread evenly over its range stand for them
MOST_SETTINGS = 64  # of the other factors; with more, those furthest from the centre, where a simple effect is largest


@dataclass(frozen=True)
class SimpleEffects:
    """The simple effects of one factor on one response."""

    weights: np.ndarray  # [effects, parameters]
    from_levels: np.ndarray  # natural [effects]
    to_levels: np.ndarray  # natural [effects]
    others: Mapping[str, np.ndarray]  # natural levels [effects] of the other factors; see level_at_ends()
    spans: np.ndarray  # whether a number goes from its lowest to its highest level tried [effects]


def simple_effects(surface: Surface, name: str) -> SimpleEffects:
    """Return the differences between each two levels of a factor at every tried setting of the others.

    name: a factor, or a change between two levels that are names, see changes_of(). Differences go from the lower to
    the higher level, of names from the earlier to the later. In a surface without third-order interactions a simple
    effect is linear in the others' coded levels, so that settings inside the design's hull add nothing to its ends.
    """
    factor = factor_of(name)
    codings = {other: own for other, own in surface.codings.items() if other != factor}
    pairs = np.array(level_pairs(surface, name))  # [pairs, 2, axes]
    settings = tried_settings(surface, factor)
    which, pair = (part.ravel() for part in np.indices((len(settings), len(pairs))))
    which, pair = which[kept := allowed_pairs(surface, factor, settings[which], pairs[pair])], pair[kept]
    low, high = (pairs[pair, end] for end in (0, 1))
    ends = ends_at(surface, factor, settings[which], pairs[pair])
    first, last = (model_matrix(end, surface.columns) for end in ends)
    at = [natural_of(surface.codings, end) for end in ends]
    return SimpleEffects(
        weights=surface.padded(last - first),
        from_levels=at[0][factor],
        to_levels=at[1][factor],
        spans=np.isclose(low, pairs[:, 0].min(0)).all(1) & np.isclose(high, pairs[:, 1].max(0)).all(1),
        others={other: level_at_ends(own, factor, at[0][other], at[1][other]) for other, own in codings.items()},
    )


def allowed_pairs(surface: Surface, factor: str, settings: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Say which pairs of coded levels [pairs, 2, axes] are there and allowed at settings [pairs, axes].

    A level of a nested factor is there where it exists at an end. The design's condition must allow both; where it
    allows none at all, the factor never varies alone, and its effect is the model's word.
    """
    ends = ends_at(surface, factor, settings, pairs)
    others = axes_of({name: coding for name, coding in surface.codings.items() if name != factor})
    places = dict(zip(others, settings.T, strict=True))
    there = np.ones(len(pairs), bool)
    for name in present(surface.codings, ends[0]).keys() & places.keys():
        there &= np.isclose(places[name], ends[0][name]) | np.isclose(places[name], ends[1][name])
    allowed = there & ~np.any([surface.is_forbidden(end) for end in ends], axis=0)
    return allowed if allowed.any() else there


def ends_at(surface: Surface, factor: str, settings: np.ndarray, pairs: np.ndarray) -> tuple[Coded, Coded]:
    """Return the coded places of both ends of pairs of levels [pairs, 2, axes] at settings of the others [pairs, axes].

    A nested factor that does not exist at an end is 0 there.
    """
    others = axes_of({name: coding for name, coding in surface.codings.items() if name != factor})
    place, own = dict(zip(others, settings.T, strict=True)), surface.codings[factor].axes(factor)
    first, last = (settled(surface.codings, place | dict(zip(own, pairs[:, end].T, strict=True))) for end in (0, 1))
    return first, last


def level_at_ends(coding: Coding | Category, factor: str, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return another factor's levels [effects] from those at both ends: where it exists at one, the level there.

    Those of one that slides with the factor differ between the ends: both, as text.
    """
    if coding.by and coding.by.category == factor:
        return np.array([f"{one:.4g} and {other:.4g}" for one, other in zip(first, last, strict=True)], dtype=object)
    return np.where(is_null(first), last, first)


def is_null(levels: np.ndarray) -> np.ndarray:
    """Say which natural levels [places] are none, as those of a factor that does not exist there."""
    return np.array([as_level(level) is None for level in levels], bool)


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
    levels = np.unique(where_present(surface, factor)[factor].round(12))
    return levels if len(levels) <= MOST_LEVELS else np.linspace(levels[0], levels[-1], MOST_LEVELS)


def tried_settings(surface: Surface, factor: str) -> np.ndarray:
    """Return the coded settings [settings, axes] of the other factors where one exists; of many, the outermost."""
    codings = {other: own for other, own in surface.codings.items() if other != factor}
    coded, axes = where_present(surface, factor), axes_of(codings)
    none = np.zeros((len(coded[next(iter(coded))]), 0))  # of a study of a single factor
    settings = np.unique(np.column_stack([none, *(coded[axis] for axis in axes)]).round(12), axis=0)
    if len(settings) <= MOST_SETTINGS:
        return settings
    numbers = [axis in codings for axis in axes]  # a category has no centre to be far from
    distance = (settings[:, numbers] ** 2).sum(1)
    return settings[np.sort(np.argsort(-distance, kind="stable")[:MOST_SETTINGS])]
