"""The report's section on the baseline: what it is, what it scores, and which settings are better or worse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finevar.analyses.baselines import at_own_baseline
from finevar.report import analysis_tables
from finevar.report import tables as report_tables
from finevar.report.labels import names
from finevar.report.parts import Facts, Group, Labels, Section, Tables, chosen, group
from finevar.report.sections import found as found_models
from finevar.report.sections import listed as listed_runs
from finevar.study.kinds import LISTED
from finevar.study.settings import model_names, of_training
from finevar.tables import are_found, kind_of_runs
from finevar.words import comparisons, wording
from finevar.words.effects import population_sentence
from finevar.words.formatting import factor_label, joined, settings_list
from finevar.words.numbers import level

PART, PLACE, TITLE = "details", 80, "Baseline"
OWN_TEST_SETS = (
    "These were measured on the baseline\u2019s own test set, and each model\u2019s on its own: a difference holds "
    "what the test sets differ in, too. Slopes and interactions are free of it, as long as every data set has an "
    "effect of its own."
)


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section:
    """Return what the baseline is, what it scores, frozen and at its own levels, and how settings compare."""
    found = are_found(tables["metrics"])
    known, config = names(tables, facts), facts["config"]
    if found:
        spec = found_models.baseline(config["baseline"], known)
        origin = f"Published at {spec['origin']}." if spec["origin"] else ""
        finding = spec["sentence"]
        own = group("", [OWN_TEST_SETS, f"Its own settings: {spec['settings']}.", origin])
    elif kind_of_runs(tables["metrics"]) == LISTED:
        finding, own = listed_runs.baseline_group(tables, known, config)
    else:
        finding, own = baseline_group(tables, known, config, facts["factors"])
    return {"finding": finding, "groups": [own, *comparisons_of(tables, labels, facts, matched=not found)]}


def baseline_group(
    tables: Tables, labels: Labels, config: Mapping[str, Any], factors: Mapping[str, Any]
) -> tuple[str, Group]:
    """Return what the baseline scores, frozen and again, and what it is."""
    metrics, spec = tables["metrics"], config["baseline"]
    ok = metrics[metrics["status"] == "ok"]
    again = ok[at_own_baseline(ok)]
    models = model_names(config)
    what = f"{joined(models)} as {'their sources provide them' if models[1:] else 'its source provides it'}"
    if "dataset" in spec:
        what = f"{joined(models)}, fine-tuned on {spec['dataset']} with seed {spec['seed']}"
    first, start = next(iter(labels)), config["sweep"]["start"]
    scores = [
        wording.baseline_sentence(where, frozen[first], own[first], labels[first])
        for where, frozen, own in report_tables.each_baseline(tables["baselines"], again)
        if frozen["dataset"] in set(metrics["dataset"])
    ]
    apart = "" if again.empty else differences(spec["settings"], config["training"], factors)
    sentences = [
        f"Every relative figure is taken against the baseline{' of its model' if models[1:] else ''}: {what}. "
        f"{'Every run starts from it.' if start == 'baseline' else 'Every run starts from the pretrained model.'}",
        f"Its own settings: {settings_list(of_training(spec['settings']))}.",
        f"As a place on the surfaces the baseline is that of {config['model']}." if models[1:] else "",
        apart and f"B1 takes the baseline's own levels; the study's other settings are its own: {apart}.",
    ]
    return " ".join(scores), group(
        "", sentences, tables=[report_tables.baselines_table(tables["baselines"], again, labels)]
    )


def differences(own: Mapping[str, Any], study: Mapping[str, Any], factors: Mapping[str, Any]) -> str:
    """Say in which fixed settings the study's runs differ from the baseline's own."""
    pairs = {name: (own[name], study[name]) for name in study if name in own and name not in factors}
    return ", ".join(
        f"{factor_label(name)} {level(there)} instead of {level(here)}"
        for name, (here, there) in pairs.items()
        if here != there
    )


def comparisons_of(tables: Tables, labels: Labels, facts: Facts, *, matched: bool) -> list[Group]:
    """Return how the tried settings compare with B0 and B1, and what matching by data set and seed gains."""
    if not labels:
        return []
    confidence, against = facts["config"]["analysis"]["confidence"], tables["against_baseline"]
    levels = tables["metrics"].drop_duplicates("point_id").set_index("point_id")[list(facts["factors"])]
    counts, grids = [], []
    for response, label in labels.items():
        rows = chosen(against, response=response)
        parts = rows.groupby("baseline", sort=False)
        counts += [comparisons.against_baseline_sentence(part, label, confidence) for _, part in parts]
        if rows["estimate"].notna().any():
            grids.append(analysis_tables.against_baseline_table(rows, levels, label, confidence))
    counts.append(population_sentence(against, tables["metrics"]["seed"].nunique()))
    better = group("Better or worse than the baseline", counts, folded=grids)
    return [better, matching(tables, labels, confidence)] if matched else [better]


def matching(tables: Tables, labels: Labels, confidence: float) -> Group:
    """Return what matching by data set and seed gains."""
    found = tables["matched"]
    sentences = [comparisons.matching_sentence(chosen(found, response=name), label) for name, label in labels.items()]
    sentences += comparisons.ancova_sentences(found, labels, confidence)
    terms = analysis_tables.matched_terms_table(tables["coefficients"], labels, confidence)
    spread = analysis_tables.matched_table(found, labels)
    folded = [terms] if terms["rows"] else []
    return group("What matching by data set and seed gains", sentences, tables=[spread], folded=folded)
