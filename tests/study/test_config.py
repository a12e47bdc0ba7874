"""A config read: numbers, defaults, and every mistake named at once, by its place and what is allowed there."""

from __future__ import annotations

import copy
import datetime
import itertools
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from finevar import ROOT
from finevar.errors import MOST_NAMED, InputError
from finevar.metrics import RESPONSES
from finevar.study.config import TRAINING_DEFAULTS, read_config
from finevar.study.design import plan_study
from finevar.study.designs import DESIGNS
from finevar.study.schema_values import fill_defaults
from finevar.study.schemas import read_schema
from finevar.study.settings import FACTORS, SCHEMAS
from refusals import at, names, refusals

MANUAL = ROOT / "config" / "README.md"
REMOVED = object()


def problems(raw: dict[str, Any]) -> list[InputError]:
    return refusals(read_config, raw)


def problem(raw: dict[str, Any], where: str, *data: object) -> InputError:
    return at(problems(raw), f"config: {where}", *data)


def message(raw: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        read_config(raw)
    return str(caught.value)


def put(raw: dict[str, Any], path: Any, value: Any) -> dict[str, Any]:
    """Set, or remove, the value at a dotted path; return the config."""
    *parents, last = path.split(".") if isinstance(path, str) else [path]
    place = raw
    for key in parents:
        place = place.setdefault(key, {})
    if value is REMOVED:
        del place[last]
    else:
        place[last] = value
    return raw


# Numbers and defaults


@pytest.mark.parametrize("written", ["2e-5", "2E-5", "2.0e-05", "+2e-5", ".2e-4", "2.e-5", 2e-5])
def test_scientific_notation_is_a_number(raw_config, written):
    raw_config["sweep"]["factors"]["learning_rate"]["levels"][0] = written
    assert read_config(raw_config)["sweep"]["factors"]["learning_rate"]["levels"] == [2e-5, 1e-4, 4e-4]


def test_sources_are_left_as_they_are_written(raw_config):
    raw_config["sources"]["minilm"] = {"kind": "hub", "repo": "1e5", "revision": "1" * 38 + "e5"}
    assert read_config(raw_config)["sources"]["minilm"]["repo"] == "1e5"


def test_one_and_one_point_nought_are_the_same(raw_config):
    other = put(copy.deepcopy(raw_config), "sweep.factors.epochs.levels", [1.0, 2.0, "3e0"])
    other = put(other, "training.train_examples", 256.0)
    other = put(put(other, "training.clip_norm", 1), "baseline.settings.warmup", 0.1)
    read = read_config(other)
    assert read == read_config(raw_config)
    assert [type(level) for level in read["sweep"]["factors"]["epochs"]["levels"]] == [int, int, int]
    assert isinstance(read["training"]["clip_norm"], float)


def test_defaults_are_filled_in(raw_config):
    config = read_config(raw_config)
    assert config["sweep"]["design"] == {"kind": "full_factorial", "include_baseline": True}
    expected = {"responses": ["accuracy", "f1", "loss"], "model": "quadratic", "confidence": 0.95, "claims": []}
    expected |= {"smallest_effect": {}, "show_sentences": True, "evaluate_each_epoch": False}
    assert config["analysis"] == expected | {"tradeoffs": {"responses": None, "weights": {}}}
    assert config["keep_weights"] == "none"
    assert config["baseline"]["seed"] == 0
    assert config["sweep"]["factors"]["epochs"]["coding"] == "identity"
    own = {"train_examples": 256, "warmup": 0.1, "weight_decay": 0.01}
    assert config["training"] == without_lora(TRAINING_DEFAULTS) | own


def without_lora(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if not name.startswith("lora_")}


def test_without_training_all_settings_are_defaults(raw_config):
    del raw_config["training"]
    assert read_config(raw_config)["training"] == without_lora(TRAINING_DEFAULTS)


def test_settings_of_lora_are_among_those_of_training_where_some_run_has_it(raw_config):
    raw_config["sweep"]["factors"]["method"] = {"levels": ["full", "lora"]}
    config = read_config(raw_config)
    assert config["training"].keys() == TRAINING_DEFAULTS.keys()
    assert config["baseline"]["settings"].keys() == without_lora(TRAINING_DEFAULTS).keys()


def test_the_baseline_takes_what_it_lacks_from_training(raw_config):
    settings = read_config(raw_config)["baseline"]["settings"]
    assert (settings["weight_decay"], settings["train_examples"], settings["dropout"]) == (0.01, 4000, 0.1)


def test_two_configs_share_no_default(raw_config):
    first = read_config(raw_config)
    first["analysis"]["responses"].append("mcc")
    assert read_config(raw_config)["analysis"]["responses"] == ["accuracy", "f1", "loss"]


def test_reading_leaves_the_raw_config_alone(raw_config):
    before = copy.deepcopy(raw_config)
    read_config(raw_config)
    assert raw_config == before
    wrong = put(raw_config, "sources.minilm.pth", "x")
    before = copy.deepcopy(wrong)
    problems(wrong)
    assert wrong == before


def test_a_config_read_again_is_the_same(raw_config):
    del raw_config["training"]
    config = read_config(raw_config)
    schema = read_schema("config")
    assert fill_defaults(config, schema, schema) == config


# One mistake each

LEVELS = "sweep.factors.learning_rate.levels"


@pytest.mark.parametrize(
    ("path", "value", "where", "data"),
    [
        # keys
        ("trainning", {}, "top level", ["'trainning'"]),
        ("trainning", {}, "top level", ["'training'", "'trainning'"]),
        ("zzz", 1, "top level", ["study", "sources", "keep_weights"]),
        ("sweep.factors.learningrate", {"levels": [1, 2]}, "sweep.factors", ["'learning_rate'", "'learningrate'"]),
        ("training.momentum", 0.9, "training", ["'momentum'"]),
        ("model", REMOVED, "top level", ["'model'"]),
        ("datasets.amazon.text", REMOVED, "datasets.amazon", ["`text`", "`join`"]),
        ("datasets.amazon.label", REMOVED, "datasets.amazon", ["label", "label_from", "label_file"]),
        ("sweep.factors.epochs.levels", REMOVED, "sweep.factors.epochs", ["'levels'"]),
        # types and ranges
        (LEVELS, [], LEVELS, ["[]", "2"]),
        (LEVELS, ["1e-4"], LEVELS, ["2"]),
        (LEVELS, ["1e-4", 1e-4, 2e-4], LEVELS, []),
        ("sweep.factors.epochs.levels", [1, 1.0, 2], "sweep.factors.epochs.levels", []),
        (LEVELS, ["1e-4", "fast"], f"{LEVELS}.1", ['"fast"']),
        (LEVELS, ["1e-4", float("nan")], f"{LEVELS}.1", ["NaN"]),
        (LEVELS, ["1e-4", True], f"{LEVELS}.1", ["true"]),
        (LEVELS, [0, "1e-4"], f"{LEVELS}.0", ["0"]),
        (LEVELS, ["1e-4", 2], f"{LEVELS}.1", ["2", "1"]),
        ("sweep.factors.epochs.levels", [1, 2.5], "sweep.factors.epochs.levels.1", ["2.5"]),
        ("sweep.factors.batch_size.levels", [0, 8], "sweep.factors.batch_size.levels.0", ["1"]),
        ("sweep.factors.epochs.coding", "log", "sweep.factors.epochs.coding", ["identity", "log2", "log10"]),
        ("training.dropout", 1, "training.dropout", ["1"]),
        ("training.clip_norm", "1e999", "training.clip_norm", ["Infinity"]),
        ("training", None, "training", ["null"]),
        ("training.train_examples", 1e300, "training.train_examples", ["1e+300", "null", "64"]),
        ("training.train_examples", 10**30, "training.train_examples", ["100", "64"]),
        ("training.dropout", {datetime.date(2024, 2, 29): 1}, "training.dropout", []),
        ("keep_weights", datetime.date(2024, 2, 29), "keep_weights", ['"2024-02-29"', "none", "all"]),
        (datetime.date(2024, 2, 29), 1, "top level", ['"2024-02-29"', "study", "sources"]),
        ("sweep.seeds", [], "sweep.seeds", ["[]", "1"]),
        ("sweep.seeds", [0, 0], "sweep.seeds", []),
        ("sweep.seeds", [-1], "sweep.seeds.0", ["0"]),
        ("analysis.responses", ["acc"], "analysis.responses.0", ["accuracy", "f1", "loss"]),
        ("analysis.confidence", 95, "analysis.confidence", ["1"]),
        ("analysis.tradeoffs", {"responses": ["loss"]}, "analysis.tradeoffs.responses", ['["loss"]', "2"]),
        ("analysis.tradeoffs", {"responses": ["mcc", "loss"]}, "analysis.tradeoffs.responses", ["mcc", "accuracy"]),
        ("analysis.primary", "mcc", "analysis.primary", ["mcc", "accuracy, f1, loss"]),
        ("analysis.tradeoffs", {"weights": {"loss": 0}}, "analysis.tradeoffs.weights.loss", ["0"]),
        ("analysis.tradeoffs", {"weights": {"los": 1}}, "analysis.tradeoffs.weights", ['"los"', "accuracy", "f1"]),
        (
            "analysis.tradeoffs",
            {"responses": ["f1", "seconds"], "weights": {"loss": 2}},
            "analysis.tradeoffs.weights", ["loss", "f1", "seconds"],
        ),
        ("keep_weights", "best", "keep_weights", ["none", "all"]),
        # names and patterns
        ("study", "runs", "study", []),
        ("study", "../x", "study", ['"../x"']),
        ("study", "toy\n", "study", ['"toy\\n"']),
        ("study", "\x1b[31m", "study", ['"\\u001b[31m"']),
        ("datasets.Amazon", {}, "datasets", ['"Amazon"']),
        ("sources.minilm.sha256", "b9a0", "sources.minilm.sha256", ['"b9a0"', "[0-9a-f]", "64"]),
        ("sources.minilm.package", "a-model>=1", "sources.minilm.package", []),
        ("sources.minilm", {"kind": "hub", "repo": "a/b", "revision": "main"}, "sources.minilm.revision", ['"main"']),
        ("sources.minilm.package", "--pre==1", "sources.minilm.package", ["'--pre==1'"]),
        # sources
        ("sources.minilm.kind", "pip", "sources.minilm.kind", ['"pip"', "package", "hub", "local"]),
        ("sources.minilm.kind", REMOVED, "sources.minilm", ["'kind'"]),
        ("sources.minilm.repo", "a/b", "sources.minilm", ["'repo'"]),
        ("sources.minilm", {"kind": "hub", "repo": "a/b"}, "sources.minilm", ["'revision'"]),
        ("sources.minilm", {"kind": "local"}, "sources.minilm", ["'path'"]),
        ("sources.minilm.archive", "x.zip", "sources.minilm.archive", []),
        ("sources.ratings.weights_sha256", "e" * 64, "sources.ratings.weights_sha256", []),
        # references
        ("model", "bert", "model", ["'bert'", "sources"]),
        ("datasets.amazon.source", "vader", "datasets.amazon.source", ["'vader'"]),
        ("sweep.datasets", ["tweets"], "sweep.datasets", ["'tweets'"]),
        ("baseline.dataset", "books", "baseline.dataset", ["'books'"]),
        # data sets
        ("datasets.amazon.eval_examples", REMOVED, "datasets.amazon", ["none", "eval_file", "eval_split"]),
        ("datasets.amazon.eval_file", "e.txt", "datasets.amazon", ["eval_file", "eval_examples"]),
        ("datasets.amazon.file", REMOVED, "datasets.amazon", ["'file'", "package"]),
        ("datasets.amazon.train_split", "train", "datasets.amazon.train_split", []),
        ("datasets.amazon.subset", "en", "datasets.amazon.subset", ["package"]),
        ("datasets.amazon.text", "sentence", "datasets.amazon.text", ["'sentence'"]),
        ("datasets.amazon.label", "text", "datasets.amazon.label", ["'text'"]),
        ("datasets.amazon.text", ["text"], "datasets.amazon.text", ["2"]),
        ("datasets.amazon.text", ["text", "id", "more"], "datasets.amazon.text", ["2"]),
        ("datasets.amazon.text", ["text", "text"], "datasets.amazon.text", []),
        ("datasets.amazon.text", ["text", "other"], "datasets.amazon.text", ["'other'"]),
        ("datasets.amazon.text", ["id", "rating"], "datasets.amazon.label", ["'rating'"]),
        ("datasets.amazon.threshold", REMOVED, "datasets.amazon.margin", []),
        ("datasets.amazon.join", ["id", "text"], "datasets.amazon", ["text and join"]),
        ("datasets.amazon.label_from", "file", "datasets.amazon", ["label and label_from"]),
        ("datasets.amazon.label_from", "name", "datasets.amazon.label_from", ["file", "folder"]),
        ("datasets.amazon.label_file", "l.txt", "datasets.amazon.label_file", ["`format: lines`"]),
        ("datasets.amazon.eval_label_file", "l.txt", "datasets.amazon.eval_label_file", []),
        ("datasets.amazon.format", "lines", "datasets.amazon.text", ["lines"]),
        ("datasets.amazon.separator", ";;", "datasets.amazon.separator", []),
        ("datasets.amazon.separator", '"', "datasets.amazon.separator", []),
        ("datasets.amazon.quoting", "all", "datasets.amazon.quoting", ["minimal", "backslash", "none"]),
        ("datasets.amazon.quote", "''", "datasets.amazon.quote", []),
        ("datasets.amazon.quote", "\t", "datasets.amazon.quote", []),
        ("datasets.amazon.skip", 0, "datasets.amazon.skip", ["1"]),
        ("datasets.amazon.encoding", "latin-seven", "datasets.amazon.encoding", ["latin-1"]),
        ("datasets.amazon.encoding", "rot13", "datasets.amazon.encoding", ["utf-8"]),
        ("datasets.amazon.encoding", "", "datasets.amazon.encoding", ["utf-8"]),
        ("datasets.amazon.file", [], "datasets.amazon.file", ["1 or more"]),
        ("datasets.amazon.file", ["a.csv", "a.csv"], "datasets.amazon.file", []),
        ("datasets.amazon.drop_empty", "yes", "datasets.amazon.drop_empty", ["boolean"]),
        ("datasets.amazon.eval_examples", 0, "datasets.amazon.eval_examples", ["0"]),
        ("datasets.amazon.eval_examples", 1, "datasets.amazon.eval_examples", ["1", "share"]),
        ("datasets.amazon.eval_examples", 1.5, "datasets.amazon.eval_examples", ["1.5", "share"]),
        ("datasets.amazon.confirm_examples", 20.5, "datasets.amazon.confirm_examples", ["20.5"]),
        # factors
        ("training.epochs", 2, "sweep.factors.epochs", []),
        ("sweep.factors.dropout", {"levels": [0, 1e-3], "coding": "log2"}, "sweep.factors.dropout.coding", ["log2"]),
        ("sweep.factors.frozen_layers", {"levels": [0, 1], "coding": "log2"}, "sweep.factors.frozen_layers.coding", []),
        ("sweep.factors.warmup", {"levels": [0.1, 0.2, 100]}, "sweep.factors.warmup.levels", ["0.1", "0.2", "100"]),
        ("sweep.factors.warmup", {"levels": [1e308, 1.7e308]}, "sweep.factors.warmup.levels", ["1e+308", "1.7e+308"]),
        (LEVELS, [1e-5, math.nextafter(1e-5, 1)], LEVELS, ["1e-05"]),
        # design
        ("sweep.design.kind", "grid", "sweep.design.kind", ["full_factorial", "central_composite", "box_behnken"]),
        ("sweep.design.points", 9, "sweep.design.points", ["full_factorial", "latin_hypercube"]),
        ("sweep.design.seed", 9, "sweep.design.seed", ["full_factorial", "latin_hypercube"]),
        ("sweep.design.file", "x.csv", "sweep.design.file", ["full_factorial"]),
        ("sweep.design.kind", "latin_hypercube", "sweep.design", ["'points'"]),
        ("sweep.design.kind", "table", "sweep.design", ["'file'"]),
        # baseline
        ("baseline.settings.batch_size", 5000, "baseline.settings", ["batch_size", "5000", "train_examples", "4000"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_its_place_and_by_what_is_found_and_allowed(raw_config, path, value, where, data):
    if path == "sweep.factors.warmup":
        del raw_config["training"]["warmup"]
    assert problem(put(raw_config, path, value), where, *data).remedy


@pytest.mark.parametrize("keys", [{"quoting": "none"}, {"separator": "'"}, {"format": "jsonl"}])
def test_a_quotation_mark_that_can_mean_nothing_is_refused(raw_config, keys):
    raw_config["datasets"]["amazon"] |= {"quote": "'"} | keys
    assert problem(raw_config, "datasets.amazon.quote").remedy


def hub(raw: dict[str, Any], **dataset: Any) -> dict[str, Any]:
    raw["sources"]["ratings"] = {"kind": "hub", "repo": "owner/name", "revision": "a" * 40}
    raw["datasets"] = {"amazon": {"source": "ratings", "text": "text", "label": "label", **dataset}}
    del raw["baseline"]["dataset"]
    return raw


def test_a_hub_data_set_goes_by_splits(raw_config):
    raw = hub(raw_config, train_split="train", eval_split="validation", subset="en")
    assert read_config(raw)["datasets"]["amazon"]["train_split"] == "train"


@pytest.mark.parametrize(
    ("keys", "where", "data"),
    [
        ({"file": "a.csv", "eval_examples": 5}, "datasets.amazon", ["'train_split'", "hub"]),
        ({"file": "a.csv", "eval_examples": 5}, "datasets.amazon.file", ["hub"]),
        ({"train_split": "train", "eval_file": "a.csv"}, "datasets.amazon.eval_file", []),
        ({"train_split": "a", "eval_split": "b", "format": "csv"}, "datasets.amazon.format", []),
        ({"train_split": "a", "eval_split": "b", "columns": ["text", "label"]}, "datasets.amazon.columns", []),
        ({"train_split": "a", "eval_split": "b", "encoding": "latin-1"}, "datasets.amazon.encoding", []),
        (
            {"train_split": "a", "eval_split": "b", "eval_examples": 9},
            "datasets.amazon",
            ["eval_split", "eval_examples", "eval_file"],
        ),
    ],
)
def test_a_hub_data_set_with_keys_of_files_is_refused(raw_config, keys, where, data):
    assert problem(hub(raw_config, **keys), where, *data)


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"training.lora_rank": 4}, "training.lora_rank"),
        ({"baseline.settings.lora_layers": "attention"}, "baseline.settings.lora_layers"),
        ({"training.reinit_layers": 1, "training.method": "lora"}, "training.reinit_layers"),
        ({"training.beta2": 0.98, "training.optimizer": "sgd"}, "training.beta2"),
        ({"sweep.factors.lora_rank": {"levels": [2, 4, 8]}}, "sweep.factors.lora_rank"),
        (
            {
                "sweep.factors.lora_rank": {"levels": [2, 4, 8]},
                "training.method": "lora",
                "baseline.settings.method": "full",
            },
            "sweep.factors.lora_rank",
        ),
        (
            {"sweep.factors.lora_scale": {"levels": [1, 2, 4]}, "sweep.factors.method": {"levels": ["full", "lora"]}},
            "sweep.factors.lora_scale",
        ),
    ],
)
def test_a_setting_where_it_has_no_effect_is_refused(raw_config, keys, where):
    for key, value in keys.items():
        raw_config = put(raw_config, key, value)
    remedy = problem(raw_config, where).remedy
    assert "optimizer to adamw" in remedy or "method to " in remedy


def test_a_factor_of_names_that_has_no_effect_somewhere_is_refused_with_what_can_be_done(raw_config):
    """Names have no `when`, and a factor's setting does not stand under training as well."""
    raw_config = put(raw_config, "sweep.factors.method", {"levels": ["full", "lora"]})
    raw_config = put(raw_config, "sweep.factors.lora_layers", {"levels": ["all", "attention"]})
    raw_config = put(raw_config, "baseline.settings.method", "lora")
    raw_config["sweep"]["design"] = {"kind": "full_factorial"}
    remedy = problem(raw_config, "sweep.factors.lora_layers").remedy
    assert "when" not in remedy
    assert "method to lora and remove sweep.factors.method, or remove sweep.factors.lora_layers" in remedy
    either, other = copy.deepcopy(raw_config), copy.deepcopy(raw_config)
    del either["sweep"]["factors"]["method"], other["sweep"]["factors"]["lora_layers"]
    assert read_config(put(either, "training.method", "lora"))
    assert read_config(other)


@pytest.mark.parametrize(
    "keys",
    [
        {"sweep.factors.lora_rank": {"levels": [2, 4, 8]}, "training.method": "lora"},
        {
            "sweep.factors.method": {"levels": ["full", "lora"]},
            "training.lora_rank": 4,
            "baseline.settings.method": "full",
        },
        {"baseline.settings.method": "lora", "baseline.settings.lora_rank": 4},
        {"baseline.settings.method": "lora", "training.lora_rank": 4},
        {"sweep.factors.optimizer": {"levels": ["adamw", "sgd"]}, "training.beta2": 0.98},
    ],
)
def test_settings_are_allowed_where_they_have_an_effect_somewhere(raw_config, keys):
    for key, value in keys.items():
        raw_config = put(raw_config, key, value)
    assert read_config(raw_config)


FILES = {
    "a pattern and a share": {"file": "part-*.csv", "text": "t", "label": "l", "eval_examples": 0.2},
    "pairs": {"file": "a.csv", "text": ["premise", "hypothesis"], "label": "l", "eval_examples": 5},
    "title and body": {"file": ["a.csv", "b.csv"], "join": ["title", "body"], "label": "l", "eval_examples": 5},
    "a file a class": {"file": "*.txt", "format": "lines", "label_from": "file", "eval_examples": 5.0},
    "two files": {
        "file": "a.txt", "label_file": "b.txt", "eval_file": "c.txt", "eval_label_file": "d.txt", "format": "lines"
    },
    "a dialect": {
        "file": "a.csv", "separator": ";", "quoting": "none", "encoding": "utf-16", "skip": 2,
        "text": "t", "label": "l", "eval_file": "b.csv",
    },
}  # fmt: skip


@pytest.mark.parametrize("keys", FILES.values(), ids=FILES)
def test_every_way_to_name_files_and_labels_is_allowed(raw_config, keys):
    raw = put(raw_config, "datasets.amazon", {"source": "ratings", **keys})
    assert read_config(raw)["datasets"]["amazon"].items() >= keys.items()


def test_keys_of_rows_mean_nothing_for_other_formats(raw_config):
    keys = {"file": "a.jsonl", "text": "t", "label": "l", "eval_examples": 5, "skip": 1, "quoting": "none"}
    raw = put(raw_config, "datasets.amazon", {"source": "ratings", **keys})
    assert [error.where for error in problems(raw)] == [f"config: datasets.amazon.{key}" for key in ("quoting", "skip")]


@pytest.mark.parametrize("levels", [[0, 0.1, 0.2], [0, 100, 600], [1, 2, 3]])
def test_shares_or_steps_of_warmup_are_fine_and_nought_is_both(raw_config, levels):
    raw_config["training"].pop("warmup")
    raw_config["baseline"]["settings"]["warmup"] = 0
    assert read_config(put(raw_config, "sweep.factors.warmup", {"levels": levels}))


@pytest.mark.parametrize(
    ("factor", "levels", "coding", "own", "data"),
    [
        ("warmup", [0, 100, 600], "identity", 0.1, ["0.1", "0, 100"]),
        ("weight_decay", [0.001, 0.01, 0.1], "log10", 0, ["0"]),
        ("train_examples", [64, 128, 256], "log2", None, ["null"]),
    ],
)
def test_the_baseline_needs_a_level_of_every_factor(raw_config, factor, levels, coding, own, data):
    raw_config["training"].pop(factor)
    raw_config["baseline"]["settings"][factor] = own
    raw = put(raw_config, f"sweep.factors.{factor}", {"levels": levels, "coding": coding})
    assert problem(raw, f"baseline.settings.{factor}", *data)


@pytest.mark.parametrize(("kind", "factors"), [("central_composite", 2), ("box_behnken", 3)])
def test_three_level_designs_need_factors_of_three_levels(raw_config, kind, factors):
    raw = put(raw_config, "sweep.design.kind", kind)
    raw["sweep"]["factors"]["epochs"]["levels"] = [1, 2, 3, 4]
    assert problem(raw, "sweep.factors.epochs.levels", 4, kind)
    raw["sweep"]["factors"] = dict(list(raw["sweep"]["factors"].items())[: factors - 1])
    assert problem(raw, "sweep.factors", factors - 1, factors, kind)


# Too large to plan


def endless() -> list[Any]:
    """Return what YAML makes of an anchor within itself."""
    value: list[Any] = []
    value.append(value)
    return value


def doubling() -> list[Any]:
    """Return what YAML makes of anchors that each name the one before twice."""
    value: list[Any] = ["x"]
    for _ in range(15):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (endless(), ["21", "20"]),  # deep
        (doubling(), ["3,000"]),  # values
        ([*range(200_000)], ["3,000"]),
        ("9" * 100_000, ["100,000", "10,000"]),  # characters
        ({"9" * 100_000: 1}, ["100,000", "10,000"]),
    ],
    ids=["endless", "doubling", "values", "text", "key"],
)
def test_what_is_too_large_to_be_a_config_is_refused_at_once(raw_config, value, data):
    raw = put(raw_config, "datasets.amazon.text", value)
    (error,) = problems(raw)
    assert error.where.startswith("config: datasets.amazon.text")
    assert names(error, *data)
    assert len(message(raw)) < 400


