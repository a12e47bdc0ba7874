"""Trade-offs: fronts against Optuna's, noise against statsmodels and paired t tests, known gradients and prices."""

from __future__ import annotations

import itertools

import numpy as np
import optuna
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.multitest import multipletests
from test_regression import CODINGS, study

from finevar.analyses import disagreements, pareto, tradeoffs
from finevar.analyses import fits as readings
from finevar.figures import drawing
from finevar.figures import tradeoffs as tradeoffs_chart
from finevar.report.sections import prices as prices_section
from finevar.report.sections import tradeoffs as tradeoffs_section
from finevar.statistics import regression
from finevar.study.coding import Coding, codings_of, terms
from prose import MISSING, numbers
from report_fixtures import CENTRE, FACTORS, as_read, plan_of, simulate, simulate_metrics

STUDIED = codings_of(FACTORS)
LABELS = {"accuracy": "accuracy", "f1": "binary F1", "loss": "loss"}


of = readings.FittedStudy.of


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """Return a simulated study's runs and its trade-offs."""
    metrics = simulate()["metrics"]
    return {"metrics": metrics} | as_read(tradeoffs.tradeoff_rows(of(metrics, plan_of(FACTORS, list(CENTRE)))))


def fitted(metrics: pd.DataFrame, response: str, order: str = "quadratic") -> regression.Surface:
    return regression.fit_surface(metrics, response, CODINGS, terms(list(CODINGS), order), 0.95)


def shaped(slopes: dict[str, tuple[float, ...]], noise: float = 1e-6) -> pd.DataFrame:
    """Return a study whose responses are planes with these slopes per coded unit."""
    metrics, draw = study(), np.random.default_rng(3)
    for response, values in slopes.items():
        shape = sum(slope * CODINGS[name].coded(metrics[name]) for name, slope in zip(CODINGS, values, strict=True))
        metrics[response] = 0.5 + shape + draw.normal(scale=noise, size=len(metrics))
    return metrics


def recommending(tables):
    """Return the table of a study that recommends its first setting."""
    return {"recommendation": tables["metrics"][["point_id"]].head(1).assign(role="recommended")}


def drawn(tables):
    """Return the figure of a study that recommends its first setting."""
    return tradeoffs_chart.tradeoffs_chart(tables | recommending(tables), codings_of(FACTORS))


def test_runs_that_all_take_the_same_time_are_drawn_within_the_figure(tables):
    chart = drawn(tables)
    assert tables["metrics"]["train_seconds"].nunique() == 1
    low, high = seconds_domain(drawing.specification(chart))
    assert high > 1.05 * low


def seconds_domain(spec: object) -> list[float]:
    """Return the ends of the axis of seconds, found anywhere in a specification."""
    found: list[list[float]] = []

    def search(value: object) -> None:
        if isinstance(value, dict):
            if value.get("type") == "log" and "domain" in value:
                found.append(value["domain"])
            value = list(value.values())
        for part in value if isinstance(value, list) else []:
            search(part)

    search(spec)
    return found[0]


# The front


def test_front_is_that_of_optuna():
    draw = np.random.default_rng(1)
    values = draw.integers(0, 4, (60, 3)).astype(float)
    values = values[values.sum(1) <= 6]  # ties and repeats among them, and no point that is best in everything
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = optuna.create_study(directions=["maximize"] * 3)
    search.add_trials([optuna.trial.create_trial(values=row.tolist()) for row in values])
    kept = {trial.number for trial in search.best_trials}
    assert set(np.flatnonzero(pareto.nondominated(values))) == kept
    assert 1 < len(kept) < 30


def test_front_by_hand():
    values = np.array([[1, 5], [2, 4], [2, 3], [1, 5], [3, 0], [0, 5]])
    assert pareto.nondominated(values).tolist() == [True, True, False, True, True, False]


def test_holm_is_that_of_statsmodels():
    draw, points = np.random.default_rng(2), [f"p{number}" for number in range(25)]
    runs = pd.DataFrame(
        [{"point": point, "seed": seed, "trajectory_id": f"{point}-{seed}"} for point in points for seed in range(3)]
    )
    values = np.repeat(draw.normal(size=(2, 25)), 3, axis=1) + draw.normal(scale=0.4, size=(2, 75))
    means = [pareto.seed_means(runs.assign(value=value), points, None) for value in values]
    found = pd.DataFrame(pareto.judged_points(means, points, 0.05))
    assert found["p_value"].nunique() > 10
    assert found["p_adjusted"].to_numpy() == pytest.approx(multipletests(found["p_value"], method="holm")[1], rel=1e-12)


