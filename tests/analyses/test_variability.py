"""Where variance comes from: hand calculations, other software, simulated truths, and what the report says of it."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np
import optuna
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.polynomial.legendre import leggauss
from scipy import stats
from statsmodels.stats.anova import anova_lm
from tests.calibration import variability as simulated

from finevar.analyses import fits as readings
from finevar.analyses import variability
from finevar.analyses.variability import variability_rows
from finevar.figures import drawing
from finevar.figures import variability as variability_chart
from finevar.report.parts import STOPPED
from finevar.report.sections import variability as variability_section
from finevar.statistics import ledger
from finevar.statistics import surface_ledger as legendre
from finevar.statistics.anova import Grid, factor_shares
from finevar.statistics.regression import fit_surface
from finevar.study.coding import Coding, model_matrix, terms
from prose import numbers, without_numbers
from report_fixtures import FACTORS, as_read, factors, plan_of, simulate_metrics

STUDIES = 80
REACH = 3 * (0.05 * 0.95 / STUDIES) ** 0.5  # three standard errors of a rate of 5 %
RUNS = ["dataset", "a", "b", "seed", "y"]


def two_by_two() -> pd.DataFrame:
    """Return cell means 5 + 3 a + 2 b + a b with a and b at -1 and 1, seeds apart by 1, and a pattern of noise."""
    rows = []
    for a, b, seed in itertools.product((-1, 1), (-1, 1), (0, 1)):
        side = 2 * seed - 1
        rows.append(("one", a, b, seed, 5 + 3 * a + 2 * b + a * b + 0.5 * side + 0.4 * a * b * side))
    return pd.DataFrame(rows, columns=RUNS)


def by_name(found: ledger.Ledger) -> dict[str, float]:
    return dict(zip(found.sources, found.variances, strict=True))


def ledger_of(runs: pd.DataFrame, names: list[str], contributions: dict | None = None) -> ledger.Ledger:
    grid = Grid.of(runs, names)
    return ledger.grid_ledger(grid, runs["y"].to_numpy(), ledger.sentence_columns(runs, contributions or {}))


def mean_square(values: pd.Series, runs: pd.DataFrame, *names: str) -> float:
    """Return the mean over runs of the squared group means of centred values."""
    return float(((values - values.mean()).groupby([runs[name] for name in names]).transform("mean") ** 2).mean())


# The decomposition of a complete grid


def test_a_grid_of_eight_runs_by_hand():
    """Parts of the mean square are 9, 4, 1, 0.25 and 0.16; noise has 3 df of 7, so each df takes 0.16 / 3 along."""
    noise = 0.16 / 3
    expected = {"a": 9 - noise, "b": 4 - noise, "a:b": 1 - noise, "seed": 0.25 - noise, "seed:point": 7 * noise}
    found = ledger_of(two_by_two(), ["a", "b"])
    assert by_name(found) == pytest.approx(expected)
    assert found.df.tolist() == [1, 1, 1, 1, 3]
    assert found.variances.sum() + found.sampling == pytest.approx(9 + 4 + 1 + 0.25 + 0.16)


def test_importance_of_the_eight_runs_by_hand():
    a, b, both = (by_name(ledger_of(two_by_two(), ["a", "b"]))[name] for name in ("a", "b", "a:b"))
    first_order, total, shapley = ledger_of(two_by_two(), ["a", "b"]).importance()
    assert first_order == pytest.approx([a / (a + b + both), b / (a + b + both)])
    assert total == pytest.approx([(a + both) / (a + b + both), (b + both) / (a + b + both)])
    assert shapley == pytest.approx([(a + both / 2) / (a + b + both), (b + both / 2) / (a + b + both)])


def test_the_order_of_runs_does_not_matter():
    runs = two_by_two()
    shuffled = runs.sample(frac=1, random_state=3)
    assert by_name(ledger_of(shuffled, ["a", "b"])) == pytest.approx(by_name(ledger_of(runs, ["a", "b"])))


def random_grid() -> pd.DataFrame:
    """Return 96 runs: 2 data sets, 3 by 2 by 4 levels, 2 seeds."""
    rng = np.random.default_rng(5)
    places = itertools.product(("one", "two"), range(3), range(2), range(4), range(2))
    runs = pd.DataFrame(places, columns=["dataset", "a", "b", "c", "seed"])
    return runs.assign(y=rng.normal(size=96) + runs["a"] ** 2 + runs["b"] * runs["c"] * (runs["dataset"] == "two"))


def test_sums_of_squares_are_those_of_statsmodels():
    """N V is a sum of squares; what sources pool is summed over statsmodels' rows."""
    runs = random_grid()
    grid = Grid.of(runs, ["a", "b", "c"])
    found = dict(zip(grid.sources, 96 * grid.by_source(grid.coefficients(runs["y"].to_numpy()) ** 2), strict=True))
    formula = "y ~ C(a)*C(b)*C(c)*C(dataset) + C(dataset):C(seed)"
    rows = anova_lm(smf.ols(formula, runs).fit(), typ=1)
    expected: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for name, row in rows.iterrows():
        parts = [part.removeprefix("C(").removesuffix(")") for part in name.split(":")]
        levels = [part for part in parts if part not in ("dataset", "seed", "Residual")]
        source = ":".join(levels) if len(levels) < 3 else "higher_order"
        if "dataset" in parts:
            source = "dataset:settings" if levels else "seed" if "seed" in parts else "dataset"
        source = "seed:point" if name == "Residual" else source
        expected[source][0] += row["sum_sq"]
        expected[source][1] += row["df"]
    assert found == pytest.approx({source: total for source, (total, _) in expected.items()})
    df = dict(zip(grid.sources, grid.df, strict=True))
    assert df == pytest.approx({source: count for source, (_, count) in expected.items()})


