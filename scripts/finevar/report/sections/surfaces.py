"""The report's section on response surfaces: each metric over each pair of hyperparameters."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.figures.names import SURFACE
from finevar.report.parts import STOPPED, Labels, Section, Tables, group
from finevar.words.formatting import sentence_case

PART, PLACE, TITLE = "details", 5, "Response surfaces"
ONE_NUMBER = "Only two hyperparameters whose levels are numbers span a plane; the profiles are under Main effects."
ONE_FACTOR = "One hyperparameter spans no plane; its profile under Main effects is the whole surface."


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return a figure for each metric."""
    if not labels:
        return {"finding": STOPPED, "groups": []}
    if tables["surface"].empty:
        return {"finding": ONE_FACTOR if len(factors) < 2 else ONE_NUMBER, "groups": []}
    groups = [group(sentence_case(label), [], figures=[f"{SURFACE}_{name}"]) for name, label in labels.items()]
    return {
        "finding": "Each metric as its fitted surface predicts it, over each pair of hyperparameters.",
        "groups": groups,
    }
