"""A config read: numbers, defaults, and every mistake told at once, in words that say what to do."""

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
from finevar.errors import InputError
from finevar.metrics import RESPONSES
from finevar.study.config import TRAINING_DEFAULTS, read_config
from finevar.study.design import plan_study
from finevar.study.designs import DESIGNS
from finevar.study.schema_values import fill_defaults
from finevar.study.schemas import read_schema
from finevar.study.settings import FACTORS, SCHEMAS

MANUAL = ROOT / "config" / "README.md"
REMOVED = object()


def refusal(raw: dict[str, Any]) -> str:
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
    assert config["analysis"] == expected | {"tradeoffs": {"responses": None, "weights": {}}}
    assert config["keep_weights"] == "none"
    assert config["baseline"]["seed"] == 0
    assert config["sweep"]["factors"]["epochs"]["coding"] == "identity"
    assert config["training"] == TRAINING_DEFAULTS | {"train_examples": 256, "warmup": 0.1, "weight_decay": 0.01}


def test_without_training_all_settings_are_defaults(raw_config):
    del raw_config["training"]
    assert read_config(raw_config)["training"] == TRAINING_DEFAULTS


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
    refusal(wrong)
    assert wrong == before


def test_a_config_read_again_is_the_same(raw_config):
    del raw_config["training"]
    config = read_config(raw_config)
    schema = read_schema("config")
    assert fill_defaults(config, schema, schema) == config


# One mistake each

