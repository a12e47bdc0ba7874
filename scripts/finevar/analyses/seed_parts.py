"""What each part of the seed makes of the variance between a setting's runs, as tidy rows, and claims on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from finevar.analyses.fits import Claim, FittedStudy
from finevar.analyses.variability import TEST_SET, usable
from finevar.reasons import Reason, Undecided, reason_columns
from finevar.statistics.anova import DATASET
from finevar.statistics.components import Components
from finevar.statistics.crossed import crossed_parts, part_numbers
from finevar.statistics.regression import Surface
from finevar.study.claim_files import ratio_parts
from finevar.study.seed_parts import COLUMNS
from finevar.tables import Rows
from finevar.words.formatting import counted

TOGETHER = "a seed changes it together with the other parts, so that it cannot be told apart from them"
ALONE = "it is all that a seed changes, so that it makes all of the variance between seeds"
INCOMPLETE = "no setting has a run of every combination of the parts' seeds"
NOTHING = "runs of a setting do not differ"
ZERO = "its estimate is below zero, so that it is shown as zero"
NO_MEAN = "not known for this metric, so that its part is in the other sources"
TRAJECTORIES = "runs share trajectories, so that settings are not independent and there is no interval"
CROSS = "this study does not cross these parts of the seed; sweep.seeds takes {{{}: 4, {}: 4}}"
FACTOR = 2.0  # within which two variances count as comparable
RATIO = "variance that the first makes over that of the second"


class Divided(NamedTuple):
    """A response's variance components, of the settings that have all runs; or why there are none."""

    parts: list[str]
    found: Components | None
    left_out: int
    reason: str | None


def seed_part_rows(study: FittedStudy) -> Rows:
    """Return rows of the table seed_parts: of every response, a row a source of the variance between seeds.

    Where parts are not crossed, a row a part that a seed changes, without a number.
    """
    return [
        {"response": surface.response} | row
        for surface in study.surfaces
        for row in source_rows(surface, study.plan.confidence)
    ]


def source_rows(surface: Surface, confidence: float) -> Rows:
    """Return the rows of a response."""
    divided = divided_variance(surface)
    if not divided.parts:
        changed = [part for part, name in COLUMNS.items() if varies(surface.runs, name)]
        return [{"source": part, "reason": TOGETHER if len(changed) > 1 else ALONE} for part in changed]
    if divided.found is None:
        return [{"source": part, "reason": divided.reason, "left_out": divided.left_out} for part in divided.parts]
    return component_rows(divided, surface.errors.clusters is None, confidence)


def varies(runs: pd.DataFrame, name: str) -> bool:
    """Say whether a column is there and holds several values."""
    return name in runs and runs[name].nunique() > 1


def component_rows(divided: Divided, independent: bool, confidence: float) -> Rows:
    """Return a row a source, that of test-set sampling last."""
    found, rows = divided.found, []
    ends = found.share_limits(confidence) if independent else None
    names = [*(":".join(divided.parts[part] for part in each) for each in found.sets), TEST_SET]
    for number, (name, estimate, share) in enumerate(zip(names, found.found, found.shares, strict=True)):
        row: dict[str, Any] = {"source": name, "settings": found.settings, "left_out": divided.left_out}
        if name == TEST_SET and not found.sentences:
            rows.append(row | {"reason": NO_MEAN})
            continue
        variance = max(float(estimate), 0.0)
        row |= {"variance": variance, "sd": math.sqrt(variance), "share": float(share)}
        row |= {"df": float(found.df[number])} if name != TEST_SET else {}
        row |= {} if ends is None else {"ci_low": float(ends[0, number]), "ci_high": float(ends[1, number])}
        rows.append(row | {"reason": ZERO if estimate < 0 else None if independent else TRAJECTORIES})
    return rows


def divided_variance(surface: Surface) -> Divided:
    """Divide a response's variance within settings among the parts of the seed.

    Settings that lack a combination's run are left out, so that what is left is balanced.
    """
    runs, parts, numbers = surface.runs, crossed_parts(surface.runs), part_numbers(surface.runs)
    if numbers is None:
        return Divided([], None, 0, None)
    levels = tuple(numbers.max(0) + 1)
    cell, size = surface.cells, math.prod(levels)
    place = np.ravel_multi_index(tuple(numbers.T), levels)
    full = np.flatnonzero(np.bincount(cell) == size)
    left_out = int(cell.max() + 1 - len(full))
    if not len(full):
        return Divided(parts, None, left_out, INCOMPLETE)
    order = np.lexsort((place, cell))
    order = order[np.isin(cell[order], full)]
    values = surface.fit.values[order].reshape(len(full), *levels)
    known = usable(surface.sentences, runs)
    sentences = [ordered(each, (runs[DATASET] == name).to_numpy(), order, levels) for name, each in known.items()]
    found = Components(values, [each for each in sentences if len(each)])
    return Divided(parts, None, left_out, NOTHING) if np.ptp(values) == 0 else Divided(parts, found, left_out, None)


def ordered(values: np.ndarray, own: np.ndarray, order: np.ndarray, levels: tuple[int, ...]) -> np.ndarray:
    """Return a data set's contributions [its settings, seeds of each part, sentences].

    values: [its runs, sentences]. own: whether a run is of the data set [runs]. order: of the runs used.
    """
    rows = np.cumsum(own)[order[own[order]]] - 1
    return values[rows].reshape(-1, *levels, values.shape[1])


# Claims ---------------------------------------------------------------------------------------------------------------


def judged_ratio(claim: Claim, surface: Surface) -> dict[str, Any]:
    """Return the columns of a claim on two parts' variances: their ratio, its interval and the verdict."""
    divided, asked = divided_variance(surface), ratio_parts(claim["term"])
    confidence = surface.confidence
    if any(part not in divided.parts for part in asked):
        return undecided(Undecided.FIXED_FACTOR, CROSS.format(*asked))
    if divided.found is None:
        return undecided(Undecided.NO_NOISE, divided.reason)
    if surface.errors.clusters is not None:
        return undecided(Undecided.NO_NOISE, TRAJECTORIES)
    one, other = ((divided.parts.index(part),) for part in asked)
    ratio, low, high = divided.found.ratio(one, other, confidence)
    row = {"estimate": ratio, "ci_low": low, "ci_high": high}
    row = {name: value if math.isfinite(value) else None for name, value in row.items()} | {"unit": RATIO}
    verdict = ratio_verdict(claim, low, high)
    if verdict != "undecided":
        return row | {"verdict": verdict}
    few = f"{counted(min(divided.found.levels), 'seed')} of a part leave the ratio open"
    return row | undecided(Undecided.MORE_SEEDS, f"{few}; more seeds of these parts would narrow it")


def ratio_verdict(claim: Mapping[str, Any], low: float, high: float) -> str:
    """Return the verdict on a ratio with this interval.

    A claim of no difference is that the ratio is within FACTOR of one, either way.
    """
    if claim["finding"] == "none":
        if low >= 1 / FACTOR and high <= FACTOR:
            return "replicated"
        return "contradicted" if low > FACTOR or high < 1 / FACTOR else "undecided"
    larger, smaller = ("replicated", "contradicted") if claim["sign"] == "positive" else ("contradicted", "replicated")
    return larger if low > 1 else smaller if high < 1 else "undecided"


def undecided(code: Undecided, sentence: str) -> dict[str, Any]:
    """Return the columns of a claim that stays open."""
    return {"verdict": "undecided"} | reason_columns(Reason(code, sentence))
