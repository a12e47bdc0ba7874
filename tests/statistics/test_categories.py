"""Factors whose levels are names: against R's contr.sum by statsmodels' formulas, closed forms, and simulated truth."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from finevar.analyses.claims import read_claim
from finevar.analyses.effects import asked_of, effect_rows, judged_effects
from finevar.analyses.failures import failure_rows
from finevar.analyses.fits import FittedStudy, Plan, fit_study, no_outcomes
from finevar.reasons import Stop
from finevar.statistics import families, gain, optimum, regression, slopes
from finevar.statistics.covariance import CLASSICAL, Errors, errors_of, wald_test
from finevar.statistics.simple_effects import simple_effects
from finevar.statistics.surface_ledger import orthonormal_effects
from finevar.study.coding import (
    Category,
    Coding,
    axes_of,
    changes_of,
    coded_of,
    cuts,
    model_matrix,
    natural_of,
    range_weights,
    term_name,
    terms,
)

SCHEDULES, OPTIMIZERS = ("linear", "cosine", "constant"), ("adamw", "sgd")
CODINGS = {
    "learning_rate": Coding((1e-5, 2e-5, 4e-5), "log2"),
    "schedule": Category(SCHEDULES),
    "optimizer": Category(OPTIMIZERS),
}


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Enough for a quantile to within 2 %."""
    monkeypatch.setattr(families, "DRAWS", 20_000)


def simulated(effect=None, *, seeds: int = 5, codings=CODINGS, draw: int = 1, noise: float = 0.01) -> pd.DataFrame:
    """Return a full factorial's runs; effect: of a setting's levels on the loss, 0 without it."""
    rng = np.random.default_rng(draw)
    settings = [
        dict(zip(codings, levels, strict=True)) for levels in itertools.product(*(c.levels for c in codings.values()))
    ]
    rows = [setting | {"seed": seed} for setting in settings for seed in range(seeds)]
    runs = pd.DataFrame(rows)
    mean = np.array([0.0 if effect is None else effect(row) for row in rows])
    shifts = rng.normal(scale=noise, size=seeds)
    names = [f"run{number}" for number in range(len(runs))]
    point = runs[list(codings)].astype(str).agg("-".join, axis=1)
    runs = runs.assign(run_id=names, trajectory_id=names, point_id=point, dataset="amazon", status="ok")
    loss = 0.5 + mean + shifts[runs["seed"]] + rng.normal(scale=noise, size=len(runs))
    return runs.assign(loss=loss, dtype_used="float32", baseline_loss=0.4)


def surface_of(runs: pd.DataFrame, order: str = "quadratic", codings=CODINGS, errors: Errors | None = None):
    return regression.fit_surface(
        runs, "loss", codings, terms(axes_of(codings), order), 0.95, errors, smallest_effect=0.02
    )


def truth(row) -> float:
    """Cosine is 0.03 above the others with SGD, and its slope is steeper by 0.01."""
    x = CODINGS["learning_rate"].coded(row["learning_rate"])
    return 0.02 * x + 0.01 * x**2 + (row["schedule"] == "cosine") * (0.03 * (row["optimizer"] == "sgd") + 0.01 * x)


# Columns and terms ----------------------------------------------------------------------------------------------------


def test_columns_sum_to_zero_over_the_levels_and_are_read_back():
    coding = CODINGS["schedule"]
    columns = coding.columns(SCHEDULES)
    assert columns.tolist() == [[1, 0], [0, 1], [-1, -1]]
    assert coding.values(columns).tolist() == list(SCHEDULES)
    assert coding.shares(np.zeros((1, 2)))[0] == pytest.approx([1 / 3] * 3)
    with pytest.raises(ValueError, match="linear, cosine"):
        coding.columns(["warm"])
    levels = {"learning_rate": [1e-5, 4e-5], "schedule": ["constant", "linear"], "optimizer": ["sgd", "adamw"]}
    coded = coded_of(CODINGS, levels)
    assert {axis: column.tolist() for axis, column in coded.items()} == {
        "learning_rate": [-1, 1], "schedule[linear]": [-1, 1], "schedule[cosine]": [-1, 0], "optimizer[adamw]": [-1, 1]
    }  # fmt: skip
    assert natural_of(CODINGS, coded)["schedule"].tolist() == levels["schedule"]


