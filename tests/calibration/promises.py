"""What is promised of verdicts, claims, intervals and recommendations, and the tables of what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from tests.calibration import truths

from finevar.statistics.clustered import FEW_SEEDS

SEEDS = (2, 4, 5, 6)
SURE = 0.95  # of the limits of a rate


class Promise(NamedTuple):
    """Between which per cents a rate shall lie, and in which studies."""

    low: float = 0.0
    high: float = 100.0
    fewest_seeds: int = min(SEEDS)
    kinds: Sequence[str] = tuple(truths.KINDS)

    def holds_for(self, kind: str, seeds: int) -> bool:
        """Say whether it is made for studies of a kind and so many seeds."""
        return kind in self.kinds and seeds >= self.fewest_seeds

    def mark(self, rate: float, low: float, high: float) -> str:
        """Return ! where a rate is not as promised, and !! where its limits are not either."""
        if self.low <= rate <= self.high:
            return ""
        return "!" if high >= self.low and low <= self.high else "!!"

    def __str__(self) -> str:
        """Say what is promised, in per cent."""
        if self.low > 0:
            said = f"{self.low:g} to {self.high:g}" if self.high < 100 else f"≥ {self.low:g}"
        else:
            said = f"≤ {self.high:g}" if self.high < 100 else ""
        said += f" from {self.fewest_seeds} seeds" if self.fewest_seeds > min(SEEDS) else ""
        return said + (f" in {', '.join(self.kinds)}" if len(self.kinds) < len(truths.KINDS) else "")


COVERED = Promise(93, 98, fewest_seeds=4)  # of the nearest quadratic: beside a cliff it misses the truth itself
ITSELF = COVERED._replace(kinds=[name for name, kind in truths.KINDS.items() if not kind.cliff])
PROMISES = {  # of every score, in the table's order
    "nothing said": Promise(),
    "no effect: said to have one": Promise(high=5),
    "no effect: called negligible": Promise(),
    "1.5 x smallest: called negligible": Promise(high=5),
    "1.5 x smallest: found": Promise(),
    "3 x smallest: found": Promise(low=80, fewest_seeds=5, kinds=("clean",)),
    "above smallest somewhere: called negligible": Promise(high=5),
    "true claim: contradicted": Promise(high=2.5),
    "true claim: replicated": Promise(),
    "false claim: replicated": Promise(high=2.5),
    "simple effects: covered": ITSELF,
    "simple effects of the nearest quadratic: covered": COVERED,
    "coefficients: covered": COVERED,
    "predictions: covered": ITSELF,
    "predictions of the nearest quadratic: covered": COVERED,
    "best setting: missing among those not separated": Promise(high=5),
    "settings not separated": Promise(),
    "gain: lower bound too high": Promise(high=3),
    "lack of fit: said without any": Promise(),  # it is about these sentences, on which there always is some
    "lack of fit: found": Promise(),
    "settings by their means: without lack of fit": Promise(high=5),
    "settings by their means: found to be missed": Promise(),
}


def limits(hits: np.ndarray, studies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits of rates in per cent (Clopper & Pearson 1934), from hits of studies [rates] each.

    A share of intervals that each study has varies less between studies than a yes or no, so that its limits are wide.
    """
    rest = (1 - SURE) / 2
    low = np.where(hits > 0, stats.beta.ppf(rest, np.maximum(hits, 1e-9), studies - hits + 1), 0.0)
    high = np.where(hits < studies, stats.beta.isf(rest, hits + 1, np.maximum(studies - hits, 1e-9)), 1.0)
    return 100 * low, 100 * high


def judged(counts: pd.DataFrame) -> pd.DataFrame:
    """Return counts with their rate, its limits, and the mark of a promise that is made for them and broken."""
    low, high = limits(counts["hits"].to_numpy(float), counts["studies"].to_numpy(float))
    found = counts.assign(rate=100 * counts["hits"] / counts["studies"], low=low, high=high)
    marks = [
        PROMISES[row.score].mark(row.rate, row.low, row.high)
        if PROMISES[row.score].holds_for(row.kind, row.seeds)
        else ""
        for row in found.itertuples()
    ]
    return found.assign(mark=marks)


def tables(counts: pd.DataFrame) -> str:
    """Return Markdown tables, few seeds and enough, without and with collapsed runs: a line a score, a column a kind.

    counts: hits and studies of each cell's scores by metric. The metrics of a study count as one, since they are of
    the same runs; with enough seeds a rate is that of the counts of seeds for which its promise is made.
    """
    fewest = counts["score"].map(lambda score: PROMISES[score].fewest_seeds)
    few = counts["seeds"] < FEW_SEEDS
    parts = []
    for collapsed in (False, True):
        for name, own in (("2 seeds", few), ("4, 5 and 6 seeds", ~few & (counts["seeds"] >= fewest))):
            part = counts[own & (counts["collapsed"] == collapsed)]
            if len(part):
                title = f"{name}, {'one to three runs' if collapsed else 'no run'} collapsed"
                parts.append(f"**{title}**\n\n{table(part)}")
    return "\n\n".join(parts)


def table(counts: pd.DataFrame) -> str:
    """Return a Markdown table of rates, with limits and marks: a line a score, a column a kind."""
    groups = counts.groupby(["score", "kind"], sort=False)
    pooled = groups.agg(hits=("hits", "sum"), studies=("studies", "sum"), seeds=("seeds", "max")).reset_index()
    metrics = groups["metric"].nunique().to_numpy()
    found = judged(pooled.assign(hits=pooled["hits"] / metrics, studies=pooled["studies"] / metrics))
    texts = [f"{row.rate:.1f} ({row.low:.1f} to {row.high:.1f}){row.mark}" for row in found.itertuples()]
    wide = found.assign(text=texts).pivot(index="score", columns="kind", values="text").fillna("")
    wide = wide.reindex(index=[score for score in PROMISES if score in wide.index])
    wide = wide[[kind for kind in truths.KINDS if kind in wide]]
    numbers = counts.groupby("kind")["studies"].max()
    lines = [["%", "promised", *(f"{kind} ({numbers[kind]})" for kind in wide.columns)], ["---"] * (2 + wide.shape[1])]
    lines += [[score, str(PROMISES[score]), *row] for score, row in zip(wide.index, wide.to_numpy(), strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
