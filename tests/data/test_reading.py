"""Files as people have them: every dialect and form, each flaw named by its line, each remedy followed."""

from __future__ import annotations

import bz2
import csv as csv_module
import gzip
import io
import json
import lzma
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from test_corpus import PAIRS, csv, jsonl, labelled, prepared, refused, spec, split_parts, write

from finevar.errors import InputError
from prose import numbers
from refusals import names, refusal

WHOLE = dict(PAIRS)


def read(folder: Path, content: str | bytes, name: str = "all.csv", **keys: Any) -> dict[str, str]:
    """Return every text's class, having checked that all rows are accounted for."""
    train, evaluation, facts = prepared(folder, content, name, **keys)
    check_account(facts)
    return labelled(train, evaluation, classes=facts["classes"])


def check_account(facts: dict[str, Any]) -> None:
    dropped = sum(count for reason, count in facts.items() if reason.startswith("dropped_"))
    assert facts["read"] == facts["train"] + facts["eval"] + facts.get("held_back", 0) + dropped


def offered(error: InputError) -> list[dict[str, Any]]:
    """Return the keys that a remedy offers, each as a config would have it."""
    return [yaml.safe_load(text) for text in re.findall(r"`(\w+: [^`]+)`", error.remedy)]


def run_offered(error: InputError) -> Path:
    """Run the command that a remedy offers; return the file that it says to name."""
    command, name = re.search(
        r"(?:it|out|them|Run): (.*), and name (that file|\S+) in the config", error.remedy
    ).groups()
    subprocess.run(command, shell=True, check=False, capture_output=True)
    return Path(name if name != "that file" else re.search(r"> (\S+)$", command)[1])


def delimited(pairs: list[tuple[str, str]], **style: Any) -> str:
    """Return a table as the csv module writes it."""
    file = io.StringIO(newline="")
    csv_module.writer(file, **({"lineterminator": "\n"} | style)).writerows([("text", "label"), *pairs])
    return file.getvalue()


# Other quotation marks ------------------------------------------------------------------------------------------------

APOSTROPHES = [("it's so, he said", "a"), ('say "x", then', "b"), ("two\nlines, one cell", "a"), *PAIRS]


@pytest.mark.parametrize("style", [{"quoting": csv_module.QUOTE_ALL}, {}, {"doublequote": False, "escapechar": "\\"}])
@pytest.mark.parametrize(("name", "separator"), [("all.csv", ","), ("all.tsv", "\t"), ("all.csv", "|")])
def test_cells_between_other_marks_are_those_of_pandas(tmp_path, style, name, separator):
    content = delimited(APOSTROPHES, quotechar="'", delimiter=separator, **style)
    keys = {} if style.get("doublequote", True) else {"quoting": "backslash"}
    keys |= {"separator": separator} if separator == "|" else {}
    options = {"quotechar": "'", "sep": separator} | {k: v for k, v in style.items() if k != "quoting"}
    table = pd.read_csv(io.StringIO(content), keep_default_na=False, **options)
    expected = {" ".join(text.split()): label for text, label in zip(table["text"], table["label"], strict=True)}
    assert read(tmp_path, content, name, quote="'", **keys) == expected


def test_other_marks_are_offered_where_they_stand(tmp_path):
    error = refused(tmp_path, delimited(APOSTROPHES, quotechar="'"))
    assert {"quote": "'"} in offered(error)


def test_a_mark_that_is_not_closed_is_named(tmp_path):
    error = refused(tmp_path, "text,label\n'so it goes,a\nand on,b\n", quote="'")
    assert error.where.endswith("line 2")
    assert "'''So'' it goes'" in error.remedy


# Quotation marks in a CSV ---------------------------------------------------------------------------------------------

PLAIN = [f"sentence number {number},{label}" for number, (_, label) in enumerate(PAIRS)]
STRAY = {
    "two at the beginning of cells": (3, lambda lines: {3: f'"{lines[3]}', 9: f'"{lines[9]}'}),
    "one that is never closed": (5, lambda lines: {5: f'"{lines[5]}'}),
    "one closed at the end of a cell": (2, lambda lines: {2: f'"{lines[2]}', 7: lines[7].replace(",", '",')}),
    "two neighbours": (4, lambda lines: {4: f'"{lines[4]}', 5: lines[5].replace(",", '",')}),
    "a quoted word at the beginning": (6, lambda lines: {6: f'"so" {lines[6]}'}),
}


@pytest.mark.parametrize(("line", "edit"), STRAY.values(), ids=STRAY)
def test_a_mark_that_swallows_lines_is_named_and_can_be_read_as_a_character(tmp_path, line, edit):
    edited = edit(PLAIN)
    lines = [edited.get(number, text) for number, text in enumerate(PLAIN)]
    error = refused(tmp_path, "\n".join(["text,label", *lines]))
    assert error.where.endswith(f"all.csv, line {line + 2}")
    assert {"quoting": "none"} in offered(error)
    expected = dict(text.rsplit(",", 1) for text in lines)
    assert read(tmp_path, "\n".join(["text,label", *lines]), quoting="none") == expected