def test_terms_have_no_squares_of_names_and_no_products_within_a_category():
    found = [term_name(term) for term in terms(axes_of(CODINGS), "quadratic")]
    assert found == [
        "intercept", "learning_rate", "schedule[linear]", "schedule[cosine]", "optimizer[adamw]",
        "learning_rate:schedule[linear]", "learning_rate:schedule[cosine]", "learning_rate:optimizer[adamw]",
        "schedule[linear]:optimizer[adamw]", "schedule[cosine]:optimizer[adamw]", "learning_rate^2",
    ]  # fmt: skip


# Against statsmodels' formulas ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def by_formula():
    """Return the surface of a study with gaps, and what a formula of Sum contrasts makes of its runs."""
    runs = simulated(truth)
    runs = runs[np.arange(len(runs)) % 11 != 5].reset_index(drop=True)
    x = CODINGS["learning_rate"].coded(runs["learning_rate"])
    order = {level: f"{number}{level}" for number, level in enumerate((*SCHEDULES, *OPTIMIZERS))}
    table = runs.assign(x=x, s=runs["schedule"].map(order), o=runs["optimizer"].map(order))
    formula = (
        "loss ~ x + C(s, Sum) + C(o, Sum) + x:C(s, Sum) + x:C(o, Sum) + C(s, Sum):C(o, Sum) + I(x**2) + C(seed, Sum)"
    )
    return surface_of(runs, errors=CLASSICAL), smf.ols(formula, table).fit()


def test_estimates_and_errors_are_those_of_sum_contrasts(by_formula):
    surface, fit = by_formula
    names = {
        "intercept": "Intercept", "learning_rate": "x", "schedule[linear]": "C(s, Sum)[S.0linear]",
        "schedule[cosine]": "C(s, Sum)[S.1cosine]", "optimizer[adamw]": "C(o, Sum)[S.3adamw]",
        "learning_rate:schedule[cosine]": "x:C(s, Sum)[S.1cosine]", "learning_rate^2": "I(x ** 2)",
        "schedule[cosine]:optimizer[adamw]": "C(s, Sum)[S.1cosine]:C(o, Sum)[S.3adamw]", "seed[0]": "C(seed, Sum)[S.0]",
    }  # fmt: skip
    at = [surface.names.index(name) for name in names]
    assert surface.fit.params[at] == pytest.approx(fit.params[list(names.values())].to_numpy(), rel=1e-8)
    assert surface.fit.bse[at] == pytest.approx(fit.bse[list(names.values())].to_numpy(), rel=1e-8)


@pytest.mark.parametrize(
    ("words", "text"),
    [(("schedule",), "C(s, Sum)"), (("schedule", "learning_rate"), "x:C(s, Sum)"),
     (("schedule", "optimizer"), "C(s, Sum):C(o, Sum)")],
)  # fmt: skip
def test_the_joint_test_of_a_block_is_that_of_type_three(by_formula, words, text):
    surface, fit = by_formula
    rows = fit.wald_test_terms(skip_single=False, scalar=True).table
    own = [
        k for k, term in enumerate(surface.columns) if sorted(axis.partition("[")[0] for axis in term) == sorted(words)
    ]
    f_value, p = wald_test(surface.fit, own)
    assert (f_value, p) == pytest.approx((rows.loc[text, "statistic"], rows.loc[text, "pvalue"]), rel=1e-8)


def test_with_noise_of_each_run_it_is_that_of_hc3(by_formula):
    surface, fit = by_formula
    robust = surface_of(surface.runs, errors=errors_of(surface.runs))
    assert robust.errors.kind == "HC3"
    other = fit.get_robustcov_results("HC3")
    names = list(fit.params.index)
    at = [names.index(f"C(s, Sum)[S.{level}]") for level in ("0linear", "1cosine")]
    expected = other.f_test(np.eye(len(names))[at])
    own = [surface.names.index(f"schedule[{level}]") for level in ("linear", "cosine")]
    assert wald_test(robust.fit, own) == pytest.approx((float(expected.fvalue), float(expected.pvalue)), rel=1e-8)


