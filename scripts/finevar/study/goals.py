"""Goals of an augmentation: the contrast of a response whose interval is to be so narrow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from finevar.errors import InputError
from finevar.study.coding import Codings, Term, changes_of, factor_of, range_weights, term_group, term_name
from finevar.study.consistency import cut, listed, nearest, plain

WRITTEN = re.compile(r"\s*(?P<contrast>\S+):(?P<response>\w+)\s+(?P<half_width>\S+)\s*")
EXAMPLE = 'as in GOAL="batch_size:loss 0.01"'

# The change of the response over a term's whole range, per unit of its coded coefficient: low to high for a first-order
# term or a cube, the customary half difference of effects for an interaction, centre to edge for a square.
SPAN = {"first_order": 2.0, "two_way": 2.0, "quadratic": 1.0, "cubic": 2.0}


class Goal(NamedTuple):
    """A contrast, see contrasts_of(), of a response, and the half-width that its interval is to have."""

    contrast: str
    response: str
    half_width: float

    def __str__(self) -> str:
        """Write it as read_goal() reads it."""
        return f"{self.contrast}:{self.response} {plain(self.half_width)}"


def read_goal(text: str) -> Goal:
    """Return the goal that a text states; raise InputError where it states none."""
    found = WRITTEN.fullmatch(text)
    try:
        half_width = float(found["half_width"]) if found else np.nan
    except ValueError:
        half_width = np.nan
    if not 0 < half_width < np.inf:
        raise InputError(
            "GOAL",
            found=cut(repr(text)),
            allowed="effect:metric and the half-width that its interval is to have, a number above 0",
            remedy=f"Write it {EXAMPLE}.",
        )
    return Goal(found["contrast"], found["response"], half_width)


def check_goal(goal: Goal, known: Mapping[str, np.ndarray], responses: Sequence[str]) -> None:
    """Raise InputError where a study has no such contrast, see contrasts_of(), or no such response."""
    for found, names, what in ((goal.contrast, [*known], "effect"), (goal.response, [*responses], "metric")):
        if found not in names:
            turned = [name for name in names if sorted(name.split(":")) == sorted(found.split(":"))]
            near = next(iter(turned), None) or nearest(found, names)
            raise InputError(
                "GOAL",
                found=f"the {what} {cut(repr(found))}",
                allowed=listed(names),
                remedy=f"Did you mean {near}?" if near else f"Name one of them, {EXAMPLE}.",
            )


def contrasts_of(codings: Codings, columns: Sequence[Term]) -> dict[str, np.ndarray]:
    """Return the weights [terms] of every contrast that a goal may name.

    These are each factor's change over its range or between two levels that are names, the others mid-range, and half
    the difference that one factor's range makes to the change of another.
    """
    found = {
        name: range_weights(change, codings, columns) for name, change in changes_of(codings, both_ways=True).items()
    }
    pairs = {term_name(term): term for term in columns if term_group(term) == "two_way"}
    own = np.eye(len(columns))
    return found | {name: span_of(term) * own[columns.index(term)] for name, term in pairs.items()}


def span_of(term: Term) -> float:
    """Return by how much a term's coefficient changes the response over the range of its numbers; 1 without any."""
    return SPAN[term_group(term)] if any(axis == factor_of(axis) for axis in term) else 1.0
