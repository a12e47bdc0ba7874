"""Suspect runs: those far from what the others at their setting, and the surface, lead to expect.

They stay in every fit, since noise with heavy tails makes such a run in many clean studies; the main conclusions are
shown with and without them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from finevar.statistics.covariance import errors_of
from finevar.statistics.estimability import Obstacle, model_obstacle
from finevar.statistics.noise import modelled_noise, noise_model
from finevar.statistics.regression import Surface, fit_surface
from finevar.statistics.robust import huber_residuals, scale

SUSPECT = 6.0  # robust studentised residuals


@lru_cache(maxsize=16)
def huber_fit(surface: Surface) -> tuple[np.ndarray, float]:
    """Return each run's residual [runs] from a Huber fit, enlarged for leverage, and their standard deviation."""
    residuals = huber_residuals(surface.fit.values, surface.fit.matrix) / np.sqrt(1 - surface.fit.leverages)
    return residuals, scale(residuals)


@lru_cache(maxsize=16)
def robust_residuals(surface: Surface) -> np.ndarray:
    """Return each run's residual [runs] from a Huber fit of the surface, in robust standard deviations.

    The standard deviation is that between seeds at the run's setting or that of all residuals, whichever is larger: a
    run is neither odd for a surface that misses its setting as it misses others, nor for noise that is larger there.
    """
    residuals, common = huber_fit(surface)
    spread = np.full(len(residuals), common)
    if noise_model(surface) is not None:
        places = surface.runs[list(surface.codings)].to_dict("records")
        spread = np.maximum(spread, np.sqrt([variance for variance, _ in modelled_noise(surface, places)]))
    return np.divide(residuals, spread, out=np.zeros_like(residuals), where=spread > 0)


def suspects(surface: Surface) -> np.ndarray:
    """Say which runs [runs] are suspect; a model of the noise, which takes long, is only asked where one may be."""
    residuals, common = huber_fit(surface)
    far = np.abs(residuals) > SUSPECT * common
    return np.abs(robust_residuals(surface)) > SUSPECT if far.any() else far


def without_suspects(surface: Surface) -> Surface | Obstacle:
    """Return the surface of the other runs, or what keeps them from estimating it."""
    odd = suspects(surface)
    if not odd.any():
        return surface
    runs = surface.runs[~odd].reset_index(drop=True)
    if found := model_obstacle(runs, surface.codings, surface.columns, errors_of(runs)):
        return found
    own = surface.runs["dataset"].to_numpy()
    known = {name: getattr(surface, name) for name in ("excluded", "forbids", "smallest_effect")}
    known["sentences"] = {name: each[~odd[own == name]] for name, each in surface.sentences.items()}
    known["frozen"] = {
        name: each if each.ndim == 1 else each[~odd[own == name]] for name, each in surface.frozen.items()
    }
    return fit_surface(runs, surface.response, surface.codings, surface.columns, surface.confidence, **known)
