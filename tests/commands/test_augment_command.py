"""What `make augment` tells, writes and refuses: a finished study simulated run by run, without its predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from test_status import finish

from finevar import ROOT
from finevar.analyses.fits import no_outcomes
from finevar.columns import STUDY_METRICS
from finevar.commands import augment
from finevar.parquet import write_rows
from finevar.planning.augmentation import POINTS, SEEDS, Question
from finevar.planning.power import planned_design
from finevar.results.study_tables import write_tables
from finevar.study.coding import coded_of, codings_of
from finevar.study.config import read_config
from finevar.study.design import Study, plan_study
from finevar.study.goals import read_goal

SD, SLOPE = 0.02, 0.03
TABLE = Path("results/toy/metrics.parquet")


def write_study(raw: dict) -> Study:
    """Write a config and all that its runs and their table would have left; return the study."""
    Path("config.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    return finish_study(plan_study(read_config(raw)))


def finish_study(study: Study) -> Study:
    """Write metrics of a study's runs, each run's the same whenever it is called."""
    codings, rows = codings_of(study.config["sweep"]["factors"]), []
    for number, (run, about) in enumerate(
        zip(study.runs.values(), planned_design(study.config).runs.to_dict("records"), strict=True)
    ):
        noise = np.random.default_rng([run.seed, *run.point_id.encode()]).normal(scale=SD)
        x = coded_of(codings, {name: [run.settings[name]] for name in codings})
        loss = 0.5 + SLOPE * float(x["batch_size"][0]) + noise
        finish(run, at=1000 + 5 * number, seconds=5, loss=loss)
        rows.append(about | {"status": "ok", "loss": loss, "dtype_used": "float32", "is_baseline_point": False})
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    write_rows([row | {"baseline_loss": 0.5} for row in rows], TABLE, STUDY_METRICS)
    return study


@pytest.fixture
def raw(raw_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(augment, "read_outcomes", lambda metrics, baselines: no_outcomes)
    raw_config["sweep"]["design"] = {"kind": "central_composite"}
    raw_config["sweep"]["seeds"] = [0, 1, 2, 3]
    raw_config["analysis"] = {"responses": ["loss"]}
    return raw_config


def question(study: Study, goal: str) -> Question:
    return augment.question_of(study, TABLE, read_goal(goal))


def call(*options: str) -> int:
    return augment.main(["--configfile", "config.yaml", *options])


def additions() -> list[dict]:
    return yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))["sweep"].get("additions", [])


def test_the_half_width_is_that_of_the_seeds_own_estimates(raw):
    """Of the change over batch size: on this design the mean at its high end less that at its low, by least squares."""
    study = write_study(raw)
    asked = question(study, "batch_size:loss 0.01")
    runs, high, low = asked.surface.runs, max(raw["sweep"]["factors"]["batch_size"]["levels"]), 8
    own = []
    for _, rows in runs.groupby("seed"):
        x = np.log2(rows["batch_size"].astype(float)).to_numpy() - 4
        rate, epochs = (np.unique(rows[name], return_inverse=True)[1] - 1.0 for name in ("learning_rate", "epochs"))
        matrix = np.column_stack(
            [np.ones(len(x)), x, rate, epochs, x * rate, x * epochs, rate * epochs, x**2, rate**2, epochs**2]
        )
        own.append(2 * np.linalg.lstsq(matrix, rows["loss"].to_numpy())[0][1])
    assert (low, high) == (8, 32)
    assert asked.precision.half_width() == pytest.approx(3.182446 * np.std(own, ddof=1) / 2, rel=1e-5)  # t of 3 df


def test_the_cheaper_way_is_written_and_nothing_done_is_run_again(raw, capsys):
    study = write_study(raw)
    now = question(study, "batch_size:loss 1").precision.half_width()
    goal = f"batch_size:loss {0.85 * now:.4f}"
    assert call("--goal", goal) == 0
    (entry,) = additions()
    assert entry["goal"] == goal
    assert [*entry] == ["date", "goal", "points"]
    later = plan_study(read_config(yaml.safe_load(Path("config.yaml").read_text())))
    new = [name for name in later.runs if name not in study.runs]
    assert study.runs.keys() < later.runs.keys()
    assert f"{len(new)} runs" in capsys.readouterr().out
    assert call("--goal", goal) == 1, "a study that is not finished"
    assert f"{len(new)} runs" in capsys.readouterr().err
    finish_study(later)
    assert question(later, goal).precision.half_width() < now
    tried = {tuple(point.values()) for point in study.points}
    assert not tried & {tuple(point[name] for name in raw["sweep"]["factors"]) for point in entry["points"]}


def test_seeds_keep_the_first_stage_whatever_is_added_later(raw):
    study = write_study(raw)
    now = question(study, "batch_size:loss 1").precision.half_width()
    assert call("--goal", f"batch_size:loss {0.8 * now:.4f}", "--by", SEEDS) == 0
    (entry,) = additions()
    assert entry["seeds"] == list(range(4, 4 + len(entry["seeds"])))
    assert entry["first_stage"]["df"] == pytest.approx(3)
    total = 4 + len(entry["seeds"])
    assert total == np.ceil(4 / float(f"{0.8 * now:.4f}") ** 2 * now**2)
    later = finish_study(plan_study(read_config(yaml.safe_load(Path("config.yaml").read_text()))))
    reached = question(later, "batch_size:loss 1").precision.half_width()
    assert reached == pytest.approx(now * np.sqrt(4 / total))
    assert call("--goal", f"batch_size:loss {0.7 * now:.4f}", "--by", SEEDS) == 0
    assert additions()[1]["first_stage"] == entry["first_stage"]
    assert min(additions()[1]["seeds"]) == total


def test_a_goal_that_is_met_or_cannot_be_writes_nothing(raw, capsys):
    write_study(raw)
    before = Path("config.yaml").read_bytes()
    assert call("--goal", "batch_size:loss 1") == 0
    assert call("--goal", "batch_size:loss 1e-4") == 1
    assert call("--goal", "batch_size:loss 1e-4", "--by", POINTS) == 1
    assert Path("config.yaml").read_bytes() == before


def test_few_seeds_are_no_first_stage_and_a_whole_factorial_has_no_further_settings(raw):
    raw["sweep"]["seeds"], raw["sweep"]["design"] = [0, 1], {"kind": "full_factorial"}
    ways = question(write_study(raw), "batch_size:loss 0.0001").ways()
    assert [way.kind for way in ways if way.obstacle] == [SEEDS, POINTS]


def test_settings_are_chosen_among_those_allowed(raw):
    raw["sweep"]["design"]["where"] = "batch_size * epochs <= 64"
    study = write_study(raw)
    asked = question(study, "epochs:loss 1")
    _, way = question(study, f"epochs:loss {0.93 * asked.precision.half_width()}").ways()
    assert way.facts
    assert all(point["batch_size"] * point["epochs"] <= 64 for point in way.facts["points"])


@pytest.mark.parametrize("goal", ["batchsize:loss 0.1", "batch_size:accuracy 0.1", "batch_size:loss -1"])
def test_odd_goals_are_refused(raw, goal, capsys):
    write_study(raw)
    assert call("--goal", goal) == 1
    assert "GOAL" in capsys.readouterr().err


def test_without_a_goal_the_reports_advice_is_taken(raw, capsys):
    write_study(raw)
    row = {"code": "augment", "factor": "batch_size", "response": "loss", "half_width": 1.0}
    Path("results/toy/analysis").mkdir()
    for rows, status in (([row], 0), ([row | {"code": "stop"}], 1)):
        write_tables({"next_runs": rows}, ["results/toy/analysis/next_runs.parquet"])
        assert call() == status
    assert "GOAL" in capsys.readouterr().err


def test_an_unfinished_study_and_one_that_trains_nothing_are_refused(raw, tmp_path, monkeypatch, capsys):
    Path("config.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    assert call("--goal", "batch_size:loss 0.1") == 1
    assert "64 runs" in capsys.readouterr().err
    found = (ROOT / "config/studies/found_models.yaml").read_text(encoding="utf-8")
    (tmp_path / "found.yaml").write_text(found, encoding="utf-8")
    monkeypatch.chdir(ROOT)
    assert augment.main(["--configfile", str(tmp_path / "found.yaml"), "--goal", "batch_size:loss 0.1"]) == 1
    assert "did not train" in capsys.readouterr().err
