"""The effect of each factor: against closed forms on balanced designs, and verdicts on studies of known truth."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_regression import BASELINE, CODINGS, study
from tests.calibration import truths, verdicts
from tests.calibration.truths import Cell

from finevar.analyses.effects import ALL_DATASETS
from finevar.analyses.fits import FittedStudy, Plan
from finevar.reasons import Undecided
from finevar.statistics import families
from finevar.statistics.regression import NEW_SENTENCES, THESE_SENTENCES
from finevar.study.coding import Coding

ONE = {"epochs": Coding((1, 3), "identity")}


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Enough for a quantile to within 2 %."""
    monkeypatch.setattr(families, "DRAWS", 20_000)


def one_factor(values: np.ndarray) -> pd.DataFrame:
    """Return the runs of one factor at two levels, with values [data sets, seeds, levels]."""
    index = pd.MultiIndex.from_product([["amazon", "tweets"][: len(values)], range(values.shape[1]), [1, 3]])
    runs = pd.DataFrame({"loss": values.ravel()}, index).rename_axis(["dataset", "seed", "epochs"]).reset_index()
    names = [f"run{number}" for number in range(len(runs))]
    runs = runs.assign(run_id=names, trajectory_id=names, status="ok", dtype_used="float32", baseline_loss=0.4)
    return runs.assign(point_id=runs["epochs"].astype(str))


def effects(
    metrics: pd.DataFrame, codings=CODINGS, order="quadratic", responses=("loss",), chosen=None
) -> pd.DataFrame:
    plan = Plan(codings, BASELINE, responses, order, 0.95, smallest_effect=chosen or {})
    return pd.DataFrame(FittedStudy.of(metrics, plan).effects)


# Closed forms ---------------------------------------------------------------------------------------------------------


def test_an_effect_of_two_levels_is_a_t_test_of_the_seeds_own_changes():
    values = np.random.default_rng(1).normal([0.40, 0.43], 0.02, (1, 6, 2))
    (row,) = effects(one_factor(values), ONE, "first_order").to_dict("records")
    changes = np.diff(values[0], axis=1)[:, 0]
    expected = stats.ttest_1samp(changes, 0)
    low, high = expected.confidence_interval(0.95)
    assert (row["change"], row["ci_low"], row["ci_high"]) == pytest.approx((changes.mean(), low, high), rel=1e-9)
    assert (row["largest"], row["largest_low"], row["largest_high"]) == pytest.approx(
        (changes.mean(), low, high), rel=0.04
    )
    assert row["p_value"] == pytest.approx(expected.pvalue, rel=0.1)
    assert (row["simple_effects"], row["largest_from"], row["largest_to"], row["largest_at"]) == (1, 1, 3, "")
    assert row["per_unit"] == pytest.approx(changes.mean() / 2), "two epochs"
    assert row["population"] == THESE_SENTENCES


def test_data_sets_are_compared_and_read_by_the_seeds_own_changes():
    """Opposite effects: each data set's t interval, and the t test of the difference between them, seed by seed."""
    values = np.random.default_rng(3).normal([[[0.40, 0.46]], [[0.46, 0.40]]], 0.01, (2, 5, 2))
    table = effects(one_factor(values), ONE, "first_order").set_index("dataset")
    changes = np.diff(values, axis=2)[..., 0]
    for number, name in enumerate(("amazon", "tweets")):
        expected = stats.ttest_1samp(changes[number], 0)
        row = table.loc[name]
        assert (row["change"], row["ci_low"]) == pytest.approx(
            (changes[number].mean(), expected.confidence_interval(0.95).low), rel=1e-9
        )
        assert row["verdict"] == "effect"
    pooled = table.loc[ALL_DATASETS]
    assert pooled["change"] == pytest.approx(changes.mean(), abs=1e-12)
    assert pooled["p_datasets"] == pytest.approx(stats.ttest_1samp(changes[1] - changes[0], 0).pvalue, abs=1e-4)
    assert pd.isna(pooled["verdict"])
    assert pooled["reason_code"] == Undecided.DATASETS_DIFFER


def test_data_sets_that_agree_have_one_verdict():
    values = np.random.default_rng(3).normal([0.40, 0.46], 0.01, (2, 5, 2))
    (row,) = effects(one_factor(values), ONE, "first_order").to_dict("records")
    changes = np.diff(values, axis=2)[..., 0]
    assert row["p_datasets"] == pytest.approx(stats.ttest_1samp(changes[1] - changes[0], 0).pvalue, abs=0.02)
    own = stats.ttest_1samp(changes.mean(0), 0).confidence_interval(0.95)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((own.low, own.high), rel=1e-9)
    assert (row["verdict"], row["datasets_differ"]) == ("effect", False)


