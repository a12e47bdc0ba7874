"""What a metric and a difference of it can be at most: no estimate or interval that is shown lies beyond."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from finevar.metrics import RESPONSES

Limits = tuple[float, float]


def bounds_of(response: str) -> Limits:
    """Return the least and the largest value that a response can have."""
    return RESPONSES[response].bounds if response in RESPONSES else (-math.inf, math.inf)


def limits(response: str, reference: Any = None) -> tuple[Any, Any]:
    """Return the least and the largest difference that a response can have from a value, or from several [rows].

    Without a reference they are those of any two values. One that a surface predicts may lie beyond the response's own
    bounds, and counts as the nearer one.
    """
    low, high = bounds_of(response)
    if reference is None:
        return low - high, high - low
    at = np.clip(reference, low, high)
    return low - at, high - at


def within(row: Mapping[str, Any], names: Sequence[str], between: Limits) -> dict[str, Any]:
    """Return a row with some of its columns no further than the limits, which it has as `least` and `most`.

    An end that equals its limit was cut there, and words say so; one without a limit is None.
    """
    least, most = map(float, between)
    cut = {name: float(np.clip(row[name], least, most)) for name in names if row.get(name) is not None}
    ends = {"least": least, "most": most}
    return {**row, **cut, **{name: end if math.isfinite(end) else None for name, end in ends.items()}}
