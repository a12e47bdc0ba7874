"""A data set's examples: cleaned, without repeats, split by content."""

from __future__ import annotations

import hashlib
import html
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from finevar.data.labels import label_examples, name_classes
from finevar.data.reading import read_parts, read_split, with_columns
from finevar.data.rows import Facts, fold, require_accounted
from finevar.errors import InputError
from finevar.study.consistency import as_list, listed
from finevar.study.paths import PARTS


def prepare(spec: Mapping[str, Any], source: Path, *, hub: bool) -> tuple[dict[str, pd.DataFrame], Facts]:
    """Return the examples of each part (columns example_id, text, label) and what was found and done.

    Parts: train, eval and held_back, which is empty unless spec asks for confirm_examples.

    spec: a dataset's part of the config. source: folder of the fetched source. hub: whether the source is a data set
    repository, read by split, or a folder of files.

    Raises InputError for a file that is missing or damaged, a missing column, an empty text, a single class.
    """
    spec, facts = with_columns(spec), defaultdict(int, read=0)
    read, keys = (read_split, ("train_split", "eval_split")) if hub else (read_parts, ("file", "eval_file"))
    parts = [read(spec, source, key, facts) for key in keys if spec.get(key) is not None]
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
    require_accounted(facts, sum(map(len, found.values())))
    facts |= {name: len(part) for name, part in found.items()} | {"classes": [str(name) for name in classes]}
    facts["train_share"] = [float((train["label"] == k).mean()) for k in range(len(classes))]
    facts["data_sha256"] = fingerprint(*found.values())
    return {"train": train, "eval": evaluation, "held_back": held_back}, dict(facts)


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
    wanted = round(wanted * len(examples)) if wanted < 1 else wanted
    if wanted >= len(examples):
        raise InputError(
            f"config: {key} of the data set {name_of(spec)}",
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


def name_of(spec: Mapping[str, Any]) -> str:
    """Return what messages call a data set: its files or its split."""
    return listed(as_list(spec.get("file") or spec["train_split"]), 3)


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
                f"the {PARTS[part]} part of data set {name_of(spec)}",
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
