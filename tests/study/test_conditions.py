"""Conditions on settings: against Python's own reading of them, in designs, and every mistake by its position."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest

from finevar.study.coding import Category, Coding
from finevar.study.conditions import condition, forbidden_places, parted
from finevar.study.config import read_config
from finevar.study.design import design_points, left_out, plan_study
from finevar.words.design import condition_sentences
from refusals import at, names, refusal, refusals

CODINGS = {
    "learning_rate": Coding((1e-5, 3e-5, 1e-4), "log10"),
    "epochs": Coding((1, 2, 3), "identity"),
    "frozen_layers": Coding((0, 2), "identity"),
    "optimizer": Category(("adamw", "sgd", "adafactor")),
}
PLACES = [
    dict(zip(CODINGS, levels, strict=True))
    for levels in itertools.product((1e-5, 3e-5, 1e-4), (1, 2, 3), (0, 2), ("adamw", "sgd", "adafactor"))
]
WHERE = "config: sweep.design.where"


def holds(text: str, place: dict[str, Any]) -> bool | None:
    return condition(text, tuple(CODINGS.items()))(place)


# The language ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "epochs < 3",
        "epochs * 3 <= 6 - frozen_layers",
        "epochs - 1 - 1 > -1",
        "12 / epochs / 2 >= 3 or optimizer == 'sgd'",
        "not optimizer == 'sgd' and epochs != 2",
        "not (optimizer == 'sgd' and learning_rate < 1e-4)",
        "epochs == 1 or epochs == 2 and frozen_layers == 2",
        "1 < epochs <= 3",
        "- (epochs - 2) * 2 + 1 >= .5",
        "not not epochs > 1",
        "frozen_layers == 0 or epochs / frozen_layers > 1",
        '"adafactor" != optimizer',
    ],
)
def test_a_condition_means_what_it_means_in_python(text):
    code = compile(text, "", "eval")
    assert [holds(text, place) for place in PLACES] == [eval(code, {}, dict(place)) for place in PLACES]


def test_words_for_joining_are_read_in_any_case_and_levels_without_quotes():
    assert [holds("NOT optimizer == sgd AND epochs==1", place) for place in PLACES] == [
        place["optimizer"] != "sgd" and place["epochs"] == 1 for place in PLACES
    ]


@pytest.mark.parametrize(("sign", "found"), [("==", True), ("<=", True), (">=", True), ("<", False), (">", False)])
def test_products_that_differ_by_their_last_digit_are_equal(sign, found):
    assert 3 * 1e-4 != 3e-4
    assert holds(f"learning_rate * 3 {sign} 3e-4", {"learning_rate": 1e-4}) is found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("epochs < 2", None),
        ("not epochs < 2", None),
        ("epochs < 2 and frozen_layers == 0", None),
        ("epochs < 2 and frozen_layers == 1", False),
        ("epochs < 2 or frozen_layers == 0", True),
        ("frozen_layers == 1 or 2 * epochs < 2", None),
    ],
)
def test_a_factor_that_a_setting_lacks_decides_nothing(text, found):
    """Kleene's three values: unknown unless the rest decides."""
    assert holds(text, {"epochs": None, "frozen_layers": 0}) is found


def test_what_is_neither_true_nor_false_is_allowed():
    points = [{"epochs": None, "frozen_layers": 0}, {"epochs": 3, "frozen_layers": 0}]
    assert parted(points, "epochs < 2", CODINGS) == (points[:1], points[1:])