def test_parts_sum_to_the_variance_of_the_runs():
    runs = random_grid()
    grid = Grid.of(runs, ["a", "b", "c"])
    squares = grid.by_source(grid.coefficients(runs["y"].to_numpy()) ** 2)
    assert squares.sum() == pytest.approx(runs["y"].var(ddof=0))
    assert ledger.unbiased(grid, squares).sum() == pytest.approx(runs["y"].var(ddof=0))


def test_variances_have_no_bias():
    """Noise of variance 4 on the eight runs: over many studies the parts average to the true 9, 4, 1, 0.25, 4 x 7/8."""
    runs = two_by_two()
    grid = Grid.of(runs, ["a", "b"])
    a, b, side = runs["a"], runs["b"], 2 * runs["seed"] - 1
    truth = (5 + 3 * a + 2 * b + a * b + 0.5 * side).to_numpy()
    values = truth + np.random.default_rng(1).normal(0, 2, size=(20_000, 8))
    squares = grid.by_source(grid.coefficients(values[:, grid.runs]) ** 2)
    found = np.array([ledger.unbiased(grid, row) for row in squares])
    error = found.std(0) / math.sqrt(len(found))
    assert np.all(np.abs(found.mean(0) - [9, 4, 1, 0.25, 3.5]) < 4 * error)


@pytest.mark.parametrize("lost", [1, 2])
def test_runs_that_miss_or_repeat_a_place_are_no_grid(lost):
    runs = two_by_two()
    assert Grid.of(runs.iloc[lost:], ["a", "b"]) is None
    assert Grid.of(pd.concat([runs.iloc[lost:], runs.tail(lost)]), ["a", "b"]) is None


