"""Draws behind families of contrasts: variances in either form, and quantiles in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from finevar.statistics import families


@pytest.mark.parametrize(("seeds", "directions"), [(4, 3), (4, 8), (3, 8), (1, 5)])
def test_drawn_variances_are_mean_squares_over_seeds(seeds, directions):
    drawn, errors = families.standard_draws(seeds, directions, 1000, 7)
    factor = np.random.default_rng(1).normal(size=(6, directions)).astype(np.float32)
    stream = np.random.default_rng([families.DRAW_SEED, 7])
    normal = stream.standard_normal((1000, seeds + 2, directions), dtype=np.float32)
    expected = ((normal[:, :seeds] @ factor.T) ** 2).mean(1)
    np.testing.assert_allclose(families.drawn_variances(drawn, factor), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(errors[:, :directions], normal[:, seeds])


@pytest.mark.parametrize(("seeds", "directions"), [(4, 2), (4, 12)])
def test_alone_a_contrast_has_students_t(seeds, directions):
    """A family of one row: the largest rarity's quantile, turned back into t, is Student's with as many degrees."""
    row = np.full((1, directions), directions**-0.5, dtype=np.float32)
    one, none = np.ones(1, dtype=np.float32), np.zeros(1, dtype=np.float32)
    parts = families.Parts(one, none, none, np.full(1, np.inf, dtype=np.float32))
    drawn = (families.standard_draws(seeds, directions, families.CHUNK, number) for number in range(10))
    largest = np.concatenate([families.largest(parts, row, 0 * row, *each, seeds) for each in drawn])
    found = np.sqrt(families.t_squared(np.quantile(largest, [0.5, 0.9, 0.95]), np.array(float(seeds))))
    np.testing.assert_allclose(found, stats.t.ppf([0.75, 0.95, 0.975], seeds), rtol=0.03)
