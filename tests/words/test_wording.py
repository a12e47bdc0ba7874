"""Sentences and numbers for people."""

import math

import pandas as pd

from finevar.words import wording
from prose import numbers


def test_identity_sentence_prints_the_largest_deviation():
    fits = pd.DataFrame({"framework": ["absolute", "relative"], "largest_identity_deviation": [math.nan, 3.1e-14]})
    fits = fits.assign(gate_code=None)
    assert numbers(wording.identity_sentence(fits)) == [3.1e-14]


def test_runs_are_counted_by_fate():
    metrics = pd.DataFrame({"dataset": "a", "point_id": ["p", "p", "q", "q"], "seed": [0, 1, 0, 1]})
    assert numbers(wording.runs_sentence(metrics.assign(status="ok"))) == [4, 2, 2]
    status = ["ok", "ok", "diverged", "missing"]
    assert numbers(wording.runs_sentence(metrics.assign(status=status))) == [4, 2, 2, 2, 1, 1]


def test_baseline_with_and_without_its_own_levels():
    again = pd.Series([0.80, 0.82])  # sample standard deviation: 0.02 / sqrt 2
    assert numbers(wording.baseline_sentence("amazon", 0.79, again, "accuracy")) == [0.79, 0.81, 0.0141, 2]
    assert numbers(wording.baseline_sentence("amazon", 0.79, pd.Series([], dtype=float), "accuracy")) == [0.79]