def test_importance_agrees_with_optunas_fanova():
    """Optuna grows a forest on the same noise-free table: orders agree, and first-order shares within 0.1."""
    places = list(itertools.product(range(5), range(5), range(5)))
    study = optuna.create_study()
    axes = {name: optuna.distributions.IntDistribution(0, 4) for name in "abc"}
    rows = []
    for a, b, c in places:
        y = 1.0 * a + 0.15 * b**2 + 0.3 * c
        study.add_trial(optuna.trial.create_trial(params={"a": a, "b": b, "c": c}, distributions=axes, value=y))
        rows.append(("one", a, b, c, 0, y))
    runs = pd.DataFrame(rows, columns=["dataset", "a", "b", "c", "seed", "y"])
    first_order = ledger_of(runs, ["a", "b", "c"]).importance()[0]
    forest = optuna.importance.FanovaImportanceEvaluator(seed=1).evaluate(study)
    assert sorted("abc", key=forest.get) == sorted("abc", key=dict(zip("abc", first_order, strict=True)).get)
    assert first_order == pytest.approx([forest[name] for name in "abc"], abs=0.1)


# Test sentences


def test_what_sentences_take_out_by_group_means():
    """Each sentence's column is divided by plain group means; then 1 / (n (n - 1)) of the sum is the variance."""
    runs = two_by_two()
    answers = np.random.default_rng(4).normal(size=(8, 30)) + runs["a"].to_numpy()[:, None] * np.arange(30) / 10
    runs["y"] = answers.mean(1)
    columns = [pd.Series(column) for column in (answers - answers.mean(1, keepdims=True)).T]
    main = sum(mean_square(column, runs, "a") for column in columns)
    total = sum(column.var(ddof=0) for column in columns)
    explained = [("a",), ("b",), ("a", "b"), ("seed",)]
    parts = {names: sum(mean_square(column, runs, *names) for column in columns) for names in explained}
    rest = total - parts["a", "b"] - parts["seed",]
    found = ledger_of(runs, ["a", "b"], {"one": answers})
    without = ledger_of(runs, ["a", "b"])
    assert found.sampling == pytest.approx(total / (30 * 29))
    taken = (main - rest / 3) / (30 * 29)
    assert by_name(without)["a"] - by_name(found)["a"] == pytest.approx(taken)
    assert found.sampling_shares[0] == pytest.approx(taken / by_name(without)["a"])


def test_sentences_of_several_data_sets_move_only_their_own_runs():
    """Independent noise of variance 4 in every answer: sampling is 4 / n times (N - 1) / N, whatever the data sets."""
    runs = random_grid()
    rng = np.random.default_rng(6)
    answers = {"one": rng.normal(0, 2, size=(48, 2000)), "two": rng.normal(0, 2, size=(48, 1000))}
    found = ledger_of(runs, ["a", "b", "c"], answers)
    # The mean over the data sets of 4 / n, but for the contrast that is the mean of all.
    each = np.array([4 / 2000, 4 / 1000])
    assert found.sampling == pytest.approx(each.mean() * 95 / 96, rel=0.02)


def test_other_sentences_shift_runs_as_the_standard_error_says():
    """Where all runs agree, the shift of all is the error of one: the binomial's."""
    right = np.tile(np.arange(100) < 90, (8, 1)).astype(float)
    assert ledger.sentence_shift({"one": right}) == pytest.approx(0.9 * 0.1 / 99)


def test_other_seeds_by_hand():
    """Seed means of the eight runs are 4.5 and 5.5: variance 0.5 on 1 df."""
    assert ledger.seed_shift(two_by_two(), "y") == pytest.approx((0.5, 1))


# Intervals


def test_noncentralities_have_the_probability_asked_for():
    rng = np.random.default_rng(2)
    squares, df, unit = np.array([0.4, 3.0, 40.0, 250.0]), np.array([2.0, 1.0, 8.0, 3.5]), 0.5
    levels = rng.uniform(size=(50, 4))
    errors, units = np.tile(df * unit, (50, 1)), np.full((50, 4), unit)
    found = ledger.noncentralities(squares, errors, units, levels) / unit
    inside = found > 0
    assert inside.mean() > 0.5
    probabilities = stats.ncx2.cdf(squares / unit, df, np.where(inside, found, 1.0))
    assert probabilities[inside] == pytest.approx(levels[inside], abs=1e-3)
    assert (levels[~inside] >= np.broadcast_to(stats.chi2.cdf(squares / unit, df), levels.shape)[~inside]).all()


