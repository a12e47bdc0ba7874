"""Gains and losses against statsmodels, intervals by simulation, and the hostile cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from tests.calibration import paired as simulation

import report_fixtures as fx
from finevar.analyses import paired
from finevar.analyses.baselines import NO_SEEDS
from finevar.report.sections import paired as paired_section
from finevar.results.predictions import Predictions
from finevar.statistics.noise import noise_at
from finevar.statistics.regression import fit_surface
from finevar.study.coding import terms
from prediction_fixtures import compared
from prose import MISSING, numbers

LABELS = {"accuracy": "accuracy", "loss": "loss"}


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, pd.DataFrame]:
    """Return the tables of a study of two data sets."""
    return whole(compared(tmp_path_factory.mktemp("study"), datasets=("amazon", "tweets")))


def whole(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return a study's tables with those of the fitted surfaces against the baselines."""
    return tables | fx.as_read(
        fx.compare_study(fx.FittedStudy.of(tables["metrics"], fx.plan_of(fx.FACTORS, ["accuracy", "loss"])))
    )


# Runs -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (8, 2), (5, 5), (30, 61), (400, 380)])
def test_mcnemars_p_is_that_of_statsmodels(gained, lost):
    expected = mcnemar([[100, gained], [lost, 50]], exact=True).pvalue
    assert paired.mcnemar(np.array([gained]), np.array([lost]))[0] == pytest.approx(expected, rel=1e-9)


def test_gains_and_losses_by_hand():
    # Labels 0 0 1 1; the baseline is right on the first and the third; the run on the second, third and fourth.
    labels = np.array([0, 0, 1, 1])
    told = np.array([[0, 1, 1, 0], [1, 0, 1, 1]])
    found = {"d": Predictions(np.arange(4), labels, np.eye(2, dtype=np.float32)[told])}
    models = pd.DataFrame(
        [
            {"role": "baseline", "run_id": "b", "dataset": "d", "point_id": "baseline", "seed": np.nan},
            {"role": "run", "run_id": "r", "dataset": "d", "point_id": "p", "seed": 3},
        ]
    )
    (row,) = paired.paired_rows(models, found)
    assert (row["gained"], row["lost"], row["sentences"], row["seed"]) == (2, 1, 4, 3)
    assert row["p_value"] == row["p_adjusted"] == 1.0
    assert row["family"] == "1 McNemar test, Benjamini-Hochberg"


@pytest.mark.parametrize("own", [{}, {"baseline_id": None}])
def test_a_data_set_without_a_finished_run_has_nothing_paired(own):
    who = pd.DataFrame([{"role": "baseline", "run_id": "b", "dataset": "d", "point_id": "b", "seed": None} | own])
    found = {"d": Predictions(np.arange(2), np.array([0, 1]), np.eye(2, dtype=np.float32)[None])}
    assert paired.paired_rows(who, found) == []
    names, (differences,) = paired.point_differences(who, found, "accuracy")
    assert (names, differences.shape) == ([], (0, 2))


def test_gains_less_losses_are_the_difference_of_accuracies(tables):
    metrics = tables["metrics"].set_index("run_id")
    rows = tables["paired"].set_index("run_id")
    net = (rows["gained"] - rows["lost"]) / rows["sentences"]
    expected = (metrics["accuracy"] - metrics["baseline_accuracy"]).astype(float)
    pd.testing.assert_series_equal(net, expected, check_names=False, check_like=True)
    adjusted = multipletests(rows["p_value"], method="fdr_bh")[1]
    np.testing.assert_allclose(rows["p_adjusted"], adjusted)


# Intervals over sentences ---------------------------------------------------------------------------------------------


def test_points_hold_the_means_over_seeds(tables):
    rows = tables["paired_points"].set_index(["response", "dataset", "point_id"])["estimate"]
    assert len(rows) == 2 * 2 * 27
    for response in ("accuracy", "loss"):
        gaps = tables["metrics"][response] - tables["metrics"][f"baseline_{response}"]
        means = gaps.astype(float).groupby([tables["metrics"]["dataset"], tables["metrics"]["point_id"]]).mean()
        pd.testing.assert_series_equal(rows[response], means, check_names=False, check_like=True)


