"""What a model card states: settings, metrics and where they were measured; what it does not state stays unknown.

Read are the cards that `Trainer` has written since 2021 (a list of results, a list of hyperparameters, a table of
evaluations, versions), the same by hand with raw `eval_*` keys or dictionaries for values and settings in the forms of
card_settings, and the cards of Keras callbacks and of AutoTrain as far as they carry facts. The metadata block is read
by huggingface_hub.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from huggingface_hub import EvalResult, ModelCardData

from finevar.found.card_settings import BATCH_PARTS, effective_batch, in_sentences, read_settings, stated_pairs
from finevar.found.lines import barred, cut, short, texts
from finevar.found.methods import read_method
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
METRIC = "metric"
TASKS = ("fill-mask", "question-answering", "text-classification", "token-classification", "text-generation")


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
    body, opening = barred(text.split("\n")), text[:OPENING]
    kind, results, version = kind_of(data, opening), read_results(data), VERSION.search(text)
    pairs = list(stated_pairs(body))
    settings, unread = read_settings(pairs)
    unread |= in_sentences(body, settings)
    method, sign = read_method(data, opening, pairs)
    notes = [f"its metadata cannot be read ({error})"] if error else []
    notes += [*unread.values(), *([f"trained by another method: {sign}"] if sign else [])]
    evaluation = read_evaluation(body, results, behind=1 if kind == "keras" else 0)
    if doubt := next((note for note in evaluation["notes"] if " reads " in note), None):
        unread[METRIC] = doubt
    for part in (
        settings | {"method": method},
        read_base(data, opening),
        read_dataset(results, data, opening),
        {"task": read_task(results, data), "kind": kind, "transformers": version[1] if version else None},
        evaluation,
    ):
        notes += part.pop("notes", [])
        stated |= part
    return complete(stated | {"notes": "; ".join(notes) or None}, unread)


def complete(read: Stated, unread: Mapping[str, str] | None = None) -> Stated:
    """Return what a card states with what follows from it: effective batch, name of its data, why it is of no use.

    unread: why settings that it states could not be read, by name, and a metric as METRIC.
    """
    stated = read | {"batch_size": effective_batch(read), "data": data_name(read)}
    return stated | {"reason": read.get("reason") or why_unusable(stated, unread or {})}


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


def why_unusable(stated: Stated, unread: Mapping[str, str]) -> str | None:
    """Return, in a line, why a card states too little to be used; None where it states enough.

    unread: why settings that it states could not be read, by name, and a metric as METRIC.
    """
    lacks = [name for name in CARD_COLUMNS.values() if stated.get(name) is None]
    has_metric = any(stated.get(name) is not None for name in ON_CARDS)
    none = [] if has_metric else [unread.get(METRIC, "it states no metric")]
    if not lacks:
        return none[0] if none else None
    needed = {name: "batch_size" if name in BATCH_PARTS else name for name in unread}
    doubtful = [unread[name] for name, column in needed.items() if column in lacks]
    silent = [name for name in lacks if name not in needed.values()]
    if stated.get("steps_asked") and silent == lacks == ["epochs_asked"]:
        return "it states steps in place of epochs"
    if none and METRIC not in unread and not doubtful:
        return f"a card of kind {stated['kind']} without metrics and without {', '.join(lacks)}"
    nothing = [f"it does not state {', '.join(silent)}"] if silent else []
    return "; ".join([*none, *doubtful, *nothing])
