"""Any table of texts and labels in any dialect that is offered reads back to the same rows, or is refused by line."""

from __future__ import annotations

import bz2
import csv
import dataclasses
import gzip
import io
import json
import lzma
from collections import defaultdict
from pathlib import Path
from typing import Any

import hypothesis
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from test_corpus import PAIRS, spec

from finevar.data.reading import read_parts, with_columns
from finevar.errors import InputError
from finevar.study.dialects import Dialect

Pairs = list[tuple[str, str]]
OF_FIELD = {"form": "format", "header": "columns"}  # keys that are called otherwise in a Dialect

LETTERS = "ab \t\n\r\"'\\,;|é€\u2028\x85#[]{}"
TEXTS = st.one_of(
    st.text(LETTERS, min_size=1, max_size=12),
    st.sampled_from(
        ["NA", "null", "None", "nan", '"', '""', '"a"', '"a, b"', "1e5", "=1+1", '5" disk', '"so" it goes']
    ),
)
STYLES = {
    "minimal": {"quoting": csv.QUOTE_MINIMAL},
    "all": {"quoting": csv.QUOTE_ALL},
    "texts": {"quoting": csv.QUOTE_NONNUMERIC},
    "backslash": {"quoting": csv.QUOTE_ALL, "doublequote": False, "escapechar": "\\"},
    "none": {},
}
COLUMNS = ["text", "label"]
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "latin-1", "shift_jis")
COMPRESS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
LABELS = st.sampled_from(["a", "b", "NA", "None", "p, q", 'x "y"', "it's; so", "two\nlines"])


@st.composite
def tables(draw: st.DrawFn) -> Pairs:
    """Return odd examples, none of them blank, among plain ones."""
    odd = draw(st.lists(st.tuples(TEXTS.filter(str.strip), LABELS), max_size=6))
    return draw(st.permutations([*odd, *PAIRS]))


def rows(pairs: Pairs, *, label_first: bool, header: bool = True) -> list[tuple[str, str]]:
    return [pair[::-1] if label_first else pair for pair in [("text", "label")] * header + list(pairs)]


@st.composite
def delimited(draw: st.DrawFn, pairs: Pairs) -> tuple[Pairs, str, bytes, dict[str, Any]]:
    """Return a table as Python's own module writes it: its rows, its name, its bytes, and the keys that say how.

    Where nothing is quoted, rows that cannot be written so are left out.
    """
    separator, quote = draw(st.sampled_from(",;|\t^~ ")), draw(st.sampled_from('"""\''))
    style = draw(st.sampled_from(["minimal", "all", "texts", "backslash"] + ["none"] * (separator != " ")))
    if style == "none":
        pairs = [pair for pair in pairs if not {*f"{separator}\r\n"} & {*"".join(pair)}]
    file, end = io.StringIO(newline=""), draw(st.sampled_from(["\n", "\r\n"]))
    header, skip = draw(st.booleans()), draw(st.sampled_from([0, 2]))
    stated = separator != " " and draw(st.booleans())
    file.write(f'a note, "of someone{end}{end}' if skip else "")
    file.write(f"sep={separator}{end}" if stated else "")
    label_first = draw(st.booleans())
    writer = csv.writer(file, delimiter=separator, lineterminator=end, quotechar=quote, **STYLES[style])
    written = rows(pairs, label_first=label_first, header=header)
    writer.writerows(written) if style != "none" else file.writelines(separator.join(row) + end for row in written)
    form = draw(st.sampled_from(["csv", "tsv"]))
    named = draw(st.booleans())
    known = [name for name in ENCODINGS if encodes(file.getvalue(), name)]
    encoding = draw(st.sampled_from(known))
    quoting = style if style in ("backslash", "none") else draw(st.sampled_from(["minimal", None]))
    keys = {
        "format": None if named else form,
        "separator": None if stated or separator == {"csv": ",", "tsv": "\t"}[form] else separator,
        "quoting": quoting,
        "quote": None if quote == '"' or style == "none" else quote,
        "encoding": None if encoding.startswith("utf-8") else encoding,
        "skip": skip or None,
        "columns": None if header else ["label", "text"] if label_first else ["text", "label"],
    }
    name, content = f"all.{form if named else 'txt'}", file.getvalue().encode(encoding)
    suffix = draw(st.sampled_from(["", *COMPRESS]))
    return pairs, f"{name}{suffix}", COMPRESS[suffix](content) if suffix else content, keys


def encodes(text: str, encoding: str) -> bool:
    try:
        return text.encode(encoding).decode(encoding) == text
    except ValueError:
        return False


def read(folder: Path, name: str, data: bytes, **keys: Any) -> Pairs:
    """Return a file's rows."""
    (folder / name).write_bytes(data)
    table = read_parts(with_columns(spec(name, **keys)), folder, "file", defaultdict(int))
    return list(table.itertuples(index=False, name=None))


def folded(pairs: Any) -> list[list[str]]:
    """Return rows with every stretch of spaces as one, as they are prepared; a lone CR is one or ends a blank line."""
    return [[" ".join(cell.split()) for cell in pair] for pair in pairs]


