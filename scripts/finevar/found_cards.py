"""What a model card states: settings, metrics and where they were measured; what it does not state stays unknown.

Read are the cards that `Trainer` has written since 2021 (a list of results, a list of hyperparameters, a table of
evaluations, versions), the same by hand with bold names, raw `eval_*` keys or dictionaries for values, and the cards of
Keras callbacks and of AutoTrain as far as they carry facts. The metadata block is read by huggingface_hub.
"""

from __future__ import annotations

import ast
import hashlib
import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

LARGEST_CARD = 1_000_000  # characters; Trainer's own have two to twenty thousand
LONGEST_NAME, LONGEST_LINE = 120, 2_000
MOST_STEPS = 2**53
OPENING = 20_000  # characters of the text within which it says what was trained on what
FACT = re.compile(r"(?:[-*+] )?(?:\*\*)?([A-Za-z][\w .@/()-]{0,60}?) ?(?:\*\*)? ?[:=] ?(?:\*\*)? ?(\S.*)")
NUMBER = re.compile(r"[+-]?(?:\d{1,18}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,3})?")
HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
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
METRICS = ("loss", "accuracy", "f1")
AVERAGES = ("macro", "micro", "weighted", "binary")
NAMES = {
    "loss": ("loss", "eval loss", "validation loss", "val loss", "evaluation loss"),
    "accuracy": ("accuracy", "eval accuracy", "validation accuracy", "val accuracy", "acc", "eval acc"),
    "f1": ("f1", "eval f1", "validation f1", "val f1", "f1 score", "eval f1 score"),
}
KINDS = ("trainer", "keras", "autotrain", "other")

Facts = dict[str, Any]

# What is wrong with a card's metadata stands in its notes.
for _name in ("repocard", "repocard_data"):
    logging.getLogger(f"huggingface_hub.{_name}").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Card:
    """One model card as it was found."""

    card_id: str
    text: str
    owner: str | None = None
    revision: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Values:
    """Metrics that stand together in one place of a card."""

    found: Mapping[str, float]
    f1_average: str | None
    notes: tuple[str, ...]


def read_card(card: Card) -> Facts:
    """Return a row (records.MODEL_CARDS) of what a card states; `reason` says why it states too little to be used."""
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
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    try:
        card = ModelCard(text, ignore_metadata_errors=True)
        return card.data, card.text.split("\n"), []
    except (ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError, RecursionError) as error:
        body = re.sub(r"\A\s*---\n.*?\n---\s*\n", "", text, count=1, flags=re.DOTALL)
        return ModelCardData(), body.split("\n"), [f"its metadata cannot be read ({type(error).__name__})"]


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


def texts(value: Any) -> list[str]:
    """Return the texts that a value of the metadata is, alone or in a list; anything else in it is left out."""
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str) and item.strip()]


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


