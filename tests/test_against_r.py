"""A study of 3 factors at 4 levels, 3 seeds and 2 data sets, analysed here and by R (lm, sandwich, emmeans, lme4)."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finevar import checks, ladder, regression, sensitivity, slopes
from finevar.coding import Coding, terms

SCRIPT = Path(__file__).parent / "reference.R"
NEEDED = ("sandwich", "emmeans", "lme4")
PACKAGES = "r-base-core r-cran-sandwich r-cran-emmeans r-cran-lme4"
CODINGS = {
    "learning_rate": Coding((1e-5, 2e-5, 4e-5, 8e-5), "log2"),
    "batch_size": Coding((8, 16, 32, 64), "log2"),
    "epochs": Coding((1, 2, 3, 4), "identity"),
}
PLACE = {"learning_rate": 2e-5, "batch_size": 32, "epochs": 3}
SHORT = {"learning_rate": "lr", "batch_size": "bs", "epochs": "ep"}


def has_r() -> bool:
    """Say whether R and its packages are there."""
    if shutil.which("Rscript") is None:
        return False
    test = f"q(status = !all(sapply(c({', '.join(map(repr, NEEDED))}), requireNamespace, quietly = TRUE)))"
    return subprocess.run(["Rscript", "-e", test], check=False, capture_output=True).returncode == 0


def study() -> pd.DataFrame:
    """Return runs whose loss has known terms, a seed's shift, and noise that grows with epochs."""
    draw = np.random.default_rng(20241231)
    shift = draw.normal(scale=0.02, size=3)
    rows = []
    levels = itertools.product(*(coding.levels for coding in CODINGS.values()))
    for point, dataset, seed in itertools.product(levels, "ab", range(3)):
        named = dict(zip(CODINGS, point, strict=True))
        x = {name: float(CODINGS[name].coded(level)) for name, level in named.items()}
        loss = 0.4 + 0.06 * x["learning_rate"] + 0.02 * x["epochs"] - 0.03 * x["batch_size"] * x["epochs"]
        loss += 0.04 * x["learning_rate"] ** 2 + 0.02 * x["learning_rate"] ** 3 + shift[seed] + 0.1 * (dataset == "b")
        loss += draw.normal(scale=0.01 * (2 + x["epochs"]))
        place = {"point_id": str(point), "dataset": dataset, "seed": seed, "loss": loss}
        rows.append(named | {short: x[name] for name, short in SHORT.items()} | place)
    runs = pd.DataFrame(rows)
    course = runs.groupby(["learning_rate", "batch_size", "dataset", "seed"]).ngroup()
    names = [f"run{number}" for number in range(len(runs))]
    return runs.assign(run_id=names, trajectory_id=names, trajectory=course)


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return study()


@pytest.fixture(scope="module")
def by_r(runs, tmp_path_factory) -> dict[str, float]:
    """Return R's values by name; where R is missing, skip, or fail if FINEVAR_REQUIRE_R is set."""
    if not has_r():
        told = f"R or one of {', '.join(NEEDED)} is not installed: apt-get install {PACKAGES}"
        if os.environ.get("FINEVAR_REQUIRE_R"):
            pytest.fail(told)
        pytest.skip(told)
    folder = tmp_path_factory.mktemp("r")
    runs.to_csv(folder / "runs.csv", index=False, float_format="%.17g")
    coded = [str(float(CODINGS[name].coded(level))) for name, level in PLACE.items()]
    command = ["Rscript", str(SCRIPT), str(folder / "runs.csv"), str(folder / "values.csv"), *coded]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    values = pd.read_csv(folder / "values.csv")
    return dict(zip(values["name"], values["value"], strict=True))


@pytest.fixture(scope="module")
def surface(runs) -> regression.Surface:
    return regression.fit_surface(runs, "loss", CODINGS, terms(list(CODINGS), "quadratic"), 0.95)


def ours(surface: regression.Surface, values: np.ndarray) -> dict[str, float]:
    """Return values by R's names of the parameters: the first of a factor's sum contrasts is 1, and so on."""
    renamed = {"seed[0]": "seed1", "seed[1]": "seed2", "dataset[a]": "dataset1"}
    return {renamed.get(name, name): value for name, value in zip(surface.names, values, strict=True)}


def agree(found: dict[str, float], by_r: dict[str, float], prefix: str, *, rel: float = 1e-6) -> None:
    """Compare values with R's under a prefix, all of them."""
    theirs = {name.removeprefix(f"{prefix} "): value for name, value in by_r.items() if name.startswith(f"{prefix} ")}
    assert found == pytest.approx(theirs, rel=rel)


def test_coefficients_and_hc3(surface, by_r):
    agree(ours(surface, surface.fit.params), by_r, "coefficient")
    agree(ours(surface, surface.fit.bse), by_r, "hc3")


def test_standard_errors_clustered_by_trajectory(runs, by_r):
    clustered = runs.assign(trajectory_id=runs["trajectory"].astype(str))
    fitted = regression.fit_surface(clustered, "loss", CODINGS, terms(list(CODINGS), "quadratic"), 0.95)
    assert fitted.errors.kind == "CR3"
    agree(ours(fitted, fitted.fit.bse), by_r, "cr3")


def test_sequential_f_and_quality_of_every_rung(surface, by_r):
    rows = ladder.ladder_rows(surface, "quadratic", None)
    assert [row["rung"] for row in rows] == ["first_order", "interactions", "quadratic", "cubic"]
    for row in rows:
        kinds = ("df", "sum_sq", "f_value", "p_value", "r2", "r2_adjusted", "press", "aicc")
        agree({kind: row[kind] for kind in kinds}, by_r, row["rung"])


def test_slopes_at_a_point(surface, by_r):
    rows = [row for row in slopes.slope_rows(surface, PLACE) if row["place"] == "baseline" and row["units"] == "coded"]
    assert [row["factor"] for row in rows] == list(CODINGS)
    for row in rows:
        name = f"slope {row['factor']}"
        assert row["estimate"] == pytest.approx(by_r[name], rel=1e-6)
        assert row["std_error"] == pytest.approx(by_r[f"{name} hc3"], rel=1e-6)


def test_lack_of_fit_and_diagnostics(surface, by_r):
    row = checks.lack_of_fit(surface)
    found = {"f": row["statistic"], "p": row["p_value"], "sum_sq": row["sum_sq"], "sum_sq_error": row["sum_sq_error"]}
    agree(found, by_r, "lack_of_fit")
    spread = checks.breusch_pagan(surface)
    agree({"f": spread["statistic"], "p": spread["p_value"]}, by_r, "breusch_pagan")
    assert checks.normality(surface)["statistic"] == pytest.approx(by_r["normality w"], rel=1e-6)
    influence = checks.influence_table(surface)
    assert influence["cook"].max() == pytest.approx(by_r["cook"], rel=1e-6)
    assert influence["studentised"].abs().max() == pytest.approx(by_r["studentised"], rel=1e-6)


def test_mixed_model(surface, by_r, monkeypatch):
    monkeypatch.setattr(sensitivity, "SEEDS_FOR_MIXED", 3)
    numbers = [number for number, term in enumerate(surface.columns) if term]
    rows = sensitivity.mixed_model(surface, numbers, None)
    for number, row in zip(numbers, rows, strict=True):
        name = surface.names[number]
        assert row["estimate"] == pytest.approx(by_r[f"mixed {name}"], rel=1e-3, abs=1e-6)
        assert row["std_error"] == pytest.approx(by_r[f"mixed_se {name}"], rel=1e-3)