def unbalanced() -> pd.DataFrame:
    """Return runs of four points and three seeds, two runs of them missing."""
    draw = np.random.default_rng(4)
    rows = [
        {"point": point, "seed": seed, "value": draw.normal() + seed}
        for point, seed in itertools.product("abcd", range(3))
    ]
    runs = pd.DataFrame(rows).drop([2, 7]).reset_index(drop=True)
    return runs.assign(trajectory_id=[f"run{number}" for number in range(len(runs))])


def test_differences_of_points_are_those_of_an_additive_model():
    runs = unbalanced()
    means = pareto.seed_means(runs, list("abcd"), None)
    fit = smf.ols("value ~ C(point) + C(seed, Sum)", runs).fit()
    for first, second in itertools.combinations(range(4), 2):
        names = [f"C(point)[T.{'abcd'[place]}]" for place in (first, second)]
        weights = [(name == names[1]) * 1.0 - (name == names[0]) * 1.0 for name in fit.params.index]
        expected = fit.t_test(weights)
        assert means.values[second] - means.values[first] == pytest.approx(float(expected.effect[0]), rel=1e-9)
        assert means.gap_variances[first, second] == pytest.approx(float(expected.sd[0, 0]) ** 2, rel=1e-9)
    assert means.gap_df == pytest.approx(np.full((4, 4), fit.df_resid))


def test_two_points_are_compared_by_paired_t_tests_and_the_worst_metric_decides():
    draw = np.random.default_rng(5)
    shift = draw.normal(size=5)
    values = {name: draw.normal(size=(2, 5)) + shift + np.array([[0.0], [2.0]]) for name in ("accuracy", "f1")}
    places = [(point, seed) for point in range(2) for seed in range(5)]
    runs = pd.DataFrame(places, columns=["point", "seed"]).assign(trajectory_id=range(10))
    runs["point"] = runs["point"].map({0: "a", 1: "b"})
    means = [pareto.seed_means(runs.assign(value=part.ravel()), ["a", "b"], None) for part in values.values()]
    single = [stats.ttest_rel(part[1], part[0], alternative="greater").pvalue for part in values.values()]
    assert pareto.dominance_p(means)[0, 1] == pytest.approx(max(single), rel=1e-9)


def test_runs_that_share_a_trajectory_count_once():
    """Where all epochs of a trajectory err alike, their mean noise is that of the trajectories."""
    draw = np.random.default_rng(6)
    courses = draw.normal(size=(5, 4))  # trajectory, seed
    rows = [
        {"point": f"{course}-{epoch}", "seed": seed, "value": courses[course, seed], "trajectory_id": f"{course}{seed}"}
        for course, epoch, seed in itertools.product(range(5), range(3), range(4))
    ]
    runs = pd.DataFrame(rows)
    means = pareto.seed_means(runs, list(dict.fromkeys(runs["point"])), None)
    fit = smf.ols(
        "value ~ C(point) + C(seed)",
        pd.DataFrame([row | {"point": row["point"][0]} for row in rows if row["point"].endswith("0")]),
    ).fit()
    assert means.variances == pytest.approx(np.full(15, fit.scale / 4), rel=1e-9)
    assert means.gap_df == pytest.approx(np.full((15, 15), fit.df_resid), rel=1e-9)


def test_a_point_that_is_far_worse_in_everything_is_shown_to_be_dominated():
    metrics = simulate_metrics(FACTORS, (0, 1, 2), ("amazon",), 0)
    worst = metrics["point_id"].iloc[0]
    there = metrics["point_id"] == worst
    metrics.loc[there, "accuracy"] -= 0.2
    metrics.loc[there, "loss"] += 1
    plan = readings.Plan(
        **vars(plan_of(FACTORS, ["accuracy", "loss"])) | {"tradeoffs": {"responses": ["accuracy", "loss"]}}
    )
    rows = {row["point_id"]: row for row in tradeoffs.tradeoff_rows(of(metrics, plan))["pareto_points"]}
    assert rows[worst]["verdict"] == "dominated"
    assert rows[worst]["dominated_by"] in rows
    assert not rows[worst]["efficient"]
    efficient = [row for row in rows.values() if row["efficient"]]
    assert efficient
    assert all(row["verdict"] == "efficient" for row in efficient)