NAME = re.compile(r"config: (?P<where>.+?): found (?P<found>.+?)\. Allowed: (?P<allowed>.+)")
LEVELS = "sweep.factors.learning_rate.levels"


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        # keys
        ("trainning", {}, "top level: found unknown key 'trainning'"),
        ("trainning", {}, "Did you mean 'training' for 'trainning'?"),
        ("zzz", 1, "Allowed: study, sources, model, datasets, baseline, sweep, training, analysis, keep_weights"),
        ("sweep.factors.learningrate", {"levels": [1, 2]}, "Did you mean 'learning_rate' for 'learningrate'?"),
        ("training.optimizer", "adam", "training: found unknown key 'optimizer'"),
        ("model", REMOVED, "top level: found no key 'model'"),
        ("datasets.amazon.text", REMOVED, "datasets.amazon: found no key 'text'"),
        ("sweep.factors.epochs.levels", REMOVED, "sweep.factors.epochs: found no key 'levels'"),
        # types and ranges
        (LEVELS, [], "levels: found []. Allowed: 2 or more entries"),
        (LEVELS, ["1e-4"], "Allowed: 2 or more entries"),
        (LEVELS, ["1e-4", 1e-4, 2e-4], "Allowed: entries that differ from each other"),
        ("sweep.factors.epochs.levels", [1, 1.0, 2], "Allowed: entries that differ from each other"),
        (LEVELS, ["1e-4", "fast"], 'levels.1: found "fast". Allowed: a value of type number'),
        (LEVELS, ["1e-4", float("nan")], "levels.1: found NaN. Allowed: a value of type number"),
        (LEVELS, ["1e-4", True], "levels.1: found true. Allowed: a value of type number"),
        (LEVELS, [0, "1e-4"], "levels.0: found 0. Allowed: a number above 0"),
        (LEVELS, ["1e-4", 2], "levels.1: found 2. Allowed: a number of at most 1"),
        ("sweep.factors.epochs.levels", [1, 2.5], "levels.1: found 2.5. Allowed: a value of type integer"),
        ("sweep.factors.batch_size.levels", [0, 8], "Allowed: a number of at least 1"),
        ("sweep.factors.epochs.coding", "log", "Allowed: one of identity, log2, log10"),
        ("training.dropout", 1, "training.dropout: found 1. Allowed: a number below 1"),
        ("training.clip_norm", "1e999", "training.clip_norm: found Infinity"),
        ("training", None, "training: found null. Allowed: a value of type object"),
        ("training.train_examples", 1e300, "found 1e+300. Allowed: a value of type integer or null that 64 bits hold"),
        ("training.train_examples", 10**30, "found a whole number of 100 bits. Allowed: numbers that 64 bits hold"),
        ("training.dropout", {datetime.date(2024, 2, 29): 1}, "dropout: found something of type dict. Allowed: "),
        ("keep_weights", datetime.date(2024, 2, 29), 'keep_weights: found "2024-02-29". Allowed: one of none, all'),
        (datetime.date(2024, 2, 29), 1, 'top level: found unknown key "2024-02-29". Allowed: study, sources'),
        ("sweep.seeds", [], "sweep.seeds: found []. Allowed: 1 or more entries"),
        ("sweep.seeds", [0, 0], "Allowed: entries that differ"),
        ("sweep.seeds", [-1], "Allowed: a number of at least 0"),
        ("analysis.responses", ["acc"], "Allowed: one of accuracy, f1, loss,"),
        ("analysis.confidence", 95, "Allowed: a number below 1"),
        ("analysis.tradeoffs", {"responses": ["loss"]}, 'responses: found ["loss"]. Allowed: 2 or more entries'),
        ("analysis.tradeoffs", {"responses": ["mcc", "loss"]}, "tradeoffs.responses: found mcc. Allowed: accuracy, f1"),
        ("analysis.tradeoffs", {"weights": {"loss": 0}}, "weights.loss: found 0. Allowed: a number above 0"),
        ("analysis.tradeoffs", {"weights": {"los": 1}}, 'weights: found "los". Allowed: one of accuracy, f1'),
        (
            "analysis.tradeoffs",
            {"responses": ["f1", "seconds"], "weights": {"loss": 2}},
            "tradeoffs.weights: found loss. Allowed: f1, seconds. Add it to analysis.tradeoffs.responses",
        ),
        ("keep_weights", "best", "Allowed: one of none, all"),
        # names and patterns
        ("study", "runs", "Allowed: a name that is not one of baselines, benchmarks, data, encoded, logs"),
        ("study", "../x", 'study: found "../x". Allowed: text that matches'),
        ("study", "toy\n", r'study: found "toy\n". Allowed: text that matches'),
        ("study", "\x1b[31m", r'study: found "\u001b[31m". Allowed: text that matches'),
        ("datasets.Amazon", {}, 'found "Amazon". Allowed: text that matches'),
        ("sources.minilm.sha256", "b9a0", 'sha256: found "b9a0". Allowed: text that matches ^[0-9a-f]{64}$'),
        ("sources.minilm.package", "a-model>=1", "Allowed: text that matches"),
        ("sources.minilm", {"kind": "hub", "repo": "a/b", "revision": "main"}, 'revision: found "main". Allowed:'),
        ("sources.minilm.package", "--pre==1", "package: found '--pre==1'. Allowed: name==version, the name with"),
        # sources
        ("sources.minilm.kind", "pip", 'minilm.kind: found "pip". Allowed: one of package, hub, local'),
        ("sources.minilm.kind", REMOVED, "sources.minilm: found no key 'kind'"),
        ("sources.minilm.repo", "a/b", "sources.minilm: found unknown key 'repo'"),
        ("sources.minilm", {"kind": "hub", "repo": "a/b"}, "sources.minilm: found no key 'revision'"),
        ("sources.minilm", {"kind": "local"}, "sources.minilm: found no key 'path'"),
        ("sources.minilm.archive", "x.zip", "minilm.archive: found a value. Allowed: no such key for a source of"),
        ("sources.ratings.weights_sha256", "e" * 64, "ratings.weights_sha256: found a value"),
        # references
        ("model", "bert", "model: found 'bert'. Allowed: a name under `sources`: minilm, ratings"),
        ("datasets.amazon.source", "vader", "datasets.amazon.source: found 'vader'"),
        ("sweep.datasets", ["tweets"], "sweep.datasets: found 'tweets'. Allowed: a name under `datasets`: movies"),
        ("baseline.dataset", "books", "baseline.dataset: found 'books'"),
        # data sets
        ("datasets.amazon.eval_examples", REMOVED, "amazon: found none of eval_file, eval_split, eval_examples"),
        ("datasets.amazon.eval_file", "e.txt", "found eval_file and eval_examples of eval_file"),
        ("datasets.amazon.file", REMOVED, "amazon: found no key 'file'. Allowed: 'file' for a package source"),
        ("datasets.amazon.train_split", "train", "amazon.train_split: found a value. Allowed: no such key"),
        ("datasets.amazon.subset", "en", "amazon.subset: found a value. Allowed: no such key for a package source"),
        ("datasets.amazon.text", "sentence", "amazon.text: found 'sentence'. Allowed: a name under `columns`: id"),
        ("datasets.amazon.label", "text", "amazon.label: found 'text'. Allowed: another column than `text`"),
        ("datasets.amazon.threshold", REMOVED, "amazon.margin: found a value. Allowed: no margin without a threshold"),
        # factors
        ("training.epochs", 2, "sweep.factors.epochs: found a factor that `training` fixes too. Allowed: one place"),
        ("sweep.factors.dropout", {"levels": [0, 0.1, 0.2], "coding": "log2"}, "coding: found log2 with the level 0"),
        ("sweep.factors.frozen_layers", {"levels": [0, 1, 2], "coding": "log10"}, "found log10 with the level 0"),
        ("sweep.factors.warmup", {"levels": [0.1, 0.2, 100]}, "warmup.levels: found 0.1, 0.2, 100"),
        ("sweep.factors.warmup", {"levels": [1e308, 1.7e308]}, "found 1e+308 to 1.7e+308, too close or too far apart"),
        (LEVELS, [1e-5, math.nextafter(1e-5, 1)], "found 1e-05 to 1e-05, too close or too far apart for the coding"),
        # design
        ("sweep.design.kind", "grid", "Allowed: one of full_factorial, central_composite, box_behnken"),
        ("sweep.design.points", 9, "sweep.design.points: found kind full_factorial. Allowed: kind latin_hypercube"),
        ("sweep.design.seed", 9, "sweep.design.seed: found kind full_factorial. Allowed: kind latin_hypercube"),
        ("sweep.design.file", "x.csv", "sweep.design.file: found kind full_factorial. Allowed: kind table"),
        ("sweep.design.kind", "latin_hypercube", "sweep.design: found no key 'points'"),
        ("sweep.design.kind", "table", "sweep.design: found no key 'file'"),
        # baseline
        ("baseline.settings.batch_size", 5000, "baseline.settings: found batch_size 5000 with train_examples 4000"),
    ],
)  # fmt: skip
def test_a_mistake_is_told(raw_config, path, value, told):
    if path == "sweep.factors.warmup":
        del raw_config["training"]["warmup"]
    assert told in refusal(put(raw_config, path, value))