def test_with_normal_differences_the_intervals_are_those_of_t_and_its_maximum():
    """Of many sentences and independent points, |t| is normal and the largest of ten has a quantile by powers."""
    values = np.random.default_rng(0).normal(size=(10, 2000))
    rows = pd.DataFrame(paired.bootstrap_bands([values[:5], values[5:]], 0.95))
    reach = values.std(axis=1, ddof=1) / np.sqrt(2000)
    np.testing.assert_allclose((rows["ci_high"] - rows["estimate"]) / reach, stats.norm.ppf(0.975), rtol=0.08)
    at_once = stats.norm.ppf((1 + 0.95 ** (1 / 10)) / 2)
    np.testing.assert_allclose((rows["simultaneous_high"] - rows["estimate"]) / reach, at_once, rtol=0.08)


@pytest.mark.parametrize("draw", [simulation.accuracies, simulation.losses])
def test_intervals_over_sentences_hold_the_truth(draw, monkeypatch):
    monkeypatch.setattr(paired, "DRAWS", 400)
    generator = np.random.default_rng(5)
    held = [simulation.covered(*draw(150, generator)) for _ in range(200)]
    alone, at_once = np.mean(held, axis=0)
    error = np.sqrt(0.05 * 0.95 / 200)
    assert alone == pytest.approx(0.95, abs=3 * error)
    assert at_once == pytest.approx(0.95, abs=3 * error)


def test_single_intervals_would_not_hold_all_at_once(monkeypatch):
    """The counting sees an interval that is too short."""
    monkeypatch.setattr(paired, "DRAWS", 400)
    generator = np.random.default_rng(5)
    held = []
    for _ in range(100):
        differences = generator.normal(size=(20, 100))
        rows = pd.DataFrame(paired.bootstrap_bands([differences], 0.95))
        held.append(((rows["ci_low"] < 0) & (rows["ci_high"] > 0)).all())
    assert np.mean(held) == pytest.approx(0.95**20, abs=3 * np.sqrt(0.36 * 0.64 / 100))


def test_models_that_hardly_differ_have_a_reason_instead_of_an_interval():
    values = np.zeros((2, 100))
    values[0, :50] = np.random.default_rng(0).choice([-1.0, 1.0], size=50)
    values[1, :3] = 1
    told, alike = paired.bootstrap_bands([values], 0.95)
    assert told["ci_low"] < told["estimate"] < told["ci_high"]
    assert alike == {"estimate": 0.03, "reason": paired.TOO_ALIKE}


# The chance to win ----------------------------------------------------------------------------------------------------


def test_the_interval_of_the_chance_inverts_the_noncentral_t():
    row = paired.winning_chance(0.013, 0.01**2, 26.0, 2, 0.95)
    t = np.sqrt(2) * 1.3
    assert row["probability"] == pytest.approx(stats.norm.cdf(1.3))
    for name, tail in (("probability_low", 0.975), ("probability_high", 0.025)):
        noncentrality = np.sqrt(2) * stats.norm.ppf(row[name])
        assert stats.nct.cdf(t, 26, noncentrality) == pytest.approx(tail, abs=1e-6)


def test_the_interval_of_the_chance_holds_the_truth():
    """Cells' means and the pooled variance of normal noise have the distributions that the interval supposes."""
    draw = np.random.default_rng(8)
    delta, held, studies = 0.8, 0, 2000
    for mean, square in zip(draw.normal(delta, np.sqrt(1 / 3), studies), draw.chisquare(20, studies) / 20, strict=True):
        row = paired.winning_chance(mean, square, 20.0, 3, 0.95)
        held += row["probability_low"] <= special.ndtr(delta) <= row["probability_high"]
    assert held / studies == pytest.approx(0.95, abs=3 * np.sqrt(0.05 * 0.95 / studies))