def test_the_label_may_stand_first(tmp_path):
    lines = [",".join(reversed(line.split(","))) for line in PLAIN]
    lines[3], lines[9] = lines[3].replace(",", ',"'), f'{lines[9]}"'
    error = refused(tmp_path, "\n".join(["label,text", *lines]))
    assert error.where.endswith("all.csv, line 5")
    assert numbers(error.found)[:2] == [7, 7]


def test_a_cell_that_looks_like_rows_can_be_declared_right(tmp_path):
    odd = ("so it goes,a\nand on", "a")
    error = refused(tmp_path, delimited([odd, *PAIRS]))
    assert (error.where.endswith("line 2"), {"quoting": "minimal"} in offered(error)) == (True, True)
    assert read(tmp_path, delimited([odd, *PAIRS]), quoting="minimal") == {"so it goes,a and on": "a"} | WHOLE


@pytest.mark.parametrize(
    "text", ["Dear sir,\nhello", "one\ntwo, three\nfour", "a, b\nc, d", "\n\nlate", 'say "x",\nyes']
)
def test_cells_of_several_lines_are_read(tmp_path, text):
    assert read(tmp_path, delimited([(text, "a"), *PAIRS])) == {" ".join(text.split()): "a"} | WHOLE


def test_marks_after_a_backslash_are_recognised(tmp_path):
    pairs = [('say "hi", he said', "a"), ("a back\\slash", "b"), ('"', "a"), *PAIRS]
    text = delimited(pairs, doublequote=False, escapechar="\\", quoting=csv_module.QUOTE_ALL)
    error = refused(tmp_path, text)
    assert (error.where.endswith("line 2"), offered(error)) == (True, [{"quoting": "backslash"}])
    assert read(tmp_path, text, quoting="backslash") == dict(pairs)
    assert read(tmp_path, text.replace("\\\\", "\\"), quoting="backslash") == dict(pairs)  # as some writers leave them


# Quotation marks in a TSV ---------------------------------------------------------------------------------------------

QUOTED = [('say "hi" now', "a"), ('"whole"', "b"), ("two\nlines", "a"), ("a\ttab", "b")]