def test_without_errors_a_source_is_what_it_seems():
    none, levels = np.zeros((3, 2)), np.full((3, 2), 0.3)
    assert ledger.noncentralities(np.array([2.0, 0.0]), none, none, levels).tolist() == [[2, 0]] * 3


def test_a_source_that_is_quieter_than_noise_is_not_excluded():
    """Without any sum of squares the upper limit is that of the null's median: P(x <= median | limit) = 2.5 %."""
    levels = ledger.spread_levels(np.random.default_rng(0), 2000, 1)
    errors, unit = np.full((2000, 1), 3.0), np.ones((2000, 1))
    drawn, cautious = ledger.draw_effects(np.zeros(1), errors, unit, levels)
    assert drawn.max() <= 0
    limit = np.quantile(cautious, 0.975)
    assert stats.ncx2.cdf(stats.chi2.median(3), 3, limit) == pytest.approx(0.025, abs=1e-3)


@pytest.fixture(scope="module")
def held() -> dict[str, dict[str, float]]:
    """Return, by kind of study, the share of studies in which each interval holds the truth."""
    kinds = {
        "grid": lambda rng: simulated.on_grid((1, 3, 3, 3, 2), simulated.SETTINGS, rng),
        "nothing": lambda rng: simulated.on_grid((1, 3, 3, 2), {}, rng),
        "sentences": lambda rng: simulated.with_sentences(1, rng),
        "surface": lambda rng: simulated.on_surface(rng, 8.0),
    }
    counts: dict[str, dict[str, list[bool]]] = {kind: defaultdict(list) for kind in kinds}
    for kind, simulate in kinds.items():
        for number in range(STUDIES):
            for what, success in simulate(np.random.default_rng([3, number])):
                counts[kind][what].append(success)
    return {kind: {what: float(np.mean(found)) for what, found in each.items()} for kind, each in counts.items()}


def test_intervals_hold_the_truth(held):
    assert len(held["grid"]) == 12
    for kind in held:
        assert min(held[kind].values()) > 0.95 - REACH, kind


def test_intervals_are_not_wider_than_they_must_be(held):
    """Where a source is large, an interval that always holds the truth would say too little."""
    assert max(held["grid"][name] for name in ("a", "b", "a:b")) < 1
    assert np.mean([held["sentences"][name] for name in ("a", "b")]) < 0.99


def test_the_counting_sees_intervals_that_are_wrong():
    """Noise that is almost all at one level is not what intervals take it for: its share is missed too often."""
    missed = []
    for number in range(STUDIES):
        rng = np.random.default_rng([3, number])
        found = dict(simulated.on_grid((1, 3, 3, 2), simulated.SETTINGS, rng, growth=40))
        missed.append(not found["seed:point"])
    assert np.mean(missed) > 0.05 + REACH


# The fitted surface


def unit_codings(names: str, levels: int) -> dict[str, Coding]:
    return {name: Coding(tuple(np.linspace(-1, 1, levels)), "identity") for name in names}


def smooth_grid(levels: int) -> pd.DataFrame:
    """Return noise-free runs of a quadratic in two factors."""
    places = itertools.product(np.linspace(-1, 1, levels), np.linspace(-1, 1, levels), range(2))
    runs = pd.DataFrame([("one", *place) for place in places], columns=RUNS[:-1])
    runs["y"] = 1 + 0.8 * runs["a"] - 0.5 * runs["a"] ** 2 + 0.3 * runs["b"] + 0.6 * runs["a"] * runs["b"]
    runs["point_id"] = runs["a"].astype(str) + runs["b"].astype(str)
    return runs.assign(trajectory_id=runs.index.astype(str))


def surface_of(runs: pd.DataFrame, order: str = "quadratic", names: str = "ab"):
    return fit_surface(runs, "y", unit_codings(names, 5), terms(list(names), order), 0.95)


