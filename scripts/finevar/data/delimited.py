"""Read CSV and TSV: every row with its line, and every line that cannot be read named with a way out."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from finevar.data.foreign import rewritten
from finevar.errors import InputError
from finevar.study.consistency import as_list, cut, listed
from finevar.study.dialects import (
    Dialect,
    cells_up_to,
    first_doubled_mark,
    quoting_of,
    read_quoted,
    stated_separator,
)

ANY_LENGTH = 2**31 - 1  # of a text
MOST_ABOVE = 50  # rows within which a header is looked for
SEPARATOR_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
MARKS = "\"'\\"  # that are no separators
STYLES = {
    "none": {"quoting": csv.QUOTE_NONE},
    "minimal": {"strict": True},
    "backslash": {"strict": True, "doublequote": False, "escapechar": "\\"},
}


@dataclass(frozen=True)
class File:
    """A file's lines, how it writes its rows, and what the config says of it."""

    path: Path
    lines: Sequence[str]
    dialect: Dialect
    spec: Mapping[str, Any]

    @property
    def where(self) -> str:
        """Return its path as errors name it."""
        return cut(str(self.path), 300)

    def error(self, line: int, found: str, allowed: str, remedy: str) -> InputError:
        """Return the error of a line."""
        return InputError(f"{self.where}, line {line}", found=found, allowed=allowed, remedy=remedy)


def read_delimited(text: str, dialect: Dialect, spec: Mapping[str, Any], path: Path) -> pd.DataFrame:
    """Return a file's cells, all of them texts; the index has the line on which each row begins.

    Raises InputError for quotation marks that do not enclose cells, and for a line of more or fewer cells than others.
    """
    with cells_up_to(ANY_LENGTH):
        return table_of(list(io.StringIO(text, newline="")), dialect, spec, path)


def table_of(lines: list[str], dialect: Dialect, spec: Mapping[str, Any], path: Path) -> pd.DataFrame:
    """Return the cells of a file's lines, as read_delimited() says."""
    if stated := stated_separator("".join(lines[dialect.skip : dialect.skip + 1])):
        dialect = replace(dialect, separator=spec.get("separator", stated), skip=dialect.skip + 1)
    if dialect.quoting is None:
        dialect = replace(dialect, quoting=found_quoting("".join(lines[dialect.skip :]), dialect, path))
    file = File(path, lines, dialect, spec)
    rows, spans = parse_rows(file)
    numbers = [begin for begin, _ in spans]
    if not rows and dialect.header:
        raise ValueError("no header line")
    names = rows[0] if dialect.header else spec["columns"]
    check_header(file, names, rows, numbers)
    if not {*names} >= {*columns_of(spec)} or any(len(row) != len(names) for row in rows):
        raise_other_separator(file)
    check_lengths(file, names, rows, numbers)
    if dialect.quoting == "minimal" and "quoting" not in spec and columns_of(spec):
        check_spans(file, names, rows, spans)
    first = int(dialect.header)
    frame = pd.DataFrame(rows[first:], columns=names, index=numbers[first:], dtype=object)
    frame.attrs["keeps_marks"] = dialect.form == "tsv" and dialect.quoting == "none" and "quoting" not in spec
    return frame


def parse_rows(file: File) -> tuple[list[list[str]], list[tuple[int, int]]]:
    """Return the rows but for blank lines, and the lines on which each begins and ends."""
    dialect, skip = file.dialect, file.dialect.skip
    lines = file.lines[skip:]
    if dialect.quoting == "backslash":  # one before anything else than a mark, as in C:\\dir, is a character
        special = re.escape(f"{dialect.quote}\\{dialect.separator}")
        lines = [re.sub(rf"\\([{special}\r\n])|\\", lambda m: m[0] if m[1] else "\\\\", line) for line in lines]
    reader = csv.reader(lines, delimiter=dialect.separator, quotechar=dialect.quote, **STYLES[dialect.quoting])
    rows, spans, begin = [], [], skip + 1
    try:
        for row in reader:
            end = skip + reader.line_num
            if len(row) > 1 or "".join(row).strip():
                rows.append(row)
                spans.append((begin, end))
            begin = end + 1
    except csv.Error as error:
        raise_other_separator(file)
        raise mark_error(file, begin, skip + reader.line_num, error) from None
    return rows, spans


