"""The report's section on the parts of the seed: what another seed changes, and how much variance each part makes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from finevar.report.cells import crossed, metric_titles
from finevar.report.parts import Labels, Row, Section, Table, Tables, group, rows_of
from finevar.report.sections.variability import reach, share_cell
from finevar.study.seed_parts import PARTS
from finevar.words.formatting import counted, joined, sentence_case, together
from finevar.words.numbers import NOTHING, TIMES, is_missing, percent, significant, whole_percent
from finevar.words.seeds import DECIDED, decided_words

PART, PLACE, TITLE = "details", 66, "What part of the seed makes the variance"
WORDS = DECIDED | {"init": "the weights drawn anew", "test_set": "the sampling of test sentences"}
SHORT = {"init": "initialisation", "order": "order", "dropout": "dropout", "sample": "sample"}
METHOD = (
    "Within each setting the runs cross the parts, so the analysis of variance divides what differs between them; the "
    "shares are of the mean over settings. A product of parts is what they make together beyond their sum. Intervals "
    "take what each part does for normal; with few seeds of a part they are wide."
)
APART = (
    "A study that crosses the parts (sweep.seeds: {init: 4, order: 4}) tells how much of the variance between seeds "
    "each makes."
)


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section | None:
    """Return each part's share of the variance between a setting's runs; of parts not crossed, what a seed changes."""
    rows = tables["seed_parts"]
    found = {name: rows_of(rows, response=name) for name in labels if name in set(rows["response"])}
    if not found:
        return None
    meant = meaning(tables["metrics"], set(rows["source"]))
    if rows["settings"].isna().all():
        reasons = rows["reason"] if rows["left_out"].notna().any() else []
        return {"finding": meant, "groups": [group("", [*(f"{sentence_case(each)}." for each in set(reasons)), APART])]}
    titles = {name: labels[name] for name in found}
    known = {name: each for name, each in found.items() if any(not is_missing(row["share"]) for row in each)}
    shares = group("", [meant, *left_out(known, labels), METHOD], tables=[share_table(found, titles, confidence)])
    return {
        "finding": " ".join(finding(each, labels[name], confidence) for name, each in known.items()),
        "groups": [shares],
    }


def meaning(metrics: pd.DataFrame, named: set[str]) -> str:
    """Say what another seed changes, of the parts that are named, and whether it leaves the examples as they are."""
    known = decided_words(metrics)
    fixed = "" if "sample" in named else "; the training examples are the same at every seed"
    changed = joined([known[part] for part in PARTS if part in named & known.keys()])
    return f"A new seed here changes {changed or 'nothing'}{fixed}."


def source_words(source: str) -> str:
    """Return a source in words: a part, several together, or the sampling of test sentences."""
    return WORDS.get(source) or f" {TIMES} ".join(SHORT[part] for part in source.split(":"))


def finding(rows: Sequence[Row], label: str, confidence: float) -> str:
    """Say what each source makes of the variance between a setting's runs, the largest first."""
    ranked = sorted((row for row in rows if not is_missing(row["share"])), key=lambda row: -row["share"])
    texts = [f"{source_words(row['source'])} {whole_percent(row['share'])}{reach(row)}" for row in ranked]
    with_ends = f" ({percent(confidence)} intervals)" if any(reach(row) for row in ranked) else ""
    return f"Variance of {label} between runs of the same setting{with_ends}: {joined(texts)}."


def left_out(found: dict[str, list[Row]], labels: Labels) -> list[str]:
    """Say how many settings the shares are of, and how many lack runs."""
    texts = together((count_text(rows[0]), labels[name]) for name, rows in found.items())
    return [f"{sentence_case(joined(names))}: {text}." for text, names in texts.items()]


def count_text(row: Row) -> str:
    """Say how many settings a response's shares are of."""
    lacking = f"; {counted(int(row['left_out']), 'setting')} without all runs left out" if row["left_out"] else ""
    return f"{counted(int(row['settings']), 'setting')} with a run of every combination{lacking}"


def share_table(found: dict[str, list[Row]], titles: Labels, confidence: float) -> Table:
    """Return a line a source and, for each response, its share with interval and its standard deviation."""
    rows = pd.DataFrame([row for each in found.values() for row in each])
    down = {source: [sentence_case(source_words(source))] for source in rows["source"].unique()}
    caption = (
        f"Share of the variance between runs of the same setting, with {percent(confidence)} interval, and the "
        f"standard deviation that the source makes; {NOTHING} is not known."
    )
    shown = {"": share_cell, "Standard deviation#": lambda row: significant(row["sd"])}
    return crossed(caption, rows, ("source", "response"), ["Source"], down, metric_titles(titles), shown)