def facts_below(body: Sequence[str], titles: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the `name: value` lines below headings with one of some words, down to the next heading without."""
    inside = False
    for line in outside_code(body):
        if heading := HEADING.match(line):
            words = heading[2].lower().replace("hyper-", "hyper").replace("hyper ", "hyper")
            inside = any(title in words for title in titles)
        elif inside and (fact := fact_of(line)):
            yield fact


def fact_of(line: str) -> tuple[str, str] | None:
    """Return name and value of a line `name: value`, in a list or not, bold or not."""
    match = FACT.fullmatch(" ".join(line[:LONGEST_LINE].split()))
    return (match[1], match[2]) if match else None


def outside_code(body: Sequence[str]) -> Iterator[str]:
    """Yield the lines that do not stand in a block of code, where a `#` is a comment and a value an example."""
    fenced = False
    for line in body:
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced:
            yield line


def setting_number(key: str, text: str) -> float | int | None:
    """Return the number that a setting is, or None where the text is none that the setting can have."""
    value = plain_number(text)
    low, high = SPANS[key]
    if value is None or not low <= value <= high:
        return None
    if key in WHOLE:
        return int(value) if value == int(value) else None
    return float(value)


def plain_number(text: str) -> float | None:
    """Return the number that a text is, alone or in bold; a share where it ends with %."""
    word = text.strip().strip("*`").strip().rstrip(".,;").strip()
    share = word.removesuffix("%").strip()
    if not NUMBER.fullmatch(share):
        return None
    value = float(share) if share == word else float(Decimal(share).scaleb(-2))
    return value if math.isfinite(value) else None


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


# Metrics --------------------------------------------------------------------------------------------------------------


def read_evaluation(body: Sequence[str], results: Sequence[EvalResult], *, behind: int = 0) -> tuple[Facts, list[str]]:
    """Return the headline metrics, those of the last and of the best row of the table, and what training ran.

    behind: by how much the table counts epochs too low: Keras calls the first one 0, Trainer tells the epochs gone.
    """
    lines = list(outside_code(body))
    listed, rows = listed_values(lines), table_rows(lines)
    rows = [row | {"epoch": row["epoch"] + behind} if "epoch" in row else row for row in rows]
    measured = metadata_values(results)
    headline, notes = agreed(listed, measured)
    told: Facts = {name: headline.get(name) for name in METRICS}
    told["f1_average"] = listed.f1_average or measured.f1_average
    last, best = (rows[-1], best_row(rows)) if rows else ({}, {})
    for place, row in (("last", last), ("best", best)):
        told |= {f"{place}_{name}": row.get(name) for name in METRICS}
    told["headline"] = which_row(headline, last, best, rows)
    told["evaluated"] = "text" if listed.found else "metadata" if measured.found else None
    end = last or listed_end(lines)
    told |= {"epochs_run": end.get("epoch"), "steps_run": whole(end.get("step")), "eval_interval": interval_of(rows)}
    return told, [*listed.notes, *measured.notes, *notes]


def listed_end(lines: Sequence[str]) -> dict[str, float]:
    """Return epoch and step of a list of raw `eval_*` keys, which are those of its evaluation."""
    found = {name: plain_number(value) for name, value in results_list(lines) if name in ("epoch", "step")}
    return {name: value for name, value in found.items() if value is not None and 0 < value <= MOST_STEPS}


def listed_values(lines: Sequence[str]) -> Values:
    """Return the metrics of a card's list of results."""
    return named_values(results_list(lines))


def results_list(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield name and value of the lines below the sentence, or the heading, that announces an evaluation."""
    inside, heard = False, False
    for line in lines:
        heading = HEADING.match(line)
        words = line.lower()
        if "achieves the following results" in words or (heading and announces(heading[2].lower())):
            if heard:  # a second list is of another evaluation
                return
            inside = True
            continue
        if heading:
            inside = False
        elif inside and (fact := fact_of(line)):
            heard = True
            yield fact


def announces(title: str) -> bool:
    """Tell whether a heading stands above results."""
    return title in ("validation metrics", "evaluation results", "results", "eval results", "evaluation")


def metadata_values(results: Sequence[EvalResult]) -> Values:
    """Return the metrics of the metadata, where they are of one data set."""
    if len({(*texts(result.dataset_type), *texts(result.dataset_config)) for result in results}) > 1:
        return Values({}, None, ("its metadata has results on several data sets",))
    names = ((texts(result.metric_name) or texts(result.metric_type), result.metric_value) for result in results)
    return named_values((name[0], value) for name, value in names if name)


def named_values(pairs: Iterable[tuple[str, Any]]) -> Values:
    """Return the metrics among pairs of a name and a value as it is written."""
    found: dict[tuple[str, str | None], list[float]] = {}
    notes: list[str] = []
    for written, value in pairs:
        name, average = metric_of(written)
        if name is None:
            continue
        number, note = metric_value(name, value)
        if note:
            notes.append(note)
        elif number not in (known := found.setdefault((name, average), [])):
            known.append(number)
    values = {}
    for (name, average), numbers in found.items():
        if len(numbers) > 1:
            notes.append(f"{name} is stated as {numbers[0]:g} and as {numbers[1]:g}")
        else:
            values[name, average] = numbers[0]
    f1, average, note = one_f1({average: value for (name, average), value in values.items() if name == "f1"})
    notes += [note] if note else []
    plain = {name: value for (name, _), value in values.items() if name != "f1"}
    return Values(plain | ({} if f1 is None else {"f1": f1}), average, tuple(notes))


def one_f1(stated: Mapping[str | None, float]) -> tuple[float | None, str | None, str | None]:
    """Return F1, how it is averaged, and a note where several stand side by side.

    stated: F1 by the average that its name says, None where it says none. Trainer's plain F1 names none.
    """
    if None in stated:
        same = [average for average, value in stated.items() if average and value == stated[None]]
        return stated[None], same[0] if len(same) == 1 else None, None
    if len(stated) > 1:
        return None, None, f"F1 is stated with {len(stated)} averages, none of which is the headline's"
    average = next(iter(stated), None)
    return stated.get(average), average, None


def metric_of(written: str) -> tuple[str | None, str | None]:
    """Return the metric that a name stands for, and how F1 is averaged where the name says so."""
    words = re.sub(r"[\s_-]+", " ", written.strip().strip("*`").lower()).strip()
    for average in AVERAGES:
        rest = re.sub(rf"\b{average}\b( avg| average)?", "", words).strip()
        if rest != words and " ".join(rest.split()) in NAMES["f1"]:
            return "f1", average
    return next((name for name, known in NAMES.items() if words in known), None), None


def metric_value(name: str, value: Any) -> tuple[float | None, str | None]:
    """Return a metric's value, or a note on why what stands there is none."""
    if isinstance(value, bool):
        return None, f"{name} reads {value}"
    if isinstance(value, str) and value.strip().startswith("{"):
        value = from_dictionary(value)
    if isinstance(value, Mapping):
        same = [inner for key, inner in value.items() if isinstance(key, str) and metric_of(key)[0] == name]
        value = same[0] if len(same) == 1 else None
    if isinstance(value, str):
        number = plain_number(value)
    else:
        number = float(value) if isinstance(value, (int, float)) and abs(value) < 1e300 else None
    if number is None:
        read = cut(value) if isinstance(value, str) else f"a {type(value).__name__}"
        return None, f"{name} reads {read}, which is no single number"
    if number < 0 or (name != "loss" and number > 1):
        return None, f"{name} reads {number:g}, which lies outside {'0 to 1' if name != 'loss' else 'what it can be'}"
    return number, None


def from_dictionary(text: str) -> Any:
    """Return a dictionary that is written as Python writes it; the text where it is none."""
    try:
        return ast.literal_eval(text.strip()) if len(text) < 1000 else text
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def agreed(listed: Values, measured: Values) -> tuple[dict[str, float], list[str]]:
    """Return the headline metrics: the text's, with the metadata's digits where the two agree.

    Where they differ, neither is taken. Trainer rounds to four places in the text.
    """
    if not listed.found:
        return dict(measured.found), []
    found, notes = {}, []
    for name in METRICS:
        ours, other = listed.found.get(name), measured.found.get(name)
        if ours is None:
            continue
        if other is None or math.isclose(ours, other, abs_tol=5.01e-5):
            found[name] = ours if other is None else other
        else:
            notes.append(f"{name} is {ours:g} in the text and {other:g} in the metadata")
    return found, notes


# The table of evaluations ---------------------------------------------------------------------------------------------


def table_rows(lines: Sequence[str]) -> list[dict[str, float]]:
    """Return epoch, step and metrics of the rows of the table of evaluations during training."""
    for number, line in enumerate(lines):
        head = [name.lower() for name in cells(line)]
        if "epoch" in head and any(metric_of(name)[0] == "loss" for name in head) and number + 1 < len(lines):
            if not set("".join(cells(lines[number + 1]))) <= set(":- "):
                continue
            return list(read_rows(head, lines[number + 2 :]))
    return []


def read_rows(head: Sequence[str], lines: Sequence[str]) -> Iterator[dict[str, float]]:
    """Yield the rows of a table as far as it goes; a cell that is no number is left out."""
    for line in lines:
        row = cells(line)
        if len(row) != len(head):
            return
        found: dict[str, float] = {}
        for name, text in zip(head, row, strict=True):
            if name in ("epoch", "step"):
                value = plain_number(text)
                if value is not None and 0 <= value <= MOST_STEPS:
                    found[name] = value
            elif (metric := metric_of(name)[0]) and (value := metric_value(metric, text)[0]) is not None:
                found.setdefault(metric, value)
        yield found


def cells(line: str) -> list[str]:
    """Return the cells of a line of a table; none where it is no such line."""
    text = line.strip()
    return [cell.strip() for cell in text[1:-1].split("|")] if len(text) > 2 and text[0] == text[-1] == "|" else []


def best_row(rows: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """Return the row of lowest validation loss: Trainer's own choice of the best, unless it is told of another."""
    return min((row for row in rows if "loss" in row), key=lambda row: row["loss"], default={})


def which_row(
    headline: Mapping[str, float],
    last: Mapping[str, float],
    best: Mapping[str, float],
    rows: Sequence[Mapping[str, float]],
) -> str | None:
    """Say which evaluation of the table the headline is: last, best, both in one, another one, or none of them."""
    if not headline or not rows:
        return None
    if same_row(headline, last):
        return "last and best" if same_row(headline, best) else "last"
    if same_row(headline, best):
        return "best"
    return "another row" if any(same_row(headline, row) for row in rows) else "no row"


def same_row(headline: Mapping[str, float], row: Mapping[str, float]) -> bool:
    """Tell whether all metrics that a row shares with the headline agree, and there is one."""
    shared = [name for name in METRICS if name in headline and name in row]
    return bool(shared) and all(math.isclose(headline[name], row[name], abs_tol=5.01e-5) for name in shared)


def interval_of(rows: Sequence[Mapping[str, float]]) -> float | None:
    """Return the epochs between the last two evaluations; those before the only one where there is one."""
    epochs = [row["epoch"] for row in rows if "epoch" in row]
    if not epochs or len(epochs) != len(rows):
        return None
    return epochs[-1] - (epochs[-2] if len(epochs) > 1 else 0.0)


def whole(value: float | None) -> int | None:
    """Return a number as a whole one where it is."""
    return int(value) if value is not None and value == int(value) else None


# What cannot be used --------------------------------------------------------------------------------------------------


def why_unusable(facts: Facts) -> str | None:
    """Return, in a line, why a card states too little to be used; None where it states enough."""
    lacks = [name for name in ("learning_rate", "batch_size", "epochs_asked") if facts.get(name) is None]
    metrics = [name for name in METRICS if facts.get(name) is not None]
    if lacks and facts.get("steps_asked") and lacks == ["epochs_asked"]:
        return "it states steps in place of epochs"
    if lacks and not metrics:
        return f"a card of kind {facts['kind']} without metrics and without {', '.join(lacks)}"
    if lacks:
        return f"it does not state {', '.join(lacks)}"
    return None if metrics else "it states no metric"


def short(text: str | None) -> str | None:
    """Return a name without what could not be printed, cut where it is long; None for none."""
    if text is None:
        return None
    words = "".join(letter if letter.isprintable() else " " for letter in text.strip().strip("`*"))
    return words[:LONGEST_NAME].strip() or None


def cut(text: str) -> str:
    """Return a text to quote in a note."""
    words = short(text) or ""
    return words if len(words) <= 60 else f"{words[:57]}..."
