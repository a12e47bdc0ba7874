"""What the config's schema says of each training setting: type, bounds, default, and whether it may be a factor.

The schema is the place to add a setting: columns, ids, designs, analyses and report follow it, and `training` uses it.
What a schema cannot say of one, its words above all, `factors` says.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import yaml

from finevar import ROOT

Spec = dict[str, Any]  # the schema of one setting

SCHEMAS = ROOT / "workflow" / "schemas"
KINDS = {"integer": int, "number": float, "string": str}


@functools.cache
def load_schema(name: str) -> dict[str, Any]:
    """Load a schema as its file has it; to be changed in copies only."""
    return yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text(encoding="utf-8"))


SPECS: dict[str, Spec] = load_schema("config")["$defs"]["settings"]["properties"]
TRAINING_DEFAULTS = {name: spec["default"] for name, spec in SPECS.items()}
CONDITIONS = {name: spec["when"] for name, spec in SPECS.items() if "when" in spec}  # values of other settings
FACTORS = tuple(name for name, spec in SPECS.items() if spec.get("factor"))
MODEL = "model"  # the factor that is no setting of a training, but which source's model the training starts from


def stated_type(name: str) -> str:
    """Return the type of a setting's values that are not null: integer, number or, of words to choose from, string."""
    types = SPECS[name].get("type", "string")
    (kept,) = {types} if isinstance(types, str) else {*types} - {"null"}
    return kept


def kind_of(name: str) -> type:
    """Return the Python type of a setting's values; of one that finevar does not train with, float."""
    return KINDS[stated_type(name)] if name in SPECS else float


def in_effect(settings: Mapping[str, Any], factors: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Return settings without those that have no effect beside the others, such as LoRA's rank without LoRA.

    factors: of a config, any of whose levels will do.
    """
    values = {name: [value] for name, value in {**TRAINING_DEFAULTS, **settings}.items()}
    values |= {name: factor["levels"] for name, factor in (factors or {}).items()}
    conditions = {name: CONDITIONS.get(name, {}).items() for name in settings}
    return {
        name: settings[name]
        for name, on in conditions.items()
        if all({*values[key]} & {*allowed} for key, allowed in on)
    }


def trained_with(name: str, cell: Any) -> Any:
    """Return the value that a run trained with, from its cell in a table.

    An empty cell is of a setting that has no effect in that run, such as a nested factor where it does not exist, or of
    one whose value is null; either is at its default.
    """
    return TRAINING_DEFAULTS[name] if cell is None or cell != cell else cell


def model_names(config: Mapping[str, Any]) -> list[str]:
    """Return the names of the sources whose models a study's runs start from, that of its baseline first."""
    return list(dict.fromkeys([config["model"], *config["sweep"]["factors"].get(MODEL, {"levels": []})["levels"]]))


def start_of(settings: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return the name of the model that a training with some settings starts from."""
    return settings.get(MODEL, config["model"])


def of_training(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a training takes: all but which model it starts from."""
    return {name: value for name, value in settings.items() if name != MODEL}


def has_names(name: str) -> bool:
    """Say whether a factor's levels are names to choose from."""
    return name == MODEL or "enum" in SPECS[name]


def level_schema(name: str) -> Spec:
    """Return the schema of a factor's level: the setting's own, without its default and never null."""
    return {key: value for key, value in SPECS[name].items() if key != "default"} | {"type": stated_type(name)}


def rounded(name: str, level: float, digits: int = 3) -> float:
    """Return a level as a config would have it: a whole number where it must be one, else of so many digits."""
    return round(level) if kind_of(name) is int else float(f"{level:.{digits}g}")
