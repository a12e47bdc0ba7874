"""Many contrasts at once, for new seeds and new sentences: p-values and intervals by the largest of the family.

Each contrast's t counts by how rare it is under its own degrees of freedom. The largest is compared with that of draws
in which nothing differs from zero: each draws the estimates' errors and the seeds' variance anew, the latter from as
many seeds as the degrees of freedom say, in the shape that runs of equal noise would give it, at each contrast's size.

Chosen by simulation: 5 seeds x 15 settings, 27 simple effects of a factor in four directions, in % (tests/calibration):

| | new sentences: no effect, effect | these sentences: no effect, effect |
|---|---|---|
| largest of these draws | 1.5 to 3.8, 74 | 1.5 to 3.2, 90 |
| multivariate t, correlations as estimated | 3.8 to 6.0, 80 | 7.8 to 19.2, 99 |
| Bonferroni | 0.5 to 1.0, 56 | 1.5 to 3.0, 88 |
| joint Wald test (HTZ) | 0.8 to 1.5, 44 | 3.8 to 5.5, 18 |

With 5 seeds a covariance in four directions has one degree of freedom left for the Wald test, and its correlations are
too much like each other for the multivariate t, which also gives all contrasts one denominator.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from finevar.statistics.clustered import Clustered, Contrasts, two_way, welch

DRAWS = 100_000  # standard error 0.07 % of a tail probability of 5 %
DRAW_SEED = 20250101
CHUNK = 5_000
MANY_SEEDS = 12  # a variance from more counts as from these many: a reach 1.4 % too wide at most in simulations


@dataclass(frozen=True)
class Family:
    """Contrasts that are judged together."""

    found: Contrasts
    largest: np.ndarray  # the family's largest rarity in each draw, sorted [draws]

    @cached_property
    def p_value(self) -> np.ndarray:
        """Return each contrast's p-value adjusted for the family [rows], never below its own; NaN where it has none."""
        below = np.searchsorted(self.largest, rarity(self.found.t**2, self.found.df))
        return np.maximum(1 - below / len(self.largest), self.found.p_value)

    def interval(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of intervals [rows] that all hold at once."""
        t2 = t_squared(np.quantile(self.largest, confidence), self.found.df)
        reach = np.sqrt(t2) * self.found.std_error
        return self.found.estimate - reach, self.found.estimate + reach


def family(clustered: Clustered, weights: np.ndarray, *, new_sentences: bool = True, draws: int = DRAWS) -> Family:
    """Judge linear combinations [rows, parameters] of the parameters together."""
    found = clustered.contrasts(weights, new_sentences=new_sentences)
    left, scale, right = np.linalg.svd(clustered.rows(weights), full_matrices=False)
    kept = scale > 1e-9 * scale[0]
    left, axes = left[:, kept] * scale[kept], right[kept]
    seed = scaled(left, found.seed)
    sentence = scaled(left @ root(axes @ sum(clustered.sentence_covs) @ axes.T), found.sentence)
    generator = np.random.default_rng(DRAW_SEED)
    sizes = [min(CHUNK, draws - start) for start in range(0, draws, CHUNK)]
    return Family(found, np.sort(np.concatenate([largest(found, seed, sentence, size, generator) for size in sizes])))


def largest(
    found: Contrasts, seed: np.ndarray, sentence: np.ndarray, draws: int, generator: np.random.Generator
) -> np.ndarray:
    """Return the family's largest rarity [draws] where nothing differs from zero.

    seed, sentence: factors [rows, directions] of the covariances, their product's diagonal being the variances. Their
    sum is the errors' covariance, which stays positive semidefinite as V_both only scales it.
    """

    def normal(factor: np.ndarray, *shape: int) -> np.ndarray:
        return generator.standard_normal((*shape, factor.shape[1])) @ factor.T

    seeds = round(np.nanmin(found.seed_df, initial=MANY_SEEDS))
    drawn = sum(normal(seed, draws) ** 2 for _ in range(seeds)) / seeds
    variance = two_way(drawn, found.sentence, found.both)
    df = welch(variance, drawn, seeds, found.sentence, found.sentence_df)
    squares = (normal(seed, draws) + normal(sentence, draws)) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):  # what has no variance is never the largest
        squares *= found.variance / (found.seed + found.sentence)
        return np.fmax.reduce(rarity(squares / variance, df), axis=1)


def scaled(factor: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return a factor of a covariance [rows, directions] with its rows scaled to give these variances."""
    own = (factor**2).sum(1)
    return factor * np.sqrt(np.divide(variance, own, out=np.zeros_like(own), where=own > 0))[:, None]


def root(cov: np.ndarray) -> np.ndarray:
    """Return a factor F of a covariance, F F'."""
    values, vectors = np.linalg.eigh(cov)
    return vectors * np.sqrt(np.maximum(values, 0))


def rarity(t_squared: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Return the square of the normal deviate about as rare as a t value (Wallace 1959)."""
    return ((8 * df + 1) / (8 * df + 3)) ** 2 * df * np.log1p(t_squared / df)


def t_squared(rarity: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Return the square of the t value of a rarity."""
    return df * np.expm1(rarity * ((8 * df + 3) / (8 * df + 1)) ** 2 / df)
