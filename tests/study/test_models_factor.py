"""Starting models as a factor: which runs there are, which ids stay, and what is refused before any job."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from finevar.commands.analysis_jobs import read_plan
from finevar.study.config import read_config
from finevar.study.confirmation import planned_runs, write_plan
from finevar.study.design import baseline_levels, design_rows, plan_study
from refusals import at, refusals

OTHER = {"kind": "package", "package": "b-model==2.0", "sha256": "e" * 64}
BOTH = ["minilm", "other"]


def changed(raw: dict[str, Any], levels: list[Any] = BOTH, *, factor: bool = True, **keys: Any) -> dict[str, Any]:
    """Return a config with a second model, as a factor or not; keys: of `sweep`, or `model` itself."""
    raw = copy.deepcopy(raw)
    raw["sources"]["other"] = OTHER
    raw["model"] = keys.pop("model", "minilm")
    if factor:
        raw["sweep"]["factors"] = {"model": {"levels": levels}} | raw["sweep"]["factors"]
    raw["sweep"] |= keys
    return raw


def plan(raw: dict[str, Any]):
    return plan_study(read_config(raw))


@pytest.fixture(params=["baseline", "model", "as it is"])
def raw(raw_config, request) -> dict[str, Any]:
    """Return a config whose runs start from a baseline that is trained, from a model, or from one as it is."""
    if request.param == "as it is":
        raw_config["baseline"] = {"settings": {"learning_rate": 1e-4, "batch_size": 32, "epochs": 1}}
    else:
        raw_config["sweep"]["start"] = request.param
    return raw_config


def test_runs_and_baselines_are_those_of_studies_of_one_model(raw):
    both, alone = plan(changed(raw)), [plan(changed(raw, factor=False, model=name)) for name in BOTH]
    assert {*both.runs} == {*alone[0].runs} | {*alone[1].runs}
    assert len(both.runs) == sum(len(one.runs) for one in alone)
    assert [*both.baseline_ids.values()] == [next(iter(one.baseline_ids.values())) for one in alone]
    assert [*both.model_ids.values()] == [next(iter(one.model_ids.values())) for one in alone]


def test_a_further_model_keeps_the_runs_so_far_whichever_is_the_studys(raw_config):
    other = changed(raw_config, model="other")
    assert {*plan(raw_config).runs} < {*plan(other).runs} == {*plan(changed(raw_config)).runs}
    assert [*plan(other).baseline_ids] == ["other", "minilm"]


def test_the_baseline_has_a_level_and_only_such_a_studys_design_has_the_column(raw_config):
    study = plan(changed(raw_config))
    assert baseline_levels(study.config)["model"] == "minilm"
    rows = design_rows(study.runs.values())
    assert {row["model"] for row in rows} == {*BOTH}
    assert [name for name in rows[0] if name != "model"] == [*design_rows(plan(raw_config).runs.values())[0]]


def test_the_baselines_own_setting_is_included_with_each_model(raw_config):
    raw = changed(raw_config, design={"kind": "central_composite"})
    raw["baseline"]["settings"]["epochs"] = 5
    own = [point for point in plan(raw).points if point["epochs"] == 5]
    assert [point["model"] for point in own] == BOTH


def test_levels_may_slide_with_the_model_and_factors_be_nested_in_it(raw_config):
    raw = changed(raw_config, design={"kind": "full_factorial", "include_baseline": False})
    rates = raw["sweep"]["factors"]["learning_rate"]
    rates["levels"] = {"minilm": [1e-4, 2e-4, 4e-4], "other": [1e-5, 2e-5, 4e-5]}
    raw["sweep"]["factors"] |= {"frozen_layers": {"levels": [0, 1, 2], "when": {"model": "other"}}}
    points = plan(raw).points
    assert {point["learning_rate"] for point in points if point["model"] == "other"} == {1e-5, 2e-5, 4e-5}
    assert {point["frozen_layers"] for point in points if point["model"] == "minilm"} == {None}


def test_a_confirmation_is_read_back_with_its_models(raw_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("results/toy").mkdir(parents=True)
    study = plan(changed(raw_config))
    chosen = [("recommended", study.points[-1]), ("baseline", baseline_levels(study.config))]
    assert {point["model"] for _, point in chosen} == {*BOTH}
    write_plan(study, chosen)
    confirmed = planned_runs(study)
    assert {run.settings["model"] for run in confirmed.values()} == {*BOTH}
    assert not {*confirmed} & {*study.runs}


def test_settings_that_were_added_name_their_model(raw_config):
    raw = changed(raw_config)
    added = {"model": "other", "learning_rate": 1e-4, "batch_size": 24, "epochs": 2}
    raw["sweep"]["additions"] = [{"date": "2025-12-31", "points": [added]}]
    assert plan(raw).points[-1] == added
    raw["sweep"]["additions"][0]["points"] = [added | {"model": "robrta"}]
    at(refusals(plan, raw), "config: sweep.additions.0.points.0.model", "robrta")


@pytest.mark.parametrize("name", ["nan", "null"])
def test_a_confirmed_model_may_have_any_name(raw_config, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("results/toy").mkdir(parents=True)
    raw = changed(raw_config, ["minilm", name])
    raw["sources"][name] = OTHER
    study = plan(raw)
    path = write_plan(study, [("recommended", study.points[-1]), ("baseline", baseline_levels(study.config))])
    assert {*read_plan(path)["model"]} == {"minilm", name}


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "where", "found"),
    [
        (["minilm", "robrta"], "sweep.factors.model.levels", "'robrta'"),
        (["minilm"], "sweep.factors.model.levels", "minilm"),
        (["minilm", "minilm"], "sweep.factors.model.levels", "minilm"),
        (["other", "third"], "model", "'minilm'"),
    ],
    ids=["unknown", "one", "twice", "without the study's"],
)
def test_names_of_models_are_checked(raw_config, levels, where, found):
    raw = changed(raw_config, levels)
    raw["sources"]["third"] = OTHER | {"package": "c-model==1.0"}
    at(refusals(read_config, raw), f"config: {where}", found)


def test_one_model_under_two_names_is_refused(raw_config):
    raw = changed(raw_config)
    raw["sources"]["other"] = raw["sources"]["minilm"]
    at(refusals(plan, raw), "config: sweep.factors.model.levels", "minilm and other")


def test_a_second_models_source_is_checked_as_the_first_ones(raw_config):
    raw = changed(raw_config)
    raw["sources"]["other"] = OTHER | {"archive": "a.tar.gz", "archive_sha256": "f" * 64}
    at(refusals(read_config, raw), "config: sources.other.archive", "the model")


def local(folder: Path, layers: int, key: str) -> dict[str, Any]:
    """Write what is read of a model before it is fetched."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({key: layers}))
    (folder / "model.safetensors").write_bytes(bytes(layers))
    return {"kind": "local", "path": str(folder)}


