"""Factors whose levels are names, from the config to the runs: what is allowed, what is planned, which ids stay."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest

from finevar.study.config import read_config
from finevar.study.design import design_points, plan_runs, plan_study
from finevar.study.identity import Identities
from refusals import at, refusals

SCHEDULES = ["linear", "cosine", "constant"]


def with_schedule(raw: dict[str, Any], levels: Any = SCHEDULES, **design: Any) -> dict[str, Any]:
    """Return a config with the schedule as a factor, in a design."""
    raw = copy.deepcopy(raw)
    raw["sweep"]["factors"]["schedule"] = {"levels": levels}
    raw["sweep"]["design"] |= design
    return raw


def points_of(raw: dict[str, Any]) -> list[dict[str, Any]]:
    return design_points(read_config(raw))


def runs_of(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the planned runs, as if the model and the data sets had these contents."""
    config = read_config(raw)
    return plan_runs(
        config,
        design_points(config),
        Identities({config["model"]: {"m": 1}}, {name: {"d": 1} for name in config["datasets"]}),
    )


# The config -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "where", "data"),
    [
        ({"levels": ["linear", "cosinus"]}, "levels.1", ["cosinus", "linear, constant, cosine"]),
        ({"levels": ["linear", 3]}, "levels.1", ["3", "linear, constant, cosine"]),
        ({"levels": ["linear"]}, "levels", ["2 or more"]),
        ({"levels": ["linear", "linear"]}, "levels", ["differ"]),
        ({"levels": SCHEDULES, "coding": "log2"}, "", ["coding", "levels"]),
    ],
    ids=["unknown", "number", "one", "twice", "coding"],
)
def test_levels_that_are_names_are_checked(raw_config, factor, where, data):
    raw_config["sweep"]["factors"]["schedule"] = factor
    at(refusals(read_config, raw_config), f"config: sweep.factors.schedule{'.' if where else ''}{where}", *data)


def test_a_number_among_names_is_refused_and_a_name_among_numbers(raw_config):
    raw_config["sweep"]["factors"]["epochs"] = {"levels": [1, "many", 3]}
    at(refusals(read_config, raw_config), "config: sweep.factors.epochs.levels.1", "many", "integer")


def test_the_baselines_own_level_must_be_among_them(raw_config):
    """The remedies work: the level is added, or another one is stated."""
    raw = with_schedule(raw_config, ["cosine", "constant"])
    at(refusals(read_config, raw), "config: baseline.settings.schedule", "linear", "cosine, constant")
    assert read_config(with_schedule(raw_config))["baseline"]["settings"]["schedule"] == "linear"
    raw["baseline"]["settings"]["schedule"] = "constant"
    assert read_config(raw)["sweep"]["factors"]["schedule"] == {"levels": ["cosine", "constant"]}


@pytest.mark.parametrize("name", ["optimizer", "dtype"])
def test_other_settings_with_names_are_factors_too(raw_config, name):
    levels = {"optimizer": ["adamw", "adamw_uncorrected", "adafactor", "sgd"], "dtype": ["auto", "float32"]}[name]
    raw_config["sweep"]["factors"][name] = {"levels": levels}
    assert {point[name] for point in points_of(raw_config)} == set(levels)


# Designs --------------------------------------------------------------------------------------------------------------


def test_a_full_factorial_has_every_combination(raw_config):
    points = points_of(with_schedule(raw_config))
    assert len(points) == 81
    assert list(points[0]) == ["learning_rate", "batch_size", "epochs", "schedule"]


@pytest.mark.parametrize(
    ("design", "of_numbers"),
    [
        ({"kind": "central_composite"}, 15),
        ({"kind": "box_behnken"}, 13),
        ({"kind": "latin_hypercube", "points": 12}, 12),
    ],
    ids=["central composite", "Box-Behnken", "Latin hypercube"],
)
def test_a_design_of_numbers_is_tried_whole_at_each_name(raw_config, design, of_numbers):
    """The same settings of numbers as without names, at each of the three; the baseline's own is one more."""
    design |= {"include_baseline": False}
    alone = copy.deepcopy(raw_config)
    alone["sweep"]["design"] = design
    numbers = [tuple(point.values()) for point in points_of(alone)]
    crossed = [tuple(point.values()) for point in points_of(with_schedule(raw_config, **design))]
    assert len(numbers) == of_numbers
    assert crossed == [(*point, schedule) for point, schedule in itertools.product(numbers, SCHEDULES)]