def test_one_seed_gives_the_observed_front_and_no_verdict():
    metrics = simulate(seeds=(0,))["metrics"]
    found = tradeoffs.tradeoff_rows(of(metrics, plan_of(FACTORS, list(CENTRE))))
    assert {row["reason"] for row in found["pareto_points"]} == {pareto.ONE_SEED}
    assert all("verdict" not in row for row in found["pareto_points"])
    assert any(row["efficient"] for row in found["pareto_points"])
    assert all(row.get("std_error") is None for row in found["pareto"])
    assert {row["verdict"] for row in found["prices"] if "verdict" in row} <= {"effect", "undecided"}


def test_several_data_sets_have_a_front_each_and_one_of_the_mean():
    metrics = simulate(datasets=("amazon", "tweets"))["metrics"]
    metrics["point_id"] = metrics["point_id"] + "-" + metrics["dataset"]  # as the workflow names them
    metrics["train_seconds"] = np.random.default_rng(8).uniform(2, 9, len(metrics))
    found = tradeoffs.tradeoff_rows(of(metrics, plan_of(FACTORS, list(CENTRE))))
    points = pd.DataFrame(found["pareto_points"])
    assert points.groupby("dataset").size().to_dict() == {"": 27, "amazon": 27, "tweets": 27}
    assert points.loc[points["dataset"] == "tweets", "point_id"].str.endswith("tweets").all()
    means = pd.DataFrame(found["pareto"])
    expected = metrics.groupby(list(FACTORS))["loss"].mean().sort_values().to_numpy()
    both = means[(means["dataset"] == "") & (means["response"] == "loss")]
    assert both["mean"].sort_values().to_numpy() == pytest.approx(expected, rel=1e-12)
    assert (both["runs"] == 4).all()
    seconds = metrics.groupby(list(FACTORS))["train_seconds"].agg(stats.gmean)
    desired = pd.DataFrame(found["desirability"]).query("response == 'seconds'")
    levels = metrics.drop_duplicates("point_id").set_index("point_id").loc[desired["point_id"], list(FACTORS)]
    assert desired["value"].to_numpy() == pytest.approx(seconds.loc[list(map(tuple, levels.to_numpy()))].to_numpy())


def test_seconds_of_different_machines_are_left_out_with_a_reason():
    metrics = simulate()["metrics"]
    metrics.loc[0, "device"] = "cuda"
    found = tradeoffs.tradeoff_rows(of(metrics, plan_of(FACTORS, list(CENTRE))))
    (left,) = [row for row in found["pareto"] if row["response"] == "seconds"]
    assert left["reason"]
    assert "seconds" not in {row["response"] for row in found["desirability"]}


def test_seconds_are_geometric_means():
    metrics = simulate()["metrics"]
    metrics["train_seconds"] = np.random.default_rng(7).uniform(2, 9, len(metrics))
    found = pd.DataFrame(tradeoffs.tradeoff_rows(of(metrics, plan_of(FACTORS, list(CENTRE))))["pareto"])
    seconds = found[found["response"] == "seconds"].set_index("point_id")["mean"]
    expected = metrics.groupby("point_id")["train_seconds"].agg(stats.gmean)
    assert seconds.to_dict() == pytest.approx(expected.to_dict(), rel=1e-12)


# Gradients


def test_the_cosine_of_known_gradients():
    metrics = shaped({"accuracy": (0.02, -0.01, 0.0), "loss": (0.03, 0.01, 0.05)})
    surfaces = [fitted(metrics, name) for name in ("accuracy", "loss")]
    rows = disagreements.disagreement_rows(surfaces, disagreements.joint_draws(surfaces))
    expected = -(0.02 * 0.03 - 0.01 * 0.01) / np.sqrt((0.02**2 + 0.01**2) * (0.03**2 + 0.01**2 + 0.05**2))
    assert [row["cosine"] for row in rows[:-1]] == pytest.approx([expected] * 28, abs=1e-3)
    assert {row["verdict"] for row in rows[:-1]} == {"disagree"}
    assert (rows[-1]["share_disagree"], rows[-1]["cells"], rows[-1]["factors"]) == (1.0, 27, "learning_rate")


