"""What the explorer and the table of factors know of nested factors and of levels that slide."""

from __future__ import annotations

import itertools
import math

import pandas as pd
import pytest
from test_browser import CHROMIUM, browser  # noqa: F401, a fixture

from finevar import PACKAGE
from finevar.report.explorer import factor, levels_in, settings
from finevar.report.tables import factors_table
from finevar.study.coding import codings_of
from finevar.study.conditions import condition_tree
from finevar.words.formatting import factor_label

CODINGS = codings_of({
    "method": {"levels": ["full", "lora"]},
    "learning_rate": {"levels": {"lora": [1e-4, 4e-4], "full": [1e-5, 4e-5]}, "coding": "log2"},
    "lora_rank": {"levels": [2, 8, 32], "coding": "log2", "when": {"method": "lora"}},
})  # fmt: skip


def test_a_nested_factor_names_its_category_and_the_levels_at_which_it_exists():
    assert factor("lora_rank", CODINGS["lora_rank"], CODINGS)["when"] == [0, [1]]
    assert "when" not in factor("learning_rate", CODINGS["learning_rate"], CODINGS)


def test_levels_that_slide_are_those_of_each_level_of_the_category_in_its_order():
    category, middles, levels = factor("learning_rate", CODINGS["learning_rate"], CODINGS)["by"]
    assert category == 0
    assert middles == pytest.approx([math.log2(2e-5), math.log2(2e-4)])
    assert levels == [[1e-5, 4e-5], [1e-4, 4e-4]]


def test_settings_are_coded_within_their_own_levels_and_0_where_a_factor_does_not_exist():
    rows = pd.DataFrame({"method": ["full", "lora"], "learning_rate": [4e-5, 1e-4], "lora_rank": [float("nan"), 32.0]})
    assert settings(rows, CODINGS) == [[0, 1, 0], [1, -1, 1]]


def test_a_baseline_without_the_factor_has_no_level_of_it():
    own = {"method": "full", "learning_rate": 2e-5}
    assert levels_in(own, CODINGS) == own | {"lora_rank": None}
    lora = {"method": "lora", "learning_rate": 2e-4, "lora_rank": 8}
    assert levels_in(lora, CODINGS) == lora
    shown = {row[0]["text"]: [cell["text"] for cell in row[1:]] for row in factors_table(CODINGS, own)["rows"]}
    assert shown[factor_label("lora_rank")] == ["2, 8, 32; where method is lora", "log2", "\u2013"]
    assert shown["learning rate"][0] == "lora: 1e-4, 4e-4; full: 1e-5, 4e-5, by method"


# Conditions -----------------------------------------------------------------------------------------------------------

PLACES = [
    {"method": method, "learning_rate": rate, "lora_rank": rank if method == "lora" else None}
    for method, rate, rank in itertools.product(("full", "lora"), (0, 1e-5, 1e-4, 4e-4), (2, 8, 32))
]


def test_a_condition_is_a_tree_of_its_signs():
    tree = condition_tree("not (learning_rate > 1e-4 and method == lora and 2 * lora_rank < 9)", CODINGS)
    rank = ["<", ["*", 2.0, ["factor", "lora_rank"]], 9.0]
    rate, method = [">", ["factor", "learning_rate"], 1e-4], ["==", ["factor", "method"], ["level", "lora"]]
    assert tree == ["not", ["and", rate, method, rank]]


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
@pytest.mark.parametrize(
    ("text", "allows"),
    [
        (
            "not (learning_rate > 1e-4 and method == lora)",
            lambda at: not (at["learning_rate"] > 1e-4 and at["method"] == "lora"),
        ),
        ("lora_rank * 3 <= 24", lambda at: at["lora_rank"] is None or at["lora_rank"] <= 8),
        ("method != full and lora_rank - 2 == 0", lambda at: at["lora_rank"] == 2),
        (
            "learning_rate / 3 * 3 == 1e-4 or lora_rank == 32",
            lambda at: at["learning_rate"] == 1e-4 or at["lora_rank"] in (None, 32),
        ),
        ("1 / learning_rate > 5e3", lambda at: at["learning_rate"] in (1e-5, 1e-4)),
    ],
)  # fmt: skip
def test_the_explorer_computes_a_condition_as_it_reads(browser, text, allows):  # noqa: F811
    """What is said of a rank that is not there forbids nothing, and a division by 0 does."""
    code = (PACKAGE / "report/templates/explorer/conditions.js").read_text()
    known = "const isNumber = (value) => typeof value === 'number';"
    said = "return places.map((at) => !isForbidden((name) => at[name]))"
    asked = f"([where, places]) => {{ const study = {{ where }}; {known} {code}; {said}; }}"
    page = browser.new_page()
    assert page.evaluate(asked, [condition_tree(text, CODINGS), PLACES]) == [allows(at) for at in PLACES]
    page.close()