def test_a_number_too_long_to_print_is_refused(raw_config):
    assert problem(put(raw_config, "training.train_examples", 1 << 20_000), "training.train_examples", 20001, 64)


def test_a_long_row_of_digits_is_read_in_no_time(raw_config):
    started = time.monotonic()
    assert problem(put(raw_config, "training.dropout", "9" * 10_000), "training.dropout", "9999999")
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("design", "levels", "where", "data"),
    [
        ({"kind": "full_factorial"}, 400, "sweep", ["1.28e+08", "6.4e+07"]),
        ({"kind": "latin_hypercube", "points": 10**9}, 3, "sweep", ["2e+09", "1e+09"]),
        ({"kind": "latin_hypercube", "points": 50_000}, 3, "sweep.design.points", ["50000", "5,000"]),
    ],
)
def test_a_design_of_too_many_runs_is_refused_before_it_is_made(raw_config, design, levels, where, data):
    raw_config["sweep"]["design"] = design
    for name in ("batch_size", "epochs"):
        raw_config["sweep"]["factors"][name] = {"levels": [*range(1, levels + 1)]}
    raw_config["sweep"]["factors"]["max_length"] = {"levels": [*range(8, levels + 8)]}
    del raw_config["sweep"]["factors"]["learning_rate"]
    assert problem(raw_config, where, *data)


