"""How far a study is while Snakemake runs, by its files: looked at no more often than its size allows."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace

from finevar.commands.status import (
    Progress,
    Row,
    best_text,
    look,
    of_this_version,
    prepared_positives,
    seconds_left,
    setting_text,
)
from finevar.study.design import Study
from finevar.words.formatting import label_of_run
from finevar.words.numbers import number
from finevar.words.seeds import seed_words

LOOK_SECONDS = 2.0  # between looks at the runs, at least
LOOK_SHARE = 20.0  # and at least so many times as long as a look takes


class Watch:
    """The runs of a study, as the last look at its files found them."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.progress, self.rows = Progress(len(study.runs), {}, {}), list[Row]()
        self.ends: float | None = None  # when the runs that are left will be done, on the clock of time.monotonic
        self.due = 0.0

    def look(self, failed: Collection[str], *, now: bool = False) -> None:
        """Look at the files if a look is due; failed: only the runs that failed since this start."""
        begun = time.monotonic()
        if begun < self.due and not now:
            return
        found, self.rows = of_this_version(look(self.study.runs.values()), prepared_positives(self.study))
        self.progress = replace(found, endings={run: end for run, end in found.endings.items() if run in failed})
        left = seconds_left(self.study, self.progress, self.rows)
        ended = time.monotonic()
        self.ends = None if left is None else ended + left
        self.due = ended + max(LOOK_SECONDS, LOOK_SHARE * (ended - begun))

    @property
    def sentence(self) -> str:
        """Return the counts and the time left in a line."""
        return self.progress.line(None if self.ends is None else max(self.ends - time.monotonic(), 0.0))

    @property
    def last(self) -> str:
        """Return the setting, seed and metrics of the run that was done last; nothing before one is."""
        if not self.rows:
            return ""
        dates = {run: path.stat().st_mtime for run, path in self.progress.done.items() if path.exists()}
        row = max(self.rows, key=lambda row: dates.get(row["run_id"], 0.0))
        found = {name: row[name] for name in self.study.config["analysis"]["responses"]}
        metrics = [f"{label_of_run(name, row)} {number(value)}" for name, value in found.items()]
        seed = seed_words(self.study.runs[row["run_id"]].drawn)
        return f"{', '.join(metrics)} at {setting_text(self.study, row)}, {seed}"

    @property
    def best(self) -> str:
        """Return the best setting so far, by the study's first metric; nothing before a run is done."""
        return best_text(self.study, self.rows, self.study.config["analysis"]["responses"][0])
