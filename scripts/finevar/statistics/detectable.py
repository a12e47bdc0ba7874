"""The smallest effect that a test finds with a power: the one answer of the design card and of the claims."""

from __future__ import annotations

from scipy import optimize, special, stats

POWER = 0.8


def t_power(noncentrality: float, df: float, alpha: float, widening: float = 1.0) -> float:
    """Return the power of a two-sided t-test: the square of a noncentral t is a noncentral F.

    widening: by how much the standard error in use exceeds, on average, the one that the noncentrality is made with.
    """
    critical = widening * stats.t.isf(alpha / 2, df)
    return float(1 - stats.ncf.cdf(critical**2, 1, df, noncentrality**2))  # its sf is wrong at noncentrality 0


def detectable(df: float, alpha: float, power: float = POWER, widening: float = 1.0) -> float:
    """Return the noncentrality, effect over standard error, that a two-sided t-test finds with a power.

    The one-sided answer, which leaves out that the test finds the wrong sign, bounds it from above.
    """
    one_sided = float(special.nctdtrinc(df, 1 - power, widening * stats.t.isf(alpha / 2, df)))
    return float(optimize.brentq(lambda value: t_power(value, df, alpha, widening) - power, 0, 1.01 * one_sided))
