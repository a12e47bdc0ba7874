"""Where files lie: as the rules have it, and which runs are done."""

from __future__ import annotations

from pathlib import Path

import pytest

from finevar import ROOT
from finevar.study import paths
from finevar.study.design import Run

RULES = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk"))
RUN, LONGER = (Run(run_id, "point", "texts", {}, 0, 0) for run_id in ("short", "long"))


@pytest.mark.parametrize("pattern", paths.PATTERNS.values())
def test_a_rule_fills_each_folder(pattern):
    assert f'"{pattern}' in RULES


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(name: str) -> None:
        path = Path("results/runs/texts", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    return make


def test_a_run_is_done_whose_metrics_are_there_or_kept(results):
    results("short/finished/evaluation/metrics.parquet")
    results("short/finished/training/training.parquet")
    results("long/training.parquet")
    found = paths.finished_files([RUN, LONGER], "training.parquet")
    assert found == {"short": Path("results/runs/texts/short/finished/training/training.parquet")}


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ((), True),
        (("short/training.json", "short/state.safetensors"), True),
        (("short/training.json",), False),
        (("short/state.safetensors", "long/metrics.parquet"), False),
    ],
)
def test_a_run_goes_on_from_a_shorter_one_unless_that_has_ended_and_kept_no_state(results, files, state):
    for name in files:
        results(name)
    assert (paths.shorter_state(LONGER, RUN) is not None) == state
