"""The report's first screen: which setting to use, what it gains, how sure that is, what it costs, what to check."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from finevar.reasons import Stop
from finevar.report.labels import gate_sentences, names
from finevar.report.parts import Facts, Labels, Row, Section, Tables, chosen
from finevar.report.recommendation import advice
from finevar.report.sections import confirmation
from finevar.report.sections import found as found_models
from finevar.report.snippets import as_arguments, as_yaml
from finevar.report.summary import cautions, gain_text
from finevar.study.design import continues_baseline
from finevar.study.kinds import LISTED
from finevar.study.listed_runs import DEFAULT_DATASET
from finevar.study.settings import in_effect, model_names
from finevar.tables import are_found, kind_of_runs
from finevar.words import completeness
from finevar.words import effects as effect_words
from finevar.words.formatting import counted, joined, levels_there, sentence_case, settings_list
from finevar.words.inspection import caution_sentences as data_cautions
from finevar.words.numbers import TIMES, duration, is_missing, number, span
from finevar.words.recommendation import (
    Advice,
    caution_sentences,
    choice_sentence,
    next_sentences,
    regret_sentence,
    title_sentence,
)

PART, PLACE, TITLE = "answer", 0, "Answer"
AGAINST = {"B1": "vs baseline settings", "B0": "vs baseline as it is"}

Card = dict[str, Any]


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section:
    """Return the first screen's parts; those that do not apply are empty."""
    found, factors = are_found(tables["metrics"]), list(facts["factors"])
    confidence = facts["config"]["analysis"]["confidence"]
    advised = advice(tables, labels, factors)
    if not labels and not (advised and advised.learnt_nothing):
        advised = None  # the gates speak
    best = advised.best if advised else None
    return {
        "template": "answer.html",
        "kicker": found_models.scope(tables) if found else kicker(tables["metrics"], facts),
        "headline": title(tables, advised, facts, found=found),
        "interim": interim(tables, facts) if facts["interim"] else "",
        "notes": [found_models.NO_EXPERIMENT] if found else notes(tables, advised, facts),
        "confirmation": None if found else confirmation.section(tables, labels, facts),
        "claims": found_models.support(tables, confidence)["sentences"] if found else [],
        "cards": [*cards(tables, advised, best, facts)] if advised and best else [],
        "checks": [
            *(text for name, seen in facts["seen"].items() for text in data_cautions(name, seen)),
            *(caution_sentences(advised) if advised else []),
            *cautions(tables, labels, factors, confidence),
        ],
        "next": next_sentences(advised) if advised else [],
    }


def title(tables: Tables, advised: Advice | None, facts: Facts, *, found: bool) -> str:
    """Say what the study found in a sentence or two."""
    if advised:
        return title_sentence(advised)
    support = found_models.support(tables, facts["config"]["analysis"]["confidence"])["finding"] if found else ""
    return support or effect_words.headline(tables["effects"], tables["fits"], names(tables, facts))


def kicker(metrics: pd.DataFrame, facts: Facts) -> str:
    """Say what was trained on what, how often, and on how many sentences it was tested; of listed runs their file."""
    config, datasets = facts["config"], metrics["dataset"].nunique()
    counts = {"setting": len(metrics.drop_duplicates([*facts["factors"]])), "seed": metrics["seed"].nunique()}
    counts |= {"data set": datasets} if datasets > 1 else {}
    crossed = f" {TIMES} ".join(counted(count, noun) for noun, count in counts.items())
    runs = f"{crossed}{' =' if len(metrics) == math.prod(counts.values()) else ','} {counted(len(metrics), 'run')}"
    done = int((metrics["status"] == "ok").sum())
    done_text = "all finished" if done == len(metrics) else f"{done:,} finished"
    data = joined(sorted(metrics["dataset"].unique()))
    if kind_of_runs(metrics) == LISTED:
        where = "" if metrics["dataset"].unique().tolist() == [DEFAULT_DATASET] else f" on {data}"
        return f"Runs of {config['runs']['file']}{where} \u00b7 {runs}, {done_text}"
    source = config["baseline"]["dataset"] if continues_baseline(config) else None
    sentences = sorted({int(count) for count in metrics["eval_examples"].dropna()})
    tested = f"{joined([f'{count:,}' for count in sentences])} test sentences" if sentences else ""
    models = joined(model_names(config))
    where = f"{models}, {source} \u2192 {data}" if source else f"{models} on {data}"
    return " \u00b7 ".join(filter(None, [where, f"{runs}, {done_text}", tested]))


