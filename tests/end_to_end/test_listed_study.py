"""A study of runs from elsewhere as a user runs it: the shipped example, and an edit of its file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import statsmodels.formula.api as smf
import yaml

from finevar import ROOT
from finevar.parquet import read_table
from finevar.results.study_tables import read_metrics
from finevar.tables import TABLES
from prose import MISSING, Page, golden, said_once, without_numbers
from simulated_runs import LOST, RANKS, RATES, SEEDS
from toy_study import planned, snakemake, write_config

CONFIG = ROOT / "config" / "studies" / "own_runs.yaml"
HEAD = "What reports on listed runs say, once where they say the same of other numbers.\n"


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
    assert any(line == "File of runs" for line in page.lines())
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


# A random search in Optuna's own table: no seeds, no baseline, no times, and trials that failed or were pruned


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    """Return a folder in which a study of such a table has been run, and the table."""
    folder, draw = tmp_path_factory.mktemp("searched"), np.random.default_rng(4)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=4))

    def objective(trial: optuna.Trial) -> float:
        rate = np.log10(trial.suggest_float("lr", 1e-5, 1e-3, log=True)) + 4
        decay = trial.suggest_float("weight_decay", 0, 0.3)
        if trial.number in (3, 7):
            raise optuna.TrialPruned
        if trial.number == 5:
            raise ValueError
        return 85 + 3 * rate + decay + draw.normal(0, 0.3)

    search.optimize(objective, n_trials=30, catch=(ValueError,))
    trials = search.trials_dataframe(attrs=("number", "value", "params", "state"))
    trials.to_csv(folder / "trials.csv", index=False)
    factors = {"learning_rate": {"column": "lr", "coding": "log10"}, "weight_decay": {}}
    runs = {"file": str(folder / "trials.csv"), "metrics": {"accuracy": "value"}, "percent": ["accuracy"]}
    write_config(folder, {"study": "searched", "source": "runs", "runs": runs, "sweep": {"factors": factors}})
    done = snakemake(folder, "--cores", "2", "all", "write_paper")
    assert done.returncode == 0, done.stdout
    return folder, trials


def test_a_random_search_without_a_baseline_has_its_report(searched):
    folder, trials = searched
    runs = read_metrics(folder / "results/searched/metrics.parquet")
    finished = trials[trials["state"] == "COMPLETE"]
    assert runs["accuracy"].tolist() == pytest.approx((finished["value"] / 100).tolist())
    page = Page((folder / "results/searched/report.html").read_text(encoding="utf-8"))
    assert MISSING.findall(page.words) == []
    assert not MISSING.search((folder / "results/searched/paper/methods.md").read_text(encoding="utf-8"))


def test_its_fit_is_that_of_statsmodels(searched):
    folder, trials = searched
    frame = trials[trials["state"] == "COMPLETE"]
    x = {"a": np.log10(frame["params_lr"]), "b": frame["params_weight_decay"]}
    coded = {name: 2 * (each - each.min()) / (each.max() - each.min()) - 1 for name, each in x.items()}
    other = smf.ols("y ~ a * b + I(a**2) + I(b**2)", pd.DataFrame(coded).assign(y=frame["value"] / 100)).fit()
    path = folder / "results/searched/analysis/coefficients.parquet"
    rows = read_table(path, TABLES["coefficients"].schema).to_pandas().query("units == 'coded'").set_index("term")
    for term, name in {"learning_rate": "a", "weight_decay": "b", "learning_rate^2": "I(a ** 2)"}.items():
        assert rows.loc[term, "estimate"] == pytest.approx(other.params[name], rel=1e-6)


def test_the_reports_read_as_on_the_golden_page(finished, searched):
    folder, _ = searched
    paths = {
        "The shipped study": finished / "results/own_runs/report.html",
        "A random search without seeds, in Optuna's table": folder / "results/searched/report.html",
    }
    lines = {
        title: [line.replace(f"{path.parents[2]}/", "") for line in Page(path.read_text(encoding="utf-8")).lines()]
        for title, path in paths.items()
    }
    golden("listed_report.txt", said_once(HEAD, lines), same=without_numbers)
