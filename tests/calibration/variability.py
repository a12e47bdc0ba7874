"""Simulate studies whose shares of variance are known, and count how often intervals hold them.

Rates are per cent of studies in which a 95 % interval holds the true share: of a source of variance, and of a factor in
the variance between settings (Shapley). The study's seeds, and so their shifts, are part of the truth.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from finevar.statistics.anova import Grid, factor_shares, source_of
from finevar.statistics.ledger import grid_ledger, sentence_columns
from finevar.statistics.regression import fit_surface
from finevar.statistics.surface_ledger import surface_ledger
from finevar.study.coding import Coding, terms

CONFIDENCE = 0.95
NOISE = 0.8  # variance of a run about its source's effects
GROWTH = 6.0  # of the noise's standard deviation over the first factor's levels, where it grows
SETTINGS = {"a": 1.0, "b": 0.3, "a:b": 0.2, "a:c": 0.05, "seed": 0.1, "dataset": 0.5, "dataset:settings": 0.1}
GRIDS = {  # data sets, levels of each factor, seeds
    "54 runs, 2 seeds": (1, 3, 3, 3, 2),
    "135 runs, 5 seeds": (1, 3, 3, 3, 5),
    "72 runs, 2 data sets, 3 seeds": (2, 4, 3, 3),
}
LINE, BEND, TWIST = 0.9, 0.5, 0.6  # true coefficients of the surface: a, a squared, a by b

Held = Iterator[tuple[str, bool]]


def rates(studies: int, seed: int) -> Iterator[tuple[str, float]]:
    """Yield what was counted and the per cent of studies in which the interval holds the truth."""
    kinds = {
        **{name: (lambda rng, shape=shape: on_grid(shape, SETTINGS, rng)) for name, shape in GRIDS.items()},
        "54 runs, nothing moves them": lambda rng: on_grid((1, 3, 3, 3, 2), {}, rng),
        "54 runs, noise grows": lambda rng: on_grid((1, 3, 3, 3, 2), SETTINGS, rng, growth=GROWTH),
        "36 runs, 400 test sentences": lambda rng: with_sentences(1, rng),
        "36 runs, sentences alone move them": lambda rng: with_sentences(0, rng),
        "45 of 54 runs, fitted surface": on_surface,
        "45 of 54 runs, fitted surface, 400 test sentences": lambda rng: on_surface(rng, 8.0),
    }
    for number, (name, simulate) in enumerate(kinds.items()):
        held = defaultdict(list)
        for study in range(studies):
            for what, success in simulate(np.random.default_rng([seed, number, study])):
                held[what].append(success)
        for what, found in held.items():
            yield f"{name}: {what}", 100 * float(np.mean(found))


def table_of(shape: tuple[int, ...]) -> tuple[pd.DataFrame, list[str]]:
    """Return the runs of a complete grid, levels numbered, and its factors."""
    factors = list("abc"[: len(shape) - 2])
    places = itertools.product(*map(range, shape))
    return pd.DataFrame(places, columns=["dataset", *factors, "seed"]), factors


def on_grid(shape: tuple[int, ...], sizes: Mapping[str, float], rng: np.random.Generator, growth: float = 1.0) -> Held:
    """Yield the success of every interval of one study; sizes: true variance of each source, 0 where not named."""
    runs, factors = table_of(shape)
    grid = Grid.of(runs, factors)
    effects = rng.normal(size=len(runs))
    wanted = np.array([sizes.get(source_of(axes, factors), 0.0) for axes in grid.sets])
    present = grid.by_source(effects**2)
    scale = np.divide(wanted, grid.membership @ present, out=np.zeros_like(wanted), where=wanted > 0)
    effects *= np.sqrt(np.repeat(scale, grid.sizes))
    spread = growth ** (runs["a"].to_numpy() / runs["a"].max())
    spread *= math.sqrt(NOISE / (spread**2).mean())
    values = from_contrasts(grid, effects) + rng.normal(size=len(runs)) * spread
    ledger = grid_ledger(grid, values, [])
    truth = grid.by_source(effects**2)
    truth[-1] = NOISE * (len(runs) - 1) / len(runs)
    yield from compared(ledger.sources, np.append(truth, 0)[:-1] / truth.sum(), ledger.share_limits(CONFIDENCE))
    # A pooled source divides among its sets as observed, so only its own division is the truth's.
    shapley = factor_shares(truth @ ledger.division, ledger.holds)[2]
    if np.isfinite(shapley).all():
        yield from compared([f"Shapley {name}" for name in factors], shapley, ledger.shapley_limits(CONFIDENCE))


def from_contrasts(grid: Grid, coefficients: np.ndarray) -> np.ndarray:
    """Return the values [runs] that have these contrast coefficients: the transformation is orthogonal."""
    basis = grid.coefficients(np.eye(len(coefficients)))
    return (basis @ coefficients * len(coefficients))[np.argsort(grid.runs)]


def with_sentences(size: float, rng: np.random.Generator) -> Held:
    """Yield the success of intervals where sentences respond differently to settings; size: of the true effects."""
    runs, factors = table_of((1, 3, 3, 4))
    grid = Grid.of(runs, factors)
    a, b = (runs[name].to_numpy() - 1 for name in factors)
    shift = rng.normal(0, 0.02, size=4)[runs["seed"]]
    mean = size * (0.05 * a + 0.025 * b) + shift
    own, count = 0.02, 400
    answers = mean + rng.normal(0, own, size=len(runs)) + rng.normal(size=(count, 1)) * 0.5
    answers = answers + rng.normal(size=(count, 1)) * 0.6 * a + rng.normal(size=(count, 1)) * 0.3 * b
    answers = answers + rng.normal(0, 0.3, size=(count, len(runs)))
    ledger = grid_ledger(grid, answers.mean(0), sentence_columns(runs, {0: answers.T}))
    truth = grid.by_source(grid.coefficients(mean[grid.runs]) ** 2)
    truth[-1] = own**2 * (len(runs) - 1) / len(runs)
    # Of one sentence: the mean square of 0.6 a and 0.3 b over the grid is theirs times 2/3.
    sampling = ((0.6**2 + 0.3**2) * 2 / 3 + 0.3**2 * (len(runs) - 1) / len(runs)) / count
    shares = np.append(truth, sampling) / (truth.sum() + sampling)
    yield from compared([*ledger.sources, "test_set"], shares, ledger.share_limits(CONFIDENCE))


def on_surface(rng: np.random.Generator, spread: float = 0.0) -> Held:
    """Yield the success of intervals from a surface fitted to a grid that lacks runs.

    spread: standard deviation, over 400 test sentences, of the sentences' own slope along the first factor; their own
    answers to each run are half as wide. Without it there are no sentences.
    """
    runs, factors = table_of((1, 3, 3, 3, 2))
    runs = runs.assign(point_id=runs[factors].astype(str).agg("-".join, axis=1), dataset="one")
    kept = np.sort(rng.permutation(len(runs))[:45])
    runs = runs.iloc[kept].reset_index(drop=True)
    runs["trajectory_id"] = runs.index.astype(str)
    codings = {name: Coding((0.0, 1.0, 2.0), "identity") for name in factors}
    x, z = (runs[name].to_numpy() - 1 for name in "ab")
    shift, count = np.array([0.3, -0.3]), 400
    runs["y"] = LINE * x + BEND * x**2 + TWIST * x * z + shift[runs["seed"]]
    runs["y"] += rng.normal(0, math.sqrt(NOISE), size=len(runs))
    answers = runs["y"].to_numpy() + rng.normal(size=(count, 1)) + rng.normal(0, spread, size=(count, 1)) * x
    answers = answers + rng.normal(0, spread / 2, size=(count, len(runs)))
    columns = sentence_columns(runs, {"one": answers.T}) if spread else []
    runs["y"] = answers.mean(0)
    ledger = surface_ledger(fit_surface(runs, "y", codings, terms(factors, "quadratic"), CONFIDENCE), columns)
    # Over -1 to 1: x has variance 1/3, x squared 4/45, and x times z 1/9.
    parts = {"a": LINE**2 / 3 + BEND**2 * 4 / 45, "a:b": TWIST**2 / 9, "seed": 0.3**2, "seed:point": NOISE}
    parts["test_set"] = spread**2 * (1 / 3 + 1 / 4) / count
    names = [*ledger.sources, "test_set"]
    truth = np.array([parts.get(name, 0.0) for name in names])
    yield from compared(names[: None if spread else -1], truth / truth.sum(), ledger.share_limits(CONFIDENCE))


def compared(names: list[str] | tuple[str, ...], truth: np.ndarray, limits: np.ndarray) -> Held:
    """Yield each name and whether its limits [2, names or more] hold its truth."""
    for number, name in enumerate(names):
        low, high = limits[:, number]
        yield name, bool(low <= truth[number] + 1e-12 and truth[number] - 1e-12 <= high)
