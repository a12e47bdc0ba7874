"""Where factors exist, and as what they are read there: nested ones, and those whose levels slide with a category."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from finevar.study.coding import (
    Coded,
    Codings,
    axes_of,
    categories_of,
    columns_of,
    exists,
    nested_of,
    numbers_of,
    present,
)
from finevar.study.scales import Coding


def numbers_at(codings: Codings, coded: Mapping[str, np.ndarray]) -> dict[str, Coding]:
    """Return the codings of the numbers that exist where categories have some coded columns [1], as they are there."""
    found = categories_of(codings)
    columns = {name: columns_of(coded, coding.axes(name)) for name, coding in found.items()}
    return numbers_for(codings, {name: coding.values(columns[name])[0] for name, coding in found.items()})


def numbers_for(codings: Codings, levels: Mapping[str, Any]) -> dict[str, Coding]:
    """Return the codings of the numbers that exist where categories have some levels, as they are there."""
    return {
        name: coding.at(levels[coding.by.category]) if coding.by else coding
        for name, coding in numbers_of(codings).items()
        if exists(coding, levels)
    }


def reads_of(codings: Codings, name: str) -> Iterator[tuple[str, Coded, Coding]]:
    """Yield how a number is read: as it is, or where it slides at each level of the category with its columns [1]."""
    coding = codings[name]
    if not coding.by:
        yield "", {}, coding
        return
    category, parts = coding.by
    for level, _ in parts:
        columns = codings[category].columns([level]).T
        yield level, dict(zip(codings[category].axes(category), columns, strict=True)), coding.at(level)


def settled(codings: Codings, coded: Coded) -> Coded:
    """Return coded places with 0 for each nested factor where it does not exist."""
    return coded | {name: np.where(there, coded[name], 0.0) for name, there in present(codings, coded).items()}


def centre(codings: Codings, *names: str, places: int = 1) -> Coded:
    """Return the coded columns [places] of the middle of all factors, but for the categories that some are nested in.

    These have the levels at which the factors exist; of several levels their average.
    """
    place = {axis: np.zeros(places) for axis in axes_of(codings)}
    for name in names:
        if (coding := codings[name]) in nested_of(codings).values() and coding.when.category in codings:
            category, levels = coding.when
            own = codings[category].columns(levels).mean(0)
            place |= {axis: np.full(places, x) for axis, x in zip(codings[category].axes(category), own, strict=True)}
    return place
