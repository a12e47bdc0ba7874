"""Which runs a confirmation lists, and when its list is stale or of no use."""

from __future__ import annotations

import csv

import pytest

from finevar.study.config import read_config
from finevar.study.confirmation import fresh_seeds, planned_runs, write_plan
from finevar.study.design import plan_study
from refusals import refusal

SETTINGS = [
    ("recommended", {"learning_rate": 1e-4, "batch_size": 16, "epochs": 3}),
    ("baseline", {"learning_rate": 1e-4, "batch_size": 32, "epochs": 1}),
]


@pytest.mark.parametrize(
    ("sweep", "expected"),
    [
        ({"seeds": [0, 1]}, [2, 3, 4]),
        ({"seeds": [7, 0, 3, 2]}, [8, 9, 10, 11]),
        ({"seeds": [0, 1, 2, 3], "confirm_seeds": 2}, [4, 5]),
        ({"seeds": [0, 2**32 - 1]}, [1, 2, 3]),
    ],
)
def test_fresh_seeds_follow_the_largest(sweep, expected):
    assert fresh_seeds(sweep) == expected


@pytest.fixture
def study(raw_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/toy").mkdir(parents=True)
    return plan_study(read_config(raw_config))


def test_its_runs_are_those_that_the_study_would_have_with_these_seeds(study, raw_config):
    path = write_plan(study, SETTINGS)
    runs = planned_runs(study)
    assert [(run.settings["epochs"], run.seed) for run in runs.values()] == [(n, s) for n in (3, 1) for s in (2, 3, 4)]
    assert not runs.keys() & study.runs.keys()
    raw_config["sweep"]["seeds"] = [0, 1, 2, 3, 4]
    grown = plan_study(read_config(raw_config))
    assert runs.keys() < grown.runs.keys()
    assert planned_runs(grown) == {}, "stale once the study has other runs"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["role"] for row in rows] == ["recommended"] * 3 + ["baseline"] * 3


def test_levels_that_are_names_are_read_back(raw_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/toy").mkdir(parents=True)
    raw_config["sweep"]["factors"]["schedule"] = {"levels": ["linear", "cosine"]}
    study = plan_study(read_config(raw_config))
    write_plan(study, [(role, levels | {"schedule": "cosine"}) for role, levels in SETTINGS])
    assert {run.settings["schedule"] for run in planned_runs(study).values()} == {"cosine"}


def test_the_same_plan_leaves_the_file_as_it_is(study):
    path = write_plan(study, SETTINGS)
    before = path.stat().st_mtime_ns
    write_plan(study, SETTINGS)
    assert path.stat().st_mtime_ns == before


def test_without_a_file_nothing_is_confirmed(study):
    assert planned_runs(study) == {}


@pytest.mark.parametrize(
    "damage",
    [lambda text: "", lambda text: text.replace(",2,", ",two,"), lambda text: text.rpartition("\nbaseline")[0]],
)
def test_a_file_that_lists_no_such_runs_is_refused(study, damage):
    path = write_plan(study, SETTINGS)
    path.write_text(damage(path.read_text()))
    error = refusal(planned_runs, study)
    assert error.where == "results/toy/confirm.csv"
    assert "make confirm" in error.remedy
