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
