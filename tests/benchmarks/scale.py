"""Time what grows with the number of runs: python -m tests.benchmarks.scale; from the repository's root.

A study of 10,000 runs: its dry run, and the aggregation of as many metric files.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import numpy as np
import yaml

from finevar import ROOT
from finevar.columns import METRICS, PREDICTIONS, TRAINING
from finevar.metrics import RESPONSES
from finevar.parquet import write_rows
from finevar.results.aggregation import aggregate_curves, aggregate_metrics
from finevar.results.run_metrics import engine
from finevar.study.config import read_config
from finevar.study.design import Study, baseline_levels, design_rows, plan_study

FACTORS = {
    "learning_rate": {"levels": [round(1e-5 * 1.3**step, 8) for step in range(10)], "coding": "log2"},
    "batch_size": {"levels": [4, 6, 8, 12, 16, 24, 32, 48, 64, 96], "coding": "log2"},
    "epochs": {"levels": list(range(1, 11))},
}
STEPS = [
    {
        "step": step,
        "epoch": step / 20,
        "learning_rate": 1e-5,
        "loss": 0.5,
        "grad_norm": 1.0,
        "tokens": 700,
        "seconds": step,
    }
    for step in range(1, 21)
]


def main() -> None:
    """Time both, each in a process of its own, so that memory is its own, too."""
    raw = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    raw["sweep"] |= {"factors": FACTORS, "design": {"kind": "full_factorial"}, "seeds": list(range(10))}
    with tempfile.TemporaryDirectory() as place:
        config = Path(place) / "config.yaml"
        config.write_text(yaml.safe_dump(raw), encoding="utf-8")
        if len(sys.argv) > 1:
            aggregate(Path(sys.argv[1]), plan_study(read_config(raw)))
            return
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", place]
        told("dry run", [*command, "--configfile", str(config), "--dry-run", "--quiet", "all"])
        study = plan_study(read_config(raw))
        write_files(Path(place), study)
        told("aggregation", [sys.executable, "-m", "tests.benchmarks.scale", place])


def told(what: str, command: list[str]) -> None:
    """Run a command and print its time and peak memory."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    began = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    least = "" if peak > before else "at most "
    print(f"{what} of 10,000 runs: {seconds:.1f} s, {least}{peak / 1024:.0f} MiB", flush=True)


def write_files(folder: Path, study: Study) -> None:
    """Write a metrics file and the rows of 20 steps for each run, and for the baseline."""
    draw = np.random.default_rng(0)
    nothing = dict.fromkeys(METRICS.names)
    for row in [*design_rows(study.runs.values()), {"run_id": "baseline", "dataset": "amazon"}]:
        known = {name: value for name, value in row.items() if name in METRICS.names}
        values = {name: float(draw.uniform(0.5, 0.9)) for name in RESPONSES}
        path = folder / row.get("path", "baseline")
        path.mkdir(parents=True)
        write_rows([nothing | known | values | {"status": "ok", "engine": engine()}], path / "metrics.parquet", METRICS)
        write_rows(STEPS, path / "training.parquet", TRAINING)
    examples = [
        {"example_id": str(number), "label": number % 2, "logits": [0.0, 1.0], "loss": 1.0} for number in range(800)
    ]
    write_rows(examples, folder / "baseline" / "predictions.parquet", PREDICTIONS)
    (folder / "runs.json").write_text(json.dumps(design_rows(study.runs.values())), encoding="utf-8")


def aggregate(folder: Path, study: Study) -> None:
    """Gather the files that `write_files` wrote."""
    expected = json.loads((folder / "runs.json").read_text(encoding="utf-8"))
    files = [folder / row["path"] / "metrics.parquet" for row in expected]
    table = aggregate_metrics(expected, files, [folder / "baseline" / "metrics.parquet"], baseline_levels(study.config))
    curves = aggregate_curves(expected, [file.with_name("training.parquet") for file in files])
    if len(table) != len(expected) or len(curves["run_id"].unique()) != len(expected):
        raise RuntimeError(f"{len(table)} rows for {len(expected)} runs")


if __name__ == "__main__":
    main()