@pytest.mark.parametrize("quoting", [csv_module.QUOTE_MINIMAL, csv_module.QUOTE_ALL, csv_module.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("odd", [QUOTED, QUOTED[:1], QUOTED[2:3], QUOTED[3:]])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_tsv_that_a_writer_quoted_is_read_as_it_was(tmp_path, quoting, odd, end):
    text = delimited([*odd, *PAIRS], delimiter="\t", quoting=quoting, lineterminator=end)
    expected = {" ".join(text.split()): label for text, label in odd} | WHOLE
    assert read(tmp_path, text, "all.tsv") == expected


def test_a_tsv_as_pandas_writes_it_is_read_as_it_was(tmp_path):
    table = pd.DataFrame([*QUOTED, *PAIRS], columns=["text", "label"])
    expected = {" ".join(text.split()): label for text, label in QUOTED} | WHOLE
    assert read(tmp_path, table.to_csv(sep="\t"), "all.tsv") == expected


def test_a_tsv_of_all_quoted_texts_and_numbers_as_labels_is_read_as_it_was(tmp_path):
    text = "\n".join(['"text"\t"label"', *(f'"{text}"\t{"ab".index(label)}' for text, label in PAIRS)])
    assert read(tmp_path, text, "all.tsv") == {text: str("ab".index(label)) for text, label in PAIRS}


def test_a_tsv_with_marks_of_both_kinds_is_refused_by_its_lines_and_either_way_is_offered(tmp_path):
    lines = ["text\tlabel", *map("\t".join, PAIRS[:3]), '"say ""hi"" now"\ta', '5" disk\tb', *map("\t".join, PAIRS[3:])]
    error = refused(tmp_path, "\n".join(lines), "all.tsv")
    assert error.where.endswith("all.tsv, lines 5 and 6")
    minimal, none = offered(error)
    assert read(tmp_path, "\n".join(lines), "all.tsv", **minimal) == {'say "hi" now': "a", '5" disk': "b"} | WHOLE
    assert read(tmp_path, "\n".join(lines), "all.tsv", **none) == {'"say ""hi"" now"': "a", '5" disk': "b"} | WHOLE


def test_texts_within_marks_of_a_tsv_that_is_not_quoted_are_kept_and_counted(tmp_path):
    lines = ["text\tlabel", '"A title"\ta', '"Another, one"\tb', *map("\t".join, PAIRS)]
    train, evaluation, facts = prepared(tmp_path, "\n".join(lines), "all.tsv")
    assert labelled(train, evaluation, classes=["a", "b"]) == {'"A title"': "a", '"Another, one"': "b"} | WHOLE
    assert facts["texts_in_marks"] == 2
    _, _, facts = prepared(tmp_path, "\n".join(lines), "all.tsv", quoting="none")
    assert "texts_in_marks" not in facts


@pytest.mark.parametrize("marks", ["\u201c\u201d", "\u201e\u201c"])  # as in English, as in German
def test_cells_between_curly_marks_are_read_once_the_command_made_them_plain(tmp_path, marks):
    pairs = [(f"{text}, \u00fcber", label) for text, label in PAIRS]
    lines = ["text,label", *(f"{marks[0]}{text}{marks[1]},{label}" for text, label in pairs)]
    new = run_offered(refused(tmp_path, "\n".join(lines)))
    assert read(tmp_path, new.read_bytes(), new.name) == dict(pairs)


# Separators, lengths, headers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("separator", "name"), [(";", "all.csv"), ("|", "all.csv"), ("\t", "all.csv"), (",", "all.tsv")]
)
@pytest.mark.parametrize("header", [True, False])
def test_another_separator_is_recognised_and_the_key_that_is_offered_reads_it(tmp_path, separator, name, header):
    text = delimited([("one, two", "a"), *PAIRS], delimiter=separator, quoting=csv_module.QUOTE_ALL)
    keys = {} if header else {"columns": ["text", "label"]}
    text = text if header else text.split("\n", 1)[1]
    error = refused(tmp_path, text, name, **keys)
    assert error.where.endswith(f"{name}, line 1")
    (key,) = offered(error)
    assert read(tmp_path, text, name, **keys, **key) == {"one, two": "a"} | WHOLE


@pytest.mark.parametrize("separator", [*"^~#: &_", "\u00a6"])
@pytest.mark.parametrize("name", ["all.csv", "all.tsv"])
@pytest.mark.parametrize("header", [True, False])
def test_any_character_that_parts_all_lines_alike_is_recognised(tmp_path, separator, name, header):
    pairs = [(re.sub(r"\W", "", text), label) for text, label in PAIRS]
    lines = [separator.join(pair) for pair in [("text", "label"), *pairs]]
    keys = {} if header else {"columns": ["text", "label"]}
    text = "\n".join(lines if header else lines[1:])
    (key,) = offered(refused(tmp_path, text, name, **keys))
    assert key == {"separator": separator}
    assert read(tmp_path, text, name, **keys, **key) == dict(pairs)


def test_a_mark_that_does_not_part_all_lines_is_no_separator(tmp_path):
    lines = ["text:label", *(f"at {number}:30 o'clock:a" for number in range(20))]
    assert not offered(refused(tmp_path, "\n".join(lines)))
    lines = [f"{label} is this {text} ?" for text, label in PAIRS]
    assert not offered(refused(tmp_path, "\n".join(lines), columns=["label", "text"]))


@pytest.mark.parametrize("columns", [["label", "text"], ["text", "label"]])
@pytest.mark.parametrize("mark", ["", "__label__"])  # as fastText writes it
def test_a_label_with_a_blank_before_or_after_its_text_is_parted_by_the_command(tmp_path, columns, mark):
    pairs = [(text, f"{mark}{label}") for text, label in PAIRS]
    lines = [" ".join(pair if columns[0] == "text" else pair[::-1]) for pair in pairs]
    new = run_offered(refused(tmp_path, "\n".join(lines), columns=columns))
    assert read(tmp_path, new.read_text(), new.name, columns=columns) == dict(pairs)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("stated", ["sep=;\r\n", '"sep=;"\n', "sep=|\n"])
def test_the_separator_that_excel_states_in_the_first_line_is_taken(tmp_path, mark, stated):
    separator = stated.strip('"\r\n')[-1]
    assert read(tmp_path, mark + stated + delimited(PAIRS, delimiter=separator)) == WHOLE
    assert read(tmp_path, mark + stated + delimited(PAIRS, delimiter=separator), separator=separator) == WHOLE


@pytest.mark.parametrize(("header", "meant"), [("Text,label", "Text"), (" text,label", " text"), ("txt,label", "txt")])
def test_a_column_of_almost_the_name_is_offered_and_read(tmp_path, header, meant):
    content = delimited(PAIRS).replace("text,label", header, 1)
    assert repr(meant) in refused(tmp_path, content).remedy
    assert read(tmp_path, content, text=meant) == WHOLE


@pytest.mark.parametrize("above", ["My export of 2024\n", "# made by x\n\n# of y\n", "a,b\nc,d\n"])
def test_lines_above_the_header_are_found_and_the_key_that_is_offered_skips_them(tmp_path, above):
    content = above + delimited(PAIRS)
    (key,) = offered(refused(tmp_path, content))
    assert key == {"skip": above.count("\n")}
    assert read(tmp_path, content, **key) == WHOLE


def test_a_header_among_the_rows_is_refused_by_its_line(tmp_path):
    error = refused(tmp_path, delimited(PAIRS[:10]) + delimited(PAIRS[10:]))
    assert (error.where.endswith("line 12"), "`file`" in error.remedy) == (True, True)


@pytest.mark.parametrize("names", [["row", "text", "label"], ["text", "label", "none"]])
def test_rows_of_more_cells_than_the_header_has_are_read_by_the_keys_that_are_offered(tmp_path, names):
    cells = [{"row": number, "text": text, "label": label, "none": ""} for number, (text, label) in enumerate(PAIRS)]
    content = "text,label\n" + pd.DataFrame(cells)[names].to_csv(index=False, header=False)
    error = refused(tmp_path, content)
    (key,) = offered(error)
    assert "`columns`" in error.remedy
    assert read(tmp_path, content, columns=names, **key) == WHOLE


def test_a_header_is_no_example_where_columns_are_named(tmp_path):
    error = refused(tmp_path, delimited(PAIRS), columns=["text", "label"])
    assert (error.where.endswith("line 1"), "`columns`" in error.remedy) == (True, True)


def test_nul_bytes_are_named_by_their_line_and_left_out_by_the_command(tmp_path):
    content = delimited(PAIRS).replace(PAIRS[4][0], f"{PAIRS[4][0]}\0")
    error = refused(tmp_path, content)
    assert "line 6" in error.found
    assert read(tmp_path, run_offered(error).read_text(), "new.csv") == WHOLE


def test_semicolons_and_commas_in_texts_are_read_with_a_separator(tmp_path):
    text = delimited([("one, two; three", "a"), *PAIRS], delimiter=";")
    assert read(tmp_path, text, separator=";") == {"one, two; three": "a"} | WHOLE


@pytest.mark.parametrize(("line", "cells"), [("short", 1), ("a,b,c", 3), ("one, two, three,a", 4)])
@pytest.mark.parametrize("place", [2, 10, 22])
def test_a_line_with_other_cells_is_refused_by_its_number(tmp_path, line, cells, place):
    lines = csv(PAIRS).splitlines()
    lines.insert(place - 1, line)
    error = refused(tmp_path, "\n".join(lines))
    assert (error.where.endswith(f"all.csv, line {place}"), numbers(error.found)[0]) == (True, cells)


def test_a_line_with_fewer_cells_is_refused_even_where_text_and_label_are_there(tmp_path):
    text = "\n".join(["text,label,id", *(f"{text},{label},7" for text, label in PAIRS[:-1]), "last,a"])
    assert refused(tmp_path, text).where.endswith("all.csv, line 21")


def test_a_column_that_a_csv_names_twice_is_refused(tmp_path):
    error = refused(
        tmp_path, csv(PAIRS).replace("text,label", "text,text").replace(",", ",x,").replace("text,x,", "text,")
    )
    assert names(error, "columns")
    twice = "\n".join(["text,label,text", *(f"{text},{label},other" for text, label in PAIRS)])
    assert "text, label, text" in refused(tmp_path, twice).found


@pytest.mark.parametrize("name", ["all.csv", "all.tsv"])
def test_lines_before_the_header_are_skipped(tmp_path, name):
    mark = "\t" if name.endswith("tsv") else ","
    table = delimited([("two\nlines", "a"), *PAIRS], delimiter=mark)
    notes = 'Exported 2024, by "someone\n\n'
    assert read(tmp_path, notes + table, name, skip=2) == {"two lines": "a"} | WHOLE
    error = refused(tmp_path, f"{notes}{table}\none{mark}two{mark}three\n", name, skip=2, quoting="minimal")
    assert error.where.endswith("line 27")  # two lines, the header, one of two lines, twenty and a blank one


# Encodings ------------------------------------------------------------------------------------------------------------

ACCENTS = [("für ein café", "a"), ("naïve", "b")]
EURO = [("10 € — “so”", "a"), ("naïve", "b")]


@pytest.mark.parametrize(
    ("encoding", "odd"),
    [("latin-1", ACCENTS), ("cp1252", EURO), ("utf-16", EURO), ("utf-16-be", EURO), ("utf-32", EURO)],
)
def test_an_encoding_can_be_given(tmp_path, encoding, odd):
    assert read(tmp_path, delimited([*odd, *PAIRS]).encode(encoding), encoding=encoding) == dict(odd) | WHOLE


@pytest.mark.parametrize(
    ("encoding", "odd", "line"), [("latin-1", ACCENTS, 2), ("cp1252", EURO, 2), ("utf-16", EURO, 1)]
)
def test_what_is_not_utf8_is_refused_by_its_line_and_both_remedies_read_it(tmp_path, encoding, odd, line):
    content = delimited([*odd, *PAIRS]).encode(encoding)
    error = refused(tmp_path, content)
    assert error.where.endswith(f"all.csv, line {line}")
    key = re.search(r"(?:`encoding: |is )([\w-]+)", error.remedy)[1]
    assert read(tmp_path, content, encoding=key) == dict(odd) | WHOLE
    new = run_offered(error)
    assert new != tmp_path / "all.csv"
    assert read(tmp_path, new.read_bytes()) == dict(odd) | WHOLE


def test_a_single_bad_byte_among_good_ones_can_be_left_out(tmp_path):
    content = delimited([*ACCENTS, *PAIRS]).encode() + b"caf\xe9,a\n"
    error = refused(tmp_path, content)
    assert (error.where.endswith("line 24"), "(1 in all)" in error.remedy) == (True, True)
    assert read(tmp_path, run_offered(error).read_bytes()) == dict([*ACCENTS, ("caf", "a")]) | WHOLE


@pytest.mark.parametrize("suffixes", [".gz", ".bz2", ".gz.xz", ".zip"])
def test_a_compressed_file_in_another_encoding_is_converted_by_the_command(tmp_path, suffixes):
    plain = delimited([*ACCENTS, *PAIRS]).encode("latin-1")
    content = zipped({"all.csv": plain}) if suffixes == ".zip" else in_layers(plain, suffixes)
    new = run_offered(refused(tmp_path, content, f"all{'' if suffixes == '.zip' else '.csv'}{suffixes}"))
    assert read(tmp_path, new.read_bytes(), new.name) == dict(ACCENTS) | WHOLE


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_of_it_is_recognised(tmp_path, encoding):
    content = csv(PAIRS).encode(encoding)
    (key,) = offered(refused(tmp_path, content))
    assert read(tmp_path, content, **key) == WHOLE


def test_an_encoding_that_does_not_fit_is_named(tmp_path):
    error = refused(tmp_path, csv([*ACCENTS, *PAIRS]).encode("latin-1"), encoding="ascii")
    assert (error.where.endswith("line 2"), "`encoding`" in error.remedy) == (True, True)


# Compressed files and archives ----------------------------------------------------------------------------------------


def zipped(members: dict[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


COMPRESS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def in_layers(content: bytes, suffixes: str) -> bytes:
    """Return content compressed once for each suffix, the last one outermost."""
    for suffix in re.findall(r"\.\w+", suffixes):
        content = COMPRESS[suffix](content)
    return content


@pytest.mark.parametrize("suffixes", [".gz.gz", ".bz2.gz", ".gz.xz"])
def test_files_compressed_twice_are_read_as_what_they_hold(tmp_path, suffixes):
    content = in_layers(csv(PAIRS).encode(), suffixes)
    assert read(tmp_path, content, f"all.csv{suffixes}") == WHOLE
    assert read(tmp_path, content, "all.csv.gz") == WHOLE  # as a download that a server compressed once more
    assert read(tmp_path, zipped({"all.csv.gz": gzip.compress(csv(PAIRS).encode())}), "all.zip") == WHOLE


@pytest.mark.parametrize("suffix", [*COMPRESS, ".zip"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_compressed_files_are_read_as_what_they_hold(tmp_path, suffix, form):
    plain = (csv if form == "csv" else jsonl)(PAIRS).encode()
    content = COMPRESS[suffix](plain) if suffix in COMPRESS else zipped({f"in/all.{form}": plain, "__MACOSX/._x": b""})
    assert read(tmp_path, content, f"all.{form}{suffix}" if suffix in COMPRESS else "all.zip") == WHOLE
    assert read(tmp_path, content, f"named_otherwise.{form}", format=form) == WHOLE  # known by its first bytes


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:30] + b"\xff" * 9 + data[39:]])
@pytest.mark.parametrize("suffix", [*COMPRESS])
def test_a_damaged_compressed_file_is_refused(tmp_path, suffix, damage):
    assert refused(tmp_path, damage(COMPRESS[suffix](csv(PAIRS).encode())), f"all.csv{suffix}").where.endswith(suffix)


def test_what_macos_adds_to_a_zip_is_no_file(tmp_path):
    members = {"all.csv": csv(PAIRS), "__MACOSX/._all.csv": "x", ".DS_Store": "x", "._all.csv": "x"}
    assert read(tmp_path, zipped(members), "all.zip") == WHOLE


def test_a_zip_of_several_files_is_unpacked_by_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = refused(tmp_path, zipped({"a.csv": csv(PAIRS[:9]), "b.csv": csv(PAIRS[9:])}), "all.zip")
    assert numbers(error.found) == [2]
    subprocess.run(re.search(r"Run: (unzip [^,]*),", error.remedy)[1], shell=True, check=True, capture_output=True)
    assert split_parts(spec(["a.csv", "b.csv"]), tmp_path, hub=False)[2]["read"] == 20


def test_a_tar_archive_is_unpacked_by_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "inner.csv", csv(PAIRS))
    with tarfile.open("all.csv.gz", "w:gz") as archive:
        archive.add("inner.csv")
    Path("inner.csv").unlink()
    error = refused(tmp_path, Path("all.csv.gz").read_bytes(), "all.csv.gz")
    subprocess.run(re.search(r"Run: (tar [^,]*),", error.remedy)[1], shell=True, check=True)
    assert read(tmp_path, Path("inner.csv").read_bytes()) == WHOLE


def test_an_arrow_file_is_made_a_csv_by_the_command(tmp_path):
    pd.DataFrame([("NA", "a"), *PAIRS], columns=["text", "label"]).to_feather(tmp_path / "all.arrow")
    error = refusal(split_parts, spec("all.arrow"), tmp_path, hub=False)
    assert names(error, "Arrow")
    assert read(tmp_path, run_offered(error).read_bytes()) == {"NA": "a"} | WHOLE


SHEET = """<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>"""


def workbook() -> bytes:
    """Return an Excel workbook of one sheet, of the parts that the format needs."""

    def row(cells):
        return "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in cells)

    rows = "".join(f"<row>{row(cells)}</row>" for cells in [("text", "label"), ("NA", "a"), *PAIRS])
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    return zipped({
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{kind}.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" '
        f'ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
        f'xmlns:r="{office}"><sheets><sheet name="a" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": SHEET.format(rows),
    })  # fmt: skip


@pytest.mark.parametrize("name", ["all.xlsx", "all.csv"])
def test_an_excel_workbook_is_named_and_made_a_csv_by_the_command(tmp_path, name):
    error = refused(tmp_path, workbook(), name)
    assert names(error, "Excel", "pip install openpyxl")
    pytest.importorskip("openpyxl")
    command, new = re.search(r"&& (.*), and name (\S+) in", error.remedy).groups()
    subprocess.run(command, shell=True, check=True)
    assert read(tmp_path, Path(new).read_bytes(), "new.csv") == {"NA": "a"} | WHOLE


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"%PDF-1.7\n", "PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Office"),
        (b"SQLite format 3\0", "SQLite"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"\n\n<!DOCTYPE html>\n<html>", "web page"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        (b"(\xb5/\xfd\x04", "zstd"),
        (zipped({"word/document.xml": "", "_rels/.rels": ""}), "a Word document"),
        (zipped({}), "an empty zip"),
        (gzip.compress(zipped({"all.csv": csv(PAIRS)})), "within another compressed file"),
    ],
)
def test_what_is_no_table_is_named_for_what_it_is(tmp_path, content, kind):
    assert names(refused(tmp_path, content), kind)


