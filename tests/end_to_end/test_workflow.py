"""The workflow as a user runs it: dry runs, a real study on a tiny model, growth, what is made of it."""

from __future__ import annotations

import copy
import hashlib
import os
import re
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from sklearn.metrics import f1_score
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

import tiny
from finevar import ROOT
from toy_study import METRICS, STUDY, make_folder, planned, prepared, snakemake, write_config


def rules_of(folder: Path) -> set[str]:
    """Return the names of the rules that a folder's study has."""
    told = snakemake(folder, "--list-rules", "--quiet", "all").stdout
    return set(re.findall(r"^(?:[a-z]+_[a-z_]+)$", told, re.MULTILINE))


# Planning -------------------------------------------------------------------------------------------------------------


def test_the_default_study_is_planned_without_torch(fresh):
    (fresh / "traps").mkdir()
    for name in ("torch", "transformers", "datasets", "statsmodels"):
        (fresh / "traps" / f"{name}.py").write_text(f"raise ImportError('{name} imported by a dry run')")
    told = snakemake(fresh, "--dry-run", env={"PYTHONPATH": str(fresh / "traps")})
    assert told.returncode == 0, told.stdout
    counts = planned(told.stdout)
    assert (counts["finetune_run"], counts["evaluate_run"]) == (80, 80)
    assert (counts["train_baseline"], counts["aggregate_metrics"], counts["render_report"]) == (1, 1, 1)


def graph_of(page: Path) -> str:
    """Return the graph that a page draws."""
    return page.read_text(encoding="utf-8").split("```mermaid")[1].split("```")[0]


def test_the_readme_and_the_manual_draw_the_rules_that_there_are(fresh):
    rules = rules_of(fresh)
    trained, found = (
        set(re.findall(r"[a-z]+_[a-z_]+", graph_of(ROOT / page))) for page in ("README.md", "config/README.md")
    )
    assert rules == trained
    config = yaml.safe_load((ROOT / "config" / "studies" / "found_models.yaml").read_text(encoding="utf-8"))
    write_config(fresh, config | {"cards": {"hub": ["owner/model"]}})
    others = rules_of(fresh)
    assert others - rules == found - rules
    listed = yaml.safe_load((ROOT / "config" / "studies" / "own_runs.yaml").read_text(encoding="utf-8"))
    listed["runs"]["file"] = str(ROOT / listed["runs"]["file"])
    write_config(fresh, listed)
    rules |= others | rules_of(fresh)
    assert rules == {path.stem for path in (ROOT / "scripts").glob("*.py")}, "a rule and its script share a name"


@pytest.mark.parametrize("graph", ["--dag", "--rulegraph"])
def test_graphs_are_drawn(fresh, graph):
    told = snakemake(fresh, graph)
    assert told.returncode == 0
    assert "digraph" in told.stdout
    assert "finetune_run" in told.stdout


def test_the_slurm_profile_is_found_by_its_short_name(fresh):
    told = snakemake(fresh, "--profile", "slurm", "--dry-run")
    assert told.returncode == 0, told.stdout
    assert planned(told.stdout)["finetune_run"] == 80


def test_a_named_config_replaces_the_default_one(fresh):
    write_config(fresh, STUDY)
    told = snakemake(make_folder(fresh / "toy"), "--dry-run")
    assert planned(told.stdout)["finetune_run"] == 12


def test_a_table_design_is_known_by_its_rows_whatever_its_date(tmp_path):
    folder, points = make_folder(tmp_path / "table"), tmp_path / "table" / "points.csv"
    rows = "learning_rate,batch_size\n1e-3,8\n9e-3,8\n1e-3,16\n9e-3,16\n"
    points.write_text(rows)
    config = copy.deepcopy(STUDY)
    config["sweep"]["design"] = {"kind": "table", "file": str(points)}
    write_config(folder, config)
    assert snakemake(folder, "--cores", "1", "results/toy/design.csv").returncode == 0
    assert len((folder / "results/toy/design.csv").read_text().splitlines()) == 1 + 8
    again = ("--dry-run", "results/toy/design.csv")
    os.utime(points)
    assert "Nothing to be done" in snakemake(folder, *again).stdout
    points.write_text(rows.replace("9e-3,16", "5e-3,16"))
    os.utime(points, (1e9, 1e9))
    assert planned(snakemake(folder, *again).stdout)["write_design"] == 1


