"""A study is written from a file of texts and labels, its columns found, and it is one that can be planned."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from finevar import ROOT
from finevar.commands import new
from finevar.errors import InputError
from finevar.study.config import read_config
from finevar.study.design import plan_study
from finevar.study.yaml_files import load_config

ROWS = [
    {"id": number, "when": f"2026-01-{number % 28 + 1:02d}", "mood": label, "note": f"{text}, said number {number}"}
    for number in range(90)
    for label, text in [(("bad", "ugly", "good")[number % 3], ("it fails", "it looks odd", "it works")[number % 3])]
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, whose files lie in a folder with a blank in its name."""
    monkeypatch.chdir(tmp_path)
    Path("my data").mkdir()


def planned(name: str) -> tuple[dict, int]:
    """Return the data set's part of a config, and how many runs the study has."""
    config = read_config(load_config(Path(f"config/studies/{name}.yaml")))
    return config["datasets"][name], len(plan_study(config).runs)


@pytest.mark.parametrize(
    ("file", "write", "keys"),
    [
        ("a.csv", lambda rows, path: rows.to_csv(path, index=False), {}),
        ("a.csv", lambda rows, path: rows.to_csv(path, index=False, sep=";"), {"separator": ";"}),
        ("a.csv", lambda rows, path: rows.to_csv(path, index=False, encoding="cp1252"), {"encoding": "cp1252"}),
        ("a.tsv", lambda rows, path: rows.to_csv(path, index=False, sep="\t"), {}),
        ("a.jsonl", lambda rows, path: rows.to_json(path, orient="records", lines=True), {}),
        ("a.json", lambda rows, path: rows.to_json(path, orient="records"), {}),
        ("a.csv.gz", lambda rows, path: rows.to_csv(path, index=False), {}),
        ("a.parquet", lambda rows, path: rows.to_parquet(path), {}),
    ],
)
def test_a_file_becomes_a_study(file, write, keys):
    rows = pd.DataFrame(ROWS)
    rows.loc[0, "note"] = "café: 'it' \"fails\""
    path = Path("my data", file)
    write(rows, path)
    new.write_study(path, None, None, None)
    spec, runs = planned("a")
    assert (spec["file"], spec["text"], spec["label"], spec["eval_examples"]) == (file, "note", "mood", 27)
    assert {key: spec[key] for key in ("separator", "encoding") if key in spec} == keys
    assert runs == 80  # 15 settings of a central composite design and the baseline's, at 5 seeds


def test_columns_and_name_are_taken_as_said():
    path = Path("my data", "Über uns (2).csv")
    pd.DataFrame(ROWS).assign(**{"other: note": lambda rows: rows["note"] + "!"}).to_csv(path, index=False)
    new.write_study(path, "other: note", "mood", "Mine 1")
    spec, _ = planned("mine_1")
    assert (spec["file"], spec["text"]) == (path.name, "other: note")


@pytest.mark.parametrize("name", ["premise,hypothesis", "premise, hypothesis"])
def test_two_columns_are_a_pair(name):
    rows = pd.DataFrame({"premise": [f"it rains {k // 2}" for k in range(90)], "label": ["yes", "no"] * 45})
    rows.assign(hypothesis=[f"it is wet {k}" for k in range(90)]).to_csv("nli.csv", index=False)
    new.write_study(Path("nli.csv"), name, "label", None)
    spec, _ = planned("nli")
    assert spec["text"] == ["premise", "hypothesis"]


def test_a_comma_in_a_columns_name_makes_no_pair():
    pd.DataFrame(ROWS).rename(columns={"note": "note,mood"}).to_csv("a.csv", index=False)
    new.write_study(Path("a.csv"), "note,mood", "mood", None)
    assert planned("a")[0]["text"] == "note,mood"


def test_a_config_that_is_there_is_kept():
    path = Path("my data", "a.csv")
    pd.DataFrame(ROWS).to_csv(path, index=False)
    new.write_study(path, "note", "mood", None)
    Path("config/studies/a.yaml").write_text("mine")
    with pytest.raises(InputError) as error:
        new.write_study(path, "note", "mood", None)
    assert error.value.where == "config/studies/a.yaml"
    assert Path("config/studies/a.yaml").read_text() == "mine"