def test_the_surfaces_variances_are_those_of_quadrature():
    """Integrate the polynomial over the square: conditional means over one factor give each part."""
    rng = np.random.default_rng(9)
    runs = smooth_grid(5)
    runs["y"] += rng.normal(0, 0.3, len(runs))
    runs = runs.rename(columns={"a": "learning_rate"})
    columns = terms(["learning_rate", "b"], "cubic")
    codings = unit_codings("b", 5) | {"learning_rate": unit_codings("a", 5)["a"]}
    surface = fit_surface(runs, "y", codings, columns, 0.95)
    nodes, weights = leggauss(6)
    weights = weights / 2
    x, z = (axis.ravel() for axis in np.meshgrid(nodes, nodes, indexing="ij"))
    values = model_matrix({"learning_rate": x, "b": z}, columns) @ surface.fit.params[: len(columns)]
    values = values.reshape(6, 6) - weights @ values.reshape(6, 6) @ weights
    along_a, along_b = values @ weights, weights @ values
    parts = [weights @ along_a**2, weights @ along_b**2]
    parts.append(weights @ (values - along_a[:, None] - along_b) ** 2 @ weights)
    matrix, names = legendre.orthonormal_effects(surface)
    squares = (matrix @ surface.fit.params) ** 2
    found = [sum(squares[[other == name for other in names]]) for name in ("learning_rate", "b", "learning_rate:b")]
    assert found == pytest.approx(parts)


@pytest.mark.parametrize("levels", [3, 9, 33])
def test_grid_and_surface_differ_by_their_measures_alone(levels):
    """A grid weighs its levels equally: a straight line varies (L + 1) / (L - 1) times as much as over the range.

    So do the lines of an interaction, twice; and with many levels the two agree.
    """
    runs = smooth_grid(levels)
    exact, fitted = by_name(ledger_of(runs, ["a", "b"])), by_name(legendre.surface_ledger(surface_of(runs)))
    wider = (levels + 1) / (levels - 1)
    assert exact["b"] == pytest.approx(wider * fitted["b"])
    assert exact["a:b"] == pytest.approx(wider**2 * fitted["a:b"])
    assert fitted["b"] == pytest.approx(0.3**2 / 3)
    assert fitted["a"] == pytest.approx(0.8**2 / 3 + 0.5**2 * 4 / 45)
    if levels == 33:
        assert exact["a"] == pytest.approx(fitted["a"], rel=0.08)


# Rows


@pytest.fixture(scope="module")
def metrics() -> pd.DataFrame:
    return simulate_metrics(FACTORS, (0, 1), ("amazon",), 0)


def tables_of(metrics: pd.DataFrame, contributions: dict | None = None, study=FACTORS, responses=("accuracy", "loss")):
    return as_read(
        variability_rows(readings.FittedStudy.of(metrics, plan_of(study, list(responses))), contributions or {})
    )


def answers(metrics: pd.DataFrame, response: str, count: int = 200) -> dict[str, np.ndarray]:
    """Return contributions whose means are the response."""
    rng = np.random.default_rng(8)
    found = {}
    for name, runs in readings.finished_runs(metrics, response).groupby("dataset"):
        noise = rng.normal(size=count) * 0.3 + rng.normal(0, 0.05, size=(len(runs), count))
        found[name] = runs[response].to_numpy()[:, None] + noise - noise.mean(1, keepdims=True)
    return found


def test_shares_sum_to_one_for_every_response(metrics):
    rows = tables_of(metrics, {"loss": answers(metrics, "loss")})["variability"]
    assert rows.groupby("response")["share"].sum().to_numpy() == pytest.approx([1, 1])
    assert (rows["method"] == "grid").all()
    known = rows[rows["share"].notna()]
    assert known["ci_low"].le(known["share"] + 1e-9).all()
    assert known["ci_high"].ge(known["share"] - 1e-9).all()


