"""The recommended run's model as a folder that Hugging Face's libraries load; its card says how it was chosen."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from finevar import PACKAGE
from finevar.columns import EXAMPLES, PREDICTIONS, SETTINGS, STUDY_METRICS
from finevar.commands.exported import Agreement, check_exported
from finevar.data.encoding import load_encoded
from finevar.errors import InputError
from finevar.evaluation.evaluation import evaluate_model
from finevar.files import read_facts, write_sums
from finevar.metrics import RESPONSES
from finevar.models import checkpoint
from finevar.models.machine import choose_dtype, set_up
from finevar.parquet import read_table
from finevar.tables import TABLES
from finevar.training.loop import Plan, train_model
from finevar.words.formatting import factor_label, response_label, sentence_case, settings_text
from finevar.words.numbers import interval, level, number, percent, significant

TEMPLATE = PACKAGE / "report" / "templates" / "model_card.md"

Row = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """The run whose model is exported, and what recommended its setting."""

    response: str
    run: Row  # of the study's metrics
    recommendation: Row
    factors: list[str]

    @property
    def settings(self) -> Row:
        """Return the run's hyperparameters."""
        return {name: self.run[name] for name in SETTINGS}


def choose_run(metrics: pa.Table, recommendations: pa.Table, response: str, dataset: str, factors: list[str]) -> Choice:
    """Return the run of the recommended setting on a data set, at the first of its seeds.

    At the first, not the luckiest: the metric of the best of several seeds flatters. Raises InputError where a gate
    stopped the response, so that nothing is recommended.
    """
    found = {row["response"]: row for row in recommendations.to_pylist()}
    if response not in found:
        raise InputError(
            f"the recommendation for {response}",
            found="none: a gate stopped its analysis, as the report says",
            allowed=f"a metric with a recommendation ({', '.join(found) or 'there is none'})",
            remedy="Finish the missing runs, or put such a metric first in analysis.responses.",
        )
    rows = metrics.to_pylist()
    best = next(row for row in rows if row["point_id"] == found[response]["point_id"])
    wanted = {"status": "ok", "dataset": dataset} | {name: best[name] for name in factors}
    alike = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return Choice(response, min(alike, key=lambda row: row["seed"]), found[response], factors)


def export_files(
    *,
    metrics: str,
    recommendations: str,
    start: str,
    train: str,
    examples: str,
    encoded: str,
    facts: str,
    response: str,
    dataset: str,
    factors: list[str],
    confidence: float,
    runs: str,
    threads: int,
    model: str,
) -> float:
    """Write the recommended run's model and card; return how far its logits are from those that were evaluated.

    Raises InputError, without a card, where transformers reads another model from the folder.

    In: the study's metrics and recommendations, what the run was trained and evaluated from, and `runs`, the folder of
    the data set's runs. Weights that were not kept are trained once more: on the same kind of processor to the same
    bytes, which the comparison shows.
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
    run, best = choice.run, choice.recommendation
    values = {name: measured[name] for name in RESPONSES if measured[name] is not None}
    labels = {name: response_label(name, [run["f1_average"]]) for name in RESPONSES}
    errors = {name: run.get(f"{name}_se") for name in values}  # None where a metric has none
    return ModelCard.from_template(
        card_data(run, values),
        template_path=str(TEMPLATE),
        run=run,
        best=best,
        label=labels[choice.response],
        setting=settings_text({name: run[name] for name in choice.factors}),
        band=f"{percent(confidence)} band over all tried settings, for {best['population']}: "
        f"{interval(best['ci_low'], best['ci_high'])}",
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
        number=number,
        significant=significant,
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
