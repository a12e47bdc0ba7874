"""The state of a study at any time, from its files: runs done, failed and left, time left, best settings so far.

usage: python -m finevar.commands.status [--configfile FILE]

Reads only, so that it may be called beside a study under way.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finevar.errors import InputError
from finevar.files import is_whole, read_facts
from finevar.jobs.endings import BEGUN, DAMAGED, INTERRUPTED, NOT_BEGUN, Ending, read_ending, run_ending
from finevar.metrics import Positive, towards
from finevar.reasons import COLLAPSED, DIVERGED, MISSING
from finevar.results.run_metrics import Positives, is_trained_and_evaluated_alike, read_run_metrics
from finevar.study.classes import positive_of
from finevar.study.config import read_config
from finevar.study.confirmation import evaluation_folder, planned_runs
from finevar.study.design import Run, Study, plan_study
from finevar.study.kinds import TRAINED, study_kind
from finevar.study.paths import LOGS, confirmation_file, interim, place, report_file, run_folder, table_file, there
from finevar.study.settings import MODEL, start_of
from finevar.study.yaml_files import load_config
from finevar.tables import ADVICE
from finevar.words.formatting import counted, label_of_run, response_labels, settings_text
from finevar.words.numbers import number
from finevar.words.recommendation import Advice, choice_sentence, headline

DEFAULT_CONFIG = "config/config.yaml"
STRETCH = 5.0  # a pause of more than so many runs' time begins a new stretch of work
MOST_NAMED = 5  # failed runs
BEFORE_RUNS = ("fetch_model", "fetch_data", "prepare_dataset", "encode_dataset", "train_baseline", "evaluate_baseline")
UNFAILED = (NOT_BEGUN, BEGUN, INTERRUPTED, DAMAGED)  # endings that the next start repairs by itself

Row = dict[str, Any]


@dataclass(frozen=True)
class Progress:
    """How far a study is."""

    planned: int
    done: dict[str, Path]  # metrics file by run
    endings: dict[str, Ending]  # of the last attempt, by run that was begun and is not done

    def ended(self, *codes: str) -> dict[str, str]:
        """Return the runs whose last attempt ended in one of these ways, with the sentence."""
        return {run: ending.sentence for run, ending in self.endings.items() if ending.code in codes}

    @property
    def failed(self) -> dict[str, str]:
        """Return the runs that failed, with the reason; one that was interrupted or met damage did not."""
        return {run: ending.sentence for run, ending in self.endings.items() if ending.code not in UNFAILED}

    @property
    def dates(self) -> dict[str, float]:
        """Return when the metrics of each done run were written; without runs whose jobs have begun again since."""
        found = {}
        for run, path in self.done.items():
            with contextlib.suppress(FileNotFoundError):
                found[run] = path.stat().st_mtime
        return found

    @property
    def left(self) -> int:
        """Return how many runs are neither done nor failed."""
        return self.planned - len(self.done) - len(self.failed)

    def line(self, seconds: float | None) -> str:
        """Return the counts and the time left in a line."""
        parts = [f"{len(self.done)} of {self.planned} runs done"]
        parts += [f"{len(self.failed)} failed"] if self.failed else []
        interrupted = len(self.ended(INTERRUPTED))
        parts += [f"{self.left} left{f' ({interrupted} interrupted)' if interrupted else ''}"] if self.left else []
        rest = "" if seconds is None or not self.left else f"; about {spell(seconds)} of training and evaluation to go"
        return ", ".join(parts) + rest


def read_study(config: Path) -> Study:
    """Plan the study of a config's file; raise InputError where there is none."""
    return plan_study(read_config(load_config(config)))


def check_trained(study: Study, remedy: str) -> None:
    """Raise InputError, with a remedy, for a study of models or runs that others trained."""
    if study_kind(study.config) != TRAINED:
        raise InputError(
            f"study {study.config['study']}",
            found="models or runs that it did not train",
            allowed="a study that trains its own",
            remedy=remedy,
        )


