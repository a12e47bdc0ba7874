"""Sentences and labels: read, check, de-duplicate, split by content."""

from __future__ import annotations

import codecs
import hashlib
import html
import io
import json
import numbers
import warnings
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from finevar.errors import InputError
from finevar.study.consistency import cut, listed
from finevar.study.content import SUFFIXES, format_of, is_file
from finevar.study.paths import PARTS

Facts = dict[str, Any]


def prepare(spec: Mapping[str, Any], source: Path, *, hub: bool) -> tuple[dict[str, pd.DataFrame], Facts]:
    """Return the examples of each part (columns example_id, text, label) and what was found and done.

    Parts: train, eval and held_back, which is empty unless spec asks for confirm_examples.

    spec: a dataset's part of the config. source: folder of the fetched source. hub: whether the source is a data set
    repository, read by split, or a folder of files.

    Raises InputError for a file that is missing or damaged, a missing column, an empty text, a single class.
    """
    read, keys = (read_split, ("train_split", "eval_split")) if hub else (read_file, ("file", "eval_file"))
    parts = [read(spec, source, spec[key]) for key in keys if spec.get(key) is not None]
    facts: Facts = defaultdict(int, read=sum(map(len, parts)))
    parts = [label_examples(part, spec, facts) for part in parts]
    classes = name_classes(parts, spec, source)
    parts = [clean(part, facts) for part in parts]
    if len(parts) == 1:
        train, evaluation = split(parts[0], spec, "eval_examples")
        train, held_back = split(train, spec, "confirm_examples")
    else:
        train, evaluation = parts
        leaked = train["example_id"].isin(evaluation["example_id"])
        facts["dropped_in_eval"] = int(leaked.sum())
        train = train[~leaked].reset_index(drop=True)
        evaluation, held_back = split(evaluation, spec, "confirm_examples")  # which are of the same origin
    found = {"train": train, "eval": evaluation} | ({"held_back": held_back} if len(held_back) else {})
    check_classes(found, classes, spec)
    facts |= {name: len(part) for name, part in found.items()} | {"classes": [str(name) for name in classes]}
    facts["train_share"] = [float((train["label"] == k).mean()) for k in range(len(classes))]
    facts["data_sha256"] = fingerprint(*found.values())
    return {"train": train, "eval": evaluation, "held_back": held_back}, dict(facts)


# Reading --------------------------------------------------------------------------------------------------------------


def read_split(spec: Mapping[str, Any], source: Path, name: str) -> pd.DataFrame:
    """Read one split of a data set repository's snapshot, its class names as labels."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    damage = (TypeError, LookupError, AttributeError, yaml.YAMLError)  # what the library makes of a damaged card
    try:
        data = load_dataset(str(source), spec.get("subset"), split=name, cache_dir=str(source / ".cache"))
        data.data.validate(full=True)
        return name_labels(require_columns(data.to_pandas(), spec, str(source)), spec, data.features)
    except (ValueError, DatasetsError, OSError, pa.ArrowException, *damage) as error:
        raise InputError(
            f"{source}, split {cut(name)}",
            found=reason(error),
            allowed="a split (and, where there are several, a subset) that the repository has",
            remedy="Correct train_split, eval_split or subset.",
        ) from None


def name_labels(table: pd.DataFrame, spec: Mapping[str, Any], features: Mapping[str, Any]) -> pd.DataFrame:
    """Replace the numbers of classes by the names that a data set repository gives them, where it does."""
    from datasets import ClassLabel

    feature = features[spec["label"]]
    if isinstance(feature, ClassLabel):
        table = table[table[spec["label"]] >= 0]  # -1 marks an unlabelled example on the Hub
        table[spec["label"]] = [feature.int2str(int(k)) for k in table[spec["label"]]]
        table.attrs["classes"] = [name.strip() for name in feature.names]
    return table


def read_file(spec: Mapping[str, Any], source: Path, name: str) -> pd.DataFrame:
    """Read one file of a source as a table; raise InputError where it is not what its format says."""
    path, where = source / name, cut(str(source / name), 300)
    form = format_of(spec, path)
    if form is None:
        found, remedy = f"suffix {cut(repr(path.suffix))}", "Rename the file, or give `format`."
        raise InputError(where, found=found, allowed=f"one of {', '.join(SUFFIXES)}", remedy=remedy)
    if not is_file(path):
        remedy = "Correct the data set's `file`."
        raise InputError(where, found="no such file", allowed="a file of the source", remedy=remedy)
    try:
        table = parse(path, form, spec.get("columns"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}, byte {error.start}",
            found=f"{error.object[error.start]:#04x}, which is not UTF-8",
            allowed="text in UTF-8",
            remedy="Convert the file, for instance with iconv -t UTF-8.",
        ) from None
    except (ValueError, OSError, pa.ArrowException, pd.errors.ParserWarning) as error:
        raise InputError(
            where,
            found=f"content that is not {form} ({reason(error)})",
            allowed=f"a {form} file",
            remedy="Correct the file, or give its `format`.",
        ) from None
    return require_columns(table, spec, where)


def reason(error: Exception) -> str:
    """Return the first line of a library's error."""
    return cut(str(error).partition("\n")[0] or type(error).__name__, 200)