def test_a_change_between_levels_is_the_difference_of_marginal_means(by_formula):
    """Levels of the others are averaged, so that a formula's predictions at x = 0 over both optimizers give it."""
    surface, fit = by_formula
    levels = itertools.product(("0linear", "1cosine"), ("3adamw", "4sgd"), range(5))
    places = pd.DataFrame(levels, columns=["s", "o", "seed"]).assign(x=0.0)
    means = fit.predict(places).groupby(places["s"]).mean()
    weights = surface.padded(regression_weights(surface, "schedule[cosine-linear]"))
    assert weights @ surface.fit.params == pytest.approx(means["1cosine"] - means["0linear"], rel=1e-8)


def regression_weights(surface, name: str) -> np.ndarray:
    return range_weights(changes_of(surface.codings)[name], surface.codings, surface.columns)


def test_the_surface_about_the_baseline_is_the_same_fit():
    """Relative terms are the slopes in the baseline's own category, to rounding."""
    surface = surface_of(simulated(truth))
    baseline = {"learning_rate": 4e-5, "schedule": "constant", "optimizer": "sgd"}
    relative, deviation = regression.fit_relative(surface, baseline)
    assert deviation < 1e-9
    x = {"learning_rate": [2e-5, 4e-5], "schedule": ["constant"] * 2, "optimizer": ["sgd"] * 2}
    own = surface.padded(model_matrix(coded_of(CODINGS, x), surface.columns)) @ surface.fit.params
    assert relative.fit.params[0] == pytest.approx(own[1] - 0.4, rel=1e-9)


# Effects --------------------------------------------------------------------------------------------------------------


def test_a_verdict_is_asked_of_each_category_and_each_two_of_its_levels():
    assert asked_of(CODINGS) == [
        "learning_rate", "schedule", "schedule[cosine-linear]", "schedule[constant-linear]",
        "schedule[constant-cosine]", "optimizer[sgd-adamw]",
    ]  # fmt: skip


def test_effects_find_where_a_schedule_matters():
    """With SGD at the highest rate cosine is 0.03 + 0.01 above the others; constant and linear are the same."""
    rows = {row["factor"]: row for row in judged_effects([surface_of(simulated(truth, noise=0.002, seeds=6))])}
    whole, pair = rows["schedule"], rows["schedule[cosine-linear]"]
    assert (whole["verdict"], pair["verdict"]) == ("effect", "effect")
    assert rows["schedule[constant-linear]"]["verdict"] == "negligible"
    assert (pair["from_level"], pair["unit"]) == (None, "cosine instead of linear")
    assert pair["change"] == pytest.approx(0.015, abs=0.002)
    assert pair["largest"] == pytest.approx(0.04, abs=0.004)
    assert pair["largest_at"] == "learning_rate = 4e-05, optimizer = sgd"
    assert whole["largest_change"] in ("schedule[cosine-linear]", "schedule[constant-cosine]")
    assert (pair["simple_effects"], whole["simple_effects"]) == (6, 18)
    assert "change" not in whole


def test_a_pair_of_levels_on_a_balanced_design_is_a_t_test_of_the_seeds_own_changes():
    codings = {"schedule": Category(("linear", "cosine"))}
    runs = simulated(codings=codings, seeds=6)
    (row,) = judged_effects([surface_of(runs, "first_order", codings)])
    means = runs.pivot_table(index="seed", columns="schedule", values="loss")
    expected = stats.ttest_1samp(means["cosine"] - means["linear"], 0)
    low, high = expected.confidence_interval(0.95)
    assert (row["change"], row["ci_low"], row["ci_high"]) == pytest.approx(
        ((means["cosine"] - means["linear"]).mean(), low, high), rel=1e-9
    )
    assert row["p_value"] == pytest.approx(expected.pvalue, rel=0.1)


def test_under_no_effect_joint_tests_and_contrasts_keep_their_level():
    """200 studies of noise alone: a verdict by chance on the schedule as a whole in at most 5 %, within three errors.

    The interval of one contrast misses zero in 5 %.
    """
    codings = {"learning_rate": CODINGS["learning_rate"], "schedule": CODINGS["schedule"]}
    found = []
    for draw in range(200):
        surface = surface_of(simulated(codings=codings, draw=draw, seeds=4), "interactions", codings)
        rows = {row["factor"]: row for row in effect_rows(surface)}
        pair = rows["schedule[constant-cosine]"]
        own = [surface.names.index(axis) for axis in codings["schedule"].axes("schedule")]
        found.append([rows["schedule"]["p_value"] < 0.05, not pair["ci_low"] < 0 < pair["ci_high"],
                      wald_test(surface.fit, own)[1] < 0.05])  # fmt: skip
    whole, one, wald = np.mean(found, axis=0)
    most = 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert whole <= most
    assert 0.05 - 3 * np.sqrt(0.05 * 0.95 / 200) <= one <= most
    assert wald <= most


