"""Whether seeds change slopes: seed x factor against the noise that is left."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

ONE_SEED = "not testable: there is only one seed"
NO_SLOPES = "not testable: no seed has runs at enough levels for slopes of its own"
NO_NOISE = "not testable: slopes of each seed leave no noise to compare with"


class SlopesTest(NamedTuple):
    """An F test of seed x factor, or why there is none."""

    f_value: float | None = None
    df_numerator: int | None = None
    df_denominator: int | None = None
    p_value: float | None = None
    reason: str | None = None


def seed_slopes_test(
    values: np.ndarray, slopes: np.ndarray, seeds: np.ndarray, cells: np.ndarray, design: np.ndarray
) -> SlopesTest:
    """Test whether the slopes of values [runs] along columns [runs, factors] differ between seeds.

    Against the noise within settings, where settings have several seeds: a surface's lack of fit is no part of that.
    Else against the residuals of the surface, whose design [runs, parameters] needs no seeds' blocks.
    """
    own = (seeds[:, None] == np.unique(seeds)).astype(float)
    if own.shape[1] < 2:
        return SlopesTest(reason=ONE_SEED)
    each = (own[:, :, None] * slopes[:, None]).reshape(len(values), -1)
    changes = np.column_stack([values, own, each])
    within = compared(within_cells(changes, cells), own.shape[1], len(values) - len(np.unique(cells)))
    if within.p_value is not None:
        return within
    basis = np.linalg.qr(design)[0]
    return compared(changes - basis @ (basis.T @ changes), own.shape[1], len(values) - design.shape[1])


def within_cells(columns: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return columns [runs, columns] less their means over the runs of each setting."""
    _, number, size = np.unique(cells, return_inverse=True, return_counts=True)
    sums = np.zeros((len(size), columns.shape[1]))
    np.add.at(sums, number, columns)
    return columns - (sums / size[:, None])[number]


def compared(columns: np.ndarray, shifts: int, df: int) -> SlopesTest:
    """Return the F test of the columns that follow the values and the shifts; df: of the values without either."""
    values = columns[:, 0]
    without, few = residual_sum(values, columns[:, 1 : 1 + shifts])
    rest, many = residual_sum(values, columns[:, 1:])
    if many == few:
        return SlopesTest(reason=NO_SLOPES)
    if df - many < 1 or rest <= 1e-12 * (values @ values):
        return SlopesTest(reason=NO_NOISE)
    f_value = (without - rest) / (many - few) / (rest / (df - many))
    p = stats.f.sf(f_value, many - few, df - many)
    return SlopesTest(float(f_value), many - few, df - many, float(p))


def residual_sum(values: np.ndarray, columns: np.ndarray) -> tuple[float, int]:
    """Return the sum of squared residuals of values on columns [runs, columns], and the columns' rank."""
    left, scale, _ = np.linalg.svd(columns, full_matrices=False)
    basis = left[:, scale > 1e-9 * max(scale[0], np.sqrt(len(values)))]
    residual = values - basis @ (basis.T @ values)
    return float(residual @ residual), basis.shape[1]
