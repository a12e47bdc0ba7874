"""Check values as people write them against a JSON Schema: sizes, and every violation in words."""

from __future__ import annotations

import copy
import difflib
import functools
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jsonschema

from finevar.errors import MOST_NAMED, InputError, InputErrors
from finevar.metrics import RESPONSES
from finevar.study.consistency import Config, cut, listed
from finevar.study.factors import CARD_COLUMNS
from finevar.study.schema_values import fill_defaults, read_numbers
from finevar.study.seed_parts import COLUMNS
from finevar.study.settings import FACTORS, MODEL, SPECS, has_names, level_schema, load_schema

# Far above any study, and low enough for every check to be done in seconds.
DEEPEST, MOST_VALUES, LONGEST_TEXT = 20, 3_000, 10_000
LARGEST = 2**63 - 1  # that a column of whole numbers holds
BOUNDS = {"minimum": "of at least", "maximum": "of at most", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}
# Columns of the tables of runs and settings, which no factor may be called.
TAKEN = ("run_id", "point_id", "dataset", "seed", "status", "reason", "ending", "line", "steps", "tokens", "classes")
TAKEN += ("threads", "device", "python", "torch", "packages", "code", "engine", "owner", "gate", "response", "seconds")
TAKEN += ("chance", "positive", "positive_label", "head", "architecture", "layout", *COLUMNS.values())
TAKEN += ("train_seconds", "eval_seconds", "eval_examples", "mean", "place", "name", "rank", "intercept", *RESPONSES)
# Violations that leave every value in its place, so that the other checks can go on and all is reported at once.
HARMLESS = ("additionalProperties", "not", "pattern", "uniqueItems", *BOUNDS)


@functools.cache
def read_schema(name: str) -> Config:
    """Read the schema of a config, of a claims file, or of a config of found models or of runs that a file lists.

    The first holds the second, and each factor's schema; the others take their analysis from the first.
    """
    schema = copy.deepcopy(load_schema(name))
    if name in ("found", "runs"):
        trained, keys = copy.deepcopy(read_schema("config")), schema["properties"]
        factors = keys["sweep"]["properties"]["factors"]
        if name == "found":
            known = trained["properties"]["sweep"]["properties"]["factors"]["properties"]
            factors["properties"] = {name: known[name] for name in CARD_COLUMNS}
            settings = keys["baseline"]["properties"]["settings"]
            settings["properties"] = {name: level_schema(name) for name in CARD_COLUMNS}
        else:
            factors["propertyNames"]["not"]["enum"] = list(TAKEN)
        keys["analysis"] = trained["properties"]["analysis"] | keys["analysis"]
        return schema | {"$defs": trained["$defs"]}
    schema["$defs"]["response"]["enum"] = list(RESPONSES)
    if name == "config":
        schema["$defs"]["objective"]["enum"] = [*RESPONSES, "seconds"]
        schema["$defs"]["claims"] = {"$id": "claims.schema.yaml"} | read_schema("claims")
        schema["properties"]["sweep"]["properties"]["factors"]["properties"] |= {
            name: {
                "description": f"As a factor: {SPECS[name]['description']}",
                "$ref": f"#/$defs/{'category' if has_names(name) else 'factor'}",
                "properties": {
                    "levels": {"items": level_schema(name), "additionalProperties": {"items": level_schema(name)}}
                },
            }
            for name in FACTORS
        }
        levels = {MODEL: {"$ref": "#/$defs/name"}} | {name: level_schema(name) for name in FACTORS}
        schema["$defs"]["addition"]["properties"]["points"]["items"]["properties"] = levels
        for spec in schema["$defs"]["settings"]["properties"].values():
            del spec["default"]  # of `training` alone: what the baseline's settings leave out comes from there
    return schema


def normalise(settings: Mapping[str, Any]) -> Config:
    """Return settings, each of the type that the schema states, so that 1 and 1.0 are one value."""
    schema = read_schema("config")
    return fill_defaults(settings, schema["$defs"]["settings"], schema)


def raise_problems(problems: Iterable[InputError]) -> None:
    """Raise one InputError of all problems, each once, if there are any."""
    if different := [*{str(problem): problem for problem in problems}.values()]:
        raise InputErrors(different)


def read_against(raw: Any, schema: Config) -> tuple[Config, list[InputError]]:
    """Return a config as its schema understands it, with every default, and the problems that leave it readable.

    Raises InputError where others do not.
    """
    raise_problems(itertools.islice(shape_problems(raw), 1))
    config = read_numbers(raw, schema)
    errors = schema_errors(config, schema)
    problems = [problem_of(error) for error in errors]
    if any(error.validator not in HARMLESS for error in errors):
        raise_problems(problems)
    drop_unknown_keys(errors)
    return fill_defaults(config, schema, schema), problems


def shape_problems(raw: Any, file: str = "config") -> Iterator[InputError]:
    """Yield where a file is too large or too deep to be one, as a few lines of YAML with anchors can make it."""
    for number, (trail, value) in enumerate(values_of(raw)):
        if number >= MOST_VALUES:
            found, allowed = f"more than {MOST_VALUES:,} values", f"{MOST_VALUES:,} in all"
        elif len(trail) > DEEPEST:
            found, allowed = f"values within each other, {len(trail)} deep", f"{DEEPEST} deep at most"
        elif isinstance(value, str) and len(value) > LONGEST_TEXT:
            found, allowed = f"a text of {len(value):,} characters", f"{LONGEST_TEXT:,} at most"
        elif isinstance(value, int) and abs(value) > LARGEST:
            found, allowed = f"a whole number of {value.bit_length()} bits", "numbers that 64 bits hold"
        else:
            continue
        yield InputError(place(trail, file), found=found, allowed=allowed, remedy="Write it shorter.")


