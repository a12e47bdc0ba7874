"""The recommended run's model as a folder that Hugging Face's libraries load; its card says how it was chosen."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from finevar import PACKAGE
from finevar.columns import EXAMPLES, PREDICTIONS, SETTINGS
from finevar.commands.exported import Agreement, check_exported
from finevar.data.encoding import load_encoded
from finevar.errors import InputError
from finevar.evaluation.evaluation import evaluate_model
from finevar.files import read_facts, write_sums
from finevar.metrics import RESPONSES
from finevar.models import checkpoint
from finevar.models.machine import choose_dtype, set_up
from finevar.parquet import read_table
from finevar.results.study_tables import read_analysis, read_metrics
from finevar.tables import as_rows
from finevar.training.loop import Plan, train_model
from finevar.words.formatting import factor_label, response_label, response_labels, sentence_case
from finevar.words.numbers import level, number, significant
from finevar.words.recommendation import Advice, caution_sentences, headline, sure_sentence

TEMPLATE = PACKAGE / "report" / "templates" / "model_card.md"

Row = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """The run whose model is exported, and what recommended its setting."""

    run: Row  # of the study's metrics
    advice: Advice
    factors: list[str]

    @property
    def settings(self) -> Row:
        """Return the run's hyperparameters."""
        return {name: self.run[name] for name in SETTINGS}


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
    wanted = {"status": "ok", "dataset": dataset} | advice.levels[advice.best["point_id"]]
    alike = metrics[metrics[list(wanted)].eq(wanted).all(axis=1)].sort_values("seed")
    return Choice(as_rows(alike)[0], advice, factors)


def export_files(
    *,
    metrics: str,
    advice: list[str],
    start: str,
    train: str,
    examples: str,
    encoded: str,
    facts: str,
    dataset: str,
    factors: list[str],
    confidence: float,
    runs: str,
    threads: int,
    model: str,
) -> float:
    """Write the recommended run's model and card; return how far its logits are from those that were evaluated.

    Raises InputError, without a card, where transformers reads another model from the folder.

    In: the study's metrics, the tables of its advice (tables.ADVICE), what the run was trained and evaluated
    from, and `runs`, the folder of the data set's runs. Weights that were not kept are trained once more: on the same
    kind of processor to the same bytes, which the comparison shows.
    """
    study, tables = read_metrics(metrics), {Path(path).stem: read_analysis(path) for path in advice}
    advised = Advice.of(tables, study, factors, response_labels(study, RESPONSES))
    choice = choose_run(study, advised, dataset, factors)
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
    card = model_card(choice, measured, corpus, gap=gap, agreement=agreement, confidence=confidence)
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


# The card -------------------------------------------------------------------------------------------------------------


def model_card(
    choice: Choice, measured: Row, corpus: Mapping[str, Any], *, gap: float, agreement: Agreement, confidence: float
) -> ModelCard:
    """Return the model card: metadata as the Hub reads it, then what the model is and how it was chosen."""
    run = choice.run
    values = {name: measured[name] for name in RESPONSES if measured[name] is not None}
    labels = {name: response_label(name, [run["f1_average"]]) for name in RESPONSES}
    errors = {name: run.get(f"{name}_se") for name in values}  # None where a metric has none
    return ModelCard.from_template(
        card_data(run, values),
        template_path=str(TEMPLATE),
        run=run,
        chosen=f"{headline(choice.advice)} {sure_sentence(choice.advice, confidence)}",
        cautions=caution_sentences(choice.advice),
        metrics=[
            (sentence_case(labels[name]), number(value), "" if errors[name] is None else significant(errors[name]))
            for name, value in values.items()
        ],
        hyperparameters=[
            (factor_label(name), level(value), name in choice.factors)
            for name, value in {"seed": run["seed"], **choice.settings}.items()
        ],
        corpus=corpus,
        agreement=agreement,
        gap=gap,
        count="{:,}".format,
    )


def card_data(run: Row, values: Mapping[str, float]) -> ModelCardData:
    """Return what the Hub reads of a card: the task and the metrics."""
    task, data = "text-classification", run["dataset"]
    return ModelCardData(
        library_name="transformers",
        pipeline_tag=task,
        tags=["finevar"],
        model_name=run["run_id"],
        eval_results=[EvalResult(task, data, data, name, value) for name, value in values.items()],
    )
