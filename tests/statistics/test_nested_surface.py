"""Nested factors on surfaces: against statsmodels' formulas, closed forms, and simulated truth."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from finevar.analyses.claims import judge_claims, read_claim
from finevar.analyses.disagreements import shared_numbers
from finevar.analyses.effects import effect_rows
from finevar.analyses.fits import FittedStudy, Plan, fit_study
from finevar.statistics import families, optimum, regression, slopes
from finevar.statistics.anova import Grid
from finevar.statistics.covariance import CLASSICAL
from finevar.statistics.setting_means import setting_names
from finevar.statistics.simple_effects import simple_effects
from finevar.statistics.surface_ledger import Effects
from finevar.study.coding import Category, Coding, When, cuts, term_name, terms
from finevar.study.presence import numbers_at

METHODS, RANKS, RATES = ("full", "lora"), (2.0, 8.0, 32.0), (1e-5, 2e-5, 4e-5)
CODINGS = {
    "learning_rate": Coding(RATES, "log2"),
    "method": Category(METHODS),
    "lora_rank": Coding(RANKS, "log2", When("method", ("lora",))),
}
BASELINE = {"learning_rate": 1e-5, "method": "full", "lora_rank": None}


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Enough for a quantile to within 2 %."""
    monkeypatch.setattr(families, "DRAWS", 20_000)


def truth(row) -> float:
    """LoRA costs 0.05; its rank gains 0.03 a coded unit, 0.01 more at high rates, and bends by 0.02."""
    x, z = CODINGS["learning_rate"].coded(row["learning_rate"]), CODINGS["lora_rank"].coded(row["lora_rank"])
    own = 0.05 - 0.03 * z - 0.01 * z * x + 0.02 * z**2 if row["method"] == "lora" else 0.0
    return 0.02 * x + 0.01 * x**2 + own


def simulated(effect=truth, *, seeds: int = 5, noise: float = 0.004) -> pd.DataFrame:
    """Return the runs of every setting that there is."""
    rng = np.random.default_rng(3)
    places = [(rate, "full", None) for rate in RATES] + [
        (rate, "lora", rank) for rate, rank in itertools.product(RATES, RANKS)
    ]
    rows = [dict(zip(CODINGS, place, strict=True)) | {"seed": seed} for place in places for seed in range(seeds)]
    runs = pd.DataFrame(rows).astype({"lora_rank": float})
    shifts = rng.normal(scale=noise, size=seeds)
    loss = 0.5 + np.array([effect(row) for row in rows]) + shifts[runs["seed"]]
    names = [f"run{number}" for number in range(len(runs))]
    point = ["-".join(map(str, place)) for place in runs[list(CODINGS)].itertuples(index=False)]
    runs = runs.assign(run_id=names, trajectory_id=names, point_id=point, dataset="amazon", status="ok")
    runs = runs.assign(loss=loss + rng.normal(scale=noise, size=len(runs)), dtype_used="float32", baseline_loss=0.4)
    return runs.assign(is_baseline_point=runs["point_id"] == "1e-05-full-nan", train_seconds=10.0)


def surface_of(runs: pd.DataFrame, order: str = "quadratic", errors=None):
    return regression.fit_surface(runs, "loss", CODINGS, terms(CODINGS, order), 0.95, errors, smallest_effect=0.02)


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return simulated()


@pytest.fixture(scope="module")
def by_formula(runs):
    """Fit the same model in statsmodels' words: the rank's column is that of LoRA's runs alone."""
    lora = (runs["method"] == "lora").astype(float)
    x, z = np.log2(runs["learning_rate"] / 2e-5), lora * np.log2(runs["lora_rank"].fillna(8.0) / 8.0) / 2
    frame = runs.assign(x=x, z=z, full=1 - 2 * lora)
    return smf.ols("loss ~ x + full + z + x:full + x:z + I(x**2) + I(z**2) + C(seed, Sum)", frame).fit()


TERMS = {
    "intercept": "Intercept", "learning_rate": "x", "method[full]": "full", "lora_rank": "z",
    "learning_rate:method[full]": "x:full", "learning_rate:lora_rank": "x:z",
    "learning_rate^2": "I(x ** 2)", "lora_rank^2": "I(z ** 2)",
}  # fmt: skip


