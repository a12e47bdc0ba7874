"""Whether statements made before a study are replicated, contradicted or undecided on its runs.

A claim is one question to the fitted surface: a contrast of its parameters, or, where no direction is claimed of a
factor, the family of its simple effects, as for the verdict on the factor itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from finevar.analyses.baselines import have_own_baselines
from finevar.analyses.effects import leave_open
from finevar.analyses.fits import SEPARATE, Claim, FittedStudy
from finevar.analyses.seed_parts import judged_ratio
from finevar.reasons import Reason, Stop, Undecided, reason_columns
from finevar.statistics.bounds import limits, within
from finevar.statistics.clustered import FEW_SEEDS
from finevar.statistics.detectable import POWER, detectable
from finevar.statistics.regression import Surface, slopes_at
from finevar.statistics.simple_effects import simple_effects
from finevar.statistics.verdicts import (
    Reading,
    adjust_families,
    columns_key,
    is_small,
    read_contrast,
    read_family,
)
from finevar.study.claim_files import ratio_parts
from finevar.study.coding import (
    Change,
    Codings,
    Term,
    axes_of,
    changes_of,
    ends_of,
    factor_of,
    factors_of,
    model_matrix,
    numbers_of,
    step_unit,
    term_group,
    term_of,
    terms_like,
)
from finevar.study.goals import SPAN
from finevar.study.presence import settled
from finevar.words.formatting import counted, factor_label, joined
from finevar.words.numbers import percent, significant

UNITS = {  # of an estimate
    "family": "largest change between two levels, at any setting of the others",
    "between": "change between the two levels, averaged over the settings tried",
    "at_baseline": "change between the two levels, at the baseline's other levels",
    "change": "change from the lowest to the highest level, averaged over the settings tried",
    "two_way": "change along one factor's range at the other's highest level, less that at its lowest",
    "of_names": "what the other's change between its two levels adds to one factor's own change",
    "quadratic": "change from the middle to the ends",
    "cubic": "change from the lowest to the highest level",
}
OTHER_LEVELS = {  # by what the study has
    "own": "in this study each has levels of its own, so that the term compares them by their place among these",
    "same": "in this study both have the same levels",
}
ENDS = ("estimate", "ci_low", "ci_high")
WHOLE = {"two_way": 4.0, "quadratic": SPAN["quadratic"], "cubic": SPAN["cubic"]}  # times the coded coefficient

Row = Mapping[str, Any]


def judge_claims(study: FittedStudy) -> list[dict[str, Any]]:
    """Return a row a claim (the table claims), in order; a verdict that changes without suspect runs is left open."""
    rows = claim_rows(study)
    if study.suspects:
        leave_open(rows, claim_rows(study.without_suspects()), ("name",), study.suspects)
    return rows


def claim_rows(study: FittedStudy) -> list[dict[str, Any]]:
    """Return a row a claim, in order; p-values adjusted over all that can be tested (Holm)."""
    surfaces = {surface.response: surface for surface in study.surfaces}
    rows, tested = [], []
    for claim in study.plan.claims:
        said = {name: claim[name] for name in ("name", "response", "term", "statement", "source", "finding", "sign")}
        row = said | {"framework": claim["framework"] or "absolute", "p_published": claim["p"], "verdict": "undecided"}
        rows.append(row)
        if reason := untested_reason(claim, study):
            row.update(reason_columns(reason))
        elif ratio_parts(claim["term"]):
            row.update(judged_ratio(claim, surfaces[claim["response"]]))
        else:
            surface = surfaces[claim["response"]]
            tested.append((claim, row, surface, read_claim(claim, surface, study.plan.baseline)))
    for _, row, surface, found in tested:
        row.update(found.columns(surface.response) | {"smallest_effect": surface.smallest_effect})
    if tested:
        adjust_families([row for _, row, _, _ in tested], columns_key(()), "holm", "claim")
    for claim, row, surface, found in tested:
        row.update(judged(claim, row, surface, found))
    return rows


def untested_reason(claim: Claim, study: FittedStudy) -> Reason | None:
    """Say why this study has no estimate of a claim's term: its factors, its model, a gate that stopped the fit."""
    plan, response = study.plan, claim["response"]
    if ratio_parts(claim["term"]):
        return fit_reason(response, study)
    fixed = [factor_label(name) for name in factors_of(claim["term"]) if not is_varied(name, plan.codings)]
    if fixed:
        return Reason(Undecided.FIXED_FACTOR, f"this study does not vary {joined(fixed)}")
    if not terms_like(claim["term"], plan.columns):
        return Reason(Undecided.NO_TERM, f"the model of this study ({plan.order}) has no such term")
    if claim.get("levels") not in (None, kind := levels_kind(claim["term"], plan.codings)):
        return Reason(Undecided.OTHER_LEVELS, OTHER_LEVELS[kind])
    if reason := fit_reason(response, study):
        return reason
    if claim["framework"] != "relative":
        return None
    if study.metrics[f"baseline_{response}"].isna().any() or not plan.baseline:
        return Reason(Stop.NO_BASELINE, f"the baseline has no {response}.")
    if have_own_baselines(study.metrics):
        return SEPARATE
    without = [factor_label(name) for name in factors_of(claim["term"]) if plan.baseline[factor_of(name)] is None]
    return Reason(Stop.NO_BASELINE, f"the baseline has no {joined(without)}.") if without else None


