"""The report's section on the file of runs: which rows are used and why the others are not, and the factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.analyses.baselines import at_baseline
from finevar.reasons import Unused
from finevar.report import tables as report_tables
from finevar.report.cells import cell, columns, listed, table, whole
from finevar.report.parts import Facts, Group, Labels, Row, Section, Table, Tables, group
from finevar.study.kinds import LISTED
from finevar.words.formatting import counted, joined, sentence_case, settings_list
from finevar.words.numbers import level

PART, PLACE, TITLE = "details", 86, "File of runs"
STUDIES = (LISTED,)
MOST_LEVELS = 8
USES = {"used": "used", "diverged": "diverged", "missing": "missing", "excluded": "excluded"}
WHY = {  # excluded rows, by code
    Unused.BASELINE: "the baseline",
    Unused.NO_FACTOR: "a hyperparameter is empty or no number",
    Unused.NO_DATASET: "no data set",
    Unused.NO_SEED: "no seed",
    Unused.IMPOSSIBLE: "a metric outside what it can be",
    Unused.RANGE: "beyond the levels compared",
    Unused.PRUNED: "stopped early, by its metrics",
    Unused.DUPLICATE: "listed twice",
    Unused.UNFINISHED: "no run of its setting finished",
}


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section:
    """Return how many rows are used, and why the others are not."""
    rows, config = tables["listing"], facts["config"]
    counts = rows["use"].value_counts()
    parts = joined([f"{counts[use]} {words}" for use, words in USES.items() if use in counts])
    own = config["baseline"]["settings"]
    grids = [*([left_out(rows)] if rows["reason"].notna().any() else [])]
    levels = {name: levels_text(coding.levels) for name, coding in facts["factors"].items()}
    grids.append(report_tables.coded_table("Factors", "Levels", levels, facts["factors"], own))
    return {
        "finding": f"Of {counted(len(rows), 'row')} of {config['runs']['file']}: {parts}.",
        "groups": [group("", [seeds_sentence(tables["metrics"])], tables=grids)],
    }


def levels_text(levels: Sequence[float]) -> str:
    """Print a factor's levels; of many, as a random search has them, the lowest and the highest."""
    if len(levels) <= MOST_LEVELS:
        return ", ".join(map(level, levels))
    return f"{level(min(levels))} to {level(max(levels))}, {len(levels)} values"


def left_out(rows: pd.DataFrame) -> Table:
    """Return a row a reason for which rows are no finished runs, with their number and the first of them."""
    kept = rows[rows["reason"].notna()]
    why = [USES[row.use] if pd.isna(row.reason_code) else WHY[row.reason_code] for row in kept.itertuples()]
    found = kept.assign(why=why).groupby("why", sort=False)
    shown = [
        *columns(sentence_case, why="What they are"),
        *columns(whole, rows="Rows#"),
        ("First of them", lambda row: cell(row["run_id"], note=row["reason"])),
    ]
    return listed("Rows that are no finished runs", list(map(first_of, found)), shown)


def first_of(part: tuple[Any, pd.DataFrame]) -> Row:
    """Return a reason with its number of rows and the first of them."""
    why, rows = part
    return rows.iloc[0].to_dict() | {"why": why, "rows": len(rows)}


def seeds_sentence(metrics: pd.DataFrame) -> str:
    """Say what a run's seed is."""
    count = counted(metrics["seed"].nunique(), "seed")
    return f"{count}. Where a file has no column of seeds, the repeats of a setting are its seeds, in their order."


def baseline_group(tables: Tables, labels: Labels, config: Mapping[str, Any]) -> tuple[str, Group]:
    """Return what the baseline is and scores."""
    metrics, frozen, spec = tables["metrics"], tables["baselines"], config["baseline"]
    own = f"Its own settings: {settings_list(spec['settings'])}." if spec["settings"] else ""
    again = metrics[(metrics["status"] == "ok") & at_baseline(metrics)]
    if frozen.empty and not own:
        return "The study has no baseline: its runs are compared with each other.", group("", [])
    if frozen.empty:
        return f"The baseline is a setting: {settings_list(spec['settings'])}.", group("", [])
    what = f"row {spec['run']} of the file" if spec["run"] else "as the config states it"
    shown = [report_tables.baselines_table(frozen, again, labels)]
    return f"Relative figures are taken against the baseline, {what}.", group("", [own], tables=shown)


def source(spec: Mapping[str, Any]) -> Table:
    """Return where the runs come from."""
    names = ", ".join(f"{name} ({column})" for name, column in spec["metrics"].items())
    return table("Where the runs come from.", ["What", "Value"], [["File", spec["file"]], ["Metrics", names]])
