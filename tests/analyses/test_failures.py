"""Runs that failed: counts, exact intervals, and which of them have a trend; its p is held against R in test_firth."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from finevar.analyses import failures
from finevar.analyses.fits import FittedStudy, Plan, no_outcomes
from finevar.report.sections import failures as failures_section
from finevar.study.coding import Coding
from finevar.tables import TABLES
from prose import numbers
from report_fixtures import fitting

CODINGS = {"learning_rate": Coding((1.0, 2.0, 4.0), "log2"), "epochs": Coding((1, 2), "identity")}
PLAN = Plan(CODINGS, {}, ["accuracy"], "first_order", 0.95)


def study(diverged: dict[tuple[float, int], int], seeds: int = 4, datasets: tuple[str, ...] = ("a",)) -> pd.DataFrame:
    """Return runs of every point at some seeds, of which so many diverged on each data set."""
    rows = [
        {"dataset": name, "learning_rate": rate, "epochs": epochs, "seed": seed, "status": status}
        for name, rate, epochs in itertools.product(datasets, *(coding.levels for coding in CODINGS.values()))
        for seed in range(seeds)
        for status in ["diverged" if seed < diverged.get((rate, epochs), 0) else "ok"]
    ]
    return pd.DataFrame(rows)


def table(metrics: pd.DataFrame) -> pd.DataFrame:
    return fitting(
        TABLES["failures"].schema, failures.failure_rows(FittedStudy(metrics, PLAN, [], {}, no_outcomes))["failures"]
    )


def test_none_of_n_has_the_exact_upper_bound():
    found = table(study({}))
    row = found.iloc[0]
    assert (row["factor"], row["runs"], row["diverged"], row["ci_low"]) == ("", 24, 0, 0)
    assert row["ci_high"] == pytest.approx(1 - 0.025 ** (1 / 24))  # the p at which none of 24 has a chance of 2.5 %
    assert found["reason"].iloc[1:].notna().all()
    assert found["p_value"].isna().all()


def test_shares_and_intervals_by_level():
    found = table(study({(4.0, 1): 3, (4.0, 2): 2, (2.0, 2): 1})).set_index(["factor", "level"])
    row = found.loc[("learning_rate", 4.0)]
    assert (row["runs"], row["diverged"], row["share"]) == (8, 5, 5 / 8)
    exact = stats.binomtest(5, 8).proportion_ci(0.95, method="exact")
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((exact.low, exact.high))


def test_the_trend_is_that_of_the_log_odds():
    """Ordinary logistic regression (statsmodels) has the same sign, and a larger trend: the penalty shrinks it."""
    metrics = study({(1.0, 1): 1, (4.0, 2): 4, (2.0, 2): 2, (4.0, 1): 1}, seeds=8)
    found = table(metrics).drop_duplicates("factor").set_index("factor")
    x = np.column_stack([np.ones(len(metrics)), *(coding.coded(metrics[name]) for name, coding in CODINGS.items())])
    plain = sm.Logit((metrics["status"] != "ok").to_numpy(float), x).fit(disp=False)
    shrunk = found.loc[list(CODINGS), "trend"] / plain.params[1:]
    assert shrunk.between(0.8, 0.99).all()
    assert list(found.loc[list(CODINGS), "p_value"]) == pytest.approx(list(plain.pvalues[1:]), abs=0.05)


def test_a_factor_that_separates_the_runs_that_failed_is_found():
    found = table(study({(4.0, 1): 4, (4.0, 2): 4})).drop_duplicates("factor").set_index("factor")
    assert found.loc["learning_rate", "p_adjusted"] < 0.001
    assert found.loc["learning_rate", "trend"] > 2
    assert found.loc["epochs", "p_value"] == pytest.approx(1)


def test_collapsed_runs_count_like_diverged_ones():
    metrics = study({(4.0, 1): 4, (4.0, 2): 3})
    mixed = metrics.assign(
        status=np.where((metrics["status"] == "diverged") & (metrics["seed"] == 0), "collapsed", metrics["status"])
    )
    one, other = table(metrics), table(mixed)
    assert (other.loc[0, "diverged"], other.loc[0, "collapsed"]) == (5, 2)
    assert other.drop(columns=["diverged", "collapsed"]).equals(one.drop(columns=["diverged", "collapsed"]))


def test_p_values_are_adjusted_over_the_factors():
    found = table(study({(4.0, 1): 3, (4.0, 2): 2})).drop_duplicates("factor").set_index("factor")
    low, high = found["p_value"].dropna().sort_values()
    assert found["p_adjusted"].min() == pytest.approx(2 * low)
    assert found["p_adjusted"].max() == pytest.approx(max(high, 2 * low))


def test_a_trend_that_is_not_there_is_seldom_found():
    """Of 100 studies in which one run in five diverges at random, 5 % would be 5; 13 or more is chance in 0.1 %."""
    generator = np.random.default_rng(4)
    metrics, found = study({}, seeds=8), 0
    for _ in range(100):
        metrics["status"] = np.where(generator.random(len(metrics)) < 0.2, "diverged", "ok")
        found += failures.trend_tests(metrics, PLAN)["learning_rate"].get("p_value", 1) < 0.05
    assert 0 < found < 13


def test_two_failures_show_no_trend_however_they_lie():
    found = table(study({(4.0, 2): 2}))
    assert {tuple(numbers(reason)) for reason in found["reason"].iloc[1:]} == {(2,)}
    assert {tuple(numbers(reason)) for reason in table(study({(4.0, 2): 1}))["reason"].iloc[1:]} == {(1,)}


def test_data_sets_are_told_apart_and_a_difference_between_them_is_no_trend():
    metrics = study({}, datasets=("a", "b"))
    metrics.loc[metrics["dataset"] == "b", "status"] = "diverged"
    found = table(metrics)
    assert list(found["dataset"].unique()) == ["", "a", "b"]
    pooled = found[(found["dataset"] == "") & (found["factor"] != "")]
    assert pooled["p_value"].to_numpy() == pytest.approx(1, abs=1e-5), "within each data set all runs ended alike"
    without = found[(found["dataset"] == "b") & (found["factor"] != "")]
    assert without["p_value"].isna().all()
    assert without["reason"].notna().all()


def test_missing_runs_are_counted_apart():
    metrics = study({(4.0, 1): 1})
    metrics.loc[metrics["learning_rate"] == 1.0, "status"] = "missing"
    found = table(metrics).set_index(["factor", "level"])
    assert (found["runs"].iloc[0], found["diverged"].iloc[0], found["missing"].iloc[0]) == (16, 1, 8)
    row = found.loc[("learning_rate", 1.0)]
    assert row["runs"] == 0
    assert np.isnan(row["share"])


# Section --------------------------------------------------------------------------------------------------------------


def section(metrics: pd.DataFrame) -> dict:
    return failures_section.section({"failures": table(metrics), "cautions": pd.DataFrame()}, {}, list(CODINGS), 0.95)


def test_none_diverged_is_told_with_what_is_excluded():
    found = section(study({}))
    assert numbers(found["finding"]) == [24, 14, 95]  # 1 - 0.025^(1/24) is 14 %
    assert found["groups"] == []


def test_where_runs_diverged_is_told_with_the_trend():
    found = section(study({(4.0, 1): 4, (4.0, 2): 3}, datasets=("a", "b")))
    assert numbers(found["finding"])[:6] == [48, 14, 29, 95, 17, 44]  # binom.test(14, 48) in R
    assert [group["title"] for group in found["groups"]] == ["", "On a", "On b"]
    rate, epochs = found["groups"][0]["sentences"]
    assert numbers(rate["text"]) == [0, 16, 1, 0, 16, 2, 14, 16, 4, 0.001]
    assert (rate["verdict"], epochs["verdict"]) == ("effect", "undecided")


def test_a_study_of_one_kind_of_end_has_no_trend():
    assert section(study({}).assign(status="missing"))["groups"] == []
    (group,) = section(study({}).assign(status="diverged"))["groups"]
    assert {sentence["verdict"] for sentence in group["sentences"]} == {"none"}
