"""Seeds added by Stein's two-stage rule (1945): how many bring a contrast's interval to a wanted half-width.

Between seeds a contrast w'b has the variance v s^2, v = w'(X'X)^-1 w and s the noise of a run as this contrast shows
it. From s on nu degrees of freedom of a first stage of m0 seeds the rule takes m = max(m0, ceil(v (t s / d)^2)) seeds,
v that of one seed. The interval of all m seeds that keeps the first stage's s and nu holds the truth as often as it
says, whatever m came out, since under normal noise the mean is independent of s. Test sentences add a variance that no
seed takes away: with them m is the fewest seeds at which the half-width is d, by what the runs so far show. The seeds'
variance then counts nu times its share of the whole as degrees of freedom: by Satterthwaite's nu an s that is small by
chance asks for few seeds and makes t small, too, and intervals hold in 93 to 94 % (tests/calibration).
"""

from __future__ import annotations

import bisect
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from finevar.statistics.clustered import Contrasts, two_way, welch
from finevar.statistics.covariance import FirstStage


def keep_first_stages(
    found: Contrasts, weights: np.ndarray, rows: np.ndarray, stages: Sequence[FirstStage]
) -> Contrasts:
    """Return contrasts with s and nu of the first stage where there was one; of several the first counts.

    weights: theirs [contrasts, parameters]. rows: the same of an orthonormal basis of the design, whose sums of squares
    are the variances for noise of 1 in a run.
    """
    if not stages:
        return found
    seed, df, unit = found.seed.copy(), found.seed_df.copy(), (rows**2).sum(1)
    for stage in reversed(stages):
        own = stage.shows(weights)
        seed[own], df[own] = unit[own] * stage.sd**2, stage.df
    staged = np.any([stage.shows(weights) for stage in stages], axis=0)
    return dataclasses.replace(found, seed=seed, seed_df=df, is_staged=staged)


def moved_stages(stages: Sequence[FirstStage], moved: np.ndarray) -> tuple[FirstStage, ...]:
    """Return first stages as contrasts of terms about another origin; moved: these terms [terms, parameters]."""
    if not stages:
        return ()
    terms = len(moved)
    back = np.zeros((moved.shape[1], moved.shape[1]))
    back[:terms, :terms] = np.linalg.inv(moved[:, :terms])
    return tuple(dataclasses.replace(stage, weights=stage.weights @ back) for stage in stages)


@dataclass(frozen=True)
class Precision:
    """What a contrast's variance is made of, see clustered.Contrasts."""

    seed: float
    seed_df: float
    sentence: float
    sentence_df: float
    both: float
    confidence: float

    @classmethod
    def of(cls, found: Contrasts, confidence: float) -> Precision:
        """Read that of the first of some contrasts."""
        parts = (found.seed, found.seed_df, found.sentence, found.sentence_df, found.both)
        return cls(*(float(part[0]) for part in parts), confidence=confidence)

    def half_width(self, share: float = 1.0) -> float:
        """Return that of the interval where seeds and settings vary it by this share of what they do, df kept."""
        seed, both = share * self.seed, share * self.both
        sentence = max(self.sentence - self.both, 0.0) + both
        variance = two_way(np.float64(seed), np.float64(sentence), np.float64(both))
        if variance == 0:
            return 0.0
        seed_df = self.seed_df * seed / variance
        df = welch(variance, np.float64(seed), seed_df, np.float64(sentence), self.sentence_df)
        return float(stats.t.isf((1 - self.confidence) / 2, df)) * math.sqrt(variance)

    def seeds_needed(self, seeds: int, wanted: float, most: int) -> int | None:
        """Return the fewest seeds that bring the half-width to a wanted one; None where not even `most` do.

        seeds: of the runs so far.
        """
        counts = range(seeds, most + 1)
        at = bisect.bisect_left(counts, True, key=lambda count: self.half_width(seeds / count) <= wanted)
        return counts[at] if at < len(counts) else None
