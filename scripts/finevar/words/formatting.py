"""Numbers and names as people read them: levels, estimates, intervals, p-values, factors, responses, terms.

A dry run imports this module, so it imports nothing that takes long.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from finevar.metrics import RESPONSES
from finevar.study.coding import factors_of
from finevar.study.factors import setting

if TYPE_CHECKING:
    import pandas as pd

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
NOTHING = "\N{EN DASH}"
Row = Mapping[str, Any]

SUPERSCRIPTS = {"2": "\N{SUPERSCRIPT TWO}", "3": "\N{SUPERSCRIPT THREE}"}


# Numbers --------------------------------------------------------------------------------------------------------------


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


def interval(low: float | None, high: float | None) -> str:
    """Print an interval as "low to high"."""
    if is_missing(low) or is_missing(high):
        return NOTHING
    spread = (high - low) / 2
    return f"{estimate(low, spread, sign=False)} to {estimate(high, spread, sign=False)}"


def estimated(row: Row, name: str = "estimate", ends: str = "ci", *, sign: bool = True) -> str:
    """Print a row's estimate with the decimals that its interval supports, in <ends>_low and <ends>_high."""
    low, high = row[f"{ends}_low"], row[f"{ends}_high"]
    return estimate(row[name], None if is_missing(low) or is_missing(high) else (high - low) / 2, sign=sign)


def span(row: Row, ends: str = "ci") -> str:
    """Print a row's interval."""
    return interval(row[f"{ends}_low"], row[f"{ends}_high"])


def span_at(row: Row, confidence: float, ends: str = "ci") -> str:
    """Print a row's interval with its confidence."""
    return f"{percent(confidence)} interval {span(row, ends)}"


def plain_reason(row: Row, otherwise: str = "it could not be computed") -> str:
    """Return a row's reason as the end of a sentence."""
    return otherwise if is_missing(row["reason"]) else str(row["reason"]).rstrip(".")


def together(pairs: Iterable[tuple[Any, str]]) -> dict[Any, list[str]]:
    """Return the words of each key together, in order."""
    found: dict[Any, list[str]] = {}
    for key, word in pairs:
        found.setdefault(key, []).append(word)
    return found


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


# Names ----------------------------------------------------------------------------------------------------------------


def factor_label(name: str) -> str:
    """Return a factor's name in words."""
    return setting(name).words


def axis_title(name: str, levels: Sequence[float]) -> str:
    """Return a factor's name with its unit."""
    unit = setting(name).unit_of(levels)
    return f"{factor_label(name)} ({unit})" if unit else factor_label(name)


def response_label(response: str, averages: Iterable[Any] = ()) -> str:
    """Return a response's name in words, with the average over classes that was used where all runs share one."""
    known = {average for average in averages if not is_missing(average)}
    if response not in RESPONSES:
        return response
    words = RESPONSES[response].words
    return f"{known.pop()} {words}" if RESPONSES[response].is_averaged and len(known) == 1 else words


def response_unit(response: str) -> str:
    """Return a response's unit as an axis title ends with it; nothing where it has none."""
    unit = RESPONSES[response].unit if response in RESPONSES else ""
    return f" ({unit})" if unit else ""


def response_labels(metrics: pd.DataFrame, responses: Iterable[str]) -> dict[str, str]:
    """Return every response's name in words, from the aggregate's f1_average column."""
    return {response: response_label(response, metrics["f1_average"].unique()) for response in responses}


def term_label(term: str) -> str:
    """Print a term in words: learning rate x epochs, epochs squared, seed 1."""
    if block := re.fullmatch(r"(seed|dataset)\[(.+)\]", term):
        return f"{'seed' if block[1] == 'seed' else 'data set'} {block[2]}"
    power = SUPERSCRIPTS.get(term.partition("^")[2], "")
    return f" {TIMES} ".join(map(factor_label, factors_of(term))) + power


def unit_label(unit: str | None, factor: str | None = None) -> str:
    """Print a unit in words; a factor that the sentence has named already is left out."""
    text = "" if is_missing(unit) else str(unit)
    return (text.removesuffix(f" of {factor}") if factor else text).replace("_", " ")


def settings_text(levels: Mapping[str, Any]) -> str:
    """Print factors with their levels: learning rate 1e-4 and epochs 3."""
    return joined([f"{factor_label(name)} {level(value)}" for name, value in levels.items()])


def settings_list(levels: Mapping[str, Any]) -> str:
    """Print settings one after the other: learning rate 1e-4, epochs 3."""
    return ", ".join(f"{factor_label(name)} {level(value)}" for name, value in levels.items())


def joined(words: Sequence[str], last: str = "and") -> str:
    """Join words as "a, b and c"."""
    words = list(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words)


def counted(count: int, noun: str) -> str:
    """Return a count with its noun in the right number."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def sentence_case(text: str) -> str:
    """Return text with a capital at its start."""
    return text[:1].upper() + text[1:]


def percent(confidence: float) -> str:
    """Print a confidence level."""
    return f"{100 * confidence:.4g} %"


def held_levels(held: str | None) -> dict[str, float]:
    """Return what a plane holds fixed, by factor, of the column `held` of the table of surfaces."""
    if is_missing(held):
        return {}
    return {name: float(value) for name, value in (part.split(" = ") for part in held.split(", ") if part)}


def held_label(held: str | None) -> str:
    """Print what a plane holds fixed."""
    return ", ".join(f"{factor_label(name)} = {level(value)}" for name, value in held_levels(held).items())