GRID = "\n".join(["learning_rate", *(str(1 / number) for number in range(1, 60_001))])


@pytest.mark.parametrize(
    ("name", "content", "where", "data"),
    [
        ("a\0b", None, r"config: sweep.design.file: a\x00b", []),
        ("/dev/zero", None, "config: sweep.design.file: /dev/zero", []),
        ("points.csv", "learning_rate," + "9" * 140_000, "config: sweep.design.file: points.csv", ["131072"]),
        ("points.csv", GRID, "config: sweep", ["1.2e+05", "6e+04"]),
    ],
    ids=["no path", "device", "long cell", "many rows"],
)
def test_a_table_of_points_that_cannot_be_is_refused(raw_config, tmp_path, monkeypatch, name, content, where, data):
    monkeypatch.chdir(tmp_path)
    if content:
        Path(name).write_text(content)
    factors = {"learning_rate": {"levels": [1e-5, 1e-4, 1]}}
    design = {"kind": "table", "file": name, "include_baseline": False}
    raw_config["sweep"] |= {"design": design, "factors": factors}
    assert at(refusals(lambda: plan_study(read_config(raw_config))), where, *data)


# Many mistakes


def test_of_very_many_problems_the_first_are_printed(raw_config):
    raw = put(copy.deepcopy(raw_config), "sweep.seeds", [*map(str, range(1000))])
    assert len(problems(raw)) == 1000
    first, *lines, last = message(raw).splitlines()
    assert "1000 problems" in first
    assert (len(lines), "980" in last) == (MOST_NAMED, True)
    keys = {f"key{number}": 1 for number in range(1000)}
    assert problem(put(raw_config, "training", keys), "training", "'key18', 'key19'", "980", "learning_rate")


