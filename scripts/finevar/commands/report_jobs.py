"""The work of the rules that write the report and the paper kit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from finevar.columns import EPOCH_EVALUATIONS, METRICS, of_models
from finevar.figures.drawing import Drawing, read_drawing
from finevar.figures.names import FIGURES, figure_names
from finevar.files import read_facts, write_bytes
from finevar.jobs.log import LOGGER, Job
from finevar.metrics import RESPONSES
from finevar.parquet import read_table
from finevar.report.page import Tables, render_page
from finevar.report.paper import write_kit
from finevar.results.run_metrics import Positives, read_run_metrics
from finevar.results.study_tables import read_analysis, read_metrics
from finevar.study.classes import positives_of
from finevar.study.coding import codings_of
from finevar.study.kinds import LISTED
from finevar.study.settings import MODEL
from finevar.tables import TABLES, kind_of_runs, page_tables


def render_report(job: Job) -> None:
    """Write the report, and remove the figures and tables of an earlier config of the study."""
    tables, figures, facts = read_study(job, interim=job.wildcards.study.endswith("/interim"))
    facts["folder"] = Path(job.output.html).parent
    program = Path(job.input.program).read_text(encoding="utf-8")

    write_bytes(render_page(tables, figures, facts, program, processes=job.threads).encode(), job.output.html)
    drawn = [Path(path).stem for path in job.input.figures]
    read = [Path(path).stem for path in job.input if Path(path).parent.name == "analysis"]
    if removed := remove_leftovers(facts["folder"], figures=drawn, tables=read):
        LOGGER.info("removed outputs of an earlier config: %s", ", ".join(removed))


def remove_leftovers(study: Path, *, figures: Collection[str], tables: Collection[str]) -> list[str]:
    """Remove from a study's folder the figures and tables, of names that finevar gives, that are not among these.

    An earlier config made them: a dropped factor's or metric's. Return their paths. What a user has put there stays.
    """
    of_some = [name for name, table in TABLES.items() if len(table.kinds) == 1]
    stale = [
        study / folder / f"{name}.{suffix}"
        for folder, names, present, suffixes in (
            ("figures", figure_names(FIGURES, RESPONSES), figures, ("svg", "json")),
            ("figures", figure_names(FIGURES, RESPONSES), (), ("png",)),  # of former versions, now in the paper kit
            ("analysis", of_some, tables, ("parquet", "csv")),
        )
        for name in names
        for suffix in suffixes
        if name not in present
    ]
    there = [path for path in stale if path.is_file()]
    for path in there:
        path.unlink()
    return list(map(str, there))


def write_paper(job: Job) -> None:
    """Write the paper kit."""
    write_kit(*read_study(job, interim=False), Path(job.output.folder))


def read_study(job: Job, *, interim: bool) -> tuple[Tables, dict[str, Drawing], dict[str, Any]]:
    """Return a study's tables, its figures by name, and the facts beside them.

    The rule's named inputs: metrics, the page's analysis tables, baselines (one for each evaluation data set), datasets
    (a dataset.json for each name in params.datasets, in that order), seen (of data.inspection; none of found models),
    figures (JSON) and drawings (SVG) in one order.
    """
    inputs, params = job.input, job.params
    metrics = read_metrics(inputs.metrics)
    tables = {name: read_analysis(inputs[name]) for name in page_tables(kind_of_runs(metrics))}
    if confirmed := inputs.named.get("confirmation") or vars(params).get("confirmation"):
        tables["confirmation"] = read_analysis(confirmed)
    if recorded := inputs.named.get("epochs"):
        tables["epoch_evaluations"] = read_table(recorded, EPOCH_EVALUATIONS, of_models(EPOCH_EVALUATIONS)).to_pandas()
    found = dict(zip(params.datasets, map(read_facts, inputs.datasets), strict=True))
    wanted = {name: params.config["datasets"][name].get("positive") for name in found}
    positives = positives_of(found, wanted)
    tables |= {"metrics": metrics, "baselines": read_baselines(inputs.baselines, kind_of_runs(metrics), positives)}
    if "baseline_id" in metrics:
        models = dict(zip(metrics["baseline_id"], metrics[MODEL], strict=True))
        tables["baselines"][MODEL] = tables["baselines"]["run_id"].map(models)
    figures = zip(inputs.figures, inputs.drawings, strict=True)
    facts = {
        "config": params.config,
        "factors": codings_of(params.factors),
        "interim": interim,
        "datasets": found,
        "seen": read_facts(inputs.seen) if inputs.seen else {},
    }
    return tables, {Path(spec).stem: read_drawing(svg=svg, json=spec) for spec, svg in figures}, facts


def read_baselines(paths: Sequence[str], kind: str, positives: Positives) -> pd.DataFrame:
    """Return a row for each data set that a baseline has figures on; of listed runs, one file has them all."""
    if kind == LISTED:
        return read_table(paths[0], METRICS).to_pandas()
    return pd.DataFrame(read_run_metrics(list(paths), positives))
