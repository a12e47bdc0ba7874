"""The work of the rules that write the report and the paper kit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from finevar.commands.leftovers import FOUND_TABLES, remove_leftovers
from finevar.files import read_facts, read_json, write_bytes
from finevar.jobs.log import LOGGER, Job
from finevar.parquet import read_table
from finevar.report.page import ANALYSES, Tables, render_page
from finevar.report.paper import write_kit
from finevar.results.run_metrics import read_run_metrics
from finevar.study.coding import codings_of
from finevar.tables import TABLES, read_metrics


def render_report(job: Job) -> None:
    """Write the report, and remove the figures and tables of an earlier config of the study."""
    html = render_page(*read_study(job, interim=job.wildcards.study.endswith("/interim")))
    write_bytes(html.encode(), job.output.html)
    figures = [Path(path).stem for path in job.input.figures]
    if removed := remove_leftovers(Path(job.output.html).parent, figures=figures, tables=job.input.named):
        LOGGER.info("removed what an earlier config had made: %s", ", ".join(removed))


def write_paper(job: Job) -> None:
    """Write the paper kit."""
    write_kit(*read_study(job, interim=False), Path(job.output.folder))


def read_study(job: Job, *, interim: bool) -> tuple[Tables, dict[str, Any], dict[str, Any]]:
    """Return a study's tables, its figures' Vega-Lite specifications by name, and the facts beside them.

    The rule's named inputs: metrics, a table for each of ANALYSES (and, of models found, FOUND_TABLES), baselines (one
    for each evaluation data set), datasets (a dataset.json for each name in params.datasets, in that order) and
    figures (JSON).
    """
    inputs, params = job.input, job.params
    found = [name for name in FOUND_TABLES if name in inputs.named]
    schemas = {name: TABLES[name] for name in (*ANALYSES, *found)}
    tables = {name: read(inputs[name], columns) for name, columns in schemas.items()}
    tables["metrics"] = read_metrics(inputs.metrics)
    tables["baselines"] = pd.DataFrame(read_run_metrics(list(inputs.baselines)))
    facts = {
        "config": params.config,
        "factors": codings_of(params.factors),
        "interim": interim,
        "datasets": dict(zip(params.datasets, map(read_facts, inputs.datasets), strict=True)),
    }
    return tables, {Path(path).stem: read_json(path) for path in inputs.figures}, facts


def read(path: str, columns: pa.Schema) -> pd.DataFrame:
    """Return a table, checked."""
    return read_table(path, columns).to_pandas()
