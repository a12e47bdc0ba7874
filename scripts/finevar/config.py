"""A study's config: read numbers as numbers, check everything at once, fill in defaults."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from finevar.errors import InputError

Config = dict[str, Any]

SCHEMA = Path(__file__).parents[2] / "workflow" / "schemas" / "config.schema.yaml"
SCIENTIFIC = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")
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
}


def read_config(raw: Mapping[str, Any]) -> Config:
    """Return the config with every default filled in; raise InputError with all of its problems."""
    config = to_numbers(raw)
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    raise_problems(schema_problems(config, schema))
    given = set(config.get("training", {}))
    config = fill_defaults(config, schema, schema)
    raise_problems(cross_check(config, given))
    config["training"] = normalise(TRAINING_DEFAULTS | config["training"])
    config["baseline"]["settings"] = normalise(config["training"] | config["baseline"]["settings"])
    for name, factor in config["sweep"]["factors"].items():
        factor["levels"] = [normalise({name: level})[name] for level in factor["levels"]]
    return config


def raise_problems(problems: Iterable[InputError]) -> None:
    """Raise one InputError that tells of all problems, if there are any."""
    told = [f"  {number}. {problem}" for number, problem in enumerate(problems, 1)]
    if told:
        raise InputErrors(told)


class InputErrors(InputError):
    """Several problems of one config, told together."""

    def __init__(self, told: list[str]) -> None:
        noun = "problem" if len(told) == 1 else "problems"
        Exception.__init__(self, "\n".join([f"the config has {len(told)} {noun}; nothing was run.", *told]))


def to_numbers(value: Any) -> Any:
    """Return value with every string such as 2e-5, which YAML 1.1 does not take for a number, as a float."""
    if isinstance(value, Mapping):
        return {key: item if key == "sources" else to_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_numbers(item) for item in value]
    return float(value) if isinstance(value, str) and SCIENTIFIC.fullmatch(value) else value


def normalise(settings: Mapping[str, Any]) -> Config:
    """Return settings with integers as int and other numbers as float, so that 1 and 1.0 are one value."""
    return {
        name: value if value is None or isinstance(value, str) else int(value) if name in INTEGERS else float(value)
        for name, value in settings.items()
    }


def fill_defaults(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """Return a copy of value with the schema's defaults wherever a key is missing."""
    if not isinstance(value, Mapping):
        return value
    referred = root["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else {}
    properties = referred.get("properties", {}) | schema.get("properties", {})
    defaults = {key: sub["default"] for key, sub in properties.items() if "default" in sub}
    other = (referred | schema).get("additionalProperties")
    return {
        key: fill_defaults(item, properties.get(key, other if isinstance(other, Mapping) else {}), root)
        for key, item in {**json.loads(json.dumps(defaults)), **value}.items()
    }


def schema_problems(config: Config, schema: Config) -> Iterator[InputError]:
    """Yield what the schema forbids, in the order of the config."""
    validator = jsonschema.Draft202012Validator(schema)
    for error in sorted(validator.iter_errors(config), key=lambda error: [str(part) for part in error.absolute_path]):
        yield tell(error)


def tell(error: jsonschema.ValidationError) -> InputError:
    """Turn one violation of the schema into an error for people."""
    where = "config: " + (".".join(str(part) for part in error.absolute_path) or "top level")
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = [key for key in error.instance if key not in known]
        near = {key: difflib.get_close_matches(str(key), known, n=1) for key in unknown}
        hints = [f"Did you mean {match[0]!r} for {key!r}?" for key, match in near.items() if match]
        return InputError(
            where,
            found=f"unknown key {', '.join(map(repr, unknown))}",
            allowed=", ".join(known),
            remedy=" ".join(hints) or "Remove it.",
        )
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return InputError(
            where,
            found=f"no key {', '.join(map(repr, missing))}",
            allowed="a value for each of " + ", ".join(error.validator_value),
            remedy=f"Add {', '.join(missing)}.",
        )
    return InputError(where, found=shown(error.instance), allowed=requirement(error), remedy="Correct the value.")


def requirement(error: jsonschema.ValidationError) -> str:
    """Say what a schema keyword asks for."""
    value = error.validator_value
    match error.validator:
        case "not":
            return f"a name that is not one of {', '.join(value['enum'])}"
        case "type":
            return f"a value of type {value if isinstance(value, str) else ' or '.join(value)}"
        case "enum":
            return f"one of {', '.join(map(str, value))}"
        case "const":
            return str(value)
        case "pattern":
            return f"text that matches {value}"
        case "uniqueItems":
            return "entries that differ from each other"
        case "minItems" | "minProperties":
            return f"{value} or more entries"
    bounds = {
        "minimum": "of at least",
        "maximum": "of at most",
        "exclusiveMinimum": "above",
        "exclusiveMaximum": "below",
    }
    return f"a number {bounds[error.validator]} {value}" if error.validator in bounds else error.message


def shown(value: Any) -> str:
    """Print a value, cut where it is long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def cross_check(config: Config, given: set[str]) -> Iterator[InputError]:
    """Yield what no single key shows: references between keys, and settings that do not fit together.

    given: the keys that `training` held before its defaults were filled in.
    """
    yield from reference_problems(config)
    for name, dataset in config["datasets"].items():
        yield from dataset_problems(config, name, dataset)
    yield from source_problems(config)
    for name, factor in config["sweep"]["factors"].items():
        yield from factor_problems(name, factor, given)
    yield from design_problems(config["sweep"])


def reference_problems(config: Config) -> Iterator[InputError]:
    """Yield names that refer to nothing."""
    references = [("model", config["model"], "sources")]
    references += [(f"datasets.{name}.source", spec["source"], "sources") for name, spec in config["datasets"].items()]
    references += [("sweep.datasets", name, "datasets") for name in config["sweep"]["datasets"]]
    if "dataset" in config["baseline"]:
        references.append(("baseline.dataset", config["baseline"]["dataset"], "datasets"))
    for where, name, section in references:
        if name not in config[section]:
            yield InputError(
                f"config: {where}",
                found=repr(name),
                allowed=f"a name under `{section}`: {', '.join(config[section])}",
                remedy="Correct the name, or add it there.",
            )


def dataset_problems(config: Config, name: str, dataset: Config) -> Iterator[InputError]:
    """Yield what does not fit together within one data set."""
    where = f"config: datasets.{name}"
    kind = config["sources"].get(dataset["source"], {}).get("kind")
    needed, unused = ("train_split", "file") if kind == "hub" else ("file", "train_split")
    if kind and needed not in dataset:
        yield InputError(
            where, found=f"no key {needed!r}", allowed=f"{needed!r} for a {kind} source", remedy=f"Add {needed}."
        )
    for key in {unused, "eval_split" if unused == "train_split" else "eval_file"} & set(dataset):
        yield InputError(
            f"{where}.{key}", found="a value", allowed=f"no such key for a {kind} source", remedy="Remove it."
        )
    parts = {"eval_file", "eval_split", "eval_examples"} & set(dataset)
    if len(parts) != 1:
        yield InputError(
            where,
            found=f"{' and '.join(sorted(parts)) or 'none'} of eval_file, eval_split, eval_examples",
            allowed="exactly one of them",
            remedy="Say where the evaluation sentences come from.",
        )


def source_problems(config: Config) -> Iterator[InputError]:
    """Yield keys of a source that its use leaves without a meaning."""
    for name, source in config["sources"].items():
        for_model = name == config["model"]
        for key in ("archive", "archive_sha256") if for_model else ("path", "weights_sha256"):
            if source["kind"] == "package" and key in source:
                yield InputError(
                    f"config: sources.{name}.{key}",
                    found="a value",
                    allowed=f"no such key for a source of {'the model' if for_model else 'data'}",
                    remedy="Remove it.",
                )


def factor_problems(name: str, factor: Config, given: set[str]) -> Iterator[InputError]:
    """Yield what is wrong with one factor beyond the schema's reach."""
    where = f"config: sweep.factors.{name}"
    levels = factor["levels"]
    if name in given:
        yield InputError(
            where,
            found="a factor that `training` fixes too",
            allowed="one place for each setting",
            remedy=f"Remove training.{name}.",
        )
    if factor["coding"] != "identity" and min(levels) <= 0:
        yield InputError(
            f"{where}.coding",
            found=f"{factor['coding']} with the level {min(levels)}",
            allowed="levels above 0 under a logarithm",
            remedy="Use coding: identity, or drop that level.",
        )
    if name == "warmup" and min(levels) < 1 <= max(levels):
        yield InputError(
            f"{where}.levels",
            found=shown(levels),
            allowed="all shares (below 1) or all step counts (1 or more)",
            remedy="Use one kind of warm-up.",
        )


def design_problems(sweep: Config) -> Iterator[InputError]:
    """Yield what a kind of design needs and lacks."""
    design, kind = sweep["design"], sweep["design"]["kind"]
    needs = {"latin_hypercube": "points", "table": "file"}
    if kind in needs and needs[kind] not in design:
        yield InputError(
            "config: sweep.design", found=f"no key {needs[kind]!r}", allowed=f"it for {kind}", remedy="Add it."
        )
    for key, owner in {"points": "latin_hypercube", "seed": "latin_hypercube", "file": "table"}.items():
        if key in design and kind != owner:
            yield InputError(
                f"config: sweep.design.{key}", found=f"kind {kind}", allowed=f"kind {owner}", remedy="Remove the key."
            )
    if kind in ("central_composite", "box_behnken"):
        for name, factor in sweep["factors"].items():
            if len(factor["levels"]) != 3:
                yield InputError(
                    f"config: sweep.factors.{name}.levels",
                    found=f"{len(factor['levels'])} levels",
                    allowed=f"three (low, centre, high) for {kind}",
                    remedy="Give three levels, or use full_factorial.",
                )
    smallest = {"central_composite": 2, "box_behnken": 3}.get(kind, 1)
    if len(sweep["factors"]) < smallest:
        yield InputError(
            "config: sweep.factors",
            found=f"{len(sweep['factors'])} factors",
            allowed=f"{smallest} or more for {kind}",
            remedy="Add a factor, or use full_factorial.",
        )
