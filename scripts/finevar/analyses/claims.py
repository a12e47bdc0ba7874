"""Whether statements made before a study are replicated, contradicted or undecided on its runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.analyses.fits import SPAN
from finevar.reasons import Reason, Undecided
from finevar.statistics.detectable import POWER, detectable
from finevar.study.coding import factors_of, term_name, terms
from finevar.tables import as_rows
from finevar.words.formatting import counted, factor_label, joined
from finevar.words.numbers import percent, significant

UNITS = {  # of an estimate: the change of the response that a term's verdict is about, see fits.SPAN
    "first_order": "change from the lowest to the highest level",
    "two_way": "change along one factor at the other's highest level, less that at its middle",
    "quadratic": "change from the middle to the ends",
    "cubic": "change from the lowest to the highest level",
}

Row = Mapping[str, Any]
Claim = Mapping[str, Any]


def judge_claims(
    coefficients: pd.DataFrame,
    fits: pd.DataFrame,
    claims: Sequence[Claim],
    *,
    factors: Mapping[str, Mapping[str, Any]],
    model: str,
    confidence: float,
) -> list[dict[str, Any]]:
    """Return a row a claim (the table claims), in order.

    coefficients, fits: of the study (its tables). factors: the study's, with levels. model: its terms.
    Holm's correction over all claims is in the coefficients already.
    """
    rows = keyed(coefficients[coefficients["units"] == "coded"], "response", "framework", "term")
    stands = keyed(fits, "response", "framework")
    judged = []
    for claim in claims:
        place = claim["response"], claim["framework"] or "absolute"
        fit = stands.get(place)
        reason, found = untested_reason(claim["term"], fit, factors, model), {"verdict": "undecided"}
        if not reason:
            found, reason = judge_claim(claim, rows[*place, claim["term"]], fit, factors, 1 - confidence)
        said = {name: claim[name] for name in ("name", "response", "term", "statement", "source", "finding", "sign")}
        said |= {"framework": place[1], "p_published": claim["p"]}
        judged.append(said | found | {"reason": reason and reason.sentence, "reason_code": reason and reason.code})
    return judged


def keyed(table: pd.DataFrame, *columns: str) -> dict[tuple[Any, ...], Row]:
    """Return the rows of a table by their values in some columns, missing values as None."""
    return {tuple(row[name] for name in columns): row for row in as_rows(table)}


def judge_claim(
    claim: Claim, found: Row, fit: Row, factors: Mapping[str, Mapping[str, Any]], alpha: float
) -> tuple[dict[str, Any], Reason | None]:
    """Return what this study finds of a claim, and why it is undecided if it is.

    The coefficient is given as the change over the levels that its verdict is about, with the levels of one factor.
    """
    span, names = SPAN[found["group"]], factors_of(found["term"])
    row = {name: span * found[name] for name in ("estimate", "std_error", "ci_low", "ci_high")}
    row |= {name: found[name] for name in ("p_value", "p_adjusted")}
    row |= {"unit": UNITS[found["group"]], "found": found["verdict"], "smallest_effect": fit["smallest_effect"]}
    if len(names) == 1:
        levels = factors[names[0]]["levels"]
        row |= {"from_level": float(min(levels)), "to_level": float(max(levels))}
    row["minimum_detectable"] = row["std_error"] * detectable(found["df"], alpha)
    row["verdict"] = verdict_on(claim, found)
    return row, undecided_reason(row, fit, alpha) if row["verdict"] == "undecided" else None


def untested_reason(term: str, fit: Row | None, factors: Mapping[str, Mapping[str, Any]], model: str) -> Reason | None:
    """Say why this study has no estimate of a term: its factors, its model, or the gate that stopped the fit."""
    fixed = [factor_label(name) for name in factors_of(term) if name not in factors]
    if fixed:
        return Reason(Undecided.FIXED_FACTOR, f"this study does not vary {joined(fixed)}")
    if term not in {term_name(known) for known in terms(list(factors), model)}:
        return Reason(Undecided.NO_TERM, f"the model of this study ({model}) has no such term")
    if fit is None:
        return Reason(Undecided.NO_FIT, "this study has no fit of the metric")
    return Reason(fit["gate_code"], fit["gate"]) if fit["gate"] else None


def verdict_on(claim: Claim, found: Row) -> str:
    """Return replicated, contradicted or undecided.

    That a term has no effect is replicated only where it is shown to be negligible.
    """
    ours = found["verdict"]
    if ours not in ("effect", "negligible"):
        return "undecided"
    if claim["finding"] == "none":
        return "replicated" if ours == "negligible" else "contradicted"
    if ours == "negligible":
        return "contradicted"
    sign = "positive" if found["estimate"] > 0 else "negative"
    return "replicated" if claim["sign"] in (None, sign) else "contradicted"


def undecided_reason(row: Row, fit: Row, alpha: float) -> Reason:
    """Say why a claim is undecided although its term was estimated: noise, the count of claims, or power."""
    smallest = row["smallest_effect"]
    if row["p_value"] < alpha:
        adjusted = f"p is below {alpha:.2g}, but no longer once all claims are counted"
        return Reason(Undecided.MULTIPLE_CLAIMS, adjusted)
    if smallest is None or fit["pure_error_sd"] is None:
        return Reason(Undecided.NO_NOISE, "with one seed there is no noise to measure an effect against")
    if row["minimum_detectable"] <= smallest:
        chance = "neither a change of the size of interest nor its absence is shown, although it could have been"
        return Reason(Undecided.CHANCE, chance)
    needed = counted(seeds_needed(int(fit["seeds"]), row["minimum_detectable"], smallest), "seed")
    return Reason(
        Undecided.POWER,
        f"with {counted(int(fit['seeds']), 'seed')} a change is found with a probability of {percent(POWER)} only from "
        f"{significant(row['minimum_detectable'])} on, and the smallest effect of interest is "
        f"{significant(smallest)}; that takes about {needed}",
    )


def seeds_needed(seeds: int, found: float, wanted: float) -> int:
    """Return about how many seeds find a change where this many find a larger one: errors fall with their root."""
    return math.ceil(seeds * (found / wanted) ** 2)