def check(pairs: Pairs, *args: Any, **keys: Any) -> None:
    """Fail unless a file reads back to its rows, or is refused by the line of a cell with a line break."""
    try:
        found = read(*args, **keys)
    except InputError as error:
        hypothesis.event("refused")
        broken = any({*"\r\n"} & {*"".join(pair)} for pair in pairs)
        found = pairs if ", line" in error.where and broken else [[str(error)]]
    assert folded(found) == folded(pairs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder for files that each case writes anew."""
    return tmp_path_factory.mktemp("tables")


def cases(count: int) -> settings:
    """Return the settings of a test of that many cases, the same ones each time."""
    return settings(
        max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


@cases(300)
@hypothesis.given(data=st.data(), pairs=tables())
def test_a_table_in_any_dialect(folder, data, pairs):
    pairs, name, content, keys = data.draw(delimited(pairs))
    assert {*keys} == {OF_FIELD.get(field.name, field.name) for field in dataclasses.fields(Dialect)}
    check(pairs, folder, name, content, **keys)


@cases(60)
@hypothesis.given(pairs=tables(), form=st.sampled_from(["csv", "tsv", "json", "jsonl", "parquet"]))
def test_what_pandas_wrote(folder, pairs, form):
    table = pd.DataFrame(pairs, columns=["text", "label"])
    buffer = io.BytesIO()
    if form == "parquet":
        table.to_parquet(buffer)
    elif form in ("json", "jsonl"):
        table.to_json(buffer, orient="records", lines=form == "jsonl")
    else:
        table.to_csv(buffer, sep="\t" if form == "tsv" else ",", index=False)
    check(pairs, folder, f"all.{form}", buffer.getvalue())


@cases(60)
@hypothesis.given(
    pairs=tables(), escaped=st.booleans(), indent=st.sampled_from([None, 1]), columns=st.sampled_from([None, COLUMNS])
)
def test_json(folder, pairs, escaped, indent, columns):
    items = [pair if columns else dict(zip(COLUMNS, pair, strict=True)) for pair in pairs]
    array = json.dumps(items, ensure_ascii=escaped, indent=indent)
    assert read(folder, "all.json", array.encode(), columns=columns) == pairs
    if not columns:
        lines = "\n".join(json.dumps(item, ensure_ascii=escaped) for item in items)
        assert read(folder, "all.jsonl", lines.encode()) == pairs


@cases(60)
@hypothesis.given(pairs=tables(), first=TEXTS.filter(str.strip), form=st.sampled_from(["csv", "jsonl", "parquet"]))
def test_two_texts(folder, pairs, first, form):
    table = pd.DataFrame([(first, *pair) for pair in pairs], columns=["first", "text", "label"])
    buffer = io.BytesIO()
    if form == "jsonl":
        table.to_json(buffer, orient="records", lines=True)
    else:
        table.to_csv(buffer, index=False) if form == "csv" else table.to_parquet(buffer)
    keys = {"text": ["first", "text"]}
    check([(first, *pair) for pair in pairs], folder, f"all.{form}", buffer.getvalue(), **keys)
    joined = [(f"{first} {text}", label) for text, label in pairs]
    check(joined, folder, f"all.{form}", buffer.getvalue(), text=None, join=keys["text"])


@cases(30)
@hypothesis.given(pairs=tables(), by=st.sampled_from(["file", "folder"]), form=st.sampled_from(["lines", "text"]))
def test_a_file_for_each_class(tmp_path_factory, pairs, by, form):
    folder = tmp_path_factory.mktemp("classes")
    pairs = [(text, "ab"[label == "b"]) for text, label in pairs if form == "text" or not {*"\r\n"} & {*text}]
    files: dict[str, list[str]] = defaultdict(list)
    for number, (text, label) in enumerate(pairs):
        files[f"{label}/{number if form == 'text' else 'all'}.txt" if by == "folder" else f"{label}.txt"].append(text)
    if form == "text" and by == "file":
        pairs = [("\n".join(texts), name.removesuffix(".txt")) for name, texts in files.items()]
    for name, texts in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes("\n".join(texts).encode())
    spec_ = spec([*files], format=form, label_from=by, text=None, label=None)
    table = read_parts(with_columns(spec_), folder, "file", defaultdict(int))
    assert sorted(folded(table.itertuples(index=False, name=None))) == sorted(folded(pairs))


@cases(30)
@hypothesis.given(pairs=tables())
def test_texts_and_labels_in_two_files(folder, pairs):
    pairs = [(text, label) for text, label in pairs if not {*"\r\n"} & {*text, *label}]
    (folder / "labels.txt").write_bytes("".join(f"{label}\n" for _, label in pairs).encode())
    content = "".join(f"{text}\n" for text, _ in pairs).encode()
    keys = {"format": "lines", "label_file": "labels.txt", "text": None, "label": None}
    assert read(folder, "texts.txt", content, **keys) == pairs
