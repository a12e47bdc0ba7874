"""Any table of texts and labels in any dialect that is offered reads back to the same rows, or is refused by line."""

from __future__ import annotations

import csv
import gzip
import io
import json
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

Pairs = list[tuple[str, str]]

LETTERS = "ab \t\n\r\"'\\,;|é€\u2028\x85#[]{}"
TEXTS = st.one_of(
    st.text(LETTERS, min_size=1, max_size=12),
    st.sampled_from(
        ["NA", "null", "None", "nan", '"', '""', '"a"', '"a, b"', "1e5", "=1+1", '5" disk', '"so" it goes']
    ),
)
LABELS = st.sampled_from(["a", "b", "NA", "None", "p, q", 'x "y"', "it's; so", "two\nlines"])


@st.composite
def tables(draw: st.DrawFn) -> Pairs:
    """Return odd examples, none of them blank, among plain ones."""
    odd = draw(st.lists(st.tuples(TEXTS.filter(str.strip), LABELS), max_size=6))
    return draw(st.permutations([*odd, *PAIRS]))


def rows(pairs: Pairs, *, label_first: bool) -> list[tuple[str, str]]:
    return [pair[::-1] if label_first else pair for pair in [("text", "label"), *pairs]]


@st.composite
def delimited(draw: st.DrawFn, pairs: Pairs) -> tuple[str, bytes, dict[str, Any]]:
    """Return a CSV or TSV as Python's own module writes it: its name, its bytes, and the keys that say how."""
    separator = draw(st.sampled_from(",;|\t"))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    escaped = draw(st.booleans()) and quoting == csv.QUOTE_ALL
    file = io.StringIO(newline="")
    style = {"doublequote": False, "escapechar": "\\"} if escaped else {}
    end = draw(st.sampled_from(["\n", "\r\n"]))
    writer = csv.writer(file, delimiter=separator, quoting=quoting, lineterminator=end, **style)
    skip = draw(st.sampled_from([0, 2]))
    file.write(f'a note, "of someone{end}{end}' if skip else "")
    writer.writerows(rows(pairs, label_first=draw(st.booleans())))
    known = [name for name in ("utf-8", "utf-8-sig", "utf-16", "cp1252") if encodes(file.getvalue(), name)]
    encoding = draw(st.sampled_from(known))
    keys = {
        "separator": None if separator in ",\t" else separator,
        "quoting": "backslash" if escaped else draw(st.sampled_from(["minimal", None])),
        "encoding": None if encoding.startswith("utf-8") else encoding,
        "skip": skip or None,
    }
    name, data = f"all.{'tsv' if separator == chr(9) else 'csv'}", file.getvalue().encode(encoding)
    return (f"{name}.gz", gzip.compress(data), keys) if draw(st.booleans()) else (name, data, keys)


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
        broken = any({*"\r\n"} & {*text, *label} for text, label in pairs)
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


@cases(150)
@hypothesis.given(data=st.data(), pairs=tables())
def test_what_a_writer_of_csv_and_tsv_wrote(folder, data, pairs):
    name, content, keys = data.draw(delimited(pairs))
    check(pairs, folder, name, content, **keys)


@cases(60)
@hypothesis.given(pairs=tables(), end=st.sampled_from(["\n", "\r\n"]))
def test_a_tsv_without_quoting(folder, pairs, end):
    pairs = [(text, label) for text, label in pairs if not {*"\t\r\n"} & {*text, *label}]
    content = end.join(map("\t".join, rows(pairs, label_first=False))).encode()
    assert read(folder, "all.tsv", content, quoting="none") == pairs


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


@cases(30)
@hypothesis.given(pairs=tables(), escaped=st.booleans(), indent=st.sampled_from([None, 1]))
def test_json(folder, pairs, escaped, indent):
    array = json.dumps([{"text": text, "label": label} for text, label in pairs], ensure_ascii=escaped, indent=indent)
    assert read(folder, "all.json", array.encode()) == pairs


@cases(30)
@hypothesis.given(pairs=tables())
def test_texts_and_labels_in_two_files(folder, pairs):
    pairs = [(text, label) for text, label in pairs if not {*"\r\n"} & {*text, *label}]
    (folder / "labels.txt").write_bytes("".join(f"{label}\n" for _, label in pairs).encode())
    content = "".join(f"{text}\n" for text, _ in pairs).encode()
    keys = {"format": "lines", "label_file": "labels.txt", "text": None, "label": None}
    assert read(folder, "texts.txt", content, **keys) == pairs