def look(runs: Iterable[Run]) -> Progress:
    """Return how far these runs are, by the files that there are."""
    done, endings, planned = {}, {}, 0
    for run in runs:
        planned += 1
        folder = run_folder(run)
        if found := there(folder, "metrics.parquet"):
            done[run.run_id] = found
        elif folder.exists():
            endings[run.run_id] = run_ending(run.dataset, run.run_id, LOGS)
    return Progress(planned, done, endings)


def prepared_positives(study: Study) -> dict[str, Positive | None]:
    """Return the class that binary F1 is of on each data set that is prepared."""
    found = {}
    for name in study.config["sweep"]["datasets"]:
        facts = place("data", data=study.dataset_ids[name]) / "dataset.json"
        with contextlib.suppress(InputError):  # of a class that there is not: the next start says so
            if is_whole(facts):  # which a reader would quarantine
                found[name] = positive_of(read_facts(facts), study.config["datasets"][name].get("positive"), name)
    return found


def of_this_version(progress: Progress, positives: Positives) -> tuple[Progress, list[Row]]:
    """Return how far a study is without the runs that will be made again, and the rows of those done.

    Made again are those of another version of finevar, and those with damage, which the next start quarantines.
    """
    scored = tuple(positives.items())
    found = {run: row for run, path in progress.done.items() if (row := row_of_this_version(path, scored))}
    return replace(progress, done={run: progress.done[run] for run in found}), [*found.values()]


def row_of_this_version(path: Path, positives: tuple[tuple[str, Positive | None], ...]) -> Row | None:
    """Return the row of a file of metrics; None where its run will be made again."""
    try:
        return remembered_row(path.absolute(), path.stat().st_mtime_ns, positives)
    except FileNotFoundError:  # its job has begun again
        return None


@functools.cache
def remembered_row(path: Path, written: int, positives: tuple[tuple[str, Positive | None], ...]) -> Row | None:
    """Read a file's row once for as long as it is the same file, by when it was written."""
    if not is_whole(path):  # which a reader would quarantine
        return None
    with contextlib.suppress(InputError):
        (row,) = read_run_metrics([path], dict(positives))
        return row if is_trained_and_evaluated_alike(row) else None
    return None


# Time left ------------------------------------------------------------------------------------------------------------


def seconds_left(study: Study, progress: Progress, rows: Sequence[Row]) -> float | None:
    """Return how long the runs that are left will take at the pace of the last stretch of work, None if unknown.

    A run's own time is that of the done runs with its batch size, by the sentences that it reads; how many run at once
    is the own time of the last stretch's runs over the time that it took.
    """
    timed = [row for row in rows if row["train_seconds"] is not None and row["eval_seconds"] is not None]
    pace = runs_at_once(progress, {row["run_id"]: row["train_seconds"] + row["eval_seconds"] for row in timed})
    if pace is None:
        return None
    ended = progress.done.keys() | progress.failed.keys()
    left = [run.settings for run in study.runs.values() if run.run_id not in ended]
    kinds = Counter((settings["batch_size"], settings["epochs"]) for settings in left)
    return sum(count * own_seconds(*kind, timed) for kind, count in kinds.items()) / pace


def own_seconds(batch_size: int, epochs: int, timed: Sequence[Row]) -> float:
    """Return about how long a run takes, from timed ones, those of its batch size where there are such."""
    alike = [row for row in timed if row["batch_size"] == batch_size] or timed
    an_epoch = sum(row["train_seconds"] for row in alike) / sum(row["epochs"] for row in alike)
    return an_epoch * epochs + float(np.mean([row["eval_seconds"] for row in alike]))


def runs_at_once(progress: Progress, seconds: dict[str, float]) -> float | None:
    """Return how many runs the last stretch of work did at once; None before two are done.

    No more than were ever under way at one time, since two that ended together say little of their pace.
    """
    ends = sorted((date, run) for run, date in progress.dates.items() if run in seconds)
    typical = float(np.median([*seconds.values()])) if seconds else 0.0
    first = len(ends) - 1
    while first > 0 and ends[first][0] - ends[first - 1][0] < STRETCH * typical:
        first -= 1
    if len(ends) - first < 2 or (took := ends[-1][0] - ends[first][0]) <= 0:
        return None
    overlapping = max(sum(end - seconds[run] < now <= end for end, run in ends[first:]) for now, _ in ends[first:])
    return min(sum(seconds[run] for _, run in ends[first + 1 :]) / took, overlapping)