# Slopes, optima, divisions --------------------------------------------------------------------------------------------


def test_a_number_has_a_slope_within_each_level():
    """By ordinary least squares within each schedule alone, which in a balanced design is the same estimate."""
    codings = {name: CODINGS[name] for name in ("learning_rate", "schedule")}
    runs = simulated(truth_of(codings), codings=codings)
    surface = surface_of(runs, codings=codings)
    rows = pd.DataFrame(slopes.slope_rows(surface, {"learning_rate": 1e-5, "schedule": "cosine"}))
    own = rows[(rows["place"] == "simple") & (rows["units"] == "coded")].set_index("moderator")["estimate"]
    for level in SCHEDULES:
        part = runs[runs["schedule"] == level]
        x = CODINGS["learning_rate"].coded(part["learning_rate"])
        assert own[f"schedule[{level}]"] == pytest.approx(np.polyfit(x, part["loss"], 1)[0], rel=1e-9)
    at = rows[(rows["place"] == "baseline") & (rows["units"] == "coded")]["estimate"].item()
    curve = surface.fit.params[surface.names.index("learning_rate^2")]
    assert at == pytest.approx(own["schedule[cosine]"] - 2 * curve, rel=1e-9)


def truth_of(codings):
    return lambda row: truth({"optimizer": "adamw"} | row)


def test_each_combination_of_levels_has_a_stationary_point():
    """Of b x + c x^2 within a combination: -b / 2c, b by its own slope."""
    surface = surface_of(simulated(truth, noise=0.001))
    tables = optimum.optimum_rows(surface)
    assert [row["at"] for row in tables["optima"]] == list(cuts(CODINGS))
    (row,) = (row for row in tables["optimum_factors"] if row["at"] == "schedule = cosine, optimizer = sgd")
    assert row["stationary_coded"] == pytest.approx(-0.03 / (2 * 0.01), abs=0.2)
    assert {row["at"] for row in optimum.ridge_rows(surface)} == set(cuts(CODINGS))


def test_the_ledger_of_a_surface_is_that_of_its_own_values_on_a_fine_grid():
    """The mean square of each source of a polynomial, averaged over levels and over x uniform on -1 to 1."""
    surface = surface_of(simulated(truth))
    matrix, names = orthonormal_effects(surface)
    squares = pd.Series((matrix @ surface.fit.params) ** 2).groupby(np.array(names)).sum()
    nodes, weights = np.polynomial.legendre.leggauss(6)
    grid = pd.DataFrame(itertools.product(nodes, SCHEDULES, OPTIMIZERS), columns=["x", "schedule", "optimizer"])
    natural = grid.assign(learning_rate=CODINGS["learning_rate"].natural(grid["x"]))
    values = model_matrix(coded_of(CODINGS, natural), surface.columns) @ surface.fit.params[: len(surface.columns)]
    cube = values.reshape(6, 3, 2)
    own = weights / 2
    mean = np.einsum("i,ijk->jk", own, cube)
    schedule = mean.mean(1) - mean.mean()
    both = mean - mean.mean(1, keepdims=True) - mean.mean(0) + mean.mean()
    rate = cube.mean((1, 2)) - mean.mean()
    assert squares["schedule"] == pytest.approx((schedule**2).mean(), rel=1e-9)
    assert squares["schedule:optimizer"] == pytest.approx((both**2).mean(), rel=1e-9)
    assert squares["learning_rate"] == pytest.approx(own @ rate**2, rel=1e-9)
    total = (own @ ((cube - mean.mean()) ** 2).mean((1, 2))).item()
    assert squares.drop("seed").sum() == pytest.approx(total, rel=1e-9)


