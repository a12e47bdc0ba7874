"""The statistics of a study, here and in R (lm, sandwich, emmeans, lme4): a full factorial, and one with gaps."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

import reference
from finevar.statistics import checks, ladder, regression, sensitivity, slopes
from finevar.statistics.covariance import clustered_by
from finevar.study.coding import terms

CODINGS, PLACE = reference.CODINGS, reference.PLACE


@pytest.fixture(scope="module", autouse=True)
def needs_r() -> None:
    """Skip where R is missing, or fail where FINEVAR_REQUIRE_R is set."""
    if told := reference.missing_r():
        (pytest.fail if os.environ.get("FINEVAR_REQUIRE_R") else pytest.skip)(told)


@pytest.fixture(scope="module", params=["complete", "incomplete"])
def runs(request) -> pd.DataFrame:
    """Return the study; without every 13th run, so that terms and blocks are no longer orthogonal, as incomplete."""
    runs = reference.reference_runs()
    return runs if request.param == "complete" else runs[np.arange(len(runs)) % 13 != 5].reset_index(drop=True)


@pytest.fixture(scope="module")
def by_r(runs, tmp_path_factory) -> dict[str, float]:
    path = tmp_path_factory.mktemp("r") / "runs.csv"
    runs.to_csv(path, index=False, float_format="%.17g")
    return reference.reference_values(path)


@pytest.fixture(scope="module")
def surface(runs) -> regression.Surface:
    return regression.fit_surface(runs, "loss", CODINGS, terms(list(CODINGS), "quadratic"), 0.95)


@pytest.fixture(scope="module")
def clustered(runs) -> regression.Surface:
    errors = clustered_by(runs["trajectory"].to_numpy(), "trajectories are shared")
    return regression.fit_surface(runs, "loss", CODINGS, terms(list(CODINGS), "quadratic"), 0.95, errors)


def under(by_r: Mapping[str, float], quantity: str) -> dict[str, float]:
    """Return R's values of one quantity by name."""
    return {name.removeprefix(f"{quantity}."): value for name, value in by_r.items() if name.startswith(f"{quantity}.")}


def agree(surface: regression.Surface, values: np.ndarray, by_r: Mapping[str, float], quantity: str) -> None:
    """Compare a value per parameter with all of R's."""
    found = dict(zip(surface.names, values, strict=True))
    assert found == pytest.approx(under(by_r, quantity), rel=1e-6)


def test_coefficients_and_their_errors(surface, by_r):
    agree(surface, surface.fit.params, by_r, "coefficient")
    agree(surface, surface.fit.bse, by_r, "hc3_se")
    classical = np.sqrt(np.diag(surface.fit.bread) * surface.fit.ssr / surface.fit.df_resid)
    agree(surface, classical, by_r, "classical_se")


@pytest.mark.parametrize("quantity", ["cr3_se", "cr3_by_hand_se", "jackknife_se"])
def test_errors_clustered_by_trajectory(clustered, by_r, quantity):
    assert clustered.errors.kind == "CR3"
    agree(clustered, clustered.fit.bse, by_r, quantity)


RUNGS = ["first_order", "interactions", "quadratic", "cubic"]


def test_the_model_ladder(surface, by_r):
    rows = ladder.ladder_rows(surface, "quadratic", None)
    assert [row["rung"] for row in rows] == RUNGS
    for row in rows:
        quality = under(by_r, f"quality.{row['rung']}")
        del quality["log_likelihood"]
        assert {name: row[name] for name in quality} == pytest.approx(quality, rel=1e-6)
        tested = {"df": row["df"], "sum_sq": row["sum_sq"], "f": row["f_value"], "p": row["p_value"]}
        assert tested == pytest.approx(under(by_r, f"sequential.{row['rung']}"), rel=1e-6)


@pytest.mark.parametrize("kind", ["hc3", "cr3"])
def test_wald_tests_of_the_rungs(request, by_r, kind):
    rows = ladder.ladder_rows(request.getfixturevalue("surface" if kind == "hc3" else "clustered"), "quadratic", None)
    assert [row["rung"] for row in rows] == RUNGS
    for row in rows:
        expected = under(by_r, f"wald_{kind}.{row['rung']}")
        assert (row["f_robust"], row["p_robust"]) == pytest.approx((expected["f"], expected["p"]), rel=1e-6)


def test_slopes_at_a_place(surface, by_r):
    rows = {row["factor"]: row for row in slopes.slope_rows(surface, PLACE) if at_the_place(row)}
    assert list(rows) == list(CODINGS)
    read = list(regression.contrasts(surface, regression.slopes_at(surface, PLACE)))
    for number, (factor, row) in enumerate(rows.items(), 1):
        expected = under(by_r, f"slope.{factor}")
        for found in (row["estimate"], read[number].estimate):
            assert found == pytest.approx(expected["estimate"], rel=1e-6)
        for found in (row["std_error"], read[number].std_error):
            assert found == pytest.approx(expected["se_hc3"], rel=1e-6)


def at_the_place(row: Mapping[str, object]) -> bool:
    """Say whether a row of slopes is one at the baseline's levels, in coded units."""
    return row["place"] == "baseline" and row["units"] == "coded"


def test_lack_of_fit(surface, by_r):
    row = checks.lack_of_fit(surface)
    found = {"f": row["statistic"], "p": row["p_value"], "ss": row["sum_sq"], "ss_pe": row["sum_sq_error"]}
    found |= {"df1": row["df_numerator"], "df2": row["df_denominator"]}
    assert found == pytest.approx(under(by_r, "lack_of_fit"), rel=1e-6)


def test_residual_checks(surface, by_r):
    for check, statistic, p in (
        (checks.breusch_pagan_row, "breusch_pagan.f", "breusch_pagan.p"),
        (checks.reset, "reset_surface.f_hc3", "reset_surface.p_hc3"),
        (checks.normality, "shapiro_standardised.w", "shapiro_standardised.p"),
    ):
        row = check(surface)
        assert row["statistic"] == pytest.approx(by_r[statistic], rel=1e-6)
        assert row["p_value"] == pytest.approx(by_r[p], rel=1e-5)


def test_influence(surface, by_r):
    table = checks.influence_table(surface)
    found = {"hat": table["leverage"], "cook": table["cook"], "studentised": table["studentised"].abs()}
    assert {name: values.max() for name, values in found.items()} == pytest.approx(under(by_r, "largest"), rel=1e-6)


def test_the_mixed_model(surface, by_r, monkeypatch):
    monkeypatch.setattr(sensitivity, "SEEDS_FOR_MIXED", 3)
    numbers = range(len(surface.columns))  # with the intercept, whose error holds the variance between seeds
    rows = sensitivity.mixed_model(surface, numbers, None)
    for name, row in zip(surface.names[: len(numbers)], rows, strict=True):
        assert row["estimate"] == pytest.approx(by_r[f"mixed.{name}"], rel=1e-3)
        assert row["std_error"] == pytest.approx(by_r[f"mixed_se.{name}"], rel=1e-3)