def test_sampling_is_null_with_the_reason_where_contributions_lack(metrics):
    rows = tables_of(metrics, {"loss": answers(metrics, "loss")})["variability"]
    sampling = rows[rows["component"] == "test_set"].set_index("response")
    assert math.isnan(sampling.loc["accuracy", "variance"])
    assert sampling.loc["accuracy", "reason"] == variability.NO_MEAN
    assert sampling.loc["loss", "variance"] > 0


def test_one_seed_gives_variances_without_intervals(metrics):
    tables = tables_of(metrics[metrics["seed"] == 0])
    rows = tables["variability"].query("response == 'loss'")
    assert rows["share"].sum() == pytest.approx(1)
    assert rows["variance"].sum() == pytest.approx(metrics.loc[metrics["seed"] == 0, "loss"].var(ddof=0))
    assert rows["ci_low"].isna().all()
    assert tables["importance"]["shapley_ci_low"].isna().all()
    assert rows["reason"].notna().all()
    assert rows.set_index("component").loc[["seed", "seed:point"], "variance"].isna().all()


def test_a_lost_run_leaves_the_fitted_surface(metrics):
    rows = tables_of(metrics.drop(index=5))["variability"]
    assert (rows["method"] == "surface").all()
    assert rows.groupby("response")["share"].sum().to_numpy() == pytest.approx([1, 1])


def test_runs_that_share_a_trajectory_are_no_independent_grid():
    study = simulate_metrics(FACTORS, (0, 1, 2, 3), ("amazon",), 0)
    study["trajectory_id"] = study[["learning_rate", "batch_size", "seed"]].astype(str).agg("-".join, axis=1)
    rows = tables_of(study, {"loss": answers(study, "loss")})["variability"]
    assert (rows["method"] == "surface").all()
    reasons = rows.query("component == 'test_set'").set_index("response")["reason"]
    assert reasons["loss"] == variability.TRAJECTORIES


def test_the_surface_tells_sampling_apart(metrics):
    lost = metrics.drop(index=5)
    rows = tables_of(lost, {"loss": answers(lost, "loss")})["variability"].query("response == 'loss'")
    assert rows["share"].sum() == pytest.approx(1)
    assert rows.set_index("component").loc["test_set", "share"] > 0


def test_a_baseline_beside_the_grid_is_left_out(metrics):
    beside = metrics[metrics["is_baseline_point"]].assign(learning_rate=5e-5, point_id="beside")
    beside = beside.assign(run_id=beside["run_id"] + "-beside", trajectory_id=beside["run_id"] + "-beside")
    inside = metrics.assign(is_baseline_point=False)
    both = pd.concat([beside, inside], ignore_index=True)
    contributions = {"loss": answers(inside, "loss")}
    padded = {"loss": {"amazon": np.vstack([np.zeros((2, 200)), contributions["loss"]["amazon"]])}}
    alone, found = tables_of(inside, contributions)["variability"], tables_of(both, padded)["variability"]
    kept = ["component", "variance", "share", "ci_high"]
    sources = [frame[frame["kind"] != "shift"][kept].reset_index(drop=True) for frame in (alone, found)]
    pd.testing.assert_frame_equal(*sources)


def test_several_data_sets_are_sources():
    study = simulate_metrics(FACTORS, (0, 1), ("amazon", "tweets", "news"), 0)
    rows = tables_of(study)["variability"].query("response == 'accuracy'").set_index("component")
    # The fixtures shift accuracy by 0.03 a data set: variance 0.03 squared times 2 / 3.
    assert rows.loc["dataset", "variance"] == pytest.approx(0.0006, rel=0.1)
    assert rows.loc["dataset:settings", "df"] == 2 * 26
    assert rows.loc["seed", "df"] == 3
    assert rows.loc["other_seeds", "df"] == 3
    both = {"accuracy": answers(study, "accuracy")}
    assert set(tables_of(study, both)["variability"].query("variance.isna()")["response"]) == {"loss"}
    only = {"accuracy": {"amazon": answers(study, "accuracy")["amazon"]}}
    assert set(tables_of(study, only)["variability"].query("variance.isna()")["response"]) == {"accuracy", "loss"}