def spell(seconds: float) -> str:
    """Print a time roughly."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


# Words ----------------------------------------------------------------------------------------------------------------


def state_lines(study: Study) -> list[str]:
    """Return a study's state; one that trains nothing has no runs to wait for."""
    if study_kind(study.config) != TRAINED:
        report = report_file(study.config["study"])
        return [f"Report: {report}" if report.exists() else "No report yet; `make study` makes it in seconds."]
    progress, name = look(study.runs.values()), study.config["study"]
    seen = len(progress.done)
    progress, rows = of_this_version(progress, prepared_positives(study))
    outdated = seen - len(progress.done)
    lines = [f"Study {name}: {progress.line(seconds_left(study, progress, rows))}."]
    lines += [f"  to be run again (damaged, or from another version of finevar): {outdated}"] if outdated else []
    diverged = [row["run_id"] for row in rows if row["status"] == DIVERGED]
    lines += [f"  diverged: {', '.join(diverged)}"] if diverged else []
    collapsed = collapsed_runs(name) & {row["run_id"] for row in rows}
    lines += [f"  collapsed, by the last report: {', '.join(sorted(collapsed))}"] if collapsed else []
    begun = len(progress.ended(BEGUN, NOT_BEGUN, DAMAGED))
    lines += [f"  started, not finished: {begun}"] if begun else []
    lines += named_lines(progress.ended(INTERRUPTED), "")
    lines += named_lines(progress.failed, "failed: ")
    lines += [f"  failed: {log}: {ending.sentence}" for log, ending in failed_before(study).items()]
    advised = advised_lines(study)
    lines += advised or best_lines(study, [row for row in rows if row["run_id"] not in collapsed])
    return [*lines, *report_lines(name, len(progress.done), progress.planned), *confirmation_lines(study)]


def named_lines(runs: dict[str, str], before: str) -> list[str]:
    """Return a line for each of the first runs with its sentence, and how many more there are."""
    lines = [f"  {before}{run}: {sentence}" for run, sentence in [*runs.items()][:MOST_NAMED]]
    return lines + ([f"  and {len(runs) - MOST_NAMED} more; see {LOGS}"] if len(runs) > MOST_NAMED else [])


def failed_before(study: Study) -> dict[Path, Ending]:
    """Return how the jobs failed that all runs depend on (model, data, baseline), by their logs."""
    models, datasets = study.model_ids.values(), study.dataset_ids.values()
    names = {*models, *study.baseline_ids.values(), *study.source_ids.values(), *datasets}
    names |= {f"{data}--{model}" for data, model in itertools.product(datasets, models)}
    logs = [log for rule in BEFORE_RUNS for log in sorted((LOGS / rule).rglob("*.log"))]
    found = {log: read_ending(log) for log in logs if names & set(log.with_suffix("").parts)}
    return {log: ending for log, ending in found.items() if ending.code not in UNFAILED}


def report_lines(study: str, done: int, planned: int) -> list[str]:
    """Return where the study's reports are: the final one, and an interim one that is newer or alone."""
    final, under_way = report_file(study), report_file(interim(study))
    lines = [f"Report: {final}"] if final.exists() else []
    if under_way.exists() and (not lines or under_way.stat().st_mtime > final.stat().st_mtime):
        covered = runs_of(under_way.with_name("metrics.parquet"))
        of_what = "" if covered is None else f" of {covered} of {planned} runs; now {done} are done"
        lines.append(f"Interim report: {under_way}{of_what}")
    return lines or ["No report yet; `make interim` makes one of the runs so far."]


def confirmation_lines(study: Study) -> list[str]:
    """Return how far the confirmation is that was asked for, and where it is; nothing where none was."""
    name = study.config["study"]
    if not confirmation_file(name).exists():
        return []
    if not (runs := planned_runs(study)):
        return ["Confirmation: stale, as the study's runs have changed; `make confirm` makes a new one."]
    done = sum((evaluation_folder(study.config, run) / "metrics.parquet").exists() for run in runs.values())
    table = table_file(name, "confirmation").with_suffix(".csv")
    return [f"Confirmation: {done} of {counted(len(runs), 'run')} done{f'; {table}' if table.exists() else ''}"]


