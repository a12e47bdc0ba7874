"""What a design varies and what it leaves out, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finevar.study.coding import Codings
from finevar.study.design import left_out
from finevar.words.formatting import counted, factor_label, joined
from finevar.words.numbers import level


def condition_sentences(config: Mapping[str, Any]) -> list[str]:
    """Say how many settings the design's condition leaves out; nothing of a design without one."""
    if "where" not in (design := config["sweep"]["design"]):
        return []
    forbidden, every = left_out(config)
    choice = " to choose from" if design["kind"] == "optimal" else ""
    return [
        f"Of {counted(every, 'setting')}{choice}, {forbidden:,} are left out, which do not fulfil the condition "
        f"{design['where']}."
    ]


def varied_levels(codings: Codings) -> str:
    """Name each factor with its levels."""
    levels = {name: ", ".join(map(level, coding.levels)) for name, coding in codings.items()}
    return joined([f"{factor_label(name)} ({shown})" for name, shown in levels.items()])
