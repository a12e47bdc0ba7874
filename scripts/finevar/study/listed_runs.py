"""The runs that a file lists: what each row is to the study, and why a row is not used."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finevar.errors import InputError
from finevar.metrics import RESPONSES
from finevar.reasons import DIVERGED, MISSING, OK, Unused
from finevar.study import run_files
from finevar.study.consistency import Config, cut
from finevar.study.factors import setting
from finevar.study.run_files import Cells, Listing, has_value, number_of, read_listing, seconds_of

DEFAULT_DATASET = "runs"  # of a file that names none
DIGITS = 12  # of a level; beyond, 0.1 + 0.2 would be another setting than 0.3


@dataclass(frozen=True)
class ListedRun:
    """A row of a file: a run of the study, or with a code of why it is none."""

    line: int  # of the table's rows, the first is 1
    run_id: str
    dataset: str
    seed: int | None
    levels: Mapping[str, float]
    metrics: Mapping[str, float]
    seconds: float | None
    status: str = OK
    code: Unused | None = None
    reason: str | None = None

    @property
    def point_id(self) -> str:
        """Return the name of its setting, the same at equal levels."""
        return "-".join(f"{setting(name).tag or name}{value:.{DIGITS}g}" for name, value in self.levels.items())

    @property
    def cell(self) -> tuple[str, str]:
        """Return its data set and its setting."""
        return self.dataset, self.point_id

    def unused(self, code: Unused, reason: str) -> ListedRun:
        """Return it with the first reason why it is not used."""
        return self if self.code else dataclasses.replace(self, code=code, reason=reason)


def read_runs(config: Config) -> list[ListedRun]:
    """Return every row of a study's file in its order; raise InputError for columns or metrics that cannot be meant."""
    spec, factors = config["runs"], config["sweep"]["factors"]
    listing = read_listing(Path(spec["file"]), spec["form"])
    columns = columns_of(listing, spec, factors)
    check_scale(listing, spec, columns)
    runs = [read_run(number, cells, columns, config) for number, cells in enumerate(listing.rows, 1)]
    runs = [dataclasses.replace(run, run_id=name) for run, name in zip(runs, distinct_names(runs), strict=True)]
    runs = unfinished_settings(numbered(runs, has_seeds=columns["seed"] is not None))
    return list(map(bounded(factors), runs))  # last, as without levels of the config's own they are those of these runs


def columns_of(listing: Listing, spec: Config, factors: Config) -> dict[str, str | None]:
    """Return the column of each thing that is read: run, state, seconds, seed, dataset, factors and metrics by name."""
    form = {key: getattr(listing.form, key) for key in ("run", "state", "seconds")}
    found = {key: listing.first(names) for key, names in form.items()}
    for key in ("run", "state", "seconds", "seed", "dataset"):
        if spec[key] is not None:
            found[key] = listing.column(spec[key], f"runs.{key}")
        elif key in ("seed", "dataset"):
            found[key] = listing.first([key, *(f"{prefix}{key}" for prefix in listing.form.prefixes)])
    for name, factor in factors.items():
        found[f"factor {name}"] = listing.column(factor.get("column", name), f"sweep.factors.{name}")
    for name, column in spec["metrics"].items():
        found[f"metric {name}"] = listing.column(column, f"runs.metrics.{name}")
    return found


def check_scale(listing: Listing, spec: Config, columns: Mapping[str, str | None]) -> None:
    """Raise InputError for a metric of which most values lie outside what it can be, as percentages do."""
    for name in spec["metrics"]:
        read = (metric_value(cells[columns[f"metric {name}"]], name, spec) for cells in listing.rows)
        values = [value for value in read if value is not None]
        low, high = RESPONSES[name].bounds
        wrong = [value for value in values if not low <= value <= high]
        if len(wrong) > len(values) / 2:
            percentages = math.isfinite(high) and name not in spec["percent"] and 0 <= min(values) <= max(values) <= 100
            raise InputError(
                f"config: runs.metrics.{name}",
                found=f"{wrong[0]:g} in column {cut(repr(columns[f'metric {name}']))}, and the like in most rows",
                allowed=f"values from {low:g} to {high:g}",
                remedy=f"Set runs.percent: [{name}] if these are percentages."
                if percentages
                else "Name the column that holds it.",
            )


def metric_value(cell: str, name: str, spec: Config) -> float | None:
    """Return the metric that a cell holds, of percentages the share; None for no finite number."""
    value = number_of(cell)
    return value / 100 if value is not None and name in spec["percent"] and not cell.endswith("%") else value


