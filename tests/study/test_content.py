"""Files known by what they hold: whatever the dates, the place and, of examples, the order say."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import time
from pathlib import Path

import pytest

from finevar.errors import InputError
from finevar.study import content
from finevar.study.content import examples_sha256, file_sha256
from finevar.study.dialects import Dialect

PAST = time.time() - 1000


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str | bytes, name: str = "data.csv", when: float = PAST) -> Path:
    path = Path(name)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    os.utime(path, (when, when))
    return path


def dialect(form: str | None, *, header: bool = True, quoting: str = "minimal", skip: int = 0) -> Dialect:
    return Dialect(form, "", quoting if form == "csv" else "none", "utf-8", skip, header and form in ("csv", "tsv"))


def of(text: str | bytes, form: str = "csv", *, header: bool = True) -> str:
    return examples_sha256(write(text), dialect(form, header=header))


def test_a_file_is_known_by_its_sha256():
    assert file_sha256(write("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    "other",
    [
        "text,label\nb,1\na,0\nc,1\n",
        "text,label\na,0\nc,1\nb,1\n",
        "text,label\r\na,0\r\nb,1\r\nc,1\r\n",
        "text,label\na,0\nb,1\nc,1",
        "text,label\n\na,0\n\n\nb,1\nc,1\n\n",
        "  \ntext,label\na,0\n \nb,1\nc,1\n",
    ],
)
def test_the_order_and_the_ends_of_lines_say_nothing(other):
    assert of(other) == of("text,label\na,0\nb,1\nc,1\n")


@pytest.mark.parametrize(
    "other",
    [
        "text,label\na,0\nb,1\nc,0\n",
        "text,label\na,0\nb,1\n",
        "text,label\na,0\nb,1\nc,1\nc,1\n",
        "text,label\na,0\nb,1\nc ,1\n",
        "label,text\na,0\nb,1\nc,1\n",
        "a,0\ntext,label\nb,1\nc,1\n",
        "",
    ],
)
def test_every_edit_of_an_example_and_of_the_header_is_seen(other):
    assert of(other) != of("text,label\na,0\nb,1\nc,1\n")


def test_a_line_break_within_quotation_marks_ends_no_example():
    one, two = 'text,label\n"a\nb",0\n"c\nd",1\n', 'text,label\n"c\nd",1\n"a\nb",0\n'
    assert of(one) == of(two)
    assert of(one) != of('text,label\n"a\nd",0\n"c\nb",1\n')


def test_a_lone_quotation_mark_is_a_character_where_there_is_no_quoting():
    assert of('text\tlabel\n5" disk\t0\nb\t1\n', "tsv") == of('text\tlabel\nb\t1\n5" disk\t0\n', "tsv")
    assert of('{"t": "5\\" disk"}\n{"t": "b"}\n', "jsonl") == of('{"t": "b"}\n{"t": "5\\" disk"}\n', "jsonl")


def test_without_a_header_the_first_line_is_an_example_like_any_other():
    assert of("b,1\na,0\n", header=False) == of("a,0\nb,1\n", header=False)
    assert of('{"a": 1}\n{"b": 2}\n', "jsonl") == of('{"b": 2}\n{"a": 1}\n', "jsonl")


@pytest.mark.parametrize("form", ["parquet", None])
def test_of_other_formats_all_bytes_count(form):
    assert of(b"ab\ncd\n", form) == hashlib.sha256(b"ab\ncd\n").hexdigest()


def test_items_of_a_json_array_are_known_in_any_order():
    assert of('[{"a": 1}, {"a": 2}]', "json") == of('[{"a": 2},\n {"a": 1}]', "json")
    assert of('[{"a": 1}, {"a": 2}]', "json") != of('[{"a": 1}, {"a": 3}]', "json")
    assert of("[1", "json") == hashlib.sha256(b"[1").hexdigest()


def test_lines_before_the_header_say_nothing_and_the_header_stays_the_first():
    def known(text):
        return examples_sha256(write(text), dialect("csv", skip=1))

    assert known("note\ntext,label\na,0\nb,1\n") == known('"other\ntext,label\nb,1\na,0\n')
    assert known("note\ntext,label\na,0\nb,1\n") != known("note\na,0\ntext,label\nb,1\n")


def test_shuffled_files_are_alike_and_changed_ones_are_not():
    draw = random.Random(0)
    lines = [f'"sentence, number {number}\nin two lines",{number % 3}' for number in range(50)]
    whole = of("\n".join(["text,label", *lines]))
    for _ in range(20):
        draw.shuffle(lines)
        assert of("\n".join(["text,label", *lines])) == whole
        changed = list(lines)
        changed[draw.randrange(50)] += "1"
        assert of("\n".join(["text,label", *changed])) != whole


def test_a_stray_quotation_mark_in_a_large_file_takes_no_longer(monkeypatch):
    path = write('text,label\na " b,0\n' + "c,1\n" * 400_000)
    monkeypatch.setattr(content, "remembered", lambda path, _, compute: compute(path))
    begun = time.process_time()
    examples_sha256(path, dialect("csv"))
    assert time.process_time() - begun < 20  # quadratic work would take hours


# Remembering ----------------------------------------------------------------------------------------------------------


def settle(path: Path, monkeypatch) -> None:
    """Let a file count as one that was last changed long ago."""
    now = time.time() + 60
    monkeypatch.setattr(content.time, "time", lambda: now)


def test_a_file_is_read_once_for_as_long_as_it_stays_as_it_is(monkeypatch):
    path = write("abc")
    settle(path, monkeypatch)
    whole = file_sha256(path)
    monkeypatch.setattr(content, "sha256_of", lambda _: pytest.fail("read again"))
    assert file_sha256(path) == whole
    assert file_sha256(path.absolute()) == whole


def replaced(path: Path) -> None:
    other = write("abd", "other", when=PAST - 500)
    other.replace(path)


def copied_over(path: Path) -> None:
    times = path.stat()
    path.write_text("abd")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def grown(path: Path) -> None:
    with path.open("a") as file:
        file.write("d")
    os.utime(path, (PAST, PAST))


def swapped(path: Path) -> None:
    path.rename("aside")
    write("abd")


@pytest.mark.parametrize("edit", [replaced, copied_over, grown, swapped])
def test_an_edit_is_seen_whatever_date_it_has(edit, monkeypatch):
    path = write("abc")
    settle(path, monkeypatch)
    before = file_sha256(path)
    assert file_sha256(path) == before
    edit(path)
    assert file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest() != before


def test_a_file_changed_just_now_is_not_remembered_as_it_may_change_within_its_date():
    path = write("abc", when=time.time())
    file_sha256(path)
    assert not content.MEMORY.exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"stamp": 3}', "\0" * 50])
def test_a_damaged_memory_costs_time_alone(damage, monkeypatch):
    path = write("abc")
    settle(path, monkeypatch)
    whole = file_sha256(path)
    (note,) = content.MEMORY.iterdir()
    note.write_text(damage)
    assert file_sha256(path) == whole


def test_what_cannot_be_remembered_is_read(monkeypatch):
    path = write("abc")
    settle(path, monkeypatch)
    content.MEMORY.parent.mkdir()
    content.MEMORY.write_text("no folder")
    assert file_sha256(path) == hashlib.sha256(b"abc").hexdigest()


def test_two_ways_of_reading_one_file_are_remembered_apart(monkeypatch):
    path = write("a,b\nc,d\n")
    settle(path, monkeypatch)
    ways = [("csv", True), ("csv", False), ("tsv", True), (None, True)]
    found = [examples_sha256(path, dialect(form, header=header)) for form, header in ways]
    assert found == [examples_sha256(path, dialect(form, header=header)) for form, header in ways]
    assert all(one != two for one, two in itertools.combinations([found[0], found[1], found[3]], 2))


@pytest.mark.parametrize("name", ["gone.csv", "folder", "folder/in/it", "x" * 5000, "a\0b"])
def test_what_cannot_be_read_is_named(name):
    Path("folder").mkdir()
    with pytest.raises(InputError):
        file_sha256(name)
