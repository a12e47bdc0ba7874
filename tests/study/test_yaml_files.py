"""What is wrong in a YAML file is named by its line, and following the remedy makes the file readable."""

from __future__ import annotations

from pathlib import Path

import pytest

from finevar.errors import InputError
from finevar.study.yaml_files import load_config, read_yaml

FAULTY = {  # by kind: a file, the line at fault, and what the remedy makes of the file
    "a colon in a value": ("a: 1\nb: review: the text\n", 2, 'a: 1\nb: "review: the text"\n'),
    "a tab": ("a:\n\tb: 2\n", 2, "a:\n  b: 2\n"),
    "an open quotation mark": ('a: 1\nb: "open\nc: 2\n', 2, 'a: 1\nb: "open"\nc: 2\n'),
    "an open bracket": ("a: 1\nb: [1, 2\nc: 3\n", 2, "a: 1\nb: [1, 2]\nc: 3\n"),
    "an open brace": ("a: 1\nb: {c: 1\n", 2, "a: 1\nb: {c: 1}\n"),
    "uneven indentation": ("a:\n  b: 1\n   c: 2\n", 3, "a:\n  b: 1\n  c: 2\n"),
    "no blank after a colon": ("a: 1\nb:2\n", 2, "a: 1\nb: 2\n"),
    "a star": ("a: 1\nb: *\n", 2, 'a: 1\nb: "*"\n'),
    "an alias of nothing": ("a: 1\nb: *c\n", 2, 'a: 1\nb: "*c"\n'),
    "an at sign": ("a: 1\nb: @c\n", 2, 'a: 1\nb: "@c"\n'),
    "a percent sign": ("a: 1\nb: %c\n", 2, 'a: 1\nb: "%c"\n'),
    "an exclamation mark": ("a: 1\nb: !c d\n", 2, 'a: 1\nb: "!c d"\n'),
    "an apostrophe in apostrophes": ("a: 1\nb: 'it's'\n", 2, 'a: 1\nb: "it\'s"\n'),
    "two documents": ("a: 1\n---\nb: 2\n", 2, "a: 1\nb: 2\n"),
    "a key twice": ("a: 1\nb: 2\na: 3\n", 3, "a: 1\nb: 2\nc: 3\n"),
    "a key twice, deeper": ("a:\n  b: 2\n  c: 1\n  b: 3\n", 4, "a:\n  b: 2\n  c: 1\n  d: 3\n"),
    "a character that nobody sees": ("a: 1\nb: 2\x07\n", 2, "a: 1\nb: 2\n"),
}


def refused(path: Path) -> InputError:
    with pytest.raises(InputError) as error:
        load_config(path)
    return error.value


@pytest.mark.parametrize(("written", "line", "mended"), FAULTY.values(), ids=FAULTY)
def test_the_line_is_named_and_the_remedy_helps(tmp_path, written, line, mended):
    path = tmp_path / "study.yaml"
    path.write_text(written)
    error = refused(path)
    assert error.where == f"{path}, line {line}"
    assert written.splitlines()[line - 1].strip().encode("unicode_escape").decode() in error.found
    path.write_text(mended)
    assert load_config(path)


def test_a_byte_that_is_not_utf_8_is_named_by_its_line(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    assert refused(path).where == f"{path}, line 2"


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "only text\n", "# a comment\n"])
def test_a_config_has_keys(tmp_path, content):
    path = tmp_path / "study.yaml"
    path.write_text(content)
    assert refused(path).where == str(path)


def test_of_a_misspelt_name_the_ones_like_it_are_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config/studies").mkdir(parents=True)
    for name in ("reviews", "tickets"):
        Path(f"config/studies/{name}.yaml").touch()
    error = refused(Path("review.yaml"))
    assert "config/studies/reviews.yaml" in error.allowed
    assert "tickets" not in error.allowed
    assert "tickets" in refused(Path("config")).allowed


def test_merged_keys_may_be_overridden(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text("base: &base {a: 1}\nown: {<<: *base, a: 2}\n")
    assert read_yaml(path)["own"] == {"a": 2}
