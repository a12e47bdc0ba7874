"""Tuning curves against every way to draw, their band against the curve of the population, and what is told of them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from opda.nonparametric import EmpiricalDistribution

from finevar.analyses import fits as readings
from finevar.analyses import tuning
from finevar.figures import drawing
from finevar.figures import tuning as tuning_chart
from finevar.report.sections import tuning as tuning_section
from finevar.tables import TABLES
from prose import MISSING, numbers
from report_fixtures import FACTORS, as_read, fitting, plan_of, simulate_metrics

LABELS = {"accuracy": "accuracy", "loss": "loss"}


def runs_of(values: list[float | None], points: str, response: str = "accuracy") -> pd.DataFrame:
    """Return runs of one data set; a value of None is a diverged run."""
    status = ["diverged" if value is None else "ok" for value in values]
    frame = pd.DataFrame({"point_id": list(points), "status": status, "dataset": "a"})
    return frame.assign(**{response: pd.array([math.nan if value is None else value for value in values], dtype=float)})


def brute_force(values: list[float], again: list[float], draws: int) -> tuple[float, float]:
    """Return the mean over all equally likely draws of the best value and of its setting at other seeds."""
    found = []
    for drawn in itertools.product(range(len(values)), repeat=draws):
        best = max(values[run] for run in drawn)
        # Of equally good runs any may be the one that is kept, each as likely as it is among all runs.
        tied = [run for run, value in enumerate(values) if value == best]
        found.append((best, np.mean([again[run] for run in tied])))
    best, kept = np.mean(found, axis=0)
    return float(best), float(kept)


# Two seeds of a, two of b, three of c, with a tie across settings.
VALUES, POINTS = [0.8, 0.7, 0.9, 0.6, 0.8, 0.5, 0.85], "aabbccc"
AGAIN = [0.7, 0.8, 0.6, 0.9, (0.5 + 0.85) / 2, (0.8 + 0.85) / 2, (0.8 + 0.5) / 2]


@pytest.mark.parametrize("draws", [1, 2, 3])
def test_a_curve_is_the_mean_over_all_draws(draws):
    rows = tuning.curve_rows(runs_of(VALUES, POINTS), "accuracy", 0.95)
    row = next(row for row in rows if row["draws"] == draws)
    assert (row["expected"], row["expected_again"]) == pytest.approx(brute_force(VALUES, AGAIN, draws))


@pytest.mark.parametrize("draws", [1, 2, 3])
def test_of_losses_the_lowest_is_the_best(draws):
    losses = [1 - value for value in VALUES]
    rows = tuning.curve_rows(runs_of(losses, POINTS, "loss"), "loss", 0.95)
    row = next(row for row in rows if row["draws"] == draws)
    best, again = brute_force(VALUES, AGAIN, draws)
    assert (row["expected"], row["expected_again"]) == pytest.approx((1 - best, 1 - again))
    assert row["ci_low"] < row["expected"] < row["ci_high"]


def test_a_curve_agrees_with_opdas_v_statistic():
    values = np.random.default_rng(1).normal(size=30).round(1)
    draws = np.arange(1, 31)
    expected = EmpiricalDistribution(values).v_tuning_curve(draws)
    np.testing.assert_allclose(tuning.best_weights(values, draws) @ values, expected, rtol=1e-12)


def test_a_diverged_run_counts_as_the_worst_finished_one():
    lost = tuning.curve_rows(runs_of([0.8, 0.7, None, 0.6, 0.9, 0.65], "aabbcc"), "accuracy", 0.95)
    kept = tuning.curve_rows(runs_of([0.8, 0.7, 0.6, 0.6, 0.9, 0.65], "aabbcc"), "accuracy", 0.95)
    assert [row["expected"] for row in lost] == pytest.approx([row["expected"] for row in kept])
    assert lost[0]["reason"] == "1 diverged, counted as the worst finished run"
    assert kept[0]["reason"] is None


def test_a_collapsed_run_counts_as_the_worst_finished_one_whatever_its_value():
    """Always the larger class has a good F1 and a low loss."""
    runs = runs_of([*VALUES, 0.99], POINTS + "c")
    runs.loc[len(VALUES), "status"] = "collapsed"
    worst = tuning.curve_rows(runs_of([*VALUES, min(VALUES)], POINTS + "c"), "accuracy", 0.95)
    found = tuning.curve_rows(runs, "accuracy", 0.95)
    assert [row["expected"] for row in found] == pytest.approx([row["expected"] for row in worst])
    assert found[0]["reason"] == "1 collapsed, counted as the worst finished run"


def test_of_crossed_seeds_another_seed_is_one_of_every_part():
    """By hand: of 2 x 2 seeds a run has one other without a seed in common, that opposite it."""
    runs = runs_of([0.9, 0.6, 0.7, 0.5], "aaaa").assign(seed=range(4), seed_init=[0, 0, 1, 1], seed_order=[0, 1, 0, 1])
    assert tuning.other_seeds(runs["accuracy"].to_numpy(), runs).tolist() == [0.5, 0.7, 0.6, 0.9]
    (row,) = tuning.curve_rows(runs, "accuracy", 0.95)
    assert row["expected_again"] == pytest.approx(0.675)
    (row,) = tuning.curve_rows(runs[:3], "accuracy", 0.95)
    assert "expected_again" not in row


def test_one_run_a_setting_tells_nothing_of_a_fresh_seed():
    rows = tuning.curve_rows(runs_of([0.8, 0.7, 0.6], "abc"), "accuracy", 0.95)
    assert all("expected_again" not in row for row in rows)
    assert rows[0]["reason"] == "a setting has one run only, so its value at a fresh seed is unknown"


@pytest.mark.parametrize("values", [[None, None], [0.8, None], []])
def test_too_few_finished_runs_are_told(values):
    (row,) = tuning.curve_rows(runs_of(values, "ab"[: len(values)]), "accuracy", 0.95)
    assert row == {"reason": "fewer than two finished runs with a value of accuracy"}


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    points = [f"p{number}" for number in range(400)]
    runs = pd.DataFrame({"point_id": points, "status": "ok", "accuracy": np.linspace(0.5, 0.9, 400)})
    rows = tuning.curve_rows(runs, "accuracy", 0.95)
    assert len(rows) <= 60
    assert (rows[0]["draws"], rows[-1]["draws"], rows[0]["method"]) == (1, 400, tuning.WIDE)


@pytest.mark.parametrize("settings", [9, 27])
def test_the_band_holds_the_curve_of_all_seeds_at_all_draws_at_once(settings):
    """Of 200 studies of 2 seeds, 95 % or more must hold it: below 90 % would come by chance in 0.2 % of tests.

    The truth is the curve of the same settings at 1,000 seeds, where what lies beyond the study's own runs counts as
    its best or worst one.
    """
    generator = np.random.default_rng(2)
    means = np.linspace(0.80, 0.86, settings)
    draws, held = np.arange(1, settings + 1), 0
    truth = (means[:, None] + generator.normal(scale=0.01, size=(settings, 1000))).ravel()
    for _ in range(200):
        values = (means[:, None] + generator.normal(scale=0.01, size=(settings, 2))).ravel()
        low, high, _ = tuning.band(values, draws, 0.95)
        clipped = np.clip(truth, values.min(), values.max())
        curve = EmpiricalDistribution(clipped).v_tuning_curve(draws)
        held += bool((low <= curve + 1e-12).all() and (curve <= high + 1e-12).all())
    assert held >= 180


def test_where_more_runs_no_longer_matter():
    curve = pd.DataFrame({"draws": [1, 2, 3, 4], "expected": [0.80, 0.86, 0.88, 0.89]})
    assert tuning.enough_draws(curve, 0.02)["draws"] == 3
    assert tuning.enough_draws(curve, 0.001)["draws"] == 4
    assert tuning.enough_draws(curve, None) is None


# Section and figure ---------------------------------------------------------------------------------------------------


def study(**options) -> dict[str, pd.DataFrame]:
    metrics = simulate_metrics(FACTORS, **({"seeds": (0, 1), "datasets": ("amazon",), "diverged": 0} | options))
    found = readings.FittedStudy.of(metrics, plan_of(FACTORS, list(LABELS)))
    return as_read(tuning.tuning_rows(found) | {"fits": readings.fit_study(found)["fits"]})


@pytest.mark.parametrize(
    "options",
    [{}, {"seeds": (0,)}, {"datasets": ("amazon", "tweets", "nyt"), "diverged": 2}],
    ids=["two seeds", "one seed", "three data sets"],
)
def test_a_study_has_a_section_and_a_figure(options):
    tables = study(**options)
    found = tuning_section.section(tables, LABELS, list(FACTORS), 0.95)
    (group,) = found["groups"]
    assert len(group["sentences"]) == 2 * len(options.get("datasets", [1]))
    texts = " ".join([found["finding"], *(part["text"] for part in group["sentences"])])
    assert not MISSING.search(texts)
    assert tables["tuning_curves"]["expected_again"].isna().all() == ("seeds" in options)
    chart = tuning_chart.tuning_chart(tables["tuning_curves"], tables["fits"])
    assert ("tweets" in drawing.draw(chart).svg) == ("datasets" in options)
    assert 27 in numbers(tuning_chart.caption(tables["tuning_curves"], 0.95))


def test_a_study_without_metrics_says_so():
    tables = study()
    empty = {"tuning_curves": fitting(TABLES["tuning_curves"].schema, []), "fits": tables["fits"]}
    assert tuning_section.section(empty, LABELS, [], 0.95)["groups"] == []
    stopped = [{"response": "accuracy", "dataset": "a", "reason": "fewer than two finished runs"}]
    tables["tuning_curves"] = fitting(TABLES["tuning_curves"].schema, stopped)
    found = tuning_section.section(tables, LABELS, [], 0.95)
    (group,) = found["groups"]
    assert stopped[0]["reason"] in group["sentences"][0]["text"]
    assert not group["figures"]
    tuning_chart.tuning_chart(tables["tuning_curves"], tables["fits"]).to_dict()