def read_run(line: int, cells: Cells, columns: Mapping[str, str | None], config: Config) -> ListedRun:
    """Return one row, judged by itself."""
    spec, factors = config["runs"], config["sweep"]["factors"]
    cell = {key: "" if column is None else cells[column] for key, column in columns.items()}
    levels = {name: number_of(cell[f"factor {name}"]) for name in factors}
    values = {name: metric_value(cell[f"metric {name}"], name, spec) for name in spec["metrics"]}
    run = ListedRun(
        line=line,
        run_id=cell["run"] if has_value(cell["run"]) else f"row {line}",
        dataset=cell["dataset"] if columns["dataset"] else DEFAULT_DATASET,
        seed=seed_of(cell["seed"]),
        levels={name: float(f"{value:.{DIGITS}g}") for name, value in levels.items() if value is not None},
        metrics={name: value for name, value in values.items() if value is not None},
        seconds=seconds_of(cell["seconds"]),
    )
    if run.run_id == config["baseline"]["run"]:
        return run.unused(Unused.BASELINE, "it is the baseline")
    for code, reason in own_reasons(run, cell, factors, has_seeds=columns["seed"] is not None):
        run = run.unused(code, reason)
    infinite = [name for name in spec["metrics"] if cell[f"metric {name}"].lower() in run_files.OF_NAN]
    return judged(run, cell["state"].lower().rpartition(".")[2], infinite)


def own_reasons(
    run: ListedRun, cell: Mapping[str, str], factors: Config, *, has_seeds: bool
) -> Iterator[tuple[Unused, str]]:
    """Yield why a row cannot be a run, by itself; cell: its texts by what they are."""
    for name in factors:
        if name not in run.levels:
            text = cell[f"factor {name}"]
            what = f"reads {cut(text)}, which is no number" if has_value(text) else "is empty"
            yield Unused.NO_FACTOR, f"{name} {what}"
    if not has_value(run.dataset):
        yield Unused.NO_DATASET, "its data set is empty"
    if has_seeds and run.seed is None:
        yield Unused.NO_SEED, f"seed reads {cut(cell['seed']) or 'nothing'}, which is no whole number"
    for name, value in run.metrics.items():
        low, high = RESPONSES[name].bounds
        if not low <= value <= high:
            yield Unused.IMPOSSIBLE, f"{name} reads {value:g}, outside {low:g} to {high:g}"


def judged(run: ListedRun, state: str, infinite: Sequence[str]) -> ListedRun:
    """Return a row with its status, by its state and its metrics; infinite: metrics that read nan or inf."""
    if run.code:
        return run
    if state in run_files.DIVERGED or infinite:
        why = f"{infinite[0]} is no finite number" if infinite else f"its state is {state}"
        return dataclasses.replace(run, status=DIVERGED, reason=why)
    if state in run_files.PRUNED:
        return run.unused(Unused.PRUNED, "it was stopped early, and when was decided by its metrics")
    if state not in run_files.FINISHED:
        known = run_files.FAILED + run_files.UNDER_WAY
        why = f"its state is {cut(state)}" + ("" if state in known else ", which finevar does not know")
        return dataclasses.replace(run, status=MISSING, reason=why)
    if not run.metrics:
        return dataclasses.replace(run, status=MISSING, reason="it has no metric")
    return run


def seed_of(cell: str) -> int | None:
    """Return the whole number that a cell is, as columns of numbers with gaps hold it, too (3.0); None for none."""
    value = number_of(cell)
    return int(value) if value is not None and value == int(value) and 0 <= value < 2**63 else None


def distinct_names(runs: Sequence[ListedRun]) -> Iterator[str]:
    """Yield the runs' names, with their rows where several have one name."""
    counts = Counter(run.run_id for run in runs)
    return (f"{run.run_id} (row {run.line})" if counts[run.run_id] > 1 else run.run_id for run in runs)


def bounded(factors: Config) -> Callable[[ListedRun], ListedRun]:
    """Return the function that excludes a run beyond the levels that the config compares."""

    def check(run: ListedRun) -> ListedRun:
        for name, factor in factors.items():
            levels, value = factor.get("levels"), run.levels.get(name)
            if levels and value is not None and not min(levels) <= value <= max(levels):
                run = run.unused(Unused.RANGE, f"{name} {value:g} is beyond the levels compared")
        return run

    return check


def numbered(runs: Sequence[ListedRun], *, has_seeds: bool) -> list[ListedRun]:
    """Return the runs with seeds, and without exact copies.

    Where the file has no seeds, repeats of a setting are its seeds, in their order. A run with the data set, setting,
    seed and metrics of another one is the same run, listed twice.
    """
    counts: Counter[tuple] = Counter()
    first: dict[tuple, str] = {}
    kept = []
    for run in runs:
        if not run.code and not has_seeds:
            run = dataclasses.replace(run, seed=counts[run.cell])
            counts[run.cell] += 1
        elif not run.code and run.status == OK:
            who = (*run.cell, run.seed, *sorted(run.metrics.items()))
            if first.setdefault(who, run.run_id) != run.run_id:
                run = run.unused(Unused.DUPLICATE, f"the same setting, seed and metrics as {first[who]}")
        kept.append(run)
    return kept


def unfinished_settings(runs: Sequence[ListedRun]) -> list[ListedRun]:
    """Return the runs, those of settings at which none finished or diverged excluded: nothing is known there."""
    states: dict[tuple, set[str]] = defaultdict(set)
    for run in runs:
        if not run.code:
            states[run.cell].add(run.status)
    return [
        run.unused(Unused.UNFINISHED, f"{run.reason}, and no other run of its setting finished")
        if not run.code and states[run.cell] == {MISSING}
        else run
        for run in runs
    ]


def used(runs: Sequence[ListedRun]) -> list[ListedRun]:
    """Return the rows that are runs of the study."""
    return [run for run in runs if not run.code]