def test_what_cannot_be_guessed_is_asked_for(monkeypatch):
    path = Path("my data", "a.jsonl")
    path.write_text("\n".join(json.dumps({"x": "one", "y": str(number)}) for number in range(9)))
    with pytest.raises(InputError) as error:
        new.write_study(path, None, None, None)
    assert "--text" in error.value.remedy
    answers = iter(["note", ""])
    pd.DataFrame(ROWS).to_csv("a.csv", index=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    new.write_study(Path("a.csv"), None, None, None)
    assert planned("a")[0]["label"] == "mood"


@pytest.mark.parametrize("name", ["nope.csv", "my data", "a.docx"])
def test_what_is_no_table_is_refused(name):
    Path("a.docx").touch()
    with pytest.raises(InputError):
        new.write_study(Path(name), None, None, None)


def test_the_example_of_the_repository_becomes_a_study():
    new.write_study(ROOT / "config/examples/tickets.csv", None, None, None)
    spec, _ = planned("tickets")
    assert (spec["text"], spec["label"], spec["eval_examples"]) == ("body", "queue", 108)  # 30 % of 360


def written(rows: list[tuple], *keys: str, file: str = "a.csv", **options) -> dict:
    """Write a study of rows of a text and a label; return the data set's part of its config."""
    path = Path("my data", file)
    table = pd.DataFrame(rows, columns=["text", "label"])
    table.to_json(path, orient="records", lines=True) if path.suffix == ".jsonl" else table.to_csv(
        path, index=False, **options
    )
    new.write_study(path, None, None, None, keys)
    return planned(path.stem)[0]


def labelled(*labels: str, count: int = 60) -> list[tuple[str, str]]:
    return [(f"it is number {number}", labels[number % len(labels)]) for number in range(count)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_as_excel_writes_it_becomes_a_study(end):
    path = Path("my data", "a.csv")
    content = "sep=;\n" + pd.DataFrame(labelled("a", "b"), columns=["text", "label"]).to_csv(index=False, sep=";")
    path.write_bytes(content.replace("\n", end).encode("utf-8-sig"))
    new.write_study(path, None, None, None)
    assert {"separator", "encoding"}.isdisjoint(planned("a")[0])


def test_utf16_is_read():
    spec = written(labelled("a", "b"), sep="\t", encoding="utf-16")
    assert (spec["separator"], spec["encoding"]) == ("\t", "utf-16")


@pytest.mark.parametrize("rows", [8, 20, 44])
def test_batches_are_no_larger_than_what_there_is_to_train_on(rows):
    written(labelled("a", "b", count=rows))
    batches = load_config(Path("config/studies/a.yaml"))["sweep"]["factors"]["batch_size"]["levels"]
    trained = rows - round(0.3 * rows)
    assert (len(batches), batches[-1] <= trained < 2 * batches[-1]) == (3, True)


def test_too_few_examples_are_said_so():
    pd.DataFrame(labelled("a", "b", count=4), columns=["text", "label"]).to_csv("a.csv", index=False)
    with pytest.raises(InputError) as error:
        new.write_study(Path("a.csv"), "text", "label", None)
    assert "2 examples" in error.value.found  # as one of each class is evaluated on


def test_cells_of_nothing_and_of_any_length_are_read():
    assert written([*labelled("a", "b"), ("no label", None)], file="a.jsonl")["label"] == "label"
    assert written([*labelled("a", "b"), ("long " * 40_000, "a")], file="b.csv")["text"] == "text"


def test_cells_of_several_lines_are_read():
    rows = [(f"{text}\nand a second line", label) for text, label in labelled("a", "b")]
    assert written(rows)["text"] == "text"


def test_columns_of_one_name_are_no_candidates():
    table = pd.DataFrame([(*row, "", "x") for row in labelled("a", "b")], columns=["text", "label", "", ""])
    table.to_csv(Path("my data", "a.csv"), index=False)
    new.write_study(Path("my data", "a.csv"), None, None, None)
    assert planned("a")[0]["label"] == "label"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", ""),
        ("a.csv", "\n \n"),
        ("a.csv", "text,label\n"),
        ("a.json", '{"a": [1], "b": []}'),
        ("a.json", "{}\n{}"),
    ],
)
def test_what_holds_no_examples_is_refused(name, content):
    Path("my data", name).write_text(content)
    with pytest.raises(InputError):
        new.write_study(Path("my data", name), None, None, None)


@pytest.mark.parametrize(
    ("rows", "key"),
    [
        ([*labelled("a", "b"), ("one of a kind", "rare")], "drop_rare_classes: 2"),
        (labelled(*map(str, range(30))), "threshold: 14.5"),
        ([*labelled("a", "b"), (None, "a")], "drop_empty: true"),
    ],
)
def test_a_key_that_an_error_offers_is_an_option_here(rows, key, capsys):
    path = Path("my data", "a.csv")
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(path, index=False)
    assert new.main(["--data", str(path), "--text", "text", "--label", "label"]) == 1
    name = key.partition(":")[0]
    assert f"--key '{name}: " in capsys.readouterr().err
    assert new.main(["--data", str(path), "--text", "text", "--label", "label", "--key", key]) == 0
    assert name in planned("a")[0]


def test_columns_are_joined_and_a_format_is_given_by_keys():
    rows = [{"title": f"title {number}", "body": f"body {number}", "kind": "ab"[number % 2]} for number in range(60)]
    pd.DataFrame(rows).to_csv(Path("my data", "a.txt"), index=False)
    new.write_study(Path("my data", "a.txt"), None, None, None, ["join: [title, body]", "format: csv"])
    spec, _ = planned("a")
    assert (spec["join"], spec["label"], "text" in spec) == (["title", "body"], "kind", False)


@pytest.mark.parametrize("key", ["nope: 1", "text: a", "drop_rare_classes: two", "drop_rare_classes", "a: [", ""])
def test_a_key_that_cannot_be_meant_is_refused(key):
    with pytest.raises(InputError):
        written(labelled("a", "b"), key)
