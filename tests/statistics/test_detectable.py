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


@pytest.mark.parametrize("runs", [3, 12, 60, 400])
def test_the_smallest_change_found_with_a_power_of_80_per_cent(runs):
    """Against statsmodels: the mean of runs of SD 1 has the standard error 1 / sqrt(runs)."""
    found = runs**-0.5 * detectable.detectable(runs - 1, 0.05)
    assert found == pytest.approx(TTestPower().solve_power(nobs=runs, alpha=0.05, power=0.8), rel=1e-5)


# Seeds and sentences --------------------------------------------------------------------------------------------------

CHANGE = detectable.Change(seed=0.0001, sentence=0.04, alpha=0.05, few_df=40)


def test_seeds_alone_are_a_t_test_of_their_means():
    """Of seeds with a standard deviation of 0.01, against statsmodels."""
    found = detectable.Change(seed=0.0001, sentence=0.0, alpha=0.05, few_df=40).found(5, 1000)
    assert found == pytest.approx(0.01 * TTestPower().solve_power(nobs=5, alpha=0.05, power=0.8), rel=1e-5)


def test_sentences_alone_are_a_z_test():
    found = detectable.Change(seed=0.0, sentence=0.04, alpha=0.05, few_df=40).found(5, 1e6)
    assert found == pytest.approx(0.2 / 1000 * (stats.norm.isf(0.025) + stats.norm.isf(0.2)), rel=1e-4)


def test_both_add_their_variances_and_share_degrees_of_freedom():
    """0.0001 / 4 and 0.04 / 1600 are equal: twice the variance of either, and four over 1/3 + 1/1599."""
    df = 4 / (1 / 3 + 1 / 1599)
    assert CHANGE.found(4, 1600) == pytest.approx(math.sqrt(0.00005) * detectable.detectable(df, 0.05))
    assert CHANGE.seed_share(4, 1600) == pytest.approx(0.5)


def test_few_seeds_borrow_the_residuals_degrees_of_freedom():
    df = 4 * (0.00005 + 0.000025) ** 2 / (4 * (0.00005**2 / 40 + 0.000025**2 / 1599))
    assert CHANGE.found(2, 1600) == pytest.approx(math.sqrt(0.000075) * detectable.detectable(df, 0.05))


def test_what_is_needed_is_just_enough():
    seeds, sentences = CHANGE.seeds_needed(0.02, 1600), CHANGE.sentences_needed(0.02, 5)
    assert CHANGE.found(seeds, 1600) <= 0.02 < CHANGE.found(seeds - 1, 1600)
    assert CHANGE.found(5, sentences) <= 0.02 < CHANGE.found(5, 0.9 * sentences)
    assert str(sentences)[2:].strip("0") == ""


def test_no_number_of_one_makes_up_for_too_few_of_the_other():
    assert CHANGE.seeds_needed(0.005, 1600) is None  # sentences alone: 0.2 / 40 x 2.8 = 0.014
    assert CHANGE.sentences_needed(0.005, 5) is None
    assert CHANGE.seeds_needed(1.0, 1600) == 4  # which negligible takes
