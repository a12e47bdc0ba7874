"""Time the analysis of 10,000 runs with 8 metrics: python -m tests.benchmarks.analysis; from the repository's root."""

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


def large_study() -> pd.DataFrame:
    """Return 1,000 points at 10 seeds; every metric is noise about a slope."""
    draw = np.random.default_rng(0)
    points = itertools.product(*(coding.levels for coding in CODINGS.values()))
    rows = [
        dict(zip(CODINGS, point, strict=True)) | {"point_id": str(point), "seed": seed}
        for point, seed in itertools.product(points, range(SEEDS))
    ]
    runs = pd.DataFrame(rows).assign(dataset="amazon", status="ok", dtype_used="float32")
    runs["run_id"] = runs["trajectory_id"] = [f"run{number}" for number in range(len(runs))]
    runs["is_baseline_point"] = runs["point_id"] == runs["point_id"].iloc[0]
    slope = 0.02 * CODINGS["epochs"].coded(runs["epochs"])
    for response in RESPONSES:
        runs[response] = np.clip(0.6 + slope + draw.normal(scale=0.02, size=len(runs)), 0.01, 0.99)
        runs[f"baseline_{response}"] = 0.5
    return runs


def main() -> None:
    """Run the four analysis rules' functions one after the other."""
    runs = large_study()
    baseline = {name: coding.levels[0] for name, coding in CODINGS.items()}
    study = readings.FittedStudy.of(runs, readings.Plan(CODINGS, baseline, RESPONSES, "quadratic", 0.95))
    print(f"{len(runs):,} runs, {len(RESPONSES)} metrics")
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