def interim(tables: Tables, facts: Facts) -> str:
    """Say what is missing so far, and what to start."""
    metrics, config = tables["metrics"], facts["config"]
    said = completeness.completeness_sentences(metrics, facts["factors"], config["analysis"]["model"])
    return " ".join([*said, *completeness.next_start_sentences(metrics)])


def notes(tables: Tables, advised: Advice | None, facts: Facts) -> list[str]:
    """Return what keeps the study from a full answer: gates, and runs that no metric counts."""
    fits = tables["fits"]
    if kind_of_runs(tables["metrics"]) == LISTED and not facts["config"]["baseline"]["settings"]:
        fits = fits[fits["gate_code"] != Stop.NO_BASELINE]  # nobody asked for a comparison
    fits = fits[fits["gate_code"] != Stop.OWN_BASELINES]  # nothing that is missing: runs are compared with these
    stopped = gate_sentences(fits, names(tables, facts))
    if facts["interim"]:
        return stopped
    model = facts["config"]["analysis"]["model"]
    return [*stopped, " ".join(completeness.completeness_sentences(tables["metrics"], facts["factors"], model))]


# Cards ----------------------------------------------------------------------------------------------------------------


def cards(tables: Tables, advised: Advice, best: Row, facts: Facts) -> Iterator[Card]:
    """Yield the setting, each metric there, how sure the choice is, and what it costs."""
    confidence, config = facts["config"]["analysis"]["confidence"], facts["config"]
    levels = advised.levels[best["point_id"]]
    settings = in_effect(config.get("training", {}) | levels_there(levels))
    copies = {"Copy YAML": as_yaml(settings), "Copy TrainingArguments": as_arguments(settings)}
    yield card("Recommended setting", settings_list(levels), [choice_sentence(advised)], kind="chosen", copies=copies)
    for row in advised.ranking:
        if row["point_id"] == best["point_id"] and row["response"] in advised.labels:
            yield metric_card(row, tables["against_baseline"], advised.labels, confidence)
    yield sure_card(advised, best, confidence)
    yield cost_card(advised, best)


def card(
    name: str, value: str, lines: list[str], *, of: str = "", kind: str = "", copies: Mapping[str, str] | None = None
) -> Card:
    """Return a card; of: what the value is of; kind: its class; copies: what is copied, by the words on the button."""
    shown = [line for line in lines if line]
    return {"name": name, "value": value, "of": of, "lines": shown, "kind": kind, "copies": copies or {}}


def metric_card(row: Row, against: pd.DataFrame, labels: Labels, confidence: float) -> Card:
    """Return a metric's measured mean at the setting, what the model predicts there, and what it gains."""
    label = labels[row["response"]]
    lines = [f"{number(row['predicted'], 3)} ({span(row)}) by the model"]
    for baseline, than in AGAINST.items():
        rows = chosen(against, response=row["response"], baseline=baseline, point_id=row["point_id"]).dropna(
            subset="estimate"
        )
        lines += [f"{gain_text(one, '').strip()} {than}" for one in rows.to_dict("records")]
    seeds = f"mean of {counted(int(row['seeds']), 'seed')}"
    return card(sentence_case(label), number(row["mean"], 3), lines, of=seeds)


def sure_card(advised: Advice, best: Row, confidence: float) -> Card:
    """Return how many others are as good, and by how much the setting may miss the best."""
    tied, others, primary = advised.count("tied"), len(advised.recommendation) - 1, advised.labels[best["primary"]]
    regret = regret_sentence(best, primary, confidence)
    return card("How sure", f"{tied} of {others}", [regret], of="others are as good")


def cost_card(advised: Advice, best: Row) -> Card:
    """Return the seconds of a run, and the cheapest setting that is as good."""
    if is_missing(best["seconds"]):
        return card("Cost", "not timed", [], of="of training a run")
    tied = [row for row in advised.recommendation if row["role"] == "tied" and not is_missing(row["seconds"])]
    cheaper = [row for row in tied if row["seconds"] < best["seconds"]]
    lines = []
    if cheaper:
        row = min(cheaper, key=lambda one: one["seconds"])
        mean = next(
            one["mean"]
            for one in advised.ranking
            if one["point_id"] == row["point_id"] and one["response"] == best["primary"]
        )
        where = settings_list(advised.levels[row["point_id"]])
        lines.append(
            f"{duration(row['seconds'])} with {where}: {advised.labels[best['primary']]} {number(mean, 3)}, as good"
        )
    else:
        lines.append("no setting that is as good is cheaper" if advised.count("tied") else "")
    return card("Cost", duration(best["seconds"]), lines, of="of training a run")
