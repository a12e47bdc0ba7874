"""However a number is written, it is one value, of the type that the schema states, everywhere in a config."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
import torch
import yaml
from hypothesis import HealthCheck
from hypothesis import strategies as st

from finevar import ROOT
from finevar.models.randomness import generator
from finevar.study.config import TRAINING_DEFAULTS, read_config
from finevar.study.design import plan_study
from finevar.study.schema_values import SCIENTIFIC, fill_defaults
from finevar.study.schemas import normalise, read_schema

RAW = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
FOUND = yaml.safe_load((ROOT / "config" / "studies" / "found_models.yaml").read_text(encoding="utf-8"))
CLAIM = {"response": "loss", "term": "epochs"}


def spellings(number: float) -> list[Any]:
    """Return ways to write a number, all of which are exactly that number."""
    whole = float(number).is_integer()
    ways = [float(number), f"{float(number):.17e}", f"{float(number):+.17E}"]
    ways += [int(number), f"{int(number)}e0", f"{int(number)}00e-2", f"{int(number)}.e+0"] if whole else []
    return [*ways, -0.0, "-0e3"] if number == 0 else ways


def respelt(draw: Callable, value: Any) -> Any:
    """Return a config with each number of it written in some way."""
    if isinstance(value, dict):
        return {key: item if key == "sources" else respelt(draw, item) for key, item in value.items()}
    if isinstance(value, list):
        return [respelt(draw, item) for item in value]
    if isinstance(value, bool) or not (isinstance(value, int | float) or SCIENTIFIC.fullmatch(str(value))):
        return value
    return draw(st.sampled_from(spellings(float(value))))


def typed(value: Any) -> Any:
    """Return a value in which 1 and 1.0, 0.0 and -0.0 differ."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return [typed(item) for item in value] if isinstance(value, list) else repr(value)


def richer() -> dict[str, Any]:
    """Return the default config with every optional number in it."""
    raw = copy.deepcopy(RAW)
    raw["baseline"]["seed"] = 3
    raw["gpus_per_run"] = 0
    raw["analysis"] |= {
        "confidence": 0.9,
        "tradeoffs": {"weights": {raw["analysis"].get("responses", ["accuracy"])[0]: 2}},
        "claims": [CLAIM | {"p": 0}],
    }
    raw["training"] |= {"clip_norm": 2, "weight_decay": 0, "max_length": 64}
    return raw


@hypothesis.settings(
    max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@hypothesis.given(data=st.data())
@pytest.mark.parametrize("raw", [RAW, richer()], ids=["default", "richer"])
def test_however_numbers_are_written_config_and_runs_are_the_same(monkeypatch, raw, data):
    monkeypatch.chdir(ROOT)
    expected = read_config(raw)
    found = read_config(respelt(data.draw, raw))
    assert typed(found) == typed(expected)
    assert list(plan_study(found).runs) == list(plan_study(expected).runs)


@hypothesis.settings(max_examples=25, deadline=None, derandomize=True, database=None)
@hypothesis.given(data=st.data())
def test_so_it_is_in_a_study_of_found_models(data):
    raw = FOUND | {"cards": {"hub": ["a/b"], "cards_per_dataset": 7, "largest_owner_share": 1}}
    assert typed(read_config(respelt(data.draw, raw))) == typed(read_config(raw))


@pytest.mark.parametrize(
    ("path", "written", "value"),
    [
        ("sweep.seeds", ["1e3", 2e3], [1000, 2000]),
        ("baseline.seed", "0e0", 0),
        ("datasets.amazon.eval_examples", "5e2", 500),
        ("datasets.amazon.threshold", 3, 3.0),
        ("datasets.amazon.margin", "-0e0", 0.0),
        ("analysis.confidence", "9e-1", 0.9),
        ("analysis.tradeoffs.weights", {"loss": 2}, {"loss": 2.0}),
        ("analysis.smallest_effect", {"f1": "2e-2", "loss": 1}, {"f1": 0.02, "loss": 1.0}),
        ("sweep.factors.learning_rate.levels", ["1e-4", 1, "1e-5"], [1e-4, 1.0, 1e-5]),
        ("sweep.factors.epochs.levels", [1.0, "2e0", 3], [1, 2, 3]),
        ("training.train_examples", None, None),
        ("gpus_per_run", 1.0, 1),
    ],
)
def test_each_number_is_of_the_type_that_the_schema_states(raw_config, path, written, value):
    place, config = raw_config, None
    *parents, last = path.split(".")
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = written
    config = read_config(raw_config)
    for key in path.split("."):
        config = config[key]
    assert typed(config) == typed(value)


def test_so_are_a_latin_hypercubes_and_a_claims_files_numbers(raw_config, tmp_path):
    file = tmp_path / "claims.yaml"
    file.write_text("claims: [{response: loss, term: epochs, p: 1}, {response: f1, term: epochs, p: 5e-2}]")
    raw_config["analysis"] = {"claims": [str(file)]}
    raw_config["sweep"]["design"] = {"kind": "latin_hypercube", "points": 2e1, "seed": "7e0"}
    config = read_config(raw_config)
    assert typed(config["sweep"]["design"]["points"]) == "20"
    assert typed(config["sweep"]["design"]["seed"]) == "7"
    assert [typed(claim["p"]) for claim in config["analysis"]["claims"]] == ["1.0", "0.05"]


def test_text_that_looks_like_a_number_stays_text(raw_config):
    raw_config["datasets"]["amazon"] |= {"file": "1e5", "columns": ["2e1", "3e1"], "text": "2e1", "label": "3e1"}
    raw_config["analysis"] = {"claims": [CLAIM | {"name": "4e1", "source": "1e9"}]}
    config = read_config(raw_config)
    assert config["datasets"]["amazon"]["columns"] == ["2e1", "3e1"]
    assert (config["datasets"]["amazon"]["file"], config["analysis"]["claims"][0]["name"]) == ("1e5", "4e1")


def test_points_of_a_table_are_of_the_levels_types():
    assert typed(normalise({"learning_rate": 1, "epochs": 2.0})) == {"learning_rate": "1.0", "epochs": "2"}


def test_the_settings_of_training_are_of_their_types_by_default():
    schema = read_schema("config")
    assert typed(fill_defaults(TRAINING_DEFAULTS, schema["$defs"]["settings"], schema)) == typed(TRAINING_DEFAULTS)


def test_a_seed_is_one_stream_however_it_is_written():
    draws = [torch.randperm(99, generator=generator(seed, "order")) for seed in (1000, 1000.0)]
    assert torch.equal(*draws)
    with pytest.raises(ValueError, match="no whole number"):
        generator(0.5, "order")


FOLLOWED = {"$defs", "$ref", "additionalProperties", "allOf", "if", "items", "properties", "then"}
UNFOLLOWED = {"anyOf", "dependentSchemas", "else", "not", "oneOf", "patternProperties", "prefixItems"}


def holding(schema: Any) -> Iterator[str]:
    """Yield the keywords of a schema under which it holds others."""
    for key, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if key in FOLLOWED | UNFOLLOWED:
            yield key
        if isinstance(value, dict | list) and key not in ("not", "default"):
            yield from holding(value)


@pytest.mark.parametrize("name", ["config", "claims", "found"])
def test_the_walk_follows_every_keyword_under_which_the_schemas_state_a_type(name):
    assert set(holding(read_schema(name))) <= FOLLOWED | {"not"}  # of study: names that are none, no type
