"""Levels that slide with a category: config, designs, columns, and surfaces against statsmodels' formulas."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from finevar.analyses.claims import judge_claims, read_claim
from finevar.analyses.effects import effect_rows
from finevar.analyses.fits import FittedStudy, Plan, fit_study
from finevar.statistics import families, optimum, regression, slopes
from finevar.statistics.covariance import CLASSICAL
from finevar.statistics.simple_effects import simple_effects
from finevar.study.coding import coded_of, codings_of, natural_of, terms
from finevar.study.config import read_config
from finevar.study.consistency import nested_problems
from finevar.study.design import design_points, left_out, plan_study
from finevar.words.formatting import held_levels, settings_text
from refusals import at, refusals

FULL, LORA, RANKS = [1e-5, 2e-5, 4e-5], [1e-4, 2e-4, 4e-4], [2.0, 8.0, 32.0]
CODINGS = codings_of({
    "learning_rate": {"levels": {"full": FULL, "lora": LORA}, "coding": "log2"},
    "method": {"levels": ["full", "lora"]},
    "batch_size": {"levels": [8, 16, 32], "coding": "log2"},
})  # fmt: skip
BASELINE = {"learning_rate": 1e-5, "method": "full", "batch_size": 16}


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Enough for a quantile to within 2 %."""
    monkeypatch.setattr(families, "DRAWS", 20_000)


# The config and designs -----------------------------------------------------------------------------------------------


def with_rates(raw: dict[str, Any], levels: Any = None, **design: Any) -> dict[str, Any]:
    """Return a config of rates that slide with the optimizer."""
    raw = copy.deepcopy(raw)
    rates = levels or {"adamw": ["1e-5", "2e-5", "4e-5"], "sgd": ["1e-3", "2e-3", "4e-3"]}
    raw["sweep"]["factors"] = {
        "learning_rate": {"levels": rates, "coding": "log2"},
        "optimizer": {"levels": ["adamw", "sgd"]},
        "batch_size": {"levels": [8, 16, 32], "coding": "log2"},
    }
    raw["sweep"]["design"] = {"kind": "full_factorial", "include_baseline": False, **design}
    return raw


def test_two_factors_slide_with_one_category():
    codings = codings_of({
        "learning_rate": {"levels": {"full": FULL, "lora": LORA}, "coding": "log2"},
        "weight_decay": {"levels": {"full": [0.0, 0.1], "lora": [0.2, 0.3]}},
        "method": {"levels": ["full", "lora"]},
    })  # fmt: skip
    natural = {"learning_rate": [2e-5, 4e-4], "weight_decay": [0.1, 0.2], "method": ["full", "lora"]}
    coded = coded_of(codings, natural)
    assert coded["learning_rate"] == pytest.approx([0, 1])
    assert coded["weight_decay"] == pytest.approx([1, -1])


def points_of(raw: dict[str, Any]) -> set[tuple]:
    points = [tuple(point.values()) for point in design_points(read_config(raw))]
    assert len(points) == len(set(points))
    return set(points)


def test_each_level_of_the_category_has_its_own_rates(raw_config):
    assert points_of(with_rates(raw_config)) == {
        *itertools.product((1e-5, 2e-5, 4e-5), ["adamw"], (8, 16, 32)),
        *itertools.product((1e-3, 2e-3, 4e-3), ["sgd"], (8, 16, 32)),
    }


def test_a_design_of_numbers_is_made_in_coded_units(raw_config):
    grid = points_of(with_rates(raw_config, kind="central_composite"))
    assert grid == points_of(with_rates(raw_config))  # of two factors it is the grid
    sample = points_of(with_rates(raw_config, kind="latin_hypercube", points=12, seed=4))
    adamw = sorted(rate for rate, name, _ in sample if name == "adamw")
    sgd = sorted(rate for rate, name, _ in sample if name == "sgd")
    assert np.array(sgd) == pytest.approx(100 * np.array(adamw), rel=1e-3)


