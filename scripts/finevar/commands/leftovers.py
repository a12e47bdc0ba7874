"""Files that an earlier config of a study made and the present one does not: a dropped factor's or metric's figures."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from finevar.figures.names import FIGURES, figure_names
from finevar.metrics import RESPONSES
from finevar.tables import TABLES


def remove_leftovers(study: Path, *, figures: Collection[str], tables: Collection[str]) -> list[str]:
    """Remove from a study's folder the figures and tables, of names that finevar gives, that are not among these.

    Return their paths. What a user has put beside them stays.
    """
    found_only = [name for name, table in TABLES.items() if table.found_only]
    stale = [
        study / folder / f"{name}.{suffix}"
        for folder, names, present, suffixes in (
            ("figures", figure_names(FIGURES, RESPONSES), figures, ("svg", "png", "json")),
            ("analysis", found_only, tables, ("parquet", "csv")),
        )
        for name in names
        for suffix in suffixes
        if name not in present
    ]
    there = [path for path in stale if path.is_file()]
    for path in there:
        path.unlink()
    return list(map(str, there))
