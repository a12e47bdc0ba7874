"""The card of an exported model: what it is made from, how it was chosen, what it scores, and its metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from scipy import stats
from sklearn.metrics import precision_recall_fscore_support

from finevar import PACKAGE
from finevar.columns import SETTINGS
from finevar.commands.exported import Agreement
from finevar.metrics import RESPONSES
from finevar.models.model_card import read_licence
from finevar.study.schemas import normalise
from finevar.study.seed_parts import drawn_parts, seed_in
from finevar.study.settings import in_effect, trained_with
from finevar.words.formatting import (
    factor_label,
    label_of_run,
    sentence_case,
    settings_list,
    source_text,
)
from finevar.words.numbers import NOTHING, PLUS_MINUS, interval, level, number, percent
from finevar.words.recommendation import Advice, caution_sentences, headline, sure_sentence
from finevar.words.seeds import seed_words

TEMPLATE = PACKAGE / "report" / "templates" / "model_card.md"
LICENCE_ID = re.compile(r"[a-z0-9]+([.+-][a-z0-9]+)*")  # as the Hub writes them

Row = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """The run whose model is exported, and what recommended its setting."""

    run: Row  # of the study's metrics
    runs: list[Row]  # of the same setting, at all seeds
    advice: Advice
    factors: list[str]

    @property
    def settings(self) -> Row:
        """Return the run's hyperparameters in effect, a nested factor's that does not exist there at its default.

        Where some are null, a table has whole numbers as floats.
        """
        return normalise(in_effect({name: trained_with(name, self.run[name]) for name in SETTINGS}))


@dataclass(frozen=True)
class Origin:
    """What a model is made from."""

    pretrained: Mapping[str, Any]  # source.json of the model that training began with
    baseline: Mapping[str, Any]  # as the config has it, if training began with it
    sources: Mapping[str, Mapping[str, Any]]  # of data sets, by name, as the config has them
    fetched: Sequence[str]  # the folders of those that are not local, in their order

    @property
    def licences(self) -> dict[str, str | None]:
        """Return the licence that each data set that was fetched states, in its card or package, by name."""
        names = [name for name, source in self.sources.items() if source["kind"] != "local"]
        return {
            name: read_licence(Path(folder), Path(folder)) for name, folder in zip(names, self.fetched, strict=True)
        }


def model_card(
    choice: Choice,
    origin: Origin,
    measured: Row,
    classes: Sequence[Row],
    corpus: Mapping[str, Any],
    *,
    architecture: str,
    pairs: bool,
    gap: float,
    agreement: Agreement,
    confidence: float,
) -> ModelCard:
    """Return the model card: metadata as the Hub reads it, then what the model is and how it was chosen.

    architecture: its class in transformers. pairs: whether its examples are sentence pairs.
    """
    run = choice.run
    values = {name: measured[name] for name in RESPONSES if measured[name] is not None}
    return ModelCard.from_template(
        card_data(choice, origin, values),
        template_path=str(TEMPLATE),
        run=run,
        encoder=architecture.removesuffix("ForSequenceClassification").replace("Bert", "BERT"),
        pairs=pairs,
        example="sentence pair" if pairs else "sentence",
        chosen=f"{headline(choice.advice)} {sure_sentence(choice.advice, confidence)}",
        cautions=caution_sentences(choice.advice),
        seeds=len(choice.runs),
        confidence=percent(confidence),
        metrics=[*metric_rows(choice, values, confidence)],
        classes=classes,
        stages=stages(choice, origin),
        data=data_lines(origin),
        calibration=measured.get("ece"),
        hyperparameters=[
            (factor_label(name), level(value), name in choice.factors)
            for name, value in {**seed_settings(run), **choice.settings}.items()
        ],
        corpus=corpus,
        agreement=agreement,
        gap=gap,
        count="{:,}".format,
        number=number,
    )


def seed_settings(run: Row) -> dict[str, int]:
    """Return a run's seed, or that of each part where they differ, by what it is called."""
    seed = seed_in(run)
    if isinstance(seed, int):
        return {"seed": seed}
    return {f"seed of {part}": number for part, number in drawn_parts(seed).items()}