def values_of(value: Any, trail: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every key and value of a config with the keys on the way to it, one step deeper than a config may be."""
    yield trail, value
    if len(trail) > DEEPEST:
        return
    if isinstance(value, Mapping):
        yield from ((trail, key) for key in value)
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from values_of(item, (*trail, key))


def place(trail: Iterable[Any], file: str = "config") -> str:
    """Name a place in a file."""
    words = [cut(part) if isinstance(part, str) else shown(part) for part in trail]
    return f"{cut(file)}: " + (".".join(words[:DEEPEST]) or "top level")


def schema_errors(config: Config, schema: Config) -> list[jsonschema.ValidationError]:
    """Return what the schema forbids, by place; a number is a finite one, a pattern is one of the whole text."""
    standard = jsonschema.Draft202012Validator
    usual = standard.TYPE_CHECKER
    types = usual.redefine_many(
        {
            "number": lambda _, value: usual.is_type(value, "number") and abs(value) <= sys.float_info.max,
            "integer": lambda _, value: usual.is_type(value, "integer") and abs(value) <= LARGEST,
        }
    )
    validator = jsonschema.validators.extend(standard, {"pattern": whole_pattern}, type_checker=types)(schema)
    return sorted(validator.iter_errors(config), key=lambda error: place(error.absolute_path))


def whole_pattern(
    _: jsonschema.Validator, pattern: str, value: Any, __: Config
) -> Iterator[jsonschema.ValidationError]:
    """Yield a text that does not match from end to end; to `$`, a line break at the end would be none."""
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield jsonschema.ValidationError("no match")


def unknown_keys(error: jsonschema.ValidationError) -> list[Any]:
    """Return the keys that a violation of additionalProperties is about."""
    return [key for key in error.instance if key not in error.schema.get("properties", {})]


def drop_unknown_keys(errors: Iterable[jsonschema.ValidationError]) -> None:
    """Remove the keys that the schema does not know from the config that it was checked against."""
    for error in errors:
        if error.validator == "additionalProperties":
            for key in unknown_keys(error):
                del error.instance[key]


def problem_of(error: jsonschema.ValidationError, file: str = "config") -> InputError:
    """Turn one violation of the schema into an error for people."""
    where = place(error.absolute_path, file)
    if error.validator == "additionalProperties":
        known, unknown = list(error.schema.get("properties", {})), unknown_keys(error)
        near = {key: difflib.get_close_matches(key, known, n=1) for key in unknown if isinstance(key, str)}
        hints = [f"Did you mean {match[0]!r} for {cut(repr(key))}?" for key, match in near.items() if match]
        found = f"unknown key {listed(repr(key) if isinstance(key, str) else shown(key) for key in unknown)}"
        allowed, remedy = ", ".join(known), " ".join(hints[:MOST_NAMED]) or "Remove it."
    elif error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        found, remedy = f"no key {', '.join(map(repr, missing))}", f"Add {', '.join(missing)}."
        allowed = "a value for each of " + ", ".join(error.validator_value)
    else:
        found, allowed, remedy = shown(error.instance), requirement(error), "Correct the value."
        if "propertyNames" in error.schema_path and [*error.absolute_path][-1:] == ["factors"]:
            name = re.sub(r"\W+", "_", str(error.instance).lower(), flags=re.ASCII).strip("_0123456789") or "factor"
            name = f"my_{name}" if name in error.schema["not"]["enum"] else name
            remedy = f"Give it a name of your own and say its column: `{cut(name)}: {{column: {found}}}`."
    return InputError(where, found=found, allowed=allowed, remedy=remedy)


def requirement(error: jsonschema.ValidationError) -> str:
    """Say what a schema keyword asks for."""
    value = error.validator_value
    match error.validator:
        case "not":
            return f"a name that is not one of {', '.join(value['enum'])}"
        case "type":
            kinds = value if isinstance(value, str) else " or ".join(value)
            large = isinstance(error.instance, float) and abs(error.instance) > LARGEST and "integer" in kinds
            return f"a value of type {kinds}{' that 64 bits hold' if large else ''}"
        case "enum":
            return f"one of {', '.join('null' if item is None else str(item) for item in value)}"
        case "const":
            return str(value)
        case "pattern":
            said = str(error.schema.get("description", "")).partition(".")[0]
            return f"text that matches {value}{f' ({said})' if said else ''}"
        case "uniqueItems":
            return "entries that differ from each other"
        case "minItems" | "minProperties":
            return f"{value} or more entries"
        case "maxItems" | "maxProperties":
            return f"{value} entries at most"
    return f"a number {BOUNDS[error.validator]} {value}" if error.validator in BOUNDS else error.message


def shown(value: Any) -> str:
    """Print a value, cut where it is long."""
    try:
        return cut(json.dumps(value, default=str))
    except (TypeError, ValueError):  # of keys that are no texts, and of numbers of thousands of digits
        return f"something of type {type(value).__name__}"