def levels_kind(term: str, codings: Codings) -> str:
    """Return own where a factor of a term has levels that slide with another one of it, else same."""
    names = list(map(factor_of, factors_of(term)))
    return "own" if any(codings[name].by and codings[name].by.category in names for name in names) else "same"


def fit_reason(response: str, study: FittedStudy) -> Reason | None:
    """Say why this study has no fit of a metric: a gate that stopped it, or that it does not analyse it."""
    if response in study.stopped:
        return study.stopped[response]
    if response not in study.plan.responses:
        return Reason(Undecided.NO_FIT, "this study has no fit of the metric")
    return None


def is_varied(name: str, codings: Codings) -> bool:
    """Say whether a study varies a factor or, of levels that are names, tries both of a change."""
    factor = factor_of(name)
    return factor in codings and (name == factor or name in changes_of({factor: codings[factor]}, both_ways=True))


# What a claim asks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What the surface says on a claim."""

    reading: Reading
    unit: str
    levels: Mapping[str, float]  # from_level and to_level, where it is about one factor's range

    def columns(self, response: str) -> dict[str, Any]:
        """Return the columns of the table claims that hold it, no further than the metric can change.

        By an interaction the difference of two changes can be twice as large; a slope has no limit.
        """
        doubled = self.unit in (UNITS["two_way"], UNITS["of_names"])
        times = 2.0 if doubled else 1.0 if self.unit in UNITS.values() else math.inf
        between = tuple(times * end for end in limits(response))
        return within(self.reading.columns() | {"unit": self.unit} | self.levels, ENDS, between)


def read_claim(claim: Claim, surface: Surface, baseline: Mapping[str, Any]) -> Answer:
    """Return the estimate that a claim is about.

    A relative first-order claim is about the slope at the baseline, per natural step: the range would stretch it far
    beyond where it was read. An absolute one with a sign is about the mean change over the factor's range, and without
    a sign about all simple effects.
    """
    asked, alike = term_of(claim["term"]), terms_like(claim["term"], surface.columns)
    group = term_group(alike[0])
    if not all(map(numbers_of(surface.codings).get, asked)):
        return read_names(claim, asked, surface, baseline)
    (term,) = alike
    if group != "first_order":
        weights = WHOLE[group] * surface.padded(np.eye(len(surface.columns)))[surface.columns.index(term)]
        return Answer(read_contrast(surface, weights), UNITS[group], levels_of(term, surface))
    if claim["framework"] == "relative":
        coding = surface.codings[term[0]]
        slope = slopes_at(surface, baseline)[surface.columns.index(term)] * coding.step
        return Answer(read_contrast(surface, slope), step_unit(term[0], coding.scale), {})
    family = simple_effects(surface, term[0])
    if claim["sign"] is None:
        return Answer(read_family(surface, family.weights), UNITS["family"], levels_of(term, surface))
    mean = family.weights[family.spans].mean(0)
    return Answer(read_contrast(surface, mean), UNITS["change"], levels_of(term, surface))


def read_names(claim: Claim, asked: Term, surface: Surface, baseline: Mapping[str, Any]) -> Answer:
    """Return the estimate that a claim on levels that are names is about.

    A relative one of a change is about that change at the baseline's other levels. A category as a whole stands for
    all changes between its levels.
    """
    codings, first = surface.codings, asked[0]
    if len(asked) == 1 and claim["framework"] == "relative" and first != factor_of(first):
        change = changes_of(codings, both_ways=True)[first]
        place = surface.coded({name: [baseline[name]] * 2 for name in codings}) | ends_of(change, codings)
        start, end = surface.padded(model_matrix(settled(codings, place), surface.columns))
        return Answer(read_contrast(surface, end - start), UNITS["at_baseline"], {})
    if len(asked) == 1:
        weights = simple_effects(surface, first).weights
        if claim["sign"] is None:
            return Answer(read_family(surface, weights), UNITS["family"], {})
        return Answer(read_contrast(surface, weights.mean(0)), UNITS["between"], {})
    pairs = itertools.product(*(changes_asked(name, codings) for name in asked))
    weights = np.array([interaction_weights(surface, *pair) for pair in pairs])
    reading = read_contrast(surface, weights[0]) if len(weights) == 1 else read_family(surface, weights)
    return Answer(reading, UNITS["of_names"], {})


