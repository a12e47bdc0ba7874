"""The smallest effect that a test finds with a power: the one answer of the design card and of the claims."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import optimize, special, stats

from finevar.statistics.clustered import FEW_SEEDS, welch

POWER = 0.8
MOST_SEEDS = 50  # that are worth a mention


def t_power(noncentrality: float, df: float, alpha: float) -> float:
    """Return the power of a two-sided t-test: the square of a noncentral t is a noncentral F."""
    critical = stats.t.isf(alpha / 2, df)
    return float(1 - stats.ncf.cdf(critical**2, 1, df, noncentrality**2))  # its sf is wrong at noncentrality 0


def detectable(df: float, alpha: float, power: float = POWER) -> float:
    """Return the noncentrality, effect over standard error, that a two-sided t-test finds with a power.

    The one-sided answer, which leaves out that the test finds the wrong sign, bounds it from above.
    """
    one_sided = float(special.nctdtrinc(df, 1 - power, stats.t.isf(alpha / 2, df)))
    return float(optimize.brentq(lambda value: t_power(value, df, alpha) - power, 0, 1.01 * one_sided))


@dataclass(frozen=True)
class Change:
    """A change before its study: its variance with one seed and with one test sentence, and how it is tested.

    With S seeds and N sentences its variance is seed / S + sentence / N, with Satterthwaite's degrees of freedom from
    S - 1 and N - 1.
    """

    seed: float
    sentence: float
    alpha: float
    few_df: float  # of the seeds' variance below FEW_SEEDS, where the residuals stand for it

    def found(self, seeds: int, sentences: float) -> float:
        """Return the smallest change found with POWER, for new seeds and new sentences."""
        seed, sentence = self.seed / seeds, self.sentence / sentences
        df = welch(seed + sentence, seed, self.few_df if seeds < FEW_SEEDS else seeds - 1, sentence, sentences - 1)
        return math.sqrt(seed + sentence) * detectable(float(df), self.alpha)

    def seed_share(self, seeds: int, sentences: float) -> float:
        """Return the share of the variance that comes from seeds."""
        seed, sentence = self.seed / seeds, self.sentence / sentences
        return seed / (seed + sentence)

    def seeds_needed(self, wanted: float, sentences: float) -> int | None:
        """Return the fewest seeds, but FEW_SEEDS at least, that find a change; None where sentences prevent it."""
        enough = (seeds for seeds in range(FEW_SEEDS, MOST_SEEDS + 1) if self.found(seeds, sentences) <= wanted)
        return next(enough, None)

    def sentences_needed(self, wanted: float, seeds: int) -> int | None:
        """Return the fewest sentences that find a change, in two digits; None where seeds prevent it."""
        low, high = 10.0, 1e6
        if self.found(seeds, high) > wanted:
            return None
        if self.found(seeds, low) > wanted:
            low = optimize.brentq(lambda sentences: self.found(seeds, sentences) - wanted, low, high)
        digit = 10 ** max(math.floor(math.log10(low)) - 1, 0)
        return math.ceil(low / digit) * digit

    def both_needed(self, wanted: float) -> tuple[int, int] | None:
        """Return seeds and sentences that find a change together, about half of the error from each."""
        seeds = self.seeds_needed(wanted / math.sqrt(2), math.inf)
        sentences = seeds and self.sentences_needed(wanted, seeds)
        return (seeds, sentences) if sentences else None
