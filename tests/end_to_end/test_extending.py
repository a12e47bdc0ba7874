"""What config/README.md says of adding a metric, a setting and a design: done on a copy, word for word, and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

import tiny
from finevar import ROOT

FACTOR_OF_RATE = "schedule_factor(step, total, *schedule)"
STUDY = {
    "study": "more",
    "sources": {"model": {"kind": "local", "path": "model"}, "texts": {"kind": "local", "path": "texts"}},
    "model": "model",
    "datasets": {
        "texts": {"source": "texts", "file": "texts.csv", "text": "sentence", "label": "label", "eval_examples": 40}
    },
    "baseline": {
        "dataset": "texts",
        "settings": {"learning_rate": 1e-3, "batch_size": 8, "epochs": 1},
    },
    "sweep": {
        "datasets": ["texts"],
        "design": {"kind": "star", "include_baseline": False},
        "factors": {
            "learning_rate": {"levels": ["1e-3", "3e-3", "9e-3"], "coding": "log2"},
            "rate_floor": {"levels": [0, 0.5, 1]},
        },
        "seeds": [0, 1],
    },
    "training": {"max_length": 32, "train_examples": 48, "epochs": 1, "batch_size": 8},
}


def snippets() -> list[str]:
    """Return what the manual shows: the metric, the setting and the line that uses it, the design."""
    manual = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    section = manual.split("## Adding to finevar")[1].split("\n## ")[0]
    return re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)


def change(path: Path, old: str, new: str) -> None:
    """Replace the one place in a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")


def run_study(folder: Path, response: str, *targets: str) -> set[str]:
    """Run the study with Snakemake alone, no profile, up to some files; return the rules whose jobs ran."""
    study = STUDY | {"analysis": {"responses": [response], "model": "first_order"}}
    (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "study.yaml", "--", *targets],
        cwd=folder, env=os.environ | {"PATH": path, "PYTHONPATH": ""}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return set(re.findall(r"^(?:local)?rule (\w+):", done.stdout, re.MULTILINE))


def test_a_metric_a_setting_and_a_design_are_one_change_each(tmp_path):
    for part in ("Snakefile", "workflow", "scripts", "config", "envs"):
        source = ROOT / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / part)
    metric, setting, use, design = snippets()
    package = tmp_path / "scripts" / "finevar"
    change(package / "study" / "designs.py", "DESIGNS = {\n", f"DESIGNS = {{\n{design}")
    change(tmp_path / "workflow/schemas/config.schema.yaml", "      clip_norm:\n", f"{setting}      clip_norm:\n")
    change(package / "training" / "training.py", f"{use.partition(' * ')[0]} * {FACTOR_OF_RATE}\n", use)
    tiny.make_model(tmp_path / "model")
    (tmp_path / "texts").mkdir()
    tiny.write_csv(tmp_path / "texts" / "texts.csv", tiny.make_sentences(120))
    assert {"finetune_run", "evaluate_run"} <= run_study(tmp_path, "accuracy", "results/more/metrics.parquet")
    (name,) = re.findall(r'"metrics": "(\d+)"', (package / "__init__.py").read_text())
    change(package / "metrics.py", "RESPONSES = {\n", f"RESPONSES = {{\n{metric}")
    change(package / "__init__.py", f'"metrics": "{name}"', f'"metrics": "{int(name) + 1}"')
    assert not {"train_baseline", "finetune_run", "evaluate_baseline", "evaluate_run"} & run_study(
        tmp_path, "balanced_accuracy"
    )
    metrics = pd.read_parquet(tmp_path / "results/more/metrics.parquet")
    tried = set(zip(metrics["learning_rate"], metrics["rate_floor"], strict=True))
    assert tried == {(3e-3, 0.5), (9e-3, 0.5), (1e-3, 0.5), (3e-3, 1), (3e-3, 0)}
    for run in metrics.to_dict("records"):  # six steps, from the peak down to a sixth of it where no floor is above
        steps = pd.read_parquet(tmp_path / "results/runs/texts" / run["run_id"] / "training.parquet")
        expected = run["learning_rate"] * max(1 / 6, run["rate_floor"])
        assert abs(steps["learning_rate"].min() / expected - 1) < 1e-12
    run = metrics.iloc[0]
    saved = pd.read_parquet(tmp_path / "results/runs/texts" / run["run_id"] / "predictions.parquet")
    predicted = saved["logits"].map(lambda row: row.argmax())
    by_class = [(predicted[saved["label"] == k] == k).mean() for k in (0, 1)]
    assert abs(run["balanced_accuracy"] - sum(by_class) / 2) < 1e-12
    page = (tmp_path / "results/more/report.html").read_text(encoding="utf-8")
    assert "star: the centre, and each factor at its ends in turn" in page
    assert "balanced accuracy" in page
    assert "rate floor" in page
