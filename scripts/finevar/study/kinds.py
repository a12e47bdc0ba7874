"""The kinds of studies: runs that are trained here, models that others published, runs that a file lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRAINED, FOUND, LISTED = KINDS = ("trained", "model_cards", "runs")  # the last two as the key `source` has them


def study_kind(raw: Any) -> str:
    """Return the kind of a config's study; of one whose `source` is no kind, that of one that trains."""
    source = raw.get("source") if isinstance(raw, Mapping) else None
    return source if source in (FOUND, LISTED) else TRAINED