@pytest.mark.parametrize(
    ("text", "position", "data"),
    [
        ("leraning_rate < 3", 1, ["leraning_rate", "learning_rate, epochs", "Did you mean learning_rate?"]),
        ("epochs = 2", 8, ["=", "=="]),
        ("epochs && 2", 8, ["&&", "and"]),
        ("epochs <", 9, ["the end", "a number"]),
        ("(epochs < 2", 12, ["the end", "parenthesis"]),
        ("epochs < 2)", 11, [")", "the end"]),
        ("epochs", 1, ["epochs", "a comparison"]),
        ("not epochs + 1", 5, ["epochs", "a comparison"]),
        ("optimizer < sgd", 11, ["<", "== or !="]),
        ("optimizer == sdg", 14, ["sdg", "adamw, sgd, adafactor", "Did you mean sgd?"]),
        ("optimizer == 3", 14, ["3"]),
        ("epochs == sgd", 11, ["sgd", "a number"]),
        ("epochs < 2; import os", 11, [";"]),
        ("__import__('os') < 2", 11, ["("]),
        ("epochs.real < 2", 7, [".real"]),
        ("epochs ** 9 < 2", 9, ["*"]),
        ("lambda: 0", 7, [":"]),
        ("1e-4x < epochs", 1, ["1e-4x"]),
        ("", 1, ["the end"]),
        ("(" * 60 + "epochs < 2", 52, ["50"]),
    ],
)
def test_a_mistake_is_named_by_its_position(text, position, data):
    error = refusal(holds, text, PLACES[0])
    assert error.where == f"{WHERE}, position {position}"
    assert names(error, *data)


@pytest.mark.parametrize("text", ["1+" * 495 + "epochs < 1", "1<" * 495 + "epochs", "not " * 40 + "epochs < 2"])
def test_a_long_condition_is_read(text):
    assert holds(text, {"epochs": 1}) is (text.startswith("not "))


@pytest.mark.filterwarnings("ignore:overflow")
def test_places_at_which_a_condition_has_no_value_are_forbidden():
    codings = {"epochs": Coding((1.0, 3.0), "identity"), "learning_rate": Coding((1e-5, 4e-5), "log2")}
    epochs, rates = np.array([-1.0, 0.0, 1.0]), np.array([0.0, 0.0, 5000.0])  # two epochs; a rate of 2^5000
    between = forbidden_places("1 / (epochs - 2) < 2", codings, {"epochs": epochs, "learning_rate": 0 * rates})
    assert between.tolist() == [False, True, False]
    far = forbidden_places("learning_rate * epochs > 0", codings, {"epochs": epochs, "learning_rate": rates})
    assert far.tolist() == [False, False, True]


def test_a_division_by_zero_is_named_by_its_setting():
    error = refusal(parted, PLACES, "epochs / frozen_layers < 2", CODINGS)
    assert error.where == WHERE
    assert names(error, "frozen_layers = 0")


# Designs --------------------------------------------------------------------------------------------------------------


def with_where(raw: dict[str, Any], where: str, **design: Any) -> dict[str, Any]:
    raw = copy.deepcopy(raw)
    raw["sweep"]["design"] = {"kind": "full_factorial", "include_baseline": False, **design, "where": where}
    return raw


def allowed(point: dict[str, Any]) -> bool:
    return point["batch_size"] * point["epochs"] <= 64


TEXT = "batch_size * epochs <= 64"


@pytest.mark.parametrize(
    ("design", "every"),
    [
        ({"kind": "full_factorial"}, 27),
        ({"kind": "central_composite"}, 15),
        ({"kind": "box_behnken"}, 13),
        ({"kind": "latin_hypercube", "points": 25}, 25),
    ],
)
def test_a_design_keeps_what_is_allowed_and_counts_the_rest(raw_config, design, every):
    whole = copy.deepcopy(raw_config)
    whole["sweep"]["design"] = {**design, "include_baseline": False}
    wanted = design_points(read_config(whole))
    config = read_config(with_where(raw_config, TEXT, **design))
    kept = design_points(config)
    assert kept == [point for point in wanted if allowed(point)]
    assert left_out(config) == (every - len(kept), every)
    assert 0 < len(kept) < every


