"""What a model card states: settings, metrics and where they were measured; what it does not state stays unknown.

Read are the cards that `Trainer` has written since 2021 (a list of results, a list of hyperparameters, a table of
evaluations, versions), the same by hand with bold names, raw `eval_*` keys or dictionaries for values, and the cards of
Keras callbacks and of AutoTrain as far as they carry facts. The metadata block is read by huggingface_hub.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from finevar.found.lines import cut, facts_below, from_dictionary, plain_number, short, texts
from finevar.found.values import Facts, read_evaluation
from finevar.metrics import ON_CARDS
from finevar.models.model_card import parse_card
from finevar.study.factors import CARD_COLUMNS

LARGEST_CARD = 1_000_000  # characters; Trainer's own have two to twenty thousand
OPENING = 20_000  # characters of the text within which it says what was trained on what
BASE = re.compile(r"fine-?tuned (?:version|variant) of \[?`?([\w./-]{1,150})`?\]?", re.IGNORECASE)
ON_DATA = re.compile(r"(?:fine-?tuned version of|trained from scratch) .{0,300}? on (?:the )?(.{1,120}?) datasets?\.")
FROM_SCRATCH = "trained from scratch on"
# What stands in the place of a data set's name where there is none: nothing, or the format that a file was read in.
NO_DATASET = ("", "unknown", "an unknown", "none", "null", "custom", "arrow", "audiofolder", "csv", "generator")
NO_DATASET += ("image_folder", "imagefolder", "json", "pandas", "parquet", "text", "webdataset")
TASKS = ("fill-mask", "question-answering", "text-classification", "token-classification", "text-generation")
# Names of settings, as Trainer and people write them, by the fact that they state.
SETTINGS = {
    "learning_rate": "learning_rate",
    "lr": "learning_rate",
    "train_batch_size": "train_batch_size",
    "per_device_train_batch_size": "train_batch_size",
    "batch_size": "train_batch_size",
    "eval_batch_size": "eval_batch_size",
    "total_train_batch_size": "total_train_batch_size",
    "gradient_accumulation_steps": "gradient_accumulation_steps",
    "num_devices": "num_devices",
    "num_epochs": "epochs_asked",
    "num_train_epochs": "epochs_asked",
    "epochs": "epochs_asked",
    "training_steps": "steps_asked",
    "max_steps": "steps_asked",
    "seed": "seed_stated",
    "lr_scheduler_warmup_steps": "warmup_steps",
    "lr_scheduler_warmup_ratio": "warmup_ratio",
    "lr_scheduler_type": "schedule",
    "mixed_precision_training": "mixed_precision",
}
WHOLE = (
    "train_batch_size",
    "eval_batch_size",
    "total_train_batch_size",
    "gradient_accumulation_steps",
    "num_devices",
    "steps_asked",
    "seed_stated",
)
TEXTS = ("schedule", "mixed_precision")
# Least and largest value of each number that a training can have had.
SPANS = {
    "learning_rate": (1e-12, 10),
    "train_batch_size": (1, 1e7),
    "eval_batch_size": (1, 1e7),
    "total_train_batch_size": (1, 1e7),
    "gradient_accumulation_steps": (1, 1e6),
    "num_devices": (1, 1e6),
    "epochs_asked": (1e-6, 1e6),
    "steps_asked": (1, 1e12),
    "seed_stated": (0, 2**63 - 1),
    "warmup_steps": (0, 1e12),
    "warmup_ratio": (0, 1),
}


@dataclass(frozen=True)
class Card:
    """One model card as it was found."""

    card_id: str
    text: str
    owner: str | None = None
    revision: str | None = None
    source: str | None = None


def read_card(card: Card) -> Facts:
    """Return a row (columns.MODEL_CARDS) of what a card states; `reason` says why it states too little to be used."""
    told = {"card_id": card.card_id, "owner": card.owner, "revision": card.revision, "source": card.source}
    told["card_sha256"] = hashlib.sha256(card.text.encode("utf-8", errors="surrogatepass")).hexdigest()
    if len(card.text) > LARGEST_CARD:
        return told | {"reason": f"the card has {len(card.text):,} characters, more than {LARGEST_CARD:,}"}
    if not card.text.strip():
        return told | {"reason": "the card is empty"}
    data, body, notes = split(card.text)
    kind = kind_of(data, body)
    results = read_results(data)
    facts, noted = read_settings(body)
    notes += noted
    parts = [read_base(data, body), read_dataset(results, data, body), read_task(results, data)]
    for part in parts:
        notes += part.pop("notes", [])
        facts |= part
    evaluation, noted = read_evaluation(body, results, behind=1 if kind == "keras" else 0)
    notes += noted
    told |= {"kind": kind} | facts | evaluation | {"transformers": version_of(body), "notes": "; ".join(notes) or None}
    return complete(told)


def complete(stated: Facts) -> Facts:
    """Return what a card states with what follows from it: effective batch, name of its data, why it cannot be used."""
    told = stated | {"batch_size": effective_batch(stated), "data": data_name(stated)}
    return told | {"reason": stated.get("reason") or why_unusable(told)}


def data_name(facts: Facts) -> str:
    """Return the data set that a card names, with its part; that of an owner who names a part only; "" for none."""
    name, part = facts.get("dataset"), facts.get("subset")
    if name:
        return f"{name}/{part}" if part else name
    return f"{facts['owner']}: {part}" if part and facts.get("owner") else ""


def split(text: str) -> tuple[ModelCardData, list[str], list[str]]:
    """Return a card's metadata, the lines of its text, and a note where the metadata cannot be read."""
    data, body, error = parse_card(text)
    return data, body.split("\n"), [f"its metadata cannot be read ({error})"] if error else []


