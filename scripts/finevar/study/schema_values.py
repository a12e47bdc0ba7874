"""Values as a JSON Schema means them: numbers read from text, each of the type that is stated, defaults filled in.

One walk along the schema does all three, so that equal values written differently (1000, 1000.0, 1e3) are one config.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import jsonschema

SCIENTIFIC = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)[eE][+-]?\d+")

Part = tuple[Mapping[str, Any], Mapping[str, Any]]  # a schema, and the whole one that its references are to


def read_numbers(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a copy of value with text such as 2e-5, no number to YAML 1.1, as a float wherever a number may stand."""
    return walk(value, [(schema, schema)], as_number)


def fill_defaults(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """Return a copy of a valid value with every default, each number of the type that the schema states.

    root: the whole schema, which the references in `schema` are to.
    """
    return walk(value, [(schema, root)], settle)


def walk(value: Any, schemas: Sequence[Part], change: Callable[[Any, Sequence[Part]], Any]) -> Any:
    """Return a copy of value, each part of it changed by what the schema says of it, the outer ones first."""
    parts = [part for schema in schemas for part in applying(schema, value)]
    value = change(value, parts)
    if isinstance(value, Mapping):
        return {key: walk(item, of_key(parts, key), change) for key, item in value.items()}
    if isinstance(value, list):
        items = [(schema["items"], root) for schema, root in parts if "items" in schema]
        return [walk(item, items, change) for item in value]
    return value


def applying(part: Part, value: Any) -> Iterator[Part]:
    """Yield a schema and those that it refers to or adds for this value."""
    schema, root = part
    yield part
    if "$ref" in schema:
        yield from applying(referred(schema["$ref"], root), value)
    for other in schema.get("allOf", ()):
        yield from applying((other, root), value)
    if "if" in schema and jsonschema.Draft202012Validator(schema["if"]).is_valid(value):
        yield from applying((schema["then"], root), value)


def referred(reference: str, root: Mapping[str, Any]) -> Part:
    """Return the definition that a reference is to, in this schema or in one that it holds."""
    file, _, name = reference.partition("#/$defs/")
    home = next(other for other in root["$defs"].values() if other.get("$id") == file) if file else root
    return home["$defs"][name], home


def of_key(parts: Sequence[Part], key: Any) -> list[Part]:
    """Return what the parts of a schema say of the value of a key."""
    specs = [(part.get("properties", {}).get(key, part.get("additionalProperties")), root) for part, root in parts]
    return [(spec, root) for spec, root in specs if isinstance(spec, Mapping)]


def types_of(parts: Sequence[Part]) -> set[str]:
    """Return the types that the parts of a schema name."""
    named = [schema.get("type", []) for schema, _ in parts]
    return {name for types in named for name in ([types] if isinstance(types, str) else types)}


def as_number(value: Any, parts: Sequence[Part]) -> Any:
    """Return scientific notation as a float where the schema asks for a number."""
    written = isinstance(value, str) and SCIENTIFIC.fullmatch(value)
    return float(value) if written and types_of(parts) & {"integer", "number"} else value


def settle(value: Any, parts: Sequence[Part]) -> Any:
    """Return a mapping with every default; a number of the type that is stated, and zero without a sign."""
    if isinstance(value, Mapping):
        keys = [item for schema, _ in reversed(parts) for item in schema.get("properties", {}).items()]
        return {key: spec["default"] for key, spec in dict(keys).items() if "default" in spec} | dict(value)
    if isinstance(value, Real) and not isinstance(value, bool):
        types = types_of(parts)
        if "integer" in types and value == int(value):
            return int(value)
        return float(value) + 0.0 if "number" in types else value
    return value
