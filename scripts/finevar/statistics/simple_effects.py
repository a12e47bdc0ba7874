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
from finevar.study.coding import model_matrix

MOST_LEVELS = 5  # of a factor with more levels, as many spread evenly over its range stand for them
MOST_SETTINGS = 64  # of the other factors; with more, those furthest from the centre, where a simple effect is largest


@dataclass(frozen=True)
class SimpleEffects:
    """The simple effects of one factor on one response."""

    weights: np.ndarray  # [effects, parameters]
    from_levels: np.ndarray  # natural [effects]
    to_levels: np.ndarray  # natural [effects]
    others: Mapping[str, np.ndarray]  # natural levels [effects] of the other factors


def simple_effects(surface: Surface, factor: str) -> SimpleEffects:
    """Return the differences between each two levels of a factor at every tried setting of the others.

    Differences go from the lower to the higher level. In a surface without third-order interactions a simple effect is
    linear in the others' coded levels, so that settings inside the design's hull add nothing to its ends.
    """
    levels = tried_levels(surface, factor)
    others = [name for name in surface.codings if name != factor]
    settings = tried_settings(surface, others)
    low, high = np.array(list(itertools.combinations(levels, 2))).T
    which, pair = (part.ravel() for part in np.indices((len(settings), len(low))))
    place = {name: settings[which, number] for number, name in enumerate(others)}
    ends = [model_matrix({**place, factor: end[pair]}, surface.columns) for end in (low, high)]
    coding = surface.codings[factor]
    return SimpleEffects(
        weights=surface.padded(ends[1] - ends[0]),
        from_levels=coding.natural(low[pair]),
        to_levels=coding.natural(high[pair]),
        others={name: surface.codings[name].natural(coded) for name, coded in place.items()},
    )


def tried_levels(surface: Surface, factor: str) -> np.ndarray:
    """Return a factor's coded levels among the finished runs, in order; of many, a few over their range."""
    levels = np.unique(surface.coded()[factor].round(12))
    return levels if len(levels) <= MOST_LEVELS else np.linspace(levels[0], levels[-1], MOST_LEVELS)


def tried_settings(surface: Surface, others: list[str]) -> np.ndarray:
    """Return the coded settings [settings, factors] of some factors among the finished runs; of many, the outermost."""
    coded = surface.coded()
    none = np.zeros((len(surface.runs), 0))  # of a study of a single factor
    settings = np.unique(np.column_stack([none, *(coded[name] for name in others)]).round(12), axis=0)
    if len(settings) <= MOST_SETTINGS:
        return settings
    distance = (settings**2).sum(1)
    return settings[np.sort(np.argsort(-distance, kind="stable")[:MOST_SETTINGS])]
