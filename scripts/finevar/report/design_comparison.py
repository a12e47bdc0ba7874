"""The design card's comparison of the study's design with others of the same levels."""

from __future__ import annotations

from finevar.planning.comparison import Compared
from finevar.planning.design_card import DesignFacts
from finevar.report.cells import cell, table
from finevar.report.parts import Cell, Table
from finevar.study.designs import DESIGNS
from finevar.words.formatting import joined, sentence_case, term_label
from finevar.words.numbers import NOTHING, number

CAPTION = (
    "The same levels in other designs. Variance is that of a prediction, averaged over all settings allowed, in "
    "variances of one run; at equal cost, with as many runs as the study's own design by more seeds or fewer."
)


def comparison_tables(facts: DesignFacts) -> list[Table]:
    """Return one row a design, the study's own first; no table where there is nothing to compare."""
    if len(facts.compared) < 2:
        return []
    own, *_ = facts.compared
    columns = ["Design", "Settings#", "Runs#", "Variance#", "At equal cost#", "Estimates"]
    return [table(CAPTION, columns, [comparison_row(each, own) for each in facts.compared])]


def comparison_row(each: Compared, own: Compared) -> list[str | Cell]:
    """Return a design's cells."""
    name = sentence_case(DESIGNS[each.kind].name)
    numbers = [NOTHING if value is None else number(value, 3) for value in (each.variance, each.at(own.runs))]
    lacks = cell("not all terms", note=f"not {joined([term_label(term) for term in each.aliased])}")
    named = cell(name, note="as planned") if each is own else name
    return [named, f"{each.settings:,}", f"{each.runs:,}", *numbers, lacks if each.aliased else "every term"]
