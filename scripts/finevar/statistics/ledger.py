"""The variance ledger: how much of the variance of a study's runs each source makes, and how surely.

N is the number of runs, V a source's part of their mean square, MSE the mean square of seed x setting.

Noise: E V = true V + df MSE / N for every source (Searle, Casella & McCulloch 1992), so that much is taken out of it
and given back to seed x setting. Test sentences: a metric over n sentences differs from that over all such sentences,
by errors that are correlated as the sentences' columns do. A source's part of them is the sum over sentences of the
same unbiased form of the sentence's column about the mean column, over n (n - 1); it is moved to a source of its own.
What falls below zero then is set to zero; where nothing does, the ledger sums to the variance of the runs exactly.

Intervals come from confidence distributions, whose quantiles are confidence limits (Xie & Singh 2013): of the noise,
SSE over a chi-square; of a source, the noncentrality that its sum of squares has as a noncentral chi-square (Steiger &
Fouladi 1997). Its unit is the error variance in the direction of the observed effect, and its degrees of freedom the
total error variance over that: the usual count without test sentences, with them Satterthwaite's (1946). Sentences are
resampled. For its upper limit, a source that varies less than noise alone does at the median is taken at that median,
so that luck does not exclude what the study could not see (power-constrained limits, Cowan, Cranmer, Gross & Vitells
2011). A bootstrap of runs is no substitute: near zero its percentiles miss what they should hold; and libraries for
sensitivity indices (SALib) take a function to call, where here are runs with noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import chdtri, chndtrinc, ndtri

from finevar.statistics.anova import DATASET, SEED, Grid, factor_shares

DRAWS = 999  # behind an interval
DRAWS_SEED = 20240229
FAR = 300.0  # from here a noncentral chi-square's root is as good as normal


@dataclass(frozen=True)
class Ledger:
    """Estimated variances by source, and draws from their confidence distributions where seeds measure noise.

    A variance itself may be drawn below zero, see noncentralities().
    """

    sources: tuple[str, ...]
    df: np.ndarray  # [sources]
    found: np.ndarray  # [sources], variances before that of test-set sampling is taken out
    taken: np.ndarray  # [sources], what test-set sampling makes of them; zero where it is not known
    known: bool  # whether it is
    drawn: np.ndarray | None  # [draws, sources + 1], that of test-set sampling last
    cautious: np.ndarray | None  # likewise, for upper limits
    division: np.ndarray  # how a source's variance divides among the sets of factors [sources, sets]
    holds: np.ndarray  # which factors a set holds, as zeros and ones [sets, factors]

    @property
    def variances(self) -> np.ndarray:
        """Return the variances [sources] without test-set sampling."""
        return np.maximum(self.found - self.taken, 0)

    @property
    def sampling_shares(self) -> np.ndarray:
        """Return the part [sources] that test-set sampling made of each variance; NaN where it is not known."""
        where = (self.found > 0) & self.known
        return np.clip(np.divide(self.taken, self.found, out=np.full_like(self.found, np.nan), where=where), 0, 1)

    @property
    def sampling(self) -> float:
        """Return the variance that test-set sampling makes."""
        return max(float(self.taken.sum()), 0.0)

    def shares(self) -> np.ndarray:
        """Return the sources' shares of the total, that of test-set sampling last [sources + 1]."""
        parts = np.append(self.variances, self.sampling)
        return parts / parts.sum()

    def share_limits(self, confidence: float) -> np.ndarray | None:
        """Return lower and upper limits of those shares [2, sources + 1]; None where there is one seed."""
        if self.drawn is None:
            return None
        rest = self.drawn.sum(1, keepdims=True) - self.drawn
        low, high = (limits(parts / (parts + rest), confidence) for parts in (self.drawn, self.cautious))
        return np.array([low[0], high[1]])

    def importance(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return each factor's first-order, total and Shapley share of the variance between settings [factors]."""
        return factor_shares(self.variances @ self.division, self.holds)

    def shapley_limits(self, confidence: float) -> np.ndarray | None:
        """Return lower and upper limits of the Shapley shares [2, factors]."""
        if self.drawn is None:
            return None
        return limits(factor_shares(self.drawn[:, :-1] @ self.division, self.holds)[2], confidence)


def limits(shares: np.ndarray, confidence: float) -> np.ndarray:
    """Return lower and upper limits [2, columns] of drawn shares [draws, columns], within 0 and 1.

    A draw in which a share is not defined counts to both sides.
    """
    tail = (1 - confidence) / 2
    low = np.quantile(np.nan_to_num(shares, nan=0.0), tail, axis=0)
    high = np.quantile(np.nan_to_num(shares, nan=1.0), 1 - tail, axis=0)
    return np.clip([low, high], 0, 1)


# Test sentences -------------------------------------------------------------------------------------------------------


class Sentences(NamedTuple):
    """What each test sentence of one data set adds to the sums of squares, [sentences, sources] each."""

    squares: np.ndarray
    along: np.ndarray  # the part of them in the direction of the observed effect

    @property
    def pairs(self) -> int:
        """Return n (n - 1), which turns a sum of squares about the mean into the variance of the mean."""
        return len(self.squares) * (len(self.squares) - 1)


def sentence_columns(runs: pd.DataFrame, contributions: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return for each data set its test sentences' columns about the mean column [sentences, runs].

    contributions: data set to [its runs in their order, sentences]. A data set's sentences move its own runs only.
    """
    columns = []
    for name, values in contributions.items():
        own = (runs[DATASET] == name).to_numpy()
        column = np.zeros((values.shape[1], len(runs)))
        column[:, own] = (values - values.mean(1, keepdims=True)).T
        columns.append(column)
    return columns


def taken_by(sentences: Sequence[Sentences], sources: int) -> np.ndarray:
    """Return the variance that the sampling of test sentences makes in each source [sources]."""
    return sum((part.squares.sum(0) / part.pairs for part in sentences), start=np.zeros(sources))


def draw_errors(sentences: Sequence[Sentences], draws: int, sources: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw sentences again, from a fixed seed; return what their sampling makes in all and along the effects.

    And levels for the confidence distributions; [draws, sources] each.
    """
    drawn, levels = drawn_again(tuple(len(part.squares) for part in sentences), draws, sources)
    sampling, along = np.zeros((2, draws, sources))
    for part, times in zip(sentences, drawn, strict=True):
        weights = times / part.pairs
        sampling += weights @ part.squares
        along += weights @ part.along
    return sampling, along, levels


@lru_cache(maxsize=1)
def drawn_again(counts: tuple[int, ...], draws: int, sources: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Draw so many sentences of each data set again; return how often each is drawn [draws, sentences], and levels.

    A study's responses share them: all have the same sentences.
    """
    rng = np.random.default_rng(DRAWS_SEED)
    drawn = [rng.multinomial(count, np.full(count, 1 / count), size=draws) for count in counts]
    return drawn, spread_levels(rng, draws, sources)


# Complete grids -------------------------------------------------------------------------------------------------------


def grid_ledger(grid: Grid, values: np.ndarray, columns: Sequence[np.ndarray], draws: int = DRAWS) -> Ledger:
    """Return the ledger of values [runs]; with one seed noise stays in every source, and nothing is drawn.

    columns: of test sentences, by data set [sentences, runs].
    """
    coefficients = grid.coefficients(values[grid.runs])
    squares = grid.by_source(coefficients**2)
    sentences = [grid_sentences(grid, coefficients, column) for column in columns]
    drawn, cautious = draw_grid(grid, squares, sentences, draws) if grid.replicated else (None, None)
    settings = [number for number, axes in enumerate(grid.sets) if axes and axes <= set(grid.factors)]
    parts = grid.by_set(coefficients**2) * grid.membership.T
    return Ledger(
        sources=grid.sources,
        df=grid.df,
        found=unbiased(grid, squares),
        taken=unbiased(grid, taken_by(sentences, len(squares))),
        known=bool(columns),
        drawn=drawn,
        cautious=cautious,
        division=np.divide(parts, squares[:, None], out=np.zeros_like(parts), where=parts > 0)[:, settings],
        holds=np.array([[float(name in grid.sets[number]) for name in grid.factors] for number in settings]),
    )


def grid_sentences(grid: Grid, coefficients: np.ndarray, columns: np.ndarray) -> Sentences:
    """Return what test sentences' columns [sentences, runs] add to the sums of squares, and along the observed ones."""
    own = grid.coefficients(columns[:, grid.runs])
    squares, products = grid.by_source(coefficients**2), grid.by_source(own * coefficients) ** 2
    along = np.divide(products, squares, out=np.zeros_like(products), where=squares > 0)
    return Sentences(grid.by_source(own**2), along)


def unbiased(grid: Grid, squares: np.ndarray) -> np.ndarray:
    """Return sums of squares [sources] as variances without the noise's part in them.

    They may be negative, and have the sum of the squares.
    """
    if not grid.replicated:
        return squares
    noise = squares[-1] / grid.df[-1]
    return np.append(squares[:-1] - grid.df[:-1] * noise, grid.df.sum() * noise)


def draw_grid(
    grid: Grid, squares: np.ndarray, sentences: Sequence[Sentences], draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the variances of each source and of test-set sampling [draws, sources + 1], as they are and cautious.

    Seeds are the study's own. Errors of a source: noise along each of its contrasts, and the sampling of sentences.
    """
    sampling, along, levels = draw_errors(sentences, draws, len(squares))
    error = squares[-1] / chdtri(grid.df[-1], 1 - levels[:, -1:])
    noise = np.maximum(error - sampling[:, -1:] / grid.df[-1], 0)
    effects = draw_effects(squares, grid.df * noise + sampling, noise + along, levels)
    beside = [noise * grid.df.sum(), sampling.sum(1, keepdims=True)]
    return tuple(np.hstack([found[:, :-1], *beside]) for found in effects)


def draw_effects(
    squares: np.ndarray, errors: np.ndarray, unit: np.ndarray, levels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw sums of squared effects, as they are and for cautious upper limits; arguments as noncentralities()."""
    df = np.divide(errors, unit, out=np.ones_like(errors), where=unit > 0)
    median = chdtri(df, 0.5) * unit
    found = noncentralities(squares, errors, unit, levels)
    cautious, low = found.copy(), median > squares
    cautious[low] = noncentralities(median[low], errors[low], unit[low], levels[low])
    return found, cautious


def spread_levels(rng: np.random.Generator, draws: int, columns: int) -> np.ndarray:
    """Return probabilities [draws, columns], each column evenly spread in random order: so its quantiles are exact."""
    return rng.permuted(np.tile((np.arange(draws) + 0.5) / draws, (columns, 1)), axis=1).T


def noncentralities(squares: np.ndarray, errors: np.ndarray, unit: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the sums of squared effects at which sums of squares have probabilities `levels` to be no larger.

    squares: [sources], or [draws, sources] as all others are. errors: expected sums of squares without an effect.
    unit: error variance in the direction of the effect. Where even no effect is too much, return by how much, below
    zero, so that sums over sources are not pushed up by cutting at zero.
    """
    noisy = unit > 0
    found = np.broadcast_to(squares, unit.shape).copy()
    x, df, levels = found[noisy] / unit[noisy], errors[noisy] / unit[noisy], levels[noisy]
    value = x - chdtri(df, 1 - levels)
    far = (x > FAR) & (x > FAR / 10 * df)
    value[far] = (np.sqrt(x[far] - df[far] + 1) - ndtri(levels[far])) ** 2
    near = ~far & (value > 0)
    value[near] = chndtrinc(x[near], df[near], levels[near])
    found[noisy] = value * unit[noisy]
    return found


# Shifts of all runs together ------------------------------------------------------------------------------------------


def seed_shift(runs: pd.DataFrame, response: str) -> tuple[float, int]:
    """Return the variance over seeds of a data set's mean over all settings, pooled over data sets, and its df.

    For a complete grid: what other seeds would do, while the ledger is about the study's own.
    """
    means = runs.groupby([DATASET, SEED])[response].mean().groupby(DATASET)
    df = int((means.size() - 1).sum())
    return float((means.var() * (means.size() - 1)).sum() / df), df


def sentence_shift(contributions: Mapping[str, np.ndarray]) -> float:
    """Return the variance that another draw of test sentences gives to the mean of a data set's runs.

    contributions: data set to [runs, sentences]; the mean over data sets.
    """
    return float(np.mean([values.mean(0).var(ddof=1) / values.shape[1] for values in contributions.values()]))