# JSON -----------------------------------------------------------------------------------------------------------------

OBJECTS = [{"text": text, "label": label} for text, label in PAIRS]


def test_an_array_is_read_and_each_other_form_leads_to_it(tmp_path):
    array = json.dumps(OBJECTS, indent=1)
    assert read(tmp_path, array, "all.json") == WHOLE
    (key,) = offered(refused(tmp_path, array, "all.jsonl"))
    assert read(tmp_path, array, "all.jsonl", **key) == WHOLE
    (key,) = offered(refused(tmp_path, jsonl(PAIRS), "all.json"))
    assert read(tmp_path, jsonl(PAIRS), "all.json", **key) == WHOLE


def test_an_array_within_an_object_is_taken_out_by_the_command_and_arrays_of_arrays_have_columns(tmp_path):
    error = refused(tmp_path, json.dumps({"val": [], "train": [[*pair] for pair in PAIRS]}), "all.json")
    assert names(error, "val, train")
    run_offered(error)
    assert (tmp_path / "all.val.json").read_text() == "[]"
    array = json.dumps([[*pair] for pair in PAIRS])
    assert "`columns`" in refused(tmp_path, array, "all.json").remedy
    assert read(tmp_path, array, "all.json", columns=["text", "label"]) == WHOLE
    assert read(tmp_path, array, "all.json", columns=["a", "b"], text="a", label="b") == WHOLE


