"""The recommended run's model as a folder that Hugging Face's libraries load, with its card."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from finevar.columns import EXAMPLES, PREDICTIONS
from finevar.commands.export_card import Choice, Origin, Row, model_card, per_class
from finevar.commands.exported import check_exported
from finevar.data.encoding import load_encoded
from finevar.errors import InputError
from finevar.evaluation.evaluation import evaluate_model
from finevar.files import read_facts, read_json, write_sums
from finevar.metrics import RESPONSES, Positive
from finevar.models import checkpoint
from finevar.models.families import read_family
from finevar.models.machine import choose_dtype, set_up
from finevar.parquet import read_table
from finevar.results.study_tables import read_analysis, read_metrics
from finevar.study.seed_parts import seed_in
from finevar.study.settings import MODEL
from finevar.tables import as_rows
from finevar.training.loop import Plan, train_model
from finevar.words.formatting import response_labels
from finevar.words.numbers import is_missing
from finevar.words.recommendation import Advice, headline


def choose_run(metrics: pd.DataFrame, advice: Advice, dataset: str, factors: list[str]) -> Choice:
    """Return the run of the recommended setting on a data set, at the first of its seeds.

    At the first, not the luckiest: the metric of the best of several seeds flatters. Raises InputError where no setting
    is recommended.
    """
    if advice.best is None:
        raise InputError(
            "the recommended setting",
            found=f"none: {headline(advice)}",
            allowed="a study that recommends one",
            remedy="Finish the missing runs; where all candidates are excluded, see the report.",
        )
    levels = {name: level for name, level in advice.levels[advice.best["point_id"]].items() if not is_missing(level)}
    wanted = {"status": "ok", "dataset": dataset} | levels
    alike = as_rows(metrics[metrics[list(wanted)].eq(wanted).all(axis=1)].sort_values("seed"))
    return Choice(alike[0], alike, advice, factors)


def export_files(
    *,
    metrics: str,
    advice: list[str],
    pretrained: Sequence[str],
    start: Sequence[str],
    train: Sequence[str],
    examples: str,
    encoded: Sequence[str],
    facts: str,
    fetched: Sequence[str] | None,
    dataset: str,
    factors: list[str],
    confidence: float,
    baseline: Row,
    head: checkpoint.Meanings | None = None,
    sources: Mapping[str, Row],
    runs: str,
    threads: int,
    model: str,
    models: Mapping[str, str] | None = None,
) -> float:
    """Write the recommended run's model and card; return how far its logits are from those that were evaluated.

    Raises InputError, without a card, where transformers reads another model from the folder.

    In: the study's metrics, the tables of its advice (tables.ADVICE), the folder of the pretrained model, what the run
    was trained and evaluated from, the folders of fetched data, and `runs`, the folder of the data set's runs; of the
    config, the baseline and each data set's source, by its name. What depends on the model is there for each of the
    study's, in the order of `models`, which names them where there are several. Weights that were not kept are trained
    once more: on the same kind of processor to the same bytes, which the comparison shows.
    """
    study, tables = read_metrics(metrics), {Path(path).stem: read_analysis(path) for path in advice}
    advised = Advice.of(tables, study, factors, response_labels(study, RESPONSES))
    choice = choose_run(study, advised, dataset, factors)
    number = list(models).index(choice.run[MODEL]) if models else 0
    corpus, folder, own = read_facts(facts), Path(model), Path(runs) / choice.run["run_id"]
    if (own / "model" / checkpoint.WEIGHTS).exists():
        shutil.copytree(own / "model", folder, dirs_exist_ok=True)
    else:
        files = Path(start[number]), train[number]
        train_again(choice, folder, *files, classes=corpus["classes"], head=head, threads=threads)
    table, data, length = read_table(examples, EXAMPLES), load_encoded(encoded[number]), choice.run["max_length"]
    device = set_up(threads)
    dtype = choose_dtype(choice.run["dtype"], device)
    name = choice.run["positive"]
    positive = None if name is None else Positive(int(choice.run["positive_label"]), name)
    logits, measured = evaluate_model(
        folder, data, corpus["classes"], dtype, max_length=length, device=device, positive=positive
    )
    if logits is None:
        raise not_as_it_was(choice, measured["reason"])
    saved = read_table(own / "predictions.parquet", PREDICTIONS)["logits"].to_pylist()
    gap = float(np.abs(logits - np.array(saved)).max())
    agreement = check_exported(folder, table["text"].to_pylist(), data, logits, corpus["classes"], max_length=length)
    origin = Origin(read_json(Path(pretrained[number]) / "source.json"), baseline, sources, fetched or [])
    classes = per_class(logits, data.labels, corpus["classes"])
    what = {"architecture": read_family(folder).transformers_class, "pairs": data.pairs is not None}
    figures = {"gap": gap, "agreement": agreement, "confidence": confidence}
    card = model_card(choice, origin, measured, classes, corpus, **what, **figures)
    card.save(folder / "README.md")
    write_sums(folder)
    return gap


def train_again(
    choice: Choice,
    folder: Path,
    start: Path,
    train: str,
    *,
    classes: list[str],
    head: checkpoint.Meanings | None,
    threads: int,
) -> None:
    """Train the chosen run once more and write its model."""
    run = choice.run
    examples = load_encoded(train)
    plan = Plan(start, examples, classes, choice.settings, seed_in(run), threads, run["run_id"], head=head)
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
