"""Ids: of content and choices, never of places, dates or defaults."""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import tiny
from finevar.errors import InputError
from finevar.study import config as config_module
from finevar.study import identity
from finevar.study.config import read_config
from finevar.study.design import Study, plan_study

RAW: dict[str, Any] = {
    "study": "toy",
    "sources": {"model": {"kind": "local", "path": "mine/model"}, "texts": {"kind": "local", "path": "mine/texts"}},
    "model": "model",
    "datasets": {
        "texts": {"source": "texts", "file": "texts.csv", "text": "sentence", "label": "label", "eval_examples": 40}
    },
    "baseline": {"dataset": "texts", "settings": {"learning_rate": 1e-3}},
    "sweep": {"datasets": ["texts"], "factors": {"learning_rate": {"levels": [1e-3, 3e-3]}}, "seeds": [0, 1]},
    "analysis": {"model": "first_order"},
}


@pytest.fixture
def raw(tmp_path, monkeypatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    Path("mine/texts").mkdir(parents=True)
    tiny.make_model(Path("mine/model"))
    tiny.write_csv(Path("mine/texts/texts.csv"), tiny.make_sentences(80))
    return copy.deepcopy(RAW)


def plan(raw: dict[str, Any]) -> Study:
    return plan_study(read_config(raw))


def ids(raw: dict[str, Any]) -> tuple:
    study = plan(raw)
    return study.model_id, study.baseline_id, *study.dataset_ids.values(), *study.runs


def edit(path: str, old: str, new: str, *, when: float | None = None) -> None:
    file = Path(path)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    if when:
        os.utime(file, (when, when))


@pytest.mark.parametrize("when", [None, 1e9])
@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("mine/texts/texts.csv", "positive", "negative"),
        ("mine/model/config.json", '"n_heads": 4', '"n_heads": 2'),
        ("mine/model/tokenizer.json", "good", "gold"),
        ("mine/model/tokenizer_config.json", "64", "32"),
    ],
)
def test_an_edit_of_a_local_file_gives_new_ids_whatever_its_date(raw, path, old, new, when):
    before = ids(raw)
    edit(path, old, new, when=when)
    after = ids(raw)
    assert not set(before[3:]) & set(after[3:])
    assert before[1] != after[1]
    edit(path, new, old)
    assert ids(raw) == before


def test_other_weights_give_new_ids(raw):
    before = ids(raw)
    with Path("mine/model/model.safetensors").open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\1")
    assert not set(before[3:]) & set(ids(raw)[3:])


def test_places_dates_and_neighbours_change_no_id(raw):
    before = ids(raw)
    Path("mine/texts/notes.txt").write_text("a note")
    Path("mine/model/README.md").write_text("a note")
    os.utime("mine/texts/texts.csv")
    assert ids(raw) == before
    shutil.move("mine", "yours")
    raw["sources"]["model"]["path"], raw["sources"]["texts"]["path"] = "yours/model", "yours/texts"
    Path("yours/texts/texts.csv").rename("yours/texts/sentences.csv")
    raw["datasets"]["texts"]["file"] = "sentences.csv"
    assert ids(raw) == before


def test_another_order_of_the_rows_changes_no_id(raw):
    before, file = ids(raw), Path("mine/texts/texts.csv")
    header, *rows = file.read_text().splitlines(keepends=True)
    file.write_text("".join([header, *reversed(rows)]))
    assert ids(raw) == before


def test_a_format_that_is_written_out_changes_no_id_and_another_one_does(raw):
    before = ids(raw)
    raw["datasets"]["texts"]["format"] = "csv"
    assert ids(raw) == before
    raw["datasets"]["texts"] |= {"format": "tsv"}
    assert not set(before[3:]) & set(ids(raw)[3:])


def test_a_default_written_out_and_a_setting_that_is_new_change_no_id(raw, monkeypatch):
    before = ids(raw)
    raw["training"] = {"schedule": "linear", "clip_norm": 1}
    raw["datasets"]["texts"]["margin"] = 0
    assert ids(raw) == before
    new = config_module.TRAINING_DEFAULTS | {"label_smoothing": 0.0}
    for module in (config_module, identity):
        monkeypatch.setattr(module, "TRAINING_DEFAULTS", new)
    assert ids(raw) == before
    raw["training"] = {"clip_norm": 2.0}
    assert not set(before[3:]) & set(ids(raw)[3:])


def test_another_name_for_the_models_source_changes_no_id(raw):
    before = ids(raw)
    raw["sources"]["bert"] = raw["sources"].pop("model")
    raw["model"] = "bert"
    assert ids(raw) == before


def test_cards_are_known_by_what_they_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("cards", "others"):
        Path(folder, "a").mkdir(parents=True)
        Path(folder, "a", "README.md").write_text("card")
    Path("facts.csv").write_text("card_id,loss\n")
    known = identity.cards_identity({"folder": "cards"})
    assert identity.cards_identity({"folder": "others"}) == known
    Path("others/a/README.md").write_text("another")
    assert identity.cards_identity({"folder": "others"}) != known
    facts = identity.cards_identity({"facts": "facts.csv"})
    Path("facts.csv").rename("moved.csv")
    assert identity.cards_identity({"facts": "moved.csv"}) == facts
    assert identity.cards_identity({"hub": ["a/b"]}) == []


@pytest.mark.parametrize("path", ["x" * 300, "a\0b"])
def test_a_path_that_is_none_is_an_error_of_the_config(raw, path):
    raw["sources"]["model"]["path"] = path
    with pytest.raises(InputError, match=r"config\.json"):
        plan(raw)


def test_all_files_that_are_not_there_are_named_before_anything_runs(raw):
    raw["sources"]["model"]["path"], raw["datasets"]["texts"]["file"] = "nowhere", "none.csv"
    with pytest.raises(InputError) as caught:
        plan(raw)
    assert "nowhere" in str(caught.value)
    assert "none.csv" in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_local_model_that_lacks_a_file_is_refused(raw, name):
    Path("mine/model", name).unlink()
    with pytest.raises(InputError, match=name):
        plan(raw)


def test_a_job_whose_files_changed_since_the_plan_is_refused(raw):
    study = plan(raw)
    made = identity.dataset_identity(study.config, "texts")
    identity.require_planned(made, study.dataset_ids["texts"], "texts.csv")
    edit("mine/texts/texts.csv", "positive", "negative")
    with pytest.raises(InputError):
        identity.require_planned(
            identity.dataset_identity(study.config, "texts"), study.dataset_ids["texts"], "texts.csv"
        )


def test_runs_that_start_from_the_pretrained_model_are_other_runs_of_the_same_study(raw):
    raw["sweep"]["start"] = "baseline"
    trained = plan(raw)
    assert ids(RAW | {"sweep": RAW["sweep"]}) == ids(raw)
    raw["sweep"]["start"] = "model"
    afresh = plan(raw)
    assert not set(trained.runs) & set(afresh.runs)
    assert (afresh.baseline_id, afresh.model_id) == (trained.baseline_id, trained.model_id)
    raw["baseline"]["settings"] |= {"epochs": 7}  # of which nothing else comes than the baseline
    assert set(plan(raw).runs) == set(afresh.runs)
