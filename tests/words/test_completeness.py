"""What missing runs do to the design, by hand."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from finevar.study.coding import Coding, terms
from finevar.words.completeness import completeness_sentences, next_start_sentences, variances

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
    told = completeness_sentences(design((2.0, 2, 1)), CODINGS, "first_order")
    assert told[0] == "1 run of 8 gave no metrics; all below rests on the rest."
    assert told[1] == "That leaves 1 point with fewer seeds than planned."
    assert "standard error of learning rate 12 % larger" in told[2]  # sqrt(5 / 4) = 1.118


def test_a_point_without_runs_is_named():
    told = completeness_sentences(design((2.0, 2, 0), (2.0, 2, 1)), CODINGS, "first_order")
    assert told[1] == "That leaves 1 point of 4 without any run (lr2-ep2 on amazon)."
    assert "cannot tell" not in told[2]


def test_terms_that_cannot_be_told_apart_are_named():
    lost = [(2.0, epochs, seed) for epochs in (1, 2) for seed in (0, 1)]
    told = completeness_sentences(design(*lost), CODINGS, "first_order")
    assert told[2] == "The remaining runs cannot tell learning rate from the terms before: no surface can be fitted."


def test_a_study_without_any_run_says_no_more():
    every = list(itertools.product([1.0, 2.0], [1, 2], [0, 1]))
    assert len(completeness_sentences(design(*every), CODINGS, "first_order")) == 2


def after(*endings: tuple[str, str]) -> str:
    """Return what is to be done about a study of one run that is done and others that ended so."""
    rows = [{"status": "ok", "ending": None, "reason": None}]
    rows += [{"status": "missing", "ending": code, "reason": reason} for code, reason in endings]
    return " ".join(next_start_sentences(pd.DataFrame(rows)))


INPUT = ("input error", "setting train_examples: found 121. Allowed: at most 120. Lower it.")


def test_another_start_is_advised_where_it_mends_what_is_missing():
    mended = [("interrupted", "Interrupted by SIGTERM."), ("not begun", ""), ("begun", "x"), ("damaged", "y")]
    assert after(*mended) == "Start again to go on."
    assert after((None, None)) == "Start again to go on."  # of a table without the column's value
    assert after() == "Start again for the final report."


def test_what_another_start_would_not_mend_is_to_be_edited_first():
    assert after(INPUT, INPUT) == f"2 runs will fail again until the cause is mended: {INPUT[1]}"
    both = after(INPUT, ("interrupted", "Interrupted."))
    assert (
        both
        == f"1 run will fail again until the cause is mended: {INPUT[1]} Start again to go on with the other 1 run."
    )


def test_a_full_disk_and_an_unexpected_error_say_so():
    full = "a: No space left on device. The disk is full: free some space, then start Snakemake again."
    assert after(("machine error", full)) == f"1 run met a limit of this machine: {full}"
    assert after(("error", "the job stopped: ValueError: x")).endswith(
        "see results/logs: the job stopped: ValueError: x."
    )


def test_of_many_causes_three_are_named():
    told = after(*[("input error", f"cause {number}.") for number in range(5)])
    assert told.endswith("cause 0. cause 1. cause 2. And 2 more causes.")