def found_quoting(text: str, dialect: Dialect, path: Path) -> str:
    """Return how a TSV uses quotation marks; raise InputError where some enclose cells and others do not."""
    quoting = quoting_of(text, dialect.separator)
    if quoting != "mixed":
        return quoting
    places = first_doubled_mark(text, dialect.separator), read_quoted(text, dialect.separator)[1]
    doubled, stray = (dialect.skip + text.count("\n", 0, place) + 1 for place in places)
    raise InputError(
        f"{cut(str(path), 300)}, lines {doubled} and {stray}",
        found=f"on line {doubled} a cell between quotation marks with doubled ones in it, on line {stray} other marks",
        allowed="quotation marks around cells, or as characters like any other, throughout a TSV",
        remedy="Give `quoting: minimal` to read what the marks enclose, or `quoting: none` to keep them.",
    )


def mark_error(file: File, begin: int, end: int, error: csv.Error) -> InputError:
    """Return the error of a row, from one line to another, whose quotation mark opens a cell and none closes it."""
    closed = (
        "none closes it"
        if "end of data" in str(error)
        else f"the cell goes on after the one that closes it on line {end}"
    )
    escaped = file.dialect.quoting != "backslash" and f"\\{file.dialect.quote}" in "".join(file.lines[begin - 1 : end])
    remedy = (
        "Give `quoting: backslash`, if a backslash stands before each mark within a cell."
        if escaped
        else f"{doubled(file)}, or give `quoting: none` if no cell of the file is quoted."
    )
    return file.error(
        begin,
        f"a quotation mark that opens a cell, and {closed}",
        "quotation marks around whole cells, or within cells that do not begin with one",
        remedy,
    )


def doubled(file: File) -> str:
    """Say how a cell with quotation marks is written."""
    mark = file.dialect.quote
    return f"Write the cell between marks and its own marks twice, as {mark * 3}So{mark * 2} it goes{mark}"


def raise_other_separator(file: File) -> None:
    """Raise InputError where the first line has the columns if another character separates its cells."""
    number, line = next((n, line) for n, line in enumerate(file.lines, 1) if n > file.dialect.skip and line.strip())

    def fits(separator: str) -> bool:
        cells = next(csv.reader([line.rstrip("\r\n")], delimiter=separator, quotechar=file.dialect.quote))
        return {*cells} >= {*columns_of(file.spec)} if file.dialect.header else len(cells) == len(file.spec["columns"])

    own = file.dialect.separator
    if fits(own):
        return
    alone = file.dialect.header and own not in line  # of one column, which says nothing of the others' names
    other = next((each for each in SEPARATOR_NAMES if each != own and (fits(each) or (alone and each in line))), None)
    other = other or next((each for each in other_marks(line) if fits(each) and part_all(file, each)), None)
    if other:
        key = "format: tsv" if other == "\t" else f'separator: "{other}"'
        raise file.error(
            number,
            f"a line that looks separated by {named(other)}: {cut(line.strip())}",
            f"cells separated by {named(own)}",
            f"Give `{key}`.",
        )


def other_marks(line: str) -> list[str]:
    """Return the characters of a line that may separate cells, as they are no letters, digits or quotation marks."""
    return [
        mark for mark in dict.fromkeys(line.strip()) if mark.isprintable() and not (mark.isalnum() or mark in MARKS)
    ]


def part_all(file: File, separator: str) -> bool:
    """Return whether a separator gives all lines the same number of cells, none blank where no header names them."""
    reader = csv.reader(file.lines[file.dialect.skip :], delimiter=separator, quotechar=file.dialect.quote)
    rows = [row for row in reader if row]
    whole = file.dialect.header or all(cell.strip() for row in rows for cell in row)  # "?" may end all lines
    return whole and len({len(row) for row in rows}) == 1


def named(separator: str) -> str:
    """Return the name of what separates cells."""
    return SEPARATOR_NAMES.get(separator, repr(separator))


def without_separator(file: File, lengths: set[int]) -> str:
    """Return what to do about rows of other lengths than `columns`; of one cell, a blank may part label and text.

    As fastText and TREC write them.
    """
    names, lines = file.spec["columns"], [line for line in file.lines[file.dialect.skip :] if line.strip()]
    if len(names) != 2 or lengths != {1} or not all(" " in line.strip() for line in lines):
        return "Correct `columns`: one name for each cell."
    edit = r"s/ (\S+)\s*$/\t$1\n/" if names[1] == file.spec.get("label") else r"s/ /\t/"
    command = rewritten(file.path, f"perl -pe '{edit}'", ".tsv")
    return f"Where a blank parts the label from the text, put a tab in place of it: {command}"


