"""What the schema says of training settings, against columns as Arrow has them and Hugging Face's defaults."""

from __future__ import annotations

import jsonschema
import pytest

from finevar.columns import SETTINGS
from finevar.study.settings import FACTORS, SPECS, TRAINING_DEFAULTS, in_effect, level_schema, rounded, trained_with

FLOATS = ["learning_rate", "warmup", "weight_decay", "dropout", "clip_norm", "lora_scale"]
FLOATS += ["label_smoothing", "layer_decay", "beta2"]
WHOLE = ["batch_size", "epochs", "max_length", "train_examples", "frozen_layers", "lora_rank", "reinit_layers"]
NAMES = ["schedule", "optimizer", "dtype", "method", "lora_layers"]


def test_columns_are_of_the_types_that_the_schema_states():
    kinds = {"double": FLOATS, "int64": WHOLE, "string": NAMES}
    expected = {name: kind for kind, names in kinds.items() for name in names}
    assert {name: str(kind) for name, kind in SETTINGS.items()} == expected


@pytest.mark.parametrize("cell", [None, float("nan")])
def test_an_empty_cell_stands_for_the_default_and_any_other_for_itself(cell):
    assert trained_with("epochs", cell) == 3
    assert trained_with("schedule", cell) == "linear"
    assert trained_with("train_examples", cell) is None
    assert trained_with("warmup", 0.0) == 0.0
    assert trained_with("epochs", 2) == 2


def test_defaults_are_those_of_hugging_faces_trainer():
    theirs = {"label_smoothing": 0, "beta2": 0.999}
    theirs |= {"learning_rate": 5e-5, "epochs": 3, "warmup": 0, "weight_decay": 0, "schedule": "linear", "clip_norm": 1}
    assert {name: TRAINING_DEFAULTS[name] for name in theirs} == theirs


@pytest.mark.parametrize("name", SPECS)
def test_a_default_is_allowed_and_of_its_columns_type(name):
    jsonschema.validate(TRAINING_DEFAULTS[name], SPECS[name])
    python = {"double": float, "int64": int, "string": str}[str(SETTINGS[name])]
    assert isinstance(TRAINING_DEFAULTS[name], python) or TRAINING_DEFAULTS[name] is None


def test_factors_are_numbers_or_names_to_choose_from_and_no_level_is_null():
    assert {*NAMES} < {*FACTORS} < {*FLOATS, *WHOLE, *NAMES}
    assert all(level_schema(name)["type"] in ("number", "integer") for name in {*FACTORS} - {*NAMES})
    assert all(level_schema(name)["type"] == "string" and level_schema(name)["enum"] for name in NAMES)


def test_settings_of_lora_have_an_effect_with_lora_alone():
    lora = {"lora_rank": 4, "lora_scale": 1.0, "lora_layers": "attention"}
    assert in_effect({"epochs": 3, "method": "lora", **lora}) == {"epochs": 3, "method": "lora", **lora}
    assert in_effect({"epochs": 3, "method": "full", **lora}) == {"epochs": 3, "method": "full"}
    assert in_effect({"epochs": 3, **lora}) == {"epochs": 3}


@pytest.mark.parametrize(
    ("name", "level", "digits", "expected"),
    [("epochs", 2.6, 3, 3), ("dropout", 0.123456, 3, 0.123), ("learning_rate", 2.34567e-5, 4, 2.346e-5)],
)
def test_a_level_is_rounded_as_people_write_it(name, level, digits, expected):
    assert rounded(name, level, digits) == expected
    assert isinstance(rounded(name, level, digits), type(expected))
