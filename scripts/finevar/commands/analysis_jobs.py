"""The work of the rules that gather, fit and analyse a study, from their input files to their output files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from finevar.analyses.cautions import recommend
from finevar.analyses.claims import judge_claims
from finevar.analyses.confirmation import confirmation_rows
from finevar.analyses.errors import SHOWN, Corpus
from finevar.analyses.failures import failure_rows
from finevar.analyses.fits import FittedStudy, Outcomes, Plan, fit_study, no_outcomes
from finevar.analyses.gain import gain_tables
from finevar.analyses.learning import Shares
from finevar.analyses.predictions import compare_predictions
from finevar.analyses.seed_parts import seed_part_rows
from finevar.analyses.setting_pairs import pair_tables
from finevar.analyses.surfaces import check_study, compare_study, explore_study
from finevar.analyses.tradeoffs import tradeoff_rows
from finevar.analyses.tuning import tuning_rows
from finevar.analyses.variability import variability_rows
from finevar.columns import EXAMPLES
from finevar.commands.found_jobs import compare_pooling, compare_studies
from finevar.files import read_facts
from finevar.jobs.forks import in_forks
from finevar.jobs.log import FOUND, LOGGER, Job
from finevar.metrics import ON_CARDS, RESPONSES, Positive
from finevar.parquet import read_table, write_table
from finevar.reasons import FAILED, OK
from finevar.results import aggregation
from finevar.results.collapse import mark_collapsed
from finevar.results.predictions import (
    contributions_of,
    example_contributions,
    own_baselines,
    positive_label,
    read_predictions,
    read_runs,
)
from finevar.results.run_metrics import read_run_metrics
from finevar.results.study_tables import as_table, read_analysis, read_metrics, write_tables
from finevar.statistics.regression import Sentences
from finevar.statistics.setting_means import setting_names
from finevar.study.classes import positives_of
from finevar.study.kinds import TRAINED
from finevar.study.paths import LOGS
from finevar.study.settings import MODEL
from finevar.tables import ADVICE, Rows, are_found, as_rows, kind_of_runs
from finevar.words.effects import headline as effects_headline
from finevar.words.formatting import response_labels
from finevar.words.recommendation import Advice, headline
from finevar.words.wording import ranges_sentence


def aggregate_metrics(job: Job) -> None:
    """Gather all runs, or those of a study under way that are done."""
    if job.input.metrics:
        gather_all(job)
    else:
        gather_finished(job)


def gather_all(job: Job) -> None:
    """Gather all runs, and name those that failed."""
    table = aggregate(job, job.input.metrics, job.input.trainings)
    for status in FAILED:
        for run, reason in aggregation.named_runs(table, status).items():
            LOGGER.warning("run %s %s: %s", run, status, reason)
    LOGGER.log(FOUND, "%s", ranges_sentence(table, ON_CARDS))


def gather_finished(job: Job) -> None:
    """Gather the runs that are done, and name those that are not."""
    table = aggregate(job, job.params.metrics, job.params.trainings, logs=LOGS)
    missing = aggregation.named_runs(table, "missing")
    for run, reason in missing.items():
        LOGGER.info("run %s missing: %s", run, reason)
    LOGGER.info("%d of %d runs", len(table) - len(missing), len(table))


def aggregate(job: Job, metrics: Sequence[str], trainings: Sequence[str], *, logs: Path | None = None) -> pd.DataFrame:
    """Write the tables of a study's runs, from a file of metrics and one of steps for each; return that of metrics."""
    runs = aggregation.read_design(job.input.design)
    models = getattr(job.params, "models", {})
    own = {name: (baseline, job.params.levels[name]) for name, baseline in models.items()}
    how = {"models": own, "positives": positives(job), "logs": logs}
    table = aggregation.aggregate_models(runs, metrics, job.input.baselines, job.params.baseline, **how)
    write_table(table, job.output.metrics)
    write_table(aggregation.aggregate_curves(runs, trainings), job.output.curves)
    if "epochs" in job.output.named:  # where the config asks for them
        write_table(aggregation.aggregate_epochs(runs, trainings), job.output.epochs)
    return table.to_pandas()


