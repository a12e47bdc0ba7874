"""Data sets by Snakemake: two of one Hub repository, a corrected column, files in parts and labels in their names."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tiny
from finevar.files import check_sums
from toy_study import STUDY, make_folder, planned, snakemake, write_config

REVISION = "b" * 40
CARD = """---
configs:
- config_name: default
  data_files:
  - {split: train, path: data/train-*}
  - {split: validation, path: data/validation-*}
dataset_info:
  features:
  - {name: sentence, dtype: string}
  - name: label
    dtype: {class_label: {names: {'0': negative, '1': positive}}}
---
"""
COLUMNS = {"source": "hub", "text": "sentence", "label": "label"}
SPLITS = {
    "first": {**COLUMNS, "train_split": "train", "eval_split": "validation"},
    "second": {**COLUMNS, "train_split": "validation", "eval_split": "train"},
}


def cached(folder: Path) -> dict[str, str]:
    """Fill a Hub cache with a data set, every third label of whose training part is -1; return what names it."""
    repository = folder / "hf" / "hub" / "datasets--team--reviews"
    data = repository / "snapshots" / REVISION / "data"
    data.mkdir(parents=True)
    (data.parent / "README.md").write_text(CARD)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)
    pairs = tiny.make_sentences(180)
    for split, part in {"train": pairs[:120], "validation": pairs[120:]}.items():
        table = pd.DataFrame(part, columns=["sentence", "label"])
        table["label"] = table["label"].map(tiny.CLASSES.index)
        table.loc[2::3, "label"] = -1 if split == "train" else table.loc[2::3, "label"]
        table.to_parquet(data / f"{split}-00000-of-00001.parquet", index=False)
    return {"HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"}


def study(folder: Path, datasets: dict[str, Any]) -> Path:
    """Give a toy study other data sets."""
    sources = STUDY["sources"] | {"hub": {"kind": "hub", "repo": "team/reviews", "revision": REVISION}}
    write_config(folder, STUDY | {"sources": sources, "datasets": datasets})
    return folder


def facts_of(folder: Path, name: str) -> dict[str, Any]:
    (file,) = (folder / "results" / "data").glob(f"{name}-*/dataset.json")
    return json.loads(file.read_text())


@pytest.mark.parametrize("cores", ["1", "2"])
def test_two_data_sets_of_one_hub_repository_are_prepared_at_the_first_start(tmp_path, cores):
    folder = study(make_folder(tmp_path / "study"), SPLITS)
    network = cached(folder)
    done = snakemake(folder, "--cores", cores, "--until", "prepare_dataset", env=network)
    assert done.returncode == 0, done.stdout
    first, second = (facts_of(folder, name) for name in SPLITS)
    assert (first["read"], first["dropped_unlabelled"]) == (second["read"], second["dropped_unlabelled"]) == (180, 40)
    (source,) = (folder / "results" / "sources").iterdir()
    assert set(check_sums(source)) == {"README.md", *(f"data/{split}-00000-of-00001.parquet" for split in
                                                      ("train", "validation"))}  # fmt: skip
    before = sorted(path for path in source.rglob("*"))
    wrong = {name: spec | {"label": "verdict"} if name == "first" else spec for name, spec in SPLITS.items()}
    assert snakemake(study(folder, wrong), "--cores", cores, "--until", "prepare_dataset", env=network).returncode != 0
    right = {name: spec | {"confirm_examples": 4} if name == "first" else spec for name, spec in SPLITS.items()}
    counts = planned(snakemake(study(folder, right), "--cores", "1", "-n", env=network).stdout)
    assert (counts["prepare_dataset"], counts.get("fetch_data")) == (1, None)
    done = snakemake(folder, "--cores", cores, "--until", "prepare_dataset", env=network)
    assert done.returncode == 0, done.stdout
    assert sorted(path for path in source.rglob("*")) == before


def test_parts_patterns_and_names_that_are_labels_are_prepared_and_a_renamed_part_reruns_nothing(tmp_path):
    folder = make_folder(tmp_path / "study")
    texts, pairs = folder / "mine" / "texts", tiny.make_sentences(120)
    for number, part in enumerate((pairs[:50], pairs[50:])):
        tiny.write_csv(texts / "part.csv", part)
        (texts / f"part-{number}.csv.gz").write_bytes(gzip.compress((texts / "part.csv").read_bytes()))
    for name in tiny.CLASSES:
        (texts / f"{name}.txt").write_text("".join(f"{text}\n" for text, label in pairs if label == name))
    parts = {"source": "texts", "file": "part-*.csv.gz", "text": "sentence", "label": "label", "eval_examples": 0.25}
    named = {"source": "texts", "file": "*.txt", "format": "lines", "label_from": "file", "eval_examples": 30}
    study(folder, {"first": parts, "second": named})
    done = snakemake(folder, "--cores", "2", "--until", "prepare_dataset")
    assert done.returncode == 0, done.stdout
    first, second = facts_of(folder, "first"), facts_of(folder, "second")
    assert first["files"] == {"file": {"part-0.csv.gz": 50, "part-1.csv.gz": 70}}
    assert first["data_sha256"] == second["data_sha256"]
    (texts / "part-0.csv.gz").rename(texts / "part-7.csv.gz")
    assert planned(snakemake(folder, "--cores", "1", "--until", "prepare_dataset", "-n").stdout) == {}
