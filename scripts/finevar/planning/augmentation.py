"""What would bring the interval of a contrast to a wanted half-width: more seeds, or more settings."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from finevar.analyses.cautions import MOST_TIMES
from finevar.planning.comparison import rows_of
from finevar.statistics.clustered import FEW_SEEDS
from finevar.statistics.regression import Surface
from finevar.statistics.two_stage import Precision
from finevar.study.additions import design_digest, following_seeds, judged_additions
from finevar.study.design import Study
from finevar.study.design_checks import MOST_CANDIDATES, allowed_combinations
from finevar.study.exchange import exchanged
from finevar.study.goals import Goal, contrasts_of, read_goal

SEEDS, POINTS = WAYS = ("seeds", "points")
DIGITS = 12  # of what a first stage knew, as it is written down
TIMES = int(MOST_TIMES)


@dataclass(frozen=True)
class Way:
    """A way to a goal: what it adds, and the half-width that is to be expected then; or why it does not lead there."""

    kind: str
    facts: dict[str, Any] | None  # of an entry of sweep.additions
    half_width: float | None
    obstacle: str | None = None

    @property
    def count(self) -> int:
        """Return how many seeds or settings it adds."""
        return len(self.facts[self.kind]) if self.facts else 0


@dataclass(frozen=True)
class Question:
    """A goal and what a finished study's surface knows of its contrast."""

    study: Study
    surface: Surface
    goal: Goal

    @property
    def weights(self) -> np.ndarray:
        """Return the contrast's weights [parameters]."""
        return self.surface.padded(contrasts_of(self.surface.codings, self.surface.columns)[self.goal.contrast])

    @property
    def precision(self) -> Precision:
        """Return what the contrast's interval is to be made of, once runs are added."""
        return Precision.of(self.surface.read(self.weights[None]), self.surface.confidence)

    @property
    def half_width(self) -> float:
        """Return that of the contrast's interval so far, as the report gives it."""
        (low,), (high,) = self.surface.read(self.weights[None]).interval(self.surface.confidence)
        return float(high - low) / 2

    def ways(self) -> list[Way]:
        """Return both ways to the goal."""
        return [by_seeds(self), by_points(self)]


def out_of_reach(kind: str, what: str, half_width: float) -> Way:
    """Return a way that does not lead to the goal."""
    return Way(kind, None, None, f"{what} would leave ±{half_width:.2g}")


def by_seeds(question: Question) -> Way:
    """Return the seeds that Stein's two-stage rule adds."""
    surface, known, goal = question.surface, question.precision, question.goal
    if not surface.is_by_seed:
        few = f"{surface.seeds} seeds have no variance of their own to go by, which takes {FEW_SEEDS}"
        return Way(SEEDS, None, None, f"{few}: give sweep.seeds so many, and run the study")
    seeds = surface.seeds
    needed = known.seeds_needed(seeds, goal.half_width, TIMES * seeds)
    if needed is None:
        return out_of_reach(SEEDS, f"even {TIMES} times as many seeds", known.half_width(1 / TIMES))
    used = question.study.config["sweep"]["seeds"]
    facts = {"seeds": following_seeds(used, needed - seeds), "first_stage": first_stage(question)}
    return Way(SEEDS, facts, known.half_width(seeds / needed))


def first_stage(question: Question) -> dict[str, Any]:
    """Return what the two-stage rule goes by: of the seeds so far, or of those that it went by before."""
    study, runs = question.study, list(question.study.runs.values())
    for each in judged_additions(study.config, runs):
        if each["holds"] and read_goal(each["goal"])[:2] == question.goal[:2]:
            return each["first_stage"]
    known, seeds = question.precision, study.config["sweep"]["seeds"]
    unit = float((question.surface.spread.rows(question.weights[None, question.surface.unblocked]) ** 2).sum())
    return {
        "seeds": list(seeds),
        "sd": float(f"{math.sqrt(known.seed / unit):.{DIGITS}g}"),
        "df": float(f"{known.seed_df:.{DIGITS}g}"),
        "design": design_digest(study.config, runs, seeds),
    }


def by_points(question: Question) -> Way:
    """Return the fewest further combinations of levels, at every seed, that would do if noise is as it was.

    They are chosen for the contrast alone and not by any result: they make c'(X'X)^-1 c small (Fedorov 1972).
    """
    study, surface, known = question.study, question.surface, question.precision
    allowed = allowed_combinations(study.config["sweep"])
    if allowed is None or len(allowed) > MOST_CANDIDATES:
        return Way(POINTS, None, None, f"there are more than {MOST_CANDIDATES:,} combinations of levels to choose from")
    tried = {tuple(point.values()) for point in study.points}
    candidates = [point for point in allowed if tuple(point.values()) not in tried]
    if not candidates:
        return Way(POINTS, None, None, "every combination of levels that is allowed is in the study already")
    terms = len(surface.columns)
    repeats = len(study.config["sweep"]["seeds"]) * len(study.config["sweep"]["datasets"])
    rows = math.sqrt(repeats) * rows_of(candidates, surface.codings, surface.columns)
    present, contrast = surface.fit.matrix[:, :terms], question.weights[:terms]

    def reached(chosen: Sequence[int]) -> float:
        share = variance(contrast, present, rows[list(chosen)]) / variance(contrast, present, rows[:0])
        return known.half_width(share)

    def choose(count: int) -> list[int]:
        return exchanged(rows, count, fixed=present, moments=np.outer(contrast, contrast))

    most = min(len(candidates), TIMES * len(study.points))
    if reached(best := choose(most)) > question.goal.half_width:
        every = "even all combinations of levels" if most == len(candidates) else f"even {most:,} more settings"
        return out_of_reach(POINTS, every, reached(best))
    counts = range(1, most)
    fewest = 1 + bisect.bisect_left(counts, True, key=lambda count: reached(choose(count)) <= question.goal.half_width)
    chosen = choose(fewest)
    points = [{name: level for name, level in candidates[row].items() if level is not None} for row in chosen]
    return Way(POINTS, {"points": points}, reached(chosen))


def variance(contrast: np.ndarray, present: np.ndarray, added: np.ndarray) -> float:
    """Return c'(X'X)^-1 c of a contrast [terms], X being rows that are there and rows that are added."""
    matrix = np.vstack([present, added])
    return float(contrast @ np.linalg.solve(matrix.T @ matrix, contrast))


def entry_of(way: Way, goal: Goal, date: str) -> dict[str, Any]:
    """Return the entry of sweep.additions that a way is."""
    return {"date": date, "goal": str(goal), **way.facts}