def test_more_layers_than_the_smallest_model_has_are_refused(raw_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = changed(raw_config)
    raw["sources"] |= {
        "minilm": local(tmp_path / "a", 6, "n_layers"),
        "other": local(tmp_path / "b", 2, "num_hidden_layers"),
    }
    raw["sweep"]["factors"]["frozen_layers"] = {"levels": [0, 2, 3]}
    at(refusals(plan, raw), "config: frozen_layers", "3 layers", "other", "when: {model: minilm}")
    raw["sweep"]["factors"]["frozen_layers"]["when"] = {"model": "minilm"}
    assert plan(raw).runs
    raw["training"]["reinit_layers"] = 4
    at(refusals(plan, raw), "config: reinit_layers", "7 layers", "minilm")
    at(refusals(plan, raw), "config: reinit_layers", "4 layers", "other")


def test_factors_of_layers_are_advised_for_models_that_have_them(raw_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = changed(raw_config, ["minilm", "other", "deep", "deeper"])
    depths = {"minilm": 2, "other": 3, "deep": 6, "deeper": 12}
    raw["sources"] |= {name: local(tmp_path / name, layers, "n_layers") for name, layers in depths.items()}
    raw["sweep"]["factors"]["frozen_layers"] = {"levels": [0, 3, 6]}
    at(refusals(plan, raw), "config: frozen_layers", "6 layers", "other", "when: {model: [deep, deeper]}")
    raw["sweep"]["factors"]["frozen_layers"]["when"] = {"model": ["deep", "deeper"]}
    assert plan(raw).runs
