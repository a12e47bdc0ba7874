"""The work of the rules that gather and analyse a study, from their input files to their output files."""

from __future__ import annotations

from pathlib import Path

from finevar.analyses import claims
from finevar.analyses import predictions as prediction_analyses
from finevar.analyses import surfaces as analyses
from finevar.analyses.failures import failure_rows
from finevar.analyses.fits import FittedStudy, Plan, finished_runs, fit_study
from finevar.analyses.tradeoffs import tradeoff_rows
from finevar.analyses.tuning import tuning_rows
from finevar.analyses.variability import variability_rows
from finevar.jobs.log import FOUND, LOGGER, Job
from finevar.metrics import ON_CARDS
from finevar.parquet import read_table, write_table
from finevar.results import aggregation
from finevar.results.predictions import read_contributions
from finevar.tables import TABLES, are_found, as_table, read_metrics, write_tables
from finevar.words.findings import recommended_sentence
from finevar.words.formatting import response_labels
from finevar.words.wording import headline, ranges_sentence

LOGS = Path("results/logs")


def aggregate_metrics(job: Job) -> None:
    """Gather all runs."""
    runs = aggregation.read_design(job.input.design)
    metrics = aggregation.aggregate_metrics(runs, job.input.metrics, job.input.baselines, job.params.baseline)
    write_table(metrics, job.output.metrics)
    write_table(aggregation.aggregate_curves(runs, job.input.trainings), job.output.curves)
    table = metrics.to_pandas()
    for run, reason in aggregation.named_runs(table, "diverged").items():
        LOGGER.warning("run %s diverged: %s", run, reason)
    LOGGER.log(FOUND, "%s", ranges_sentence(table, ON_CARDS))


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


def fitted_study(job: Job) -> FittedStudy:
    """Return a study's runs with a surface of each response."""
    return FittedStudy.of(read_metrics(job.input.metrics), Plan.of(job.params))


def fit_regressions(job: Job) -> None:
    """Fit the response surfaces."""
    study = fitted_study(job)
    tables = fit_study(study)
    for fit in tables["fits"]:
        if fit.get("gate"):
            LOGGER.warning("%s, %s: %s", fit["response"], fit["framework"], fit["gate"])
    write_tables(tables, job.output)
    effects, fits = (as_table(name, tables[name]).to_pandas() for name in ("effects", "fits"))
    LOGGER.log(FOUND, "%s", headline(effects, fits, response_labels(study.metrics, study.plan.responses)))


def check_regressions(job: Job) -> None:
    """Check the fitted surfaces."""
    write_tables(analyses.check_study(fitted_study(job)), job.output)


def analyse_surface(job: Job) -> None:
    """Read the fitted surfaces: slopes, interplay, optimum, recommendation."""
    study = fitted_study(job)
    tables = analyses.explore_study(study)
    write_tables(tables, job.output)
    chosen: dict[str, dict[str, float]] = {}
    for row in tables["optimum_factors"]:
        chosen.setdefault(row["response"], {})[row["factor"]] = row["recommended"]
    if told := recommended_sentence(chosen, response_labels(study.metrics, study.plan.responses)):
        LOGGER.log(FOUND, "%s", told)


def compare_baselines(job: Job) -> None:
    """Set the fitted surfaces beside the baselines."""
    write_tables(analyses.compare_study(fitted_study(job)), job.output)


def compare_predictions(job: Job) -> None:
    """Set the runs' predictions beside the baseline's."""
    write_tables(prediction_analyses.compare_predictions(fitted_study(job), job.input.baselines), job.output)


def analyse_variability(job: Job) -> None:
    """Divide the variance between runs, and count those that diverged."""
    study = fitted_study(job)
    known = [] if are_found(study.metrics) else study.plan.responses  # nobody publishes predictions
    contributions = {name: read_contributions(finished_runs(study.metrics, name), name) for name in known}
    write_tables(variability_rows(study, contributions) | failure_rows(study), job.output)


def analyse_tradeoffs(job: Job) -> None:
    """Trade metrics off, and tell what random draws from the grid are expected to give."""
    study = fitted_study(job)
    write_tables(tradeoff_rows(study) | tuning_rows(study), job.output)


def judge_claims(job: Job) -> None:
    """Judge what was claimed before the study."""
    analysis = job.params.analysis
    rows = claims.judge_claims(
        read_table(job.input.coefficients, TABLES["coefficients"]).to_pandas(),
        read_table(job.input.fits, TABLES["fits"]).to_pandas(),
        analysis["claims"],
        factors=job.params.factors,
        model=analysis["model"],
        confidence=analysis["confidence"],
    )
    write_tables({"claims": rows}, job.output)
