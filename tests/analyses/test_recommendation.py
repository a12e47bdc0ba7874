"""The rule that recommends a setting, case by case, and what it says to check and to run next."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_failed_settings import fitted
from test_regression import CODINGS, study

from finevar.analyses.baselines import against_baseline_rows
from finevar.analyses.cautions import mistaken_rows, next_level, recommend
from finevar.analyses.recommendation import Fault, Standing, primary_of, recommendation_rows, stand
from finevar.reasons import Caution, Excluded, Head, Next, Primary
from finevar.study.coding import Coding
from finevar.words.recommendation import next_sentence

pytestmark = pytest.mark.usefixtures("fewer_draws")

BAND, BASE = Fault(Excluded.OUTSIDE_BAND, "loss"), Fault(Excluded.WORSE_THAN_BASELINE, "loss")
PRIMARY, DIVERGED = Fault(Excluded.WORSE_THAN_BASELINE, "accuracy"), Fault(Excluded.DIVERGED)


def standing(faults: dict[str, list[Fault]] | None = None, **columns: list) -> Standing:
    """Return four settings, of which the fourth is significantly worse; the second has the lowest loss."""
    accuracy = {"mean": [0.90, 0.89, 0.89, 0.80], "worse": [False, False, False, True], "rank": [1, 2, 3, 4]}
    accuracy["difference"] = [0.0, -0.01, -0.01, -0.1]
    loss = {"mean": columns.get("loss", [0.4, 0.3, 0.35, 0.2])}
    settings = pd.DataFrame({"seconds": columns.get("seconds", [4.0, 3.0, 2.0, 1.0])}, index=list("abcd"))
    ranked = {name: pd.DataFrame(table, index=list("abcd")) for name, table in (("accuracy", accuracy), ("loss", loss))}
    found = dict.fromkeys("abcd", ()) | (faults or {})
    return Standing(SimpleNamespace(), settings, ranked, found, "accuracy", Primary.DEFAULT)


@pytest.mark.parametrize(
    ("faults", "expected", "overlooked"),
    [
        ({}, "b", None),
        ({"b": [DIVERGED]}, "c", None),
        ({"b": [BAND]}, "c", None),
        ({"b": [BASE], "c": [Fault(Excluded.BEHIND, "accuracy")]}, "a", None),
        ({"a": [BAND], "b": [BAND], "c": [BASE]}, "b", Excluded.OUTSIDE_BAND),
        ({"a": [BASE], "b": [BASE, BAND], "c": [DIVERGED]}, "b", Excluded.WORSE_THAN_BASELINE),
        ({"a": [PRIMARY], "b": [PRIMARY], "c": [DIVERGED]}, None, Excluded.WORSE_THAN_BASELINE),
        ({"a": [DIVERGED], "b": [DIVERGED], "c": [DIVERGED]}, None, Excluded.DIVERGED),
        ({"d": [DIVERGED]}, "b", None),
    ],
    ids=["loss", "diverged", "band", "behind", "no band left", "no baseline left", "worse", "failed", "elsewhere"],
)
def test_faults_exclude_and_the_least_is_overlooked_where_nothing_is_left(faults, expected, overlooked):
    found = standing(faults)
    assert found.recommended == expected
    assert found.candidates[1] == overlooked


def test_metrics_decide_in_order_and_then_the_time():
    assert standing().decided_by == "loss"
    alike = standing(loss=[0.3, 0.3, 0.3, 0.2])
    assert (alike.recommended, alike.decided_by) == ("a", "accuracy")
    alike.ranked["accuracy"].loc["b", "mean"] = alike.ranked["accuracy"].loc["c", "mean"] = 0.9
    again = standing(loss=[0.3, 0.3, 0.3, 0.2])
    again.ranked["accuracy"]["mean"] = 0.9
    assert (again.recommended, again.decided_by) == ("c", "seconds")
    alone = standing({"b": [DIVERGED], "c": [DIVERGED]})
    assert (alone.recommended, alone.decided_by) == ("a", "accuracy")


@pytest.mark.parametrize(
    ("primary", "responses", "rarest", "expected"),
    [
        (None, ["f1", "accuracy"], 0.4, ("accuracy", Primary.DEFAULT)),
        (None, ["accuracy", "f1"], 0.19, ("f1", Primary.RARE_CLASS)),
        (None, ["accuracy"], 0.19, ("accuracy", Primary.DEFAULT)),
        (None, ["mcc", "loss"], None, ("mcc", Primary.DEFAULT)),
        ("loss", ["accuracy", "loss"], 0.1, ("loss", Primary.CHOSEN)),
    ],
)
def test_the_primary_metric_is_the_configs_or_follows_from_the_data(primary, responses, rarest, expected):
    assert primary_of(primary, responses, rarest) == expected


@pytest.mark.parametrize(
    ("factor", "levels", "scale", "level", "expected"),
    [
        ("learning_rate", (1e-5, 1e-4), "log2", 1e-4, 1e-3),
        ("batch_size", (16, 32, 64), "log2", 16, 8),
        ("batch_size", (16, 32, 64), "log2", 32, None),
        ("epochs", (1, 2, 3), "identity", 3, 4),
        ("epochs", (1, 2, 3), "identity", 1, None),
        ("dropout", (0.0, 0.1), "identity", 0.0, None),
    ],
)
def test_a_level_beyond_the_range_keeps_its_step_and_the_settings_bounds(factor, levels, scale, level, expected):
    found = next_level(factor, Coding(levels, scale), level)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    """Return runs of which the loss is lowest at the lowest rate and the fewest epochs, at every batch size."""
    return timed(study(seeds=4, noise=0.002))


def timed(found: pd.DataFrame) -> pd.DataFrame:
    """Return runs with the columns that a recommendation reads besides their metrics."""
    found = found.assign(train_seconds=10.0, eval_examples=400, f1_average="binary")
    return found.assign(head=None, baseline_head=None, chance=np.nan, baseline_chance=np.nan)


def advised(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    found = fitted(runs, "loss", "accuracy")
    tables = recommend(found, found.rows(against_baseline_rows), [], shares={})
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}


def of_code(table: pd.DataFrame, code: str) -> pd.DataFrame:
    return table[table["code"] == code]


def test_the_tables_agree_and_name_the_edge(runs):
    tables = advised(runs)
    roles = tables["recommendation"].set_index("point_id")
    best = tables["recommendation"].iloc[0]
    assert best["role"] == "recommended"
    assert (roles["role"] == "recommended").sum() == 1
    assert set(roles["primary"]) == {"accuracy"}
    candidates = roles.index[roles["role"].isin(["recommended", "tied"])]
    losses = runs.groupby("point_id")["loss"].mean()
    assert best["point_id"] == losses[candidates].idxmin()
    at = runs.drop_duplicates("point_id").set_index("point_id").loc[best["point_id"]]
    edges = of_code(tables["cautions"], Caution.EDGE)
    ends = [name for name, coding in CODINGS.items() if at[name] in (min(coding.levels), max(coding.levels))]
    assert set(edges["factor"]) == set(ends) - {"epochs" if at["epochs"] == 1 else ""}
    extend = of_code(tables["next_runs"], Next.EXTEND)
    assert set(extend["factor"]) == set(edges["factor"])
    assert (extend["runs"] == 4).all()
    assert extend["seconds"].tolist() == pytest.approx([40.0] * len(extend))


def test_failed_runs_next_to_the_recommended_setting_are_named(runs):
    best = advised(runs)["recommendation"].iloc[0]["point_id"]
    levels = runs.drop_duplicates("point_id").set_index("point_id")[list(CODINGS)]
    near = levels.drop(best).sub(levels.loc[best]).abs().sum(axis=1).idxmin()
    broken = runs.copy()
    broken.loc[(runs["point_id"] == near) & (runs["seed"] == 1), "status"] = "diverged"
    tables = advised(broken)
    row = tables["recommendation"].set_index("point_id").loc[near]
    assert (row["role"], row["reason_code"]) == ("excluded", Excluded.DIVERGED)
    assert near in set(of_code(tables["cautions"], Caution.FAILED_NEAR)["detail"])


def test_a_setting_without_any_run_left_has_no_mean(runs):
    broken = runs.copy()
    lost = runs["point_id"].iloc[0]
    broken.loc[runs["point_id"] == lost, "status"] = "collapsed"
    tables = advised(broken)
    assert tables["recommendation"].set_index("point_id").loc[lost, "reason_code"] == Excluded.COLLAPSED
    assert tables["ranking"].set_index("point_id").loc[lost, "mean"].isna().all()


def test_fewer_than_four_seeds_are_a_caution(runs):
    few = advised(runs[runs["seed"] < 2].reset_index(drop=True))["cautions"]
    assert few.set_index("code").loc[Caution.FEW_SEEDS, "count"] == 2


def test_the_baselines_own_settings_are_confirmed_where_the_study_has_not_tried_them(runs):
    found = advised(runs)["next_runs"]
    (tried,) = of_code(found, Next.CONFIRM).to_dict("records")
    (untried,) = of_code(advised(runs.assign(is_baseline_point=False))["next_runs"], Next.CONFIRM).to_dict("records")
    assert "baseline" not in tried["point_ids"].split()
    assert untried["point_ids"].split()[-1] == "baseline"
    assert (untried["runs"], untried["seconds"]) == (16, pytest.approx(160.0))  # four settings, as four seeds


def test_an_undecided_effect_is_to_be_augmented_by_as_many_seeds_as_steins_rule_takes():
    found = fitted(timed(study(seeds=5, noise=0.015)), "loss", "accuracy")
    tables = recommend(found, found.rows(against_baseline_rows), [], shares={})
    (row,) = [row for row in tables["next_runs"] if row["code"] == Next.AUGMENT]
    undecided = [each for each in found.effects if each["response"] == "accuracy" and each["verdict"] == "undecided"]
    own = max(undecided, key=lambda each: max(-each["ci_low"], each["ci_high"]))
    assert (row["factor"], row["response"], row["half_width"]) == (own["factor"], "accuracy", 0.005)
    seeds = np.ceil(5 * ((own["ci_high"] - own["ci_low"]) / 2 / 0.005) ** 2)
    assert (row["seeds"], row["runs"], row["seconds"]) == (
        seeds - 5,
        27 * (seeds - 5),
        pytest.approx(270 * (seeds - 5)),
    )
    assert f'make augment GOAL="{own["factor"]}:accuracy 0.005"' in next_sentence(row | {"point_ids": None}, "accuracy")


def test_nothing_is_to_be_augmented_where_parts_of_the_seed_are_crossed():
    runs = timed(study(seeds=6, noise=0.015))
    codes = []
    for parts in ({}, {"seed_init": runs["seed"] // 3, "seed_order": runs["seed"] % 3}):
        found = fitted(runs.assign(**parts), "loss", "accuracy")
        tables = recommend(found, found.rows(against_baseline_rows), [], shares={})
        codes.append({row["code"] for row in tables["next_runs"]})
    assert [Next.AUGMENT in each for each in codes] == [True, False]


def models(accuracy: list[float], baseline: float = 0.9, head: str = "kept") -> pd.DataFrame:
    """Return runs on 100 sentences whose answers would be right in half of them by chance."""
    found = pd.DataFrame({"accuracy": accuracy, "status": "ok", "dataset": "d", "chance": 0.5, "eval_examples": 100})
    return found.assign(baseline_accuracy=baseline, baseline_chance=0.5, head=head, baseline_head="new")


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (models([0.9, 0.5, 0.40]), []),  # as few as 40 of 100 right are chance, p = 0.03
        (models([0.9, 0.0, 0.2]), [(Caution.BELOW_CHANCE, "runs", 2)]),
        (models([0.9, 0.8], baseline=0.1), [(Caution.BELOW_CHANCE, "baseline", 1)]),
        (models([0.0, 0.1], 0.0), [(Caution.BELOW_CHANCE, "baseline", 1), (Caution.BELOW_CHANCE, "runs", 2)]),
        (models([0.9, 0.8], head=Head.REPLACED), [(Caution.HEAD_REPLACED, "runs", 2)]),
        (models([0.9]).assign(baseline_head=Head.REPLACED), [(Caution.HEAD_REPLACED, "baseline", 1)]),
        (models([0.9], head=Head.NEW), []),
        (models([0.1]).assign(status="collapsed"), [(Caution.BELOW_CHANCE, "runs", 1)]),
        (models([0.1]).assign(status="diverged"), []),
        (models([0.1]).assign(chance=np.nan), []),  # of another version
    ],
)
def test_classes_taken_for_one_another_are_a_caution(runs, expected):
    assert [(row["code"], row.get("detail"), row["count"]) for row in mistaken_rows(runs)] == expected


def test_found_models_recommend_nothing(runs):
    found = fitted(runs, "loss", "accuracy")
    models = replace(found, metrics=found.metrics.assign(owner="someone"))
    assert not any(recommend(models, found.rows(against_baseline_rows), [], shares={}).values())


def test_where_the_baseline_is_better_nothing_is_recommended(runs):
    found = fitted(runs.assign(baseline_accuracy=0.99), "loss", "accuracy")
    judged = stand(found, found.rows(against_baseline_rows), shares={})
    assert judged.recommended is None
    assert judged.candidates[1] == Excluded.WORSE_THAN_BASELINE
    assert "recommended" not in {row["role"] for row in recommendation_rows(judged)}