def test_an_optimal_design_is_chosen_from_what_is_allowed_and_is_best_there(raw_config):
    """Of three levels of one factor and two of another, every subset of four allowed settings is tried."""
    raw = with_where(raw_config, "not (batch_size == 8 and epochs == 1)", kind="optimal", runs=5)
    raw["sweep"]["factors"] = {"batch_size": {"levels": [8, 16, 32], "coding": "log2"}, "epochs": {"levels": [1, 2, 3]}}
    raw["analysis"] = {"model": "first_order"}
    chosen = design_points(read_config(raw))
    grid = [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if (x, y) != (-1, -1)]
    rows = np.array([[1, x, y] for x, y in grid], dtype=float)

    def variance(own: np.ndarray) -> float:
        return float(np.mean(np.sum(rows @ np.linalg.inv(own.T @ own) * rows, axis=1)))

    subsets = (rows[list(subset)] for subset in itertools.combinations(range(8), 5))
    best = min(variance(own) for own in subsets if np.linalg.matrix_rank(own) == 3)
    own = np.array([[1, np.log2(point["batch_size"]) - 4, point["epochs"] - 2] for point in chosen])
    assert variance(own) == pytest.approx(best)
    assert left_out(read_config(raw)) == (1, 9)


def test_a_table_and_the_baselines_own_setting_are_asked_too(raw_config, tmp_path):
    path = tmp_path / "points.csv"
    rows = ["2.5e-5,8,1", "2.5e-5,32,3", "4e-4,8,3", "4e-4,32,1", "1e-4,16,2", "1e-4,16,3"]
    path.write_text("\n".join(["learning_rate,batch_size,epochs", *rows]), encoding="utf-8")
    raw_config["analysis"] = {"model": "first_order"}
    raw_config["baseline"]["settings"] |= {"batch_size": 32, "epochs": 3}
    raw = with_where(raw_config, TEXT, kind="table", file=str(path), include_baseline=True)
    config = read_config(raw)
    assert len(design_points(config)) == 5
    assert left_out(config) == (2, 7)
    (sentence,) = condition_sentences(config)
    assert "7 settings" in sentence
    assert " 2 " in sentence
    assert TEXT in sentence


def test_no_run_depends_on_the_condition(raw_config):
    whole = {run.run_id: run for run in plan_study(read_config(raw_config)).runs.values()}
    fewer = plan_study(read_config(with_where(raw_config, TEXT))).runs
    assert fewer == {name: run for name, run in whole.items() if allowed(run.settings)}


# What cannot be planned -----------------------------------------------------------------------------------------------


def test_terms_that_a_condition_leaves_without_settings_are_named(raw_config):
    raw_config["analysis"] = {"model": "interactions"}
    raw = with_where(raw_config, "batch_size == 16 or epochs == 2")
    error = at(refusals(lambda: plan_study(read_config(raw))), "config: sweep.design", "batch_size:epochs")
    assert "sweep.design.where" in error.remedy


def test_a_level_that_is_never_allowed_must_go(raw_config):
    error = refusal(read_config, with_where(raw_config, "epochs * learning_rate < 4e-4"))
    assert error.where == "config: sweep.factors.learning_rate.levels"
    assert names(error, "0.0004")


def test_a_condition_that_nothing_fulfils_is_refused(raw_config):
    at(refusals(read_config, with_where(raw_config, "epochs > 5")), WHERE, "epochs > 5")


def test_an_optimal_design_of_more_than_what_is_allowed_is_refused(raw_config):
    error = at(
        refusals(read_config, with_where(raw_config, TEXT, kind="optimal", runs=25)),
        "config: sweep.design.runs", "25", "24 combinations",
    )  # fmt: skip
    assert "where" in str(error)


def test_a_mistake_is_reported_with_all_others(raw_config):
    raw = with_where(raw_config, "epochs = 2", points=3)
    found = refusals(read_config, raw)
    at(found, f"{WHERE}, position 8", "=")
    at(found, "config: sweep.design.points")