@pytest.mark.parametrize("orient", ["columns", "split", "index", "list"])
def test_an_object_as_pandas_writes_it_becomes_an_array_by_the_command(tmp_path, orient):
    table = pd.DataFrame(PAIRS, columns=["text", "label"])
    content = json.dumps(table.to_dict("list")) if orient == "list" else table.to_json(orient=orient)
    new = run_offered(refused(tmp_path, content, "all.json"))
    assert read(tmp_path, new.read_text(), new.name) == WHOLE


@pytest.mark.parametrize(
    "maps",
    [
        lambda pairs: dict(pairs),
        lambda pairs: {text: "ab".index(label) for text, label in pairs},
        lambda pairs: {name: [text for text, label in pairs if label == name] for name in "ab"},
    ],
    ids=["a label by text", "a number by text", "texts by label"],
)
@pytest.mark.parametrize("columns", [("text", "label"), ("a b", 'the "class"')])
def test_a_map_of_texts_and_labels_becomes_an_array_by_the_command(tmp_path, maps, columns):
    pairs, keys = [('say "it\'s"', "a"), *PAIRS], dict(zip(("text", "label"), columns, strict=True))
    new = run_offered(refused(tmp_path, json.dumps(maps(pairs)), "all.json", **keys))
    numbered = {"0": "a", "1": "b"}
    found = read(tmp_path, new.read_text(), new.name, **keys)
    assert {text: numbered.get(label, label) for text, label in found.items()} == dict(pairs)


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zip"])
@pytest.mark.parametrize("written", ["array", "lines", "map"])
def test_what_python_printed_and_maps_become_arrays_by_the_command_compressed_or_not(tmp_path, written, suffix):
    pairs = [('say "it\'s"', "a"), ("{'x': 1}", "b"), *PAIRS]
    rows = [{"text": text, "label": label} for text, label in pairs]
    text = {"array": str(rows), "lines": "\n".join(map(str, rows)), "map": json.dumps(dict(pairs))}[written]
    plain = text.encode()
    content = zipped({"all.json": plain}) if suffix == ".zip" else in_layers(plain, suffix)
    new = run_offered(refused(tmp_path, content, "all.zip" if suffix == ".zip" else f"all.json{suffix}"))
    assert read(tmp_path, new.read_text(), new.name) == dict(pairs)
    if written == "lines":
        new = run_offered(refused(tmp_path, text, "all.jsonl"))
        assert read(tmp_path, new.read_text(), new.name) == dict(pairs)


