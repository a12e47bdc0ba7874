"""Numbers as people read them: levels, estimates, intervals, p-values.

A dry run imports this module, so it imports nothing that takes long.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
ANYTHING = "too wide to say anything"
LIMIT = "the limit "  # before the end of an interval that the metric cannot pass
NOTHING = "\N{EN DASH}"
Row = Mapping[str, Any]


def is_missing(value: Any) -> bool:
    """Say whether a value is null, or no finite number."""
    return value is None or value != value or (isinstance(value, float) and math.isinf(value))


def number(value: float | None, decimals: int = 4, *, sign: bool = False) -> str:
    """Print a number with a true minus sign; an en dash where it is missing."""
    if is_missing(value):
        return NOTHING
    text = f"{value:+,.{decimals}f}" if sign else f"{value:,.{decimals}f}"
    if not re.search("[1-9]", text):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def decimals_for(spread: float | None) -> int:
    """Return the decimals that show a spread (a standard error, a half interval) with two digits."""
    if is_missing(spread) or spread <= 0:
        return 4
    return min(max(1 - math.floor(math.log10(spread)), 0), 10)


def estimate(value: float | None, spread: float | None, *, sign: bool = True) -> str:
    """Print an estimate with as many decimals as its uncertainty supports, as a power of ten where it is tiny."""
    decimals = decimals_for(spread)
    if decimals <= 6 or is_missing(value):
        return number(value, min(decimals, 6), sign=sign)
    digits = max(decimals + math.floor(math.log10(abs(value))), 0) if value else 0
    return short_exponent(f"{value:{'+' if sign else ''}.{digits}e}").replace("-", MINUS)


def interval(low: float | None, high: float | None, least: float | None = None, most: float | None = None) -> str:
    """Print an interval as "low to high"; an end at what can be at least or at most was cut there, and is named so."""
    if is_missing(low) or is_missing(high):
        return NOTHING
    if low == least and high == most:
        return ANYTHING
    spread = (high - low) / 2
    first, last = (estimate(end, spread, sign=False) for end in (low, high))
    return f"{LIMIT if low == least else ''}{first} to {LIMIT if high == most else ''}{last}"


def estimated(row: Row, name: str = "estimate", ends: str = "ci", *, sign: bool = True) -> str:
    """Print a row's estimate with the decimals that its interval supports, in <ends>_low and <ends>_high."""
    low, high = row[f"{ends}_low"], row[f"{ends}_high"]
    return estimate(row[name], None if is_missing(low) or is_missing(high) else (high - low) / 2, sign=sign)


def span(row: Row, ends: str = "ci") -> str:
    """Print a row's interval; where it was cut, by the row's limits, see statistics.bounds."""
    return interval(row[f"{ends}_low"], row[f"{ends}_high"], row.get("least"), row.get("most"))


def span_at(row: Row, confidence: float, ends: str = "ci") -> str:
    """Print a row's interval with its confidence."""
    return f"{percent(confidence)} interval {span(row, ends)}"


def level(value: Any) -> str:
    """Print a setting as people write it: 2.5e-5, 0.1, 6,000; a null training size is all examples."""
    if isinstance(value, str):
        return value
    if is_missing(value):
        return "all"
    if float(value).is_integer():
        return f"{int(value):,}"
    return short_exponent(f"{value:.3e}" if abs(value) < 0.001 else f"{value:.6g}")


def short_exponent(text: str) -> str:
    """Write 2.500e-05 as 2.5e-5."""
    mantissa, mark, exponent = text.partition("e")
    if not mark:
        return text
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}"


def p_text(p: float | None) -> str:
    """Print a p-value to three decimals, never as 0."""
    if is_missing(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_equals(p: float | None, name: str = "p") -> str:
    """Print a p-value with its name: p = 0.030, p < 0.001."""
    text = p_text(p)
    return f"{name} {text}" if text.startswith("<") else f"{name} = {text}"


def f_text(statistic: float, df_numerator: float, df_denominator: float) -> str:
    """Print an F statistic with its degrees of freedom."""
    return f"F({df_numerator:.4g}, {df_denominator:.4g}) = {number(statistic, 2)}"


def between_levels(value: float | None) -> str:
    """Print a place on a factor's axis that need not be a level: whole from ten up, else to three digits."""
    if is_missing(value):
        return NOTHING
    return level(float(round(value)) if abs(value) >= 10 else float(f"{value:.3g}"))


def duration(seconds: float | None) -> str:
    """Print seconds as s, min or h."""
    if is_missing(seconds):
        return NOTHING
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.1f} s"


def significant(value: float | None, digits: int = 2) -> str:
    """Print a number with a few significant digits."""
    if is_missing(value) or not value:
        return NOTHING if is_missing(value) else "0"
    return number(value, max(digits - 1 - math.floor(math.log10(abs(value))), 0))


def percent(share: float, digits: int = 4) -> str:
    """Print a share in per cent, with so many digits at most."""
    return f"{float(f'{100 * share:.{digits}g}'):g}%"


def whole_percent(share: float | None) -> str:
    """Print a share in whole per cent; an en dash where it is missing."""
    return NOTHING if is_missing(share) else percent(round(share, 2))