def test_estimates_and_errors_are_those_of_the_formula(runs, by_formula):
    surface = surface_of(runs, errors=CLASSICAL)
    assert [term_name(term) for term in surface.columns] == list(TERMS)
    for number, name in enumerate(TERMS.values()):
        assert surface.fit.params[number] == pytest.approx(by_formula.params[name], rel=1e-9)
        assert surface.fit.bse[number] == pytest.approx(by_formula.bse[name], rel=1e-9)


def slope_of(rows: pd.DataFrame, **wanted) -> float:
    (row,) = [row for row in rows.to_dict("records") if all(row.get(key) == value for key, value in wanted.items())]
    return row["estimate"]


def test_slopes_are_where_the_factor_exists(runs, by_formula):
    """At the baseline there is no rank; another factor's slope at a rank is LoRA's own; means are over LoRA's runs."""
    b = by_formula.params
    surface = surface_of(runs)
    rows = pd.DataFrame(slopes.slope_rows(surface, BASELINE)).query("units == 'coded'")
    assert set(rows.loc[rows["factor"] == "lora_rank", "place"]) == {"centre", "average", "simple"}
    rank = {"factor": "lora_rank"}
    assert slope_of(rows, **rank, place="centre") == pytest.approx(b["z"])
    assert slope_of(rows, **rank, place="average") == pytest.approx(b["z"])
    at_low = slope_of(rows, **rank, place="simple", moderator="learning_rate", moderator_level=1e-5)
    assert at_low == pytest.approx(b["z"] - b["x:z"])
    rate = slope_of(rows, factor="learning_rate", place="simple", moderator="lora_rank", moderator_level=32.0)
    assert rate == pytest.approx(b["x"] - b["x:full"] + b["x:z"])
    at_baseline = slope_of(rows, factor="learning_rate", place="baseline")
    assert at_baseline == pytest.approx(b["x"] + b["x:full"] - 2 * b["I(x ** 2)"])


def test_its_simple_effects_are_those_of_its_own_level_and_the_others_stop_at_what_exists(runs):
    surface = surface_of(runs)
    rank = simple_effects(surface, "lora_rank")
    assert set(rank.others["method"]) == {"lora"}
    assert len(rank.weights) == 3 * 3  # pairs of ranks by rates
    method = simple_effects(surface, "method")
    low, high = method.weights @ surface.fit.params, method.others["lora_rank"]
    wanted = [
        truth({"learning_rate": rate, "method": "lora", "lora_rank": rank})
        - truth({"learning_rate": rate, "method": "full", "lora_rank": rank})
        for rate, rank in zip(method.others["learning_rate"], high, strict=True)
    ]
    assert low == pytest.approx(wanted, abs=0.01)
    found = pd.DataFrame(effect_rows(surface)).set_index("factor")
    assert found.loc["lora_rank", "change"] == pytest.approx(-0.06, abs=0.01)
    assert "lora" in found.loc["lora_rank", "largest_at"]


def test_each_level_has_the_optimum_of_the_factors_that_exist_there(runs, by_formula):
    """By the closed form of a quadratic in one factor, and in two."""
    b = by_formula.params
    tables = optimum.optimum_rows(surface_of(runs))
    rows = pd.DataFrame(tables["optimum_factors"])
    full, lora = (rows[rows["at"] == f"method = {name}"] for name in METHODS)
    assert list(full["factor"]) == ["learning_rate"]
    assert full["stationary_coded"].item() == pytest.approx(-(b["x"] + b["x:full"]) / (2 * b["I(x ** 2)"]))
    assert list(lora["factor"]) == ["learning_rate", "lora_rank"]
    curves = np.array([[2 * b["I(x ** 2)"], b["x:z"]], [b["x:z"], 2 * b["I(z ** 2)"]]])
    wanted = np.linalg.solve(curves, [-(b["x"] - b["x:full"]), -b["z"]])
    assert lora["stationary_coded"].to_numpy() == pytest.approx(wanted)


def test_numbers_at_a_level_are_those_that_exist_there():
    assert {text: list(numbers_at(CODINGS, cut)) for text, cut in cuts(CODINGS).items()} == {
        "method = full": ["learning_rate"], "method = lora": ["learning_rate", "lora_rank"]
    }  # fmt: skip


