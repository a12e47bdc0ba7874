"""Ids: of content and choices, never of places, dates or defaults."""

from __future__ import annotations

import copy
import gzip
import lzma
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
from finevar.study.identity import dataset_identity

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
    return *study.model_ids.values(), *study.baseline_ids.values(), *study.dataset_ids.values(), *study.runs


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


def of_texts(raw: dict[str, Any], **keys: Any) -> str:
    """Return the data set's id with other keys."""
    raw["datasets"]["texts"] |= keys
    return plan(raw).dataset_ids["texts"]


def test_a_compressed_copy_has_the_same_id(raw):
    before, plain = ids(raw), Path("mine/texts/texts.csv").read_bytes()
    for suffix, compress in {".gz": gzip.compress, ".xz": lzma.compress}.items():
        Path(f"mine/texts/texts.csv{suffix}").write_bytes(compress(plain))
        raw["datasets"]["texts"]["file"] = f"texts.csv{suffix}"
        assert ids(raw) == before


def test_parts_are_known_by_content_in_any_order_and_by_pattern(raw):
    header, *rows = Path("mine/texts/texts.csv").read_text().splitlines(keepends=True)
    for number, part in enumerate((rows[:30], rows[30:])):
        Path(f"mine/texts/part-{number}.csv").write_text("".join([header, *part]))
    known = of_texts(raw, file=["part-0.csv", "part-1.csv"])
    assert of_texts(raw, file=["part-1.csv", "part-0.csv"]) == of_texts(raw, file="part-*.csv") == known
    assert of_texts(raw, file="part-0.csv") == of_texts(raw, file="*-0.csv") != known
    edit("mine/texts/part-1.csv", "positive", "negative")
    assert of_texts(raw, file="part-*.csv") != known


def test_pairs_make_another_model_and_other_data(raw):
    """A BERT keeps its token types for them; of data sets that nothing is trained on, none counts."""
    known = plan(raw)
    raw["datasets"]["unused"] = raw["datasets"]["texts"] | {"text": ["sentence", "other"]}
    assert ids(raw) == (
        *known.model_ids.values(),
        *known.baseline_ids.values(),
        *known.dataset_ids.values(),
        *known.runs,
    )
    raw["datasets"]["texts"]["text"] = ["sentence", "other"]
    found = plan(raw)
    assert found.model_ids != known.model_ids
    assert set(found.dataset_ids.values()).isdisjoint(known.dataset_ids.values())
    assert set(found.runs).isdisjoint(known.runs)


def test_a_name_that_is_a_label_is_part_of_the_id(raw):
    for name in ("good", "bad"):
        Path(f"mine/texts/{name}.txt").write_text(f"{name} film\n{name} plot\n")
    for key in ("text", "label"):
        del raw["datasets"]["texts"][key]
    known = of_texts(raw, file="*.txt", format="lines", label_from="file")
    Path("mine/texts/good.txt").rename("mine/texts/fine.txt")
    assert of_texts(raw) != known
    assert of_texts(raw, label_from="folder") != known


def test_the_order_of_labels_in_a_file_of_their_own_is_seen(raw):
    Path("mine/texts/texts.txt").write_text("one\ntwo\nthree\n")
    Path("mine/texts/labels.txt").write_text("a\nb\na\n")
    for key in ("text", "label"):
        del raw["datasets"]["texts"][key]
    known = of_texts(raw, file="texts.txt", format="lines", label_file="labels.txt")
    Path("mine/texts/labels.txt").write_text("b\na\na\n")
    assert of_texts(raw) != known


def test_how_a_file_is_read_is_part_of_the_id(raw):
    known = of_texts(raw)
    others = [
        {"quoting": "none"},
        {"quote": "'"},
        {"skip": 1},
        {"separator": ";"},
        {"encoding": "latin-1"},
        {"drop_empty": True},
        {"decimal": ","},
    ]
    found = [of_texts(copy.deepcopy(raw), **keys) for keys in others]
    assert len({known, *found}) == 1 + len(others)


def test_a_tsv_that_shows_that_it_is_quoted_has_another_id_than_its_bytes_had(raw):
    rows = ['"say ""so"" twice"\tpositive\n', "plain\tnegative\n"]
    Path("mine/texts/texts.tsv").write_text("".join(["sentence\tlabel\n", *rows]))
    known = of_texts(raw, file="texts.tsv")
    assert dataset_identity(read_config(raw), "texts")["file"][0] == "quoted tsv"
    Path("mine/texts/texts.tsv").write_text("".join(["sentence\tlabel\n", *reversed(rows)]))
    assert of_texts(raw) == known
    Path("mine/texts/texts.tsv").write_text('sentence\tlabel\nsay 5" twice\tpositive\nplain\tnegative\n')
    assert dataset_identity(read_config(raw), "texts")["file"][0] == "tsv"


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
    new = config_module.TRAINING_DEFAULTS | {"warmth": 0.0}
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
    assert (afresh.baseline_ids, afresh.model_ids) == (trained.baseline_ids, trained.model_ids)
    raw["baseline"]["settings"] |= {"epochs": 7}  # of which nothing else comes than the baseline
    assert set(plan(raw).runs) == set(afresh.runs)
