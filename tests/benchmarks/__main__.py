"""Run all benchmarks one after the other, or those named: python -m tests.benchmarks [step rivals scale ...]."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

BENCHMARKS = {
    "step": "one training step by part",
    "gpu": "training on a GPU: many runs at once, and one run by the way its steps are taken",
    "families": "training steps of other encoders: laid end to end, padded, and by a tuned Trainer",
    "rivals": "a study beside what one would loop otherwise",
    "scale": "dry run and aggregation of 10,000 runs",
    "analysis": "regressions of 10,000 runs",
    "report": "size and opening of a report of 500 runs",
}


def main() -> None:
    """Run each in a process of its own, so that none is warmed or burdened by another."""
    listed = "; ".join(f"{name}: {what}" for name, what in BENCHMARKS.items())
    parser = argparse.ArgumentParser(description=f"Times, printed and never asserted. {listed}")
    parser.add_argument("names", nargs="*", metavar="name", help="which to run; all by default")
    parser.add_argument("--whole", action="store_true", help="rivals: the whole default study rather than 8 runs")
    parser.add_argument("--leave-out", nargs="*", default=[], help="rivals: which are not timed")
    parser.add_argument("--repeats", default="1", help="rivals: how often each is timed")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(BENCHMARKS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(BENCHMARKS)}")
    for name in chosen.names or BENCHMARKS:
        print(f"\n== {BENCHMARKS[name]}", flush=True)
        options = ["--repeats", chosen.repeats, *(["--whole"] if chosen.whole else [])] if name == "rivals" else []
        options += ["--leave-out", *chosen.leave_out] if name == "rivals" and chosen.leave_out else []
        command = [sys.executable, "-m", f"tests.benchmarks.{name}", *options]
        subprocess.run(command, cwd=Path(__file__).parents[2], check=True)


if __name__ == "__main__":
    main()
