"""The recommended run's model as a folder that Hugging Face's libraries load, with its card."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from finevar.columns import EXAMPLES, PREDICTIONS, STUDY_METRICS
from finevar.commands.export_card import Choice, Origin, Row, model_card, per_class
from finevar.commands.exported import check_exported
from finevar.data.encoding import load_encoded
from finevar.errors import InputError
from finevar.evaluation.evaluation import evaluate_model
from finevar.files import read_facts, read_json, write_sums
from finevar.models import checkpoint
from finevar.models.machine import choose_dtype, set_up
from finevar.parquet import read_table
from finevar.results.recommended import recommended_row
from finevar.tables import TABLES
from finevar.training.loop import Plan, train_model


def choose_run(metrics: pa.Table, recommendations: pa.Table, response: str, dataset: str, factors: list[str]) -> Choice:
    """Return the run of the recommended setting on a data set, at the first of its seeds.

    At the first, not the luckiest: the metric of the best of several seeds flatters. Raises InputError where a gate
    stopped the response, so that nothing is recommended.
    """
    found = recommendations.to_pylist()
    if (best := recommended_row(found, response)) is None:
        others = ", ".join(row["response"] for row in found)
        raise InputError(
            f"the recommendation for {response}",
            found="none: a gate stopped its analysis, as the report says",
            allowed=f"a metric with a recommendation ({others or 'there is none'})",
            remedy="Finish the missing runs, or put such a metric first in analysis.responses.",
        )
    rows = metrics.to_pylist()
    levels = next(row for row in rows if row["point_id"] == best["point_id"])
    wanted = {"status": "ok", "dataset": dataset} | {name: levels[name] for name in factors}
    alike = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return Choice(response, min(alike, key=lambda row: row["seed"]), alike, best, factors)


def export_files(
    *,
    metrics: str,
    recommendations: str,
    pretrained: str,
    start: str,
    train: str,
    examples: str,
    encoded: str,
    facts: str,
    fetched: Sequence[str] | None,
    response: str,
    dataset: str,
    factors: list[str],
    confidence: float,
    baseline: Row,
    sources: Mapping[str, Row],
    runs: str,
    threads: int,
    model: str,
) -> float:
    """Write the recommended run's model and card; return how far its logits are from those that were evaluated.

    Raises InputError, without a card, where transformers reads another model from the folder.

    In: the study's metrics and recommendations, the folder of the pretrained model, what the run was trained and
    evaluated from, the folders of data that were fetched, and `runs`, the folder of the data set's runs; of the config,
    the baseline and each data set's source, by its name. Weights that were not kept are trained once more: on the same
    kind of processor to the same bytes, which the comparison shows.
    """
    tables = read_table(metrics, STUDY_METRICS), read_table(recommendations, TABLES["recommendations"].schema)
    choice = choose_run(*tables, response, dataset, factors)
    corpus, folder, own = read_facts(facts), Path(model), Path(runs) / choice.run["run_id"]
    if (own / "model" / checkpoint.WEIGHTS).exists():
        shutil.copytree(own / "model", folder, dirs_exist_ok=True)
    else:
        train_again(choice, folder, start=Path(start), train=train, classes=corpus["classes"], threads=threads)
    table, data, length = read_table(examples, EXAMPLES), load_encoded(encoded), choice.run["max_length"]
    device = set_up(threads)
    dtype = choose_dtype(choice.run["dtype"], device)
    logits, measured = evaluate_model(folder, data, corpus["classes"], dtype, max_length=length, device=device)
    if logits is None:
        raise not_as_it_was(choice, measured["reason"])
    saved = read_table(own / "predictions.parquet", PREDICTIONS)["logits"].to_pylist()
    gap = float(np.abs(logits - np.array(saved)).max())
    agreement = check_exported(folder, table["text"].to_pylist(), data, logits, corpus["classes"], max_length=length)
    origin = Origin(read_json(Path(pretrained) / "source.json"), baseline, sources, fetched or [])
    classes = per_class(logits, data.labels, corpus["classes"])
    card = model_card(choice, origin, measured, classes, corpus, gap=gap, agreement=agreement, confidence=confidence)
    card.save(folder / "README.md")
    write_sums(folder)
    return gap


def train_again(choice: Choice, folder: Path, *, start: Path, train: str, classes: list[str], threads: int) -> None:
    """Train the chosen run once more and write its model."""
    run = choice.run
    plan = Plan(start, load_encoded(train), classes, choice.settings, run["seed"], threads, run["run_id"])
    trained = train_model(plan)
    if trained.weights is None:
        raise not_as_it_was(choice, trained.summary["reason"])
    checkpoint.save_model(trained.weights, folder, start=start, classes=classes)


def not_as_it_was(choice: Choice, reason: str | None) -> InputError:
    """Return the error of a run that ended well in the study and does not now."""
    return InputError(
        f"run {choice.run['run_id']}, once more",
        found=str(reason),
        allowed="a training and evaluation that end well, as they did in the study",
        remedy="Export on a machine of the kind that ran the study.",
    )