def test_the_chance_is_about_seeds_that_shift_all_their_runs_too():
    generator = np.random.default_rng(9)
    held = np.mean([simulation.chance_covered(6, 1.0, generator) for _ in range(300)])
    assert held > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 300)


def test_the_chance_is_the_gap_in_units_of_the_noise_at_the_point(tables):
    surface = fit_surface(tables["metrics"], "loss", fx.CODINGS, terms(list(fx.CODINGS), "quadratic"), 0.95)
    rows = tables["paired_points"].query("response == 'loss'").set_index(["dataset", "point_id"])
    assert ((rows["probability"] > 0.5) == (rows["estimate"] < 0)).all(), "a lower loss is better"
    assert rows["probability"].between(rows["probability_low"], rows["probability_high"]).all()
    assert surface.has_own_noise, "hot logits are noisier"
    first = tables["metrics"].iloc[0]
    sd = noise_at(surface, [first])[0][0] ** 0.5
    row = rows.loc[(first["dataset"], first["point_id"])]
    assert row["probability"] == pytest.approx(stats.norm.cdf(-row["estimate"] / sd))


def test_without_a_second_seed_there_is_a_reason(tmp_path):
    tables = whole(compared(tmp_path, seeds=(0,)))
    rows = tables["paired_points"]
    assert rows["probability"].isna().all()
    assert (rows["reason"] == NO_SEEDS).all()
    assert rows["simultaneous_low"].notna().all(), "sentences are there with one seed"
    assert NO_SEEDS in report_of(tables)


def test_diverged_runs_are_left_out(tmp_path):
    tables = whole(compared(tmp_path, diverged=1))
    assert len(tables["paired"]) == 53
    rows = tables["paired_points"]
    assert sorted(rows["seeds"].unique()) == [1, 2]
    assert rows["probability"].notna().all(), "every cell has a run"
    report_of(tables)


# All points at once, by the surface -----------------------------------------------------------------------------------


def test_simultaneous_differences_are_wider_and_share_their_centre(tables):
    rows = tables["against_baseline"]
    nothing = rows["reason"].notna()  # to be said of B1's own setting, which would be compared with itself
    assert set(rows.loc[nothing, "baseline"]) == {"B1"}
    assert rows.loc[nothing, "point_id"].nunique() == 1
    rows = rows[~nothing]
    single, wide = rows["ci_high"] - rows["ci_low"], rows["simultaneous_high"] - rows["simultaneous_low"]
    assert (wide > single).all()
    assert (wide < 3 * single).all()
    np.testing.assert_allclose(rows["simultaneous_high"] + rows["simultaneous_low"], 2 * rows["estimate"], atol=1e-12)


# Words ----------------------------------------------------------------------------------------------------------------


def report_of(tables: dict[str, pd.DataFrame]) -> str:
    """Return the section's sentences."""
    found = paired_section.section(tables, LABELS, list(fx.FACTORS), 0.95)
    sentences = [sentence["text"] for part in found["groups"] for sentence in part["sentences"]]
    told = " ".join([found["finding"], *sentences])
    assert not MISSING.search(told)
    return told


def test_the_section_counts_what_the_tables_hold(tables):
    told = report_of(tables)
    rows = tables["paired"]
    better = ((rows["p_adjusted"] < 0.05) & (rows["gained"] > rows["lost"])).sum()
    assert numbers(told)[:2] == [108, better]
    points = tables["paired_points"].query("response == 'loss'")
    lower, higher = (points["simultaneous_high"] < 0).sum(), (points["simultaneous_low"] > 0).sum()
    assert f"of 54 settings and data sets, {lower} better and {higher} worse" in told
    assert "Loss against B0" in told


def test_nothing_paired_is_said(tables):
    none = {name: table.head(0) for name, table in tables.items()}
    assert paired_section.section(none, LABELS, list(fx.FACTORS), 0.95)["finding"] == paired_section.NOTHING_PAIRED
