"""A data set's examples: cleaned, without repeats, split by content."""

from __future__ import annotations

import hashlib
import html
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from finevar.data.classes import drop_rare, name_classes, number_classes
from finevar.data.labels import label_examples
from finevar.data.mistaken import refuse_contradictions
from finevar.data.pairs import BREAK
from finevar.data.reading import read_parts, read_split, with_columns
from finevar.data.rows import Facts, fold, require_accounted
from finevar.data.splitting import divide


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
    where, examples = str(parts[0].attrs["where"]), sum(map(len, parts))
    classes = name_classes(parts, spec, facts)
    parts = [clean(part, facts) for part in parts]
    refuse_contradictions(facts["dropped_contradictory"], examples, spec, where)
    parts, classes = drop_rare(parts, classes, spec, facts)
    parts = number_classes(parts, classes, spec, where)
    train, evaluation, held_back = divide(parts, classes, spec, facts)
    found = {"train": train, "eval": evaluation} | ({"held_back": held_back} if len(held_back) else {})
    require_accounted(facts, sum(map(len, found.values())))
    facts |= {name: len(part) for name, part in found.items()} | {"classes": classes}
    facts["train_share"] = [float((train["label"] == k).mean()) for k in range(len(classes))]
    if len(classes) == 2:  # F1 is of the rarer one, where the config does not say
        facts["positive"] = classes[int(facts["train_share"][1] <= facts["train_share"][0])]
    facts["data_sha256"] = fingerprint(*found.values())
    return {"train": train, "eval": evaluation, "held_back": held_back}, dict(facts)


def clean(part: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Return columns example_id, text, name: entities decoded, spaces folded, repeats dropped.

    A text that occurs twice with one label is kept once; one with different labels says nothing and goes. The texts of
    a pair become one, a line each, so that all of this is of both.
    """
    texts = part.drop(columns="name")
    folded = texts.map(fold)
    text = folded["text"].str.cat(folded["second"], sep=BREAK) if "second" in folded else folded["text"]
    facts["html_decoded"] += int((texts.map(html.unescape) != texts).any(axis=1).sum())
    # The first sixteen hexadecimal digits of its SHA-256, letter case aside.
    ids = text.map(lambda one: hashlib.sha256(one.casefold().encode()).hexdigest()[:16])
    examples = pd.DataFrame({"example_id": ids, "text": text, "name": part["name"]})
    examples = examples.sort_values(["example_id", "text"], ignore_index=True)  # whatever the order of the file
    contradictory = examples.groupby("example_id")["name"].transform("nunique") > 1
    repeated = examples.duplicated("example_id") & ~contradictory
    facts["dropped_contradictory"] += int(contradictory.sum())
    facts["dropped_repeats"] += int(repeated.sum())
    return examples[~contradictory & ~repeated].reset_index(drop=True)


def fingerprint(*parts: pd.DataFrame) -> str:
    """Return the SHA-256 of the parts' texts and labels."""
    sha = hashlib.sha256()
    for part in parts:
        for text, label in zip(part["text"], part["label"], strict=True):
            sha.update(f"{label}\t{text}\n".encode())
        sha.update(b"\f")
    return sha.hexdigest()
