"""What a model card states: settings, metrics and where they were measured; what it does not state stays unknown.

Read are the cards that `Trainer` has written since 2021 (a list of results, a list of hyperparameters, a table of
evaluations, versions), the same by hand with bold names, raw `eval_*` keys or dictionaries for values, and the cards of
Keras callbacks and of AutoTrain as far as they carry facts. The metadata block is read by huggingface_hub.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from huggingface_hub import EvalResult, ModelCardData

from finevar.found.lines import cut, facts_below, from_dictionary, plain_number, short, texts
from finevar.found.values import Stated, read_evaluation
from finevar.metrics import ON_CARDS
from finevar.models.model_card import parse_card
from finevar.study.factors import CARD_COLUMNS

LARGEST_CARD = 1_000_000  # characters; Trainer's own have two to twenty thousand
OPENING = 20_000  # characters of the text within which it says what was trained on what
BASE = re.compile(r"fine-?tuned (?:version|variant) of \[?`?([\w./-]{1,150})`?\]?", re.IGNORECASE)
ON_DATA = re.compile(r"(?:fine-?tuned version of|trained from scratch) .{0,300}? on (?:the )?(.{1,120}?) datasets?\.")
VERSION = re.compile(r"^\s*[-*]\s*Transformers:?\s+(\d[\w.+-]{0,30})", re.MULTILINE)
FROM_SCRATCH = "trained from scratch on"
# What stands in the place of a data set's name where there is none: nothing, or the format that a file was read in.
NO_DATASET = ("", "unknown", "an unknown", "none", "null", "custom", "arrow", "audiofolder", "csv", "generator")
NO_DATASET += ("image_folder", "imagefolder", "json", "pandas", "parquet", "text", "webdataset")
PATHS = ("/", "./", "../", "~")
TASKS = ("fill-mask", "question-answering", "text-classification", "token-classification", "text-generation")


class Setting(NamedTuple):
    """A setting that a card may state."""

    names: str  # as Trainer and people write it
    least: float | None = None  # value that a training can have had; None for a text
    largest: float | None = None
    is_whole: bool = False


SETTINGS = {
    "learning_rate": Setting("learning_rate lr", 1e-12, 10),
    "train_batch_size": Setting("train_batch_size per_device_train_batch_size batch_size", 1, 1e7, True),
    "eval_batch_size": Setting("eval_batch_size", 1, 1e7, True),
    "total_train_batch_size": Setting("total_train_batch_size", 1, 1e7, True),
    "gradient_accumulation_steps": Setting("gradient_accumulation_steps", 1, 1e6, True),
    "num_devices": Setting("num_devices", 1, 1e6, True),
    "epochs_asked": Setting("num_epochs num_train_epochs epochs", 1e-6, 1e6),
    "steps_asked": Setting("training_steps max_steps", 1, 1e12, True),
    "seed_stated": Setting("seed", 0, 2**63 - 1, True),
    "warmup_steps": Setting("lr_scheduler_warmup_steps", 0, 1e12),
    "warmup_ratio": Setting("lr_scheduler_warmup_ratio", 0, 1),
    "schedule": Setting("lr_scheduler_type"),
    "mixed_precision": Setting("mixed_precision_training"),
}
STATED_BY = {name: key for key, setting in SETTINGS.items() for name in setting.names.split()}


@dataclass(frozen=True)
class Card:
    """One model card as it was found."""

    card_id: str
    text: str
    owner: str | None = None
    revision: str | None = None
    source: str | None = None


def read_card(card: Card) -> Stated:
    """Return a row (columns.MODEL_CARDS) of what a card states; `reason` says why it states too little to be used."""
    stated = {"card_id": card.card_id, "owner": card.owner, "revision": card.revision, "source": card.source}
    stated["card_sha256"] = hashlib.sha256(card.text.encode("utf-8", errors="surrogatepass")).hexdigest()
    if len(card.text) > LARGEST_CARD:
        return stated | {"reason": f"the card has {len(card.text):,} characters, more than {LARGEST_CARD:,}"}
    if not card.text.strip():
        return stated | {"reason": "the card is empty"}
    data, text, error = parse_card(card.text)
    body, opening = text.split("\n"), text[:OPENING]
    kind, results, version = kind_of(data, opening), read_results(data), VERSION.search(text)
    notes = [f"its metadata cannot be read ({error})"] if error else []
    for part in (
        read_settings(body),
        read_base(data, opening),
        read_dataset(results, data, opening),
        {"task": read_task(results, data), "kind": kind, "transformers": version[1] if version else None},
        read_evaluation(body, results, behind=1 if kind == "keras" else 0),
    ):
        notes += part.pop("notes", [])
        stated |= part
    return complete(stated | {"notes": "; ".join(notes) or None})


def complete(read: Stated) -> Stated:
    """Return what a card states with what follows from it: effective batch, name of its data, why it is of no use."""
    stated = read | {"batch_size": effective_batch(read), "data": data_name(read)}
    return stated | {"reason": read.get("reason") or why_unusable(stated)}


def data_name(stated: Stated) -> str:
    """Return the data set that a card names, with its part; that of an owner who names a part only; "" for none."""
    name, part = stated.get("dataset"), stated.get("subset")
    if name:
        return f"{name}/{part}" if part else name
    return f"{stated['owner']}: {part}" if part and stated.get("owner") else ""


def kind_of(data: ModelCardData, opening: str) -> str:
    """Return what wrote a card, by its tags or by its own words."""
    tags = {tag.lower() for tag in texts(data.get("tags"))}
    text = opening.lower()
    for kind, tag, words in (
        ("autotrain", ("autotrain", "autonlp"), ("trained using autotrain", "trained using autonlp")),
        ("keras", ("generated_from_keras_callback",), ("according to the information keras had access to",)),
        ("trainer", ("generated_from_trainer",), ("information the trainer had access to",)),
    ):  # fmt: skip
        if any(name in tags for name in tag) or any(word in text for word in words):
            return kind
    return "other"


# Settings -------------------------------------------------------------------------------------------------------------


def read_settings(body: Sequence[str]) -> Stated:
    """Return the settings that a card states, and notes on those that it states twice or impossibly."""
    found: dict[str, Any] = {}
    notes: list[str] = []
    for name, value in facts_below(body, ("hyperparameter", "training procedure", "training parameters")):
        if name == "optimizer" and (rate := keras_rate(value)):
            name, value = "learning_rate", rate
        key = STATED_BY.get(name.lower().strip().replace(" ", "_").replace("-", "_"))
        if key is None:
            continue
        known = short(value) if SETTINGS[key].least is None else setting_number(SETTINGS[key], value)
        if known is None:
            notes.append(f"{key} reads {cut(value)}, which is no number that it can have")
            found[key] = None
        elif key in found and found[key] != known:
            notes.append(f"{key} is stated as {found[key]} and as {known}")
            found[key] = None
        else:
            found.setdefault(key, known)
    return found | {"notes": notes}


def keras_rate(text: str) -> str | None:
    """Return the learning rate of an optimizer that is written as Keras' callback does, as a dictionary; else None."""
    found = from_dictionary(text)
    rate = found.get("learning_rate") if isinstance(found, dict) else None
    if isinstance(rate, dict):  # a schedule, by its highest rate, which it begins with
        inner = rate.get("config")
        rate = inner.get("initial_learning_rate") if isinstance(inner, dict) else None
    return repr(rate) if isinstance(rate, float) else None