@pytest.mark.parametrize("content", [{"name": "a set", "version": "1"}, {"text": "a", "label": "a"}, {}])
def test_an_object_without_examples_is_no_map_of_them(tmp_path, content):
    assert "python" not in refused(tmp_path, json.dumps(content), "all.json").remedy


@pytest.mark.parametrize("end", ["\n", "\n\n", "\r\n"])
def test_objects_of_several_lines_one_after_the_other_become_an_array_by_the_command(tmp_path, end):
    content = end.join(json.dumps(each, indent=2) for each in OBJECTS)
    new = run_offered(refused(tmp_path, content, "all.json"))
    assert read(tmp_path, new.read_text(), new.name) == WHOLE


def test_arrays_a_line_become_an_array_by_the_command(tmp_path):
    error = refused(tmp_path, "\n".join(json.dumps(pair) for pair in PAIRS), "all.jsonl")
    new = run_offered(error)
    assert "`columns`" in error.remedy
    assert read(tmp_path, new.read_text(), new.name, columns=["text", "label"]) == WHOLE


@pytest.mark.parametrize("item", [3, "text", None, ["a", "b"]])
def test_an_item_that_is_no_example_is_named(tmp_path, item):
    assert "item 21" in refused(tmp_path, json.dumps([*OBJECTS, item]), "all.json").found