def metric_rows(choice: Choice, values: Mapping[str, float], confidence: float) -> Iterator[list[str]]:
    """Yield a row a metric: this model's value, mean and deviation over seeds, the mean's interval, the baseline's.

    The interval is Student's t over the seeds, for these test sentences.
    """
    for name, value in values.items():
        seeds = np.array([run[name] for run in choice.runs if run[name] is not None])
        spread, ends = "", NOTHING
        if len(seeds) > 1:
            spread = f" {PLUS_MINUS} {number(seeds.std(ddof=1))}"
            reach = stats.t.ppf((1 + confidence) / 2, len(seeds) - 1) * seeds.std(ddof=1) / len(seeds) ** 0.5
            ends = interval(seeds.mean() - reach, seeds.mean() + reach)
        label = sentence_case(label_of_run(name, choice.run))
        yield [label, number(value), f"{number(seeds.mean())}{spread}", ends, number(choice.run[f"baseline_{name}"])]


def per_class(logits: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> list[Row]:
    """Return precision, recall and F1 of each class, and how many test sentences have it."""
    every = list(range(len(classes)))
    found = precision_recall_fscore_support(labels, logits.argmax(1), labels=every, zero_division=0)
    names = ("precision", "recall", "f1", "sentences")
    return [{"name": name} | dict(zip(names, values, strict=True)) for name, values in
            zip(classes, zip(*found, strict=True), strict=True)]  # fmt: skip


# Where it is from -----------------------------------------------------------------------------------------------------


def stages(choice: Choice, origin: Origin) -> list[str]:
    """Return a sentence on each stage of training, from the pretrained encoder on."""
    first, baseline, run = origin.pretrained, origin.baseline, choice.run
    licence = f"licence {first['licence']}" if first["licence"] else "which states no licence"
    changes = f"; changed on reading: {'; '.join(first['changes'])}" if first["changes"] else ""
    found = [f"Pretrained: {source_text(first['source'])}, {licence}{changes}."]
    if "dataset" in baseline:
        found.append(
            f"Baseline: fine-tuned on {baseline['dataset']} with seed {baseline['seed']} and "
            f"{settings_list(baseline['settings'])}."
        )
    used = f"{run['train_examples_used']:,} sentences of {run['dataset']}"
    own = f"This model: fine-tuned from there on {used} with {seed_words(seed_in(run))} and the settings below."
    return [*found, own]


def data_lines(origin: Origin) -> list[str]:
    """Name each data set's source, and its licence where it states one."""
    licences = origin.licences
    return [
        f"{name}: {source_text(source)}, {f'licence {licences[name]}' if licences.get(name) else 'on its own terms'}."
        for name, source in origin.sources.items()
    ]


def card_data(choice: Choice, origin: Origin, values: Mapping[str, float]) -> ModelCardData:
    """Return what the Hub reads of a card: the task, licence, what the model is from, and the metrics."""
    task, run, first = "text-classification", choice.run, origin.pretrained
    on_hub = [source["repo"] for source in origin.sources.values() if source["kind"] == "hub"]
    licence = str(first["licence"] or "").lower()
    known = {"license": licence} if LICENCE_ID.fullmatch(licence) else {}
    named = {"license": "other", "license_name": first["licence"]} if licence and not known else known
    return ModelCardData(
        **named,
        base_model=first["source"].get("repo"),
        datasets=list(dict.fromkeys(on_hub)) or None,
        library_name="transformers",
        pipeline_tag=task,
        tags=["finevar"],
        metrics=list(values),
        model_name=run["run_id"],
        eval_results=[EvalResult(task, run["dataset"], run["dataset"], name, value) for name, value in values.items()],
    )
