"""The figures, each in one place: the tables that it is drawn from, and which studies have it.

Without any library, so that a dry run reads the names of files in no time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from finevar.study.kinds import KINDS, LISTED, TRAINED

ASSIGNED = (TRAINED, LISTED)  # studies whose settings somebody assigned, so that one can be recommended


@dataclass(frozen=True)
class Figure:
    """A kind of figure, as results/<study>/figures/<name>.svg and .json (its Vega-Lite specification)."""

    tables: tuple[str, ...]  # that it is drawn from
    joint: bool = False  # shows two factors at once
    kinds: tuple[str, ...] = KINDS  # of studies that have what it shows: steps and predictions, a recommended setting
    by_epoch: bool = False  # shows evaluations after each epoch, which a study has where it asks for them


SURFACE = "surface"  # of each response
BESIDE = ("metrics", "learning_curves", "epoch_evaluations")  # tables beside those of the analysis
FIGURES = {  # by kind, in the report's order
    "effects": Figure(("effects",)),
    "coefficients": Figure(("coefficients",)),
    "importance": Figure(("importance",)),
    "gain": Figure(("gain_shares",), kinds=ASSIGNED),
    "main_effects": Figure(("profiles", "metrics", "effects")),
    "interplay": Figure(("interplay", "coefficients"), joint=True),
    SURFACE: Figure(("coefficients", "covariances", "metrics", "recommendation"), joint=True),
    "learning_curves": Figure(("learning_curves",), kinds=(TRAINED,)),
    "epoch_evaluations": Figure(("epoch_evaluations",), kinds=(TRAINED,), by_epoch=True),
    "calibration": Figure(("calibration_effects", "reliability"), kinds=(TRAINED,)),
    "variability": Figure(("variability",)),
    "tradeoffs": Figure(("pareto", "pareto_points", "metrics", "recommendation")),
    "tuning_curves": Figure(("tuning_curves", "fits")),
}


def kinds_of(*, factors: int, study: str, by_epoch: bool) -> dict[str, Figure]:
    """Return the figures of a study of a kind and of so many factors, by their own kind."""
    return {
        kind: figure
        for kind, figure in FIGURES.items()
        if study in figure.kinds and not (figure.joint and factors < 2) and not (figure.by_epoch and not by_epoch)
    }


def figure_names(kinds: Iterable[str], responses: Iterable[str]) -> list[str]:
    """Return the names of figures of these kinds, in their order."""
    surfaces = [f"{SURFACE}_{response}" for response in responses]
    return [name for kind in kinds for name in (surfaces if kind == SURFACE else [kind])]


def kind_of(name: str) -> str:
    """Return the kind of a figure."""
    return SURFACE if name.startswith(f"{SURFACE}_") else name


def response_of(name: str) -> str:
    """Return the response that a surface is of."""
    return name.removeprefix(f"{SURFACE}_")
