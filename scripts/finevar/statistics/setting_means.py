"""Tried settings compared by their own means: where a surface misses them, it no longer finds the best one.

Beside a cliff a quadratic rises where the metric does not. In simulated studies of 5 seeds x 15 settings with a cliff
(make calibrate), the best setting was missing among those not separated in 38 % by the surface and 2 % by the means,
and the lower end of the gain too high in 30 and 0 %. With few seeds HC3 counts what the surface misses as noise, so
that no interval is too narrow there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import pandas as pd

from finevar.statistics.covariance import CLASSICAL, fit_ols
from finevar.statistics.regression import Surface
from finevar.study.coding import model_matrix


@lru_cache(maxsize=16)
def misses_settings(surface: Surface) -> bool:
    """Say whether a surface is found to miss the mean of any setting, for new seeds and new sentences.

    The deviations of the means from the terms are one family, so that noise may differ between settings. Never with
    few seeds, nor where one seed alone stands for a setting.
    """
    if surface.spread.few is not None:
        return False
    means, seeds = settings_surface(surface), surface.runs["seed"].to_numpy()
    members = means.fit.matrix[:, : len(means.columns)] > 0
    if min(len(np.unique(seeds[own])) for own in members.T) < 2:
        return False
    first = members.argmax(0)  # run of each setting
    places = {name: coded[first] for name, coded in surface.coded_runs.items()}
    basis = np.linalg.qr(model_matrix(places, surface.columns))[0]
    missed = np.eye(len(basis)) - basis @ basis.T
    missed = missed[np.diag(missed) > 1e-9]  # of the others the surface passes through each mean
    return bool(len(missed)) and bool(means.family(means.padded(missed)).p_value.min() < surface.alpha)


def setting_names(runs: pd.DataFrame, factors: Iterable[str]) -> pd.Series:
    """Return for each run the first id of a point with its levels: data sets have ids of their own for one setting."""
    return runs.groupby(list(factors), sort=False, dropna=False)["point_id"].transform("first")


@lru_cache(maxsize=16)
def settings_surface(surface: Surface) -> Surface:
    """Return a fit of each setting's own mean in place of the terms, the settings of surface.points first."""
    own, tried = setting_names(surface.runs, surface.codings), surface.points["point_id"]
    settings = [*tried, *own[~own.isin(tried)].unique()]
    members = (own.to_numpy()[:, None] == np.array(settings, dtype=object)).astype(float)
    blocks = len(surface.columns)
    fit = fit_ols(surface.fit.values, np.hstack([members, surface.fit.matrix[:, blocks:]]), CLASSICAL)
    names = [*settings, *surface.names[blocks:]]
    return dataclasses.replace(
        surface, columns=[(setting,) for setting in settings], names=names, fit=fit, errors=CLASSICAL
    )


def mean_contrasts(surface: Surface) -> np.ndarray:
    """Return the contrasts [settings, parameters] of the means in settings_surface()."""
    return surface.padded(np.eye(len(surface.columns))[: len(surface.points)])
