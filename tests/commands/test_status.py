"""The state of a study from its files: counts, the pace, the best settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from finevar.columns import METRICS, STUDY_METRICS
from finevar.commands import status
from finevar.parquet import write_rows
from finevar.results.run_metrics import engine
from finevar.study.config import read_config
from finevar.study.design import plan_study
from prose import numbers

STUDY = {
    "study": "toy",
    "sources": {"model": {"kind": "local", "path": "mine"}, "texts": {"kind": "local", "path": "mine"}},
    "model": "model",
    "datasets": {"texts": {"source": "texts", "file": "a.csv", "text": "t", "label": "l", "eval_examples": 40}},
    "baseline": {"settings": {"learning_rate": 1e-3, "batch_size": 8, "epochs": 1}},
    "sweep": {"datasets": ["texts"], "factors": {"epochs": {"levels": [1, 2, 4]}}, "seeds": [0, 1]},
    "training": {"batch_size": 8},
    "analysis": {"responses": ["accuracy", "loss"], "model": "first_order"},
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Return a study of six runs, in a folder where none is done."""
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(yaml.safe_dump(STUDY))
    Path("mine").mkdir()
    for name in ("config.json", "model.safetensors", "a.csv"):  # whose content alone is asked for
        Path("mine", name).touch()
    return plan_study(read_config(STUDY))


def finish(run, *, at: float, seconds: float, kept: bool = False, **values) -> None:
    """Write a run's metrics as if it had been done at a time."""
    folder = Path("results/runs", run.dataset, run.run_id, *(["finished", "evaluation"] if kept else []))
    folder.mkdir(parents=True, exist_ok=True)
    row = {"run_id": run.run_id, "point_id": run.point_id, "dataset": run.dataset, "seed": run.seed, **run.settings}
    row |= {"status": "ok", "train_seconds": seconds - 1, "eval_seconds": 1.0, "f1_average": "binary"}
    row |= {"engine": engine()} | values
    write_rows([row], folder / "metrics.parquet", METRICS)
    os.utime(folder / "metrics.parquet", (at, at))


def by_epochs(study, epochs: int) -> list:
    return [run for run in study.runs.values() if run.settings["epochs"] == epochs]


