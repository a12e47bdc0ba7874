"""No table holds a difference, or an end of its interval, beyond what its metric can be, however noisy the runs are."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from test_failed_settings import fitted
from test_regression import BASELINE, study

from finevar.analyses.baselines import against_baseline_rows
from finevar.analyses.effects import judged_effects
from finevar.analyses.fits import FittedStudy, coefficient_rows
from finevar.analyses.gain import surface_rows
from finevar.analyses.setting_pairs import pair_rows
from finevar.analyses.tradeoffs import price_rows
from finevar.metrics import RESPONSES

FROZEN = {"accuracy": 0.85, "loss": 0.35}
ENDS = ("estimate", "ci_low", "ci_high", "simultaneous_low", "simultaneous_high")


@pytest.fixture(scope="module")
def noisy() -> FittedStudy:
    """Return a study of two seeds whose accuracy is 0.02 or 0.98 by chance, and its loss anything below 3."""
    runs, draw = study(seeds=2), np.random.default_rng(3)
    values = {"accuracy": draw.choice([0.02, 0.98], len(runs)), "loss": draw.uniform(0, 3, len(runs))}
    frozen = {f"baseline_{name}": value for name, value in FROZEN.items()}
    return fitted(runs.assign(**values, **frozen), "accuracy", "loss")


def check(rows: list[dict], names: tuple[str, ...], least: float, most: float) -> None:
    """Check that columns lie within limits, that the rows say so, and that some interval was cut at one of them."""
    table = pd.DataFrame(rows)
    found = table[[name for name in names if name in table]].astype(float)
    assert len(found)
    assert found.min(axis=None) >= least - 1e-12
    assert found.max(axis=None) <= most + 1e-12
    assert math.isinf(least) or table["least"].iloc[0] == pytest.approx(least)
    assert table["most"].iloc[0] == pytest.approx(most) if math.isfinite(most) else table["most"].isna().all()
    assert math.isinf(least) or (found == least).any(axis=None) or (found == most).any(axis=None)


def rows_of(rows: list[dict], **values: object) -> list[dict]:
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


@pytest.mark.parametrize("response", FROZEN)
def test_differences_from_the_baseline_as_it_is(noisy, response):
    """Accuracy 0.85 can rise by 0.15 and fall by 0.85; a loss of 0.35 can only fall by that."""
    rows = rows_of(noisy.rows(against_baseline_rows), response=response, baseline="B0")
    low, high = RESPONSES[response].bounds
    check(rows, ENDS, low - FROZEN[response], high - FROZEN[response])


def test_differences_from_the_baselines_own_settings(noisy):
    rows = rows_of(noisy.rows(against_baseline_rows), response="accuracy", baseline="B1")
    runs = noisy.metrics
    own = runs[runs[list(BASELINE)].eq(pd.Series(BASELINE)).all(axis=1)]["accuracy"].mean()
    check(rows, ENDS, -own, 1 - own)


def test_effects_between_any_two_settings(noisy):
    rows = rows_of(judged_effects(noisy.surfaces), response="accuracy")
    names = ("change", "ci_low", "ci_high", "largest", "largest_low", "largest_high", "simple_low", "simple_high")
    check(rows, names, -1, 1)
    assert all(row["per_unit_ci_high"] <= row["ci_high"] + 1e-12 for row in rows if row["factor"] == "epochs")


def test_any_two_settings(noisy):
    """Each pair by the second setting's own mean, which is subtracted."""
    means = noisy.metrics.groupby("point_id", sort=False)["accuracy"].mean()
    rows = pair_rows(list(means.index[:6]), noisy.surfaces[0])
    for row in rows:
        assert row["least"] == pytest.approx(-means[row["other"]])
        assert row["most"] == pytest.approx(1 - means[row["other"]])
        assert all(row["least"] <= row[name] <= row["most"] for name in ENDS)


def test_the_gain_and_its_shares(noisy):
    end = {name: max(coding.levels) for name, coding in noisy.plan.codings.items()}
    point = noisy.metrics["point_id"].iloc[-1]
    whole, *shares = surface_rows(BASELINE, end, point, noisy.surfaces[0])
    assert whole["most"] - whole["least"] == pytest.approx(1)
    assert all(whole["least"] <= whole[name] <= whole["most"] for name in ENDS if name in whole)
    assert all(-1 <= row[name] <= 1 for row in shares for name in ENDS)


def test_prices(noisy):
    rows = rows_of(price_rows(noisy.surfaces), response="accuracy")
    assert all(-1 <= row[name] <= 1 for row in rows for name in ("price", "ci_low", "ci_high"))


def test_coefficients(noisy):
    """Half of a change from low to high is 0.5 at most; a square is one from the middle to the ends."""
    most = {"intercept": 1.0, "first_order": 0.5, "two_way": 0.5, "quadratic": 1.0, "block": 1.0}
    rows = coefficient_rows(noisy.surfaces[0], "absolute")
    for row in rows_of(rows, units="coded"):
        assert max(abs(row[name]) for name in ("estimate", "ci_low", "ci_high")) <= most[row["group"]] + 1e-12
        assert row["group"] != "intercept" or row["ci_low"] >= 0
