"""One rule's work by hand: what a job was given, other inputs in their place, outputs elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pytest

from finevar.analyses.fits import no_outcomes
from finevar.columns import STUDY_METRICS
from finevar.commands import analysis_jobs, run
from finevar.jobs import worker
from finevar.parquet import write_table
from report_fixtures import BASELINE, FACTORS, simulate_metrics

ANALYSIS = {"responses": ["accuracy"], "model": "first_order", "confidence": 0.95, "claims": [], "smallest_effect": {}}


class Named(list):
    """Files as Snakemake gives them: a list, some with a name."""

    def __init__(self, **files) -> None:
        super().__init__(files.values())
        self.items = files.items


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """Return a folder in which Snakemake has had a study's surfaces fitted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINEVAR_WARM", "0")
    monkeypatch.setattr(analysis_jobs, "read_outcomes", lambda metrics, baselines: no_outcomes)  # there are none here
    for seeds, name in (((0, 1), "metrics"), ((0, 1, 2), "other")):
        metrics = simulate_metrics(FACTORS, seeds, ("amazon",), 0)
        (tmp_path / "results" / "toy" / "analysis").mkdir(parents=True, exist_ok=True)
        write_table(pa.Table.from_pandas(metrics, STUDY_METRICS, preserve_index=False), f"results/toy/{name}.parquet")
    params = {"factors": FACTORS, "baseline": BASELINE, "analysis": ANALYSIS}
    log = "results/logs/fit_regressions/toy.log"
    Path(log).parent.mkdir(parents=True)
    worker.run_rule(
        "finevar.commands.analysis_jobs.fit_regressions",
        SimpleNamespace(
            input=Named(metrics="results/toy/metrics.parquet", baselines="results/toy/other.parquet"),
            output=Named(fits="results/toy/analysis/fits.parquet"),
            params=params, wildcards={"study": "toy"}, threads=1, log=[log],
        ),
    )  # fmt: skip
    return tmp_path


def test_a_job_runs_again_elsewhere(begun):
    assert run.main(["fit_regressions", "--study", "toy", "--into", "by_hand"]) == 0
    made, again = (pd.read_parquet(begun / part / "results/toy/analysis/fits.parquet") for part in ("", "by_hand"))
    pd.testing.assert_frame_equal(made, again, check_exact=True)
    assert (begun / "by_hand" / "fit_regressions.log").exists()


def test_a_file_takes_the_place_of_an_input(begun):
    arguments = ["fit_regressions", "--study", "toy", "--into", "by_hand", "metrics=results/toy/other.parquet"]
    assert run.main(arguments) == 0
    fits = pd.read_parquet("by_hand/results/toy/analysis/fits.parquet")
    assert set(fits["runs"]) == {27 * 3}


@pytest.mark.parametrize(
    "arguments",
    [["draw_figures", "--study", "toy"], ["fit_regressions", "--study", "other"],
     ["fit_regressions", "--study", "toy", "coefficients=a.parquet"]],
)  # fmt: skip
def test_what_there_is_not_is_named_with_what_there_is(begun, capsys, arguments):
    assert run.main([*arguments, "--into", "by_hand"]) == 1
    assert ("fit_regressions/toy" if len(arguments) == 3 else "metrics") in capsys.readouterr().err


def test_what_a_job_was_given_lies_beside_its_log(begun):
    given = json.loads((begun / "results/logs/fit_regressions/toy.json").read_text(encoding="utf-8"))
    files = {"metrics": "results/toy/metrics.parquet", "baselines": "results/toy/other.parquet"}
    assert given["job"]["input"] == [[*files.values()], files]
