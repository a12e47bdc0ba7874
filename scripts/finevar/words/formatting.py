"""Names and lists as people read them: factors, responses, terms, units, settings.

A dry run imports this module, so it imports nothing that takes long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from finevar.metrics import RESPONSES
from finevar.study.coding import factors_of
from finevar.study.consistency import cut
from finevar.study.factors import setting
from finevar.study.settings import TRAINING_DEFAULTS
from finevar.words.numbers import TIMES, Row, is_missing, level

if TYPE_CHECKING:
    import pandas as pd


SUPERSCRIPTS = {"2": "\N{SUPERSCRIPT TWO}", "3": "\N{SUPERSCRIPT THREE}"}


def plain_reason(row: Row, otherwise: str = "it could not be computed") -> str:
    """Return a row's reason as the end of a sentence."""
    return otherwise if is_missing(row["reason"]) else str(row["reason"]).rstrip(".")


def together(pairs: Iterable[tuple[Any, str]]) -> dict[Any, list[str]]:
    """Return the words of each key together, in order."""
    found: dict[Any, list[str]] = {}
    for key, word in pairs:
        found.setdefault(key, []).append(word)
    return found


def factor_label(name: str) -> str:
    """Return a factor's name in words; of one of its levels that are names, or a change between two, with them."""
    factor, _, levels = name.removesuffix("]").partition("[")
    end, _, start = levels.partition("-")
    return " ".join(filter(None, [setting(factor).words, end, f"instead of {start}" if start else ""]))


def axis_title(name: str, levels: Sequence[float]) -> str:
    """Return a factor's name with its unit."""
    unit = setting(name).unit_of(levels)
    return f"{factor_label(name)} ({unit})" if unit else factor_label(name)


def response_label(response: str, averages: Iterable[Any] = (), positives: Iterable[Any] = ()) -> str:
    """Return a response's name in words, with the class that it is of, or the average over classes, if runs share one.

    averages, positives: the runs' values of the columns f1_average and positive.
    """
    if response not in RESPONSES:
        return response
    words = RESPONSES[response].words
    known, classes = ({value for value in found if not is_missing(value)} for found in (averages, positives))
    if not RESPONSES[response].is_averaged or len(known) != 1:
        return words
    average = known.pop()
    return f"{words} of {cut(classes.pop(), 40)}" if average == "binary" and len(classes) == 1 else f"{average} {words}"


def label_of_run(response: str, run: Row) -> str:
    """Return a response's name in words, as one run's row has it."""
    return response_label(response, [run["f1_average"]], [run["positive"]])


def response_unit(response: str) -> str:
    """Return a response's unit as an axis title ends with it; nothing where it has none."""
    unit = RESPONSES[response].unit if response in RESPONSES else ""
    return f" ({unit})" if unit else ""


def response_labels(metrics: pd.DataFrame, responses: Iterable[str]) -> dict[str, str]:
    """Return every response's name in words, from the aggregate's columns f1_average and positive."""
    used = [metrics[name].unique() for name in ("f1_average", "positive")]
    return {response: response_label(response, *used) for response in responses}


def term_label(term: str) -> str:
    """Print a term in words: learning rate x epochs, epochs squared, seed 1."""
    if block := re.fullmatch(r"(seed|dataset)\[(.+)\]", term):
        return f"{'seed' if block[1] == 'seed' else 'data set'} {block[2]}"
    power = SUPERSCRIPTS.get(term.partition("^")[2], "")
    return f" {TIMES} ".join(map(factor_label, factors_of(term))) + power


def unit_label(unit: str | None, factor: str | None = None) -> str:
    """Print a unit in words; a factor that the sentence has named already is left out."""
    text = "" if is_missing(unit) else str(unit)
    text = text.removesuffix(f" of {factor}") if factor else text
    return re.sub(r"\w+_\w+", lambda name: factor_label(name[0]), text)


def settings_text(levels: Mapping[str, Any]) -> str:
    """Print factors with their levels: learning rate 1e-4 and epochs 3."""
    return joined([f"{factor_label(name)} {level(value)}" for name, value in levels_there(levels).items()])


def settings_list(levels: Mapping[str, Any]) -> str:
    """Print settings one after the other: learning rate 1e-4, epochs 3."""
    return ", ".join(f"{factor_label(name)} {level(value)}" for name, value in levels_there(levels).items())


def levels_there(levels: Mapping[str, Any]) -> dict[str, Any]:
    """Return the levels that a setting has: none of a nested factor that does not exist there, but null by default."""
    return {
        name: value
        for name, value in levels.items()
        if not is_missing(value) or TRAINING_DEFAULTS.get(name, value) is None
    }


def joined(words: Sequence[str], last: str = "and") -> str:
    """Join words as "a, b and c"."""
    words = list(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words)


def counted(count: int, noun: str) -> str:
    """Return a count with its noun in the right number."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def counted_between(least: int, most: int, noun: str) -> str:
    """Return a count with its noun, or the range of several."""
    return counted(least, noun) if least == most else f"{least} to {counted(most, noun)}"


def sentence_case(text: str) -> str:
    """Return text with a capital at its start."""
    return text[:1].upper() + text[1:]


def held_levels(held: str | None) -> dict[str, float | str]:
    """Return the levels by factor that coding.levels_text() printed."""
    if is_missing(held):
        return {}
    return {name: as_number(value) for name, value in (part.split(" = ") for part in held.split(", ") if part)}


def as_number(text: str) -> float | str:
    """Return the number that a text is, or the text; of two numbers, as of levels at both ends, these as printed."""
    try:
        return float(text)
    except ValueError:
        first, _, last = text.partition(" and ")
        return f"{level(as_number(first))} and {level(as_number(last))}" if last else text


def source_text(spec: Mapping[str, Any]) -> str:
    """Name where a model or data come from; spec: one of the config's sources."""
    if spec["kind"] == "local":
        return "local files"
    return f"package {spec['package']}" if spec["kind"] == "package" else f"{spec['repo']} on the Hugging Face Hub"
