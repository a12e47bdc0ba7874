"""Disturb tiny studies in every way and compare.

usage: python -m tests.faults [--kills 200] [--edits 25] [--seed 0] [--short] [--limit 400] [--only NAME ...]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TQDM_DISABLE", "1")

from tests.faults import accidents, damage, kills, sequence
from tests.faults.kills import Outcome
from tests.faults.study import GOAL, LIMIT, Place, clear, make_place

COLUMNS = ("trials", "ok", "resumed", "repeated")


def campaign(place: Place, chosen: argparse.Namespace) -> Iterator[tuple[str, str, Outcome]]:
    """Yield group, label and outcome of every trial that is asked for."""
    only, seed = chosen.only, chosen.seed
    if not only or "kills" in only:
        yield from (("kills", *found) for found in kills.trials(place, chosen.kills, seed))
    if not only or "edits" in only:
        yield from (("edits", *found) for found in sequence.trials(place, chosen.edits, seed))
    yield from (("damage", *found) for found in damage.trials(place, seed, only))
    yield from (("accidents", *found) for found in accidents.trials(place, only))


def table(outcomes: list[Outcome], names: Callable[[Outcome], Iterable[str]]) -> str:
    """Return a table of counts by what was done, or by what was under way."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * len(COLUMNS))
    for outcome in outcomes:
        found = (1, not outcome.wrong, outcome.resumed, outcome.repeated)
        for name in {*names(outcome), "all"}:
            counts[name] = [whole + one for whole, one in zip(counts[name], found, strict=True)]
    rows = sorted(counts.items(), key=lambda row: (row[0] == "all", row[0]))
    lines = [f"{name:<28}" + "".join(f"{number:>10}" for number in found) for name, found in rows]
    return "\n".join([f"{'':<28}" + "".join(f"{column:>10}" for column in COLUMNS), *lines])


def main() -> None:
    """Run the campaign, print a line a trial and a table a group, and end with 1 if anything was wrong."""
    names = ["kills", "edits", *damage.TARGETS, *accidents.TRIALS]
    parser = argparse.ArgumentParser(description=f"Names: {', '.join(names)}")
    parser.add_argument("--kills", type=int, default=200, help="how many studies are killed")
    parser.add_argument("--edits", type=int, default=25, help="how often a study is edited")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    parser.add_argument("--short", action="store_true", help="studies up to their metrics, without analyses")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds that a start may take before it is hung")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", choices=names, help="which; all by default")
    chosen = parser.parse_args()
    begun, groups = time.monotonic(), defaultdict(list)
    goals = [GOAL] if chosen.short else []
    place = replace(make_place(Path(tempfile.mkdtemp(prefix="faults")), *goals), limit=chosen.limit)
    for group, label, outcome in campaign(place, chosen):
        print(outcome.line(label), flush=True)
        groups[group].append(outcome)
    for group, outcomes in groups.items():
        print(f"\n== {group}\n{table(outcomes, lambda outcome: [outcome.name])}")
    if "kills" in groups:
        print(f"\n== kills by what was under way\n{table(groups['kills'], lambda outcome: outcome.during)}")
    failed = [outcome for outcomes in groups.values() for outcome in outcomes if outcome.wrong]
    print(f"\n{time.monotonic() - begun:.0f} s; {len(failed)} failed{f', kept in {place.root}' if failed else ''}")
    if not failed:
        clear(place)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
