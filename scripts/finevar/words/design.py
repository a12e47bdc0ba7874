"""What a design varies and what it leaves out, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finevar.study.coding import Category, Coding, Codings
from finevar.study.design import left_out
from finevar.words.formatting import counted, factor_label, joined
from finevar.words.numbers import level


def condition_sentences(config: Mapping[str, Any]) -> list[str]:
    """Say how many settings the design's condition leaves out; nothing of a design without one."""
    if "where" not in (design := config["sweep"]["design"]):
        return []
    forbidden, every = left_out(config)
    choice = " to choose from" if design["kind"] == "optimal" else ""
    return [f"The condition {design['where']} leaves out {forbidden:,} of {counted(every, 'setting')}{choice}."]


def varied_levels(codings: Codings) -> str:
    """Name each factor with its levels."""
    return joined([f"{factor_label(name)} ({levels_words(coding)})" for name, coding in codings.items()])


def levels_words(coding: Coding | Category) -> str:
    """Print a factor's levels, of a nested one with where it exists, of one that slides by its category's levels."""
    levels, when = ", ".join(map(level, coding.levels)), coding.when if isinstance(coding, Coding) else None
    if coding.by:
        parts = (f"{name}: {', '.join(map(level, own))}" for name, own in coding.by.levels)
        return f"{'; '.join(parts)}, by {factor_label(coding.by.category)}"
    return f"{levels}; where {factor_label(when.category)} is {joined(when.levels, 'or')}" if when else levels


def scale_words(coding: Coding | Category) -> str:
    """Say how levels become columns of the fit."""
    if isinstance(coding, Category):
        return "in columns that sum to zero over its levels"
    own = ", 0 where it does not exist" if coding.when else ""
    return f"on a {'logarithmic' if coding.logarithmic else 'linear'} scale{own}"
