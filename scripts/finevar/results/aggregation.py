"""All runs of a study in one table, the baseline's figures beside each."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from finevar.columns import (
    DESIGN,
    EPOCH_EVALUATIONS,
    EPOCHS,
    LEARNING_CURVES,
    MODELS,
    MODELS_METRICS,
    PARTS,
    SETTINGS,
    STUDY_METRICS,
    TRAINING,
    of_models,
)
from finevar.errors import InputError
from finevar.jobs.endings import run_ending
from finevar.metrics import RESPONSES
from finevar.parquet import read_table, read_tables
from finevar.reasons import MISSING, UNRECORDED
from finevar.results.collapse import mark_collapsed
from finevar.results.run_metrics import Positives, is_trained_and_evaluated_alike, read_run_metrics
from finevar.study.design import shares_trajectory
from finevar.study.seed_parts import COLUMNS, parts_of
from finevar.study.settings import MODEL

BINS_PER_EPOCH = 10
ALIKE = {  # columns in which all runs on a data set must agree, and what they are
    "data_sha256": "prepared data (data_sha256)",
    "model_sha256": "starting models (model_sha256)",
    "engine": "versions of what made them (engine)",
    "eval_examples": "numbers of evaluation sentences (eval_examples)",
    "f1_average": "ways of averaging F1 (f1_average)",
}
ALIKE_WITH_BASELINE = ("data_sha256", "engine", "eval_examples", "f1_average")

Row = dict[str, Any]


def read_design(path: str | Path) -> list[Row]:
    """Return the runs that a design lists, each with its id, data set, seed and settings.

    A design that an earlier version listed has no parts of seeds: they are those of its seed.
    """
    types = dict(zip(DESIGN.names, DESIGN.types, strict=True)) | MODELS
    options = csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
    table = csv.read_csv(path, convert_options=options)
    kept = [name for name in DESIGN.names if name not in PARTS or name in table.column_names]
    rows = table.select([*kept, *(name for name in MODELS if name in table.column_names)]).to_pylist()
    return [{COLUMNS[part]: seed for part, seed in parts_of(row["seed"]).items()} | row for row in rows]


def aggregate_models(
    expected: Sequence[Row],
    metrics: Iterable[Path],
    baselines: Iterable[Path],
    baseline_settings: Row,
    models: Mapping[str, tuple[str, Row]] | None = None,
    **options: Any,
) -> pa.Table:
    """Return a row per expected run, in the design's order, with its own model's baseline beside it.

    models: where there are several, the id of each one's baseline and its level of each factor; then the rows have
    columns.MODELS, too. Otherwise as aggregate_metrics().
    """
    if not models:
        return aggregate_metrics(expected, metrics, baselines, baseline_settings, **options)
    files, frozen, rows = by_run(expected, metrics), [*map(Path, baselines)], {}
    for model, (baseline, levels) in models.items():
        own = [run for run in expected if run[MODEL] == model]
        found = [files[run["run_id"]] for run in own if run["run_id"] in files]
        beside = [path for path in frozen if baseline in path.parts]
        for row in aggregate_metrics(own, found, beside, levels, **options).to_pylist():
            at_own = row["is_baseline_point"]
            known = {MODEL: model, "baseline_id": baseline, "is_own_baseline_point": at_own}
            rows[row["run_id"]] = row | known | {"is_baseline_point": at_own and levels == baseline_settings}
    check_models_alike([row for row in rows.values() if row["status"] != MISSING])
    return pa.Table.from_pylist([rows[run["run_id"]] for run in expected], schema=MODELS_METRICS)


def aggregate_metrics(
    expected: Sequence[Row],
    metrics: Iterable[Path],
    baselines: Iterable[Path],
    baseline_settings: Row,
    *,
    positives: Positives | None = None,
    logs: Path | None = None,
) -> pa.Table:
    """Return a row per expected run, in the design's order.

    expected: rows of columns.DESIGN. baseline_settings: the baseline's level of each factor. positives: by data set,
    the class that binary F1 is of. logs: of a study under way, folder of the rules' logs. A run without a file is a row
    of status missing, with the reason that its log gives, and so is one of a study under way that another version of
    finevar made; a run that has collapsed is a row of that status. Raises InputError for a damaged file, for a run that
    the design does not have, for one that occurs twice, and for runs that must not stand in one table.
    """
    paths, baselines = [Path(path) for path in metrics if Path(path).exists()], list(baselines)
    read = list(zip(read_run_metrics(paths, positives), paths, strict=True))
    found = [row for row, _ in read if not logs or is_trained_and_evaluated_alike(row)]
    check_runs(expected, found)
    frozen = {row["dataset"]: row for row in read_run_metrics(baselines, positives)}
    check_alike(found, frozen)
    places = {row["run_id"]: path for row, path in read}
    by_id = {row["run_id"]: row for row in mark_collapsed(found, places, baselines)}
    rows = []
    for run in expected:
        row = by_id.get(run["run_id"])
        if row is None:
            ending = run_ending(run["dataset"], run["run_id"], logs)
            row = run | {"status": "missing", "reason": ending.sentence, "ending": ending.code}
        beside = {f"baseline_{name}": frozen[run["dataset"]][name] for name in (*RESPONSES, "chance", "head")}
        at_baseline = all(run[name] == level for name, level in baseline_settings.items())
        absent = {name: None for name in SETTINGS if run[name] is None}  # a nested factor, at its default in training
        own = {name: run[name] for name in ("seed", *PARTS)}  # as this study numbers them
        own |= {"is_baseline_point": at_baseline, "trajectory_id": trajectory_id(run)}
        rows.append(row | absent | beside | own)
    return pa.Table.from_pylist(rows, schema=STUDY_METRICS)


def trajectory_id(run: Row) -> str:
    """Name the course of training that a run is a stretch of.

    Where neither schedule nor warm-up depends on the number of steps, a run of more epochs passes through the shorter
    ones at the same seed, so that they share their errors. Every other run is a trajectory of its own.
    """
    if not shares_trajectory(run):
        return run["run_id"]
    own = [MODEL] if MODEL in run else []
    rest = "|".join(f"{name}={run.get(name)}" for name in ("dataset", "seed", *SETTINGS, *own) if name != "epochs")
    return hashlib.sha256(rest.encode()).hexdigest()[:12]


def check_runs(expected: Sequence[Row], found: Sequence[Row]) -> None:
    """Raise InputError where a run occurs twice or belongs to another design."""
    counts = Counter(row["run_id"] for row in found)
    twice = [run_id for run_id, count in counts.items() if count > 1]
    foreign = sorted(set(counts) - {run["run_id"] for run in expected})
    for runs, what in ((twice, "more than one row"), (foreign, "a row without a place in the design")):
        if runs:
            raise InputError(
                "metrics files",
                found=f"{what} for run {', '.join(runs[:5])}{' ...' if len(runs) > 5 else ''}",
                allowed="one row for each run of the design",
                remedy="Delete the copied or renamed folder under results/runs and start Snakemake again.",
            )


def check_alike(found: Sequence[Row], frozen: Mapping[str, Row]) -> None:
    """Raise InputError, naming the runs, where some differ from the others in what must be the same for all.

    frozen: the baseline's row on each data set, which must have been evaluated on the same data and by the same code.
    """
    for name, what in ALIKE.items():
        for dataset in frozen:
            rows = [row for row in found if row["dataset"] == dataset]
            beside = [frozen[dataset]] if name in ALIKE_WITH_BASELINE else []
            counts = Counter(row[name] for row in [*beside, *rows])
            if len(counts) > 1:
                usual = counts.most_common(1)[0][0]
                odd = [row["run_id"] for row in [*beside, *rows] if row[name] != usual]
                raise InputError(
                    f"metrics on data set {dataset}",
                    found=f"{len(counts)} different {what}; another than most have {', '.join(odd[:5])}"
                    f"{f' and {len(odd) - 5} more' if len(odd) > 5 else ''}",
                    allowed="the same for all runs and the baseline",
                    remedy="Delete the folders of those under results/ and start Snakemake again.",
                )


def check_models_alike(rows: Sequence[Row]) -> None:
    """Raise InputError where runs of several models differ in what must be the same for all: see check_alike()."""
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        own = [row for row in rows if row["dataset"] == dataset]
        check_alike([row | {"model_sha256": None} for row in own], {dataset: own[0]})


def aggregate_curves(expected: Sequence[Row], trainings: Sequence[Path]) -> pa.Table:
    """Return each run's mean training loss and speed in bins of a tenth of an epoch.

    trainings: a file of each run that has one, below the folder of that name.
    """
    by_id, columns = by_run(expected, trainings), columns_of(expected, LEARNING_CURVES)
    expected = [run for run in expected if run["run_id"] in by_id]
    tables = read_tables([by_id[run["run_id"]] for run in expected], TRAINING)
    steps = pa.concat_tables(tables).to_pandas() if tables else TRAINING.empty_table().to_pandas()
    run = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    bins = bin_steps(steps.assign(run=run))
    runs = pd.DataFrame(expected, columns=[name for name in columns.names if name not in bins])
    whole = pd.concat([runs.iloc[bins.pop("run")].reset_index(drop=True), bins], axis=1)[columns.names]
    return pa.Table.from_pandas(whole, schema=columns, preserve_index=False)


def columns_of(expected: Sequence[Row], columns: pa.Schema) -> pa.Schema:
    """Return the columns of a table of runs' settings: of several models with theirs."""
    return of_models(columns) if any(MODEL in run for run in expected) else columns


