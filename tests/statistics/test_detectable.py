"""The power of one t-test, and the effect that it finds, against statsmodels and closed forms."""

from __future__ import annotations

import math

import pytest
from scipy import stats
from statsmodels.stats.power import FTestPowerF2, TTestIndPower, TTestPower

from finevar.statistics import detectable


@pytest.mark.parametrize(
    ("noncentrality", "df", "alpha"), [(0, 10, 0.05), (1.5, 4, 0.05), (2.9, 43, 0.01), (6, 200, 0.001)]
)
def test_power_is_that_of_a_noncentral_t(noncentrality, df, alpha):
    theirs = TTestPower().power(noncentrality / math.sqrt(df + 1), nobs=df + 1, alpha=alpha, df=df)
    assert detectable.t_power(noncentrality, df, alpha) == pytest.approx(theirs, rel=1e-9)


def test_power_is_that_of_an_f_test_of_one_parameter():
    ours = detectable.t_power(2.5, 43, 0.05)
    theirs = FTestPowerF2().power(2.5**2 / 45, df_num=1, df_denom=43, alpha=0.05, ncc=1)
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_two_groups_need_the_difference_that_statsmodels_says():
    """A factor at two levels: the coded coefficient is half the difference between two groups of 10."""
    found = detectable.detectable(df=18, alpha=0.05)
    difference = TTestIndPower().solve_power(nobs1=10, alpha=0.05, power=0.8)
    assert 2 * found / math.sqrt(20) == pytest.approx(difference, rel=1e-6)


def test_what_is_detectable_has_the_power_asked_for():
    for df, alpha, wanted in ((1, 0.05, 0.8), (43, 0.05, 0.9), (500, 1e-4, 0.5)):
        assert detectable.t_power(detectable.detectable(df, alpha, wanted), df, alpha) == pytest.approx(
            wanted, abs=1e-9
        )


def test_wider_errors_need_larger_effects():
    """With infinitely many degrees of freedom, the critical value and the quantile of the power just add up."""
    expected = 1.2 * stats.norm.isf(0.025) + stats.norm.ppf(0.8)
    assert detectable.detectable(df=1e7, alpha=0.05, widening=1.2) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("runs", [3, 12, 60, 400])
def test_the_smallest_change_found_with_a_power_of_80_per_cent(runs):
    """Against statsmodels: the mean of runs of SD 1 has the standard error 1 / sqrt(runs)."""
    found = runs**-0.5 * detectable.detectable(runs - 1, 0.05)
    assert found == pytest.approx(TTestPower().solve_power(nobs=runs, alpha=0.05, power=0.8), rel=1e-5)