def test_a_design_of_numbers_needs_enough_of_them(raw_config):
    raw = with_schedule(raw_config, kind="central_composite")
    del raw["sweep"]["factors"]["batch_size"], raw["sweep"]["factors"]["epochs"]
    at(refusals(read_config, raw), "config: sweep.factors", "2 factors, 1 with levels that are names", "2 or more")


def test_a_table_lists_names(raw_config, tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("schedule,epochs\ncosine,1\nlinear,3\nlinear,1\ncosine,2\nconstant,1\nconstant,3\ncosine,3\n")
    raw = with_schedule(raw_config, kind="table", file=str(path))
    for name in ("learning_rate", "batch_size"):
        del raw["sweep"]["factors"][name]
    raw["analysis"] = {"model": "interactions"}
    points = points_of(raw)
    assert points[0] == {"epochs": 1, "schedule": "cosine"}
    path.write_text("schedule,epochs\nwarm,1\nlinear,3\n")
    at(refusals(plan_study, read_config(raw)), f"{path}, line 2, column schedule", "warm", "linear, cosine, constant")


def test_every_name_must_be_tried(raw_config, tmp_path):
    path = tmp_path / "points.csv"
    rows = [f"{rate},{schedule}" for rate in (2.5e-5, 1e-4, 4e-4) for schedule in ("linear", "cosine")]
    path.write_text("\n".join(["learning_rate,schedule", *rows]))
    raw = with_schedule(raw_config, kind="table", file=str(path))
    for name in ("epochs", "batch_size"):
        del raw["sweep"]["factors"][name]
    at(refusals(plan_study, read_config(raw)), "config: sweep.factors", "schedule has 2 levels", "3 levels or more")


# Runs -----------------------------------------------------------------------------------------------------------------


def test_a_name_at_its_default_keeps_the_ids_of_runs(raw_config):
    before, after = set(runs_of(raw_config)), runs_of(with_schedule(raw_config))
    assert before <= set(after)
    assert len(after) == 3 * len(before)
    assert {run.settings["schedule"] for name, run in after.items() if name in before} == {"linear"}


def test_the_optimizer_is_in_an_id_where_it_is_not_the_default(raw_config):
    before = set(runs_of(raw_config))
    for name, same in (("adamw", True), ("sgd", False)):
        raw = copy.deepcopy(raw_config)
        raw["training"]["optimizer"] = name
        raw["baseline"]["settings"]["optimizer"] = "adamw"
        assert (set(runs_of(raw)) == before) is same


# Claims ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "named"),
    [
        ("schedule[cosine-linear]", "schedule[cosine-linear]"),
        ("schedule", "schedule"),
        ("schedule[linear-constant]:learning_rate", "learning_rate:schedule[linear-constant]"),
        ("optimizer[sgd-adamw]", "optimizer[sgd-adamw]"),
    ],
)
def test_a_claim_names_a_change_between_two_levels_or_all_of_them(raw_config, term, named):
    raw = with_schedule(raw_config)
    raw["analysis"] = {"claims": [{"response": "loss", "term": term}]}
    assert read_config(raw)["analysis"]["claims"][0]["term"] == named


@pytest.mark.parametrize("term", ["schedule[cosine-warm]", "schedule[cosine]", "schedule^2", "schedule:schedule"])
def test_a_claim_about_no_level_is_refused(raw_config, term):
    raw = with_schedule(raw_config)
    raw["analysis"] = {"claims": [{"response": "loss", "term": term}]}
    at(
        refusals(read_config, raw),
        "config: analysis.claims[0].term",
        "schedule[cosine-linear]",
        "learning_rate:schedule",
    )


def test_a_sign_needs_two_levels(raw_config):
    raw = with_schedule(raw_config)
    raw["analysis"] = {"claims": [{"response": "loss", "term": "schedule", "sign": "negative"}]}
    at(refusals(read_config, raw), "config: analysis.claims[0].sign", "negative", "change between two levels")


def test_an_optimal_design_chooses_among_names_too(raw_config):
    raw_config["training"].pop("schedule", None)
    raw_config["sweep"]["factors"]["schedule"] = {"levels": ["constant", "cosine", "linear"]}
    raw_config["baseline"]["settings"].setdefault("schedule", "linear")
    raw_config["sweep"]["design"] = {"kind": "optimal", "runs": 27, "include_baseline": False}
    points = plan_study(read_config(raw_config)).points
    assert len(points) == 27
    assert {point["schedule"] for point in points} == {"constant", "cosine", "linear"}
