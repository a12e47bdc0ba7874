"""A study's config: check everything at once, fill in defaults."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from finevar.claim_files import read_claims
from finevar.consistency import Config, cross_check
from finevar.schemas import (
    HARMLESS,
    drop_unknown_keys,
    fill_defaults,
    raise_problems,
    read_schema,
    schema_errors,
    shape_problems,
    tell,
    to_numbers,
)

FACTORS = (
    "learning_rate",
    "batch_size",
    "epochs",
    "warmup",
    "weight_decay",
    "dropout",
    "max_length",
    "train_examples",
    "frozen_layers",
)
INTEGERS = ("batch_size", "epochs", "max_length", "train_examples", "frozen_layers")
TRAINING_DEFAULTS: Config = {
    "learning_rate": 5e-5,
    "batch_size": 32,
    "epochs": 3,
    "warmup": 0.0,
    "weight_decay": 0.0,
    "dropout": 0.1,
    "max_length": 128,
    "train_examples": None,
    "frozen_layers": 0,
    "schedule": "linear",
    "clip_norm": 1.0,
    "dtype": "auto",
}


def read_config(raw: Mapping[str, Any]) -> Config:
    """Return the config with every default filled in; raise InputError with all of its problems."""
    raise_problems(itertools.islice(shape_problems(raw), 1))
    config, schema = to_numbers(raw), read_schema("config")
    errors = schema_errors(config, schema)
    problems = [tell(error) for error in errors]
    if any(error.validator not in HARMLESS for error in errors):
        raise_problems(problems)
    drop_unknown_keys(errors)
    config = fill_defaults(config, schema, schema)
    config["analysis"]["claims"], wrong = read_claims(config, FACTORS)
    training = TRAINING_DEFAULTS | config["training"]
    baseline = training | config["baseline"]["settings"]
    raise_problems([*problems, *wrong, *cross_check(config, set(config["training"]), baseline)])
    config["training"] = normalise(training)
    config["baseline"]["settings"] = normalise(baseline)
    for name, factor in config["sweep"]["factors"].items():
        factor["levels"] = [normalise({name: level})[name] for level in factor["levels"]]
    return config


def normalise(settings: Mapping[str, Any]) -> Config:
    """Return settings with integers as int and other numbers as float, so that 1 and 1.0 are one value."""
    return {
        name: value if value is None or isinstance(value, str) else int(value) if name in INTEGERS else float(value)
        for name, value in settings.items()
    }