def test_shares_of_a_change_add_up_over_a_categorys_columns():
    surface = surface_of(simulated(truth))
    ends = [coded_of(CODINGS, {"learning_rate": [rate], "schedule": [schedule], "optimizer": [optimizer]})
            for rate, schedule, optimizer in ((1e-5, "linear", "adamw"), (4e-5, "cosine", "sgd"))]  # fmt: skip
    start, end = ({axis: float(x[0]) for axis, x in each.items()} for each in ends)
    shares = gain.shapley_weights(start, end, surface.columns) @ surface.fit.params[: len(surface.columns)]
    low, high = (model_matrix(each, surface.columns) @ surface.fit.params[: len(surface.columns)] for each in ends)
    assert shares.sum() == pytest.approx((high - low).item(), rel=1e-9)


# A whole study --------------------------------------------------------------------------------------------------------


def plan_of(**options) -> Plan:
    baseline = {"learning_rate": 1e-5, "schedule": "linear", "optimizer": "adamw"}
    return Plan(CODINGS, baseline, ["loss"], "quadratic", 0.95, smallest_effect={"loss": 0.02}, **options)


def claim(term: str, sign: str | None = None, framework: str | None = None) -> dict:
    return {"name": term, "response": "loss", "term": term, "sign": sign, "framework": framework, "finding": "effect",
            "statement": "", "source": "", "p": None}  # fmt: skip


@pytest.mark.parametrize(
    ("term", "sign", "estimate"),
    [("schedule[cosine-linear]", "positive", 0.015), ("schedule[linear-cosine]", "negative", -0.015),
     ("schedule[cosine-linear]:learning_rate", "positive", 0.02),
     ("schedule[cosine-linear]:optimizer[sgd-adamw]", "positive", 0.03)],
)  # fmt: skip
def test_a_claim_reads_a_change_between_levels(term, sign, estimate):
    surface = surface_of(simulated(truth, noise=0.001))
    found = read_claim(claim(term, sign), surface, {})
    assert found.reading.estimate == pytest.approx(estimate, abs=0.002)


def test_a_relative_claim_is_read_at_the_baselines_other_levels():
    surface = surface_of(simulated(truth, noise=0.001))
    baseline = {"learning_rate": 4e-5, "schedule": "linear", "optimizer": "sgd"}
    found = read_claim(claim("schedule[cosine-linear]", "positive", "relative"), surface, baseline)
    assert found.reading.estimate == pytest.approx(0.04, abs=0.003)


def test_a_claim_of_a_whole_category_counts_all_changes():
    surface = surface_of(simulated(truth, noise=0.001))
    assert read_claim(claim("schedule"), surface, {}).reading.p_value < 0.001
    assert read_claim(claim("schedule:learning_rate"), surface, {}).reading.p_value < 0.001


def test_all_tables_of_the_fits_are_made():
    runs = simulated(truth).assign(is_baseline_point=False)
    runs["is_baseline_point"] = runs["point_id"] == "1e-05-linear-adamw"
    tables = fit_study(FittedStudy.of(runs, plan_of()))
    assert [name for name, rows in tables.items() if not rows] == ["surface"]  # there is one number
    profile = pd.DataFrame(tables["profiles"])
    assert list(profile.loc[profile["value"].isna(), "factor"]) == [
        "schedule[linear]", "schedule[cosine]", "schedule[constant]", "optimizer[adamw]", "optimizer[sgd]"
    ]  # fmt: skip


def test_levels_that_fail_alike_or_not_are_a_likelihood_ratio():
    """Of two levels alone the test is that of a trend along them, whichever is called first."""
    runs = simulated(seeds=8)
    runs.loc[(runs["optimizer"] == "sgd") & (runs["seed"] < 4), "status"] = "diverged"
    rows = pd.DataFrame(failure_rows(FittedStudy(runs, plan_of(), [], {}, no_outcomes))["failures"]).set_index("factor")
    numbers = runs.assign(optimizer=(runs["optimizer"] == "sgd").astype(float))
    plan = Plan(CODINGS | {"optimizer": Coding((0.0, 1.0), "identity")}, {}, ["loss"], "quadratic", 0.95)
    other = pd.DataFrame(failure_rows(FittedStudy(numbers, plan, [], {}, no_outcomes))["failures"]).set_index("factor")
    assert rows.loc["optimizer[sgd]", "share"] == 0.5
    assert pd.isna(rows.loc["optimizer[sgd]", "trend"])
    assert rows.loc["optimizer[sgd]", "p_value"] == pytest.approx(other.loc["optimizer", "p_value"].iloc[0], rel=1e-6)
    assert rows.loc["schedule[linear]", "p_value"] > 0.5