def test_all_problems_are_named_at_once(raw_config):
    raw = put(raw_config, "trainning", {})
    raw = put(raw, "analysis.confidence", 95)
    raw = put(raw, "sources.minilm.sha256", "x")
    raw = put(raw, "model", "bert")
    raw = put(raw, "datasets.amazon.eval_file", "x.txt")
    raw = put(raw, "training.epochs", 2)
    found = problems(raw)
    for where in ("top level", "analysis.confidence", "sources.minilm.sha256", "model", "datasets.amazon"):
        assert at(found, f"config: {where}")
    assert at(found, "config: sweep.factors.epochs")
    first, *lines = message(raw).splitlines()
    assert f"{len(found)} problems" in first
    assert [line.split(". ")[0].strip() for line in lines] == [str(number) for number in range(1, len(found) + 1)]


def test_a_problem_is_named_once(raw_config):
    assert len(problems(put(raw_config, "model", "bert"))) == 1
    assert len(problems(put(raw_config, "sources.minilm", {}))) == 1
    found = problems(put(raw_config, "sources.minilm", {"kind": "hub"}))
    assert sum(names(error, "'repo', 'revision'") for error in found) == 1


def test_every_problem_says_where_what_and_what_is_allowed(raw_config):
    found = problems(put(put(raw_config, LEVELS, []), "datasets.amazon.margin", -1))
    assert [error.where for error in found] == ["config: datasets.amazon.margin", f"config: {LEVELS}"]
    assert all(error.found and error.allowed and error.remedy for error in found)


