"""The work of the rules that gather, fit and analyse a study, from their input files to their output files."""

from __future__ import annotations

from functools import partial

import pandas as pd

from finevar.analyses.claims import judge_claims
from finevar.analyses.failures import failure_rows
from finevar.analyses.fits import Plan, finished_runs, fit_study
from finevar.analyses.predictions import compare_predictions
from finevar.analyses.surfaces import check_study, compare_study, explore_study
from finevar.analyses.tradeoffs import tradeoff_rows
from finevar.analyses.tuning import tuning_rows
from finevar.analyses.variability import variability_rows
from finevar.commands.found_jobs import compare_pooling, compare_studies
from finevar.jobs.forks import in_forks
from finevar.jobs.log import FOUND, LOGGER, Job
from finevar.parquet import write_table
from finevar.results import aggregation
from finevar.results.predictions import read_contributions
from finevar.results.study_tables import as_table, read_analysis, read_metrics, write_tables
from finevar.study.paths import LOGS
from finevar.tables import Rows, are_found
from finevar.words.findings import recommended_sentence
from finevar.words.formatting import response_labels
from finevar.words.wording import headline, ranges_sentence

RANGES_SHOWN = ("accuracy", "f1", "loss")


def aggregate_metrics(job: Job) -> None:
    """Gather all runs."""
    runs = aggregation.read_design(job.input.design)
    metrics = aggregation.aggregate_metrics(runs, job.input.metrics, job.input.baselines, job.params.baseline)
    write_table(metrics, job.output.metrics)
    write_table(aggregation.aggregate_curves(runs, job.input.trainings), job.output.curves)
    table = metrics.to_pandas()
    for run, reason in aggregation.named_runs(table, "diverged").items():
        LOGGER.warning("run %s diverged: %s", run, reason)
    LOGGER.log(FOUND, "%s", ranges_sentence(table, RANGES_SHOWN))


def aggregate_finished(job: Job) -> None:
    """Gather the runs that are done."""
    runs = aggregation.read_design(job.input.design)
    baselines, levels = job.input.baselines, job.params.baseline
    metrics = aggregation.aggregate_metrics(runs, job.params.metrics, baselines, levels, logs=LOGS)
    write_table(metrics, job.output.metrics)
    write_table(aggregation.aggregate_curves(runs, job.params.trainings), job.output.curves)
    missing = aggregation.named_runs(metrics.to_pandas(), "missing")
    for run, reason in missing.items():
        LOGGER.info("run %s missing: %s", run, reason)
    LOGGER.info("%d of %d runs", len(runs) - len(missing), len(runs))


def fit_regressions(job: Job) -> None:
    """Fit the response surfaces."""
    metrics, plan = read_metrics(job.input.metrics), Plan.of(job.params)
    tables = fit_study(metrics, plan)
    for fit in tables["fits"]:
        if fit.get("gate"):
            LOGGER.warning("%s, %s: %s", fit["response"], fit["framework"], fit["gate"])
    write_tables(tables, job.output)
    effects, fits = (as_table(name, tables[name]).to_pandas() for name in ("effects", "fits"))
    LOGGER.log(FOUND, "%s", headline(effects, fits, response_labels(metrics, plan.responses)))


# Analyses of a study's runs, each a function of (metrics, plan) to its tables' rows by name ---------------------------


def variability(metrics: pd.DataFrame, plan: Plan) -> dict[str, Rows]:
    """Divide the variance between runs; nobody publishes the predictions of found models."""
    known = [] if are_found(metrics) else plan.responses
    contributions = {name: read_contributions(finished_runs(metrics, name), name) for name in known}
    return variability_rows(metrics, plan, contributions)


def failures(metrics: pd.DataFrame, plan: Plan) -> dict[str, Rows]:
    """Count the runs that diverged."""
    return {"failures": failure_rows(metrics, plan)}


def tuning(metrics: pd.DataFrame, plan: Plan) -> dict[str, Rows]:
    """Estimate what random draws from the grid are expected to give."""
    return {"tuning_curves": tuning_rows(metrics, plan)}


ANALYSES = (check_study, tuning, tradeoff_rows, variability, compare_study, explore_study, failures)  # longest first


def analyse_study(job: Job) -> None:
    """Make every analysis table that the fits are not, several analyses at once."""
    metrics, plan = read_metrics(job.input.metrics), Plan.of(job.params)
    calls = [partial(analysis, metrics, plan) for analysis in ANALYSES]
    calls += [partial(compare_predictions, metrics, plan, job.input.baselines), partial(claims, job)]
    if are_found(metrics):
        calls += [partial(compare_pooling, job)]
    tables = {name: rows for found in in_forks(calls, job.threads) for name, rows in found.items()}
    if are_found(metrics):
        tables |= compare_studies(job, tables["claims"])
    write_tables(tables, job.output)
    chosen: dict[str, dict[str, float]] = {}
    for row in tables["optimum_factors"]:
        chosen.setdefault(row["response"], {})[row["factor"]] = row["recommended"]
    if sentence := recommended_sentence(chosen, response_labels(metrics, plan.responses)):
        LOGGER.log(FOUND, "%s", sentence)


def claims(job: Job) -> dict[str, Rows]:
    """Judge what was claimed before the study, by its fits."""
    analysis = job.params.analysis
    rows = judge_claims(
        read_analysis(job.input.coefficients),
        read_analysis(job.input.fits),
        analysis["claims"],
        factors=job.params.factors,
        model=analysis["model"],
        confidence=analysis["confidence"],
    )
    return {"claims": rows}
