"""What is chosen to be confirmed, and what is refused."""

from __future__ import annotations

import pytest
import yaml

from finevar import ROOT
from finevar.commands.confirm import main, settings_to_confirm
from finevar.results.study_tables import write_tables
from finevar.study.config import read_config
from finevar.study.design import plan_study
from refusals import refusal


@pytest.fixture
def study(raw_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/toy/analysis").mkdir(parents=True)
    return plan_study(read_config(raw_config))


def write_advice(best: str, points: list[str]) -> None:
    tables = {
        "next_runs": [{"code": "confirm", "point_ids": " ".join(points)}] if points else [],
        "recommendation": [{"point_id": best, "role": "recommended"}],
    }
    write_tables(tables, [f"results/toy/analysis/{name}.parquet" for name in tables])


def test_the_advised_settings_have_their_roles(study):
    points = {
        (run.settings["learning_rate"], run.settings["batch_size"], run.settings["epochs"]): run.point_id
        for run in study.runs.values()
    }
    best, rival, own = points[4e-4, 8, 3], points[1e-4, 8, 3], points[1e-4, 32, 1]
    write_advice(best, [best, rival, own])
    found = [(role, [*levels.values()]) for role, levels in settings_to_confirm(study)]
    assert found == [("recommended", [4e-4, 8, 3]), ("rival", [1e-4, 8, 3]), ("baseline", [1e-4, 32, 1])]
    write_advice(own, [own, best])
    assert [role for role, _ in settings_to_confirm(study)] == ["recommended", "rival"]


def test_the_baselines_own_settings_need_not_be_among_the_studys(raw_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw_config["sweep"]["design"] = {"kind": "full_factorial", "include_baseline": False}
    raw_config["baseline"]["settings"] |= {"learning_rate": 2e-4}
    (tmp_path / "results/toy/analysis").mkdir(parents=True)
    study = plan_study(read_config(raw_config))
    best = next(iter(study.runs.values()))
    write_advice(best.point_id, [best.point_id, "baseline"])
    (_, chosen), (role, own) = settings_to_confirm(study)
    assert chosen == {name: best.settings[name] for name in own}
    assert (role, own["learning_rate"]) == ("baseline", 2e-4)


def test_without_a_recommended_setting_there_is_nothing_to_confirm(study):
    write_advice("", [])
    assert "no recommended setting" in refusal(lambda: list(settings_to_confirm(study))).found


def test_found_models_cannot_be_confirmed(tmp_path, monkeypatch, capsys):
    config = yaml.safe_load((ROOT / "config/studies/found_models.yaml").read_text(encoding="utf-8"))
    monkeypatch.chdir(ROOT)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert main(["--configfile", str(tmp_path / "config.yaml")]) == 1
    assert "that it did not train" in capsys.readouterr().err