def kind_of(data: ModelCardData, body: Sequence[str]) -> str:
    """Return what wrote a card, by its tags or by its own words."""
    tags = {tag.lower() for tag in texts(data.get("tags"))}
    text = opening(body).lower()
    for kind, tag, words in (
        ("autotrain", ("autotrain", "autonlp"), ("trained using autotrain", "trained using autonlp")),
        ("keras", ("generated_from_keras_callback",), ("according to the information keras had access to",)),
        ("trainer", ("generated_from_trainer",), ("information the trainer had access to",)),
    ):  # fmt: skip
        if any(name in tags for name in tag) or any(word in text for word in words):
            return kind
    return "other"


def opening(body: Sequence[str]) -> str:
    """Return the text's beginning, in which a card says what was trained on what."""
    return "\n".join(body)[:OPENING]


# Settings -------------------------------------------------------------------------------------------------------------


def read_settings(body: Sequence[str]) -> tuple[Facts, list[str]]:
    """Return the settings that a card states, and notes on those that it states twice or impossibly."""
    found: dict[str, Any] = {}
    notes: list[str] = []
    for name, value in facts_below(body, ("hyperparameter", "training procedure", "training parameters")):
        if name == "optimizer" and (rate := keras_rate(value)):
            name, value = "learning_rate", rate
        key = SETTINGS.get(name.lower().strip().replace(" ", "_").replace("-", "_"))
        if key is None:
            continue
        known = short(value) if key in TEXTS else setting_number(key, value)
        if known is None:
            notes.append(f"{key} reads {cut(value)}, which is no number that it can have")
            found[key] = None
        elif key in found and found[key] != known:
            notes.append(f"{key} is stated as {found[key]} and as {known}")
            found[key] = None
        else:
            found.setdefault(key, known)
    return found, notes


def keras_rate(text: str) -> str | None:
    """Return the learning rate of an optimizer that is written as Keras' callback does, as a dictionary; else None."""
    found = from_dictionary(text)
    rate = found.get("learning_rate") if isinstance(found, dict) else None
    if isinstance(rate, dict):  # a schedule, by its highest rate, which it begins with
        inner = rate.get("config")
        rate = inner.get("initial_learning_rate") if isinstance(inner, dict) else None
    return repr(rate) if isinstance(rate, float) else None


def setting_number(key: str, text: str) -> float | int | None:
    """Return the number that a setting is, or None where the text is none that the setting can have."""
    value = plain_number(text)
    low, high = SPANS[key]
    if value is None or not low <= value <= high:
        return None
    if key in WHOLE:
        return int(value) if value == int(value) else None
    return float(value)


def effective_batch(facts: Facts) -> int | None:
    """Return the sentences of an optimiser step: the stated total, else the product of what is stated."""
    if facts.get("total_train_batch_size"):
        return facts["total_train_batch_size"]
    if not facts.get("train_batch_size") or unreadable(facts, ("gradient_accumulation_steps", "num_devices")):
        return None
    return facts["train_batch_size"] * (facts.get("gradient_accumulation_steps") or 1) * (facts.get("num_devices") or 1)


