"""A toy study for tests: a tiny model on two tiny data sets, how it is started, and one that has been run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

import tiny
from finevar import ROOT

STUDY = {
    "study": "toy",
    "sources": {"model": {"kind": "local", "path": "mine/model"}, "texts": {"kind": "local", "path": "mine/texts"}},
    "model": "model",
    "datasets": {
        "first": {"source": "texts", "file": "first.csv", "text": "sentence", "label": "label", "eval_examples": 40},
        "second": {
            "source": "texts", "file": "train.csv", "eval_file": "eval.csv", "text": "sentence", "label": "label"
        },
    },
    "baseline": {
        "dataset": "first",
        # Epochs enough to learn the words, from which the runs begin: from less they collapse, from more none errs.
        "settings": {"learning_rate": 1e-3, "batch_size": 8, "epochs": 8, "train_examples": 64},
    },
    "sweep": {
        "datasets": ["second"],
        "factors": {
            "learning_rate": {"levels": ["1e-3", "3e-3", "9e-3"], "coding": "log10"},
            "batch_size": {"levels": [8, 16], "coding": "log2"},
        },
        "seeds": [0, 1],
    },
    "training": {"max_length": 32, "train_examples": 48, "epochs": 1},
    "analysis": {"model": "interactions"},
}  # fmt: skip
METRICS = ["accuracy", "f1", "loss", "precision", "recall", "mcc", "roc_auc", "ece", "brier"]


def make_folder(folder: Path) -> Path:
    """Fill a folder with a tiny model, two tiny data sets and the study's config."""
    (folder / "mine" / "texts").mkdir(parents=True)
    tiny.make_model(folder / "mine" / "model")
    pairs = tiny.make_sentences(360)
    for name, part in {"first": pairs[:120], "train": pairs[120:240], "eval": pairs[240:]}.items():
        tiny.write_csv(folder / "mine" / "texts" / f"{name}.csv", part)
    write_config(folder, STUDY)
    return folder


def write_config(folder: Path, config: dict) -> None:
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def command(folder: Path, *options: str) -> list[str]:
    base = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    return [*base, "--configfile", str(folder / "config.yaml"), "--scheduler", "greedy", *options]


def snakemake(folder: Path, *options: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """Run Snakemake on a folder's study; return what it said, both streams together."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path} | (env or {})
    return subprocess.run(
        command(folder, *options),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )


def planned(output: str) -> dict[str, int]:
    """Return how many jobs of each rule a dry run lists."""
    table = output.rsplit("Job stats:", 1)[1].split("\n\n")[0].splitlines()[3:]
    counts = {line.split()[0]: int(line.split()[1]) for line in table if line.strip()}
    counts.pop("total", None)
    return counts


def run_toy(folder: Path) -> Path:
    """Fill a folder with the study and run it."""
    done = snakemake(make_folder(folder), "--cores", "2")
    assert done.returncode == 0, done.stdout
    return folder


def copy_of(finished: Path, folder: Path, config: dict = STUDY) -> Path:
    """Return a copy of a study, its times and hard links kept, with a config."""
    subprocess.run(["cp", "-a", str(finished), str(folder)], check=True)
    write_config(folder, config)
    return folder


def prepared(finished: Path, folder: Path, config: dict = STUDY) -> Path:
    """Return a copy of a study with its data, model and baseline, but without its runs."""
    copy_of(finished, folder, config)
    for name in ("runs", STUDY["study"]):
        shutil.rmtree(folder / "results" / name)
    return folder