def test_opposite_gradients_have_minus_one_in_their_interval():
    metrics = shaped({"accuracy": (0.02, -0.01, 0.01), "loss": (0.02, -0.01, 0.01)}, noise=0.004)
    surfaces = [fitted(metrics, name, "first_order") for name in ("accuracy", "loss")]
    rows = disagreements.disagreement_rows(surfaces, disagreements.joint_draws(surfaces))
    assert all(row["verdict"] == "disagree" and row["ci_low"] == -1 for row in rows[:-1])


def test_a_gradient_that_cannot_be_told_from_zero_may_point_anywhere():
    metrics = shaped({"accuracy": (0.0, 0.0, 0.0), "loss": (0.2, -0.1, 0.1)}, noise=0.01)
    surfaces = [fitted(metrics, name) for name in ("accuracy", "loss")]
    rows = disagreements.disagreement_rows(surfaces, disagreements.joint_draws(surfaces))
    untold = [row for row in rows[:-1] if row.get("reason")]
    assert len(untold) > 20
    assert all((row["ci_low"], row["ci_high"], row["verdict"]) == (-1, 1, "open") for row in untold)
    assert {row["reason"] for row in untold} == {disagreements.FLAT.format("accuracy")}


@pytest.mark.parametrize("shared", [False, True])
def test_two_surfaces_err_together_as_the_surface_of_their_sum_says(shared):
    """V of a sum is V11 + V22 + V12 + V21, and the sum can be fitted by itself."""
    metrics = study(seeds=6)
    if shared:
        metrics["trajectory_id"] = metrics.groupby(["learning_rate", "batch_size", "seed"]).ngroup().astype(str)
    metrics["f1"] = metrics["accuracy"] + 0.5 * metrics["loss"]
    metrics["both"] = metrics["f1"] + metrics["loss"]
    first, second, both = (fitted(metrics, name) for name in ("f1", "loss", "both"))
    together = pd.concat([disagreements.named_scores(first), disagreements.named_scores(second)], axis=1).to_numpy()
    cov, count = together.T @ together, len(first.names)
    assert cov[:count, :count] == pytest.approx(first.fit.cov, rel=1e-9, abs=1e-18)
    summed = cov[:count, :count] + cov[count:, count:] + cov[:count, count:] + cov[count:, :count]
    assert summed == pytest.approx(both.fit.cov, rel=1e-9, abs=1e-18)


def test_joint_draws_keep_what_is_exact_between_surfaces():
    metrics = study()
    metrics["f1"] = 1 - 2 * metrics["loss"]
    loss, f1 = disagreements.joint_draws([fitted(metrics, "loss"), fitted(metrics, "f1")])
    assert f1[:, 1:] == pytest.approx(-2 * loss[:, 1:], rel=1e-6, abs=1e-9)


# Prices and desirability


def test_prices_are_differences_of_predictions_turned_so_that_positive_is_a_cost():
    metrics = shaped({"accuracy": (0.02, 0.0, 0.0), "loss": (0.05, 0.01, 0.0)})
    accuracy, loss = (fitted(metrics, name, "first_order") for name in ("accuracy", "loss"))
    rows = {row["best_for"]: row for row in tradeoffs.price_rows([accuracy, loss])}
    assert rows["loss"]["response"] == "accuracy"
    assert rows["loss"]["price"] == pytest.approx(0.04, abs=1e-5)  # learning rate at the other end
    assert rows["accuracy"]["price"] == pytest.approx(0.10, abs=0.021)  # batch size may be at either end
    assert {row["verdict"] for row in rows.values()} == {"effect"}
    assert all(row["ci_low"] < row["price"] < row["ci_high"] for row in rows.values())


def test_one_setting_that_is_best_for_both_costs_nothing():
    metrics = study()
    metrics["f1"] = metrics["loss"] / 2
    rows = tradeoffs.price_rows(
        [fitted(metrics.assign(accuracy=-metrics["loss"]), "accuracy"), fitted(metrics, "loss")]
    )
    assert [(row["price"], row["ci_low"], row["ci_high"]) for row in rows] == [(0.0, 0.0, 0.0)] * 2
    assert all(row["reason"] for row in rows)


