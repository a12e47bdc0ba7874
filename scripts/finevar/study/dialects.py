"""How a file writes its rows: format, separator, quotation marks, encoding, lines before the header."""

from __future__ import annotations

import codecs
import contextlib
import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finevar.study.containers import plain_name

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}
SEPARATORS = {"csv": ",", "tsv": "\t"}  # of the formats that have one
TEXT_ONLY = ("lines", "text")  # formats without columns: a text a line, a text a file
LINE_END = re.compile(r"\r\n|\r|\n")
STATED = re.compile(r'"?sep=(.)"?[,;\t]*\s*')  # what Excel writes, and reads, before the header


@dataclass(frozen=True)
class Dialect:
    """How a file writes its rows; quoting is None where the file itself has to show it."""

    form: str | None
    separator: str
    quoting: str | None
    encoding: str
    skip: int
    header: bool
    quote: str = '"'  # the quotation mark


def format_of(spec: Mapping[str, Any], path: str | Path) -> str | None:
    """Return the format of a data set's file: the stated one or, by the suffix of what it holds, a known one."""
    return spec.get("format") or SUFFIXES.get(Path(plain_name(Path(path))).suffix.lower())


def dialect_of(spec: Mapping[str, Any], path: str | Path) -> Dialect:
    """Return how a data set's file writes its rows, as far as the config and the suffix say."""
    form = format_of(spec, path)
    usual = "minimal" if "quote" in spec else {"csv": "minimal", "tsv": None}.get(form, "none")
    return Dialect(
        form,
        separator=spec.get("separator", SEPARATORS.get(form, "")),
        quoting=spec.get("quoting", usual),
        encoding=spec.get("encoding", "utf-8"),
        skip=spec.get("skip", 0),
        header=form in SEPARATORS and "columns" not in spec,
        quote=spec.get("quote", '"'),
    )


def stated_separator(line: str) -> str | None:
    """Return the separator that a table's first line states for Excel; None where it is no such line."""
    found = STATED.fullmatch(line)
    return found[1] if found else None


def is_text_encoding(name: str) -> bool:
    """Return whether Python knows an encoding of texts by a name."""
    try:
        return isinstance("a".encode(name).decode(name), str)
    except (LookupError, ValueError):
        return False


def codec(dialect: Dialect) -> str:
    """Return the codec of a file's text; of UTF-8 the one that takes a byte order mark for none of the text."""
    name = codecs.lookup(dialect.encoding).name
    return "utf-8-sig" if name == "utf-8" else name


def is_wide(dialect: Dialect) -> bool:
    """Return whether line breaks and marks take other bytes than in ASCII, as in UTF-16."""
    return "a\n".encode(codec(dialect)).removeprefix(codecs.BOM_UTF8) != b"a\n"


@contextlib.contextmanager
def cells_up_to(letters: int) -> Iterator[None]:
    """Let the module csv read cells of so many letters; by default it is 131,072, for the whole process."""
    before = csv.field_size_limit(letters)
    try:
        yield
    finally:
        csv.field_size_limit(before)


# Quotation marks in a TSV ---------------------------------------------------------------------------------------------


def quoting_of(text: str, separator: str) -> str:
    """Return how a TSV uses quotation marks: `minimal` around cells, `none` as characters, `mixed` both.

    They are around cells where the whole file can be read so, and where this shows: in marks that are doubled within a
    quoted cell, in quotation marks around all cells but numbers, or in rows that are of one length only if read so.
    """
    if '"' not in text:
        return "none"
    doubled = first_doubled_mark(text, separator) is not None
    throughout, stray = read_quoted(text, separator)
    if stray is not None:
        return "mixed" if doubled else "none"
    return "minimal" if doubled or throughout or not is_regular(text, separator) else "none"


def first_doubled_mark(text: str, separator: str) -> int | None:
    """Return where the first cell begins that lies between quotation marks and holds doubled ones."""
    end = f"{re.escape(separator)}\r\n"
    found = re.search(rf'(?:(?<=[{end}])|\A)"[^"{end}]*+(?:""[^"{end}]*+)++"(?=[{end}]|\Z)', text)
    return found.start() if found else None


def read_quoted(text: str, separator: str) -> tuple[bool, int | None]:
    """Return whether all cells but numbers are quoted, and where the text cannot be read as quoted cells, if anywhere.

    It can be where quotation marks enclose whole cells, doubled within them, and all rows have one number of cells.
    """
    each = re.escape(separator)
    cell = re.compile(rf'("[^"]*+(?:""[^"]*+)*+"|[^"{each}\r\n]*+)({each}|\r\n|\r|\n|\Z)')
    at, row, count, wanted, throughout = 0, 0, 0, None, True
    while at < len(text):
        match = cell.match(text, at)
        if not match:
            return throughout, at
        content, end = match.groups()
        throughout &= content.startswith('"') or is_number_or_blank(content)
        at, count = match.end(), count + 1
        if end == separator:
            continue
        if count > 1 or content.strip():  # no blank line
            wanted = wanted or count
            if count != wanted:
                return throughout, row
        row, count = at, 0
    return throughout, None


def is_number_or_blank(cell: str) -> bool:
    """Return whether a cell is what writers leave without quotation marks where they quote all texts."""
    try:
        return not cell.strip() or bool(float(cell) or True)
    except ValueError:
        return False


def is_regular(text: str, separator: str) -> bool:
    """Return whether all lines but blank ones have the same number of cells, quotation marks aside."""
    return len({line.count(separator) for line in LINE_END.split(text) if line.strip(" ")}) <= 1
