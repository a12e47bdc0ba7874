"""Factors that exist at some levels of a category alone: config, designs, ids and terms."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest

from finevar.results.aggregation import trajectory_id
from finevar.study.coding import coded_of, codings_of, natural_of, present, term_name, terms
from finevar.study.config import read_config
from finevar.study.design import baseline_levels, design_points, design_rows, left_out, plan_runs, plan_study
from finevar.study.identity import Identities
from finevar.study.presence import settled
from refusals import at, refusals

DECAYS = [0.001, 0.01, 0.1]


def with_decay(raw: dict[str, Any], when: Any = None, **design: Any) -> dict[str, Any]:
    """Return a config of the rate, the optimizer and, with AdamW alone, the decay."""
    raw = copy.deepcopy(raw)
    del raw["training"]["weight_decay"]
    raw["baseline"]["settings"]["weight_decay"] = 0.02
    raw["sweep"]["factors"] = {
        "learning_rate": {"levels": ["2.5e-5", "1e-4", "4e-4"], "coding": "log2"},
        "optimizer": {"levels": ["adamw", "sgd"]},
        "weight_decay": {"levels": DECAYS, "coding": "log10", "when": when or {"optimizer": "adamw"}},
    }
    raw["sweep"]["design"] = {"kind": "full_factorial", "include_baseline": False, **design}
    raw["analysis"] = {"model": "first_order"}
    return raw


def points_of(raw: dict[str, Any]) -> list[tuple]:
    return [tuple(point.values()) for point in design_points(read_config(raw))]


def runs_of(raw: dict[str, Any]):
    config = read_config(raw)
    known = Identities({config["model"]: {"m": 1}}, {name: {"d": 1} for name in config["datasets"]})
    return plan_runs(config, design_points(config), known)


# Settings -------------------------------------------------------------------------------------------------------------


def test_a_nested_factor_varies_only_where_it_exists(raw_config):
    rates = (2.5e-5, 1e-4, 4e-4)
    assert set(points_of(with_decay(raw_config))) == {
        *itertools.product(rates, ["adamw"], DECAYS),
        *itertools.product(rates, ["sgd"], [None]),
    }


@pytest.mark.parametrize(("when", "each"), [("adamw", 1), (["adamw", "adafactor"], 2), (["sgd"], 1)])
def test_it_exists_at_one_level_or_several(raw_config, when, each):
    raw = with_decay(raw_config, {"optimizer": when})
    raw["sweep"]["factors"]["optimizer"]["levels"] = ["adamw", "sgd", "adafactor"]
    assert len(points_of(raw)) == 3 * (3 * each + 3 - each)


def test_designs_of_numbers_are_those_of_fewer_numbers_where_it_does_not_exist(raw_config):
    """Of a face-centred central composite without a factor, what is left is that of the others."""
    points = points_of(with_decay(raw_config, kind="central_composite"))
    assert len(points) == len(set(points)) == 9 + 3  # of two factors the 3 x 3 grid, of one its levels
    sample = points_of(with_decay(raw_config, kind="latin_hypercube", points=7))
    assert [decay for _, optimizer, decay in sample if optimizer == "sgd"] == [None] * 7
    assert None not in [decay for _, optimizer, decay in sample if optimizer == "adamw"]


def test_an_optimal_design_counts_settings_that_differ(raw_config):
    raw = with_decay(raw_config, kind="optimal", runs=13)
    at(refusals(read_config, raw), "config: sweep.design.runs", "13", "12")
    assert len(set(points_of(with_decay(raw_config, kind="optimal", runs=8)))) == 8


def test_a_condition_does_not_ask_what_does_not_exist(raw_config):
    raw = with_decay(raw_config, where="weight_decay < 0.1 or learning_rate < 3e-4")
    assert left_out(read_config(raw)) == (1, 12)
    assert sum(decay is None for *_, decay in points_of(raw)) == 3


def test_a_table_leaves_its_cell_empty(raw_config, tmp_path):
    path = tmp_path / "points.csv"
    rows = ["2.5e-5,adamw,0.001", "4e-4,adamw,0.1", "1e-4,adamw,0.1", "2.5e-5,sgd,", "4e-4,sgd,"]
    path.write_text("\n".join(["learning_rate,optimizer,weight_decay", *rows]), encoding="utf-8")
    raw = with_decay(raw_config, kind="table", file=str(path))
    assert points_of(raw)[-1] == (4e-4, "sgd", None)
    path.write_text("\n".join(["learning_rate,optimizer,weight_decay", *rows[:3], "1e-4,sgd,0.1", "1e-4,adamw,"]))
    found = refusals(plan_study, read_config(raw))
    at(found, f"{path}, line 5, column weight_decay", "'0.1'", "nothing", "sgd")
    at(found, f"{path}, line 6, column weight_decay", "''", "0.001")


# Runs -----------------------------------------------------------------------------------------------------------------


def test_where_it_does_not_exist_a_run_has_its_default_and_tables_nothing(raw_config):
    rows = {run.run_id: run for run in runs_of(with_decay(raw_config)).values()}
    sgd = [run for run in rows.values() if run.settings["optimizer"] == "sgd"]
    assert {run.settings["weight_decay"] for run in sgd} == {0.0}
    assert {row["weight_decay"] for row in design_rows(sgd)} == {None}
    assert len(sgd) == 3 * 2


def test_its_runs_are_those_of_a_study_without_it(raw_config):
    without = with_decay(raw_config)
    del without["sweep"]["factors"]["weight_decay"]
    alone = {name for name, run in runs_of(without).items() if run.settings["optimizer"] == "sgd"}
    assert alone < set(runs_of(with_decay(raw_config)))


def test_runs_without_a_warmup_of_their_own_share_trajectories_by_its_default(raw_config):
    """Two rates, data sets and seeds with sgd, whose warm-up of 0 steps leaves one trajectory to all epochs."""
    raw = with_decay(raw_config)
    raw["training"] = {"schedule": "constant"}
    del raw["baseline"]["settings"]["weight_decay"]
    raw["baseline"]["settings"] |= {"optimizer": "adamw", "warmup": 2}
    raw["sweep"]["factors"] = {
        "learning_rate": {"levels": [1e-4, 2e-4]},
        "epochs": {"levels": [1, 2]},
        "optimizer": {"levels": ["adamw", "sgd"]},
        "warmup": {"levels": [2, 4], "when": {"optimizer": "adamw"}},
    }
    for optimizer, warmups in (("sgd", {None}), ("adamw", {2, 4})):
        rows = [run.record for run in runs_of(raw).values() if run.settings["optimizer"] == optimizer]
        assert {row["warmup"] for row in rows} == warmups
        assert len({trajectory_id(row) for row in rows}) == len(rows) / 2


def test_the_baseline_has_it_where_its_own_level_has(raw_config):
    for optimizer, level in (("adamw", 0.02), ("sgd", None)):
        raw = with_decay(raw_config)
        raw["baseline"]["settings"] |= {"optimizer": optimizer, "weight_decay": 0.02}
        assert baseline_levels(read_config(raw))["weight_decay"] == level


# Columns and terms ----------------------------------------------------------------------------------------------------

FACTORS = {
    "learning_rate": {"levels": [1e-5, 4e-5], "coding": "log2"},
    "optimizer": {"levels": ["adamw", "sgd", "adafactor"]},
    "weight_decay": {"levels": [0.01, 0.1], "coding": "log10", "when": {"optimizer": ["adamw", "adafactor"]}},
    "warmup": {"levels": [0.0, 0.2], "when": {"optimizer": "sgd"}},
    "dropout": {"levels": [0.0, 0.2], "when": {"optimizer": "adamw"}},
}
CODINGS = codings_of(FACTORS)


def test_its_column_is_coded_in_its_own_levels_and_0_elsewhere():
    natural = {
        "learning_rate": [1e-5, 4e-5, 1e-5],
        "optimizer": ["adamw", "sgd", "adafactor"],
        "weight_decay": [0.01, None, 0.1],
        "warmup": [None, 0.2, None],
        "dropout": [0.1, None, None],
    }
    coded = coded_of(CODINGS, natural)
    assert coded["weight_decay"] == pytest.approx([-1, 0, 1])
    assert coded["warmup"] == pytest.approx([0, 1, 0])
    assert coded["dropout"] == pytest.approx([0, 0, 0])
    back = natural_of(CODINGS, coded)
    assert back["weight_decay"] == pytest.approx([0.01, float("nan"), 0.1], nan_ok=True)
    assert back["dropout"] == pytest.approx([0.1, float("nan"), float("nan")], nan_ok=True)
    assert {name: there.tolist() for name, there in present(CODINGS, coded).items()} == {
        "weight_decay": [True, False, True], "warmup": [False, True, False], "dropout": [True, False, False]
    }  # fmt: skip
    moved = settled(CODINGS, coded | {"weight_decay": coded["learning_rate"]})
    assert moved["weight_decay"] == pytest.approx([-1, 0, -1])


def test_it_has_no_product_with_its_own_category_nor_with_what_exists_elsewhere():
    pairs = {term_name(term) for term in terms(CODINGS, "interactions") if len(term) == 2}
    assert pairs == {
        "learning_rate:optimizer[adamw]", "learning_rate:optimizer[sgd]", "learning_rate:weight_decay",
        "learning_rate:warmup", "learning_rate:dropout", "weight_decay:dropout",
    }  # fmt: skip


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "where", "data"),
    [
        ({"schedule": "linear"}, "when", ["'schedule'", "optimizer"]),
        ({"learning_rate": "1e-4"}, "when", ["'learning_rate'", "optimizer"]),
        ({"optimizer": "sdg"}, "when.optimizer", ["'sdg'", "adamw, sgd"]),
        ({"optimizer": ["adamw", "sgd"]}, "when.optimizer", ["adamw, sgd", "not all"]),
        ({"optimizer": []}, "when.optimizer", ["1 or more"]),
        ({"optimizer": "sgd", "schedule": "linear"}, "when", ["1 entries"]),
        ({"optimizer": 3}, "when.optimizer", ["string or array"]),
    ],
)
def test_where_it_exists_must_be_levels_of_a_factor_of_names(raw_config, when, where, data):
    at(refusals(read_config, with_decay(raw_config, when)), f"config: sweep.factors.weight_decay.{where}", *data)
