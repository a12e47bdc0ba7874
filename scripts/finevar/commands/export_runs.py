"""Write a study's runs for other programs: one tidy CSV with a data dictionary, or an MLflow file store.

usage: python -m finevar.commands.export_runs --configfile CONFIG --to {csv,mlflow}
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from finevar.commands.status import DEFAULT_CONFIG, read_study
from finevar.errors import InputError
from finevar.metrics import RESPONSES, STANDARD_ERRORS
from finevar.reasons import OK
from finevar.results.study_tables import read_metrics, write_csv
from finevar.study.consistency import Config
from finevar.study.factors import setting
from finevar.study.paths import place
from finevar.study.seed_parts import COLUMNS
from finevar.study.settings import SPECS
from finevar.tables import as_rows

SEEDS = ("seed", *COLUMNS.values())
FILE_STORE = "MLFLOW_ALLOW_FILE_STORE"  # which newer versions want to be set before they write files
MEANINGS = {  # column: meaning, unit
    "run_id": ("run", ""),
    "point_id": ("setting: runs of one data set and equal hyperparameters share it", ""),
    "dataset": ("data set that the run was trained and evaluated on", ""),
    "seed": ("seed of the run, or number of its combination of seeds, the same at every setting", ""),
    "seed_init": ("seed of the weights that are drawn anew", ""),
    "seed_order": ("seed of the order of the training examples", ""),
    "seed_dropout": ("seed of dropout's masks", ""),
    "seed_sample": ("seed of the draw of training examples; -1 where they are the data set's first or all", ""),
    "status": ("what became of the run: ok, diverged, collapsed or missing", ""),
    "reason": ("why the run has no metric, or lacks one", ""),
    "ending": ("how the last attempt of a missing run ended, as a code", ""),
    "chance": ("accuracy of answers with the same share of each class that say nothing of the text", "share"),
    "positive": ("class that F1, precision and recall of two classes are of", ""),
    "positive_label": ("number of that class", ""),
    "head": ("head that training began with: kept, reordered, new or replaced", ""),
    "architecture": ("class of the model in transformers", ""),
    "layout": ("how batches were laid out: flat, without padding, or padded to the longest", ""),
    "f1_average": ("how F1, precision and recall are averaged over classes", ""),
    "baseline_chance": ("the same of the baseline on the same data set", ""),
    "baseline_head": ("head that the baseline's training began with", ""),
    "classes": ("classes of the data set", "classes"),
    "train_examples_used": ("training sentences", "sentences"),
    "eval_examples": ("test sentences", "sentences"),
    "steps": ("optimiser steps", "steps"),
    "tokens": ("tokens that training read", "tokens"),
    "micro_batches": ("batches that were computed at once", "batches"),
    "train_seconds": ("time of training", "s"),
    "eval_seconds": ("time of evaluation", "s"),
    "train_peak_memory_mb": ("largest memory of the training", "MB"),
    "eval_peak_memory_mb": ("largest memory of the evaluation", "MB"),
    "threads": ("threads that the run used", "threads"),
    "device": ("device that the run used", ""),
    "dtype_used": ("type that matrices were multiplied in", ""),
    "python": ("version of Python", ""),
    "torch": ("version of PyTorch", ""),
    "packages": ("versions of further packages", ""),
    "code": ("version of finevar's code", ""),
    "engine": ("numbers of the stages that made the run", ""),
    "model_sha256": ("content of the starting model", ""),
    "data_sha256": ("content of the prepared data", ""),
    "is_baseline_point": ("whether the run has the baseline's own hyperparameters", ""),
    "model": ("model that training started from, by its source's name", ""),
    "baseline_id": ("baseline of that model, by its folder's name", ""),
    "is_own_baseline_point": ("whether the run has the hyperparameters of its own model's baseline", ""),
    "trajectory_id": ("course of training; runs that share one have correlated errors", ""),
    "line": ("row of the file that lists the run, the first is 1", ""),
    "owner": ("owner of the model", ""),
    "revision": ("commit of the model's card", ""),
    "source": ("address of the model", ""),
    "kind": ("what wrote the card: trainer, keras, autotrain or other", ""),
    "base_model": ("model that training started from", ""),
    "task": ("task, as the card names it", ""),
    "subset": ("configuration or part of the data set", ""),
    "split": ("split that was evaluated", ""),
    "train_batch_size": ("sentences that a device works at once", "sentences"),
    "gradient_accumulation_steps": ("batches of a step", "batches"),
    "total_train_batch_size": ("sentences of a step, as the card states it", "sentences"),
    "epochs_asked": ("epochs asked for", "epochs"),
    "epochs_run": ("epochs at the last evaluation", "epochs"),
    "steps_run": ("steps at the last evaluation", "steps"),
    "seed_stated": ("seed, as the card states it", ""),
    "headline": ("row of the card's table that its metrics are", ""),
    "evaluated": ("where the metrics stand: text or metadata", ""),
    "gate": ("why no p-value may be had from these runs", ""),
}
PREFIXES = {
    "baseline_": "of the baseline on the same data set",
    "last_": "of the last row of the card's table",
    "best_": "of the row of lowest loss of the card's table",
}


def meaning(column: str) -> tuple[str, str]:
    """Return what a column of the table of runs means, and its unit."""
    if column in MEANINGS:
        return MEANINGS[column]
    if column in RESPONSES:
        return RESPONSES[column].words, RESPONSES[column].unit
    if column in STANDARD_ERRORS:
        metric = RESPONSES[STANDARD_ERRORS[column]]
        return f"standard error of {metric.words} from the choice of test sentences", metric.unit
    for prefix, whose in PREFIXES.items():
        rest = column.removeprefix(prefix)
        if column.startswith(prefix) and (rest in RESPONSES or rest in MEANINGS):
            words, unit = meaning(rest)
            return f"{words}, {whose}", unit
    said = SPECS.get(column, {}).get("description")
    return (said or f"hyperparameter {setting(column).words}").rstrip("."), setting(column).unit


def runs_of(study: str) -> pd.DataFrame:
    """Return a study's runs, without the columns that are empty in all; raise InputError where there are none yet."""
    path = place("study", study=study) / "metrics.parquet"
    if not path.exists():
        raise InputError(
            f"study {study}",
            found=f"no {path}",
            allowed="a study that has been run",
            remedy="Run it with `make study`, then export.",
        )
    return read_metrics(path).dropna(axis="columns", how="all")


