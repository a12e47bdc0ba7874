"""Many contrasts at once, for new seeds and new sentences: p-values and intervals by the largest of the family.

Each contrast's t counts by how rare it is under its own degrees of freedom. The largest is compared with that of draws
in which nothing differs from zero: each redraws the estimates' errors and the seeds' variance, the latter from as
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
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from finevar.statistics.clustered import Clustered, Contrasts, two_way, welch

DRAWS = 20_000  # standard error 0.15 % of a tail probability of 5 %
DRAW_SEED = 20250101
CHUNK = 5_000
BLOCK = 2**17  # numbers worked on at once: half a megabyte, which stays in a core's cache
MOST_KEPT = 16  # directions whose draws are kept
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


class Parts(NamedTuple):
    """What contrasts' variances [rows] are made of, as shares of each."""

    seed: np.ndarray
    sentence: np.ndarray
    both: np.ndarray
    sentence_df: np.ndarray


def family(
    clustered: Clustered, weights: np.ndarray, *, new_sentences: bool = True, draws: int | None = None
) -> Family:
    """Judge linear combinations [rows, parameters] of the parameters together, by so many draws (default DRAWS)."""
    draws = draws or DRAWS
    found = clustered.contrasts(weights, new_sentences=new_sentences)
    left, scale, right = np.linalg.svd(clustered.rows(weights), full_matrices=False)
    kept = scale > 1e-9 * scale[0]
    left, axes = left[:, kept] * scale[kept], right[kept]
    noisy = found.variance > 0  # what has no variance is never the largest
    if not noisy.any():
        return Family(found, np.zeros(draws))
    shares = (part[noisy] / found.variance[noisy] for part in (found.seed, found.sentence, found.both))
    parts = Parts(*(part.astype(np.float32) for part in (*shares, found.sentence_df[noisy])))
    factors = (
        (left[noisy], parts.seed),
        (left[noisy] @ root(axes @ sum(clustered.sentence_covs) @ axes.T), parts.sentence),
    )
    seed, sentence = (scaled(*each).astype(np.float32) for each in factors)
    seeds = round(np.nanmin(found.seed_df, initial=MANY_SEEDS))
    sizes = [min(CHUNK, draws - start) for start in range(0, draws, CHUNK)]
    draw = kept_draws if seed.shape[1] <= MOST_KEPT else standard_draws
    step = max(BLOCK // len(seed), 1)
    drawn = (draw(seeds, seed.shape[1], size, number) for number, size in enumerate(sizes))
    blocks = (
        (own[at : at + step], errors[at : at + step]) for own, errors in drawn for at in range(0, len(errors), step)
    )
    return Family(found, np.sort(np.concatenate([largest(parts, seed, sentence, *each, seeds) for each in blocks])))


def standard_draws(seeds: int, directions: int, draws: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return draws of normal errors: what seeds' variances follow from, and the estimates' own [draws, 2 x directions].

    The former are seeds' errors [draws, seeds, directions] or, where these are fewer numbers, their mean products over
    seeds for each two directions [draws, pairs]. The latter are of seeds, then of sentences.
    """
    generator = np.random.default_rng([DRAW_SEED, number])
    normal = generator.standard_normal((draws, seeds + 2, directions), dtype=np.float32)
    own, errors = normal[:, :seeds], normal[:, seeds:].reshape(draws, -1)
    if directions > 2 * seeds:
        return own, errors
    products = own.transpose(0, 2, 1) @ own / seeds
    return products[:, *np.triu_indices(directions)], errors


# Families of as many directions share theirs: those of three numbers of directions, 20 megabytes with five seeds.
kept_draws = lru_cache(maxsize=3 * DRAWS // CHUNK)(standard_draws)


def drawn_variances(drawn: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Return the variances [draws, rows] that seeds show, from standard_draws() and a factor [rows, directions]."""
    if drawn.ndim == 3:
        return sum((drawn[:, each] @ seed.T) ** 2 for each in range(drawn.shape[1])) / drawn.shape[1]
    first, second = np.triu_indices(seed.shape[1])
    twice = np.where(first == second, 1, 2).astype(np.float32)
    return drawn @ (twice * seed[:, first] * seed[:, second]).T


def largest(
    parts: Parts, seed: np.ndarray, sentence: np.ndarray, drawn: np.ndarray, errors: np.ndarray, seeds: int
) -> np.ndarray:
    """Return the family's largest rarity [draws] where nothing differs from zero.

    seed, sentence: factors [rows, directions] of the covariances, their product's diagonal being the variances. Their
    sum is the errors' covariance, which stays positive semidefinite as V_both only scales it. drawn and errors: of
    standard_draws().
    """
    shown = drawn_variances(drawn, seed)
    variance = two_way(shown, parts.sentence, parts.both)
    df = welch(variance, shown, seeds, parts.sentence, parts.sentence_df)
    estimates = errors @ np.hstack([seed, sentence]).T
    return np.fmax.reduce(rarity(estimates**2 / variance / (parts.seed + parts.sentence), df), axis=1)


def scaled(factor: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return a factor of a covariance [rows, directions] with its rows scaled to give these variances."""
    own = (factor**2).sum(1)
    return factor * np.sqrt(np.divide(variance, own, out=np.zeros_like(own), where=own > 0))[:, None]


def root(cov: np.ndarray) -> np.ndarray:
    """Return a factor F of a covariance, F F'; one that is not quite positive is clipped."""
    values, vectors = np.linalg.eigh(cov)
    return vectors * np.sqrt(np.maximum(values, 0))


def rarity(t_squared: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Return the square of the normal deviate about as rare as a t value (Wallace 1959)."""
    return ((8 * df + 1) / (8 * df + 3)) ** 2 * df * np.log1p(t_squared / df)


def t_squared(rarity: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Return the square of the t value of a rarity."""
    return df * np.expm1(rarity * ((8 * df + 3) / (8 * df + 1)) ** 2 / df)