def test_a_gated_response_has_no_rows(metrics):
    study = metrics.copy()
    study["accuracy"] = 0.5
    assert set(tables_of(study)["variability"]["response"]) == {"loss"}


# What the report says


def told(tables: dict[str, pd.DataFrame], labels: dict[str, str], study=FACTORS) -> tuple[dict, str]:
    found = variability_section.section(tables, labels, list(study), 0.95)
    sentences = [sentence["text"] for group in found["groups"] for sentence in group["sentences"]]
    return found, " ".join([found["finding"], *sentences])


def test_the_section_tells_the_largest_sources_first(metrics):
    tables = tables_of(metrics, {"loss": answers(metrics, "loss")})
    found, text = told(tables, {"accuracy": "accuracy", "loss": "loss"})
    largest = tables["variability"].query("response == 'loss'").nlargest(1, "share").iloc[0]
    assert largest["component"] == "learning_rate"  # the fixtures' largest coefficient on loss
    assert round(100 * largest["share"]) in numbers(found["finding"])
    assert 54 in numbers(text), "runs"
    shares, ledger_table = found["groups"][0]["tables"][0], found["groups"][0]["folded"][0]
    assert [column["title"] for column in shares["columns"]] == ["Source", "Accuracy", "Loss"]
    assert len(ledger_table["rows"]) == 2 * len(shares["rows"])
    assert found["groups"][0]["figures"] == ["variability"]


def test_the_section_says_by_which_method_and_from_one_seed_gives_no_interval(metrics):
    labels = {"accuracy": "accuracy", "loss": "loss"}
    grid, surface, one = (
        told(tables_of(part), labels)[0] for part in (metrics, metrics.drop(index=5), metrics[metrics["seed"] == 0])
    )
    firsts = [found["groups"][0]["sentences"][0]["text"] for found in (grid, surface, one)]
    assert len({without_numbers(text) for text in firsts}) == 3
    assert 95 in numbers(grid["finding"])
    assert 95 not in numbers(one["finding"])
    assert 95 not in numbers(one["groups"][0]["tables"][0]["caption"])


def test_the_section_of_a_stopped_study_says_so(metrics):
    empty = {name: rows.iloc[:0] for name, rows in tables_of(metrics).items()}
    assert told(empty, {})[0] == {"finding": STOPPED, "groups": []}


def test_settings_without_variance_have_no_importance():
    nothing = factor_shares(np.zeros((1, 3)), np.array([[1, 0], [0, 1], [1, 1.0]]))
    assert all(np.isnan(share).all() for share in nothing)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_figure_has_a_bar_a_response_and_a_colour_a_source(count):
    study = factors(count)
    tables = tables_of(simulate_metrics(study, (0, 1), ("amazon", "tweets"), 0), study=study)
    spec = drawing.specification(variability_chart.variability_chart(tables["variability"]))
    scale = spec["layer"][0]["encoding"]["color"]["scale"]
    assert len(scale["domain"]) == len(set(scale["range"])) == len(set(scale["domain"]))
    (rows,) = spec["datasets"].values()
    ends = {row["metric"]: row["end"] for row in rows}
    assert ends == pytest.approx({"Accuracy": 1, "Loss": 1}, abs=1e-5)
    told(tables, {"accuracy": "accuracy", "loss": "loss"}, study)


def test_the_figures_words(metrics):
    rows = tables_of(metrics.drop(index=5))["variability"]
    caption = variability_chart.caption(rows, 53, 0.95)
    assert numbers(caption) == [53, 95]
    exact = variability_chart.caption(tables_of(metrics)["variability"], 54, 0.95)
    assert without_numbers(exact) != without_numbers(caption)
    assert drawing.specification(variability_chart.variability_chart(rows.iloc[:0]))["mark"]["type"] == "text"
