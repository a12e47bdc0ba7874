"""A study of found models as a user runs it, and one whose truth is known, from cards to the report."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from test_browser import CHROMIUM, browser  # noqa: F401 - a fixture
from transformers.modelcard import TrainingSummary

from compiled import check_paper
from finevar import ROOT
from finevar.columns import CARDS, FOUND_METRICS
from finevar.found.beside import beside_rows
from finevar.parquet import read_table
from finevar.reasons import Stop, Undecided
from finevar.study.coding import codings_of
from finevar.study.config import read_config
from finevar.tables import TABLES
from prose import MISSING, Page, golden, said_once, without_numbers
from refusals import at, refusals

CONFIG = "config/studies/found_models.yaml"
HEAD = "What reports on found models say, once where they say the same of other numbers.\n"


def snakemake(folder: Path, *options: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """Run Snakemake on a folder's study, with every way to a network closed."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    closed = dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "HF_ENDPOINT"), "http://127.0.0.1:9"
    )
    return subprocess.run(
        [*command, "--configfile", str(folder / CONFIG), "--scheduler", "greedy", "--cores", "2", *options],
        cwd=folder, env=os.environ | closed | {"PATH": path} | (env or {}), capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Return a folder in which the shipped study of found models has been run."""
    folder = tmp_path_factory.mktemp("found")
    shutil.copytree(ROOT / "config", folder / "config")
    done = snakemake(folder, "all", "write_paper")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def table(results: Path, name: str) -> pd.DataFrame:
    """Return an analysis table of a study."""
    return read_table(results / "analysis" / f"{name}.parquet", TABLES[name].schema).to_pandas()


def test_the_shipped_study_runs_from_the_facts_in_the_repository(finished):
    results = finished / "results" / "found_models"
    runs = read_table(results / "metrics.parquet", FOUND_METRICS).to_pandas()
    cards = read_table(results / "cards.parquet", CARDS).to_pandas()
    assert len(cards) == 130
    assert set(runs["run_id"]) == set(cards.loc[cards["set_aside"].isna(), "card_id"])
    assert cards["duplicate_of"].notna().sum() == 42
    assert table(results, "fits")["gate"].notna().all()


def test_what_the_cards_cannot_carry_of_the_published_claims(finished):
    results = finished / "results" / "found_models"
    gates = table(results, "found_gates").set_index("gate").loc[["duplicates", "owners", "aliasing"]]
    assert gates["verdict"].tolist() == ["excluded", "stopped", "stopped"]
    assert gates[["flagged", "cards"]].to_numpy().tolist() == [[42, 130], [114, 130], [3, 53]]
    assert gates.loc["aliasing", "terms"] == "batch_size:epochs"
    claims = table(results, "claims")
    assert (len(claims), set(claims["reason_code"])) == (6, {Stop.CARDS})
    assert claims["p_value"].isna().all()
    beside = table(results, "beside").query("kind == 'designed'")
    assert set(beside["reason_code"]) == {Undecided.NO_RESULTS}


def test_nothing_is_left_to_do_until_a_fact_or_the_other_study_changes(finished):
    assert "Nothing to be done" in snakemake(finished, "--dry-run").stdout
    facts = finished / "config" / "cards" / "distilbert_sst2.csv"
    facts.write_text(facts.read_text(encoding="utf-8").replace("0.4982", "0.4983"), encoding="utf-8")
    assert "aggregate_cards" in snakemake(finished, "--dry-run").stdout
    facts.write_text(facts.read_text(encoding="utf-8").replace("0.4983", "0.4982"), encoding="utf-8")
    other = finished / "results" / "quickstart" / "analysis"
    other.mkdir(parents=True)
    shutil.copy(finished / "results" / "found_models" / "analysis" / "claims.parquet", other)
    assert "analyse_study" in snakemake(finished, "--dry-run").stdout


# Cards of a known truth, written by the installed transformers --------------------------------------------------------

FACTORS = {
    "learning_rate": {"levels": [1e-5, 1e-4], "coding": "log10"},
    "batch_size": {"levels": [8, 64], "coding": "log2"},
    "epochs": {"levels": [1, 4], "coding": "identity"},
}
BASELINE = {
    "name": "published",
    "settings": {"learning_rate": 2e-5, "batch_size": 16, "epochs": 3},
    "metrics": {"accuracy": 0.9, "loss": 0.3},
    "origin": "https://example.org/card",
}
SLOPE = {"learning_rate": 0.02, "batch_size": -0.01}  # of accuracy, per coded unit
SHIFT = {"imdb": 0.0, "emotion": 0.08}
CLAIM = {"response": "accuracy", "framework": "absolute", "term": "batch_size", "sign": "negative", "p": 0.01}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write_cards(cache: Path) -> list[str]:
    """Put cards of 40 owners on two data sets into a Hub cache; return the models.

    Owners of the second, easier data set like large batches.
    """
    random, models = np.random.default_rng(5), []
    for number in range(80):
        data = "emotion" if number % 2 else "imdb"
        batches = [16, 32, 64, 64] if data == "emotion" else [8, 8, 16, 32]
        point = {
            "learning_rate": float(random.choice([1e-5, 3e-5, 1e-4])),
            "batch_size": int(random.choice(batches)),
            "epochs": int(random.choice([1, 2, 3, 4])),
        }
        coded = {name: float(codings_of(FACTORS)[name].coded(value)) for name, value in point.items()}
        mean = 0.85 + SHIFT[data] + sum(SLOPE[name] * coded[name] for name in SLOPE)
        summary = TrainingSummary(
            "model", license="mit", finetuned_from="distilbert-base-uncased", tasks="text-classification",
            dataset=data, dataset_tags=data,
            eval_results={"Loss": float(random.uniform(0.2, 0.5)), "Accuracy": float(mean + random.normal(0, 0.004))},
            hyperparameters={
                "learning_rate": point["learning_rate"], "train_batch_size": point["batch_size"],
                "eval_batch_size": 8, "seed": 42, "num_epochs": float(point["epochs"]),
            },
        )  # fmt: skip
        owner, name = f"owner{number // 2}", f"model{number}"
        folder = cache / "hub" / f"models--{owner}--{name}"
        for path, text in ((f"snapshots/{COMMIT}/README.md", summary.to_model_card()), ("refs/main", COMMIT)):
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_text(text, encoding="utf-8")
        models.append(f"{owner}/{name}")
    return models


@pytest.fixture(scope="module")
def fetched(tmp_path_factory) -> Path:
    """Return the results of a study of those models, from the Hub's cache alone, as a user runs it."""
    folder = tmp_path_factory.mktemp("fetched")
    config = {
        "study": "known",
        "source": "model_cards",
        "cards": {"hub": write_cards(folder / "cache"), "task": "text-classification"},
        "baseline": BASELINE,
        "sweep": {"factors": FACTORS},
        "beside": "designed",
        "analysis": {"responses": ["accuracy", "loss"], "model": "quadratic", "claims": [CLAIM]},
    }
    (folder / CONFIG).parent.mkdir(parents=True)
    (folder / CONFIG).write_text(yaml.safe_dump(config), encoding="utf-8")
    closed = {"HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    done = snakemake(folder, "all", "write_paper", env=closed)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "results" / "known"


@pytest.fixture(scope="module")
def tables(fetched) -> dict[str, pd.DataFrame]:
    """Return the tables that it made, by name."""
    names = ("coefficients", "effects", "fits", "pooling", "against_baseline", "claims", "beside")
    return {name: table(fetched, name) for name in names}


def test_the_cards_commits_are_recorded(fetched):
    runs = read_table(fetched / "metrics.parquet", FOUND_METRICS).to_pandas()
    assert len(runs) == 80
    assert set(runs["revision"]) == {COMMIT}
    assert set(runs["seed_stated"]) == {42}
    assert runs["source"].str.startswith("https://huggingface.co/owner").all()


def test_effects_within_data_sets_are_the_true_ones(tables):
    effects = tables["effects"].query("response == 'accuracy'").set_index("factor")
    for factor, slope in {**SLOPE, "epochs": 0.0}.items():
        assert effects.loc[factor, "ci_low"] - 0.004 < 2 * slope < effects.loc[factor, "ci_high"] + 0.004
    assert effects.loc["batch_size", "verdict"] == "effect"
    assert effects.loc["batch_size", "change"] < 0


def test_pooled_the_easier_data_set_passes_for_larger_batches(tables):
    rows = tables["pooling"].query("response == 'accuracy' and factor == 'batch_size' and errors == 'HC3'")
    pooled, apart = (rows[rows["specification"] == name].iloc[0] for name in ("pooled", "data-set effects"))
    assert pooled["estimate"] > 0
    assert apart["estimate"] == pytest.approx(2 * SLOPE["batch_size"], abs=3 * apart["std_error"])


def test_errors_are_clustered_by_owner_and_the_relative_analysis_is_against_the_published_figures(tables):
    fits = tables["fits"].set_index(["response", "framework"])
    assert fits.loc[("accuracy", "absolute"), ["covariance", "clusters"]].tolist() == ["CR3", 40]
    assert fits.loc[("accuracy", "relative"), "baseline_value"] == 0.9
    assert fits.loc[("accuracy", "relative"), "largest_identity_deviation"] < 1e-8
    assert (tables["against_baseline"]["baseline"] == "B0").any()


@pytest.fixture(scope="module")
def report(fetched) -> Path:
    return fetched / "report.html"


def test_cards_of_a_known_truth_carry_the_claim(tables):
    assert tables["claims"]["verdict"].tolist() == ["replicated"]
    assert tables["beside"]["reason_code"].tolist()[1:] == [Undecided.NO_RESULTS]


def test_the_reports_read_as_on_the_golden_page(finished, report):
    paths = {"The shipped study": finished / "results/found_models/report.html", "Cards of a known truth": report}
    pages = {title: Page(path.read_text(encoding="utf-8")) for title, path in paths.items()}
    assert [(title, word) for title, page in pages.items() for word in MISSING.findall(page.words)] == []
    lines = {title: page.lines() for title, page in pages.items()}
    golden("found_report.txt", said_once(HEAD, lines), same=without_numbers)


def test_the_papers_compile(finished, fetched, tmp_path):
    """One that gates stopped, and one with a surface, whose errors are clustered by owner."""
    for name, folder in (("stopped", finished / "results" / "found_models"), ("fitted", fetched)):
        text = "".join((folder / "paper" / f"{part}.md").read_text(encoding="utf-8") for part in ("methods", "results"))
        assert ("CR3" in text) == (name == "fitted")
        assert not MISSING.search(text)
        check_paper(folder / "paper", tmp_path / name)


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
def test_the_report_opens_offline_and_can_be_read_by_everyone(browser, report, finished):  # noqa: F811
    for path in (report, finished / "results" / "found_models" / "report.html"):
        context = browser.new_context(offline=True)
        page, wrong = context.new_page(), []
        page.on("console", lambda told, wrong=wrong: wrong.append(told.text) if told.type == "error" else None)
        page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_function(
            "[...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('svg, img'))"
        )
        found = [one for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
        assert (wrong, found) == ([], [])
        context.close()


# Beside a study that trained ------------------------------------------------------------------------------------------


def judged(verdict: str, estimate: float, term: str = "batch_size") -> pa.Table:
    row = {"name": "a claim", "response": "accuracy", "framework": "absolute", "term": term, "verdict": verdict}
    return pa.Table.from_pylist([row | {"estimate": estimate, "p_value": 0.01}], schema=TABLES["claims"].schema)


def test_claims_stand_beside_those_of_the_other_study():
    found, designed = beside_rows(judged("undecided", 0.1), judged("replicated", 0.2), "ours", "theirs")
    assert (found["study"], found["kind"], found["verdict"], found["estimate"]) == ("ours", "found", "undecided", 0.1)
    assert (designed["study"], designed["kind"], designed["verdict"]) == ("theirs", "designed", "replicated")


def test_an_interaction_is_the_same_in_any_order():
    ours, theirs = judged("undecided", 0.1, "batch_size:epochs"), judged("replicated", 0.2, "epochs:batch_size")
    assert beside_rows(ours, theirs, "ours", "theirs")[1]["verdict"] == "replicated"


@pytest.mark.parametrize(
    ("designed", "code"),
    [(None, Undecided.NO_RESULTS), (judged("replicated", 1, "epochs"), Undecided.UNTESTED)],
)
def test_what_the_other_study_does_not_say_has_a_reason(designed, code):
    row = beside_rows(judged("undecided", 0.1), designed, "ours", "theirs")[1]
    assert (row["verdict"], row["reason_code"], row.get("estimate")) == ("undecided", code, None)
    assert row["reason"].startswith("theirs ")


def test_without_another_study_there_is_one_row_a_claim():
    assert len(beside_rows(judged("undecided", 0.1), None, "ours", None)) == 1


# Mistakes in the config -----------------------------------------------------------------------------------------------


@pytest.fixture
def raw(monkeypatch) -> dict:
    monkeypatch.chdir(ROOT)
    return yaml.load((ROOT / CONFIG).read_text(encoding="utf-8"), Loader=yaml.FullLoader)


@pytest.mark.parametrize(
    ("path", "value", "where", "data"),
    [
        ("cards.facts", "none.csv", "cards.facts", ["none.csv"]),
        ("cards.folder", ".", "cards", ["folder and facts", "folder, hub, facts"]),
        ("cards.hub", ["a b/c"], "cards.hub.0", ["a b/c"]),
        ("cards.fold", "x", "cards", ["'fold'"]),
        ("cards.cards_per_dataset", 1, "cards.cards_per_dataset", [1, 2]),
        ("cards.largest_owner_share", 0, "cards.largest_owner_share", [0]),
        ("baseline.settings", {"learning_rate": 1e-5}, "baseline.settings", ["'batch_size'"]),
        ("baseline.metrics.accuracy", 91, "baseline.metrics.accuracy", [91, 1]),
        ("sweep.factors.dropout", {"levels": [0, 1]}, "sweep.factors", ["'dropout'"]),
        ("sweep.factors.epochs.coding", "log3", "sweep.factors.epochs.coding", ["log3", "identity, log2, log10"]),
        ("sweep.seeds", [0], "sweep", ["'seeds'"]),
        ("analysis.responses", ["mcc"], "analysis.responses", ["mcc"]),
        ("source", "cards", "top level", ["'source'"]),
        ("study", "runs", "study", ["runs"]),
        ("beside", "Other study", "beside", ["Other study"]),
    ],
)
def test_a_mistake_in_the_config_is_refused(raw, path, value, where, data):
    part = raw
    for key in path.split(".")[:-1]:
        part = part[key]
    part[path.split(".")[-1]] = value
    at(refusals(read_config, raw), f"config: {where}", *data)


def test_a_config_read_again_is_the_same(raw):
    once = read_config(raw)
    assert read_config(once) == once
