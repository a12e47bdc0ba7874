"""Files that an earlier config of a study made and the present one does not: a dropped factor's or metric's figures."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from finevar.metrics import RESPONSES

FIGURES = (
    "effects",
    "coefficients",
    "main_effects",
    "interplay",
    *(f"surface_{response}" for response in RESPONSES),
    "learning_curves",
    "calibration",
    "variability",
    "tradeoffs",
    "tuning_curves",
)
FOUND_TABLES = ("found_gates", "pooling", "beside")  # that only a study of found models has


def remove_leftovers(study: Path, *, figures: Collection[str], tables: Collection[str]) -> list[str]:
    """Remove from a study's folder the figures and tables, of names that finevar gives, that are not among these.

    Return their paths. What a user has put beside them stays.
    """
    stale = [
        study / folder / f"{name}.{suffix}"
        for folder, names, present, suffixes in (
            ("figures", FIGURES, figures, ("svg", "png", "json")),
            ("analysis", FOUND_TABLES, tables, ("parquet", "csv")),
        )
        for name in names
        for suffix in suffixes
        if name not in present
    ]
    there = [path for path in stale if path.is_file()]
    for path in there:
        path.unlink()
    return list(map(str, there))
