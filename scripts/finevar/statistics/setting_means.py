"""Tried settings compared by their own means: where a surface misses them, it no longer finds the best one.

Beside a cliff a quadratic rises where the metric does not. In simulated studies of 5 seeds x 15 settings with a cliff
(make calibrate), the best setting was missing among those not separated in 38 % by the surface and 2 % by the means,
and the lower end of the gain too high in 30 and 0 %. With few seeds HC3 counts what the surface misses as noise, so
that nothing is too sure there.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from finevar.statistics.checks import lack_of_fit
from finevar.statistics.covariance import CLASSICAL, fit_ols
from finevar.statistics.regression import Surface


def misses_settings(surface: Surface) -> bool:
    """Say whether a surface is found to miss the means of its settings, each of which has seeds enough to stand alone.

    Errors are those of the seeds; below four, of the surface.
    """
    if surface.spread.few is not None or surface.runs.groupby("point_id")["seed"].nunique().min() < 2:
        return False
    p_value = lack_of_fit(surface, surface.unequal).get("p_value")
    return p_value is not None and p_value < surface.alpha


def settings_surface(surface: Surface) -> Surface:
    """Return a fit of each setting's own mean in place of the terms, the settings of surface.points first."""
    own, tried = surface.runs["point_id"], surface.points["point_id"]
    settings = [*tried, *own[~own.isin(tried)].unique()]
    members = (own.to_numpy()[:, None] == np.array(settings, dtype=object)).astype(float)
    blocks = len(surface.columns)
    fit = fit_ols(surface.fit.values, np.hstack([members, surface.fit.matrix[:, blocks:]]), CLASSICAL)
    names = [*settings, *surface.names[blocks:]]
    return dataclasses.replace(surface, columns=[(setting,) for setting in settings], names=names, fit=fit)


def mean_contrasts(surface: Surface) -> np.ndarray:
    """Return the contrasts [points, parameters] of the means in settings_surface()."""
    return surface.padded(np.eye(len(surface.columns))[: len(surface.points)])
