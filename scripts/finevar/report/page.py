"""The study's report: one HTML file that holds its figures, their program and every table, and opens offline."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import partial
from types import ModuleType

from finevar.figures import calibration as calibration_chart
from finevar.figures import epochs as epochs_chart
from finevar.figures import tradeoffs as tradeoffs_chart
from finevar.figures import tuning as tuning_chart
from finevar.figures import variability as variability_chart
from finevar.figures.drawing import Drawing
from finevar.figures.names import kind_of, response_of
from finevar.figures.palette import dark_style
from finevar.jobs.forks import in_forks
from finevar.report.environment import BEFORE_RUNS, ENVIRONMENT, TEMPLATES
from finevar.report.labels import fitted_names, names
from finevar.report.parts import STOPPED, Facts, Labels, Section, Tables
from finevar.report.sections import PARTS, titled_modules
from finevar.study.kinds import KINDS
from finevar.tables import kind_of_runs
from finevar.words import wording
from finevar.words.formatting import response_label

LARGEST_SVG = 100_000  # characters of a figure's still drawing; a larger one becomes an image
for template in TEMPLATES.glob("*.html"):  # compiled by the process of which jobs are forks
    if template.name not in BEFORE_RUNS:
        ENVIRONMENT.get_template(template.name)
titled_modules()  # imported there, too


def render_page(
    tables: Tables, figures: Mapping[str, Drawing], facts: Facts, program: str, *, processes: int = 1
) -> str:
    """Return the report as one HTML page that loads nothing from elsewhere.

    tables: metrics, those of tables.page_tables, and baselines, with one row per evaluation data set.
    figures: by name, see figures.names.
    facts: config (checked, defaults filled in), factors, datasets (what the preparation of each data set found), seen
    (what the model sees of each, see data.inspection), interim, whether the study is still under way, and the folder
    that the page is for.
    program: JavaScript that draws the figures.
    processes: that make the page's parts.
    """
    labels = fitted_names(tables, facts)
    modules = {
        name: module
        for name, module in titled_modules().items()
        if kind_of_runs(tables["metrics"]) in getattr(module, "STUDIES", KINDS)
    }
    work = [partial(content, module, tables, labels, facts) for module in modules.values()]
    drawn, *found = in_forks([lambda: drawings(tables, figures, facts), *work], processes)
    sections = {name: said for name, said in zip(modules, found, strict=True) if says_something(said)}
    parts = [
        {
            "id": part,
            "title": title,
            "sections": [
                {"id": name, "title": modules[name].TITLE, "content": said}
                for name, said in sections.items()
                if part == modules[name].PART
            ],
        }
        for part, title in PARTS.items()
    ]
    return ENVIRONMENT.get_template("report.html").render(
        parts=[part for part in parts if part["sections"]],
        figures=drawn,
        study=facts["config"]["study"],
        program=program,
        dark=dark_style(".chart"),
    )


def content(module: ModuleType, tables: Tables, labels: Labels, facts: Facts) -> Section | None:
    """Return what a section says of a study."""
    if hasattr(module, "of_study"):
        return module.of_study(tables, labels, facts)
    return module.section(tables, labels, list(facts["factors"]), facts["config"]["analysis"]["confidence"])


def says_something(said: Section | None) -> bool:
    """Say whether a section stands on the page."""
    return said is not None and said.get("finding") != STOPPED


def drawings(tables: Tables, figures: Mapping[str, Drawing], facts: Facts) -> dict[str, dict[str, str]]:
    """Return the figures as the page holds them, by name."""
    return {name: figure(name, drawing, tables, facts) for name, drawing in figures.items()}


def figure(name: str, drawing: Drawing, tables: Tables, facts: Facts) -> dict[str, str]:
    """Return a figure's specification as script-safe JSON, a still drawing to begin with, and words for both."""
    response = response_of(name)
    label = names(tables, facts).get(response, response_label(response))
    caption, alternative = words(kind_of(name), label, tables, facts)
    image = base64.b64encode(drawing.png(0.7)).decode() if len(drawing.svg) > LARGEST_SVG else ""
    return {
        "name": name,
        "spec": json.dumps(drawing.spec, separators=(",", ":")).replace("<", "\\u003c"),
        "still": f'<img alt="" src="data:image/png;base64,{image}">' if image else alone(drawing.svg, name),
        "caption": caption,
        "alternative": f"{drawing.title}. {alternative}" if drawing.title else alternative,
    }


def alone(svg: str, name: str) -> str:
    """Return a drawing whose gradients have ids of their own within a page."""
    return svg.replace("gradient_", f"{name}_gradient_")


def words(kind: str, label: str, tables: Tables, facts: Facts) -> tuple[str, str]:
    """Return a figure's caption and text alternative."""
    confidence, runs = facts["config"]["analysis"]["confidence"], int((tables["metrics"]["status"] == "ok").sum())
    charts = {
        "epoch_evaluations": (epochs_chart, ["epoch_evaluations"], []),
        "calibration": (calibration_chart, ["reliability"], [runs]),
        "variability": (variability_chart, ["variability"], [runs]),
        "tradeoffs": (tradeoffs_chart, ["pareto", "pareto_points"], []),
        "tuning_curves": (tuning_chart, ["tuning_curves"], []),
    }
    if kind not in charts:
        return wording.figure_words(kind, label, confidence, list(facts["factors"]), runs)
    chart, used, counted = charts[kind]
    return chart.caption(*(tables[name] for name in used), *counted, confidence), chart.ALTERNATIVE