def setting_number(setting: Setting, text: str) -> float | int | None:
    """Return the number that a setting is, or None where the text is none that the setting can have."""
    value = plain_number(text)
    if value is None or not setting.least <= value <= setting.largest or (setting.is_whole and value != int(value)):
        return None
    return int(value) if setting.is_whole else float(value)


def effective_batch(stated: Stated) -> int | None:
    """Return the sentences of an optimiser step: the stated total, else the product of what is stated."""
    if stated.get("total_train_batch_size"):
        return stated["total_train_batch_size"]
    factors = [stated.get("train_batch_size")]
    factors += [stated.get(name, 1) for name in ("gradient_accumulation_steps", "num_devices")]
    return math.prod(factors) if all(factors) else None  # None: stated, but not as a number that it can have


# What was trained, and on what ----------------------------------------------------------------------------------------


def read_base(data: ModelCardData, opening: str) -> Stated:
    """Return the model that training started from; unknown, with a note, where metadata and text differ."""
    named = texts(data.get("base_model"))
    stated = named[0] if len(named) == 1 else None
    written = match[1].rstrip(".") if (match := BASE.search(opening)) else None
    if stated and written and bare(stated) != bare(written):
        note = f"its metadata says that it started from {cut(stated)}, its text from {cut(written)}"
        return {"base_model": None, "notes": [note]}
    scratch = FROM_SCRATCH in opening and not stated and not written
    return {
        "base_model": short(stated or written),
        "notes": ["it says that it was trained from scratch"] if scratch else [],
    }


