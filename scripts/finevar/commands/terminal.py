"""Snakemake's logger for people, `--logger finevar`: a live block, failures with their reason, and little else.

Snakemake's whole text goes to its log file below .snakemake/log, and so does what jobs print, which would tear the
block. On a terminal the block shows runs done of planned, time left, the last run and the best setting so far; in a
pipe there is a line for each stage and each tenth of the runs. `--logger-finevar-full` prints Snakemake's text instead.
"""

import contextlib
import logging
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from finevar.commands.screen import Screen, State
from finevar.commands.status import confirmation_lines, read_study
from finevar.commands.watch import Watch
from finevar.errors import InputError
from finevar.jobs.endings import BEGUN, ERROR, read_ending
from finevar.study.kinds import TRAINED, study_kind
from finevar.study.paths import LOGS, place
from finevar.words.formatting import counted
from finevar.words.numbers import duration

STAGES = {  # by the rule that begins each
    "fetch_model": "Fetching the model and the data",
    "fetch_data": "Fetching the model and the data",
    "fetch_cards": "Fetching the model cards",
    "prepare_dataset": "Preparing the data",
    "check_data": "Looking at the data as the model sees it",
    "train_baseline": "Training the baseline",
    "time_pilot": "Timing a few steps",
    "finetune_run": "Training and evaluating the runs",
    "fit_regressions": "Analysing the runs",
    "analyse_study": "Analysing the runs",
    "draw_figures": "Drawing the figures",
    "render_report": "Writing the report",
    "analyse_confirmation": "Comparing the settings that are confirmed",
    "write_paper": "Writing the paper kit",
    "export_model": "Training the recommended model once more, to keep it",
}
WARNING = re.compile(r"^\d\d:\d\d:\d\d WARNING (.*)$", re.MULTILINE)  # in a job's log
ENDING = ("Terminating processes", "Will exit after")  # what Snakemake says when it is asked to end
PASSED_ON = ("Nothing to be done", *ENDING)  # of texts without an event
REPEATED = (  # of errors: said of every failed job, or where none is said
    "At least one job did not complete successfully",
    "CalledProcessError in file",
    "Exiting because a job execution failed",
)
MOST_SAID = 5  # failures in full, and warnings
LOG_LINES = 8  # of the end of a failed job's log
TENTHS = 10  # of the runs: a line for each where there is no terminal


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """The logger's own options. Snakemake asks for the types themselves, so annotations of this module are no text."""

    full: bool = field(default=False, metadata={"help": "Print all that Snakemake says, every job among it."})


