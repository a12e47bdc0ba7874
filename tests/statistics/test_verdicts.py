"""Verdicts: what follows from an adjusted p and the ends of all intervals; what a family of contrasts is read as."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from finevar.statistics import verdicts
from finevar.statistics.regression import fit_surface
from finevar.study.coding import Coding, terms

BOUND = 0.01


@pytest.mark.parametrize(
    ("p", "ends", "absence", "expected"),
    [
        (0.049, (0.002, 0.03), True, "effect"),
        (0.049, (-0.002, 0.03), True, "effect"),  # some contrast's interval excludes zero, others are wide
        (0.049, (0.001, 0.009), True, "small"),
        (0.049, (0.001, 0.009), False, "effect"),  # few seeds do not show that it is too small to matter
        (0.049, (0.001, 0.010), True, "effect"),  # at the bound
        (0.051, (-0.003, 0.009), True, "negligible"),
        (0.051, (-0.003, 0.009), False, "undecided"),
        (0.051, (-0.010, 0.009), True, "undecided"),
        (0.051, (-0.003, 0.030), True, "undecided"),
        (math.nan, (math.nan, math.nan), True, None),
        (0.5, (-0.003, math.nan), True, "undecided"),
    ],
)
def test_a_verdict_follows_from_p_and_the_ends(p, ends, absence, expected):
    surface = SimpleNamespace(smallest_effect=BOUND, shows_absence=absence, alpha=0.05)
    assert verdicts.verdict(surface, p, *ends) == expected


@pytest.mark.parametrize(("p", "expected"), [(0.01, "effect"), (0.5, "undecided")])
def test_without_a_smallest_effect_nothing_is_too_small(p, expected):
    surface = SimpleNamespace(smallest_effect=None, shows_absence=True, alpha=0.05)
    assert verdicts.verdict(surface, p, -1e-9, 1e-9) == expected


def test_claims_are_adjusted_by_holm_apart_from_the_rest():
    rows = [{"p_value": p, "claim": n < 3} for n, p in enumerate((0.01, 0.04, 0.03, 0.2, 0.002))]
    verdicts.adjust_families([row for row in rows if row["claim"]], lambda row: (), "holm", "claim")
    assert [row["p_adjusted"] for row in rows[:3]] == pytest.approx([0.03, 0.06, 0.06])  # 3p, 2p, the largest so far
    assert rows[0]["family"] == "3 claims, Holm"


def test_a_row_without_p_is_in_no_family():
    rows = [{"p_value": p} for p in (0.02, math.nan, 0.5)]
    verdicts.adjust_families(rows, lambda row: (), "fdr_bh", "effect")
    assert [row["p_adjusted"] for row in rows] == pytest.approx([0.04, math.nan, 0.5], nan_ok=True)
    assert [row.get("family") for row in rows] == [
        "2 effects, Benjamini-Hochberg",
        None,
        "2 effects, Benjamini-Hochberg",
    ]


def test_a_family_is_read_at_its_largest_contrast_that_differs_from_zero():
    """Three levels, six seeds: pairwise differences that all are clear, or of which only the surest is."""
    draw = np.random.default_rng(2)
    for means, expected in (((0.0, 0.05, 0.2), (0, 2)), ((0.0, 0.0, 0.0), None)):
        values = draw.normal(means, 0.01, (6, 3))
        runs = pd.DataFrame({"epochs": np.tile([1, 2, 3], 6), "loss": values.ravel(), "dataset": "a"})
        runs = runs.assign(point_id=runs["epochs"].astype(str), seed=np.repeat(range(6), 3), run_id=range(18))
        codings = {"epochs": Coding((1, 2, 3), "identity")}
        surface = fit_surface(
            runs.assign(trajectory_id=runs["run_id"]), "loss", codings, terms(["epochs"], "quadratic"), 0.95
        )
        pairs = [(0, 1), (0, 2), (1, 2)]
        x = np.array([[1, level, level**2] for level in (-1.0, 0.0, 1.0)])
        weights = surface.padded(np.array([x[high] - x[low] for low, high in pairs]))
        found = verdicts.read_family(surface, weights)
        alone = [stats.ttest_1samp(values[:, high] - values[:, low], 0) for low, high in pairs]
        surest = min(range(3), key=lambda number: alone[number].pvalue)
        assert found.number == (surest if expected is None else pairs.index(expected))
        low, high = pairs[found.number]
        assert found.estimate == pytest.approx((values[:, high] - values[:, low]).mean(), abs=1e-12)
        assert found.std_error == pytest.approx(stats.sem(values[:, high] - values[:, low]), rel=1e-9)
        assert alone[surest].pvalue <= found.p_value <= 3 * alone[surest].pvalue + 1e-4, (
            "between one test and Bonferroni"
        )
        assert found.least <= found.ci_low < found.ci_high <= found.most
        assert found.seed_share == 1, "of single sentences nothing is known"