def test_the_price_between_two_settings_is_a_t_interval_of_the_seeds_own_changes():
    """One factor at two levels has one pair of settings: nothing was chosen from many."""
    metrics = study(seeds=5)
    ends = metrics[(metrics["learning_rate"] == 1e-4) & (metrics["batch_size"] == 16) & (metrics["epochs"] != 2)]
    ends = ends.assign(accuracy=0.9 + ends["loss"] + ends["accuracy"] / 9).reset_index(drop=True)  # both rise
    codings = {"epochs": Coding((1, 3), "identity")}
    surfaces = [
        regression.fit_surface(ends, name, codings, terms(["epochs"], "first_order"), 0.95)
        for name in ("accuracy", "loss")
    ]
    row = next(row for row in tradeoffs.price_rows(surfaces) if row["response"] == "loss")
    table = ends.pivot(index="seed", columns="epochs", values="loss")
    interval = stats.ttest_1samp(table[3] - table[1], 0).confidence_interval(0.95)
    assert row["price"] == pytest.approx((table[3] - table[1]).mean())
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high), rel=0.03)


@pytest.mark.parametrize("most", [40, 5])
def test_a_price_is_chosen_from_all_pairs_of_settings(most, monkeypatch):
    """Its interval lies between that of one pair and Bonferroni's of all 351; of many points some stand for all."""
    monkeypatch.setattr(tradeoffs, "MOST_POINTS", most)
    metrics = study(seeds=6)
    metrics["accuracy"] = 0.5 + metrics["loss"] / 10 + metrics["accuracy"] / 10
    rows = tradeoffs.price_rows([fitted(metrics, name) for name in ("accuracy", "loss")])
    for row in rows:
        reach = (row["ci_high"] - row["price"]) / row["std_error"]
        assert stats.t.isf(0.025, 5) < reach < stats.t.isf(0.025 / 351, 5)


def test_desirability_by_the_published_formula():
    """Derringer & Suich (1980): d = (y - worst) / (best - worst), D the weighted geometric mean."""
    accuracy, loss, same = np.array([0.80, 0.85, 0.90]), -np.array([0.3, 0.4, 0.5]), np.array([3.0, 3.0])
    assert tradeoffs.desirability(accuracy, accuracy) == pytest.approx([0, 0.5, 1])
    assert tradeoffs.desirability(loss, loss) == pytest.approx([1, 0.5, 0])
    assert tradeoffs.desirability(np.array([0.7, 0.88, 0.95]), accuracy) == pytest.approx([0, 0.8, 1])
    assert tradeoffs.desirability(same, same).tolist() == [1, 1]
    parts = [np.array([0.25, 1.0, 0.0]), np.array([1.0, 0.64, 1.0])]
    assert tradeoffs.overall(parts, [1, 1]) == pytest.approx([0.5, 0.8, 0.0])
    assert tradeoffs.overall(parts, [2, 1]) == pytest.approx([0.0625 ** (1 / 3), 0.64 ** (1 / 3), 0.0])


def test_weights_of_the_config_are_used(tables):
    plan = plan_of(FACTORS, list(CENTRE))
    heavy = readings.Plan(**vars(plan) | {"tradeoffs": {"responses": None, "weights": {"loss": 50}}})
    rows = [
        row for row in tradeoffs.tradeoff_rows(of(tables["metrics"], heavy))["desirability"] if row["response"] == ""
    ]
    best = max(rows, key=lambda row: row["desirability"])["point_id"]
    single = tables["desirability"][tables["desirability"]["response"] == "loss"].set_index("point_id")
    assert single.loc[best, "desirability"] > 0.95
    assert sum(row["best_share"] for row in rows) == pytest.approx(1)


# Rates


def test_points_of_the_true_front_are_hardly_ever_called_dominated():
    """All of nine points are on the front, in the way that noise hides best (see flat_front)."""
    draw, count, seeds = np.random.default_rng(17), 9, 4
    runs = pd.DataFrame(itertools.product("abcdefghi", range(seeds)), columns=["point", "seed"])
    runs["trajectory_id"] = [f"run{number}" for number in range(len(runs))]
    steep = np.repeat(np.arange(count), seeds) * 10.0
    false = []
    studies_drawn = 150
    for _ in range(studies_drawn):
        shift = np.tile(draw.normal(size=seeds), count)
        errors = shift + draw.normal(size=(2, len(runs)))
        means = [
            pareto.seed_means(runs.assign(value=values), list("abcdefghi"), None)
            for values in (errors[0], errors[1] - steep)
        ]
        rows = pareto.judged_points(means, list("abcdefghi"), 0.05)
        false.append(any(row["verdict"] == "dominated" for row in rows))
    assert 0 < np.mean(false) <= 0.05 + 3 * (0.05 * 0.95 / studies_drawn) ** 0.5


# The report


