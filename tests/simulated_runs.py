"""Runs whose truth is known, as config/examples/runs.csv has them; `python tests/simulated_runs.py` writes it anew.

Accuracy rises with the learning rate and falls again: it is best a little above the middle of the tried range. The rank
of the adapter gains little. Each seed shifts all of its runs; what is left is noise.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

RATES, RANKS, SEEDS = (1e-5, 3e-5, 1e-4, 3e-4), (4, 8, 16), (0, 1, 2, 3, 4)
RATE, SQUARE, RANK = 0.02, -0.03, 0.004  # of accuracy, per coded unit of the logarithms
MIDDLE, SEED_SD, NOISE_SD = 0.88, 0.002, 0.004
COLUMNS = ("run", "state", "learning_rate", "lora_rank", "seed", "accuracy", "loss", "seconds")
LOST = {7: "crashed", 31: "running"}  # runs that did not finish
BASELINE = ("before tuning", "finished", "3e-05", 8, 0, "0.8402", "0.4401", "")


def coded(value: float, levels: tuple[float, ...]) -> float:
    """Return a level on the logarithmic scale from -1 to 1."""
    low, high = np.log(min(levels)), np.log(max(levels))
    return float(2 * (np.log(value) - low) / (high - low) - 1)


def expected_accuracy(rate: float, rank: float) -> float:
    """Return the true mean accuracy at a setting."""
    x, z = coded(rate, RATES), coded(rank, RANKS)
    return MIDDLE + RATE * x + SQUARE * x**2 + RANK * z


def simulated() -> str:
    """Return the file's text."""
    draw = np.random.default_rng(20250603)
    shift = dict(zip(SEEDS, draw.normal(0, SEED_SD, len(SEEDS)), strict=True))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([COLUMNS, BASELINE])
    settings = [(rate, rank, seed) for rate in RATES for rank in RANKS for seed in SEEDS]
    for number, (rate, rank, seed) in enumerate(settings, 1):
        accuracy = expected_accuracy(rate, rank) + shift[seed] + draw.normal(0, NOISE_SD)
        loss, seconds = 1.2 - accuracy + draw.normal(0, 0.006), draw.normal(60, 2)
        row = [f"run-{number}", LOST.get(number, "finished"), f"{rate:g}", rank, seed]
        row += ["", "", ""] if number in LOST else [f"{accuracy:.4f}", f"{loss:.4f}", f"{seconds:.1f}"]
        writer.writerow(row)
    return text.getvalue()


if __name__ == "__main__":
    place = Path(__file__).parents[1] / "config" / "examples" / "runs.csv"
    place.write_text(simulated(), encoding="utf-8")