def test_two_data_sets_are_compared_on_every_change():
    """Cosine gains on one data set what it loses on the other: the differences are found, and each has its verdict."""
    codings = {name: CODINGS[name] for name in ("learning_rate", "schedule")}
    parts = []
    for number, name in enumerate(("amazon", "tweets")):
        sign = 1 - 2 * number
        runs = simulated(
            lambda row, sign=sign: 0.05 * sign * (row["schedule"] == "cosine"), codings=codings, draw=number
        )
        parts.append(runs.assign(dataset=name, run_id=name + runs["run_id"], trajectory_id=name + runs["run_id"]))
    surface = surface_of(pd.concat(parts, ignore_index=True), "interactions", codings)
    rows = {(row["factor"], row["dataset"]): row for row in judged_effects([surface])}
    for name in ("schedule", "schedule[cosine-linear]"):
        assert rows[name, ""]["datasets_differ"]
        assert rows[name, ""]["verdict"] is None
        assert rows[name, "amazon"]["verdict"] == rows[name, "tweets"]["verdict"] == "effect"
    assert rows["schedule[cosine-linear]", "amazon"]["change"] == pytest.approx(0.05, abs=0.015)
    assert rows["schedule[cosine-linear]", "tweets"]["change"] == pytest.approx(-0.05, abs=0.015)


def test_nothing_is_predicted_at_the_level_where_all_runs_failed_nor_averaged_over_it():
    """At the highest rate with SGD: other levels keep their predictions there, the average over optimizers does not."""
    runs = simulated(truth)
    out = (runs["learning_rate"] == 4e-5) & (runs["optimizer"] == "sgd")
    runs.loc[out, "status"] = "diverged"
    (surface,) = FittedStudy.of(runs, plan_of()).surfaces
    highest = {"learning_rate": [4e-5, 4e-5, 2e-5], "schedule": ["linear"] * 3, "optimizer": ["sgd", "adamw", "sgd"]}
    coded = surface.coded(highest)
    assert surface.is_excluded(coded).tolist() == [True, False, False]
    averaged = coded | {"optimizer[adamw]": np.zeros(3)}
    assert surface.is_excluded(averaged).tolist() == [True, True, False]


def test_levels_beyond_count_are_what_a_gate_says():
    runs = simulated(truth)
    runs.loc[runs["optimizer"] == "sgd", "status"] = "diverged"
    study = FittedStudy.of(runs, plan_of())
    assert study.surfaces == []
    assert study.stopped["loss"].code == Stop.FEW_LEVELS


# Forbidden combinations -----------------------------------------------------------------------------------------------

FORBIDDEN = "not (optimizer == sgd and learning_rate > 3e-5)"


def is_allowed(row) -> bool:
    return not (row["optimizer"] == "sgd" and row["learning_rate"] > 3e-5)


def test_nothing_is_predicted_nor_compared_at_forbidden_settings():
    runs = simulated(truth)
    runs = runs[[is_allowed(row) for row in runs.to_dict("records")]].reset_index(drop=True)
    runs = runs.assign(is_baseline_point=False)
    study = FittedStudy.of(runs, plan_of(where=FORBIDDEN))
    (surface,) = study.surfaces
    places = {"learning_rate": [4e-5, 2e-5, 4e-5], "schedule": ["linear"] * 3, "optimizer": ["sgd", "sgd", "adamw"]}
    found = [row["predicted"] for row in regression.predicted(surface, surface.coded(places))]
    assert [value is None for value in found] == [True, False, False]
    averaged = surface.coded({name: levels[:1] for name, levels in places.items()}) | {"optimizer[adamw]": np.zeros(1)}
    assert next(regression.predicted(surface, averaged))["predicted"] is not None
    for name in ("learning_rate", "optimizer", "schedule[cosine-linear]"):
        effects = simple_effects(surface, name)
        factor = name.partition("[")[0]
        for levels in (effects.from_levels, effects.to_levels):
            rows = pd.DataFrame(dict(effects.others) | {factor: levels}).to_dict("records")
            assert all(map(is_allowed, rows))
    tables = fit_study(study)
    assert tables["effects"]
