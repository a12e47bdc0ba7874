"""Read a data set's files and splits as tables of texts and labels, unchanged."""

from __future__ import annotations

import codecs
import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from finevar.data.delimited import columns_of, read_delimited
from finevar.data.foreign import Otherwise, foreign, rewritten
from finevar.data.objects import array_error, parse_line, read_array
from finevar.data.rows import Facts, is_blank, is_text, usable
from finevar.errors import InputError
from finevar.study.consistency import as_list, cut, listed, nearest
from finevar.study.containers import opened
from finevar.study.content import is_file, label_of, parts_of
from finevar.study.dialects import LINE_END, SEPARATORS, SUFFIXES, Dialect, codec, dialect_of

LABEL_FILES = {"file": "label_file", "eval_file": "eval_label_file"}
MOST_FILES = 20  # whose rows are counted one by one


def with_columns(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a data set's config with a name for the text and for the label where they are no columns of a file."""
    text = " + ".join(spec.get("join", ["text"]))
    label = {"file": "file name", "folder": "folder name"}.get(spec.get("label_from"), "label")
    return {"text": text, "label": label, **spec}


# Data set repositories ------------------------------------------------------------------------------------------------


def read_split(spec: Mapping[str, Any], source: Path, key: str, facts: Facts) -> pd.DataFrame:
    """Read the split that a key names of a data set repository's snapshot, its class names as labels."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    where = f"{source}, split {cut(spec[key])}"
    damage = (TypeError, LookupError, AttributeError, yaml.YAMLError)  # what the library makes of a damaged card
    try:
        # Read in a folder of its own, since the library writes a copy, and the source holds what was fetched alone.
        with tempfile.TemporaryDirectory(prefix="finevar-") as scratch:
            data = load_dataset(str(source), spec.get("subset"), split=spec[key], cache_dir=scratch, **words_of(source))
            data.data.validate(full=True)
            table = data.with_format("arrow")[:].to_pandas(integer_object_nulls=True)  # 1 beside no label is no 1.0
            table = name_labels(require_columns(table, spec, str(source)), spec, data.features)
    except (ValueError, DatasetsError, OSError, pa.ArrowException, *damage) as error:
        raise InputError(
            where,
            found=reason(error),
            allowed="a split (and, where there are several, a subset) that the repository has",
            remedy="Correct train_split, eval_split or subset.",
        ) from None
    table.index += 1
    classes = table.attrs.get("classes")
    table.attrs = {"where": where, "unit": "example", "key": key}
    table = usable(table, spec, facts)
    table.attrs["classes"] = classes
    return table


def name_labels(table: pd.DataFrame, spec: Mapping[str, Any], features: Mapping[str, Any]) -> pd.DataFrame:
    """Replace the numbers of classes by the names that a data set repository gives them, where it does."""
    from datasets import ClassLabel

    feature, cells = features[spec["label"]], table[spec["label"]]
    one = getattr(feature, "feature", feature)  # of a list

    def name_of(number: Any) -> str | None:
        return None if is_blank(number) or number < 0 else one.int2str(int(number))  # -1 marks no label

    if isinstance(feature, ClassLabel):
        table[spec["label"]] = pd.Series([*map(name_of, cells)], table.index, dtype=object)
        table.attrs["classes"] = [name.strip() for name in feature.names]
    elif isinstance(one, ClassLabel):
        lists = [None if cell is None else [*map(name_of, cell)] for cell in cells]
        table[spec["label"]] = pd.Series(lists, table.index, dtype=object)
    return table


def words_of(source: Path) -> dict[str, Any]:
    """Return the options by which a repository of CSV files alone is read, so that no word is a missing value."""
    csv = {path.suffix for path in source.rglob("*")} & {*SUFFIXES} == {".csv"}
    return {"keep_default_na": False, "na_values": [""]} if csv else {}


# Files ----------------------------------------------------------------------------------------------------------------


def read_parts(spec: Mapping[str, Any], source: Path, key: str, facts: Facts) -> pd.DataFrame:
    """Read the files that a key names as one table; count the rows of each where they are several."""
    paths = parts_of(source, spec[key])
    label_key = LABEL_FILES[key]
    labels = parts_of(source, spec[label_key]) if label_key in spec else [None] * len(paths)
    if len(labels) != len(paths):
        raise InputError(
            f"config: {label_key} of the data set {cut(str(spec[key]))}",
            found=f"{len(labels)} files of labels for {len(paths)} of texts",
            allowed="one for each",
            remedy=f"Correct `{key}` or `{label_key}`.",
        )
    tables, folder = [], os.path.commonpath([path.parent for path in paths])
    counts: dict[str, int] = {}
    for path, labels_path in zip(paths, labels, strict=True):
        table = read_file(spec, path, labels_path)
        table.attrs["key"] = key
        tables.append(usable(table, spec, facts))
        if table.attrs.get("keeps_marks"):
            texts = table[as_list(spec["text"])].stack()
            if marked := int(texts.str.match(r'".+"$').sum()):
                facts["texts_in_marks"] += marked  # as they may be titles, or the cells of a writer that quotes them
        counts[os.path.relpath(path, folder or ".")] = len(table)
    if 1 < len(paths) <= MOST_FILES:
        facts["files"] = facts.get("files", {}) | {key: counts}
    whole = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
    whole.attrs = {"where": tables[0].attrs["where"] if len(tables) == 1 else cut(f"{source}, {spec[key]}", 300)}
    return whole


def read_file(spec: Mapping[str, Any], path: Path, labels: Path | None = None) -> pd.DataFrame:
    """Read one file of a source as a table of texts and labels; raise InputError where it is not what it should be."""
    where, dialect = cut(str(path), 300), dialect_of(spec, path)
    table = read_table(spec, path)
    if "label_from" in spec:
        table[spec["label"]] = label_of(path, spec["label_from"])
    elif labels:
        with explained(dialect, cut(str(labels), 300)):
            table[spec["label"]] = labels_of(labels, dialect, table, where)
    table = require_columns(table, spec, where)
    table.attrs |= {"where": where, "unit": "example" if dialect.form in ("json", "parquet", "text") else "line"}
    return table


def read_table(spec: Mapping[str, Any], path: Path) -> pd.DataFrame:
    """Read all columns of a file; raise InputError where it is not what its format says.

    spec: how the file is to be read; the columns that it has to have may be in it.
    """
    where, dialect = cut(str(path), 300), dialect_of(spec, path)
    content = read_bytes(path, where)
    kind = foreign(path, content)
    if kind and not (dialect.form == "parquet" and content.startswith(b"PAR1")):
        allowed = f"a {dialect.form} file" if dialect.form else f"one of {', '.join(SUFFIXES)}"
        raise InputError(where, found=kind[0], allowed=allowed, remedy=kind[1])
    if dialect.form is None:
        found, remedy = f"suffix {cut(repr(path.suffix))}", "Rename the file, or give `format`."
        raise InputError(where, found=found, allowed=f"one of {', '.join(SUFFIXES)}", remedy=remedy)
    with explained(dialect, where):
        return parse(content, dialect, spec, path)


@contextlib.contextmanager
def explained(dialect: Dialect, where: str) -> Iterator[None]:
    """Raise InputError, with a way out, in place of what is raised of content that is not what a format says."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, OSError, RecursionError, pa.ArrowException) as error:
        remedy = error.remedy if isinstance(error, Otherwise) else "Correct the file, or give its `format`."
        found = f"content that is not {dialect.form} ({reason(error)})"
        raise InputError(where, found=found, allowed=f"a {dialect.form} file", remedy=remedy) from None


def read_bytes(path: Path, where: str) -> bytes:
    """Return what a file holds, uncompressed."""
    if not is_file(path):
        remedy = "Correct the data set's `file`."
        raise InputError(where, found="no such file", allowed="a file of the source", remedy=remedy)
    try:
        with opened(path) as file:
            return file.read()
    except (OSError, ValueError) as error:
        remedy = "Copy or download it again."
        raise InputError(where, found=reason(error), allowed="a file that can be read", remedy=remedy) from None


def reason(error: Exception) -> str:
    """Return the first line of a library's error."""
    return cut(str(error).partition("\n")[0] or type(error).__name__, 200)


def parse(content: bytes, dialect: Dialect, spec: Mapping[str, Any], path: Path) -> pd.DataFrame:
    """Parse a file's content; texts stay unchanged, no word is taken for a missing value.

    The index has the rows' numbers: of lines where there are any, else of examples.
    """
    if dialect.form == "parquet":
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            table = file.read()
        table.validate(full=True)  # damage to a text need not be seen by reading it
        frame = table.to_pandas(ignore_metadata=True, integer_object_nulls=True)  # 1 beside no label is no 1.0
        return frame.set_axis(range(1, len(frame) + 1))
    text = decoded(content, dialect, path, stated="encoding" in spec)
    if dialect.form in SEPARATORS:
        return read_delimited(text, dialect, spec, path)
    if dialect.form == "text":
        return pd.DataFrame({spec["text"]: [text]}, index=[1])
    if dialect.form == "json":
        return read_array(text, spec, path)
    if dialect.form == "jsonl" and text.lstrip().startswith("["):
        raise array_error(text.strip(), path)
    lines = LINE_END.split(text) if dialect.form == "lines" else text.split("\n")
    lines = {number: line for number, line in enumerate(lines, 1) if line.strip() or "label_file" in spec}
    if dialect.form == "lines":
        if "label_file" in spec and text.endswith(("\n", "\r")):
            del lines[len(lines)]
        return pd.DataFrame({spec["text"]: pd.Series(lines, dtype=object)})
    rows = [parse_line(number, line, path) for number, line in lines.items()]
    return pd.DataFrame(rows, index=list(lines), dtype=object)


def decoded(content: bytes, dialect: Dialect, path: Path, *, stated: bool) -> str:
    """Return a file's text; raise InputError, with a way out, where it is in another encoding."""
    try:
        text = content.decode(codec(dialect))
    except UnicodeDecodeError as error:
        raise encoding_error(error, dialect, path, stated=stated) from None
    if "\0" in text:
        if content[:2000].count(0) > len(content[:2000]) / 4 and not stated:
            order = "be" if content[0] == 0 else "le"
            raise Otherwise("it holds NUL bytes, as UTF-16 does", f"Give `encoding: utf-16-{order}`, if it is text.")
        line = text.count("\n", 0, text.index("\0")) + 1
        without = rewritten(path, r"tr -d '\000'")
        raise Otherwise(f"it holds NUL bytes, the first on line {line}", f"If it is text, leave them out: {without}")
    return text


def encoding_error(error: UnicodeDecodeError, dialect: Dialect, path: Path, *, stated: bool) -> InputError:
    """Return the error of a byte that is not in the encoding, with the command that converts the file."""
    content = error.object
    text = content.decode("utf-8", "surrogateescape")
    wrong = sum("\udc80" <= letter <= "\udcff" for letter in text)
    sound = sum(letter > "\x7f" for letter in text) - wrong
    if stated:
        remedy = "Correct `encoding`, or the file."
    elif content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        remedy = f"Give `encoding: utf-16`, or convert it: {conversion('UTF-16', path)}"
    elif sound > wrong:
        remedy = f"Correct such bytes ({wrong} in all), or leave them out: {conversion('UTF-8', path, '-c ')}"
    else:
        western = (
            ("latin-1", "ISO-8859-1") if not any(0x80 <= byte < 0xA0 for byte in content) else ("cp1252", "CP1252")
        )
        remedy = (
            f"Give its `encoding`, which for West European text is {western[0]}, or convert it: "
            f"{conversion(western[1], path)}"
        )
    line = content.count(b"\n", 0, error.start) + 1
    return InputError(
        f"{cut(str(path), 300)}, line {line}",
        found=f"byte {content[error.start]:#04x}, which is not {dialect.encoding.upper()}",
        allowed=f"text in {dialect.encoding.upper()}",
        remedy=remedy,
    )


def conversion(charset: str, path: Path, options: str = "") -> str:
    """Return the command that writes a file anew in UTF-8, beside it, and what to do then."""
    return rewritten(path, f"iconv {options}-f {charset} -t UTF-8")


def labels_of(path: Path, dialect: Dialect, table: pd.DataFrame, where: str) -> list[str]:
    """Return the labels of a file's lines from another file's."""
    text = decoded(read_bytes(path, cut(str(path), 300)), dialect, path, stated=True)
    lines = LINE_END.split(text)
    labels = lines[:-1] if lines[-1] == "" else lines
    if len(labels) != len(table):
        raise InputError(
            cut(str(path), 300),
            found=f"{len(labels)} lines",
            allowed=f"as many as {where} has, {len(table)}",
            remedy="Give the labels of these texts, one a line.",
        )
    return labels


# Columns --------------------------------------------------------------------------------------------------------------


def require_columns(table: pd.DataFrame, spec: Mapping[str, Any], where: str) -> pd.DataFrame:
    """Return the columns of texts and labels only, joined texts as one.

    Raises InputError where a column is missing or there twice.
    """
    for column in columns_of(spec):
        if list(table.columns).count(column) != 1:
            near = None if column in table.columns else nearest(column, table.columns)
            hint = f"Did you mean {near!r}? " if near else ""
            raise InputError(
                where,
                found=f"columns {listed(table.columns) or 'none'}",
                allowed=f"a column named {cut(repr(column))}, once",
                remedy=f"{hint}Correct `text`, `join` or `label`, or name the `columns` of a file without a header.",
            )
    if "join" in spec:
        cells = table[spec["join"]].itertuples(index=False, name=None)
        table[spec["text"]] = pd.Series(map(joined, cells), table.index, dtype=object)
    return table[[*as_list(spec["text"]), spec["label"]]].copy()


def joined(cells: tuple[Any, ...]) -> Any:
    """Return texts as one, blank ones left out; what is no text, if there is any, so that it is refused."""
    kept = [cell for cell in cells if not is_blank(cell)]
    return next((cell for cell in kept if not is_text(cell)), " ".join(filter(is_text, kept)))
