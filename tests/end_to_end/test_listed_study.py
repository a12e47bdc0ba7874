"""A study of runs from elsewhere as a user runs it: the shipped example, and an edit of its file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from finevar import ROOT
from finevar.parquet import read_table
from finevar.results.study_tables import read_metrics
from finevar.tables import TABLES
from prose import MISSING, Page
from simulated_runs import LOST, RANKS, RATES, SEEDS
from toy_study import planned, snakemake, write_config

CONFIG = ROOT / "config" / "studies" / "own_runs.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Return a folder in which the shipped study of listed runs has been run."""
    folder = tmp_path_factory.mktemp("listed")
    shutil.copytree(ROOT / "config" / "examples", folder / "config" / "examples")
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["runs"]["file"] = str(folder / config["runs"]["file"])  # Snakemake starts in the repository here
    write_config(folder, config)
    done = snakemake(folder, "--cores", "2", "all", "write_paper")
    assert done.returncode == 0, done.stdout
    return folder


def table(folder: Path, name: str) -> pd.DataFrame:
    return read_table(folder / f"results/own_runs/analysis/{name}.parquet", TABLES[name].schema).to_pandas()


def test_every_row_is_accounted_for_and_nothing_was_trained(finished):
    runs, rows = read_metrics(finished / "results/own_runs/metrics.parquet"), table(finished, "listing")
    settings = len(RATES) * len(RANKS) * len(SEEDS)
    assert rows["use"].value_counts().to_dict() == {"used": settings - len(LOST), "missing": len(LOST), "excluded": 1}
    assert len(runs) == settings
    assert not (finished / "results" / "runs").exists()


def test_a_setting_is_recommended_and_compared_with_the_baseline(finished):
    best = table(finished, "recommendation").query("role == 'recommended'")["point_id"].item()
    gain = table(finished, "against_baseline").query("response == 'accuracy' and baseline == 'B0'")
    gain = gain[gain["point_id"] == best]
    assert gain["ci_low"].item() > 0
    own = table(finished, "gain_shares").query("response == 'accuracy' and factor == ''")
    assert own["estimate"].item() > 0


def test_the_page_has_its_section_and_no_hole(finished):
    page = Page((finished / "results/own_runs/report.html").read_text(encoding="utf-8"))
    assert MISSING.findall(page.words) == []
    assert any(line.startswith("### File of runs") for line in page.lines())
    for name in ("methods", "results"):
        assert not MISSING.search((finished / f"results/own_runs/paper/{name}.md").read_text(encoding="utf-8"))
    spec = json.loads((finished / "results/own_runs/figures/gain.json").read_text(encoding="utf-8"))
    assert spec["$schema"].startswith("https://vega.github.io/schema/vega-lite")


def test_nothing_is_left_to_do_until_the_file_changes(finished):
    assert "Nothing to be done" in snakemake(finished, "--dry-run").stdout
    path = finished / "config" / "examples" / "runs.csv"
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace("run-60,finished", "run-60,crashed"), encoding="utf-8")
    counts = planned(snakemake(finished, "--dry-run").stdout)
    assert set(counts) >= {"aggregate_runs", "fit_regressions", "analyse_study", "draw_figures", "render_report"}
    path.write_text(before, encoding="utf-8")
