"""What config/README.md says of adding to finevar: done on a copy, word for word, and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

import tiny
from finevar import ROOT
from prose import numbers

FACTOR_OF_RATE = "share"
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
        "seeds": [0],
    },
    "training": {"max_length": 32, "train_examples": 48, "epochs": 1, "batch_size": 8},
}


def snippets() -> list[str]:
    """Return what the manual shows: metric, setting and the line that uses it, section of the report, design."""
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


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the repository with one addition of each kind, in which a study of them all has been run.

    The metric comes last, when all runs are finished.
    """
    folder = tmp_path_factory.mktemp("extended")
    shutil.copy(ROOT / "Snakefile", folder)
    for part in ("workflow", "scripts", "config", "envs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))  # others write there
    metric, setting, use, section, design = snippets()
    package = folder / "scripts" / "finevar"
    change(package / "study" / "designs.py", "DESIGNS = {\n", f"DESIGNS = {{\n{design}")
    change(folder / "workflow/schemas/config.schema.yaml", "      clip_norm:\n", f"{setting}      clip_norm:\n")
    change(package / "training" / "loop.py", f"{use.partition(' * ')[0]} * {FACTOR_OF_RATE}\n", use)
    shutil.copy(ROOT / "tests" / "models" / "bag.py", package / "models")
    families = package / "models" / "families.py"
    change(families, '{"distilbert": FlatDistilBert', '{"bag": Bag, "distilbert": FlatDistilBert')
    change(families, "from finevar.errors", "from finevar.models.bag import Bag\nfrom finevar.errors")
    (package / "report" / "sections" / "cost.py").write_text(section, encoding="utf-8")
    tiny.make_bag(folder / "model")
    (folder / "texts").mkdir()
    tiny.write_csv(folder / "texts" / "texts.csv", tiny.make_sentences(120))
    assert {"finetune_run", "evaluate_run"} <= run_study(folder, "accuracy", "results/more/metrics.parquet")
    (name,) = re.findall(r'"metrics": "(\d+)"', (package / "__init__.py").read_text())
    change(package / "metrics.py", "RESPONSES = {\n", f"RESPONSES = {{\n{metric}")
    change(package / "__init__.py", f'"metrics": "{name}"', f'"metrics": "{int(name) + 1}"')
    trained = {"train_baseline", "finetune_run", "evaluate_baseline", "evaluate_run"}
    assert not trained & run_study(folder, "balanced_accuracy")
    return folder / "results"


@pytest.fixture(scope="module")
def metrics(extended: Path) -> pd.DataFrame:
    return pd.read_parquet(extended / "more/metrics.parquet")


def test_a_design_has_its_points(metrics):
    tried = set(zip(metrics["learning_rate"], metrics["rate_floor"], strict=True))
    assert tried == {(3e-3, 0.5), (9e-3, 0.5), (1e-3, 0.5), (3e-3, 1), (3e-3, 0)}


def test_a_setting_acts(metrics, extended):
    """Six steps, from the peak down to a sixth of it where no floor is above."""
    for run in metrics.to_dict("records"):
        steps = pd.read_parquet(extended / "runs/texts" / run["run_id"] / "training.parquet")
        expected = run["learning_rate"] * max(1 / 6, run["rate_floor"])
        assert steps["learning_rate"].min() == pytest.approx(expected, rel=1e-12)


def test_a_metric_is_computed_of_predictions(metrics, extended):
    run = metrics.iloc[0]
    saved = pd.read_parquet(extended / "runs/texts" / run["run_id"] / "predictions.parquet")
    predicted = saved["logits"].map(lambda row: row.argmax())
    by_class = [(predicted[saved["label"] == k] == k).mean() for k in (0, 1)]
    assert run["balanced_accuracy"] == pytest.approx(sum(by_class) / 2, abs=1e-12)
    fits = pd.read_parquet(extended / "more/analysis/fits.parquet")
    assert set(fits["response"]) == {"balanced_accuracy"}


def test_a_family_is_fetched_trained_and_evaluated(metrics, extended):
    assert json.loads(next(extended.glob("models/*/config.json")).read_text())["model_type"] == "bag"
    assert set(metrics["status"]) == {"ok"}


def test_a_section_stands_in_its_place(metrics, extended):
    page = (extended / "more/report.html").read_text(encoding="utf-8")
    names = re.findall(r'<h[23] id="([\w-]+)"', page)
    assert names[names.index("tradeoffs") :][:2] == ["tradeoffs", "cost"]
    finding = re.search(r'<h3 id="cost".*?<p class="finding">(.*?)</p>', page, re.DOTALL)[1]
    assert numbers(finding) == [metrics["tokens"].sum()]
