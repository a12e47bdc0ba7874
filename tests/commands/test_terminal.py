"""What the logger makes of Snakemake's events: of recorded ones, and of a study whose runs are done one by one."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest
from rich.console import Console
from snakemake_interface_logger_plugins.tests import MockOutputSettings, TestLogHandlerBase
from test_status import finish, study  # noqa: F401 - a fixture

from finevar.commands.screen import State, block
from finevar.commands.terminal import LogHandler, LogHandlerSettings
from finevar.files import write_json
from finevar.results.run_metrics import engine
from pilot_facts import PILOT

RECORDED = Path(__file__).with_name("failing_study.jsonl")  # of a study of which the half is refused
REASON = "setting train_examples: found 121. Lower train_examples."


class TestInterface(TestLogHandlerBase):
    """What Snakemake asks of every logger."""

    __test__ = True

    def get_log_handler_cls(self) -> type[LogHandler]:
        return LogHandler

    def get_log_handler_settings(self) -> LogHandlerSettings:
        return LogHandlerSettings()


@pytest.fixture
def handler(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make()


def make(*, dryrun: bool = False, **settings) -> LogHandler:
    common = MockOutputSettings()
    common.dryrun = common.stdout = dryrun
    return LogHandler(common, LogHandlerSettings(**settings))


def send(handler: LogHandler, event: str | None, msg: str = "", level: str = "INFO", **values) -> None:
    record = logging.LogRecord("snakemake", logging.getLevelName(level), "", 0, msg, (), None)
    record.__dict__.update(values | ({"event": event} if event else {}))
    handler.emit(record)


def replay(handler: LogHandler) -> None:
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        send(handler, values.pop("event"), values.pop("msg"), values.pop("levelname"), **values)


def fail(log: str, text: str) -> None:
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    Path(log).write_text(text)


def test_a_reason_is_said_once_with_its_log_and_nothing_else_of_the_failures(handler, capsys):
    logs = [json.loads(line)["log"][0] for line in RECORDED.read_text().splitlines() if '"log"' in line]
    for log in logs:
        fail(log, f"12:00:00 INFO begun\n12:00:01 INPUT ERROR {REASON}\n")
    replay(handler)
    handler.close()
    said = capsys.readouterr().err
    assert said.count(REASON) == 1
    assert (logs[0] in said, logs[1] in said) == (True, False)
    for noise in ("CalledProcessError", "Exiting because", "Select jobs", "Complete log"):
        assert noise not in said
    assert len(said.splitlines()) == 7, said  # jobs to do, three stages, the failure and its log, the end
    assert "11 of 67 jobs done" in said


def test_an_error_that_nobody_foresaw_shows_the_end_of_its_log(handler, capsys):
    fail("a.log", "\n".join(["12:00:00 ERROR the job stopped: KeyError: 'x'", *map(str, range(20)), "KeyError: 'x'"]))
    send(handler, "job_error", jobid=1, rule_name="evaluate_run", rule_msg=None, log=["a.log"], indent=False)
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith("Failed: evaluate_run: the job stopped: KeyError: 'x'")
    assert [line.strip() for line in said[1:]] == [*map(str, range(13, 20)), "KeyError: 'x'", "log: a.log"]


def test_what_is_asked_to_end_has_not_failed(handler, capsys):
    for _ in range(2):
        send(handler, None, "Terminating processes on user request, this might take some time.")
    send(handler, "job_error", jobid=1, rule_name="evaluate_run", rule_msg=None, log=[], indent=False)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_group_that_wrote_no_log_is_named_with_what_slurm_wrote(handler, capsys):
    members = [{"log": ["results/logs/finetune_run/a.log"]}, {"log": ["results/logs/evaluate_run/a.log"]}]
    send(handler, "group_error", groupid="run_a", aux_logs=["slurm/1.log"], job_error_info=members)
    for number in range(2):
        send(handler, "job_error", jobid=number, rule_name="a", rule_msg=None, log=members[number]["log"], indent=True)
    said = capsys.readouterr().err
    assert "Failed: group run_a: no log was written\n" in said
    assert "slurm/1.log" in said
    assert said.count("Failed") == 1


def test_errors_of_snakemake_itself_and_warnings_are_passed_on(handler, capsys):
    send(handler, "error", "MissingInputException: data.csv", "ERROR")
    send(handler, None, "SLURM says no", "WARNING")
    send(handler, None, "SLURM says no", "WARNING")
    send(handler, None, "Nothing to be done (all requested files are present and up to date).")
    said = capsys.readouterr().err
    for text in ("MissingInputException: data.csv", "SLURM says no", "Nothing to be done"):
        assert said.count(text) == 1


def test_all_that_snakemake_says_is_there_when_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    send(make(full=True), None, "Select jobs to execute...")
    assert "Select jobs to execute..." in capsys.readouterr().err


# A study's runs -------------------------------------------------------------------------------------------------------


@pytest.fixture
def watched(study):  # noqa: F811
    """Return a logger that has begun to show a study of six runs."""
    handler = make()
    send(handler, "workflow_started", configfiles=["config.yaml"])
    send(handler, "run_info", stats={"finetune_run": 6, "evaluate_run": 6, "all": 1, "total": 13})
    return handler


def do(handler: LogHandler, run, number: int, **values) -> None:
    """Have a run's evaluation end."""
    send(handler, "job_info", jobid=number, rule_name="evaluate_run", wildcards={"run": run.run_id})
    finish(run, at=1000 + 5 * number, seconds=5, **values)
    handler.watch.due = 0.0
    send(handler, "job_finished", job_id=number)


