"""Read JSON: an array of examples or an object a line; of other forms say which command makes an array."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from finevar.data.delimited import columns_of
from finevar.data.foreign import Otherwise, converted
from finevar.errors import InputError
from finevar.study.consistency import cut, listed
from finevar.study.containers import SUFFIXES

# Objects that hold examples and are no arrays: which kind of things in them becomes an array, and how, of an object d.
FORMS = {
    "rows": '[dict(zip(d["columns"], row)) for row in d["data"]]',  # as pandas writes with orient="split"
    "cells": "[dict(zip(d, row)) for row in zip(*(c.values() for c in d.values()))]",  # as pandas writes by default
    "columns": "[dict(zip(d, row)) for row in zip(*d.values())]",
    "items": "[*d.values()]",
    "pairs": "[dict(zip({columns}, pair)) for pair in d.items()]",  # of a text and its label
    "classes": "[dict(zip({columns}, (text, label))) for label, texts in d.items() for text in texts]",
}


def read_array(text: str, spec: Mapping[str, Any], path: Path) -> pd.DataFrame:
    """Read a JSON array of objects, or of arrays whose `columns` the config names."""
    try:
        rows = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        refuse_python(text, path)
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            raise objects_error(text.strip(), path) from None
        raise
    if isinstance(rows, dict):
        raise object_error(rows, spec, path)
    if not isinstance(rows, list):
        raise ValueError("no array")
    require_whole(text, rows)
    columns = spec.get("columns")
    for number, row in enumerate(rows, 1):
        if columns and not (isinstance(row, list) and len(row) == len(columns)):
            raise ValueError(f"item {number} is no array with a value for each of `columns`")
        if not columns and not isinstance(row, dict):
            if isinstance(row, list):
                raise Otherwise(f"item {number} is an array", "Name the `columns`, or write objects.")
            raise ValueError(f"item {number} is no object")
    return pd.DataFrame(rows, columns=columns, index=range(1, len(rows) + 1), dtype=object)


def refuse_python(text: str, path: Path) -> None:
    """Raise the error of examples as Python prints them, in an array or one a line, if a text begins so."""
    if begin := re.match(r"\s*(\[?)\s*{\s*'", text):
        lines = "[ast.literal_eval(line) for line in open({}) if line.strip()]"
        array = in_python("ast.literal_eval(open({}).read())" if begin[1] else lines, path)
        raise Otherwise("it is written as Python prints it, not as JSON", f"Make an array of them: {array}")


def objects_error(text: str, path: Path) -> Otherwise:
    """Return the error of a JSON file that holds one object after the other, each in a line or in several."""
    try:
        json.loads(text.partition("\n")[0])
    except ValueError:
        array = r'json.loads("[" + re.sub(r"(?m)^}\s*^{", "},{", open({}).read()) + "]")'
        return Otherwise("it has objects one after the other", f"Make an array of them: {in_python(array, path)}")
    return Otherwise("it has an object a line", "Give `format: jsonl`, or write one array.")


def array_error(text: str, path: Path) -> Otherwise:
    """Return the error of a JSON lines file that is an array, or has one a line."""
    first, _, rest = text.partition("\n")
    try:
        json.loads(first if rest else "")
    except ValueError:
        return Otherwise("it begins as a JSON array", "Give `format: json`, or write an object a line.")
    lines = in_python("[json.loads(line) for line in open({}) if line.strip()]", path)
    return Otherwise("it has an array a line", f"Make one of them: {lines} Name its `columns` there, too.")


def object_error(found: Mapping[str, Any], spec: Mapping[str, Any], path: Path) -> InputError:
    """Return the error of a JSON file that holds its examples in an object, with the command that takes them out."""
    arrays = [key for key, value in found.items() if isinstance(value, list)]
    remedy, columns = "Write its examples as an array of objects.", columns_of(spec)
    if form := form_of(found, {*columns}):
        made = FORMS[form].replace("{columns}", str(columns or ["text", "label"]))
        expression = f"(lambda d: {made})(json.load(open({{}})))"
        remedy = f"Make an array of its {form}, all of them: {in_python(expression, path)}"
    elif arrays:
        made = f".{arrays[0]}.json" if arrays[0].isalnum() else ".array.json"
        remedy = f"Take one of them: {in_python(f'json.load(open({{}}))[{json.dumps(arrays[0])}]', path, made)}"
    return InputError(
        cut(str(path), 300),
        found=f"a JSON object{f' with the arrays {listed(arrays)}' if arrays else ''}",
        allowed="a JSON array of examples",
        remedy=remedy,
    )


def form_of(found: Mapping[str, Any], columns: set[str]) -> str | None:
    """Return in which of FORMS an object holds examples with these columns; None where it is none of them.

    columns: those that examples have to have, empty where that is not known.
    """
    values, kinds = [*found.values()], {type(value) for value in found.values()}
    named, two = bool(columns) and columns <= {*found}, len(columns) in (0, 2)
    if kinds == {list}:
        if {"columns", "data"} <= {*found}:
            return "rows"
        texts = all(isinstance(text, str) for texts in values for text in texts)
        return "columns" if named else "classes" if two and texts else None
    if kinds == {dict}:
        numbered = all(key.isdigit() for value in values for key in value)
        if named or (not columns and numbered):
            return "cells"
        return "items" if all(columns <= {*value} for value in values) else None
    repeated = kinds <= {str, int, float, bool} and len({*values}) < len(values)  # as labels are
    return "pairs" if two and repeated and not named else None


def in_python(expression: str, path: Path, suffix: str = ".array.json") -> str:
    """Return the command that writes what an expression makes of a JSON file, {}, and what to do then."""
    new, file = converted(path, suffix), f"open({json.dumps(str(path))})"
    if path.suffix.lower() in (".zip", *SUFFIXES):
        file = f'fsspec.open({json.dumps(str(path))}, "rt", compression="infer").open()'
    value = expression.replace("open({})", file)
    modules = ", ".join(name for name in ("ast", "fsspec", "json", "re") if f"{name}." in f"json.{value}")
    code = f'import {modules}; json.dump({value}, open({json.dumps(str(new))}, "w"))'
    return f"{sys.executable} -c {shlex.quote(code)}, and name {new} in the config."


def parse_line(number: int, line: str, path: Path) -> dict[str, Any]:
    """Parse a line of a JSONL file; raise ValueError unless it is an object of whole characters."""
    try:
        row = json.loads(line, object_pairs_hook=once)
        if not isinstance(row, dict):
            raise ValueError("no JSON object")
        require_whole(line, row)
    except (ValueError, RecursionError) as error:
        refuse_python(line, path)
        raise ValueError(f"line {number}: {error}") from None
    return row


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose keys occur once; raise ValueError where one occurs twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"an object with a key twice among {listed(key for key, _ in pairs)}")
    return found


def require_whole(text: str, value: Any) -> None:
    """Raise ValueError for half a character, as a JSON escape can write it."""
    if "\\ud" in text.lower():
        json.dumps(value, ensure_ascii=False).encode()
