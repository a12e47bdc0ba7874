"""The settings that a model card states, in the forms in which programs and people write them.

Lists of `name: value` (plain, bold, in backticks, with escaped underscores), tables of names and values, the arguments
of TrainingArguments, the options of a command, assignments, YAML and JSON in blocks of code. What is stated and cannot
be read is said so, with what stands there, a sentence, too: it is not the same as what is not stated.
"""

from __future__ import annotations

import ast
import itertools
import math
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from finevar.found.lines import (
    HEADING,
    cells,
    cut,
    facts_of,
    from_dictionary,
    outside_code,
    plain,
    plain_number,
    sections,
    short,
    table_pairs,
)

TITLES = ("hyperparameter", "training procedure", "training parameters")
CODE_TITLES = (*TITLES, "train", "tuning")  # that a block of code which trained the model may stand below
LONGEST_CODE = 20_000  # characters of a block
LOGGED = ("epoch", "step", "loss", "eval_loss", "train_loss", "grad_norm")  # what a log has beside the rate of a step
Pairs = Iterator[tuple[str, str]]


class Setting(NamedTuple):
    """A setting that a card may state."""

    names: str  # as Trainer and people write it
    least: float | None = None  # value that a training can have had; None for a text
    largest: float | None = None
    is_whole: bool = False
    units: str = ""  # words that may stand behind the number


BATCH_UNITS = "samples sentences examples"
SETTINGS = {
    "learning_rate": Setting("learning_rate lr", 1e-12, 10),
    "train_batch_size": Setting(
        "train_batch_size per_device_train_batch_size batch_size", 1, 1e7, is_whole=True, units=BATCH_UNITS
    ),
    "eval_batch_size": Setting("eval_batch_size per_device_eval_batch_size", 1, 1e7, is_whole=True, units=BATCH_UNITS),
    "total_train_batch_size": Setting("total_train_batch_size", 1, 1e7, is_whole=True, units=BATCH_UNITS),
    "gradient_accumulation_steps": Setting("gradient_accumulation_steps", 1, 1e6, is_whole=True, units="steps"),
    "num_devices": Setting("num_devices", 1, 1e6, is_whole=True),
    "epochs_asked": Setting("num_epochs num_train_epochs epochs number_of_epochs", 1e-6, 1e6, units="epoch epochs"),
    "steps_asked": Setting("training_steps max_steps", 1, 1e12, is_whole=True, units="steps"),
    "seed_stated": Setting("seed", 0, 2**63 - 1, is_whole=True),
    "warmup_steps": Setting("lr_scheduler_warmup_steps warmup_steps", 0, 1e12, units="steps"),
    "warmup_ratio": Setting("lr_scheduler_warmup_ratio warmup_ratio", 0, 1),
    "schedule": Setting("lr_scheduler_type"),
    "mixed_precision": Setting("mixed_precision_training"),
}
STATED_BY = {name: key for key, setting in SETTINGS.items() for name in setting.names.split()}
BATCH_PARTS = ("train_batch_size", "gradient_accumulation_steps", "num_devices", "total_train_batch_size")


# Where settings stand -------------------------------------------------------------------------------------------------


def stated_pairs(body: Sequence[str]) -> Pairs:
    """Yield names, in lower case with underscores, and values of what stands below headings on a training."""
    for title, lines, code in sections(body):
        words = title.replace("hyper-", "hyper").replace("hyper ", "hyper")
        found = [facts_in(lines)] if any(part in words for part in TITLES) else []
        if any(part in words for part in CODE_TITLES) and "how to" not in words:
            found += map(arguments_in, code)
        yield from ((setting_name(name), value) for pairs in found for name, value in pairs)


def setting_name(written: str) -> str:
    """Return a name as the keys of programs are written."""
    return re.sub(r"[\s-]+", "_", plain(written).strip(" _").lower())


def facts_in(lines: Iterable[str]) -> Pairs:
    """Yield the facts of lines and tables."""
    for is_table, group in itertools.groupby(lines, key=lambda line: bool(cells(line))):
        if is_table:
            yield from table_pairs([cells(line) for line in group], lambda name: setting_name(name) in STATED_BY)
        else:
            yield from itertools.chain.from_iterable(map(facts_of, group))


def arguments_in(block: str) -> Pairs:
    """Yield what a block of code states, as it is written.

    Options of a command and the arguments of TrainingArguments or, without such, assignments and items of a dictionary,
    of YAML or of JSON.
    """
    text = re.sub(r"^(?:>>>|\.\.\.) ", "", block[:LONGEST_CODE], flags=re.MULTILINE)
    yield from re.findall(r"(?<!\S)--(\w+)[ =]+([^\s\\]+)", text)
    if "TrainingArguments" not in text:
        yield from items_in(text)
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in somebody's texts
            yield from list(keywords(ast.parse(textwrap.dedent(text))))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        yield from re.findall(r"\b(\w+)\s*=\s*([^\s,()#][^,()#\n]*)", text.partition("TrainingArguments")[2])


def items_in(text: str) -> Pairs:
    """Yield the items of a dictionary and the assignments in a block of code that states settings, and is no log."""
    pairs = re.findall(r"""(?m)(?:^|[{,])[ \t]*["']?(\w+)["']?[ \t]*:[ \t]*["']?([^\s,{}#"']+)""", text)
    pairs += re.findall(r"(?m)^(\w+) *= *([^\s,#()]+) *(?:#.*)?$", text)
    names = {setting_name(name) for name, _ in pairs}
    if len({STATED_BY.get(name) for name in names} - {None}) > 1 and names.isdisjoint(LOGGED):
        yield from pairs