def runs_of(metrics: Path) -> int | None:
    """Return how many runs with metrics a study's table has, None where it cannot be read just now."""
    found = statuses(metrics)
    return None if found is None else sum(status != MISSING for status in found.values())


def collapsed_runs(study: str) -> set[str]:
    """Return the runs that have collapsed by the study's tables: they are marked where runs are gathered."""
    folders = (report_file(name).parent for name in (study, interim(study)))
    tables = [statuses(folder / "metrics.parquet") or {} for folder in folders]
    return {run for found in tables for run, status in found.items() if status == COLLAPSED}


def statuses(metrics: Path) -> dict[str, str] | None:
    """Return the status of each run of a study's table, None where it cannot be read just now."""
    try:
        table = pq.read_table(metrics, columns=["run_id", "status"])
    except (OSError, pa.ArrowException):
        return None
    return dict(zip(table["run_id"].to_pylist(), table["status"].to_pylist(), strict=True))


def advised_lines(study: Study) -> list[str]:
    """Return which setting the newest analysis recommends, of all runs or of those so far; none before there is one."""
    from finevar.results.study_tables import read_analysis, read_metrics  # which import pandas

    name, factors = study.config["study"], list(study.config["sweep"]["factors"])
    files = [table_file(each, "recommendation") for each in (name, interim(name))]
    newest = max((path for path in files if path.exists()), key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        return []
    with contextlib.suppress(InputError, OSError):  # of another version, or being rebuilt
        metrics = read_metrics(newest.parents[1] / "metrics.parquet")
        tables = {table: read_analysis(newest.with_name(f"{table}.parquet")) for table in ADVICE}
        advice = Advice.of(tables, metrics, factors, response_labels(metrics, study.config["analysis"]["responses"]))
        speaks = advice.recommendation or advice.learnt_nothing
        sentences = [headline(advice), choice_sentence(advice)] if speaks else []
        return [f"  {sentence}" for sentence in sentences if sentence]
    return []


def best_lines(study: Study, rows: Sequence[Row]) -> list[str]:
    """Return for each metric the setting with the best mean over its seeds so far."""
    found = [best_text(study, rows, response, "so far") for response in study.config["analysis"]["responses"]]
    lines = [f"  best {text}" for text in found if text]
    return [*lines, "  No setting is recommended yet: the best of many is partly luck."] if lines else []


def best_text(study: Study, rows: Sequence[Row], response: str, when: str = "") -> str:
    """Return the best mean over seeds in a metric, and at which setting; nothing before a run has a value of it."""
    settings: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row[response] is not None:
            settings.setdefault((row["dataset"], row["point_id"]), []).append(row)
    if not settings:
        return ""
    means = {setting: float(np.mean([row[response] for row in found])) for setting, found in settings.items()}
    setting = max(means, key=lambda setting: towards(response) * means[setting])
    best, mean = settings[setting], number(means[setting])
    label = " ".join(filter(None, (label_of_run(response, best[0]), when)))
    return f"{label}: {mean} (mean of {counted(len(best), 'seed')}) at {setting_text(study, best[0])}"


def setting_text(study: Study, row: Row) -> str:
    """Print the setting of a run: its levels, and its data set where there are several."""
    levels = row | {MODEL: start_of(study.runs[row["run_id"]].settings, study.config)}
    where = settings_text({name: levels[name] for name in study.config["sweep"]["factors"]})
    return where + (f" on {row['dataset']}" if len(study.config["sweep"]["datasets"]) > 1 else "")


def main(arguments: Sequence[str]) -> int:
    """Print the state of the study that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="finevar.commands.status", description="Print the state of a study from its files."
    )
    parser.add_argument("--configfile", default=DEFAULT_CONFIG)
    options = parser.parse_args(arguments)
    try:
        print("\n".join(state_lines(read_study(Path(options.configfile)))))
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