def begin(run, line: str, rule: str = "finetune_run", *, at: float | None = None) -> None:
    """Leave a run begun, with the last line of its log."""
    Path("results/runs", run.dataset, run.run_id).mkdir(parents=True, exist_ok=True)
    log = Path("results/logs", rule, run.dataset, f"{run.run_id}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"11:59:59 INFO step 3\n{line}\n")
    if at:
        os.utime(log, (at, at))


def test_runs_of_another_version_are_to_be_trained_again(study):
    one, two, *_ = study.runs.values()
    finish(one, at=1000, seconds=5)
    finish(two, at=1005, seconds=5, engine=f"0.{engine().split('.', 1)[1]}")
    lines = status.state_lines(study)
    assert numbers(lines[0])[:3] == [1, 6, 5]
    assert numbers(lines[1]) == [1], "to be made again"


def test_a_damaged_file_is_counted_and_left_where_it_is(study):
    one, two, *_ = study.runs.values()
    finish(one, at=1000, seconds=5)
    finish(two, at=1005, seconds=5)
    path = Path("results/runs", two.dataset, two.run_id, "metrics.parquet")
    path.write_bytes(path.read_bytes()[:-1])
    lines = status.state_lines(study)
    assert numbers(lines[0])[:3] == [1, 6, 5]
    assert numbers(lines[1]) == [1], "to be made again"
    assert path.exists()


def test_runs_are_counted_by_what_became_of_them(study):
    runs = list(study.runs.values())
    finish(runs[0], at=1000, seconds=5)
    finish(runs[1], at=1005, seconds=5, kept=True)
    begin(runs[2], "12:00:00 ERROR no memory for it")
    begin(runs[3], "12:00:00 INFO step 4")
    begin(runs[4], "12:00:00 INTERRUPTED Interrupted by SIGTERM; goes on from step 12 at the next start.")
    progress = status.look(runs)
    assert (len(progress.done), len(progress.ended("begun")), progress.left) == (2, 1, 3)
    assert progress.failed == {runs[2].run_id: "no memory for it"}
    assert numbers(progress.line(None)) == [2, 6, 1, 3, 1], "done, of all, failed, left, interrupted"
    lines = status.state_lines(study)
    (line,) = [line for line in lines if runs[4].run_id in line]
    assert numbers(line)[-1] == 12, "the step that it goes on from"
    assert [numbers(line) for line in lines if "started" in line] == [[1]]


@pytest.mark.parametrize(
    ("line", "failed"),
    [
        ("12:00:00 INPUT ERROR setting train_examples: found 121.", True),
        ("12:00:00 MACHINE ERROR a: No space left on device.", True),
        ("12:00:00 ERROR the job stopped: ValueError: x", True),
        ("12:00:00 DAMAGED results/a: found a file that is damaged.", False),
        ("12:00:00 INTERRUPTED Interrupted by SIGINT.", False),
        ("12:00:00 WARNING memory ran out: an INPUT ERROR is something else", False),
    ],
)
def test_only_what_failed_is_called_failed(study, line, failed):
    run = next(iter(study.runs.values()))
    begin(run, line)
    assert bool(status.look([run]).failed) == failed


def test_the_newest_log_tells_how_a_run_ended(study):
    """A failed evaluation, then a training once more, cut short; and the other way round."""
    one, two = list(study.runs.values())[:2]
    for run, trained, evaluated in ((one, 2000, 1000), (two, 1000, 2000)):
        begin(run, "12:00:00 INTERRUPTED Interrupted by SIGTERM.", at=trained)
        begin(run, "12:00:00 INPUT ERROR it does not fit.", "evaluate_run", at=evaluated)
    assert list(status.look([one, two]).failed) == [two.run_id]


def test_a_failure_before_all_runs_is_named(study):
    log = Path("results/logs/train_baseline", f"{next(iter(study.baseline_ids.values()))}.log")
    for path, line in ((log, "no such luck"), (log.with_name("of-another-study.log"), "not mine")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"12:00:00 INPUT ERROR {line}\n")
    lines = "\n".join(status.state_lines(study))
    assert f"{log}: no such luck" in lines
    assert "not mine" not in lines


def test_an_interim_report_is_named_until_a_newer_final_one_is_there(study):
    runs = list(study.runs.values())
    folder = Path("results/toy")
    (folder / "interim").mkdir(parents=True)
    rows = [{"run_id": run.run_id, "status": "ok" if run in runs[:2] else "missing"} for run in runs]
    write_rows(rows, folder / "interim/metrics.parquet", STUDY_METRICS)
    for number, run in enumerate(runs[:3]):
        finish(run, at=1000 + number, seconds=5)
    assert ".html" not in status.state_lines(study)[-1]
    (folder / "interim/report.html").touch()
    interim = status.state_lines(study)[-1]
    assert "results/toy/interim/report.html" in interim
    assert numbers(interim) == [2, 6, 3], "runs in it, of all, and done by now"
    (folder / "report.html").touch()
    os.utime(folder / "report.html", (1000, 1000))
    assert status.state_lines(study)[-2:] == ["Report: results/toy/report.html", interim]
    os.utime(folder / "interim/report.html", (500, 500))
    assert status.state_lines(study)[-1] == "Report: results/toy/report.html"
    (folder / "report.html").unlink()
    (folder / "interim/metrics.parquet").write_bytes(b"cut")
    assert status.state_lines(study)[-1] == "Interim report: results/toy/interim/report.html"


def test_the_time_left_is_that_of_the_runs_left_at_the_pace_so_far(study):
    """Two at once, each 11 s for an epoch: what is left takes 21 + 21 + 41 + 41 = 124 s, half of it on two workers.

    A run of one epoch trains 10 s and evaluates 1 s, so two epochs take 21 s and four 41 s. The two done runs ended
    5.5 s after each other, as two workers' do: 11 s of work in 5.5 s.
    """
    for number, run in enumerate(by_epochs(study, 1)):
        finish(run, at=1000 + 5.5 * number, seconds=11)
    progress = status.look(study.runs.values())
    rows = [row for path in progress.done.values() for row in status.read_run_metrics([path])]
    assert status.seconds_left(study, progress, rows) == pytest.approx(62)


def test_two_runs_that_end_together_are_two_at_once(study):
    """As two workers' first runs do: a second apart they would be 11 at once, if only their ends counted."""
    for number, run in enumerate(by_epochs(study, 1)):
        finish(run, at=1000 + number, seconds=11)
    progress = status.look(study.runs.values())
    assert status.runs_at_once(progress, dict.fromkeys(progress.done, 11.0)) == 2


def test_a_night_between_two_runs_is_no_pace(study):
    first, second = by_epochs(study, 1)
    finish(first, at=1000, seconds=11)
    finish(second, at=40_000, seconds=11)
    progress = status.look(study.runs.values())
    assert status.runs_at_once(progress, dict.fromkeys(progress.done, 11.0)) is None


def test_the_best_point_is_the_best_mean_over_seeds_and_loss_is_best_where_low(study):
    for run in study.runs.values():
        epochs, seed = run.settings["epochs"], run.seed
        accuracy = {1: [0.80, 0.90], 2: [0.86, 0.88], 4: [0.99, 0.60]}[epochs][seed]
        finish(run, at=1000, seconds=5, accuracy=accuracy, loss=epochs / 10)
    lines = status.state_lines(study)
    assert numbers(lines[0])[:2] == [6, 6]
    best = {name: numbers(line) for line in lines for name in ("accuracy", "loss") if f"best {name}" in line}
    assert best == {"accuracy": [0.87, 2, 2], "loss": [0.1, 2, 1]}, "mean, seeds and epochs"


def test_a_study_without_files_has_a_state_too(study, capsys):
    assert status.main(["--configfile", "config.yaml"]) == 0
    assert numbers(capsys.readouterr().out)[:3] == [0, 6, 6]


def test_a_bad_config_is_refused_in_its_own_words(study, capsys):
    Path("config.yaml").write_text(yaml.safe_dump(STUDY | {"model": "nothing"}))
    assert status.main(["--configfile", "config.yaml"]) == 1
    assert "nothing" in capsys.readouterr().err


def test_collapsed_runs_are_named_by_the_last_report_and_are_not_the_best(study):
    one, two, *_ = study.runs.values()
    finish(one, at=1000, seconds=5, accuracy=0.9, loss=0.1)
    finish(two, at=1005, seconds=5, accuracy=0.8, loss=0.2)
    assert not any("collapsed" in line for line in status.state_lines(study))
    folder = Path("results/toy/interim")
    folder.mkdir(parents=True)
    rows = [{"run_id": run.run_id, "status": ending} for run, ending in ((one, "collapsed"), (two, "ok"))]
    write_rows(rows, folder / "metrics.parquet", STUDY_METRICS)
    lines = status.state_lines(study)
    assert [line for line in lines if one.run_id in line and "collapsed" in line]
    assert any("0.8" in line for line in lines)
    assert not any("0.9" in line for line in lines)