def changes_asked(name: str, codings: Codings) -> list[Change]:
    """Return the changes that a factor of a claim's term stands for: its own one, or of a category all of them."""
    changes = changes_of({factor_of(name): codings[factor_of(name)]}, both_ways=name != factor_of(name))
    return [changes[name]] if name in changes else list(changes.values())


def interaction_weights(surface: Surface, first: Change, second: Change) -> np.ndarray:
    """Return the weights [parameters] of what one change adds to another, all else mid-range."""
    one, other = (ends_of(change, surface.codings) for change in (first, second))
    place = {axis: np.zeros(4) for axis in axes_of(surface.codings)}
    place |= {axis: np.tile(ends, 2) for axis, ends in one.items()}
    place |= {axis: np.repeat(ends, 2) for axis, ends in other.items()}
    return surface.padded(np.array([1.0, -1.0, -1.0, 1.0]) @ model_matrix(place, surface.columns))


def levels_of(term: Term, surface: Surface) -> dict[str, float]:
    """Return the ends of a term's factor; none where it has several factors, or they slide with a category."""
    own = surface.codings[term[0]]
    if len(set(term)) > 1 or own.by:
        return {}
    return {"from_level": float(min(own.levels)), "to_level": float(max(own.levels))}


# The verdict ----------------------------------------------------------------------------------------------------------


def judged(claim: Claim, row: Row, surface: Surface, found: Answer) -> dict[str, Any]:
    """Return the verdict on a claim, with what these runs could have found and why it is undecided."""
    out = {"minimum_detectable": found.reading.std_error * detectable(found.reading.df, surface.alpha)}
    verdict = verdict_on(claim, row, found.reading, surface)
    reason = None if verdict != "undecided" else undecided_reason(claim, row | out, surface)
    return out | {"verdict": verdict} | reason_columns(reason)


def verdict_on(claim: Claim, row: Row, found: Reading, surface: Surface) -> str:
    """Return replicated, contradicted, smaller than matters or undecided.

    row: with p_adjusted. A claim without a sign cannot lie on the other side of zero, so that only the absence of an
    effect that matters speaks against it. "Not found significant" claims nothing, so nothing contradicts it.
    """
    bound, finding, sign = surface.smallest_effect, claim["finding"], claim["sign"]
    small = is_small(surface, found.least, found.most)
    if finding == "not_significant":
        return "undecided"
    if finding == "none":
        beyond = bound is not None and max(found.ci_low, -found.ci_high) > bound
        return "replicated" if small else "contradicted" if beyond else "undecided"
    if (sign == "positive" and found.ci_high < 0) or (sign == "negative" and found.ci_low > 0):
        return "contradicted"
    if row["p_adjusted"] < surface.alpha:
        return "replicated"
    return "smaller than matters" if small else "undecided"


def undecided_reason(claim: Claim, row: Row, surface: Surface) -> Reason:
    """Say why a claim is undecided although its term was estimated: what it says, noise, the count of claims, power."""
    smallest, alpha = row["smallest_effect"], surface.alpha
    if claim["finding"] == "not_significant":
        return Reason(Undecided.NO_CLAIM, "that something was not found significant claims neither an effect nor none")
    if row["p_value"] < alpha and claim["finding"] == "effect":
        adjusted = f"p is below {alpha:.2g}, but no longer once all claims are counted"
        return Reason(Undecided.MULTIPLE_CLAIMS, adjusted)
    if surface.population and surface.seeds < 2:
        return Reason(Undecided.NO_NOISE, "with one seed there is no noise to measure an effect against")
    if not surface.shows_absence:
        few = f"{counted(surface.seeds, 'seed')} cannot show that a seed does not change slopes; that takes {FEW_SEEDS}"
        return Reason(Undecided.FEW_SEEDS, few)
    if smallest is None or row["minimum_detectable"] <= smallest:
        chance = "neither a change of the size of interest nor its absence is shown, although it could have been"
        return Reason(Undecided.CHANCE, chance)
    count, what = (surface.seeds, "seed") if surface.population else (len(surface.runs), "model")
    needed = counted(seeds_needed(count, row["minimum_detectable"], smallest), what)
    return Reason(
        Undecided.POWER,
        f"with {counted(count, what)} a change is found with a probability of {percent(POWER)} only from "
        f"{significant(row['minimum_detectable'])} on, and the smallest effect of interest is "
        f"{significant(smallest)}; that takes about {needed}",
    )


def seeds_needed(seeds: int, found: float, wanted: float) -> int:
    """Return about how many seeds, or found models, find a change where this many find a larger one.

    Errors fall with their root.
    """
    return math.ceil(seeds * (found / wanted) ** 2)