def to_csv(runs: pd.DataFrame, folder: Path) -> list[Path]:
    """Write runs.csv and dictionary.csv: a row a run, and a row a column with its meaning and unit."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [dict(zip(("column", "meaning", "unit"), (name, *meaning(name)), strict=True)) for name in runs]
    files = {"runs.csv": pa.Table.from_pylist(as_rows(runs)), "dictionary.csv": pa.Table.from_pylist(rows)}
    for name, table in files.items():
        write_csv(table, folder / name)
    return [folder / name for name in files]


def to_mlflow(runs: pd.DataFrame, folder: Path, config: Config) -> list[Path]:
    """Write mlruns, an MLflow file store with the study as an experiment, in place of an earlier one.

    Raises InputError where MLflow is not installed.
    """
    os.environ.setdefault(FILE_STORE, "true")
    try:
        from mlflow.tracking import MlflowClient
    except ImportError:
        raise InputError(
            "make export TO=mlflow",
            found=f"no package mlflow for {sys.executable}",
            allowed="mlflow-skinny or mlflow, which finevar does not need otherwise",
            remedy=f"Install it: {sys.executable} -m pip install mlflow-skinny",
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    output, study = folder.absolute() / "mlruns", config["study"]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".mlruns-") as scratch:
        client = MlflowClient(Path(scratch, "mlruns").absolute().as_uri())
        experiment = client.create_experiment(study, artifact_location=(output / study).as_uri())
        for run in as_rows(runs):
            log_run(client, experiment, run, config)
        shutil.rmtree(Path(scratch, "mlruns", "0"), ignore_errors=True)  # an empty experiment that MLflow adds
        shutil.rmtree(output, ignore_errors=True)
        Path(scratch, "mlruns").replace(output)
    return [folder / "mlruns"]


def log_run(client: Any, experiment: str, run: Mapping[str, Any], config: Config) -> None:
    """Write one run: hyperparameters and seed as params, metrics and seconds as metrics, all other texts as tags.

    MLflow shows how long a run took by when it began and ended, so that it ends now and began its training's time ago.
    """
    from mlflow.entities import Metric, Param, RunTag

    known = {name: value for name, value in run.items() if value is not None}
    params = [name for name in known if name in {*SPECS, *config["sweep"]["factors"], *SEEDS, "dataset"}]
    figures = [*RESPONSES, *STANDARD_ERRORS, "train_seconds", "eval_seconds"]
    metrics = [name for name in figures if name in known]
    tags = [name for name in known if name not in {*params, *metrics} and not name.startswith("baseline_")]
    ended, took = round(1000 * time.time()), round(1000 * known.get("train_seconds", 0))
    made = client.create_run(experiment, run_name=run["run_id"], start_time=ended - took).info
    client.log_batch(
        made.run_id,
        metrics=[Metric(name, float(known[name]), made.start_time, 0) for name in metrics],
        params=[Param(name, str(known[name])) for name in params],
        tags=[RunTag(f"finevar.{name}", str(known[name])) for name in tags],
    )
    client.set_terminated(made.run_id, "FINISHED" if run["status"] == OK else "FAILED", end_time=ended)


def main(arguments: Sequence[str]) -> int:
    """Export the study that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(prog="finevar.commands.export_runs", description="Write a study's runs.")
    parser.add_argument("--configfile", type=Path, default=Path(DEFAULT_CONFIG), help=f"default: {DEFAULT_CONFIG}")
    parser.add_argument("--to", choices=["csv", "mlflow"], default="csv", help="default: csv")
    options = parser.parse_args(arguments)
    try:
        config = read_study(options.configfile).config
        runs, folder = runs_of(config["study"]), place("study", study=config["study"]) / "export"
        files = to_csv(runs, folder) if options.to == "csv" else to_mlflow(runs, folder, config)
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Exported {len(runs)} runs: {', '.join(map(str, files))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
