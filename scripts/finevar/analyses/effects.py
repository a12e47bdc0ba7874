"""The effect of each factor on each response: one question over all settings of the others, with one verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd

from finevar.reasons import Reason, Undecided, reason_columns
from finevar.statistics.bounds import limits, within
from finevar.statistics.covariance import fit_ols
from finevar.statistics.crossed import DEPENDENT, crossed_parts
from finevar.statistics.estimability import obstacle
from finevar.statistics.regression import Surface, contrasts
from finevar.statistics.seed_slopes import SlopesTest, seed_slopes_test
from finevar.statistics.simple_effects import SimpleEffects, simple_effects
from finevar.statistics.verdicts import UNDECIDED, Reading, adjust_families, columns_key, read_family, verdict
from finevar.study.coding import (
    Coding,
    Codings,
    change_name,
    changes_of,
    columns_of,
    factor_of,
    levels_text,
    range_weights,
    step_unit,
)
from finevar.tables import Rows
from finevar.words.formatting import counted, joined

ALL_DATASETS = ""
VERDICT_WORDS = {"small": "an effect too small to matter", "effect": "an effect"}
SEED_ALPHA = 0.10  # below, seeds are taken to change slopes


def judged_effects(surfaces: Sequence[Surface]) -> Rows:
    """Return the effects of all surfaces (the table effects), p-values adjusted over all of them.

    Where a factor's effect is found to differ between data sets, the verdict on all of them is withheld, and rows of
    each data set follow.
    """
    rows = [dict(row) for surface in surfaces for row in effect_rows(surface)]
    by_response = {surface.response: surface for surface in surfaces}
    adjust_families(rows, columns_key(("dataset",)), "fdr_bh", "effect")
    split = {(row["response"], row["factor"]) for row in rows if row["datasets_differ"]}
    kept = [row for row in rows if row["dataset"] == ALL_DATASETS or (row["response"], row["factor"]) in split]
    for row in kept:
        row |= judged(row, by_response[row["response"]])
    return kept


def judged(row: dict[str, Any], surface: Surface) -> dict[str, Any]:
    """Return the verdict on an effect, or why there is none, and what would decide it."""
    if row["dataset"] == ALL_DATASETS and row["datasets_differ"]:
        differ = "the effect differs between data sets, so that there is a verdict on each of them"
        return {"verdict": None, "reason": differ, "reason_code": Undecided.DATASETS_DIFFER}
    found = verdict(surface, row["p_adjusted"], row["simple_low"], row["simple_high"])
    if found is None:
        alone = "it rests on one seed alone, which says nothing of others"
        return {"verdict": None, "reason": alone, "reason_code": Undecided.ONE_SEED}
    reason = open_reason(row, surface) if found == UNDECIDED else None
    return {"verdict": found} | reason_columns(reason)


def leave_open(rows: Rows, again: Rows, columns: Sequence[str], suspects: Mapping[str, Sequence[str]]) -> None:
    """Leave open, in place, every verdict that is another one without the suspect runs of its response.

    rows, again: with all runs, and without suspect ones. columns: that name a row. suspects: run ids by response.
    """
    others = {tuple(row[name] for name in columns): row for row in again}
    lacking = {"verdict": None, "reason": "it cannot be estimated"}
    for row in rows:
        other, runs = others.get(tuple(row[name] for name in columns), lacking), suspects.get(row["response"])
        found = other["verdict"]
        if runs and row["verdict"] not in (None, found):
            which = other["reason"] if found is None else f"the verdict is {VERDICT_WORDS.get(found, found)}"
            reason = f"without {counted(len(runs), 'run')} with a suspect residual, {joined(runs)}, {which}"
            row |= {"verdict": UNDECIDED, "reason": reason, "reason_code": Undecided.SUSPECTS}


def open_reason(row: dict[str, Any], surface: Surface) -> Reason:
    """Say why a verdict is open and what would decide it."""
    if surface.smallest_effect is None:
        return Reason(Undecided.NO_BOUND, "no smallest effect of interest is known: set analysis.smallest_effect")
    if not surface.shows_absence:
        few = f"{counted(surface.seeds, 'seed')} cannot show that an effect is negligible, which takes 4"
        return Reason(Undecided.FEW_SEEDS, few)
    if surface.population is None:
        return Reason(Undecided.MORE_SEEDS, "the models that are compared are too few: more of them would narrow it")
    if row["seed_share"] >= 0.5:
        return Reason(Undecided.MORE_SEEDS, "the interval is wide mostly for the seeds: more of them would narrow it")
    return Reason(Undecided.MORE_SENTENCES, "the interval is wide mostly for the test sentences: more would narrow it")


@lru_cache(maxsize=16)
def effect_rows(surface: Surface) -> Rows:
    """Return the effects of one surface, over all data sets and, where there are several, on each."""
    apart = Apart.of(surface)
    rows = []
    for factor in asked_of(surface.codings):
        p_datasets = apart.p_value(factor) if apart else None
        slopes = seed_slopes(surface, factor)
        shared = {
            "p_datasets": p_datasets,
            "datasets_differ": p_datasets is not None and p_datasets < surface.alpha,
            "p_seeds": slopes.p_value,
            "supposes_slopes": supposes_slopes(surface, slopes),
        }
        rows.append({"dataset": ALL_DATASETS} | effect_row(surface, surface, factor) | shared)
        for number, name in enumerate(apart.datasets if apart else []):
            own = effect_row(surface, apart.joint, factor, partial(apart.placed, number=number))
            rows.append({"dataset": name} | own | shared)
    return rows


def asked_of(codings: Codings) -> list[str]:
    """Return what a verdict is asked of: each number, each category of three levels or more, each two of its levels.

    Two levels alone are one question.
    """
    asked = []
    for name, coding in codings.items():
        asked += [name] if name in changes_of({name: coding}) or len(coding.levels) > 2 else []
        asked += [change for change in changes_of({name: coding}) if change != name]
    return asked


def effect_row(
    surface: Surface, read: Surface, factor: str, placed: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> dict[str, Any]:
    """Return what a factor does: the change over its range at the middle of the others, and its simple effects.

    factor: of asked_of(); a category as a whole has no range. read: the surface whose parameters are read, by weights
    that `placed` makes of weights of the surface's own.
    """
    simple = simple_effects(surface, factor)
    between = limits(surface.response)
    found = read_family(read, placed(simple.weights))
    row = {
        "response": surface.response,
        "population": surface.population,
        "factor": factor,
        **(change_columns(surface, read, factor, placed) if factor in changes_of(surface.codings) else {}),
        "p_value": found.p_value,
        "simple_effects": len(simple.weights),
        "largest": found.estimate,
        "largest_low": found.ci_low,
        "largest_high": found.ci_high,
        **place_of(factor_of(factor), simple, found),
        "simple_low": found.least,
        "simple_high": found.most,
        "seed_share": found.seed_share,
        "smallest_effect": surface.smallest_effect,
    }
    return within(row, ("largest", "largest_low", "largest_high", "simple_low", "simple_high"), between)


def change_columns(
    surface: Surface, read: Surface, name: str, placed: Callable[[np.ndarray], np.ndarray]
) -> dict[str, Any]:
    """Return the columns of a change over a range, of levels that are names without the levels, which its name has."""
    change = next(contrasts(read, placed(change_weights(surface, name)[None]))).within(*limits(surface.response))
    own = changes_of(surface.codings)[name]
    coding = surface.codings[own.factor]
    is_number, is_fixed = isinstance(coding, Coding), isinstance(coding, Coding) and not coding.by
    step = change.scaled(coding.step / 2 if is_number else 1.0)
    return {
        "from_level": float(own.start) if is_fixed else None,
        "to_level": float(own.end) if is_fixed else None,
        "change": change.estimate,
        **{column: getattr(change, column) for column in ("std_error", "ci_low", "ci_high")},
        "per_unit": step["estimate"],
        "per_unit_ci_low": step["ci_low"],
        "per_unit_ci_high": step["ci_high"],
        "unit": step_unit(name, coding.scale) if is_number else f"{own.end} instead of {own.start}",
    }


def place_of(factor: str, simple: SimpleEffects, found: Reading) -> dict[str, Any]:
    """Return between which levels the largest simple effect is, and at which levels of the others.

    Of levels that are names the change has both in its name.
    """
    at = {name: levels[found.number] for name, levels in simple.others.items()}
    start, end = simple.from_levels[found.number], simple.to_levels[found.number]
    if isinstance(start, str):
        return {"largest_change": change_name(factor, start, end), "largest_at": levels_text(at)}
    return {"largest_from": float(start), "largest_to": float(end), "largest_at": levels_text(at)}


def change_weights(surface: Surface, name: str) -> np.ndarray:
    """Return the weights [parameters] of a change, see changes_of(), the other numbers mid-range."""
    return surface.padded(range_weights(changes_of(surface.codings)[name], surface.codings, surface.columns))


# Seeds and data sets that differ --------------------------------------------------------------------------------------


def seed_slopes(surface: Surface, factor: str) -> SlopesTest:
    """Test whether seeds change the slope of a factor."""
    runs = surface.runs
    if crossed_parts(runs):
        return SlopesTest(reason=DEPENDENT)
    own, cells = surface.codings[factor_of(factor)].axes(factor_of(factor)), surface.cells
    slopes = columns_of(surface.coded(), own)
    design = surface.fit.matrix[:, surface.unblocked]
    return seed_slopes_test(surface.fit.values, slopes, runs["seed"].to_numpy(), cells, design)


def supposes_slopes(surface: Surface, found: SlopesTest) -> bool:
    """Say whether intervals suppose that a seed does not change slopes, which the test rejects or cannot decide."""
    if surface.population is None or surface.shows_absence:
        return False
    return found.p_value is None or found.p_value < SEED_ALPHA or surface.seeds == 2


@dataclass(frozen=True)
class Apart:
    """One fit in which every term has an estimate of its own on every data set."""

    joint: Surface  # the terms of the first data set, of the second, ..., then the seeds' blocks
    datasets: list[str]
    terms: int  # on each

    @classmethod
    def of(cls, surface: Surface) -> Apart | None:
        """Fit data sets apart; None where there is one, models were found, or runs cannot estimate that."""
        numbers, datasets = pd.factorize(surface.runs["dataset"])
        if len(datasets) < 2 or surface.population is None:
            return None
        terms = len(surface.columns)
        own = [surface.fit.matrix[:, :terms] * (numbers == number)[:, None] for number in range(len(datasets))]
        blocks = [surface.fit.matrix[:, [number]] for number, kept in enumerate(surface.unblocked) if not kept]
        matrix = np.hstack([*own, *blocks])
        if obstacle(matrix, surface.errors):
            return None
        names = [f"{name}@{dataset}" for dataset in datasets for name in surface.names[:terms]]
        names += [name for name, kept in zip(surface.names, surface.unblocked, strict=True) if not kept]
        columns = surface.columns * len(datasets)
        fit = fit_ols(surface.fit.values, matrix, surface.errors)
        return cls(dataclasses.replace(surface, columns=columns, names=names, fit=fit), list(datasets), terms)

    def placed(self, weights: np.ndarray, *, number: int) -> np.ndarray:
        """Return weights [rows, parameters] of the pooled surface as weights of one data set's terms."""
        out = np.zeros((len(weights), len(self.joint.names)))
        out[:, number * self.terms : (number + 1) * self.terms] = weights[:, : self.terms]
        return out

    def p_value(self, factor: str) -> float:
        """Return the p-value of the hypothesis that a factor's simple effects are the same on all data sets."""
        weights = simple_effects(self.joint, factor).weights[:, : self.terms]
        first = self.placed(weights, number=0)
        others = [self.placed(weights, number=number) - first for number in range(1, len(self.datasets))]
        return read_family(self.joint, np.vstack(others)).p_value