def test_the_runs_done_the_last_and_the_best_are_shown(watched, study, capsys):  # noqa: F811
    for number, run in enumerate([*study.runs.values()][:3]):  # epochs 1 at both seeds, then 2
        do(watched, run, number, accuracy=[0.5, 0.7, 0.8][number], loss=0.5)
    assert capsys.readouterr().err.count("of 6 runs done") == 3  # each is more than a tenth
    state = watched.state()
    assert (state.done, state.planned) == (3, 6)
    assert state.sentence.startswith("3 of 6 runs done, 3 left; about ")
    run = [*study.runs.values()][2]
    assert state.lines["last"].endswith(f"at epochs {run.settings['epochs']}, seed {run.seed}")
    assert "accuracy 0.8000, loss 0.5000" in state.lines["last"]
    assert state.lines["best"].startswith("accuracy: 0.8000 (mean of 1 seed) at epochs")


def test_what_the_model_cannot_read_is_said_before_the_runs(watched, study, capsys):  # noqa: F811
    fail(f"results/logs/check_data/{study.config['study']}.log", "04:37:59 INFO seen\n04:37:59 WARNING unread\n")
    send(watched, "job_info", jobid=1, rule_name="check_data", wildcards={})
    capsys.readouterr()
    send(watched, "job_finished", job_id=1)
    said = capsys.readouterr().err
    assert "unread" in said
    assert "seen" not in said


def test_runs_of_another_version_are_not_done_until_they_are_made_again(watched, study):  # noqa: F811
    runs, old = list(study.runs.values()), f"0.{engine().split('.', 1)[1]}"
    for run in runs:
        finish(run, at=1000, seconds=2, engine=old)
    for number, run in enumerate(runs):
        do(watched, run, number)
        assert watched.state().done == number + 1


def test_a_run_that_failed_before_this_start_is_left_and_one_that_fails_now_is_failed(watched, study):  # noqa: F811
    one, two, *_ = study.runs.values()
    for run in (one, two):
        Path("results/runs", run.dataset, run.run_id).mkdir(parents=True)
        fail(f"results/logs/finetune_run/{run.dataset}/{run.run_id}.log", f"12:00:00 INPUT ERROR {REASON}\n")
    watched.look(now=True)
    assert watched.state().sentence == "0 of 6 runs done, 6 left"
    log = [f"results/logs/finetune_run/{two.dataset}/{two.run_id}.log"]
    send(watched, "job_info", jobid=1, rule_name="finetune_run", wildcards={"run": two.run_id})
    send(watched, "job_error", jobid=1, rule_name="finetune_run", rule_msg=None, log=log, indent=False)
    assert watched.state().sentence == "0 of 6 runs done, 1 failed, 5 left"


def test_a_dry_run_says_runs_jobs_and_what_they_cost_where_a_pilot_knows(study, capsys):  # noqa: F811
    """Without a pilot it says how to get one; PILOT is of round numbers, its run's memory 500 MB at batch size 8."""
    lines = []
    for pilot in (None, PILOT | {"dataset": "texts", "data": {"texts": PILOT["data"]["amazon"]}}):
        if pilot:
            Path("results/toy").mkdir(parents=True)
            write_json(pilot, "results/toy/pilot.json")
        handler = make(dryrun=True)
        send(handler, "workflow_started", configfiles=["config.yaml"])
        send(handler, "run_info", stats={"finetune_run": 6, "evaluate_run": 6, "render_report": 1, "total": 13})
        handler.close()
        handler.close()  # as Python does at its end
        lines.append(capsys.readouterr().out.splitlines())
    unknown, known = lines
    assert unknown[:2] == [
        "Study toy: 0 of 6 runs done, 6 left.",
        "13 jobs to do: 6 finetune_run, 6 evaluate_run, 1 render_report.",
    ]
    assert "make design-card" in unknown[2]
    assert known[2].startswith("The 6 runs take about ")
    assert "MB of memory at most" in known[3]
    assert max(map(len, lines)) <= 6


def test_the_block_is_no_wider_than_the_terminal():
    page = io.StringIO()
    state = State(3, 6, "3 of 6 runs done, 3 left; about 5 min of training and evaluation to go", {"last": "x" * 200})
    Console(file=page, width=60, force_terminal=True, color_system=None).print(block(state))
    lines = page.getvalue().splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 60
    assert all(line.rstrip().endswith("…") for line in lines)