def test_shares_are_those_of_the_surface_over_all_factors_as_if_the_rank_were_drawn_everywhere(runs):
    """By a fine grid: the variance of means over all else, the factor without an effect where it does not exist."""
    surface = surface_of(runs)
    nodes, weights = np.polynomial.legendre.leggauss(5)
    x, z = np.meshgrid(nodes, nodes, indexing="ij")
    b = dict(zip(surface.names, surface.fit.params, strict=True))

    def value(full: float) -> np.ndarray:
        own = (full < 0) * (b["lora_rank"] * z + b["learning_rate:lora_rank"] * x * z + b["lora_rank^2"] * z**2)
        both = b["learning_rate"] * x + b["learning_rate^2"] * x**2 + b["learning_rate:method[full]"] * x * full
        return both + b["method[full]"] * full + own

    cube = np.stack([value(1), value(-1)])  # [method, rate, rank]
    share = [np.full(2, 0.5), weights / 2, weights / 2]
    names = ["method", "learning_rate", "lora_rank"]

    def mean(kept: tuple[int, ...]) -> np.ndarray:
        out = cube
        for axis in (axis for axis in range(3) if axis not in kept):
            out = np.average(out, axis=axis, weights=share[axis], keepdims=True)
        return out

    def variance(kept: tuple[int, ...]) -> float:
        parts = sum((-1) ** (len(kept) - k) * mean(own) for k in range(len(kept) + 1)
                    for own in itertools.combinations(kept, k))  # fmt: skip
        every = np.einsum("i,j,k->ijk", *share)
        return float((np.broadcast_to(parts, cube.shape) ** 2 * every).sum())

    parts = Effects.of(surface)
    found = (parts.matrix @ surface.fit.params) ** 2 @ parts.membership
    by_name = {frozenset(name.split(":")): value for name, value in zip(parts.sources, found, strict=True)}
    for kept in (own for k in (1, 2, 3) for own in itertools.combinations(range(3), k)):
        assert by_name[frozenset(names[axis] for axis in kept)] == pytest.approx(variance(kept), rel=1e-9, abs=1e-12)


def test_settings_without_it_are_settings(runs):
    assert setting_names(runs, CODINGS).notna().all()
    surface = surface_of(runs)
    assert len(surface.points) == 12
    assert Grid.of(runs, list(CODINGS)) is None
    best, alike = optimum.predicted_best(surface)
    own = runs.loc[runs["point_id"] == best["point_id"], "loss"].mean()
    assert best["observed"] == pytest.approx(own)
    assert len(alike) == 1 + best["rivals"]
    assert alike.loc[alike["method"] == "full", "lora_rank"].isna().all()


def test_a_relative_claim_on_it_needs_a_baseline_that_has_it(runs):
    claim = {"name": "c", "response": "loss", "term": "lora_rank", "sign": "negative", "framework": "relative",
             "finding": "effect", "statement": "", "source": "", "p": None}  # fmt: skip
    (row,) = judge_claims(FittedStudy.of(runs, plan(claims=[claim])))
    assert row["verdict"] == "undecided"
    assert row["reason_code"] == "no_baseline"
    absolute = read_claim(claim | {"framework": None}, surface_of(runs), BASELINE)
    assert absolute.reading.estimate == pytest.approx(-0.06, abs=0.01)


def test_directions_are_compared_along_what_exists_everywhere(runs):
    assert shared_numbers(surface_of(runs)) == ["learning_rate"]


def plan(**options) -> Plan:
    return Plan(CODINGS, BASELINE, ["loss"], "quadratic", 0.95, smallest_effect={"loss": 0.02}, **options)


def test_all_tables_are_made_and_say_nothing_of_it_where_it_does_not_exist(runs):
    tables = {name: pd.DataFrame(rows) for name, rows in fit_study(FittedStudy.of(runs, plan())).items()}
    assert not tables["coefficients"].empty
    held = tables["surface"]["held"]
    assert set(held) == {"method = lora"}
    assert len(tables["surface"]) == 25**2
    profile = tables["profiles"].query("factor == 'lora_rank'")
    surface = surface_of(runs)
    place = {"learning_rate": [2e-5], "method": ["lora"], "lora_rank": [8.0]}
    middle = next(regression.predicted(surface, surface.coded(place)))
    assert profile.iloc[20]["predicted"] == pytest.approx(middle["predicted"])
