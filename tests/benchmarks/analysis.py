"""Time the analysis of 10,000 runs with 8 metrics on 1,000 sentences.

python -m tests.benchmarks.analysis, from the repository's root.
"""

from __future__ import annotations

import itertools
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import numpy as np
import pandas as pd

from finevar.analyses import fits as readings
from finevar.analyses import surfaces as analyses
from finevar.study.coding import Coding

RESPONSES = ("accuracy", "f1", "loss", "precision", "recall", "mcc", "roc_auc", "brier")
CODINGS = {
    "learning_rate": Coding(tuple(1e-6 * 2.0**step for step in range(10)), "log2"),
    "batch_size": Coding(tuple(2.0**step for step in range(3, 13)), "log2"),
    "epochs": Coding(tuple(range(1, 11)), "identity"),
}
SEEDS = 10
SENTENCES = 1000


def large_study() -> tuple[pd.DataFrame, np.ndarray]:
    """Return 1,000 points at 10 seeds, and which sentences are right [runs, sentences]; every metric is their share."""
    draw = np.random.default_rng(0)
    points = itertools.product(*(coding.levels for coding in CODINGS.values()))
    rows = [
        dict(zip(CODINGS, point, strict=True)) | {"point_id": str(point), "seed": seed}
        for point, seed in itertools.product(points, range(SEEDS))
    ]
    runs = pd.DataFrame(rows).assign(dataset="amazon", status="ok", dtype_used="float32")
    runs["run_id"] = runs["trajectory_id"] = [f"run{number}" for number in range(len(runs))]
    runs["is_baseline_point"] = runs["point_id"] == runs["point_id"].iloc[0]
    skill = 0.3 + 0.06 * CODINGS["epochs"].coded(runs["epochs"])
    difficulty = draw.normal(size=SENTENCES)
    noise = draw.standard_normal((len(runs), SENTENCES), np.float32)
    right = skill[:, None] + 0.3 * noise > difficulty
    for response in RESPONSES:
        runs[response], runs[f"baseline_{response}"] = right.mean(1), (difficulty < 0).mean()
    return runs, right


def main() -> None:
    """Run the four analysis rules' functions one after the other."""
    runs, right = large_study()
    baseline = {name: coding.levels[0] for name, coding in CODINGS.items()}

    def outcomes(runs: pd.DataFrame, response: str) -> tuple[readings.Sentences, readings.Sentences]:
        return {"amazon": right.astype(np.float32)}, {}

    study = readings.FittedStudy.of(runs, readings.Plan(CODINGS, baseline, RESPONSES, "quadratic", 0.95), outcomes)
    print(f"{len(runs):,} runs, {len(RESPONSES)} metrics, {SENTENCES:,} sentences")
    total = 0.0
    for analyse in (readings.fit_study, analyses.check_study, analyses.explore_study, analyses.compare_study):
        start = time.perf_counter()
        analyse(study)
        seconds = time.perf_counter() - start
        total += seconds
        print(f"{analyse.__name__:15} {seconds:6.1f} s", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{'all':15} {total:6.1f} s, peak memory {peak:.2f} GiB")


if __name__ == "__main__":
    main()
