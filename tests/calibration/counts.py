"""Count how often what is said of simulated studies is wrong, over several invocations, and print the rates.

    python -m tests.calibration verdicts [--studies 2000] [--kinds clean all] [--seeds 4 5] [--jobs 2] [--table]

Counts are kept in a folder, a line a block of studies, which is only ever added to; what it has is not simulated again.
Cells take turns by block, so that a run that is ended has about as many studies of each. A changed analysis takes a
folder of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
from tests.calibration import promises, simulate, truths, verdicts
from tests.calibration.truths import Cell

STUDIES, BLOCK = 2000, 20
COLLAPSES = {"no": False, "yes": True}
FOLDER = Path("results/calibration")
README = Path(__file__).with_name("README.md")
START, END = "<!-- rates -->\n", "<!-- end of rates -->\n"

Block = tuple[Cell, int]  # the number of its first study


def counted(block: Block) -> dict[str, Any]:
    """Count the studies of a block; return a line of the file."""
    cell, first = block
    found = verdicts.count(cell, range(first, first + BLOCK))
    rows = [[*key, studies, round(hits, 9)] for key, (studies, hits) in found.items()]
    return cell._asdict() | {"first": first, "counts": rows}


def read_lines(path: Path) -> dict[Block, list[list[Any]]]:
    """Read the counts of each block; a line that a killed run left unfinished is not one."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[Cell(*(row[name] for name in Cell._fields)), row["first"]] = row["counts"]
    return found


def simulate_missing(path: Path, cells: Sequence[Cell], studies: int, jobs: int) -> None:
    """Simulate the blocks that the file lacks, and add each to it as soon as it is counted."""
    known = read_lines(path)
    blocks = [each for each in itertools.product(range(0, studies, BLOCK), cells) if each[::-1] not in known]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file, get_context("fork").Pool(jobs, initializer=simulate.fewer_draws) as pool:
        for row in pool.imap_unordered(counted, [(cell, first) for first, cell in blocks]):
            file.write(f"\n{json.dumps(row)}")  # begun anew, wherever a killed run may have stopped
            file.flush()


def totals(path: Path, cells: Sequence[Cell]) -> pd.DataFrame:
    """Return a row a cell, score and metric: of how many studies, and in how many of them."""

    def rows() -> Iterator[dict[str, Any]]:
        for (cell, _), counts in read_lines(path).items():
            if cell in cells:
                for score, metric, studies, hits in counts:
                    yield cell._asdict() | {"score": score, "metric": metric, "studies": studies, "hits": hits}

    found = pd.DataFrame(rows(), columns=[*Cell._fields, "score", "metric", "studies", "hits"])
    return found.groupby([*Cell._fields, "score", "metric"], sort=False).sum().reset_index()


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read what to simulate."""
    parser = argparse.ArgumentParser(prog="python -m tests.calibration verdicts", description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=STUDIES, help="of each cell; %(default)s by default")
    parser.add_argument("--kinds", nargs="+", choices=truths.KINDS, default=list(truths.KINDS), help="of truth")
    parser.add_argument(
        "--collapsed", nargs="+", choices=COLLAPSES, default=list(COLLAPSES), help="with such runs, or not"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=promises.SEEDS, help="of a study")
    parser.add_argument("--design", choices=("central_composite", "full_factorial"), default="central_composite")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at once; %(default)s by default")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the counts; %(default)s by default")
    parser.add_argument("--table", action="store_true", help="simulate nothing, print what the folder has")
    parser.add_argument("--readme", action="store_true", help=f"write the tables to {README.name} beside, too")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] = ()) -> None:
    """Simulate what the folder lacks of every cell; print the rates, and write each with its limits beside."""
    chosen = options(arguments)
    collapses = [COLLAPSES[name] for name in chosen.collapsed]
    cells = [Cell(*each, chosen.design) for each in itertools.product(chosen.kinds, collapses, chosen.seeds)]
    path = chosen.folder / "verdicts.jsonl"
    if not chosen.table:
        simulate_missing(path, cells, chosen.studies, chosen.jobs)
    found = promises.judged(totals(path, cells))
    found.to_csv(path.with_suffix(".csv"), index=False)
    text = promises.tables(found)
    print(f"{text}\n\n! not as promised, !! nor are the 95 % limits. Of single cells and metrics:\n")
    broken = found[found["mark"] == "!!"].drop(columns=["design", "hits", "mark"])
    print(broken.round(1).to_string(index=False) if len(broken) else "every promise is kept.")
    if chosen.readme:
        before, rest = README.read_text().split(START)
        README.write_text(f"{before}{START}\n{text}\n\n{END}{rest.split(END)[1]}")