def hub(raw: dict[str, Any], **dataset: Any) -> dict[str, Any]:
    raw["sources"]["ratings"] = {"kind": "hub", "repo": "owner/name", "revision": "a" * 40}
    raw["datasets"] = {"amazon": {"source": "ratings", "text": "text", "label": "label", **dataset}}
    del raw["baseline"]["dataset"]
    return raw


def test_a_hub_data_set_goes_by_splits(raw_config):
    raw = hub(raw_config, train_split="train", eval_split="validation", subset="en")
    assert read_config(raw)["datasets"]["amazon"]["train_split"] == "train"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"file": "a.csv", "eval_examples": 5}, "found no key 'train_split'. Allowed: 'train_split' for a hub source"),
        ({"file": "a.csv", "eval_examples": 5}, "amazon.file: found a value. Allowed: no such key for a hub source"),
        ({"train_split": "train", "eval_file": "a.csv"}, "amazon.eval_file: found a value"),
        ({"train_split": "a", "eval_split": "b", "format": "csv"}, "amazon.format: found a value"),
        ({"train_split": "a", "eval_split": "b", "columns": ["text", "label"]}, "amazon.columns: found a value"),
        (
            {"train_split": "a", "eval_split": "b", "eval_examples": 9},
            "found eval_split and eval_examples of eval_file",
        ),
    ],
)
def test_a_hub_data_set_with_keys_of_files_is_refused(raw_config, keys, told):
    assert told in refusal(hub(raw_config, **keys))


@pytest.mark.parametrize("levels", [[0, 0.1, 0.2], [0, 100, 600], [1, 2, 3]])
def test_shares_or_steps_of_warmup_are_fine_and_nought_is_both(raw_config, levels):
    raw_config["training"].pop("warmup")
    raw_config["baseline"]["settings"]["warmup"] = 0
    assert read_config(put(raw_config, "sweep.factors.warmup", {"levels": levels}))


