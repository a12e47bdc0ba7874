"""What follows from runs that were added after a look at the results: intervals that allow for it, and what to mind."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from finevar.reasons import Caution
from finevar.statistics.covariance import FirstStage
from finevar.statistics.regression import Surface
from finevar.study.goals import contrasts_of, read_goal

Addition = Mapping[str, Any]  # an entry of sweep.additions, and as `holds` whether its first stage still does


def with_first_stages(surface: Surface, additions: Sequence[Addition]) -> Surface:
    """Return a surface whose contrasts keep s and nu of the first stage where a two-stage rule added seeds for them."""
    kept = [(read_goal(each["goal"]), each["first_stage"]) for each in additions if each.get("holds")]
    kept = [(goal, facts) for goal, facts in kept if goal.response == surface.response]
    if not kept or not surface.is_by_seed:
        return surface
    known = contrasts_of(surface.codings, surface.columns)
    stages = tuple(FirstStage(surface.padded(known[goal.contrast]), facts["sd"], facts["df"]) for goal, facts in kept)
    return dataclasses.replace(surface, fit=dataclasses.replace(surface.fit, first_stages=stages))


def added_rows(additions: Sequence[Addition]) -> Iterator[dict[str, Any]]:
    """Yield a caution of each addition."""
    for each in additions:
        if "points" in each:
            yield {"code": Caution.SETTINGS_ADDED, "count": len(each["points"]), "detail": each.get("goal")}
        else:
            code = Caution.SEEDS_ADDED if each.get("holds") else Caution.SEEDS_ADDED_FREELY
            yield {"code": code, "count": len(each["seeds"]), "detail": each.get("goal")}
