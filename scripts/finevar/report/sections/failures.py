"""The report's section on runs that failed: how many, where, and whether they grow along a factor."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.reasons import FAILED, Caution
from finevar.report.cells import ADJUSTED, P_VALUE, cell, columns, listed, whole
from finevar.report.parts import Cell, Labels, Row, Section, Sentence, Table, Tables, group, sentence
from finevar.study.coding import factor_of, level_of
from finevar.study.kinds import LISTED, TRAINED
from finevar.tables import as_rows
from finevar.words.formatting import counted, factor_label, joined, sentence_case
from finevar.words.numbers import is_missing, level, p_equals, percent
from finevar.words.recommendation import unlearnt_sentence

PART, PLACE, TITLE = "details", 88, "Diverged and collapsed runs"
STUDIES = (TRAINED, LISTED)


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return how many runs failed or learnt nothing, a sentence a factor where some failed, and the counts."""
    failures, cautions = tables["failures"], as_rows(tables["cautions"])
    if failures.empty or not failures["runs"].max():
        return {"finding": "No run has ended yet, so nothing shows how many fail.", "groups": []}
    groups = []
    for dataset, rows in failures.groupby("dataset", sort=False):
        if failed(rows.iloc[0]):
            parts = rows.groupby(rows["factor"].map(factor_of), sort=False)
            by_factor = [part.to_dict("records") for name, part in parts if name]
            sentences = [trend_sentence(part, 1 - confidence) for part in by_factor]
            levels = levels_table([row for part in by_factor for row in part], str(dataset), confidence)
            groups.append(group(f"On {dataset}" if dataset else "", sentences, folded=[levels]))
    unlearnt = [unlearnt_sentence(row) for row in cautions if row["code"] in (Caution.ONE_CLASS, Caution.GUESSING)]
    groups = [group("", unlearnt), *groups] if unlearnt else groups
    return {"finding": finding_sentence(failures.iloc[0], confidence), "groups": groups}


def failed(row: Row) -> int:
    """Return how many runs failed."""
    return int(sum(row[status] for status in FAILED))


def failed_text(row: Row) -> str:
    """Say how many runs failed, by name."""
    return joined([f"{int(row[status]):,} {status}" for status in FAILED if row.get(status)])


def finding_sentence(row: Row, confidence: float) -> str:
    """Say how many of all runs failed, with the interval of the rate, and how many are missing."""
    runs = int(row["runs"])
    missing = f" {counted(int(row['missing']), 'run')} did not end and counts as neither." if row["missing"] else ""
    exact = f"{percent(confidence)} interval, Clopper-Pearson"
    if not failed(row):
        return (
            f"Not one of {counted(runs, 'run')} diverged or collapsed; a rate above {percent(row['ci_high'], 2)} at "
            f"the settings tried is excluded ({exact}).{missing}"
        )
    return (
        f"Of {counted(runs, 'run')} {failed_text(row)}: {percent(row['share'], 2)} ({exact}: {rate_span(row)}). They "
        f"are results of their settings; metrics are of the other runs alone.{missing}"
    )


def rate_span(row: Row) -> str:
    """Print the interval of a rate."""
    return f"{percent(row['ci_low'], 2)} to {percent(row['ci_high'], 2)}"


def trend_sentence(part: Sequence[Row], alpha: float) -> Sentence:
    """Say how many runs failed at each level of a factor, and whether there is a trend; marked with its verdict."""
    name = sentence_case(factor_label(factor_of(part[0]["factor"])))
    counts = joined([f"{failed(row)} of {row['runs']:.0f} at {level_text(row)}" for row in part])
    if is_missing(part[0]["p_value"]):
        return sentence(f"{name}: {counts}; there is no test of a trend, as {part[0]['reason']}.", "none")
    shown = part[0]["p_adjusted"] < alpha
    if is_missing(part[0]["trend"]):
        differ = "the rate differs between the levels" if shown else "a difference between the levels is undecided"
        text = f"{name}: {counts} failed; {differ} ({p_equals(part[0]['p_adjusted'], 'adjusted p')})."
        return sentence(text, "effect" if shown else "undecided")
    way = "rises" if part[0]["trend"] > 0 else "falls"
    trend = f"the rate {way} along the levels" if shown else "a trend along the levels is undecided"
    text = f"{name}: {counts} failed; {trend} ({p_equals(part[0]['p_adjusted'], 'adjusted p')})."
    return sentence(text, "effect" if shown else "undecided")


def level_text(row: Row) -> str:
    """Print the level that a row is of."""
    return level_of(row["factor"]) or level(row["level"])


def levels_table(rows: Sequence[Row], dataset: str, confidence: float) -> Table:
    """Return one row a level of a factor."""

    def rate(row: Row) -> Cell:
        if is_missing(row["share"]):
            return cell("", note="no run ended")
        return cell(percent(row["share"], 2), note=rate_span(row))

    caption = (
        f"Runs that failed{f' on {dataset}' if dataset else ''} by level, with the {percent(confidence)} interval of "
        "the rate (Clopper-Pearson) and the p of a trend along the levels (logistic regression with Firth's penalty, "
        "likelihood ratio), adjusted over factors (Holm)."
    )
    factor = ("Factor", lambda row: factor_label(factor_of(row["factor"])))
    shown = [factor, ("Level#", level_text)]
    shown += columns(whole, runs="Runs#", diverged="Diverged#", collapsed="Collapsed#", missing="Missing#")
    return listed(caption, rows, [*shown, ("Rate#", rate), P_VALUE, ADJUSTED])
