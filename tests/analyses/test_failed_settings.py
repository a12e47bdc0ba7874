"""What stops a table, and what does not: failed cells and runs, ties, values at a bound."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from test_regression import BASELINE, CODINGS, study

from finevar.analyses.fits import FittedStudy, Plan, fit_study
from finevar.analyses.surfaces import explore_study
from finevar.reasons import FAILED, Stop
from finevar.statistics.regression import predicted

CORNER = {"learning_rate": 4e-4, "batch_size": 8, "epochs": 3}


def fitted(metrics: pd.DataFrame, *responses: str) -> FittedStudy:
    return FittedStudy.of(metrics, Plan(CODINGS, BASELINE, responses or ("loss",), "quadratic", 0.95))


def at(metrics: pd.DataFrame, **levels: float) -> pd.Series:
    return metrics[list(levels)].eq(pd.Series(levels)).all(axis=1)


def stop(metrics: pd.DataFrame) -> Stop | None:
    stopped = fitted(metrics).stopped
    return stopped["loss"].code if stopped else None


@pytest.mark.parametrize("status", FAILED)
def test_a_run_that_failed_is_left_out_of_the_surface(status):
    """One run of 54, whose loss would be 40 standard deviations off: the coefficients are those of the other 53."""
    metrics = study()
    metrics.loc[0, ["status", "loss"]] = [status, 5.0]
    surface = fitted(metrics).surfaces[0]
    assert len(surface.runs) == 53
    kept = surface.fit.matrix[:, 1:]
    others = LinearRegression().fit(kept, metrics["loss"][1:])
    assert surface.fit.params[1:] == pytest.approx(others.coef_, rel=1e-9)


def test_a_failed_cell_stops_nothing_and_nothing_is_predicted_there():
    metrics = study()
    metrics.loc[at(metrics, **CORNER), "status"] = "collapsed"
    found = fitted(metrics, "loss", "accuracy")
    assert not found.stopped
    surface = found.surfaces[0]
    assert surface.excluded.to_dict("records") == [CORNER]
    assert len(surface.points) == 26
    coded = {
        name: np.array([sign, 0.6 * sign, 0.4 * sign, 0.0]) for name, sign in zip(CODINGS, (1, -1, 1), strict=True)
    }
    assert [row["predicted"] is None for row in predicted(surface, coded)] == [True, True, False, False]
    assert len(fit_study(found)["profiles"]) == 2 * 3 * 41


def test_a_setting_that_fails_on_one_data_set_is_not_recommended():
    """It would be without the failure."""
    metrics = study(datasets=("amazon", "tweets"))
    metrics["loss"] = -metrics["loss"]
    chosen = explore_study(fitted(metrics))["predicted_best"][0]["point_id"]
    metrics.loc[(metrics["point_id"] == chosen) & (metrics["dataset"] == "tweets"), "status"] = "diverged"
    found = fitted(metrics)
    assert len(found.surfaces[0].points) == 26
    assert explore_study(found)["predicted_best"][0]["point_id"] != chosen


def test_a_setting_where_one_seed_failed_is_still_predicted():
    metrics = study()
    metrics.loc[0, "status"] = "collapsed"
    assert fitted(metrics).surfaces[0].excluded.empty


def test_terms_that_failures_leave_inestimable_stop_the_table():
    metrics = study()
    metrics.loc[metrics["epochs"] == 3, "status"] = "collapsed"
    assert stop(metrics) == Stop.FEW_LEVELS
    assert "every run at 3 failed" in fitted(metrics).stopped["loss"].sentence, "more levels would not help"


def test_a_missing_cell_still_stops_and_so_does_a_study_of_failures():
    metrics = study()
    metrics.loc[at(metrics, **CORNER), "status"] = "missing"
    assert stop(metrics) == Stop.EMPTY_CELLS
    assert stop(study().assign(status="collapsed")) == Stop.EMPTY_CELLS


def test_seeds_that_agree_to_the_last_digit_are_no_noise():
    metrics = study()
    alike = metrics.assign(loss=metrics.groupby("point_id")["loss"].transform("first"))
    assert stop(alike) == Stop.ZERO_NOISE
    alike.loc[0, "loss"] += 1e-15
    assert stop(alike) is None
    assert stop(alike[alike["seed"] == 0]) is None, "one seed has no noise to be zero"


def test_values_at_the_bound_in_half_of_the_cells_stop_nothing():
    metrics = study()
    metrics["loss"] = metrics["loss"].where(metrics["learning_rate"] > 1e-4, 1.0)
    assert stop(metrics) is None
