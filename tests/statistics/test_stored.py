"""A surface read back from its table predicts what the fit itself does, with the same intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from finevar.statistics.regression import LINEAR, LOGIT, Surface, fit_surface, predicted
from finevar.statistics.stored import Stored, stored_rows
from finevar.study.coding import terms
from finevar.tables import TABLES
from report_fixtures import CODINGS, FACTORS, fitting, simulate_metrics

ENDS = ["predicted", "ci_low", "ci_high"]
SENTENCES = 300


def surface_of(seeds: int, *, level: float = 0.8, lost: int = 0) -> Surface:
    """Return a fit of a share of right sentences whose seeds and sentences both vary; lost: runs that are missing."""
    draw = np.random.default_rng(4)
    runs = simulate_metrics(FACTORS, tuple(range(seeds)), ("amazon",), 0).iloc[lost:].reset_index(drop=True)
    hard, shift = draw.normal(size=SENTENCES), draw.normal(size=seeds) * 0.2
    start = np.quantile(hard, 1 - level) - 0.03 * np.log2(runs["learning_rate"].to_numpy() / 1e-4) + shift[runs["seed"]]
    right = hard > start[:, None] + 0.3 * draw.normal(size=(len(runs), SENTENCES))
    runs["accuracy"] = right.mean(1)
    columns = terms(list(CODINGS), "quadratic")
    return fit_surface(runs, "accuracy", CODINGS, columns, 0.95, sentences={"amazon": right.astype(float)})


def both_ways(surface: Surface, coded: dict[str, np.ndarray]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return predictions from the fit, and from its table as a reader holds it."""
    table = fitting(TABLES["covariances"].schema, stored_rows(surface))
    return pd.DataFrame(predicted(surface, coded))[ENDS], Stored.of(table, "accuracy").predict(coded)


@pytest.mark.parametrize(("seeds", "level", "scale"), [(5, 0.8, LINEAR), (2, 0.8, LINEAR), (5, 0.985, LOGIT)])
def test_predictions_anywhere_are_those_of_the_fit(seeds, level, scale):
    surface = surface_of(seeds, level=level)
    assert stored_rows(surface)[0]["scale"] == scale
    draw = np.random.default_rng(1)
    fitted, stored = both_ways(surface, {name: draw.uniform(-1, 1, 20) for name in CODINGS})
    pd.testing.assert_frame_equal(stored, fitted, rtol=1e-9)


def test_where_runs_are_missing_no_interval_is_shorter():
    """Degrees of freedom then differ between settings; the table has the fewest."""
    surface = surface_of(5, lost=9)
    fitted, stored = both_ways(surface, surface.coded(surface.points))
    np.testing.assert_allclose(stored["predicted"], fitted["predicted"])
    widths = (stored["ci_high"] - stored["ci_low"]) / (fitted["ci_high"] - fitted["ci_low"])
    assert widths.min() > 1 - 1e-9
    assert widths.max() < 1.1
