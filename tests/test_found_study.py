"""A study of found models as a user runs it, and one whose truth is known, from cards to the report."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from transformers.modelcard import TrainingSummary

from finevar import records
from finevar.beside import beside_rows
from finevar.claims import judge_claims
from finevar.coding import Coding
from finevar.config import read_config
from finevar.errors import InputError
from finevar.found_gates import judge_cards
from finevar.found_metrics import baseline_row, found_runs
from finevar.found_sources import read_folder
from finevar.pooling import pooling_rows
from finevar.readings import Plan, fit_study
from finevar.records import read_table
from finevar.report import render_page
from report_fixtures import as_read, explore
from test_found_gates import as_cards, question

ROOT = Path(__file__).parents[1]
CONFIG = "config/studies/found_models.yaml"


def snakemake(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Run Snakemake on the shipped study, with every way to a network closed."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    closed = dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "HF_ENDPOINT"), "http://127.0.0.1:9"
    )
    return subprocess.run(
        [*command, "--configfile", str(folder / CONFIG), "--scheduler", "greedy", "--cores", "2", *options],
        cwd=folder, env=os.environ | closed | {"PATH": path}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Return a folder in which the shipped study of found models has been run."""
    folder = tmp_path_factory.mktemp("found")
    shutil.copytree(ROOT / "config", folder / "config")
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Text(HTMLParser):
    """A page's words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.hidden = 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.hidden:
            self.words.append(data)

    def __str__(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_shipped_study_runs_from_the_facts_in_the_repository(finished):
    results = finished / "results" / "found_models"
    runs = read_table(results / "metrics.parquet", records.FOUND_METRICS).to_pandas()
    cards = read_table(results / "cards.parquet", records.CARDS).to_pandas()
    assert len(cards) == 130
    assert set(runs["run_id"]) == set(cards.loc[cards["set_aside"].isna(), "card_id"])
    assert cards["duplicate_of"].notna().sum() == 42
    fits = read_table(results / "analysis" / "fits.parquet", records.FITS).to_pandas()
    assert fits["gate"].notna().all()
    claims = read_table(results / "analysis" / "claims.parquet", records.CLAIMS).to_pandas()
    assert claims["p_value"].isna().all()


def test_its_report_says_why_the_cards_cannot_carry_the_published_claims(finished):
    told = str(Text((finished / "results" / "found_models" / "report.html").read_text(encoding="utf-8")))
    for words in (
        "These cards can carry none of the 5 claims stated before the study.",
        "114 of all 130 cards are ali2066's",
        "42 cards of 130 repeat another card's metrics to the last digit.",
        "Among the 53 complete cards batch size \N{MULTIPLICATION SIGN} epochs is an exact combination of other terms",
        "Batch size on F1: pooled +0.78, p < 0.001; with an effect of each data set that is gone: "
        "\N{MINUS SIGN}0.01, p = 0.943.",
        "Study quickstart has no results here yet",
        "accuracy 0.9106, F1 0.9137 and loss 0.3901",
    ):
        assert words in told
    assert not re.search(r"\bnan\b|\bNone\b", told)


def test_nothing_is_left_to_do_until_a_fact_or_the_other_study_changes(finished):
    assert "Nothing to be done" in snakemake(finished, "--dry-run").stdout
    facts = finished / "config" / "cards" / "distilbert_sst2.csv"
    facts.write_text(facts.read_text(encoding="utf-8").replace("0.4982", "0.4983"), encoding="utf-8")
    assert "read_cards" in snakemake(finished, "--dry-run").stdout
    facts.write_text(facts.read_text(encoding="utf-8").replace("0.4983", "0.4982"), encoding="utf-8")
    other = finished / "results" / "quickstart" / "analysis"
    other.mkdir(parents=True)
    shutil.copy(finished / "results" / "found_models" / "analysis" / "claims.parquet", other)
    assert "compare_studies" in snakemake(finished, "--dry-run").stdout


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
CLAIMS = [
    {
        "name": "batch size on accuracy", "response": "accuracy", "framework": "absolute", "term": "batch_size",
        "finding": "effect", "sign": "negative", "p": 0.01, "statement": "", "source": "a paper",
    }
]  # fmt: skip


def write_cards(folder: Path) -> None:
    """Write cards of 40 owners on two data sets; owners of the second, easier one like large batches."""
    random = np.random.default_rng(5)
    for number in range(80):
        data = "emotion" if number % 2 else "imdb"
        batches = [16, 32, 64, 64] if data == "emotion" else [8, 8, 16, 32]
        point = {
            "learning_rate": float(random.choice([1e-5, 3e-5, 1e-4])),
            "batch_size": int(random.choice(batches)),
            "epochs": int(random.choice([1, 2, 3, 4])),
        }
        coded = {name: float(Coding.of(FACTORS[name]).coded(value)) for name, value in point.items()}
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
        path = folder / f"owner{number // 2}" / f"model{number}" / "README.md"
        path.parent.mkdir(parents=True)
        path.write_text(summary.to_model_card(), encoding="utf-8")


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, pd.DataFrame]:
    """Return every table of a study of those cards."""
    folder = tmp_path_factory.mktemp("cards")
    write_cards(folder)
    codings = {name: Coding.of(factor) for name, factor in FACTORS.items()}
    asked = question(codings=codings, responses=("accuracy", "loss"), order="quadratic")
    cards = as_cards(read_folder(folder))
    judged, gates, stop = judge_cards(cards, asked)
    assert stop is None
    metrics = found_runs(judged, BASELINE, stop).to_pandas()
    plan = Plan(codings, BASELINE["settings"], ["accuracy", "loss"], "quadratic", 0.95, claims=CLAIMS)
    found = {"metrics": metrics, "baselines": baseline_row("published", BASELINE).to_pandas()}
    found |= as_read(fit_study(metrics, plan)) | as_read(
        {"found_gates": gates, "pooling": pooling_rows(cards, asked, 0.95)}
    )
    found = explore(found, FACTORS)
    claims = judge_claims(
        found["coefficients"], found["fits"], CLAIMS, factors=FACTORS, model="quadratic", confidence=0.95
    )
    both = pa.Table.from_pylist(claims, schema=records.CLAIMS)
    return found | as_read({"claims": claims, "beside": beside_rows(both, both, "found", "designed")})


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
    assert "models of one owner" in fits.loc[("accuracy", "absolute"), "covariance_reason"]
    assert fits.loc[("accuracy", "relative"), "baseline_value"] == 0.9
    assert fits.loc[("accuracy", "relative"), "largest_identity_deviation"] < 1e-8
    assert (tables["against_baseline"]["baseline"] == "B0").any()


@pytest.fixture(scope="module")
def page(tables) -> str:
    config = {
        "study": "found",
        "source": "model_cards",
        "cards": {"folder": "cards"},
        "baseline": BASELINE,
        "sweep": {"factors": FACTORS},
        "beside": "designed",
        "analysis": {"responses": ["accuracy", "loss"], "model": "quadratic", "confidence": 0.95},
    }
    facts = {"config": config, "factors": FACTORS, "datasets": {}, "interim": False}
    return render_page(tables, {}, facts)


def test_the_report_tells_confounding_claims_and_the_other_study(page):
    told = str(Text(page))
    for words in (
        "80 models of 40 owners on 2 data sets, out of 80 model cards.",
        "within data sets it turns round",
        "Read “moved” as “went together with”.",
        "These cards can carry 1 of the 1 claim stated before the study.",
        "Of the same claims, study designed, which trained its models, has 1 replicated.",
        "models of one owner share code, data and habits",
    ):
        assert words in told
    assert not re.search(r"\bnan\b|\bNone\b", told)


# Mistakes in the config -----------------------------------------------------------------------------------------------


@pytest.fixture
def raw(monkeypatch) -> dict:
    monkeypatch.chdir(ROOT)
    return yaml.load((ROOT / CONFIG).read_text(encoding="utf-8"), Loader=yaml.FullLoader)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("cards.facts", "none.csv", "config: cards.facts: found no file 'none.csv'"),
        (
            "cards.folder",
            ".",
            "config: cards: found folder and facts of folder, hub, facts. Allowed: exactly one of them",
        ),
        ("cards.hub", ["a b/c"], "config: cards.hub.0"),
        ("cards.fold", "x", "unknown key 'fold'"),
        ("cards.cards_per_dataset", 1, "config: cards.cards_per_dataset: found 1. Allowed: a number of at least 2"),
        ("cards.largest_owner_share", 0, "a number above 0"),
        ("baseline.settings", {"learning_rate": 1e-5}, "config: baseline.settings: found no key 'batch_size'"),
        ("baseline.metrics.accuracy", 91, "a number of at most 1"),
        ("sweep.factors.dropout", {"levels": [0, 1]}, "unknown key 'dropout'"),
        ("sweep.factors.epochs.coding", "log3", "one of identity, log2, log10"),
        ("sweep.seeds", [0], "unknown key 'seeds'"),
        ("analysis.responses", ["mcc"], "config: analysis.responses: found mcc"),
        ("source", "cards", "unknown key"),
        ("study", "runs", "a name that is not one of"),
        ("beside", "Other study", "text that matches"),
    ],
)
def test_a_mistake_in_the_config_is_told(raw, path, value, told):
    part = raw
    for key in path.split(".")[:-1]:
        part = part[key]
    part[path.split(".")[-1]] = value
    with pytest.raises(InputError) as caught:
        read_config(raw)
    assert told in str(caught.value)


def test_a_config_read_again_is_the_same(raw):
    once = read_config(raw)
    assert read_config(once) == once
