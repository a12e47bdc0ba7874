"""Logistic regression with Firth's penalty against R (brglm2), with and without separation."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reference
from finevar.statistics.firth import fit_firth, likelihood_ratio_p

SCRIPT = Path(reference.__file__).with_name("firth.R")
RUNS = pd.DataFrame(itertools.product((-1.0, 0.0, 1.0), (-1.0, 0.0, 1.0), (0, 1, 2)), columns=["rate", "size", "seed"])
OUTCOMES = {
    "overlapping": lambda draw: draw.random(27) < 1 / (1 + np.exp(1 - 2 * RUNS["rate"])),
    "separated": lambda draw: RUNS["rate"] == 1,  # the ordinary estimate is infinite
    "nearly separated": lambda draw: (RUNS["rate"] == 1) & (RUNS["size"] > -1) | (RUNS.index == 3),
    "in one cell": lambda draw: (RUNS["rate"] == 1) & (RUNS["size"] == 1),
    "all but three": lambda draw: (RUNS["rate"] > -1) | (RUNS["size"] > -1),
}


@pytest.fixture(scope="module", autouse=True)
def needs_r() -> None:
    """Skip where R is missing, or fail where FINEVAR_REQUIRE_R is set."""
    if missing := reference.missing_r():
        (pytest.fail if os.environ.get("FINEVAR_REQUIRE_R") else pytest.skip)(missing)


@pytest.mark.parametrize("name", OUTCOMES)
def test_estimates_errors_and_p_values(tmp_path, name):
    failed = np.asarray(OUTCOMES[name](np.random.default_rng(3)), float)
    RUNS[["rate", "size"]].assign(failed=failed).to_csv(tmp_path / "runs.csv", index=False)
    command = ["Rscript", str(SCRIPT), str(tmp_path / "runs.csv")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    by_r = np.array([line.split()[1:] for line in done.stdout.splitlines()], float)
    matrix = np.column_stack([np.ones(27), RUNS["rate"], RUNS["size"]])
    fit = fit_firth(failed, matrix)
    assert fit.params == pytest.approx(by_r[:, 0], abs=1e-6)
    assert np.sqrt(np.diag(fit.cov)) == pytest.approx(by_r[:, 1], abs=1e-6)
    p_values = [likelihood_ratio_p(failed, matrix, fit, number) for number in range(3)]
    assert p_values == pytest.approx(by_r[:, 2], abs=1e-6)
