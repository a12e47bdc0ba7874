"""What missing runs do to the design, by hand."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from finevar.jobs.endings import ERROR, INPUT, MACHINE
from finevar.study.coding import Coding, terms
from finevar.words.completeness import completeness_sentences, next_start_sentences, variances
from finevar.words.next_start import UNFIXED
from prose import numbers

CODINGS = {
    "learning_rate": Coding((1.0, 2.0), "identity"),
    "epochs": Coding((1, 2), "identity"),
}


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
    assert completeness_sentences(design(), CODINGS, "first_order") == []


def test_variances_of_an_orthogonal_design_are_one_over_the_runs():
    assert variances(design(), CODINGS, terms(list(CODINGS), "interactions")) == pytest.approx(
        {"intercept": 1 / 8, "learning_rate": 1 / 8, "epochs": 1 / 8, "learning_rate:epochs": 1 / 8}
    )


def test_a_lost_seed_is_counted_and_what_it_costs_said():
    """Without one corner's run: (X'X)^-1 of the main effects, seeds in a block, is 5/32 instead of 4/32 (by hand)."""
    runs, points, errors = completeness_sentences(design((2.0, 2, 1)), CODINGS, "first_order")
    assert (numbers(runs), numbers(points)) == ([1, 8, 1], [1])
    assert "learning rate" in errors
    assert numbers(errors) == [12]  # per cent: sqrt(5 / 4) = 1.118


def test_a_point_without_runs_is_named():
    _, points, errors = completeness_sentences(design((2.0, 2, 0), (2.0, 2, 1)), CODINGS, "first_order")
    assert "learning rate 2, epochs 2" in points
    assert numbers(points.partition("(")[0]) == [1, 4]
    assert numbers(errors), "a surface can be fitted"


def test_terms_that_cannot_be_separated_are_named():
    lost = [(2.0, epochs, seed) for epochs in (1, 2) for seed in (0, 1)]
    *_, errors = completeness_sentences(design(*lost), CODINGS, "first_order")
    assert [name in errors for name in ("learning rate", "epochs")] == [True, False]
    assert not numbers(errors)


def test_a_study_without_any_run_says_no_more():
    every = list(itertools.product([1.0, 2.0], [1, 2], [0, 1]))
    assert len(completeness_sentences(design(*every), CODINGS, "first_order")) == 2


def after(*endings: tuple[str, str]) -> list[str]:
    """Return what is to be done about a study of one run that is done and others that ended so."""
    rows = [{"status": "ok", "ending": None, "reason": None}]
    rows += [{"status": "missing", "ending": code, "reason": reason} for code, reason in endings]
    return next_start_sentences(pd.DataFrame(rows))


MISTAKE = (INPUT, "setting train_examples: found 121. Allowed: at most 120. Lower it.")


def test_another_start_is_advised_where_it_mends_what_is_missing():
    mended = [("interrupted", "Interrupted by SIGTERM."), ("not begun", ""), ("begun", "x"), ("damaged", "y")]
    (again,) = after(*mended)
    assert after((None, None)) == [again]  # of a table without the column's value
    assert after() != [again]


def test_what_another_start_would_not_mend_is_to_be_edited_first():
    assert after(MISTAKE, MISTAKE) == [f"2 runs {UNFIXED[INPUT]}: {MISTAKE[1]}"]
    first, rest = after(MISTAKE, ("interrupted", "Interrupted."))
    assert first == f"1 run {UNFIXED[INPUT]}: {MISTAKE[1]}"
    assert "other 1 run" in rest


def test_a_full_disk_and_an_unexpected_error_say_so():
    full = "a: No space left on device. The disk is full: free some space, then start Snakemake again."
    assert after((MACHINE, full)) == [f"1 run {UNFIXED[MACHINE]}: {full}"]
    assert after((ERROR, "ValueError: x")) == [f"1 run {UNFIXED[ERROR]}: ValueError: x."]


def test_of_many_causes_three_are_named():
    (sentence,) = after(*[(INPUT, f"cause {number}.") for number in range(5)])
    assert [f"cause {number}." in sentence for number in range(5)] == [True, True, True, False, False]
    assert "2 more" in sentence