def keywords(code: ast.Module) -> Pairs:
    """Yield the keyword arguments of all calls of TrainingArguments."""
    for call in ast.walk(code):
        name = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
        if name.endswith("TrainingArguments"):
            yield from ((part.arg, ast.unparse(part.value)) for part in call.keywords if part.arg)


# What they are --------------------------------------------------------------------------------------------------------


def read_settings(stated: Iterable[tuple[str, str]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings among stated pairs, and why those that are stated could not be read, both by key.

    A setting is stated and not read where its value is no single number that it can have, or where two differ.
    """
    found: dict[str, Any] = {}
    unread: dict[str, str] = {}
    for name, value in stated:
        if name == "optimizer" and (rate := keras_rate(value)):
            name, value = "learning_rate", rate
        key = STATED_BY.get(name)
        if key is None or key in unread:
            continue
        setting = SETTINGS[key]
        number = short(value.strip("'\"")) if setting.least is None else setting_number(setting, value)
        if number is None:
            known = plain_number(value) is not None
            unread[key] = f"{key} reads {cut(value)}, which {'it cannot be' if known else 'could not be read'}"
        elif found.setdefault(key, number) != number:
            unread[key] = f"{key} is stated as {found[key]} and as {number}"
    return found | dict.fromkeys(unread), unread


BETWEEN = r"\b[^\w.]*(?:(?:of|is|was|to|at|set|as|td)\b[^\w.]*){0,4}"  # a name and its number
SENTENCES = {  # what states a setting in words, or in a form that is not read
    "learning_rate": re.compile(rf"(?:\blearning[ _-]rate|\blr){BETWEEN}\d[\w.,-]*", re.IGNORECASE),
    "train_batch_size": re.compile(rf"\bbatch[ _-]size{BETWEEN}\d+", re.IGNORECASE),
    "epochs_asked": re.compile(rf"\d+ ?(?:training )?epochs\b|\bepochs{BETWEEN}\d+", re.IGNORECASE),
}


def in_sentences(body: Sequence[str], known: Iterable[str]) -> dict[str, str]:
    """Return, by key, that a setting other than the known ones stands in the text where no setting is read from."""
    lines = [line for line in outside_code(body) if not cells(line) and not HEADING.match(line)]
    found = {key: next(filter(None, map(sign.search, lines)), None) for key, sign in SENTENCES.items()}
    return {
        key: f"{key} stands in a form that is not read ({cut(match[0])})"
        for key, match in found.items()
        if match and key not in known
    }


def keras_rate(text: str) -> str | None:
    """Return the learning rate of an optimizer that is written as Keras' callback does, as a dictionary; else None."""
    found = from_dictionary(text)
    rate = found.get("learning_rate") if isinstance(found, dict) else None
    if isinstance(rate, dict):  # a schedule, by its highest rate, which it begins with
        inner = rate.get("config")
        rate = inner.get("initial_learning_rate") if isinstance(inner, dict) else None
    return repr(rate) if isinstance(rate, float) else None


POWER = re.compile(r"(?:(\d+(?:[.,]\d+)?) ?[x\u00d7*\u00b7] ?)?10 ?(?:\^|\*\*) ?[({]? ?([-\u2212]?\d{1,2}) ?[)}]?")
WITH_REMARK = re.compile(r"(\S+) ?(\(.*\)|with [^()]*|[a-z]+)", re.IGNORECASE)
# Words in a remark that leave open which number it is: of one device or of all, of one of several parts, or at most.
OPEN = re.compile(
    r"\d|\b(?:per|each|gpus|devices|cores|total|effective|accumulat\w*|max\w*|min\w*|up|to|or|about|early|patience|head|"
    r"encoder|layers?|two|three|four|five|six|seven|eight)\b",
    re.IGNORECASE,
)


def setting_number(setting: Setting, text: str) -> float | int | None:
    """Return the number that a setting is, or None where the text is none that the setting can have.

    Behind the number may stand the setting's unit, or a remark that leaves no doubt which number it is.
    """
    word = POWER.sub(lambda found: f"{found[1] or 1}e{found[2]}", text).replace("\u2212", "-")
    word = " ".join(re.sub(r"(?<!\d)\*|\*(?!\d)|`", "", word).split())  # 16*2 is no 162
    value = plain_number(word)
    if value is None and (parts := WITH_REMARK.fullmatch(word)) and is_clear(parts[2], setting):
        value = plain_number(parts[1])
    if value is None and setting.is_whole and re.fullmatch(r"\d{1,3}(?:,\d{3})+", word):
        value = float(word.replace(",", ""))
    if value is None or not setting.least <= value <= setting.largest or (setting.is_whole and value != int(value)):
        return None
    return int(value) if setting.is_whole else float(value)


def is_clear(remark: str, setting: Setting) -> bool:
    """Say whether what stands behind a number leaves no doubt about it."""
    if remark.isalpha():
        return remark.lower() in setting.units.split()
    return not OPEN.search(remark)


def effective_batch(stated: dict[str, Any]) -> int | None:
    """Return the sentences of an optimiser step: the stated total, else the product of what is stated."""
    if stated.get("total_train_batch_size"):
        return stated["total_train_batch_size"]
    factors = [stated.get("train_batch_size")]
    factors += [stated.get(name, 1) for name in ("gradient_accumulation_steps", "num_devices")]
    return math.prod(factors) if all(factors) else None  # None: stated, but not as a number that it can have
