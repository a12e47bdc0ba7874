"""Several models, each against its own baselines: differences by hand, and what needs one baseline left out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

import report_fixtures as fx
from finevar.analyses import baselines, cautions, claims, errors, paired
from finevar.analyses.fits import FittedStudy, baseline_value, fit_study
from finevar.figures.tradeoffs import gained
from finevar.reasons import Caution, Stop
from finevar.report.explorer import baseline_of
from finevar.report.sections.ranking import baseline_mean
from finevar.report.snippets import as_yaml
from finevar.results.predictions import Predictions, own_baselines
from finevar.statistics.suspects import without_suspects

RATES = {2: [2.5e-5, 1e-4], 3: [2.5e-5, 5e-5, 1e-4]}
FROZEN = {"a": 0.80, "b": 0.60}  # accuracy of each model's baseline
SHIFT = {"a": 0.0, "b": 0.05}


def factors(rates: int) -> dict[str, dict]:
    return {"model": {"levels": ["a", "b"]}, "learning_rate": {"levels": RATES[rates], "coding": "log2"}}


def simulated(seeds: int, rates: int = 2) -> pd.DataFrame:
    """Return a study of two models at some rates, the lowest one the baseline's."""
    study = {"learning_rate": factors(rates)["learning_rate"]}
    runs = fx.simulate_metrics(study, range(2 * seeds), ("amazon",), 0)
    runs["model"] = np.where(runs["seed"] < seeds, "a", "b")
    runs["point_id"] = runs["model"] + " " + runs["point_id"]
    runs["seed"] %= seeds
    runs["accuracy"] += runs["model"].map(SHIFT)
    for response in ("accuracy", "f1", "loss"):
        runs[f"baseline_{response}"] = runs["model"].map(FROZEN)
    runs["baseline_id"] = "of " + runs["model"]
    runs["is_own_baseline_point"] = runs["learning_rate"] == 2.5e-5
    runs["is_baseline_point"] = runs["is_own_baseline_point"] & (runs["model"] == "a")
    return runs


def fitted(metrics: pd.DataFrame, outcomes=None) -> FittedStudy:
    codings = fx.codings_of(factors(metrics["learning_rate"].nunique()))
    plan = fx.Plan(codings, {"model": "a", "learning_rate": 2.5e-5}, ["accuracy"], "interactions", 0.95)
    return FittedStudy.of(metrics, plan, *([outcomes] if outcomes else []))


def against(study: FittedStudy, name: str) -> pd.DataFrame:
    rows = pd.DataFrame(baselines.against_baseline_rows(study.surfaces[0]))
    return rows[rows["baseline"] == name]


def test_each_setting_is_set_against_its_own_models_frozen_baseline():
    """Of a saturated surface: the setting's mean minus that model's figure, by hand; bounds are that model's, too."""
    metrics = simulated(4)
    rows = against(fitted(metrics), "B0").set_index("point_id")["estimate"]
    for (model, point), own in metrics.groupby(["model", "point_id"]):
        assert rows[point] == pytest.approx(own["accuracy"].mean() - FROZEN[model], abs=1e-12)


def test_b1_is_subtracted_model_by_model_and_seed_by_seed():
    """Estimate, error and interval are those of a t test of the seeds' own gaps, within each model."""
    metrics = simulated(5, rates=3)  # without B1's own runs, as many settings as parameters
    metrics["accuracy"] -= 0.3  # far from its bounds
    rows = against(fitted(metrics), "B1").set_index("point_id")
    by_seed = metrics.set_index(["point_id", "seed"])["accuracy"]
    own = metrics[metrics["is_own_baseline_point"]].drop_duplicates("model").set_index("model")["point_id"]
    others = metrics[~metrics["is_own_baseline_point"]].drop_duplicates("point_id")
    assert len(others) == 4
    for model, point in zip(others["model"], others["point_id"], strict=True):
        gaps = (by_seed[point] - by_seed[own[model]]).to_numpy()
        row, interval = rows.loc[point], stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
        assert (row["estimate"], row["std_error"]) == pytest.approx((gaps.mean(), stats.sem(gaps)), rel=1e-9)
        assert [row["ci_low"], row["ci_high"]] == pytest.approx([interval.low, interval.high], rel=1e-6)


def test_with_few_seeds_there_is_no_b1():
    assert against(fitted(simulated(3)), "B1")["reason"].tolist() == [baselines.FEW_TWINS]
    assert against(fitted(simulated(3)), "B0")["estimate"].notna().all()


def test_sentences_that_are_hard_for_a_models_baseline_too_cancel():
    """Each model finds sentences of its own hard, as its baseline does: none of that is left in the difference."""
    metrics = simulated(5)
    hard = dict(zip("ab", np.random.default_rng(3).normal(size=(2, 200)), strict=True))
    hard = {model: 0.1 * (each - each.mean()) for model, each in hard.items()}

    def outcomes(runs: pd.DataFrame, response: str):
        own = np.stack([hard[model] for model in runs["model"]])
        frozen = own + runs["model"].map(FROZEN).to_numpy()[:, None]
        return {"amazon": runs[response].to_numpy()[:, None] + own}, {"amazon": frozen}

    found, alone = (against(fitted(metrics, known), "B0")["std_error"] for known in (outcomes, None))
    np.testing.assert_allclose(found, alone, rtol=1e-6)