def unreadable(facts: Facts, names: Sequence[str]) -> bool:
    """Tell whether one of some settings is stated, but not as a number that it can have."""
    return any(name in facts and facts[name] is None for name in names)


# What was trained, and on what ----------------------------------------------------------------------------------------


def read_base(data: ModelCardData, body: Sequence[str]) -> Facts:
    """Return the model that training started from; unknown, with a note, where metadata and text differ."""
    named, text = texts(data.get("base_model")), opening(body)
    stated = named[0] if len(named) == 1 else None
    written = match[1].rstrip(".") if (match := BASE.search(text)) else None
    if stated and written and bare(stated) != bare(written):
        note = f"its metadata says that it started from {cut(stated)}, its text from {cut(written)}"
        return {"base_model": None, "notes": [note]}
    scratch = FROM_SCRATCH in text and not stated and not written
    return {
        "base_model": short(stated or written),
        "notes": ["it says that it was trained from scratch"] if scratch else [],
    }


def bare(name: str) -> str:
    """Return a model's name without the organisation that the oldest models were given later."""
    return name.strip().removeprefix("distilbert/").removeprefix("google-bert/").removeprefix("FacebookAI/")


def read_task(results: Sequence[EvalResult], data: ModelCardData) -> Facts:
    """Return the task that the results are of; where they name none, the page's own, or the one that is tagged."""
    page = texts(data.get("pipeline_tag"))
    tagged = [tag for tag in texts(data.get("tags")) if tag in TASKS]
    named = page or tagged
    return {"task": one_of(results, "task_type") or (short(named[0]) if len(named) == 1 else None)}


def read_results(data: ModelCardData) -> list[EvalResult]:
    """Return the results of the metadata, without those that somebody else measured."""
    results = data.get("eval_results")
    known = [result for result in results if isinstance(result, EvalResult)] if isinstance(results, list) else []
    return [result for result in known if not result.verified]


def one_of(results: Sequence[EvalResult], name: str) -> str | None:
    """Return the value that all results have of an attribute, if there is one."""
    values = {value for result in results for value in texts(getattr(result, name))}
    return short(values.pop()) if len(values) == 1 else None


def read_dataset(results: Sequence[EvalResult], data: ModelCardData, body: Sequence[str]) -> Facts:
    """Return the data set that a card names, and its configuration and split; None where it names none, or several."""
    names = sorted({name for result in results for name in texts(result.dataset_type)}) or texts(data.get("datasets"))
    if not names and (match := ON_DATA.search(" ".join(opening(body).split()))):
        names = [match[1]]
    known = [name for name in dict.fromkeys(names) if is_dataset(name)]
    if len(known) > 1:
        return {"dataset": None, "notes": [f"it names {len(known)} data sets: {cut(', '.join(known))}"]}
    subset = one_of(results, "dataset_config") or one_of(results, "dataset_args")
    return {"dataset": short(known[0]) if known else None, "subset": subset, "split": one_of(results, "dataset_split")}


def is_dataset(name: str) -> bool:
    """Tell whether a name is a data set's: none that stands for no data set, and no path on somebody's machine."""
    return name.strip().lower() not in NO_DATASET and not name.strip().startswith(("/", "./", "../", "~"))


def version_of(body: Sequence[str]) -> str | None:
    """Return the version of transformers that a card names."""
    match = re.search(r"^\s*[-*]\s*Transformers:?\s+(\d[\w.+-]{0,30})", "\n".join(body), re.MULTILINE)
    return match[1] if match else None


# What cannot be used --------------------------------------------------------------------------------------------------


def why_unusable(facts: Facts) -> str | None:
    """Return, in a line, why a card states too little to be used; None where it states enough."""
    lacks = [name for name in CARD_COLUMNS.values() if facts.get(name) is None]
    metrics = [name for name in ON_CARDS if facts.get(name) is not None]
    if lacks and facts.get("steps_asked") and lacks == ["epochs_asked"]:
        return "it states steps in place of epochs"
    if lacks and not metrics:
        return f"a card of kind {facts['kind']} without metrics and without {', '.join(lacks)}"
    if lacks:
        return f"it does not state {', '.join(lacks)}"
    return None if metrics else "it states no metric"
