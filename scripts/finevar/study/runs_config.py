"""The config of a study of runs that a file lists: check it at once, fill in defaults and what the file says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finevar.errors import InputError
from finevar.reasons import Unused
from finevar.study.claim_files import read_claims
from finevar.study.coding import codings_of
from finevar.study.consistency import Config, cut, factor_problems, level_problems, listed, metric_problems
from finevar.study.content import is_file
from finevar.study.listed_runs import ListedRun, read_runs, used
from finevar.study.schemas import raise_problems, read_against, read_schema


def read_runs_config(raw: Mapping[str, Any]) -> Config:
    """Return the config with every default filled in, factors with the levels and the baseline with what the file says.

    Raises InputError with all of its problems.
    """
    config, problems = read_against(raw, read_schema("runs"))
    analysis, spec = config["analysis"], config["runs"]
    if "responses" not in (raw.get("analysis") or {}):
        analysis["responses"] = list(spec["metrics"])
    analysis["claims"], wrong = read_claims(config, list(config["sweep"]["factors"]))
    raise_problems([*problems, *wrong, *spec_problems(config)])
    runs = read_runs(config)
    raise_problems(file_problems(config, runs))
    fill_levels(config, used(runs))
    fill_baseline(config, [run for run in runs if run.code == Unused.BASELINE])
    raise_problems(filled_problems(config))
    return config


def spec_problems(config: Config) -> Iterator[InputError]:
    """Yield what does not fit together before the file is read."""
    spec, baseline, responses = config["runs"], config["baseline"], config["analysis"]["responses"]
    if not is_file(Path(spec["file"]), Path.is_file):
        yield InputError(
            "config: runs.file",
            found=f"no file {cut(repr(spec['file']))}",
            allowed="one that exists; paths are relative to the folder that Snakemake runs in",
            remedy="Correct the path.",
        )
    for key, names in (("analysis.responses", responses), ("runs.percent", spec["percent"])):
        if unknown := [name for name in names if name not in spec["metrics"]]:
            yield InputError(
                f"config: {key}",
                found=listed(unknown),
                allowed=f"names under runs.metrics: {listed(spec['metrics'])}",
                remedy="Name its column under runs.metrics, or leave it out.",
            )
    if baseline["run"] is not None and baseline["metrics"]:
        yield InputError(
            "config: baseline",
            found="run and metrics",
            allowed="one of them",
            remedy="Leave out metrics: the run has its own.",
        )
    yield from metric_problems(config["analysis"])


def file_problems(config: Config, runs: list[ListedRun]) -> Iterator[InputError]:
    """Yield what keeps the file's rows from being a study."""
    baseline, named = config["baseline"]["run"], {run.run_id for run in runs}
    if baseline is not None and not any(run.code == Unused.BASELINE for run in runs):
        yield InputError(
            "config: baseline.run",
            found=f"{cut(repr(baseline))}, which no row is named",
            allowed=f"one of {listed(sorted(named), 5)}",
            remedy="Correct the name, or leave out baseline.run.",
        )
    rows = [run.dataset for run in runs if run.code == Unused.BASELINE]
    if len(set(rows)) < len(rows):
        yield InputError(
            "config: baseline.run",
            found=f"{len(rows)} rows named {cut(repr(baseline))}, several of one data set",
            allowed="one row a data set",
            remedy="Give the row a name of its own, or state the means as baseline.metrics in place of baseline.run.",
        )
    if not used(runs):
        reasons = dict.fromkeys(str(run.reason) for run in runs)
        no_numbers = any(run.code == Unused.NO_FACTOR for run in runs)
        factors = "Factors are numbers: leave out one of words, or write its values as such, 0 and 1. "
        yield InputError(
            cut(config["runs"]["file"]),
            found=f"none of {len(runs)} rows that is a run: {listed(reasons, 5)}",
            allowed="one run or more with a level of each factor and a metric",
            remedy=f"{factors if no_numbers else ''}Correct the columns' names in the config, or the file.",
        )
    else:
        for name in config["sweep"]["factors"]:
            values = {run.levels[name] for run in used(runs)}
            if len(values) < 2:
                unread = [str(run.reason) for run in runs if run.code == Unused.NO_FACTOR and name not in run.levels]
                rows = f", and in {len(unread)} rows no number ({unread[0]})" if unread else ""
                mend = (
                    "Write its values as numbers, without commas between thousands, or remove" if unread else "Remove"
                )
                yield InputError(
                    f"config: sweep.factors.{name}",
                    found=f"{min(values):g} in every run{rows}",
                    allowed="two values or more",
                    remedy=f"{mend} {name}: what does not vary is no factor.",
                )


def fill_levels(config: Config, runs: list[ListedRun]) -> None:
    """Give, in place, each factor without levels those that the runs have."""
    for name, factor in config["sweep"]["factors"].items():
        factor.setdefault("levels", sorted({run.levels[name] for run in runs}))


def fill_baseline(config: Config, rows: list[ListedRun]) -> None:
    """Give, in place, the baseline the settings of its row, where it has one and states all factors."""
    baseline = config["baseline"]
    if rows and not baseline["settings"] and len(rows[0].levels) == len(config["sweep"]["factors"]):
        baseline["settings"] = dict(rows[0].levels)


def filled_problems(config: Config) -> Iterator[InputError]:
    """Yield what does not fit together once the file's levels are known."""
    factors, settings = config["sweep"]["factors"], config["baseline"]["settings"]
    for name, coding in codings_of(factors).items():
        yield from factor_problems(name, coding, set())
        if name in settings:
            yield from level_problems(name, coding, settings[name])
    lacks, unknown = (
        [name for name in factors if name not in settings],
        [name for name in settings if name not in factors],
    )
    if settings and (lacks or unknown):
        yield InputError(
            "config: baseline.settings",
            found=f"{'no ' + listed(lacks) if lacks else listed(unknown) + ', no factor'}",
            allowed=f"a level of each factor: {listed(factors)}",
            remedy="Add or remove it, or leave out baseline.settings.",
        )