def parse(path: Path, form: str, columns: list[str] | None) -> pd.DataFrame:
    """Parse a file of a known format; texts stay unchanged, no word is taken for a missing value."""
    if form == "parquet":
        with pq.ParquetFile(path) as file:
            table = file.read()
        table.validate(full=True)  # damage to a text need not be seen by reading it
        return table.to_pandas(ignore_metadata=True)
    content = path.read_bytes()
    if b"\0" in content and not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("it holds NUL bytes, so it is not text")
    text = content.decode("utf-8-sig")
    if form == "jsonl":
        return pd.DataFrame([parse_line(*line) for line in enumerate(text.split("\n"), 1) if line[1].strip()])
    # A TSV has one example per line and no quoting, so a lone quotation mark is a character like any other.
    style = {"sep": "\t", "quoting": 3} if form == "tsv" else {"sep": ","}
    header = {"header": None, "names": columns} if columns else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # of lines with more cells than columns
        return pd.read_csv(
            io.StringIO(text), **style, **header, dtype=str, keep_default_na=False, na_values=[""], index_col=False
        )


def parse_line(number: int, line: str) -> dict[str, Any]:
    """Parse a line of a JSONL file; raise ValueError unless it is an object of whole characters."""
    try:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError("no JSON object")
        if "\\ud" in line.lower():  # half a character, as a JSON escape can write it
            json.dumps(row, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {number}: {error}") from None
    return row


def require_columns(table: pd.DataFrame, spec: Mapping[str, Any], where: str) -> pd.DataFrame:
    """Return the text and label columns only; raise InputError where one is missing."""
    for column in (spec["text"], spec["label"]):
        if list(table.columns).count(column) != 1:
            raise InputError(
                where,
                found=f"columns {listed(table.columns) or 'none'}",
                allowed=f"a column named {cut(repr(column))}, once",
                remedy="Correct `text` or `label`, or name the `columns` of a file without a header.",
            )
    table = table[[spec["text"], spec["label"]]].copy()
    table.attrs["where"] = where
    return table


# Labels ---------------------------------------------------------------------------------------------------------------


def label_examples(table: pd.DataFrame, spec: Mapping[str, Any], facts: Facts) -> pd.DataFrame:
    """Return columns text and name (the class's name); ratings become negative and positive."""
    where, classes = table.attrs["where"], table.attrs.get("classes")
    named = pd.DataFrame({"text": table[spec["text"]], "name": table[spec["label"]]}).reset_index(drop=True)
    texts = named["text"].map(lambda text: isinstance(text, str) and bool(fold(text)))  # once decoded and folded
    bad = ~texts.astype(bool) | ~named["name"].map(is_label).astype(bool)
    if bad.any():
        row = int(bad.idxmax())
        raise InputError(
            f"{where}, example {row + 1}",
            found=f"no text or no label ({int(bad.sum())} such examples)",
            allowed="a text, not empty, and a label in every example",
            remedy="Remove or correct those examples.",
        )
    named = named.astype("str")  # so that 1 in one file and "1" in another are one class
    named["name"] = named["name"].str.strip()
    if "threshold" in spec:
        named = rate(named, spec, facts, where)
        classes = ["negative", "positive"]
    named.attrs = {"where": where, "classes": classes}
    return named


def is_label(label: Any) -> bool:
    """Return whether a cell holds a class's name or number."""
    return isinstance(label, str | numbers.Number) and not pd.isna(label) and bool(str(label).strip())


def fold(text: str) -> str:
    """Return a text with its HTML entities decoded and every stretch of spaces as one."""
    return " ".join(html.unescape(text).split())


def rate(named: pd.DataFrame, spec: Mapping[str, Any], facts: Facts, where: str) -> pd.DataFrame:
    """Return examples with a rating as negative or positive ones, without those within the margin."""
    ratings = pd.to_numeric(named["name"], errors="coerce")
    if ratings.isna().any():
        row = int(ratings.isna().idxmax())
        raise InputError(
            f"{where}, example {row + 1}, column {cut(spec['label'])}",
            found=cut(repr(named["name"].iloc[row])),
            allowed="a number, since `threshold` makes it a rating",
            remedy="Remove `threshold` for class names, or correct the rating.",
        )
    with np.errstate(over="ignore"):  # of a rating next to the largest number
        distance = (ratings - spec["threshold"]).abs().round(9)  # 0.3 - 0.1 is 0.2 here, as on paper
    clear = (distance >= spec["margin"]) & (distance > 0)
    facts["dropped_within_margin"] += int((~clear).sum())
    positive = ratings > spec["threshold"]
    return named.assign(name=positive.map({False: "negative", True: "positive"}))[clear].reset_index(drop=True)


def name_classes(parts: list[pd.DataFrame], spec: Mapping[str, Any], source: Path) -> list[Any]:
    """Return the class names in label order: the data set's own order, else sorted; add the column label."""
    found = pd.unique(pd.concat([part["name"] for part in parts]))
    classes = parts[0].attrs.get("classes") or sorted(found, key=class_order)
    if len(found) < 2:
        raise InputError(
            f"{source}, column {cut(spec['label'])}",
            found=f"no other class than {cut(found[0])}" if len(found) else "no example",
            allowed="two classes or more",
            remedy="Correct `label`, or add examples of another class.",
        )
    numbers = {name: number for number, name in enumerate(classes)}
    for part in parts:
        part["label"] = part["name"].map(numbers).astype("int64")
    return list(classes)


def class_order(name: Any) -> tuple[bool, float, str]:
    """Return a sort key: class names that are numbers first, by value, then the others by letter."""
    number = pd.to_numeric(str(name), errors="coerce")
    return bool(pd.isna(number)), 0.0 if pd.isna(number) else float(number), str(name)


# Cleaning and splitting -----------------------------------------------------------------------------------------------


def clean(part: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Return columns example_id, text, label: entities decoded, spaces folded, repeats dropped.

    A text that occurs twice with one label is kept once; one with different labels says nothing and goes.
    """
    text = part["text"].map(fold)
    facts["html_decoded"] += int((part["text"].map(html.unescape) != part["text"]).sum())
    # The first sixteen hexadecimal digits of its SHA-256, letter case aside.
    ids = text.map(lambda one: hashlib.sha256(one.casefold().encode()).hexdigest()[:16])
    examples = pd.DataFrame({"example_id": ids, "text": text, "label": part["label"]})
    examples = examples.sort_values(["example_id", "text"], ignore_index=True)  # whatever the order of the file
    contradictory = examples.groupby("example_id")["label"].transform("nunique") > 1
    repeated = examples.duplicated("example_id") & ~contradictory
    facts["dropped_contradictory"] += int(contradictory.sum())
    facts["dropped_repeats"] += int(repeated.sum())
    return examples[~contradictory & ~repeated].reset_index(drop=True)


def split(examples: pd.DataFrame, spec: Mapping[str, Any], key: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split examples, sorted by content hash, into the rest and as many as a key asks for, each class's share kept.

    Ours, since scikit-learn's train_test_split draws by position. Here the hash decides, so rows in another order split
    the same, and a new row moves at most one other per class.
    """
    wanted = spec.get(key)
    if not wanted:
        return examples, examples.iloc[:0]
    if wanted >= len(examples):
        raise InputError(
            f"config: {key} of the data set {cut(spec.get('file') or spec['train_split'])}",
            found=f"{wanted} of {len(examples)} examples",
            allowed="fewer than there are, so that some are left to train on or to evaluate",
            remedy=f"Lower {key}.",
        )
    share = wanted / len(examples)
    rank = examples.groupby("label").cumcount()
    size = examples.groupby("label")["label"].transform("size")
    quota = apportion(examples["label"].value_counts().sort_index() * share, wanted)
    held_out = rank < examples["label"].map(quota).clip(upper=size - 1)
    return examples[~held_out].reset_index(drop=True), examples[held_out].reset_index(drop=True)


def apportion(shares: pd.Series, total: int) -> pd.Series:
    """Round shares to whole numbers that add up to total, by largest remainder."""
    whole = shares.astype("int64")
    remainder = (shares - whole).sort_values(ascending=False, kind="stable").index[: total - int(whole.sum())]
    whole.loc[remainder] += 1
    return whole


def check_classes(parts: Mapping[str, pd.DataFrame], classes: list[Any], spec: Mapping[str, Any]) -> None:
    """Raise InputError unless every class occurs in every part."""
    for part, examples in parts.items():
        absent = [str(name) for number, name in enumerate(classes) if number not in set(examples["label"])]
        if absent:
            raise InputError(
                f"the {PARTS[part]} part of data set {cut(spec.get('file') or spec['train_split'])}",
                found=f"no example of class {listed(absent)}",
                allowed="examples of every class in each part",
                remedy="Add examples, or raise eval_examples or confirm_examples.",
            )


def fingerprint(*parts: pd.DataFrame) -> str:
    """Return the SHA-256 of the parts' texts and labels."""
    sha = hashlib.sha256()
    for part in parts:
        for text, label in zip(part["text"], part["label"], strict=True):
            sha.update(f"{label}\t{text}\n".encode())
        sha.update(b"\f")
    return sha.hexdigest()
