"""The recommended setting on the pages: the advice that the tables hold, and all settings ranked."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.analyses.confirmation import is_confirmed
from finevar.reasons import Next
from finevar.report.cells import cell, level_columns, listed
from finevar.report.parts import Cell, Column, Labels, Row, Table, Tables
from finevar.tables import are_found
from finevar.words.formatting import sentence_case
from finevar.words.numbers import duration, interval, number, percent
from finevar.words.recommendation import Advice, role_text


def advice(tables: Tables, labels: Labels, factors: Sequence[str]) -> Advice | None:
    """Return what a study's tables advise; None of found models, whose settings nobody assigned."""
    metrics = tables["metrics"]
    if is_confirmed(tables):
        following = tables["next_runs"]
        tables = {**tables, "next_runs": following[following["code"] != Next.CONFIRM]}
    return None if are_found(metrics) else Advice.of(tables, metrics, factors, labels)


def ranking_table(advice: Advice, confidence: float) -> Table:
    """Return a row a setting in the order in which the rule takes them: measured means, predictions below, and role."""
    at = {(row["point_id"], row["response"]): row for row in advice.ranking}

    def mean(metric: str) -> Column:
        def show(row: Row) -> Cell:
            found = at[row["point_id"], metric]
            return cell(number(found["mean"]), note=interval(found["ci_low"], found["ci_high"]))

        return f"{sentence_case(advice.labels[metric])}#", show

    metrics = [name for name in advice.labels if any(key[1] == name for key in at)]
    first = next(iter(advice.levels.values()))
    shown = [*level_columns(first, lambda row: advice.levels[row["point_id"]]), *map(mean, metrics)]
    shown += [("Training#", lambda row: duration(row["seconds"]))]
    shown += [("Role", lambda row: role_text(row, advice.labels))]
    caption = f"All settings: measured mean, below it the model's {percent(confidence)} interval."
    return listed(caption, advice.recommendation, shown)
