"""Simulate comparisons with the baseline of known truth: intervals over sentences, and the chance that a run wins.

Rates are per cent of studies in which a 95 % interval holds the truth: for one setting, for all at once, or for the
probability that a run of another seed beats the baseline.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import special

from finevar.analyses import paired
from finevar.statistics import regression
from finevar.statistics.covariance import Errors

CONFIDENCE = 0.95
POINTS = 9
SENTENCES = (300, 1000)
SEEDS = (2, 6)
CELLS = 27


def rates(studies: int, seed: int) -> Iterator[tuple[str, float]]:
    """Yield what was counted and the per cent of studies in which the interval holds the truth."""
    generator = np.random.default_rng(seed)
    for count in SENTENCES:
        for name, draw in (("accuracy", accuracies), ("loss", losses)):
            alone, at_once = np.mean([covered(*draw(count, generator)) for _ in range(studies)], axis=0)
            yield f"{name}, {count} sentences: one setting", 100 * alone
            yield f"{name}, {count} sentences: all {POINTS} settings at once", 100 * at_once
    for seeds in SEEDS:
        for shift in (0.0, 1.0):
            held = np.mean([chance_covered(seeds, shift, generator) for _ in range(studies)])
            yield f"chance to win, {seeds} seeds, seeds' common shift of {shift:g} SD", 100 * held


def accuracies(count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return differences of correctness [points, sentences] and their true means: hard sentences are hard for all.

    A sentence's difficulty is normal; a model of skill a is right where a normal ability beyond it is drawn, so its
    accuracy is a normal distribution function.
    """
    skills = np.append(1.2 * np.sqrt(2), (1.2 + np.linspace(-0.1, 0.3, POINTS)) * np.sqrt(2))
    difficulty = generator.normal(size=count)
    right = skills[:, None] + generator.normal(size=(POINTS + 1, count)) > difficulty
    truth = special.ndtr(skills / np.sqrt(2))
    return right[1:].astype(float) - right[0], truth[1:] - truth[0]


def losses(count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return differences of a skewed loss [points, sentences] and their true means: log-normal, sentences shared."""
    spreads = np.append(1.0, np.linspace(0.9, 1.4, POINTS))
    common = generator.normal(size=count)
    own = generator.normal(size=(POINTS + 1, count))
    each = np.exp(-1.5 + spreads[:, None] * (0.8 * common + 0.6 * own))
    truth = np.exp(-1.5 + spreads**2 / 2)
    return each[1:] - each[0], truth[1:] - truth[0]


def covered(differences: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return the share of single intervals that hold the truth, and whether all simultaneous ones do."""
    rows = pd.DataFrame(paired.bootstrap_bands([differences], CONFIDENCE))
    alone = rows["ci_low"].le(truth) & rows["ci_high"].ge(truth)
    at_once = rows["simultaneous_low"].le(truth) & rows["simultaneous_high"].ge(truth)
    return float(alone.mean()), float(at_once.all())


def chance_covered(seeds: int, shift: float, generator: np.random.Generator) -> bool:
    """Say whether the interval of the chance to win at one cell holds the truth, the noise pooled over all cells.

    shift: what a seed does to all of its runs, in standard deviations of what it does to one alone. A run of another
    seed has a shift of its own, so both count.
    """
    runs = pd.DataFrame({"point_id": np.repeat(np.arange(CELLS), seeds), "seed": np.tile(np.arange(seeds), CELLS)})
    noise = generator.normal(size=len(runs)) + shift * generator.normal(size=seeds)[runs["seed"]]
    runs = runs.assign(dataset="d", value=noise)
    gap = generator.normal()  # of the cell's true mean over the baseline
    found = float(runs.loc[runs["point_id"] == 0, "value"].mean()) + gap
    sd, _ = regression.pure_error(runs, "value")
    df = regression.noise_df(runs, "value", Errors("HC3", None, ""))
    row = paired.winning_chance(found, sd**2, df, seeds, CONFIDENCE)
    return bool(row["probability_low"] <= special.ndtr(gap / np.hypot(1, shift)) <= row["probability_high"])