# A finished study -----------------------------------------------------------------------------------------------------


def test_every_run_is_in_the_table(finished):
    table = pd.read_parquet(finished / "results/toy/metrics.parquet")
    assert len(table) == 3 * 2 * 2
    assert set(table["status"]) == {"ok"}
    assert table["run_id"].is_unique
    assert table[METRICS].notna().all().all() or table["reason"].notna().any()
    assert table["baseline_accuracy"].nunique() == 1
    assert table["is_baseline_point"].sum() == 2
    design = pd.read_csv(finished / "results/toy/design.csv")
    assert list(design["run_id"]) == list(table["run_id"])
    assert all((finished / path / "metrics.parquet").exists() for path in design["path"])


def test_every_run_says_what_it_was_made_with(finished):
    table = pd.read_parquet(finished / "results/toy/metrics.parquet")
    sources = sorted((ROOT / "scripts/finevar").rglob("*.py"))
    code = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    assert set(table["code"]) == {code}
    assert set(table["packages"].str.contains(f"torch {metadata.version('torch')}", regex=False)) == {True}
    for column in (
        "device",
        "threads",
        "python",
        "engine",
        "data_sha256",
        "model_sha256",
        "dtype_used",
        "micro_batches",
    ):
        assert table[column].nunique() == 1, column


def test_what_is_kept_of_finished_jobs_takes_no_room_of_its_own(finished):
    for run in (finished / "results/runs").glob("*/*"):
        for job, names in (("training", ("training.parquet", "training.json")), ("evaluation", ("metrics.parquet",))):
            for name in names:
                assert (run / "finished" / job / name).samefile(run / name)
        assert not (run / "finished/training/model").exists()
    assert not list(finished.glob("results/*/**/resume.safetensors"))


def test_weights_are_not_kept(finished):
    assert not list((finished / "results/runs").rglob("*.safetensors"))


