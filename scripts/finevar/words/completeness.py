"""What excluded runs do to the design: which settings they leave empty, which terms become less certain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from finevar.jobs.endings import NOT_BEGUN, Ending
from finevar.reasons import FAILED, MISSING, OK
from finevar.study.coding import Codings, Term, design_matrix, term_name, terms
from finevar.study.matrices import aliased_terms
from finevar.words.formatting import counted, joined, settings_list, term_label
from finevar.words.next_start import next_sentences
from finevar.words.numbers import whole_percent

CELLS = ["dataset", "point_id"]
NAMED = 3  # settings that a sentence names


def completeness_sentences(metrics: pd.DataFrame, factors: Codings, order: str) -> list[str]:
    """Say what excluded runs do to the design; nothing where there are none.

    order: the surface's terms, see `coding.terms`.
    """
    done = metrics[metrics["status"] == OK]
    if len(done) == len(metrics):
        return []
    counts = metrics["status"].value_counts()
    why = joined([f"{counts[status]:,} {status}" for status in (*FAILED, MISSING) if status in counts])
    lost = counted(len(metrics) - len(done), "run")
    sentences = [f"{lost} of {len(metrics):,} gave no metrics that count ({why}); all below rests on the rest."]
    sentences += [cells_sentence(metrics, done, factors)]
    if not done.empty:
        sentences.append(precision_sentence(metrics, done, factors, terms(factors, order)))
    return sentences


def next_start_sentences(metrics: pd.DataFrame) -> list[str]:
    """Say what would give the missing runs their metrics: another start, or first an edit of what stopped them."""
    missing = metrics[metrics["status"] == MISSING]
    codes, reasons = missing["ending"].fillna(NOT_BEGUN), missing["reason"].fillna("")
    if missing.empty:
        return ["Start again for the final report."]
    return next_sentences(map(Ending, codes, reasons), "run")


def cells_sentence(metrics: pd.DataFrame, done: pd.DataFrame, factors: Iterable[str]) -> str:
    """Say which settings have lost all their seeds and how many have lost some."""
    planned = metrics.groupby(CELLS).size()
    left = done.groupby(CELLS).size().reindex(planned.index, fill_value=0)
    bare = planned.index[left == 0]
    thinner = int(((left < planned) & (left > 0)).sum())
    parts = []
    if len(bare):
        named = cells_text(metrics, bare, factors)
        parts.append(f"{counted(len(bare), 'setting')} of {len(planned):,} without any run ({named})")
    if thinner:
        parts.append(f"{counted(thinner, 'setting')} with fewer seeds than planned")
    return f"That leaves {joined(parts)}."


def cells_text(metrics: pd.DataFrame, cells: Iterable[tuple[str, str]], factors: Iterable[str]) -> str:
    """Name the first of some settings by their levels, with the data set where there are several.

    cells: (data set, setting), as in the columns CELLS.
    """
    of, several = metrics.drop_duplicates(CELLS).set_index(CELLS)[list(factors)], metrics["dataset"].nunique() > 1
    cells = list(cells)
    named = [settings_list(of.loc[cell]) + (f" on {cell[0]}" if several else "") for cell in cells[:NAMED]]
    more = [f"{len(cells) - NAMED:,} more"] if len(cells) > NAMED else []
    return "; ".join([*named, *more])


def precision_sentence(metrics: pd.DataFrame, done: pd.DataFrame, codings: Codings, columns: Sequence[Term]) -> str:
    """Say which terms the remaining runs cannot separate, or how much larger standard errors get at equal noise."""
    matrix, names = design_matrix(done, codings, columns)
    if aliased := [term_label(name) for name in aliased_terms(matrix, names) if name in map(term_name, columns)]:
        return f"The remaining runs cannot separate {joined(aliased)} from the terms before: no surface can be fitted."
    if aliased_terms(matrix, names):
        return "The remaining runs cannot separate the seeds and data sets: no surface can be fitted."
    before, after = variances(metrics, codings, columns), variances(done, codings, columns)
    growth = {name: float(np.sqrt(after[name] / before[name])) - 1 for name in before if name != "intercept"}
    worst = max(growth, key=growth.__getitem__)
    return (
        f"At equal noise that makes the standard error of {term_label(worst)} {whole_percent(growth[worst])} larger, "
        "and those of the other terms by less."
    )


def variances(runs: pd.DataFrame, codings: Codings, columns: Sequence[Term]) -> dict[str, float]:
    """Return the variance of each term's coefficient in units of the noise's: the diagonal of (X'X)^-1."""
    matrix, names = design_matrix(runs, codings, columns)
    diagonal = np.diag(np.linalg.pinv(matrix.T @ matrix))
    return dict(zip(names[: len(columns)], diagonal[: len(columns)], strict=True))