def columns_of(spec: Mapping[str, Any]) -> list[str]:
    """Return the columns of a table that a data set's texts and labels are in."""
    texts = spec.get("join") or as_list(spec.get("text", []))
    return [*texts, *(spec[key] for key in ("label",) if key in spec and "label_from" not in spec)]


def check_header(file: File, names: list[str], rows: list[list[str]], numbers: list[int]) -> None:
    """Raise InputError where the header is another line than it is read from, or one of the examples."""
    columns, header = {*columns_of(file.spec)}, file.dialect.header
    if not header and rows and rows[0] == names:
        remedy = "Remove `columns`: the file has a header."
        raise file.error(numbers[0], f"the names of the columns: {listed(names)}", "an example", remedy)
    later = zip(rows[1:MOST_ABOVE], numbers[1:], strict=False) if header and columns and not columns <= {*names} else ()
    for row, number in later:
        if columns <= {*row}:
            raise file.error(
                number,
                f"the columns {listed(columns_of(file.spec))}, and other lines above",
                "a header in the first line",
                f"Give `skip: {number - 1}`.",
            )
    again = [number for row, number in zip(rows[1:], numbers[1:], strict=True) if header and row == names]
    if again:
        raise file.error(
            again[0],
            f"the header again ({len(again)} such line{'s' * (len(again) > 1)})",
            "one header",
            "Remove such lines, or name the files that were put together as a list in `file`.",
        )


def check_lengths(file: File, names: list[str], rows: list[list[str]], numbers: list[int]) -> None:
    """Raise InputError where a row has more or fewer cells than there are columns."""
    wrong = [place for place, row in enumerate(rows) if len(row) != len(names)]
    if not wrong:
        return
    row = rows[wrong[0]]
    quoted = file.dialect.quoting == "none" and file.dialect.quote in "".join(row)
    single = "quote" not in file.spec and any(cell.lstrip().startswith("'") for cell in row)
    if not file.dialect.header and len(wrong) == len(rows):
        remedy = without_separator(file, {len(row) for row in rows})
    elif any(cell.lstrip().startswith(("\u201c", "\u201e")) for cell in row):
        plain = rewritten(file.path, "perl -Mutf8 -CSD -pe 's/[\u201c\u201d\u201e]/\"/g'")
        remedy = f"If curly marks enclose cells, make plain ones of them: {plain}"
    elif single:
        remedy = 'Give `quote: "\'"` if such marks enclose cells, or correct the line.'
    elif len(wrong) == len(rows) - 1 > 1 and len(set(map(len, rows[1:]))) == 1:
        remedy = (
            f"Give `skip: {numbers[0]}` and `columns`, a name for each of the {len(row)} cells, as the header has not."
        )
    elif quoted and file.spec.get("quoting") == "none":
        remedy = "Remove `quoting: none` if quotation marks enclose cells, or correct the line."
    elif quoted:
        remedy = "Give `quoting: minimal` if quotation marks enclose cells, or correct the line."
    else:
        remedy = "Correct the line: a text that holds the separator or a line break goes between quotation marks."
    raise file.error(
        numbers[wrong[0]],
        f"{len(row)} cell{'s' * (len(row) != 1)}: {listed(map(repr, row), 4)} ({len(wrong)} such "
        f"line{'s' * (len(wrong) != 1)})",
        f"{len(names)} cells, as there are columns: {listed(names)}",
        remedy,
    )


def check_spans(file: File, names: list[str], rows: list[list[str]], spans: list[tuple[int, int]]) -> None:
    """Raise InputError for a cell of several lines most of which are rows themselves, as a lone quotation mark makes.

    A line counts as a row by its number of cells and by a label that other rows have.
    """
    place = names.index(file.spec["label"]) if file.spec.get("label") in names else None
    single = (row for row, (begin, end) in zip(rows, spans, strict=True) if begin == end)
    labels = {row[place] for row in single} if place is not None else set()
    for begin, end in spans:
        if begin == end:
            continue
        cells = csv.reader(file.lines[begin - 1 : end], delimiter=file.dialect.separator, quoting=csv.QUOTE_NONE)
        inner = [row for row in cells if row]
        alike = [row for row in inner if len(row) == len(names) and (place is None or row[place] in labels)]
        if 2 * len(alike) > len(inner):
            raise file.error(
                begin,
                f"a quotation mark that opens a cell of {len(inner)} lines, {len(alike)} of which look like rows",
                "cells of one line, or of lines that are no rows",
                f"{doubled(file)}; give `quoting: none` if no cell of the file is quoted, or `quoting: minimal` if the "
                "cell is right as it is.",
            )
