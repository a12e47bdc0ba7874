"""What missing runs do to the design, by hand."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from finevar.coding import Coding, terms
from finevar.completeness import completeness_sentences, variances

FACTORS = {
    "learning_rate": {"levels": [1.0, 2.0], "coding": "identity"},
    "epochs": {"levels": [1, 2], "coding": "identity"},
}
CODINGS = {name: Coding.of(factor) for name, factor in FACTORS.items()}


def design(*missing: tuple[float, int, int]) -> pd.DataFrame:
    """Return a 2 x 2 design at two seeds, without some of its runs."""
    rows = [
        {"learning_rate": rate, "epochs": epochs, "seed": seed, "dataset": "amazon",
         "point_id": f"lr{rate:g}-ep{epochs}",
         "status": "missing" if (rate, epochs, seed) in missing else "ok"}
        for rate, epochs, seed in itertools.product([1.0, 2.0], [1, 2], [0, 1])
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_complete_design_needs_no_word():
    assert completeness_sentences(design(), FACTORS, "first_order") == []


def test_variances_of_an_orthogonal_design_are_one_over_the_runs():
    assert variances(design(), CODINGS, terms(list(FACTORS), "interactions")) == pytest.approx(
        {"intercept": 1 / 8, "learning_rate": 1 / 8, "epochs": 1 / 8, "learning_rate:epochs": 1 / 8}
    )


def test_a_lost_seed_is_counted_and_what_it_costs_said():
    """Without one corner's run: (X'X)^-1 of the main effects, seeds in a block, is 5/32 instead of 4/32 (by hand)."""
    told = completeness_sentences(design((2.0, 2, 1)), FACTORS, "first_order")
    assert told[0] == "1 run of 8 gave no metrics; all below rests on the rest."
    assert told[1] == "That leaves 1 point with fewer seeds than planned."
    assert "standard error of learning rate 12 % larger" in told[2]  # sqrt(5 / 4) = 1.118


def test_a_point_without_runs_is_named():
    told = completeness_sentences(design((2.0, 2, 0), (2.0, 2, 1)), FACTORS, "first_order")
    assert told[1] == "That leaves 1 point of 4 without any run (lr2-ep2 on amazon)."
    assert "cannot tell" not in told[2]


def test_terms_that_cannot_be_told_apart_are_named():
    lost = [(2.0, epochs, seed) for epochs in (1, 2) for seed in (0, 1)]
    told = completeness_sentences(design(*lost), FACTORS, "first_order")
    assert told[2] == "The remaining runs cannot tell learning rate from the terms before: no surface can be fitted."


def test_a_study_without_any_run_says_no_more():
    every = list(itertools.product([1.0, 2.0], [1, 2], [0, 1]))
    assert len(completeness_sentences(design(*every), FACTORS, "first_order")) == 2
