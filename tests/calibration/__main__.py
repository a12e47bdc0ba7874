"""Run the simulations and print tables of rates, from the repository's root.

python -m tests.calibration [surfaces topics] [--studies 100]   by default both, and then the verdicts
python -m tests.calibration verdicts [...]                      alone, with options of their own (counts.py)
python -m tests.calibration nested [...]                        likewise (nested.py)
python -m tests.calibration recommendations [...]               likewise (recommendations.py)
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import numpy as np
from tests.calibration import (
    counts,
    crossed,
    found,
    nested,
    paired,
    populations,
    power,
    recommendations,
    simulate,
    tradeoffs,
    two_stage,
    variability,
)

STUDIES = 2000
CHUNK = 50
RARE = 10  # per cent of studies; what is reported in fewer is not judged
CLIFFS = (1.0, 2.0, 3.0, 5.0)  # drops at the highest learning rate, in standard deviations between seeds

LOOKED_FOR = ("check: breusch_pagan", "check: normality")  # checks that shall find growing noise
BOUNDS = {"type I error": (3.0, 6.0), "coverage": (94.0, 97.0)}  # per cent; beyond them the report has to say so

TOPICS = {
    "crossed seeds": crossed.rates,
    "found models": found.rates,
    "pairs": paired.rates,
    "populations": populations.rates,
    "power": power.rates,
    "trade-offs": tradeoffs.rates,
    "two-stage": two_stage.rates,
    "variability": variability.rates,
}

Counts = dict[tuple[str, str, str], list[int]]  # (group, kind, name) to [studies counted, successes]


def count(job: tuple[str, str, int]) -> Counts:
    """Simulate a chunk of studies of one design and noise, and count."""
    name, noise, chunk = job
    shape = simulate.DESIGNS[name]
    counts: Counts = defaultdict(lambda: [0, 0])
    for number in range(CHUNK):
        key = [list(simulate.DESIGNS).index(name), simulate.NOISES.index(noise), chunk, number]
        runs = simulate.simulate(shape, noise, np.random.default_rng(key))
        tests = [("type I error", *found) for found in simulate.p_values(runs, shape)]
        tests += [
            ("power", f"lack of fit, cliff of {cliff:g} SD", "", simulate.lack_of_fit_p(runs, shape, cliff))
            for cliff in CLIFFS
        ]
        for group, kind, term, p in tests:
            if noise == "growing" and kind in LOOKED_FOR:
                group = "power"
            cell = counts[group, kind, term]
            cell[0] += p is not None
            cell[1] += p is not None and p < simulate.ALPHA
        for kind, term, holds in simulate.intervals(runs, shape):
            cell = counts["coverage", kind, term]
            cell[0] += 1
            cell[1] += holds
    return dict(counts)


def rates(name: str, noise: str, studies: int, pool: Pool) -> Counts:
    """Return the counts of some studies of one design and noise."""
    total: Counts = defaultdict(lambda: [0, 0])
    for part in pool.imap_unordered(count, [(name, noise, chunk) for chunk in range(studies // CHUNK)]):
        for key, (seen, hits) in part.items():
            total[key][0] += seen
            total[key][1] += hits
    return total


def print_table(name: str, noise: str, total: Counts, studies: int) -> None:
    """Print a line per kind: the mean rate over its terms, the lowest and the highest, and whether it is as promised.

    A withheld p is no finding, so the share of findings is among all studies.
    """
    kinds: dict[tuple[str, str], list[list[int]]] = defaultdict(list)
    for (group, kind, _), cell in total.items():
        kinds[group, kind].append(cell)
    for (group, kind), cells in kinds.items():
        seen = sum(cell[0] for cell in cells)
        shares = [100 * hits / (max(count, 1) if group == "coverage" else studies) for count, hits in cells]
        told = f"{np.mean(shares):.1f} | {min(shares):.1f} to {max(shares):.1f}" if seen else "withheld |"
        reported = 100 * seen / (studies * len(cells))
        kept = judged(group, float(np.mean(shares))) if reported > RARE else ""
        print(f"| {name} | {noise} | {group} | {kind} | {told} | {reported:.0f} | {kept} |", flush=True)


def judged(group: str, rate: float) -> str:
    """Say on which side of its bounds a rate lies: cautious finds too little, bold too much."""
    if group not in BOUNDS:
        return ""
    low, high = BOUNDS[group]
    if low <= rate <= high:
        return "within"
    return "cautious" if (rate < low) == (group == "type I error") else "bold"


def topic_rates(job: tuple[str, int]) -> tuple[str, list[tuple[str, float]]]:
    """Return what a topic counts, with its per cent of studies."""
    topic, studies = job
    return topic, list(TOPICS[topic](studies, seed=0))


def print_surfaces(studies: int, pool: Pool) -> None:
    """Simulate and print all designs and noises."""
    print("| design | noise | what | kind | mean % | range over terms | reported in % of studies | bounds |")
    print("|---|---|---|---|---|---|---|---|")
    for name in simulate.DESIGNS:
        for noise in simulate.NOISES:
            print_table(name, noise, rates(name, noise, studies, pool), studies)


def print_topics(studies: int, pool: Pool) -> None:
    """Simulate and print the topics, of a fifth as many studies, as each of theirs takes longer."""
    print("\n| topic | what | % of studies |\n|---|---|---|")
    for topic, shares in pool.imap_unordered(topic_rates, [(topic, max(1, studies // 5)) for topic in TOPICS]):
        for what, share in shares:
            print(f"| {topic} | {what} | {share:.1f} |", flush=True)


PARTS = {"surfaces": print_surfaces, "topics": print_topics}
ALONE = {"nested": nested.main, "recommendations": recommendations.main, "verdicts": counts.main}


def main() -> None:
    """Run the parts that are named, or all."""
    if sys.argv[1:2] and sys.argv[1] in ALONE:
        ALONE[sys.argv[1]](sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m tests.calibration", description="How often the analysis is wrong.")
    first = f"{' or '.join(ALONE)} first with its own options"
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}, or {first}")
    parser.add_argument("--studies", type=int, default=STUDIES, help="of each kind; %(default)s by default")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}, or {first}")
    with get_context("fork").Pool(os.cpu_count(), initializer=simulate.fewer_draws) as pool:
        for part in chosen.parts or PARTS:
            PARTS[part](chosen.studies, pool)
    if not chosen.parts:
        counts.main(["--studies", str(chosen.studies)])


if __name__ == "__main__":
    main()