def test_an_optimal_design_chooses_among_them(raw_config):
    chosen = points_of(with_rates(raw_config, kind="optimal", runs=15))
    assert len(chosen) == 15
    assert chosen < points_of(with_rates(raw_config))


def test_a_condition_asks_of_the_rate_as_it_is(raw_config):
    raw = with_rates(raw_config, where="not (learning_rate > 3e-3 and batch_size == 8)")
    assert left_out(read_config(raw)) == (1, 18)


def test_a_table_has_each_optimizers_own_range(raw_config, tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("learning_rate,optimizer,batch_size\n1e-5,adamw,8\n1e-5,sgd,8\n", encoding="utf-8")
    found = refusals(plan_study, read_config(with_rates(raw_config, kind="table", file=str(path))))
    at(found, f"{path}, line 3, column learning_rate", "'1e-5'", "0.001 to 0.004")


@pytest.mark.parametrize(
    ("levels", "data"),
    [
        ({"adamw": [1e-5, 2e-5], "muon": [1e-3, 2e-3]}, ["adamw, muon", "optimizer (adamw, sgd)"]),
        ({"adamw": [1e-5, 2e-5, 4e-5], "sgd": [1e-3, 4e-3]}, ["2, 3", "as many"]),
        ({"adamw": [1e-5, 2e-5, 4e-5], "sgd": [1e-3, 2e-3, 8e-3]}, ["sgd: 0.001 to 0.008", "log2"]),
    ],
)
def test_levels_that_do_not_slide_with_a_category_are_refused(raw_config, levels, data):
    at(refusals(read_config, with_rates(raw_config, levels)), "config: sweep.factors.learning_rate.levels", *data)


def test_levels_of_two_factors_of_the_same_names_slide_with_neither():
    names = ["yes", "no"]
    codings = codings_of({
        "learning_rate": {"levels": {"yes": FULL, "no": LORA}, "coding": "log2"},
        "first": {"levels": names},
        "second": {"levels": names},
    })  # fmt: skip
    (problem,) = nested_problems(codings)
    at([problem], "config: sweep.factors.learning_rate.levels", "first", "second")


# Columns --------------------------------------------------------------------------------------------------------------


def test_levels_are_coded_within_their_own_and_read_back():
    natural = {"learning_rate": [1e-5, 4e-5, 1e-4, 4e-4], "method": ["full", "full", "lora", "lora"],
               "batch_size": [8, 16, 32, 8]}  # fmt: skip
    coded = coded_of(CODINGS, natural)
    assert coded["learning_rate"] == pytest.approx([-1, 1, -1, 1])
    assert natural_of(CODINGS, coded)["learning_rate"] == pytest.approx(natural["learning_rate"])
    averaged = natural_of(CODINGS, coded | {"method[full]": np.zeros(4)})
    assert np.isnan(averaged["learning_rate"]).all()


# Surfaces -------------------------------------------------------------------------------------------------------------


def coded_rate(frame: pd.DataFrame) -> pd.Series:
    return np.log2(frame["learning_rate"] / np.where(frame["method"] == "lora", 2e-4, 2e-5))


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    """At its own rates LoRA's slope is steeper by 0.02 a coded unit; the optimum is the same."""
    rng = np.random.default_rng(5)
    places = [(rate, method, size) for method, rates in (("full", FULL), ("lora", LORA)) for rate in rates
              for size in (8, 16, 32)]  # fmt: skip
    frame = pd.DataFrame([(*place, seed) for place in places for seed in range(5)], columns=[*CODINGS, "seed"])
    x, lora = coded_rate(frame), (frame["method"] == "lora").astype(float)
    z = np.log2(frame["batch_size"] / 16)
    loss = 0.5 + (0.01 + 0.02 * lora) * x + 0.02 * x**2 + 0.01 * z + 0.015 * z**2 + 0.03 * lora
    names = [f"run{number}" for number in range(len(frame))]
    point = ["-".join(map(str, place)) for place in frame[list(CODINGS)].itertuples(index=False)]
    frame = frame.assign(run_id=names, trajectory_id=names, point_id=point, dataset="amazon", status="ok")
    frame = frame.assign(loss=loss + rng.normal(scale=0.003, size=len(frame)), dtype_used="float32", baseline_loss=0.4)
    return frame.assign(is_baseline_point=False)


@pytest.fixture(scope="module")
def by_formula(runs):
    frame = runs.assign(x=coded_rate(runs), z=np.log2(runs["batch_size"] / 16), full=1 - 2 * (runs["method"] == "lora"))
    formula = "loss ~ x + full + z + x:full + x:z + full:z + I(x**2) + I(z**2) + C(seed, Sum)"
    return smf.ols(formula, frame).fit()


def surface_of(runs: pd.DataFrame, errors=None):
    columns = terms(CODINGS, "quadratic")
    return regression.fit_surface(runs, "loss", CODINGS, columns, 0.95, errors, smallest_effect=0.02)


def test_estimates_and_errors_are_those_of_the_formula(runs, by_formula):
    surface = surface_of(runs, CLASSICAL)
    names = ["Intercept", "x", "full", "z", "x:full", "x:z", "full:z", "I(x ** 2)", "I(z ** 2)"]
    assert surface.fit.params[:9] == pytest.approx(by_formula.params[names].to_numpy(), rel=1e-9)
    assert surface.fit.bse[:9] == pytest.approx(by_formula.bse[names].to_numpy(), rel=1e-9)


def test_optima_are_in_each_levels_own_units(runs, by_formula):
    b = by_formula.params
    curves = np.array([[2 * b["I(x ** 2)"], b["x:z"]], [b["x:z"], 2 * b["I(z ** 2)"]]])
    rows = pd.DataFrame(optimum.optimum_rows(surface_of(runs))["optimum_factors"]).query("factor == 'learning_rate'")
    for name, full, middle in (("full", 1, 2e-5), ("lora", -1, 2e-4)):
        x, _ = np.linalg.solve(curves, [-(b["x"] + full * b["x:full"]), -(b["z"] + full * b["full:z"])])
        found = rows.loc[rows["at"] == f"method = {name}", "stationary"].item()
        assert found == pytest.approx(middle * 2**x)


def test_slopes_are_of_it_and_at_the_levels_of_others(runs, by_formula):
    rows = pd.DataFrame(slopes.slope_rows(surface_of(runs), BASELINE)).query("units == 'natural'")
    own = rows[rows["factor"] == "learning_rate"].set_index("moderator")["estimate"]
    b = by_formula.params  # a coded unit is a doubling
    assert own["method[lora]"] == pytest.approx(b["x"] - b["x:full"])
    assert own["method[full]"] == pytest.approx(b["x"] + b["x:full"])
    assert "learning_rate" not in set(rows["moderator"])


def test_its_simple_effects_are_between_levels_of_one_method(runs):
    effects = simple_effects(surface_of(runs), "learning_rate")
    pairs = zip(effects.others["method"], effects.from_levels, effects.to_levels, strict=True)
    own = {"full": FULL, "lora": LORA}
    for method, low, high in pairs:
        assert min(abs(low - level) / level for level in own[method]) < 1e-9
        assert min(abs(high - level) / level for level in own[method]) < 1e-9
    row = pd.DataFrame(effect_rows(surface_of(runs))).set_index("factor").loc["learning_rate"]
    assert row["change"] == pytest.approx(0.04, abs=0.01)  # the mean of twice 0.01 and twice 0.03
    assert np.isnan(row["from_level"])
    assert row["largest_to"] == pytest.approx(4e-4)  # LoRA's


def test_a_claim_is_on_the_change_over_each_own_range(runs):
    claim = {"name": "c", "response": "loss", "term": "learning_rate", "sign": "positive", "framework": None}
    assert read_claim(claim, surface_of(runs), BASELINE).reading.estimate == pytest.approx(0.04, abs=0.01)


@pytest.mark.parametrize(("levels", "judged"), [("own", True), (None, True), ("same", False)])
def test_a_claim_on_the_same_levels_is_not_judged_by_those_that_slide(runs, levels, judged):
    claim = {"name": "c", "response": "loss", "term": "learning_rate:method[lora-full]", "sign": "positive", "p": None,
             "framework": None, "finding": "effect", "statement": "", "source": "", "levels": levels}  # fmt: skip
    plan = Plan(CODINGS, BASELINE, ["loss"], "quadratic", 0.95, [claim], smallest_effect={"loss": 0.02})
    (row,) = judge_claims(FittedStudy.of(runs, plan))
    assert (row["verdict"], row.get("reason_code")) == (
        ("replicated", None) if judged else ("undecided", "other_levels")
    )
    if judged:
        assert row["estimate"] == pytest.approx(0.04, abs=0.01)  # twice 0.03 less twice 0.01


def test_a_change_of_the_category_names_both_rates(runs):
    others = simple_effects(surface_of(runs), "method").others
    assert set(others["learning_rate"]) == {"1e-05 and 0.0001", "2e-05 and 0.0002", "4e-05 and 0.0004"}
    assert settings_text(held_levels("learning_rate = 1e-05 and 0.0001")) == "learning rate 1e-5 and 1e-4"


def test_rivals_of_the_best_are_given_within_each_level(runs):
    surface = surface_of(runs)
    best, alike = optimum.predicted_best(surface)
    full, lora = (
        optimum.rival_levels(alike, CODINGS, "learning_rate", f"method = {name}") for name in ("full", "lora")
    )
    assert best["point_id"].split("-")[2] == "full"  # LoRA costs 0.03
    assert full["best"] in FULL
    assert np.isnan(lora["best"])
    assert not lora["rival_high"] < LORA[0]


def test_what_a_condition_forbids_holds_no_optimum_and_no_ridge(runs):
    """Both optima lie at rates below the middle, where the ridge paths lead."""
    columns = terms(CODINGS, "quadratic")
    low = {"forbids": lambda coded: coded["learning_rate"] < 0}
    cut = regression.fit_surface(runs, "loss", CODINGS, columns, 0.95, smallest_effect=0.02, **low)
    for row, free in zip(
        optimum.optimum_rows(cut)["optima"], optimum.optimum_rows(surface_of(runs))["optima"], strict=True
    ):
        assert free["inside"]
        assert free["region_closed"]
        assert not row["inside"]
        assert not row["region_closed"]
        assert optimum.FORBIDDEN in row["reason"]
        assert row["stationary_predicted"] is None
        assert row["region_share"] < free["region_share"]
    assert {row["radius"] for row in optimum.ridge_rows(cut)} == {0.0}


def test_all_tables_are_made_and_profiles_and_planes_have_own_units(runs):
    plan = Plan(CODINGS, BASELINE, ["loss"], "quadratic", 0.95, smallest_effect={"loss": 0.02})
    tables = {name: pd.DataFrame(rows) for name, rows in fit_study(FittedStudy.of(runs, plan)).items()}
    ranges = tables["profiles"].groupby("factor")["value"].agg(["min", "max"])
    assert ranges.loc["learning_rate[full]"].tolist() == pytest.approx([1e-5, 4e-5])
    assert ranges.loc["learning_rate[lora]"].tolist() == pytest.approx([1e-4, 4e-4])
    planes = tables["surface"].groupby("held")["value_x"].agg(["min", "max"])
    assert planes.loc["method = lora"].tolist() == pytest.approx([1e-4, 4e-4])
