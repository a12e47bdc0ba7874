"""The report's section on evaluation by epoch, of a study that asked for it."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.analyses.epochs import epoch_means, lowest_early
from finevar.report.parts import Labels, Section, Tables, group
from finevar.study.kinds import TRAINED
from finevar.words.findings import epochs_sentence

PART, PLACE, TITLE = "errors", 30, "Evaluation by epoch"
STUDIES = (TRAINED,)


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section | None:
    """Return the figure of the loss after each epoch; None of a study that has not asked for it."""
    if "epoch_evaluations" not in tables:
        return None
    found = lowest_early(epoch_means(tables["epoch_evaluations"], factors), factors)
    return {"finding": epochs_sentence(*found), "groups": [group("", [], figures=["epoch_evaluations"])]}
