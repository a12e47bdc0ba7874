"""Time a study beside what one would loop otherwise: python -m tests.benchmarks.rivals; from the repository's root.

All four do the same runs from the same trained baseline: a glue script with its defaults per run, the same script tuned
by hand, one process that loops a tuned Trainer with Optuna, and `snakemake --cores all` up to the report. Prints wall
clock, ratios, real tokens per second, the share of the matrix-product ceiling that is measured first, and the metrics.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import pandas as pd
import torch
import yaml

from finevar import ROOT
from finevar.models.distilbert.encoder import Architecture
from finevar.models.machine import CPUINFO, has_bfloat16
from finevar.study.config import read_config
from finevar.study.design import Run, plan_study

CORNERS = {
    "learning_rate": {"levels": [2.5e-5, 2e-4], "coding": "log2"},
    "batch_size": {"levels": [16, 64], "coding": "log2"},
    "epochs": {"levels": [1, 3]},
}
Found = list[dict[str, float]]


def main() -> None:
    """Prepare the common start, time the four, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--whole", action="store_true", help="54 runs, all combinations at two seeds, not 8 corners")
    parser.add_argument("--repeats", type=int, default=1, help="how often each is timed; the median is told")
    parser.add_argument("--leave-out", nargs="*", default=[], choices=list(RIVALS), help="rivals that are not timed")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        raw = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
        raw["sweep"] |= {"design": {"kind": "full_factorial"}, "seeds": [0, 1]}
        raw["datasets"]["amazon"]["eval_examples"] = 500
        raw["training"]["train_examples"] = 256  # as since the first figures, so that all compare
        if not chosen.whole:
            raw["sweep"] |= {"factors": CORNERS, "seeds": [0]}
            raw["analysis"] = {"model": "interactions"}
        (scratch / "config.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
        study = plan_study(read_config(raw))
        snakemake(scratch, "--until", "evaluate_baseline")
        model, jobs = common_start(scratch, study.runs.values())
        kept = [name for name in RIVALS if name not in chosen.leave_out]
        peers: dict[str, Callable[[], Found]] = {name: partial(RIVALS[name], jobs) for name in kept}
        peers["snakemake --cores all"] = partial(ours, scratch, study.runs.values())
        results = {}
        for name, run in peers.items():
            timed = [timed_once(run) for _ in range(chosen.repeats)]
            results[name] = statistics.median(seconds for seconds, _ in timed), timed[0][1]
            print(f"{name}: {results[name][0]:.0f} s", flush=True)
        compare(results, scratch, model)


def snakemake(scratch: Path, *options: str) -> None:
    """Run the study in a folder of its own with all cores."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(scratch)]
    command += ["--configfile", str(scratch / "config.yaml"), "--cores", "all", "--profile"]
    command += [str(ROOT / "workflow" / "profiles" / "local"), "--quiet", "all", *options]
    subprocess.run(command, cwd=ROOT, check=True)


def common_start(scratch: Path, runs: Iterator[Run]) -> tuple[Path, list[dict[str, Any]]]:
    """Return the folder of the baseline and, for each run, the job that the others are given."""
    (model,) = scratch.glob("results/baselines/*/model")
    (data,) = scratch.glob("results/data/amazon-*")
    runs = list(runs)
    for part in ("train", "eval"):
        table = pd.read_parquet(data / f"{part}.parquet")
        used = runs[0].settings["train_examples"] if part == "train" else None
        table[["text", "label"]].head(used or len(table)).to_csv(scratch / f"{part}.csv", index=False)
    files = {"model": str(model), "train": str(scratch / "train.csv"), "evaluation": str(scratch / "eval.csv")}
    wanted = ("learning_rate", "batch_size", "epochs", "warmup", "weight_decay")
    return model, [
        files | {"settings": {name: run.settings[name] for name in wanted}, "seed": run.seed, "tuned": True}
        for run in runs
    ]


def timed_once(run: Callable[[], Found]) -> tuple[float, Found]:
    """Return the wall clock of one pass over all runs, and what it found."""
    began = time.monotonic()
    found = run()
    return time.monotonic() - began, found


def scripts(jobs: list[dict[str, Any]], *, tuned: bool) -> Found:
    """Run a script per job, one after the other, as a shell loop would."""
    return [results_of("tests.benchmarks.trainer_script", json.dumps(job | {"tuned": tuned}))[0] for job in jobs]


def loop(jobs: list[dict[str, Any]]) -> Found:
    """Run all jobs in one process."""
    found = results_of("tests.benchmarks.optuna_loop", json.dumps(jobs))
    return sorted(found, key=lambda row: row["job"])


def results_of(module: str, argument: str) -> Found:
    """Return the lines of JSON that a module prints."""
    environ = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [sys.executable, "-m", module, argument], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [json.loads(line.removeprefix("RESULT ")) for line in done.stdout.splitlines() if line.startswith("RESULT ")]


def ours(scratch: Path, runs: Iterator[Run]) -> Found:
    """Run the study to its report, anew."""
    for path in (*scratch.glob("results/runs"), scratch / "results" / "quickstart"):
        subprocess.run(["rm", "-rf", str(path)], check=True)
    snakemake(scratch)
    table = pd.read_parquet(scratch / "results" / "quickstart" / "metrics.parquet").set_index("run_id")
    rows = table.loc[[run.run_id for run in runs], ["accuracy", "f1", "loss", "train_seconds"]]
    return [dict(row) for _, row in rows.iterrows()]


RIVALS: dict[str, Callable[[list[dict[str, Any]]], Found]] = {
    "script with defaults": partial(scripts, tuned=False),
    "tuned script": partial(scripts, tuned=True),
    "tuned Optuna loop": loop,
}


def compare(results: dict[str, tuple[float, Found]], scratch: Path, model: Path) -> None:
    """Print a row for each peer, and what finevar spends beside training and evaluation."""
    table = pd.read_parquet(scratch / "results" / "quickstart" / "metrics.parquet")
    tokens = int(table["tokens"].sum())
    top = ceiling()
    architecture = Architecture.from_config(json.loads((model / "config.json").read_text(encoding="utf-8")))
    cores = len(os.sched_getaffinity(0))
    fastest, reference = results["snakemake --cores all"]
    print(f"\n{len(reference)} runs, {tokens:,} real tokens, {cores} cores, ceiling {top / 1e9:.0f} GFLOP/s\n")
    print(
        "| | wall clock, s | ratio | training, tokens/s | of the ceiling | accuracy | F1 | loss | accuracy minus ours |"
    )
    print(f"|{9 * '---|'}")
    for name, (seconds, found) in results.items():
        busy = sum(row["train_seconds"] for row in found) / (cores if found is reference else 1)
        speed = tokens / busy
        means = {metric: statistics.mean(row[metric] for row in found) for metric in ("accuracy", "f1", "loss")}
        apart = [row["accuracy"] - other["accuracy"] for row, other in zip(found, reference, strict=True)]
        error = statistics.stdev(apart) / len(apart) ** 0.5
        share = 100 * step_flops(architecture) * speed / top
        print(
            f"| {name} | {seconds:.0f} | {seconds / fastest:.1f} | {speed:,.0f} | {share:.0f} % | "
            f"{means['accuracy']:.4f} | {means['f1']:.4f} | {means['loss']:.4f} | "
            f"{statistics.mean(apart):+.4f} (standard error {error:.4f}) |"
        )
    inside = table[["train_seconds", "eval_seconds"]].sum().sum()
    beside = (fastest * cores - inside) / len(table)
    train, evaluate = table["train_seconds"].mean(), table["eval_seconds"].mean()
    print(
        f"\nA run trains for {train:.2f} s and is evaluated in {evaluate:.2f} s. Beside that finevar spends "
        f"{beside:.2f} core-seconds a run: Snakemake, the start of both jobs, weights on disk, analysis and report."
    )


def step_flops(architecture: Architecture) -> int:
    """Return the FLOPs of a training step for each real token: 6 for each weight of the layers' matrices."""
    return 6 * architecture.layers * (4 * architecture.dim**2 + 2 * architecture.dim * architecture.hidden_dim)


def ceiling() -> float:
    """Return the FLOP/s of a large square matrix product on all cores, in the type that training multiplies in."""
    kind = torch.bfloat16 if has_bfloat16(CPUINFO) else torch.float32
    a, b = (torch.randn(2048, 2048).to(kind) for _ in range(2))
    seconds = []
    for _ in range(60):
        began = time.perf_counter()
        torch.nn.functional.linear(a, b)
        seconds.append(time.perf_counter() - began)
    return 2 * 2048**3 / statistics.median(seconds[10:])


if __name__ == "__main__":
    main()