def positives(job: Job) -> dict[str, Positive | None]:
    """Return the class that binary F1 is of on each data set of the sweep, by a rule's facts and param `positive`."""
    wanted = job.params.positive
    return positives_of(dict(zip(wanted, map(read_facts, job.input.facts), strict=True)), wanted)


def fitted_study(job: Job) -> FittedStudy:
    """Return a study's runs with a surface of each response."""
    metrics = read_metrics(job.input.metrics)
    trained = kind_of_runs(metrics) == TRAINED
    known = read_outcomes(metrics, job.input.baselines) if trained else no_outcomes
    return FittedStudy.of(metrics, Plan.of(job.params), known)


def read_outcomes(metrics: pd.DataFrame, baselines: Sequence[str]) -> Outcomes:
    """Read all predictions once, and return what gives each test sentence's contributions to a response."""
    finished = metrics[metrics["status"] == OK]
    found = read_runs(finished)
    files = by_dataset(baselines)
    frozen = {name: read_predictions(files[name], found[name].positive) for name in files.keys() & found.keys()}

    def outcomes(runs: pd.DataFrame, response: str) -> tuple[Sentences, Sentences]:
        if response not in RESPONSES or RESPONSES[response].each is None:  # a part of the loss, or without any
            return {}, {}
        each = {name: example_contributions(known, response) for name, known in frozen.items()}
        own = {name: beside(runs[runs["dataset"] == name], files[name], known) for name, known in each.items()}
        return contributions_of(runs, response, finished, found), own

    def beside(runs: pd.DataFrame, paths: Sequence[Path], each: np.ndarray) -> np.ndarray:
        """Return the contributions [sentences] of the baseline of all runs, or [runs, sentences] of each one's own."""
        return each[own_baselines(runs, [path.parts[-3] for path in paths])] if len(each) > 1 else each[0]

    return outcomes


def by_dataset(baselines: Sequence[str]) -> dict[str, list[Path]]:
    """Return the baselines' files by data set, which their folders are named after: one for each model."""
    files: dict[str, list[Path]] = {}
    for path in map(Path, baselines):
        files.setdefault(path.parts[-2], []).append(path)
    return files


def fit_regressions(job: Job) -> None:
    """Fit the response surfaces."""
    study = replace(fitted_study(job), processes=job.threads)
    tables = fit_study(study)
    for fit in tables["fits"]:
        if fit.get("gate"):
            LOGGER.warning("%s, %s: %s", fit["response"], fit["framework"], fit["gate"])
    write_tables(tables, job.output)
    effects, fits = (as_table(name, tables[name]).to_pandas() for name in ("effects", "fits"))
    LOGGER.log(FOUND, "%s", effects_headline(effects, fits, response_labels(study.metrics, study.plan.responses)))


# Analyses of a fitted study, each a function of it to its tables' rows by name ----------------------------------------


def variability(study: FittedStudy) -> dict[str, Rows]:
    """Divide the variance between runs."""
    sentences = {surface.response: surface.sentences for surface in study.surfaces}
    return variability_rows(study, sentences) | {"seed_parts": seed_part_rows(study)}


def claims(study: FittedStudy) -> dict[str, Rows]:
    """Judge what was claimed before the study."""
    return {"claims": judge_claims(study)}


def weigh_settings(study: FittedStudy, shares: Shares, confirm_seeds: int | None) -> dict[str, Rows]:
    """Check, compare and recommend, and what rests on that: in one process, as these share fits and draws."""
    tables = check_study(study) | compare_study(study)
    found = tables["against_baseline"], tables["checks"]
    tables |= recommend(study, *found, shares, confirm_seeds=confirm_seeds)
    advised = tables["recommendation"]
    return tables | pair_tables(study, advised) | gain_tables(study, advised)


ANALYSES = (tradeoff_rows, explore_study, claims, variability, tuning_rows, failure_rows)  # longest first