@pytest.mark.parametrize(
    ("factor", "levels", "coding", "own", "told"),
    [
        (
            "warmup",
            [0, 100, 600],
            "identity",
            0.1,
            "warmup: found 0.1. Allowed: the kind of the factor's levels, 0, 100",
        ),
        ("weight_decay", [0.001, 0.01, 0.1], "log10", 0, "weight_decay: found 0. Allowed: a number above 0"),
        ("train_examples", [64, 128, 256], "log2", None, "train_examples: found null. Allowed: a number"),
    ],
)
def test_the_baseline_needs_a_level_of_every_factor(raw_config, factor, levels, coding, own, told):
    raw_config["training"].pop(factor)
    raw_config["baseline"]["settings"][factor] = own
    assert "config: baseline.settings." + told in refusal(
        put(raw_config, f"sweep.factors.{factor}", {"levels": levels, "coding": coding})
    )


@pytest.mark.parametrize(("kind", "factors"), [("central_composite", 2), ("box_behnken", 3)])
def test_three_level_designs_need_factors_of_three_levels(raw_config, kind, factors):
    raw = put(raw_config, "sweep.design.kind", kind)
    raw["sweep"]["factors"]["epochs"]["levels"] = [1, 2, 3, 4]
    assert f"epochs.levels: found 4 levels. Allowed: three (low, centre, high) for {kind}" in refusal(raw)
    raw["sweep"]["factors"] = dict(list(raw["sweep"]["factors"].items())[: factors - 1])
    assert f"sweep.factors: found {factors - 1} factors. Allowed: {factors} or more for {kind}" in refusal(raw)


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
    ("value", "told"),
    [
        (endless(), "found values within each other, 21 deep. Allowed: 20 deep at most. Write it shorter."),
        (doubling(), "found more than 3,000 values. Allowed: 3,000 in all. Write it shorter."),
        ([*range(200_000)], "found more than 3,000 values"),
        ("9" * 100_000, "config: datasets.amazon.text: found a text of 100,000 characters. Allowed: 10,000 at most."),
        ({"9" * 100_000: 1}, "config: datasets.amazon.text: found a text of 100,000 characters"),
    ],
)
def test_what_is_too_large_to_be_a_config_is_told_at_once(raw_config, value, told):
    message = refusal(put(raw_config, "datasets.amazon.text", value))
    assert told in message
    assert len(message) < 400


def test_a_number_too_long_to_print_is_told(raw_config):
    told = refusal(put(raw_config, "training.train_examples", 1 << 20_000))
    assert "training.train_examples: found a whole number of 20001 bits. Allowed: numbers that 64 bits hold." in told


def test_a_long_row_of_digits_is_read_in_no_time(raw_config):
    started = time.monotonic()
    assert "9999999" in refusal(put(raw_config, "training.dropout", "9" * 10_000))
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("design", "levels", "told"),
    [
        ({"kind": "full_factorial"}, 400, "config: sweep: found 1.28e+08 runs, of 6.4e+07 points at every seed"),
        ({"kind": "latin_hypercube", "points": 10**9}, 3, "config: sweep: found 2e+09 runs, of 1e+09 points"),
        ({"kind": "latin_hypercube", "points": 50_000}, 3, "sweep.design.points: found 50000. Allowed: 5,000 at most."),
    ],
)
def test_a_design_of_too_many_runs_is_told_before_it_is_made(raw_config, design, levels, told):
    raw_config["sweep"]["design"] = design
    for name in ("batch_size", "epochs"):
        raw_config["sweep"]["factors"][name] = {"levels": [*range(1, levels + 1)]}
    raw_config["sweep"]["factors"]["max_length"] = {"levels": [*range(8, levels + 8)]}
    del raw_config["sweep"]["factors"]["learning_rate"]
    assert told in refusal(raw_config)


GRID = "\n".join(["learning_rate", *(str(1 / number) for number in range(1, 60_001))])


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a\0b", None, r"sweep.design.file: a\x00b: found embedded null byte. Allowed: a readable CSV file"),
        ("/dev/zero", None, "sweep.design.file: /dev/zero: found a directory or a device"),
        ("points.csv", "learning_rate," + "9" * 140_000, "found field larger than field limit"),
        ("points.csv", GRID, "config: sweep: found 1.2e+05 runs, of 6e+04 points at every seed and on every data set"),
    ],
    ids=["no path", "device", "long cell", "many rows"],
)
def test_a_table_of_points_that_cannot_be_is_told(raw_config, tmp_path, monkeypatch, name, content, told):
    monkeypatch.chdir(tmp_path)
    if content:
        Path(name).write_text(content)
    factors = {"learning_rate": {"levels": [1e-5, 1e-4, 1]}}
    design = {"kind": "table", "file": name, "include_baseline": False}
    raw_config["sweep"] |= {"design": design, "factors": factors}
    with pytest.raises(InputError) as caught:
        plan_study(read_config(raw_config))
    assert told in str(caught.value)