class LogHandler(LogHandlerBase):
    """Turns Snakemake's events into what the screen shows."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Begin with an empty screen."""
        common = self.common_settings
        self.screen = Screen(self.state, stdout=common.stdout, colour=not common.nocolor)
        self.text = self.full_text() if self.settings and self.settings.full else None
        self.began, self.watch = time.monotonic(), None
        self.planned: Counter[str] = Counter()  # jobs by rule
        self.steps = (0, 0)  # done, and of how many
        self.counts_runs = False  # while some of the study's own are left
        self.jobs: dict[int, tuple[str, str]] = {}  # rule and run, by number, of those under way
        self.stage, self.tenth, self.log = "", 0, ""
        self.failed: dict[str, None] = {}  # runs
        self.failures, self.ending = 0, False
        self.said: Counter[str] = Counter()

    def full_text(self) -> logging.Handler:
        """Return Snakemake's own handler."""
        from snakemake.logging import ColorizingTextHandler, DefaultFormatter

        common = self.common_settings
        formatter = DefaultFormatter(common.quiet, common.show_failed_logs)
        stream = sys.stdout if common.stdout else sys.stderr
        return ColorizingTextHandler(nocolor=common.nocolor, stream=stream, formatter=formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Show what an event changes. Whatever goes wrong here is reported and does not stop the study."""
        try:
            if self.text:
                self.text.emit(record)
            else:
                handle = getattr(self, f"on_{getattr(record, 'event', None) or 'text'}", None)
                if handle:
                    handle(record)
        except Exception:  # the queue's thread would end, and with it all that is shown
            self.handleError(record)

    # Events -----------------------------------------------------------------------------------------------------------

    def on_workflow_started(self, record: Any) -> None:
        """Read the study, whose files say how far it is."""
        with contextlib.suppress(InputError, OSError, IndexError):  # Snakemake itself says it
            study = read_study(Path(record.configfiles[0]))
            self.watch = Watch(study) if study_kind(study.config) == TRAINED else None

    def on_run_info(self, record: Any) -> None:
        """Say what is planned, and open the block."""
        self.planned = Counter({name: count for name, count in record.stats.items() if name not in ("all", "total")})
        if self.common_settings.dryrun:
            return
        self.log = keep_streams()
        self.look(now=True)
        self.counts_runs = bool(self.watch and self.planned["evaluate_run"] and self.watch.progress.left)
        self.say_state()
        self.screen.open()

    def on_job_info(self, record: Any) -> None:
        """Note a job that starts, and say so where a stage begins with it."""
        run = (record.wildcards or {}).get("run", "")
        self.jobs[record.jobid] = (record.rule_name, run)
        self.failed.pop(run, None)  # it is tried again
        stage = STAGES.get(record.rule_name, self.stage)
        if stage != self.stage and not self.common_settings.dryrun:
            self.stage = stage
            if not self.screen.is_terminal:
                self.screen.say(f"{stage} ...")

    def on_job_finished(self, record: Any) -> None:
        """Note a job's end; look at the runs where it is one's, and say what it warns of where it checks the data."""
        rule, _ = self.jobs.pop(record.job_id, ("", ""))
        if rule == "evaluate_run":
            self.look()
            self.say_tenth()
        if rule == "check_data" and self.watch:
            for text in warnings_of(LOGS / rule / f"{self.watch.study.config['study']}.log"):
                self.screen.say(text, style="yellow")

    def on_progress(self, record: Any) -> None:
        """Note how many of all jobs are done."""
        self.steps = (record.done, record.total)

    def on_job_error(self, record: Any) -> None:
        """Say why a job failed; of a group only the member whose log says so."""
        rule, run = self.jobs.pop(record.jobid, (record.rule_name, ""))
        logs = [Path(name) for name in record.log or () if Path(name).is_file()]
        if self.ending or (record.indent and not logs):
            return
        if run:
            self.failed[run] = None
            self.look(now=True)
        reason, lines = ending_of(logs[0]) if logs else (record.rule_msg or "no log was written", [])
        self.say_failure(f"{rule} {run}".rstrip(), reason, lines, logs)

    def on_group_error(self, record: Any) -> None:
        """Say that a group failed where none of its members has written a log."""
        if not self.ending and not any(Path(log).is_file() for info in record.job_error_info for log in info["log"]):
            self.say_failure(f"group {record.groupid}", "no log was written", [], record.aux_logs)

    def say_failure(self, what: str, reason: str, lines: Sequence[str], logs: Sequence[str | Path]) -> None:
        """Say what failed, once for each reason, with the end of its log and where that is."""
        self.failures += 1
        self.said[reason] += 1
        if self.said[reason] == 1 and len(self.said) <= MOST_SAID:
            texts = [f"Failed: {what}: {reason}", *(f"  {line}" for line in lines), *(f"  log: {log}" for log in logs)]
            self.screen.say("\n".join(texts), style="red")

    def on_error(self, record: Any) -> None:
        """Say what stopped Snakemake itself; that a job failed has been said."""
        text = (record.getMessage() or "").strip()
        if not any(known in text for known in REPEATED):
            self.screen.say(text, style="red")

    def on_text(self, record: Any) -> None:
        """Pass on an error, a warning and the few other things that somebody waits for, each once."""
        text = (record.getMessage() or "").strip()
        self.ending |= text.startswith(ENDING)
        if record.levelno >= logging.ERROR:
            self.on_error(record)
        elif (record.levelno == logging.WARNING or text.startswith(PASSED_ON)) and not self.said[text]:
            self.said[text] += 1
            if self.said.total() <= MOST_SAID or record.levelno < logging.WARNING:
                self.screen.say(text, style="yellow" if record.levelno == logging.WARNING else "")

    def close(self) -> None:
        """Close the block and say how it went, once: Python closes handlers at its end, after Snakemake has."""
        self.screen.close()
        planned, self.planned = self.planned, Counter()
        if planned and not self.text:
            self.look(now=True)
            lines = self.dry_run_lines(planned) if self.common_settings.dryrun else [self.end_line()]
            for line in lines:
                self.screen.say(line)
        super().close()

    # Words ------------------------------------------------------------------------------------------------------------

    def look(self, *, now: bool = False) -> None:
        """Look at the runs' files."""
        if self.watch:
            self.watch.look(self.failed, now=now)

    def state(self) -> State:
        """Return what the block shows."""
        elapsed = duration(time.monotonic() - self.began)
        under_way = Counter(rule.replace("_", " ") for rule, _ in [*self.jobs.values()])
        lines = {"now": f"{', '.join(f'{count} {rule}' for rule, count in under_way.items()) or '-'}; {elapsed} so far"}
        done, planned = self.steps
        sentence = f"{done} of {counted(planned, 'job')} done" if planned else f"{self.planned.total()} jobs planned"
        if self.counts_runs:
            sentence = self.watch.sentence
            done, planned = len(self.watch.progress.done), self.watch.progress.planned
            lines |= {"last": self.watch.last, "best": self.watch.best}
        return State(done, planned, sentence, {name: line for name, line in lines.items() if line})

    def say_state(self) -> None:
        """Say in a line how far the study is, and in another where Snakemake's text is."""
        jobs = counted(self.planned.total(), "job")
        self.screen.say(f"{self.watch.sentence}; {jobs} to do." if self.watch else f"{jobs} to do.")
        if self.log:
            self.screen.say(f"Full output of Snakemake and its jobs: {self.log}", style="dim")

    def say_tenth(self) -> None:
        """Say how far the runs are where another tenth of them is done and no block shows it."""
        progress = self.watch.progress if self.watch else None
        tenth = TENTHS * len(progress.done) // progress.planned if progress and self.counts_runs else self.tenth
        if tenth > self.tenth and not self.screen.is_terminal:
            self.screen.say(f"{self.watch.sentence}; best {self.watch.best}")
        self.tenth = tenth

    def end_line(self) -> str:
        """Say how many runs are done, how many jobs failed, and how long it took."""
        done, planned = self.steps
        what = self.watch.progress.line(None) if self.watch else f"{done} of {counted(planned, 'job')} done"
        failed = f", {counted(self.failures, 'job')} failed" if self.failures and not self.failed else ""
        return f"{what}{failed}, after {duration(time.monotonic() - self.began)}."

    def dry_run_lines(self, planned: Counter[str]) -> list[str]:
        """Return what a run would do: runs, jobs, minutes, gigabytes; planned: jobs by rule."""
        jobs = ", ".join(f"{count} {rule}" for rule, count in planned.items())
        lines = [f"Study {self.watch.study.config['study']}: {self.watch.sentence}."] if self.watch else []
        lines += [f"{counted(planned.total(), 'job')} to do: {jobs}."]
        if self.watch:
            lines += cost_lines(self.watch) if planned["finetune_run"] and self.watch.progress.left else []
            lines += confirmation_lines(self.watch.study)
        return [*lines, "Every job: make dry-run ARGS=--logger-finevar-full"]


def cost_lines(watch: Watch) -> list[str]:
    """Return how long the runs that are left take, and how much memory and disk, where a pilot has timed them."""
    from finevar.files import read_json
    from finevar.planning.forecast import forecast_study, room_sentence, time_sentence

    config = watch.study.config
    pilot = place("study", study=config["study"]) / "pilot.json"
    if not pilot.exists():
        return ["Minutes, memory and disk: `make design-card` times a few steps and says."]
    forecast = forecast_study(config, read_json(pilot), watch.progress.done.keys())
    return [time_sentence(forecast), room_sentence(forecast)]


def ending_of(log: Path) -> tuple[str, list[str]]:
    """Return why a job failed by its log, in a sentence, and the log's last lines where nobody foresaw that."""
    ending = read_ending(log)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    return ending.sentence, lines if ending.code in (BEGUN, ERROR) else []


def warnings_of(log: Path) -> list[str]:
    """Return what a job warned of by its log; nothing where that cannot be read."""
    with contextlib.suppress(OSError):
        return WARNING.findall(log.read_text(encoding="utf-8", errors="replace"))
    return []


def keep_streams() -> str:
    """Have what jobs print go to Snakemake's log file, and keep the terminal for this process; return the file's path.

    Jobs inherit the descriptors 1 and 2; this process goes on by copies of them, which no job inherits.
    """
    handlers = logging.getLogger("snakemake.logging").handlers
    found = next((handler.baseFilename for handler in handlers if isinstance(handler, logging.FileHandler)), None)
    if not found:
        return ""
    with Path(found).open("ab") as file:
        for number, name in ((1, "stdout"), (2, "stderr")):
            getattr(sys, name).flush()
            setattr(sys, name, os.fdopen(os.dup(number), "w", buffering=1, errors="replace"))
            os.dup2(file.fileno(), number)
    return os.path.relpath(found)
