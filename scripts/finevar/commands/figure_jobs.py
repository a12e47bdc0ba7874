"""The work of the rules that draw: from tables to figures as SVG and Vega-Lite specification."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from finevar.columns import EPOCH_EVALUATIONS, LEARNING_CURVES, of_models
from finevar.figures import charts
from finevar.figures.calibration import calibration_chart
from finevar.figures.drawing import Drawing, Picture, draw, titled, unchecked, write_drawing
from finevar.figures.effects import effects_chart
from finevar.figures.epochs import epochs_chart
from finevar.figures.gain import gain_chart
from finevar.figures.importance import importance_chart
from finevar.figures.interplay import interplay_chart
from finevar.figures.names import FIGURES, SURFACE, kind_of, response_of
from finevar.figures.surface import surface_chart
from finevar.figures.titles import TITLES
from finevar.figures.tradeoffs import tradeoffs_chart
from finevar.figures.tuning import tuning_chart
from finevar.figures.variability import variability_chart
from finevar.jobs.forks import in_forks
from finevar.jobs.log import Job
from finevar.parquet import read_table
from finevar.results.study_tables import read_analysis, read_metrics
from finevar.study.coding import codings_of

OF_RUNS = {"learning_curves": LEARNING_CURVES, "epoch_evaluations": EPOCH_EVALUATIONS}
Tables = Mapping[str, pd.DataFrame]
Chart = Callable[[Tables, SimpleNamespace, str], Picture]
CHARTS: dict[str, Chart] = {  # by kind: of tables, what the config says and the figure's name
    "effects": lambda tables, params, name: effects_chart(tables["effects"]),
    "coefficients": lambda tables, params, name: charts.coefficients_chart(tables["coefficients"]),
    "importance": lambda tables, params, name: importance_chart(tables["importance"]),
    "gain": lambda tables, params, name: gain_chart(tables["gain_shares"]),
    "main_effects": lambda tables, params, name: charts.main_effects_chart(
        tables["profiles"], tables["metrics"], params.factors
    ),
    "interplay": lambda tables, params, name: interplay_chart(
        tables["interplay"], tables["coefficients"], params.factors
    ),
    "surface": lambda tables, params, name: surface_chart(tables, response_of(name), params.factors, params.baseline),
    "learning_curves": lambda tables, params, name: charts.learning_curves_chart(
        tables["learning_curves"], params.factors
    ),
    "epoch_evaluations": lambda tables, params, name: epochs_chart(tables["epoch_evaluations"], params.factors),
    "calibration": lambda tables, params, name: calibration_chart(
        tables["calibration_effects"], tables["reliability"], params.factors
    ),
    "variability": lambda tables, params, name: variability_chart(tables["variability"]),
    "tradeoffs": lambda tables, params, name: tradeoffs_chart(tables, params.factors),
    "tuning_curves": lambda tables, params, name: tuning_chart(tables["tuning_curves"], tables["fits"]),
}


def draw_figures(job: Job) -> None:
    """Draw every figure of a study, several at once."""
    names = [Path(path).stem for path in job.output.json]
    names.sort(key=lambda name: kind_of(name) != SURFACE)  # the longest first
    in_forks([partial(draw_figure, name, job) for name in names], job.threads)


def draw_figure(name: str, job: Job) -> None:
    """Draw one figure and write it to the outputs of its name."""
    tables = {table: read_drawn(table, job) for table in FIGURES[kind_of(name)].tables}
    params = SimpleNamespace(factors=codings_of(job.params.factors), baseline=job.params.baseline)
    with unchecked():
        drawing = drawing_of(name, tables, params)
    own = {Path(path).suffix[1:]: path for path in job.output if Path(path).stem == name}
    write_drawing(drawing, **own)


def drawing_of(name: str, tables: Tables, params: SimpleNamespace) -> Drawing:
    """Return a figure under its title; params: factors (their codings) and baseline (its settings)."""
    kind = kind_of(name)
    return draw(titled(CHARTS[kind](tables, params, name), TITLES[kind](tables, params, name)))


def read_drawn(table: str, job: Job) -> pd.DataFrame:
    """Return a table that a figure is drawn from, checked."""
    if table == "metrics":
        return read_metrics(job.input.metrics)
    if table in OF_RUNS:
        return read_table(job.input[table], OF_RUNS[table], of_models(OF_RUNS[table])).to_pandas()
    return read_analysis(job.input[table])