def test_seeds_that_change_slopes_are_an_f_test_within_cells():
    """Of 20 runs, 4 cells, 4 shifts and 4 turns of seeds leave 8 degrees of freedom; the design is balanced."""
    values = np.random.default_rng(4).normal(0.4, 0.01, (2, 5, 2))
    row = effects(one_factor(values), ONE, "first_order").iloc[0]
    left = values - values.mean(1, keepdims=True)
    left -= left.mean(axis=(0, 2), keepdims=True)
    turns = np.array([-1.0, 1.0]) * (np.array([-1.0, 1.0]) * left).mean(axis=(0, 2), keepdims=True)
    own, rest = 2 * (turns**2).sum(), ((left - turns) ** 2).sum()  # each turn in both data sets
    assert row["p_seeds"] == pytest.approx(stats.f.sf(own / 4 / (rest / 8), 4, 8), rel=1e-6)


# The table ------------------------------------------------------------------------------------------------------------


def test_effects_find_a_known_surface_and_where_it_is_steepest():
    """Loss is 0.1 x + 0.03 x^2 + 0.02 x epochs: from -1 to 1 it changes by 0.2 + 0.04 epochs, 0.24 at 3 epochs."""
    rows = effects(study(seeds=5, noise=1e-5)).set_index("factor")
    rate = rows.loc["learning_rate"]
    assert (rate["change"], rate["per_unit"], rate["largest"]) == pytest.approx((0.2, 0.05, 0.24), abs=1e-3)
    assert rate["unit"] == "per doubling of learning_rate"
    for where, level in (("from", 2.5e-5), ("to", 4e-4)):
        assert (rate[f"{where}_level"], rate[f"largest_{where}"]) == pytest.approx((level, level))
    assert "epochs = 3" in rate["largest_at"]
    assert set(rows["simple_effects"]) == {27}, "three pairs of levels at nine settings of the others"
    assert list(rows["verdict"]) == ["effect", "negligible", "effect"]


def test_p_values_are_adjusted_over_factors_and_responses():
    table = effects(study(seeds=4, noise=0.05), responses=("loss", "accuracy"))
    assert set(table["family"]) == {"6 effects, Benjamini-Hochberg"}
    np.testing.assert_allclose(table["p_adjusted"], stats.false_discovery_control(table["p_value"]), rtol=1e-12)


def test_the_smallest_effect_is_the_users_and_not_the_noises():
    """By default 0.01 of accuracy and 5 % of the baseline's loss of 0.35."""
    for noise in (0.001, 0.05):
        table = (
            effects(study(noise=noise), responses=("loss", "accuracy")).groupby("response")["smallest_effect"].first()
        )
        assert dict(table) == pytest.approx({"accuracy": 0.01, "loss": 0.0175})
    assert set(effects(study(), chosen={"loss": 0.3})["smallest_effect"]) == {0.3}


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [(0.3, {"small", "negligible"}), (0.05, {"effect", "negligible"}), (1e-6, {"effect", "undecided"})],
)
def test_an_effect_below_the_smallest_of_interest_is_too_small_to_matter(chosen, expected):
    table = effects(study(seeds=5, noise=0.003), chosen={"loss": chosen}).set_index("factor")
    assert set(table["verdict"]) == expected
    assert table.loc["batch_size", "verdict"] in ("negligible", "undecided"), "its true effect is zero"


def test_what_would_decide_an_effect():
    """Of seeds that turn the slopes: more seeds; of sentences that differ: more sentences."""
    turned = study(seeds=4)
    turned["loss"] += np.array([-0.03, 0.02, 0.04, -0.05])[turned["seed"]] * CODINGS["batch_size"].coded(
        turned["batch_size"]
    )
    row = effects(turned).set_index("factor").loc["batch_size"]
    assert (row["verdict"], row["reason_code"], row["seed_share"]) == ("undecided", Undecided.MORE_SEEDS, 1.0)
    assert row["p_seeds"] < 1e-6
    assert not row["supposes_slopes"], "the errors of four seeds hold it"
    found = truths.simulate(Cell("clean", False, 8), 1, sentences=200)
    plan = Plan(truths.CODINGS, truths.BASELINE, ["accuracy"], "quadratic", 0.95, smallest_effect=truths.SMALLEST)
    table = pd.DataFrame(FittedStudy.of(found.runs, plan, partial(verdicts.outcomes, found)).effects)
    assert set(table["population"]) == {NEW_SENTENCES}
    open_rows = table[table["verdict"] == "undecided"]
    assert len(open_rows)
    assert set(open_rows["reason_code"]) == {Undecided.MORE_SENTENCES}
    assert (open_rows["seed_share"] < 0.5).all()
