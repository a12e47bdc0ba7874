"""The recommended run's model as a folder that Hugging Face's libraries load; its card says how it was chosen."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from huggingface_hub import EvalResult, ModelCardData

from finevar.columns import EXAMPLES, PREDICTIONS, SETTINGS, STUDY_METRICS
from finevar.commands.exported import Agreement, check_exported
from finevar.data.encoding import load_encoded
from finevar.errors import InputError
from finevar.evaluation.evaluation import evaluate_model
from finevar.files import read_facts, write_bytes, write_sums
from finevar.metrics import RESPONSES
from finevar.models import checkpoint
from finevar.models.machine import choose_dtype, set_up
from finevar.parquet import read_table
from finevar.tables import TABLES
from finevar.training.training import train_model
from finevar.words.formatting import (
    factor_label,
    interval,
    level,
    number,
    percent,
    response_label,
    sentence_case,
    settings_text,
    significant,
)

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
    alike = [
        row
        for row in rows
        if row["status"] == "ok" and row["dataset"] == dataset and all(row[name] == best[name] for name in factors)
    ]
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
    told, folder, own = read_facts(facts), Path(model), Path(runs) / choice.run["run_id"]
    if (own / "model" / checkpoint.WEIGHTS).exists():
        shutil.copytree(own / "model", folder, dirs_exist_ok=True)
    else:
        train_again(choice, folder, start=Path(start), train=train, classes=told["classes"], threads=threads)
    table, data, length = read_table(examples, EXAMPLES), load_encoded(encoded), choice.run["max_length"]
    device = set_up(threads)
    found, measured = evaluate_model(
        folder,
        data,
        table["example_id"].to_pylist(),
        told["classes"],
        choose_dtype(choice.run["dtype"], device),
        max_length=length,
        device=device,
    )
    if not found:
        raise not_as_it_was(choice, measured["reason"])
    logits = np.array([row["logits"] for row in found])
    saved = read_table(own / "predictions.parquet", PREDICTIONS)["logits"].to_pylist()
    gap = float(np.abs(logits - np.array(saved)).max())
    agreement = check_exported(folder, table["text"].to_pylist(), data, logits, told["classes"], max_length=length)
    card = card_text(choice, measured, told, gap=gap, agreement=agreement, confidence=confidence)
    write_bytes(card.encode(), folder / "README.md")
    write_sums(folder)
    return gap


def train_again(choice: Choice, folder: Path, *, start: Path, train: str, classes: list[str], threads: int) -> None:
    """Train the chosen run once more and write its model."""
    trained = train_model(
        start,
        load_encoded(train),
        classes,
        choice.settings,
        seed=choice.run["seed"],
        threads=threads,
        name=choice.run["run_id"],
    )
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


def card_text(
    choice: Choice, measured: Row, facts: Mapping[str, Any], *, gap: float, agreement: Agreement, confidence: float
) -> str:
    """Return the model card: metadata as the Hub reads it, then what the model is and how it was chosen."""
    run = choice.run
    values = {name: measured[name] for name in RESPONSES if measured[name] is not None}
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["finevar"],
        model_name=run["run_id"],
        eval_results=[
            EvalResult(
                task_type="text-classification",
                dataset_type=run["dataset"],
                dataset_name=run["dataset"],
                metric_type=name,
                metric_value=value,
            )
            for name, value in values.items()
        ],
    )
    parts = [
        f"---\n{data.to_yaml()}\n---",
        f"# {run['run_id']}",
        f"A DistilBERT that tells {' from '.join(facts['classes'])}, fine-tuned on {run['train_examples_used']:,} "
        f"sentences of {run['dataset']}.",
        "## How it was chosen\n\n" + chosen_text(choice, confidence),
        f"## Metrics\n\nOn {run['eval_examples']:,} sentences held out from {run['dataset']}:\n\n"
        + metrics_table(values, run),
        "## Hyperparameters\n\n" + settings_list(choice),
        "## Data\n\n" + data_text(facts),
        "## Use\n\n" + use_text(run["max_length"], agreement, run["dtype_used"]),
        "## Made with\n\n" + made_text(choice, gap),
    ]
    return "\n\n".join(parts) + "\n"


def chosen_text(choice: Choice, confidence: float) -> str:
    """Say what recommended the setting, how sure that is, and which of its seeds this is."""
    best, label = choice.recommendation, response_label(choice.response, [choice.run["f1_average"]])
    setting = settings_text({name: choice.run[name] for name in choice.factors})
    rivals = f"{best['rivals']:,} of the other {best['candidates'] - 1:,} cannot be told from it"
    band = f"{percent(confidence)} band over all tried settings {interval(best['ci_low'], best['ci_high'])}"
    return (
        f"Of {best['candidates']:,} settings tried, {setting} has the best {label} by the study's response surface: "
        f"{number(best['predicted'])} ({band}); {rivals}. Taking it instead of the truly best one costs "
        f"{significant(best['expected_regret'])} on average. This is its run at seed {choice.run['seed']}, the first "
        "one and not the luckiest; other seeds of the same setting score differently."
    )


def metrics_table(values: Mapping[str, float], run: Mapping[str, Any]) -> str:
    """Return the metrics with the standard error that the choice of the sentences leaves, as a Markdown table."""
    lines = ["| Metric | Value | Standard error of the test set |", "|---|---|---|"]
    for name, value in values.items():
        error = run.get(f"{name}_se")
        label = sentence_case(response_label(name, [run["f1_average"]]))
        lines.append(f"| {label} | {number(value)} | {'' if error is None else significant(error)} |")
    return "\n".join(lines)


def settings_list(choice: Choice) -> str:
    """Return the hyperparameters as a list, those that the study varied marked."""
    rows = {"seed": choice.run["seed"], **choice.settings}
    return "\n".join(
        f"- {factor_label(name)}: {level(value) if value is not None else 'all'}"
        f"{' (varied in the study)' if name in choice.factors else ''}"
        for name, value in rows.items()
    )


def data_text(facts: Mapping[str, Any]) -> str:
    """Say what the data were."""
    return (
        f"{facts['train']:,} training and {facts['eval']:,} evaluation sentences after repeats and sentences with two "
        f"labels were dropped; classes {', '.join(facts['classes'])}. SHA-256 of texts and labels: "
        f"`{facts['data_sha256']}`."
    )


def use_text(max_length: int, agreement: Agreement, dtype: str) -> str:
    """Give the code that does what was evaluated, and say how nearly it does so."""
    return (
        "```python\nfrom transformers import pipeline\n\n"
        'classify = pipeline("text-classification", model="path/to/this/folder", truncation=True, '
        f"max_length={max_length})\n```\n\n"
        f"With transformers {agreement.version}, in float32, this gives the evaluated class for {agreement.same:,} of "
        f"{agreement.sentences:,} evaluation sentences, and logits that differ from those evaluated, in {dtype}, by "
        f"{agreement.gap:.1e} at most."
    )


def made_text(choice: Choice, gap: float) -> str:
    """Say what the model was made with, and how it compares with what was evaluated."""
    run = choice.run
    same = (
        "Its logits are those that the study evaluated, to the last bit."
        if gap == 0
        else f"It was trained once more, and its logits differ from those that the study evaluated by {gap:.1e} at "
        "most: another processor, number of threads or version."
    )
    return (
        f"PyTorch {run['torch']}, matrices in {run['dtype_used']}, {run['device']}; starting weights "
        f"`{run['model_sha256']}`. {same}"
    )
