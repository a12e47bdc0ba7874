"""How often simulated studies find an effect exactly as large as the design card says they would with 80 % power.

Every term of the surface has its own detectable size at once; least squares tells them apart. The noise that the card
is told is the true one, on average over the design. Noise that grows, or that runs of one trajectory share, is not what
the card reckons with, and it says so: there the rates tell how far it is off.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from tests.calibration import simulate

from finevar.planning import power
from finevar.study.coding import design_matrix, term_name, terms


def planned(shape: simulate.Design, noise: str) -> power.Design:
    """Return the design as the card has it, with the trajectories that a kind of noise brings."""
    runs = simulate.simulate(shape, noise, np.random.default_rng(0))
    columns = terms(list(shape.codings), "quadratic")
    return power.Design(runs, shape.codings, columns, *design_matrix(runs, shape.codings, columns))


def found(shape: simulate.Design, noise: str, studies: int, seed: int) -> dict[str, float]:
    """Return, for each term, the share of studies whose unadjusted p is below 5 %."""
    design = planned(shape, noise)
    effects = power.detectable_effects(design, simulate.ALPHA).effects[: len(design.columns)]
    surface = design.matrix[:, : len(design.columns)] @ effects
    names = [term_name(term) for term in design.columns if term]
    below = np.zeros(len(names))
    for number in range(studies):
        runs = simulate.simulate(shape, noise, np.random.default_rng([seed, number]))
        fit = simulate.fitted(runs.assign(null=runs["null"] + surface * within_sd(runs)), "null", shape).fit
        below += fit.pvalues[1 : len(names) + 1] < simulate.ALPHA
    return dict(zip(names, below / studies, strict=True))


def within_sd(runs: pd.DataFrame) -> float:
    """Return the standard deviation between runs that is not a block's: of shared seeds, that of the runs alone."""
    shared = runs["covariate"].abs().max() > 0
    return simulate.SD if shared else float(runs["spread"].iloc[0])


def rates(studies: int, seed: int) -> Iterator[tuple[str, float]]:
    """Yield each design, noise and term with the per cent of studies that find it, of which 80 are promised."""
    for name, shape in simulate.DESIGNS.items():
        for noise in simulate.NOISES:
            for term, share in found(shape, noise, studies, seed).items():
                yield f"{name}, {noise}: {term} found", 100 * share