@pytest.mark.parametrize("name", ["all.json", "all.jsonl"])
def test_a_key_that_occurs_twice_in_an_object_is_refused(tmp_path, name):
    twice = '{"text": "a", "text": "b", "label": "a"}'
    text = f"[{twice}]" if name == "all.json" else f"{jsonl(PAIRS)}\n{twice}"
    assert names(refused(tmp_path, text, name), "twice", "text, text, label")


# Several files, labels elsewhere --------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [["part-0.csv", "part-1.jsonl.gz"], "part-*", ["part-*", "part-0.csv"]])
def test_several_files_are_read_as_one_and_the_rows_of_each_are_counted(tmp_path, files):
    write(tmp_path, "part-0.csv", csv(PAIRS[:8]))
    write(tmp_path, "part-1.jsonl.gz", gzip.compress(jsonl(PAIRS[8:]).encode()))
    train, evaluation, facts = split_parts(spec(files), tmp_path, hub=False)
    assert labelled(train, evaluation, classes=["a", "b"]) == WHOLE
    assert facts["files"] == {"file": {"part-0.csv": 8, "part-1.jsonl.gz": 12}}
    check_account(facts)


def test_a_flaw_in_one_of_several_files_is_named_by_its_file_and_line(tmp_path):
    write(tmp_path, "part-0.csv", csv(PAIRS))
    write(tmp_path, "part-1.csv", csv([*PAIRS, ("", "a")]))
    assert refusal(split_parts, spec("part-*.csv"), tmp_path, hub=False).where.endswith(
        "part-1.csv, line 22, column text"
    )


