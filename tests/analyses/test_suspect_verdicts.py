"""Verdicts that rest on suspect runs are open, and say so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from finevar.analyses.claims import judge_claims
from finevar.analyses.effects import leave_open
from finevar.analyses.fits import FittedStudy
from report_fixtures import FACTORS, plan_of, simulate_metrics

CLAIM = {"name": "epochs", "response": "accuracy", "framework": None, "term": "epochs", "statement": "", "source": ""}


def study(odd: tuple[int, ...] = (), *, claims: tuple = ()) -> FittedStudy:
    """Return a study in which epochs raise accuracy by 0.02; odd runs are 0.5 lower."""
    metrics, draw = simulate_metrics(FACTORS, (0, 1, 2, 3), ("amazon",), 0), np.random.default_rng(6)
    values = 0.8 + 0.01 * (metrics["epochs"] - 2) + draw.normal(scale=0.003, size=len(metrics))
    values -= 0.5 * np.isin(np.arange(len(metrics)), odd)
    plan = plan_of(FACTORS, ["accuracy"])
    return FittedStudy.of(metrics.assign(accuracy=values), plan.__class__(**vars(plan) | {"claims": claims}))


def verdicts(fitted: FittedStudy) -> pd.DataFrame:
    return pd.DataFrame(fitted.effects).set_index("factor")


def test_an_effect_that_an_odd_run_hides_is_undecided_and_names_it():
    clean = verdicts(study())
    assert clean.loc["epochs", "verdict"] == "effect"
    assert not study().suspects
    fitted = study((0,))
    (run,) = fitted.suspects["accuracy"]
    found = verdicts(fitted)
    assert run == fitted.metrics["run_id"][0]
    assert (found.loc[found["reason_code"] == "suspects", "verdict"] == "undecided").all()
    assert found.loc["epochs", "reason_code"] == "suspects"
    assert found.loc["epochs", "reason"] == f"without 1 run with a suspect residual, {run}, the verdict is an effect"


@pytest.mark.parametrize("odd", [(), (0,)])
def test_a_claim_that_an_odd_run_hides_is_undecided(odd):
    claim = CLAIM | {"finding": "effect", "sign": "positive", "p": None}
    (row,) = judge_claims(study(odd, claims=(claim,)))
    assert row["verdict"] == ("undecided" if odd else "replicated")
    assert (row["reason_code"] == "suspects") == bool(odd)


def test_only_verdicts_of_responses_with_suspects_are_left_open():
    rows = [{"response": name, "verdict": "effect"} for name in ("loss", "f1", "accuracy")]
    again = [{"response": name, "verdict": "small"} for name in ("loss", "f1")]
    leave_open(rows, again, ("response",), {"loss": ["a", "b"], "accuracy": ["c"]})
    assert [row["verdict"] for row in rows] == ["undecided", "effect", "undecided"]
    assert rows[0]["reason"].endswith("a and b, the verdict is an effect too small to matter")
    assert rows[2]["reason"] == "without 1 run with a suspect residual, c, it cannot be estimated"