def read_corpora(job: Job) -> dict[str, Corpus]:
    """Return what is known of the test sentences of each data set; their texts only where these are to be shown."""
    names = list(by_dataset(job.input.baselines))
    classes = [read_facts(path)["classes"] for path in job.input.facts]
    examples = [read_table(path, EXAMPLES) for path in job.input.examples]
    texts = [
        dict(zip(*(table[name].to_pylist() for name in ("example_id", "text")), strict=True)) for table in examples
    ]
    known = zip(names, classes, texts or [{}] * len(names), strict=True)
    return {name: Corpus(*parts) for name, *parts in known}


def most_shown(choice: bool | int) -> int:
    """Return how many sentences of a kind are shown, as analysis.show_sentences says."""
    return SHOWN * choice if isinstance(choice, bool) else choice


def analyse_study(job: Job) -> None:
    """Make every analysis table that the fits are not, several analyses at once."""
    study = replace(fitted_study(job), judged=as_rows(read_analysis(job.input.effects)))
    corpora, shown = read_corpora(job), most_shown(job.params.sentences)
    calls = [partial(weigh_settings, study, class_shares(job.input.baselines, corpora), job.params.confirm_seeds)]
    calls += [partial(compare_predictions, study, job.input.baselines, corpora=corpora, shown=shown)]
    calls += [partial(analysis, study) for analysis in ANALYSES]
    if are_found(study.metrics):
        calls += [partial(compare_pooling, job)]
    tables = {name: rows for found in in_forks(calls, job.threads) for name, rows in found.items()}
    if are_found(study.metrics):
        tables |= compare_studies(job, tables["claims"])
    write_tables(tables, job.output)
    if not are_found(study.metrics):
        read = {name: as_table(name, tables[name]).to_pandas() for name in ADVICE}
        labels = response_labels(study.metrics, study.plan.responses)
        LOGGER.log(FOUND, "%s", headline(Advice.of(read, study.metrics, list(study.plan.codings), labels)))


def read_plan(path: str | Path) -> pd.DataFrame:
    """Return the runs of a confirmation by their ids, as confirm.csv lists them; a model may be called nan or null."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""]).set_index("run_id")


def analyse_confirmation(job: Job) -> None:
    """Compare the settings that are confirmed by their runs with fresh seeds."""
    files = list(map(Path, job.input.metrics))
    places = {path.parent.name: path for path in files}
    listed, models = read_plan(job.input.plan), getattr(job.params, "models", None)
    own = listed[MODEL].map(models).to_dict() if models else None
    rows = mark_collapsed(read_run_metrics(files, positives(job)), places, job.input.baselines, own)
    plan = listed[["role", "chosen_from", "seed", *([MODEL] if models else [])]]
    runs = pd.DataFrame(rows).drop(columns="seed").join(plan, on="run_id")
    parts = ["held_back" if path.parts[-4] == "confirmations" else "eval" for path in files]
    runs = runs.assign(point_id=setting_names(runs, job.params.factors), part=parts)
    finished = runs[runs["status"] == OK]
    found = {
        str(name): read_predictions(
            [places[run].with_name("predictions.parquet") for run in own["run_id"]], positive_label(own)
        )
        for name, own in finished.groupby("dataset", sort=False)
    }
    ranking = read_analysis(job.input.ranking)
    confirmed = confirmation_rows(runs, found, ranking, job.params.responses, job.params.confidence)
    write_tables({"confirmation": confirmed}, job.output)


def class_shares(baselines: Sequence[str], corpora: Mapping[str, Corpus]) -> Shares:
    """Return each class's share of the sentences that the baseline was evaluated on, by data set; none without any."""
    shares = {}
    for name, (path, *_) in by_dataset(baselines).items():  # all have the same sentences
        found = read_predictions([path])
        counts = np.bincount(found.labels, minlength=found.logits.shape[2])
        shares[name] = {corpora[name].name(k): float(count / counts.sum()) for k, count in enumerate(counts)}
    return shares