def test_tables_fit_their_schemas_and_every_gated_study_is_empty(tables):
    assert {name: len(table) > 0 for name, table in tables.items()} == dict.fromkeys(tables, True)
    constant = tables["metrics"].assign(**dict.fromkeys(CENTRE, 0.5))
    assert all(not rows for rows in tradeoffs.tradeoff_rows(of(constant, plan_of(FACTORS, list(CENTRE)))).values())


def test_section_tells_front_conflicts_prices_and_compromise(tables):
    told = tradeoffs_section.section(tables | recommending(tables), LABELS, list(FACTORS), 0.95)
    assert numbers(told["finding"])[:2] == [27, tables["pareto_points"]["efficient"].sum()]
    assert [group["figures"] for group in told["groups"]] == [["tradeoffs"], []]
    groups = [told["groups"][1], *prices_section.section(tables, LABELS, list(FACTORS), 0.95)["groups"]]
    assert len(groups) == 4
    assert all(group["sentences"] and group["tables"] for group in groups)
    text = " ".join(line["text"] for group in groups for line in group["sentences"])
    assert not MISSING.search(text)
    assert "_" not in text, "a column's name"
    verdicts = {line["verdict"] for group in groups for line in group["sentences"]}
    assert verdicts <= {"effect", "negligible", "undecided", None}


@pytest.mark.parametrize("responses", [[], ["loss"]])
def test_section_says_why_there_is_nothing(responses):
    metrics = simulate()["metrics"]
    plan = readings.Plan(**vars(plan_of(FACTORS, responses)) | {"tradeoffs": {"responses": responses or ["loss"]}})
    empty = {"metrics": metrics} | as_read(tradeoffs.tradeoff_rows(of(metrics, plan)))
    told = tradeoffs_section.section(empty, {name: LABELS[name] for name in responses}, list(FACTORS), 0.95)
    assert told["finding"]
    assert all(group["sentences"] and not group["figures"] for group in told["groups"])
    chart = tradeoffs_chart.tradeoffs_chart(empty, STUDIED)
    assert drawing.specification(chart)["mark"]["type"] == "text"


def test_section_and_figure_of_one_seed():
    metrics = simulate(seeds=(0,))["metrics"]
    found = {"metrics": metrics} | as_read(tradeoffs.tradeoff_rows(of(metrics, plan_of(FACTORS, list(CENTRE)))))
    told = tradeoffs_section.section(found | recommending(found), LABELS, list(FACTORS), 0.95)
    (reason,) = set(found["pareto_points"]["reason"].dropna())
    assert reason in told["groups"][1]["sentences"][1]["text"]
    chart = drawn(found)
    assert drawing.draw(chart).png(1).startswith(b"\x89PNG")
    assert found["pareto"]["std_error"].isna().all()


def test_the_recommended_the_best_and_the_baselines_setting_have_their_names_beside_them(tables):
    spec = drawing.specification(drawn(tables))
    named = {row["point_id"]: row["name"] for rows in spec["datasets"].values() for row in rows if row.get("name")}
    means = tables["metrics"].groupby("point_id")[["accuracy", "loss"]].mean()
    own = tables["metrics"].loc[tables["metrics"]["is_baseline_point"], "point_id"].iloc[0]
    assert "best accuracy" in named[means["accuracy"].idxmax()]
    assert "best loss" in named[means["loss"].idxmin()]
    assert "recommended" in named[tables["metrics"]["point_id"].iloc[0]]
    assert "baseline" in named[own]


def test_figure_draws_two_panels_and_marks_by_colour_and_shape(tables):
    chart = drawn(tables)
    panels = drawing.specification(chart)["hconcat"]
    points = [next(layer for layer in panel["layer"] if layer["encoding"].get("shape"))["encoding"] for panel in panels]
    fields = [(point["x"]["field"], point["y"]["field"]) for point in points]
    assert fields == [("accuracy", "loss"), ("seconds", "gain")]
    assert [point["y"]["scale"]["reverse"] for point in points] == [True, False]  # less loss is up
    assert [point["x"]["scale"]["reverse"] for point in points] == [False, True]  # fewer seconds are right
    assert all(point["color"]["field"] == point["shape"]["field"] == "place" for point in points)
    caption = tradeoffs_chart.caption(tables["pareto"], tables["pareto_points"], 0.95)
    assert numbers(caption)[:2] == [27, 2], "settings, and runs of each"