def by_run(expected: Sequence[Row], trainings: Sequence[Path]) -> dict[str, Path]:
    """Return the file of each run that has one, by its id; they lie below the folder of that name."""
    folders = {run["run_id"] for run in expected}
    return {name: Path(path) for path in trainings for name in Path(path).parts if name in folders}


def aggregate_epochs(expected: Sequence[Row], trainings: Sequence[Path]) -> pa.Table:
    """Return each run's loss and accuracy on the test sentences after every epoch, as its own epochs.parquet has them.

    trainings: as of aggregate_curves(). A run that recorded none has a row without scores that says why.
    """
    by_id = by_run(expected, trainings)
    rows = []
    for run in expected:
        if path := by_id.get(run["run_id"]):
            own = path.parents[path.parts[::-1].index(run["run_id"]) - 1] / "epochs.parquet"
            found = read_table(own, EPOCHS).to_pylist() if own.exists() else [{"reason": UNRECORDED}]
            rows += [run | row for row in found]
    return pa.Table.from_pylist(rows, schema=columns_of(expected, EPOCH_EVALUATIONS))


def bin_steps(steps: pd.DataFrame) -> pd.DataFrame:
    """Return columns run, epoch (of the bin's last step), loss and tokens_per_second of the steps of some runs."""
    ticks = (steps["epoch"] * BINS_PER_EPOCH - 1e-9).astype(int).rename("tick")
    step_seconds = steps.groupby("run")["seconds"].diff().fillna(steps["seconds"])
    grouped = steps.assign(step_seconds=step_seconds).groupby(["run", ticks])
    sums = grouped[["tokens", "step_seconds"]].sum()
    speed = sums["tokens"] / sums["step_seconds"].where(sums["step_seconds"] > 0)
    bins = grouped.agg(epoch=("epoch", "max"), loss=("loss", "mean")).assign(tokens_per_second=speed)
    return bins.reset_index("run").reset_index(drop=True)


def named_runs(metrics: pd.DataFrame, status: str) -> Mapping[str, str]:
    """Return the reason of every run of a status, by run id."""
    rows = metrics[metrics["status"] == status]
    return dict(zip(rows["run_id"], rows["reason"], strict=True))
