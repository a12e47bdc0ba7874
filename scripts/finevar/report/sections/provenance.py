"""The report's section on provenance: what the results were made with and from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from finevar.report import tables as report_tables
from finevar.report.parts import Facts, Labels, Section, Tables, group
from finevar.report.sections import found as found_models
from finevar.report.sections import listed as listed_runs
from finevar.study.additions import as_written
from finevar.study.kinds import LISTED
from finevar.tables import are_found, kind_of_runs
from finevar.words.numbers import duration

PART, PLACE, TITLE = "details", 100, "Provenance"


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section:
    """Return software, sources, data sets and the study's config."""
    metrics, config = tables["metrics"], facts["config"]
    if are_found(metrics):
        finding, grids = "The cards, and what wrote them.", [found_models.sources(metrics, config["cards"])]
    elif kind_of_runs(metrics) == LISTED:
        finding, grids = "The file that lists the runs.", [listed_runs.source(config["runs"])]
    else:
        seconds = float(metrics["train_seconds"].sum() + metrics["eval_seconds"].sum())
        finding = f"All runs together took {duration(seconds)} of training and evaluation."
        grids = [report_tables.software_table(metrics), report_tables.sources_table(config.get("sources", {}))]
    datasets = [report_tables.dataset_facts(name, found) for name, found in facts["datasets"].items()]
    text = yaml.safe_dump(plain(as_written(config)), sort_keys=False, allow_unicode=True, width=100)
    return {
        "finding": finding,
        "groups": [group("", [], tables=grids, folded=datasets)],
        "config": text,
        "template": "provenance.html",
    }


def plain(value: Any) -> Any:
    """Return nested mappings and sequences as the dicts and lists that YAML prints without tags."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value