def test_a_pattern_of_nothing_is_named(tmp_path):
    assert names(refusal(split_parts, spec("part-*.csv"), tmp_path, hub=False), "'part-*.csv'")


def test_a_name_with_marks_of_a_pattern_is_a_name_where_there_is_such_a_file(tmp_path):
    write(tmp_path, "[a]*.csv", csv(PAIRS))
    write(tmp_path, "a1.csv", "nothing")
    assert split_parts(spec("[a]*.csv"), tmp_path, hub=False)[2]["read"] == 20


def lines_of(label: str) -> str:
    return "".join(f"{text}\n" for text, own in PAIRS if own == label)


def test_a_file_for_each_class(tmp_path):
    for label in "ab":
        write(tmp_path, f"{label}.txt", lines_of(label))
    keys = {"format": "lines", "label_from": "file", "text": None, "label": None}
    train, evaluation, facts = split_parts(spec("*.txt", **keys), tmp_path, hub=False)
    assert labelled(train, evaluation, classes=facts["classes"]) == WHOLE


@pytest.mark.parametrize("form", ["lines", "text"])
def test_a_folder_for_each_class(tmp_path, form):
    for number, (text, label) in enumerate(PAIRS):
        (tmp_path / label).mkdir(exist_ok=True)
        write(tmp_path, f"{label}/{number}.txt", text.replace(" ", "\n") if form == "text" else f"{text}\n")
    keys = {"format": form, "label_from": "folder", "text": None, "label": None}
    train, evaluation, facts = split_parts(spec("*/*.txt", **keys), tmp_path, hub=False)
    assert labelled(train, evaluation, classes=facts["classes"]) == WHOLE


def test_a_table_for_each_class(tmp_path):
    for label in "ab":
        write(tmp_path, f"{label}.csv.gz", gzip.compress(csv([pair for pair in PAIRS if pair[1] == label]).encode()))
    train, evaluation, facts = split_parts(spec("*.csv.gz", label_from="file", label=None), tmp_path, hub=False)
    assert labelled(train, evaluation, classes=facts["classes"]) == WHOLE


def test_texts_and_labels_in_two_files_line_by_line(tmp_path):
    keys = {"format": "lines", "label_file": "labels.txt", "text": None, "label": None}
    write(tmp_path, "labels.txt", "".join(f"{label}\n" for _, label in [*PAIRS, ("", "a")]))
    texts = "".join(f"{text}\n" for text, _ in PAIRS)
    error = refused(tmp_path, texts, "texts.txt", **keys)
    assert (error.where.endswith("labels.txt"), numbers(error.found)) == (True, [21])
    error = refused(tmp_path, f"{texts}\n", "texts.txt", **keys)
    assert error.where.endswith("texts.txt, line 21, column text")
    assert read(tmp_path, f"{texts}\n", "texts.txt", **keys, drop_empty=True) == WHOLE
    write(tmp_path, "labels.txt", "".join(f"{label}\n" for _, label in PAIRS))
    assert read(tmp_path, texts, "texts.txt", **keys) == WHOLE


def test_a_file_of_labels_that_is_no_text_is_refused(tmp_path):
    write(tmp_path, "labels.txt", "\n".join(label for _, label in PAIRS) + "\0")
    keys = {"format": "lines", "label_file": "labels.txt", "label": None}
    error = refused(tmp_path, "\n".join(text for text, _ in PAIRS), "all.txt", **keys)
    assert error.where.endswith("labels.txt")


def test_columns_are_joined_and_blank_ones_left_out(tmp_path):
    rows = [
        ("Title", "the body", "a"),
        ("", "body alone", "b"),
        ("Title alone", " ", "a"),
        *(("T", *pair) for pair in PAIRS),
    ]
    text = pd.DataFrame(rows, columns=["title", "text", "label"]).to_csv(index=False)
    expected = {"Title the body": "a", "body alone": "b", "Title alone": "a"} | {f"T {t}": label for t, label in PAIRS}
    keys = {"join": ["title", "text"], "text": None}
    assert read(tmp_path, text, **keys) == expected
    assert refused(tmp_path, f"{text},,a\n", **keys).where.endswith("line 25, column title + text")
    assert "title" in refused(tmp_path, csv(PAIRS), **keys).allowed


def test_a_share_is_held_out(tmp_path):
    train, evaluation, facts = prepared(tmp_path, csv(PAIRS), eval_examples=0.3)
    assert (len(train), len(evaluation)) == (14, 6)
    check_account(facts)
