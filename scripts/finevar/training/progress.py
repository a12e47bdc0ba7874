"""How far a training is, as one line on a terminal; nothing where there is none."""

from __future__ import annotations

import sys

from tqdm import tqdm

SECONDS = 0.5  # between two looks

tqdm.monitor_interval = 0  # no thread that wakes a bar which waits: a job forks, and its steps are short


def progress_bar(name: str, total: int, done: int) -> tqdm:
    """Return the bar of a training, at the steps that an earlier attempt took; it leaves the line empty in the end."""
    return tqdm(
        desc=name,
        total=total,
        initial=done,
        unit="step",
        file=sys.stderr,
        disable=not sys.stderr.isatty(),
        leave=False,
        mininterval=SECONDS,
        dynamic_ncols=True,
    )
