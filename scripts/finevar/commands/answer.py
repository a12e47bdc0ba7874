"""What a finished study found, in a few lines for a terminal, and where its outputs are."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from finevar.analyses.recommended import recommended_point
from finevar.commands.status import read_study
from finevar.report.labels import fitted_names
from finevar.report.sections.confirmation import section as confirmation_section
from finevar.report.summary import cautions, summary
from finevar.results.study_tables import read_analysis, read_metrics
from finevar.study.paths import place, report_file, table_file
from finevar.tables import kind_of_runs, page_tables
from finevar.words.numbers import duration

SHOWN = (
    "Use",
    "It gains",
    "How sure",
    "Cost",
    "Check first",
    "Next",
)  # of the report's first screen, and what it costs

Line = tuple[str, str]  # title and text


def answer_lines(config: Mapping[str, Any]) -> list[Line]:
    """Return the answer as the report gives it: which setting to use, what it gains, how sure that is, what to mind.

    The one place that says what a terminal repeats of a report. config: checked; of a study whose report is there.
    """
    study, confidence = config["study"], config["analysis"]["confidence"]
    metrics = read_metrics(place("study", study=study) / "metrics.parquet")
    tables: dict[str, pd.DataFrame] = {
        name: read_analysis(table_file(study, name)) for name in page_tables(kind_of_runs(metrics))
    } | {"metrics": metrics}
    labels = fitted_names(tables, {"config": config})
    factors = list(config["sweep"]["factors"])
    lines = {line["title"]: line["text"] for line in summary(tables, labels, factors, confidence)}
    warnings = cautions(tables, labels, factors, confidence)
    lines["Cost"] = cost(tables)
    confirmed = table_file(study, "confirmation")
    found = {"confirmation": read_analysis(confirmed)} if confirmed.exists() else {}
    said = confirmation_section(tables | found, labels, {"config": config, "factors": factors})
    return [
        *([("Confirmation", said["finding"])] if said else []),
        *((title, lines[title]) for title in SHOWN if lines.get(title)),
        *(("Caution", text) for text in warnings),
    ]


def cost(tables: Mapping[str, pd.DataFrame]) -> str:
    """Say how long a run at the recommended setting takes; nothing where nobody timed one."""
    runs = tables["metrics"][tables["metrics"]["point_id"] == recommended_point(tables)]
    if "train_seconds" not in runs or runs["train_seconds"].isna().all():
        return ""
    if runs["eval_seconds"].isna().all():
        return f"A run at this setting takes {duration(float(runs['train_seconds'].mean()))} to train."
    took = duration(float((runs["train_seconds"] + runs["eval_seconds"]).mean()))
    return f"A run at this setting takes {took} to train and evaluate."


def output_lines(study: str) -> list[Line]:
    """Return where a study's outputs are, those that there are."""
    folder = place("study", study=study)
    found = {
        "Report": report_file(study),
        "Runs": folder / "metrics.parquet",
        "Tables": folder / "analysis",
        "Figures": folder / "figures",
        "Confirmed": table_file(study, "confirmation").with_suffix(".csv"),
    }
    return [(title, f"{path}{os.sep if path.is_dir() else ''}") for title, path in found.items() if path.exists()]


def print_answer(configfile: Path) -> None:
    """Print the answer of the study of a config's file, then where its outputs are; nothing without a report."""
    config = read_study(configfile).config
    if not report_file(config["study"]).exists():
        return
    lines = [*answer_lines(config), *output_lines(config["study"])]
    if not sys.stdout.isatty():
        print("\n".join(f"{title}: {text}" for title, text in lines))
        return
    table = Table.grid(padding=(0, 2))
    for title, text in lines:
        table.add_row(Text(title, style="bold"), Text(text))
    Console(highlight=False).print(table)