def test_the_report_opens_without_network(finished):
    page = (finished / "results/toy/report.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert 'src="http' not in page


def test_a_second_call_has_nothing_to_do(finished):
    told = snakemake(finished, "--cores", "2")
    assert told.returncode == 0
    assert "Nothing to be done" in told.stdout


def test_a_new_level_and_a_new_seed_run_only_what_is_new(copied):
    config = copy.deepcopy(STUDY)
    config["sweep"]["factors"]["learning_rate"]["levels"].append(2.7e-2)
    config["sweep"]["seeds"].append(2)
    write_config(copied, config)
    counts = planned(snakemake(copied, "--dry-run").stdout)
    new = 4 * 2 * 3 - 12
    assert (counts["finetune_run"], counts["evaluate_run"]) == (new, new)
    assert not {"fetch_model", "prepare_dataset", "encode_dataset", "train_baseline", "evaluate_baseline"} & set(counts)


def test_a_second_study_that_shares_points_shares_runs(copied):
    config = copy.deepcopy(STUDY) | {"study": "other"}
    del config["sweep"]["factors"]["batch_size"]
    config["training"]["batch_size"] = 8  # a level of the first study, here fixed
    write_config(copied, config)
    counts = planned(snakemake(copied, "--dry-run").stdout)
    assert "finetune_run" not in counts
    assert counts["fit_regressions"] == 1


def test_an_edit_of_the_analysis_runs_no_training(copied):
    write_config(copied, STUDY | {"analysis": {"model": "interactions", "confidence": 0.9}})
    counts = planned(snakemake(copied, "--dry-run").stdout)
    assert counts["fit_regressions"] == 1
    assert not {"finetune_run", "evaluate_run", "aggregate_metrics"} & set(counts)


def test_runs_can_start_from_the_pretrained_model_while_the_baseline_stays_what_they_are_compared_with(copied):
    config = copy.deepcopy(STUDY)
    config["sweep"] |= {"start": "model", "factors": {"learning_rate": {"levels": [1e-3, 9e-3], "coding": "log10"}}}
    config["analysis"] = {"model": "first_order"}
    config["training"]["batch_size"] = 8
    write_config(copied, config)
    done = snakemake(copied, "--cores", "2")
    assert done.returncode == 0, done.stdout
    assert {"train_baseline", "evaluate_baseline"}.isdisjoint(planned(done.stdout))
    runs = pd.read_parquet(copied / "results/toy/metrics.parquet")
    folders = pd.read_csv(copied / "results/toy/design.csv")["path"]
    first = [pd.read_parquet(copied / folder / "training.parquet")["loss"].iloc[0] for folder in folders]
    np.testing.assert_allclose(first, np.log(2), atol=0.1)  # of a model that has not learnt which of two classes
    assert runs["baseline_accuracy"].notna().all()
    assert "Every run starts from the pretrained model." in (copied / "results/toy/report.html").read_text()


def test_another_positive_class_scores_again_and_trains_and_predicts_nothing(copied):
    table = pd.read_parquet(copied / "results/toy/metrics.parquet")
    (before,) = table["positive"].unique()
    number = 1 - tiny.CLASSES.index(before)
    config = copy.deepcopy(STUDY)
    config["datasets"]["second"]["positive"] = tiny.CLASSES[number].upper()
    write_config(copied, config)
    counts = planned(snakemake(copied, "--dry-run").stdout)
    assert counts["aggregate_metrics"] == 1
    made = {"prepare_dataset", "encode_dataset", "train_baseline", "finetune_run", "evaluate_run", "evaluate_baseline"}
    assert not made & set(counts)
    told = snakemake(copied, "--cores", "2")
    assert told.returncode == 0, told.stdout
    table = pd.read_parquet(copied / "results/toy/metrics.parquet").set_index("run_id")
    assert set(table["positive"]) == {tiny.CLASSES[number]}
    (baseline,) = copied.glob("results/baselines/*/second/predictions.parquet")
    paths = {run: copied / "results/runs/second" / run / "predictions.parquet" for run in table.index}
    found = {name: pd.read_parquet(path) for name, path in (paths | {"baseline": baseline}).items()}
    f1 = {
        name: f1_score(part["label"], np.stack(part["logits"]).argmax(1), pos_label=number)
        for name, part in found.items()
    }
    assert table["f1"].to_dict() == pytest.approx({run: f1[run] for run in table.index})
    assert table["baseline_f1"].to_numpy() == pytest.approx(f1["baseline"])
    assert f"F1 of {tiny.CLASSES[number]}" in (copied / "results/toy/report.html").read_text(encoding="utf-8")
    assert f"F1 of {tiny.CLASSES[number]}" in told.stdout


def test_figures_of_a_factor_and_a_metric_that_are_dropped_leave_the_disk_and_the_page(copied):
    figures, page = copied / "results/toy/figures", copied / "results/toy/report.html"
    assert {"interplay.json", "surface_loss.svg", "surface_f1.svg"} <= {path.name for path in figures.iterdir()}
    joint = re.compile(r"chart-(interplay|surface_\w+)")
    assert joint.search(page.read_text(encoding="utf-8"))
    (figures / "mine.png").touch()
    config = copy.deepcopy(STUDY)
    config["analysis"] |= {"responses": ["accuracy", "loss"]}
    del config["sweep"]["factors"]["batch_size"]
    config["training"]["batch_size"] = 8  # a level of before
    write_config(copied, config)
    told = snakemake(copied, "--cores", "2")
    assert told.returncode == 0, told.stdout
    kinds = ["effects", "coefficients", "importance", "gain", "main_effects", "learning_curves", "calibration"]
    kinds += ["variability", "tradeoffs", "tuning_curves"]
    made = {f"{kind}.{suffix}" for kind in kinds for suffix in ("svg", "json")}
    assert {path.name for path in figures.iterdir()} == made | {"mine.png"}
    assert not joint.search(page.read_text(encoding="utf-8"))
    write_config(copied, STUDY)
    assert planned(snakemake(copied, "--dry-run").stdout)["draw_figures"] == 1


def test_an_edit_of_local_data_is_seen(copied):
    texts = copied / "mine/texts/train.csv"
    tiny.write_csv(texts, tiny.make_sentences(130, seed=3))
    counts = planned(snakemake(copied, "--dry-run").stdout)
    assert counts["prepare_dataset"] == 1
    assert counts["finetune_run"] == 12


def test_snakemakes_own_report_works(finished):
    told = snakemake(finished, "--report", str(finished / "snakemake-report.html"))
    assert told.returncode == 0, told.stdout
    assert (finished / "snakemake-report.html").stat().st_size > 100_000


def test_the_example_of_ones_own_data_runs_to_its_report(tmp_path):
    """As it stands in the repository, but for a smaller model, which needs no network, and two seeds."""
    config = yaml.safe_load((ROOT / "config/studies/own_data.yaml").read_text(encoding="utf-8"))
    tiny.make_model(tmp_path / "model", classes=3)
    config["sources"]["minilm"] = {"kind": "local", "path": "model"}
    config["sources"]["mine"]["path"] = str(ROOT / config["sources"]["mine"]["path"])
    config["training"] |= {"max_length": 64, "train_examples": 60}
    config["sweep"]["seeds"] = [0, 1]
    write_config(tmp_path, config)
    told = snakemake(tmp_path, "--cores", "2")
    assert told.returncode == 0, told.stdout
    metrics = pd.read_parquet(tmp_path / "results/own_data/metrics.parquet")
    assert (metrics["status"] == "collapsed").sum() == 3 * 2 * 2  # what knows nothing learns nothing in one epoch
    assert set(metrics["classes"]) == {3}
    assert set(metrics["f1_average"]) == {"macro"}
    assert (tmp_path / "results/own_data/report.html").exists()


def test_the_recommended_model_loads_with_transformers_and_predicts_what_was_evaluated(copied):
    """In float32, so that Hugging Face's own forward has the same arithmetic."""
    write_config(copied, STUDY | {"training": STUDY["training"] | {"dtype": "float32"}})
    told = snakemake(copied, "--cores", "2", "export_model", "write_paper")
    assert told.returncode == 0, told.stdout
    folder = copied / "results/toy/model"
    card = (folder / "README.md").read_text(encoding="utf-8")
    run = re.search(r"^# (lr\S+)$", card, re.MULTILINE)[1]
    saved = pd.read_parquet(copied / "results/runs/second" / run / "predictions.parquet").set_index("example_id")
    examples = pd.read_parquet(next((copied / "results/data").glob("second-*/eval.parquet"))).set_index("example_id")
    classify = pipeline("text-classification", model=str(folder), top_k=None)
    tokeniser = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        batch = tokeniser(examples["text"].tolist(), padding=True, return_tensors="pt")
        logits = model(**batch).logits.numpy()
    expected = np.stack(saved.loc[examples.index, "logits"])
    assert np.abs(logits - expected).max() < 1e-5
    best = [max(found, key=lambda one: one["score"])["label"] for found in classify(examples["text"].tolist())]
    names = ["negative", "positive"]
    assert best == [names[number] for number in expected.argmax(1)]
    metadata = ModelCard(card).data.to_dict()
    measured = {one["type"]: one["value"] for one in metadata["model-index"][0]["results"][0]["metrics"]}
    assert measured["accuracy"] == pytest.approx((expected.argmax(1) == saved.loc[examples.index, "label"]).mean())
    assert (copied / "results/toy/paper/methods.md").exists()


def test_a_run_does_not_depend_on_its_company(finished, tmp_path):
    """One run alone, one core, another order: the same bytes in every metric."""
    folder = prepared(finished, tmp_path / "alone")
    table = pd.read_parquet(finished / "results/toy/metrics.parquet").set_index("run_id")
    run = table.index[7]
    path = f"results/runs/second/{run}/metrics.parquet"
    assert snakemake(folder, "--cores", "1", path).returncode == 0
    alone = pd.read_parquet(folder / path).set_index("run_id")
    pd.testing.assert_frame_equal(alone[METRICS], table.loc[[run], METRICS], check_exact=True)