def bare(name: str) -> str:
    """Return a model's name without the organisation that the oldest models were given later."""
    return name.strip().removeprefix("distilbert/").removeprefix("google-bert/").removeprefix("FacebookAI/")


def read_task(results: Sequence[EvalResult], data: ModelCardData) -> str | None:
    """Return the task that the results are of; where they name none, the page's own, or the one that is tagged."""
    page = texts(data.get("pipeline_tag"))
    tagged = [tag for tag in texts(data.get("tags")) if tag in TASKS]
    named = page or tagged
    return one_of(results, "task_type") or (short(named[0]) if len(named) == 1 else None)


def read_results(data: ModelCardData) -> list[EvalResult]:
    """Return the results of the metadata, without those that somebody else measured."""
    results = data.get("eval_results")
    known = [result for result in results if isinstance(result, EvalResult)] if isinstance(results, list) else []
    return [result for result in known if not result.verified]


def one_of(results: Sequence[EvalResult], name: str) -> str | None:
    """Return the value that all results have of an attribute, if there is one."""
    values = {value for result in results for value in texts(getattr(result, name))}
    return short(values.pop()) if len(values) == 1 else None


def read_dataset(results: Sequence[EvalResult], data: ModelCardData, opening: str) -> Stated:
    """Return the data set that a card names, and its configuration and split; None where it names none, or several.

    What stands for no data set is none, nor is a path on somebody's machine.
    """
    names = sorted({name for result in results for name in texts(result.dataset_type)}) or texts(data.get("datasets"))
    if not names and (match := ON_DATA.search(" ".join(opening.split()))):
        names = [match[1]]
    bare_names = {name: name.strip().lower() for name in names}
    known = [name for name, low in bare_names.items() if low not in NO_DATASET and not low.startswith(PATHS)]
    if len(known) > 1:
        return {"dataset": None, "notes": [f"it names {len(known)} data sets: {cut(', '.join(known))}"]}
    subset = one_of(results, "dataset_config") or one_of(results, "dataset_args")
    return {"dataset": short(known[0]) if known else None, "subset": subset, "split": one_of(results, "dataset_split")}


# What cannot be used --------------------------------------------------------------------------------------------------


def why_unusable(stated: Stated) -> str | None:
    """Return, in a line, why a card states too little to be used; None where it states enough."""
    lacks = [name for name in CARD_COLUMNS.values() if stated.get(name) is None]
    has_metric = any(stated.get(name) is not None for name in ON_CARDS)
    if not lacks:
        return None if has_metric else "it states no metric"
    if stated.get("steps_asked") and lacks == ["epochs_asked"]:
        return "it states steps in place of epochs"
    if not has_metric:
        return f"a card of kind {stated['kind']} without metrics and without {', '.join(lacks)}"
    return f"it does not state {', '.join(lacks)}"