# Many mistakes


def test_of_very_many_problems_the_first_are_told(raw_config):
    message = refusal(put(copy.deepcopy(raw_config), "sweep.seeds", [*map(str, range(1000))]))
    first, *told, last = message.splitlines()
    assert (first, len(told), last.strip()) == ("the config has 1000 problems; nothing was run.", 20, "and 980 more.")
    message = refusal(put(raw_config, "training", {f"key{number}": 1 for number in range(1000)}))
    assert "'key18', 'key19', and 980 more. Allowed: learning_rate" in message


def test_all_problems_are_told_at_once_and_counted(raw_config):
    raw = put(raw_config, "trainning", {})
    raw = put(raw, "analysis.confidence", 95)
    raw = put(raw, "sources.minilm.sha256", "x")
    raw = put(raw, "model", "bert")
    raw = put(raw, "datasets.amazon.eval_file", "x.txt")
    raw = put(raw, "training.epochs", 2)
    message = refusal(raw)
    first, *lines = message.splitlines()
    assert first == f"the config has {len(lines)} problems; nothing was run."
    assert [line.split(". ")[0].strip() for line in lines] == [str(number) for number in range(1, len(lines) + 1)]
    for told in ("trainning", "analysis.confidence", "minilm.sha256", "'bert'", "datasets.amazon", "factors.epochs"):
        assert told in message


def test_one_problem_is_one_problem(raw_config):
    assert refusal(put(raw_config, "model", "bert")).startswith(
        "the config has 1 problem; nothing was run.\n  1. config: "
    )


def test_a_problem_is_told_once(raw_config):
    message = refusal(put(raw_config, "sources.minilm", {}))
    assert len(message.splitlines()) == 2
    message = refusal(put(raw_config, "sources.minilm", {"kind": "hub"}))
    assert message.count("found no key 'repo', 'revision'") == 1


def test_every_problem_says_where_what_and_what_is_allowed(raw_config):
    raw = put(put(raw_config, LEVELS, []), "datasets.amazon.margin", -1)
    lines = refusal(raw).splitlines()[1:]
    assert all(NAME.search(line) for line in lines)
    assert [NAME.search(line)["where"] for line in lines] == ["datasets.amazon.margin", LEVELS]


@pytest.mark.parametrize("raw", [{}, {"study": "x"}, {"sweep": 1, "study": 2, "sources": []}])
def test_a_config_of_the_wrong_shape_is_told(raw):
    assert "; nothing was run" in refusal(raw)


# The schema and the manual


def keys_of(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every key that the schema defines anywhere, with its place and subschema."""
    for name, part in schema.get("properties", {}).items():
        yield f"{path}.{name}", part
        yield from keys_of(part, f"{path}.{name}")
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
    assert len(study.runs) == len(study.points) * len(study.config["sweep"]["seeds"]) * len(
        study.config["sweep"]["datasets"]
    )


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
    if "model" in example:
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
    for kind in ("central_composite", "box_behnken", "latin_hypercube", "table", "hub", "local"):
        assert f"kind: {kind}" in text


def test_the_manuals_further_factor_keeps_the_runs_so_far(default_study):
    before = set(plan_study(read_config(default_study)).runs)
    example = next(example for example in EXAMPLES if "weight_decay" in example)
    grown = overlay(default_study, yaml.load(example, Loader=yaml.FullLoader))
    grown["training"] = {key: value for key, value in grown["training"].items() if key != "weight_decay"}
    assert before < set(plan_study(read_config(grown)).runs)


def test_a_claim_names_a_metric_and_a_term_of_the_analysis(raw_config):
    raw_config["analysis"] = {"claims": [{"response": "mcc", "term": "lerning_rate"}]}
    with pytest.raises(InputError) as caught:
        read_config(raw_config)
    message = str(caught.value)
    assert "analysis.claims[0].response: found 'mcc'. Allowed: accuracy, f1, loss" in message
    assert "analysis.claims[0].term: found 'lerning_rate'. Allowed: learning_rate, " in message