@pytest.mark.parametrize("raw", [{}, {"study": "x"}, {"sweep": 1, "study": 2, "sources": []}])
def test_a_config_of_the_wrong_shape_is_refused(raw):
    assert problems(raw)


# The schema and the manual


def keys_of(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every key that the schema defines anywhere, with its place and subschema."""
    for name, part in schema.get("properties", {}).items():
        yield f"{path}.{name}", part
        yield from keys_of(part, f"{path}.{name}")
    if isinstance(others := schema.get("additionalProperties"), dict):
        yield from keys_of(others, path)
    for name, part in schema.get("$defs", {}).items():
        yield from keys_of(part, f"{path}.$defs.{name}")


def own_keys() -> list[tuple[str, dict[str, Any]]]:
    schemas = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(SCHEMAS.glob("*.schema.yaml"))]
    keys = [found for schema in schemas for found in keys_of(schema)]
    assert len(keys) > 70
    # A factor narrows the items of `levels`, whose meaning stands under $defs.
    return [(place, part) for place, part in keys if not re.search(r"factors\.\w+\.levels", place)]


def test_every_key_of_the_schema_is_described():
    assert [place for place, part in own_keys() if not part.get("description")] == []


def test_descriptions_are_sentences():
    assert [place for place, part in own_keys() if not part["description"].endswith(".")] == []


def documented() -> set[str]:
    """Return the keys that open a row of the manual's tables."""
    rows = re.findall(r"^\| (`.+?`) \|", MANUAL.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`(\w+)`", row)}


def test_the_manual_and_the_schema_hold_the_same_keys():
    assert documented() == {place.rsplit(".", 1)[1] for place, _ in own_keys()}


def test_the_manual_tells_the_defaults_of_training():
    text = MANUAL.read_text(encoding="utf-8")
    section = text.split("## `training`", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.+?) \|$", section, flags=re.MULTILINE)
    assert [name for name, _ in rows] == list(TRAINING_DEFAULTS)
    assert {name: yaml.safe_load(default.strip("`")) for name, default in rows} == {
        name: (value if value != 5e-5 else "5e-5") for name, value in TRAINING_DEFAULTS.items()
    }


def test_the_manual_names_every_factor_design_and_metric():
    manual = MANUAL.read_text(encoding="utf-8")
    assert [name for name in (*FACTORS, *DESIGNS, *RESPONSES) if f"`{name}`" not in manual] == []


SHIPPED = [ROOT / "config" / "config.yaml", *sorted((ROOT / "config" / "studies").glob("*.yaml"))]


@pytest.mark.parametrize("path", SHIPPED, ids=[path.name for path in SHIPPED])
def test_shipped_configs_are_sound(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    study = plan_study(read_config(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.FullLoader)))
    if "source" in study.config:
        assert not study.runs
        return
    sweep = study.config["sweep"]
    each = math.prod(sweep["seeds"].values()) if isinstance(sweep["seeds"], dict) else len(sweep["seeds"])
    assert len(study.runs) == len(study.points) * each * len(sweep["datasets"])


def test_shipped_studies_have_names_of_their_own():
    names = [yaml.safe_load(path.read_text(encoding="utf-8"))["study"] for path in SHIPPED]
    assert len(set(names)) == len(names)


CLAIMS_EXAMPLE = re.search(r"```yml\n([^`]*claims:[^`]*)```", MANUAL.read_text(encoding="utf-8"), flags=re.DOTALL)[1]
EXAMPLES = re.findall(r"```yaml\n(.*?)```", MANUAL.read_text(encoding="utf-8"), flags=re.DOTALL)


def overlay(raw: Any, example: Any) -> Any:
    """Return the study with the keys of an example added or changed; another model comes with another baseline."""
    if not (isinstance(raw, dict) and isinstance(example, dict)):
        return example
    merged = raw | {key: overlay(raw.get(key), value) for key, value in example.items()}
    if {"model", "baseline"} <= example.keys():
        merged["baseline"] = example["baseline"]
    return merged


@pytest.fixture
def default_study() -> dict[str, Any]:
    return yaml.load(SHIPPED[0].read_text(encoding="utf-8"), Loader=yaml.FullLoader)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_manuals_examples_are_sound(default_study, tmp_path, monkeypatch, number):
    monkeypatch.chdir(tmp_path)
    factors = read_config(default_study)["sweep"]["factors"]
    assert list(factors) == ["learning_rate", "batch_size", "epochs"]
    grid = itertools.product(*(factor["levels"] for factor in factors.values()))
    rows = [",".join(map(str, point)) for point in grid]
    Path("points.csv").write_text("\n".join(["learning_rate,batch_size,epochs", *rows]))
    for name in (
        "data/reviews.csv",
        "model/config.json",
        "model/model.safetensors",
    ):  # whose content alone is asked for
        Path("my", name).parent.mkdir(parents=True, exist_ok=True)
        Path("my", name).touch()
    Path("my/claims.yaml").write_text(CLAIMS_EXAMPLE)
    example = yaml.load(EXAMPLES[number], Loader=yaml.FullLoader)
    study = overlay(default_study, example)
    for factor in study["sweep"]["factors"]:
        study["training"].pop(factor, None)
    assert plan_study(read_config(study)).runs


def test_the_manual_shows_every_kind_of_design_and_source():
    text = "".join(EXAMPLES)
    for kind in ("full_factorial", "box_behnken", "definitive", "latin_hypercube", "optimal", "table", "hub", "local"):
        assert f"kind: {kind}" in text


def test_the_manuals_further_factor_keeps_the_runs_so_far(default_study):
    before = set(plan_study(read_config(default_study)).runs)
    example = next(example for example in EXAMPLES if "weight_decay" in example)
    grown = overlay(default_study, yaml.load(example, Loader=yaml.FullLoader))
    grown["training"] = {key: value for key, value in grown["training"].items() if key != "weight_decay"}
    assert before < set(plan_study(read_config(grown)).runs)


def test_a_claim_names_a_metric_and_a_term_of_the_analysis(raw_config):
    raw_config["analysis"] = {"claims": [{"response": "mcc", "term": "lerning_rate"}]}
    found = problems(raw_config)
    assert at(found, "config: analysis.claims[0].response", "'mcc'", "accuracy, f1, loss")
    assert at(found, "config: analysis.claims[0].term", "'lerning_rate'", "learning_rate")


# Optimal designs


@pytest.mark.parametrize(
    ("runs", "model", "levels", "where", "data"),
    [
        (14, "quadratic", [1, 2, 3], "sweep.design.runs", ["14", "10 terms", "15", "interactions"]),
        (5, "first_order", [1, 2, 3], "sweep.design.runs", ["5", "4 terms", "6"]),
        (28, "quadratic", [1, 2, 3], "sweep.design.runs", ["28", "27"]),
        (15, "quadratic", [1, 2], "sweep.factors", ["epochs", "2", "3"]),
        (20, "quadratic", list(range(1, 1200)), "sweep.factors", ["1.079e+04", "10,000"]),
    ],
)
def test_an_optimal_design_is_refused_where_its_settings_do_not_carry_the_model(
    raw_config, runs, model, levels, where, data
):
    raw_config["analysis"] = {"model": model}
    raw_config["sweep"]["factors"]["epochs"]["levels"] = levels
    raw_config["sweep"]["design"] = {"kind": "optimal", "runs": runs}
    assert problem(raw_config, where, *data).remedy