def test_a_suspect_run_leaves_with_its_own_baselines_sentences(monkeypatch):
    monkeypatch.setattr("finevar.statistics.suspects.suspects", lambda surface: np.arange(len(surface.runs)) == 3)
    metrics = simulated(6)
    each = np.arange(len(metrics))[:, None] + np.zeros(7)
    surface = without_suspects(fitted(metrics, lambda runs, response: ({"amazon": each}, {"amazon": each})).surfaces[0])
    assert len(surface.runs) == len(metrics) - 1
    assert surface.against_frozen()["amazon"].tolist() == np.zeros((len(metrics) - 1, 7)).tolist()


def test_what_needs_one_baseline_is_left_out_by_name():
    study = fitted(simulated(4, rates=3))
    tables = fit_study(study)
    relative = next(row for row in tables["fits"] if row["framework"] == "relative")
    assert (relative["gate_code"], relative["baseline_value"]) == (Stop.OWN_BASELINES, pytest.approx(0.7))
    assert {row["framework"] for row in tables["coefficients"]} == {"absolute", "matched"}
    matched = baselines.matched_rows(study.surfaces[0])
    assert [row.get("reason") for row in matched if "ancova" in row["analysis"]] == [baselines.OWN_BASELINES] * 2
    claim = {"term": "learning_rate", "response": "accuracy", "framework": "relative"}
    assert claims.untested_reason(claim, study).code == Stop.OWN_BASELINES


def test_a_baselines_value_is_the_mean_over_models():
    assert baseline_value(simulated(2), "accuracy") == pytest.approx(0.7)


def test_the_explorer_has_each_models_baseline_and_of_one_model_its_own():
    metrics = simulated(2)
    assert baseline_of(metrics, "accuracy", fx.codings_of(factors(2))) == [0.8, 0.6]
    one = metrics[metrics["model"] == "b"].drop(columns="baseline_id")
    assert baseline_of(one, "accuracy", {}) == 0.6


def test_a_setting_is_copied_with_its_model_beside_the_training():
    assert yaml.safe_load(as_yaml({"model": "a", "epochs": 2.0})) == {"model": "a", "training": {"epochs": 2}}


# Sentence by sentence -------------------------------------------------------------------------------------------------

LABELS = np.array([0, 0, 1, 1])
SAID = {"of a": [0, 1, 1, 0], "of b": [1, 1, 1, 1], "run a": [0, 0, 1, 1], "run b": [1, 1, 0, 1]}


@pytest.fixture
def models() -> tuple[pd.DataFrame, dict[str, Predictions]]:
    """Return the baselines of two models and a run of each, with what they say of four sentences."""
    rows = [
        {"role": role, "run_id": name, "dataset": "d", "point_id": name, "seed": 0, "baseline_id": f"of {name[-1]}"}
        for name, role in zip(SAID, ("baseline", "baseline", "run", "run"), strict=True)
    ]
    found = Predictions(np.arange(4), LABELS, np.eye(2, dtype=np.float32)[np.array([*SAID.values()])])
    return pd.DataFrame(rows), {"d": found}


def test_gains_and_losses_are_against_the_own_models_baseline(models):
    rows = {row["run_id"]: (row["gained"], row["lost"]) for row in paired.paired_rows(*models)}
    assert rows == {"run a": (2, 0), "run b": (0, 1)}


def test_broken_and_mended_are_against_the_own_models_baseline(models):
    tables = errors.error_rows(*models, {}, 0)
    counts = {row["point_id"]: (row["broken"], row["mended"]) for row in tables["sentence_counts"]}
    assert (counts["run a"], counts["run b"]) == ((0, 2), (1, 0))
    assert {row["point_id"] for row in tables["classes"]} == {*SAID}


def test_of_one_model_the_only_baseline_is_everyones():
    runs = pd.DataFrame({"run_id": ["x", "y"]})
    assert own_baselines(runs, ["b"]).tolist() == [0, 0]
    runs["baseline_id"] = ["c", "b"]
    assert own_baselines(runs, ["b", "c"]).tolist() == [1, 0]


def test_a_recommended_setting_is_held_against_its_models_baseline_on_all_data_sets():
    """By hand: its model's baseline has 0.60 and 0.90, so 0.75 on average, which a mean of 0.70 is below."""
    one = simulated(4)
    other = one.assign(dataset="movies", point_id=one["point_id"] + " movies")
    other["baseline_accuracy"] += 0.3
    study = fitted(pd.concat([one, other], ignore_index=True))
    point = one.loc[one["model"] == "b", "point_id"].iloc[0]
    ranked = {"accuracy": pd.DataFrame({"rank": [1], "mean": [0.7]}, [point])}
    standing = SimpleNamespace(study=study, recommended=point, primary="accuracy", ranked=ranked)
    (row,) = cautions.metric_rows(standing)
    assert row["code"] == Caution.WORSE_THAN_BASELINE_IN
    assert row["limit"] == pytest.approx(0.75)


def test_a_figures_gain_is_on_the_baseline_of_the_settings_own_model():
    shown = pd.DataFrame({"model": ["b", "a"], "accuracy": [0.75, 0.75]})
    assert gained(shown, simulated(2), "accuracy").tolist() == pytest.approx([0.15, -0.05])
    alone = simulated(2).query("model == 'a'").drop(columns=["model", "baseline_id"])
    assert gained(shown[["accuracy"]], alone, "accuracy").tolist() == pytest.approx([-0.05, -0.05])


def test_the_rankings_line_is_no_mean_of_several_models_baselines():
    metrics = simulated(2)
    own = metrics.loc[metrics["is_baseline_point"], "accuracy"]
    assert baseline_mean(metrics, "accuracy") == pytest.approx(sum(own) / 2)
    assert baseline_mean(metrics.assign(is_baseline_point=False), "accuracy") is None
