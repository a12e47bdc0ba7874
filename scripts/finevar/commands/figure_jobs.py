"""The work of the rules that draw: from tables to a figure as SVG, PNG and Vega-Lite specification."""

from __future__ import annotations

import altair as alt
import pandas as pd

from finevar.columns import LEARNING_CURVES
from finevar.figures import charts
from finevar.figures.calibration import calibration_chart
from finevar.figures.drawing import save_chart
from finevar.figures.effects import effects_chart
from finevar.figures.interplay import interplay_chart
from finevar.figures.surface import surface_chart
from finevar.figures.tradeoffs import tradeoffs_chart
from finevar.figures.tuning import tuning_chart
from finevar.figures.variability import variability_chart
from finevar.jobs.log import Job
from finevar.parquet import read_table
from finevar.study.coding import Codings, codings_of
from finevar.tables import TABLES, read_metrics


def read(job: Job, name: str) -> pd.DataFrame:
    """Return an analysis table among a rule's inputs, checked."""
    return read_table(job.input[name], TABLES[name]).to_pandas()


def factors(job: Job) -> Codings:
    """Return the codings of a study's factors."""
    return codings_of(job.params.factors)


def save(chart: alt.TopLevelMixin, job: Job) -> None:
    """Write a figure to a rule's outputs."""
    save_chart(chart, svg=job.output.svg, png=job.output.png, json=job.output.json)


def plot_effects(job: Job) -> None:
    """Draw the effects against what is negligible."""
    save(effects_chart(read(job, "effects")), job)


def plot_coefficients(job: Job) -> None:
    """Draw the coefficients with their intervals."""
    save(charts.coefficients_chart(read(job, "coefficients")), job)


def plot_main_effects(job: Job) -> None:
    """Draw predicted profiles over the observed runs."""
    save(charts.main_effects_chart(read(job, "profiles"), read_metrics(job.input.metrics), factors(job)), job)


def plot_interplay(job: Job) -> None:
    """Draw slopes over other factors."""
    save(interplay_chart(read(job, "interplay"), read(job, "coefficients"), factors(job)), job)


def plot_surface(job: Job) -> None:
    """Draw one response's surface over each pair of factors."""
    metrics = read_metrics(job.input.metrics)
    save(surface_chart(read(job, "surface"), metrics, job.wildcards.response, factors(job), job.params.baseline), job)


def plot_learning_curves(job: Job) -> None:
    """Draw training loss against epoch."""
    curves = read_table(job.input.learning_curves, LEARNING_CURVES).to_pandas()
    save(charts.learning_curves_chart(curves, factors(job)), job)


def plot_calibration(job: Job) -> None:
    """Draw what the loss is made of."""
    save(calibration_chart(read(job, "calibration_effects"), read(job, "reliability"), factors(job)), job)


def plot_variability(job: Job) -> None:
    """Draw where the variance between runs comes from."""
    save(variability_chart(read(job, "variability")), job)


def plot_tradeoffs(job: Job) -> None:
    """Draw metrics against each other."""
    metrics = read_metrics(job.input.metrics)
    save(tradeoffs_chart(read(job, "pareto"), read(job, "pareto_points"), metrics, factors(job)), job)


def plot_tuning_curves(job: Job) -> None:
    """Draw tuning curves."""
    save(tuning_chart(read(job, "tuning_curves"), read(job, "fits")), job)
