"""The workflow as a user runs it: dry runs, a real study on a tiny model, growth, interruption, bad input."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

import tiny
from finevar import ROOT

STUDY = {
    "study": "toy",
    "sources": {"model": {"kind": "local", "path": "mine/model"}, "texts": {"kind": "local", "path": "mine/texts"}},
    "model": "model",
    "datasets": {
        "first": {"source": "texts", "file": "first.csv", "text": "sentence", "label": "label", "eval_examples": 40},
        "second": {
            "source": "texts", "file": "train.csv", "eval_file": "eval.csv", "text": "sentence", "label": "label"
        },
    },
    "baseline": {
        "dataset": "first",
        "settings": {"learning_rate": 1e-3, "batch_size": 8, "epochs": 1, "train_examples": 64},
    },
    "sweep": {
        "datasets": ["second"],
        "factors": {
            "learning_rate": {"levels": ["1e-3", "3e-3", "9e-3"], "coding": "log10"},
            "batch_size": {"levels": [8, 16], "coding": "log2"},
        },
        "seeds": [0, 1],
    },
    "training": {"max_length": 32, "train_examples": 48, "epochs": 1},
    "analysis": {"model": "interactions"},
}  # fmt: skip
METRICS = ["accuracy", "f1", "loss", "precision", "recall", "mcc", "roc_auc", "ece", "brier"]


def make_folder(folder: Path) -> Path:
    """Fill a folder with a tiny model, two tiny data sets and the study's config."""
    (folder / "mine" / "texts").mkdir(parents=True)
    tiny.make_model(folder / "mine" / "model")
    pairs = tiny.make_sentences(360)
    for name, part in {"first": pairs[:120], "train": pairs[120:240], "eval": pairs[240:]}.items():
        tiny.write_csv(folder / "mine" / "texts" / f"{name}.csv", part)
    write_config(folder, STUDY)
    return folder


def write_config(folder: Path, config: dict) -> None:
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def command(folder: Path, *options: str) -> list[str]:
    base = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    return [*base, "--configfile", str(folder / "config.yaml"), "--scheduler", "greedy", *options]


def snakemake(folder: Path, *options: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """Run Snakemake on a folder's study; return what it said, both streams together."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path} | (env or {})
    return subprocess.run(
        command(folder, *options),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )


def rules_of(folder: Path) -> set[str]:
    """Return the names of the rules that a folder's study has."""
    told = snakemake(folder, "--list-rules", "--quiet", "all").stdout
    return set(re.findall(r"^(?:[a-z]+_[a-z_]+)$", told, re.MULTILINE))


def planned(output: str) -> dict[str, int]:
    """Return how many jobs of each rule a dry run lists."""
    table = output.rsplit("Job stats:", 1)[1].split("\n\n")[0].splitlines()[3:]
    counts = {line.split()[0]: int(line.split()[1]) for line in table if line.strip()}
    counts.pop("total", None)
    return counts


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the tiny study has been run."""
    folder = make_folder(tmp_path_factory.mktemp("finished"))
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished study, to be spoilt."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


# Planning -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "config" / "config.yaml", tmp_path / "config.yaml")
    return tmp_path


def test_the_default_study_is_planned_without_torch(fresh):
    (fresh / "traps").mkdir()
    for name in ("torch", "transformers", "datasets", "statsmodels"):
        (fresh / "traps" / f"{name}.py").write_text(f"raise ImportError('{name} imported by a dry run')")
    told = snakemake(fresh, "--dry-run", env={"PYTHONPATH": str(fresh / "traps")})
    assert told.returncode == 0, told.stdout
    counts = planned(told.stdout)
    assert (counts["finetune_run"], counts["evaluate_run"]) == (54, 54)
    assert (counts["train_baseline"], counts["aggregate_metrics"], counts["render_report"]) == (1, 1, 1)


def test_the_readme_draws_the_rules_that_there_are(fresh):
    rules = rules_of(fresh)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    trained, found = (set(re.findall(r"[a-z]+_[a-z_]+", part.split("```")[0])) for part in text.split("```mermaid")[1:])
    assert rules == trained
    config = yaml.safe_load((ROOT / "config" / "studies" / "found_models.yaml").read_text(encoding="utf-8"))
    write_config(fresh, config | {"cards": {"hub": ["owner/model"]}})
    others = rules_of(fresh)
    assert others - rules == found - rules
    rules |= others
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
    assert planned(told.stdout)["finetune_run"] == 54


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


def test_figures_of_a_factor_and_a_metric_that_are_dropped_leave_the_disk_and_the_page(copied):
    figures, page = copied / "results/toy/figures", copied / "results/toy/report.html"
    assert {"interplay.json", "surface_loss.png", "surface_f1.svg"} <= {path.name for path in figures.iterdir()}
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
    kinds = ["effects", "coefficients", "main_effects", "learning_curves", "calibration", "variability"]
    made = {f"{kind}.{suffix}" for kind in [*kinds, "tradeoffs", "tuning_curves"] for suffix in ("svg", "png", "json")}
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
    """As it stands in the repository, but for a smaller model, which needs no network, and a seed less."""
    config = yaml.safe_load((ROOT / "config/studies/own_data.yaml").read_text(encoding="utf-8"))
    tiny.make_model(tmp_path / "model", classes=3)
    config["sources"]["minilm"] = {"kind": "local", "path": "model"}
    config["sources"]["mine"]["path"] = str(ROOT / config["sources"]["mine"]["path"])
    config["training"]["max_length"] = 64
    config["sweep"]["seeds"].pop()
    write_config(tmp_path, config)
    told = snakemake(tmp_path, "--cores", "2")
    assert told.returncode == 0, told.stdout
    metrics = pd.read_parquet(tmp_path / "results/own_data/metrics.parquet")
    assert (metrics["status"] == "ok").sum() == 3 * 2 * 2
    assert set(metrics["classes"]) == {3}
    assert set(metrics["f1_average"]) == {"macro"}
    assert "macro F1" in (tmp_path / "results/own_data/report.html").read_text(encoding="utf-8")


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
    assert "to the last bit" in card
    best = [max(found, key=lambda one: one["score"])["label"] for found in classify(examples["text"].tolist())]
    names = ["negative", "positive"]
    assert best == [names[number] for number in expected.argmax(1)]
    metadata = ModelCard(card).data.to_dict()
    measured = {one["type"]: one["value"] for one in metadata["model-index"][0]["results"][0]["metrics"]}
    assert measured["accuracy"] == pytest.approx((expected.argmax(1) == saved.loc[examples.index, "label"]).mean())
    assert (copied / "results/toy/paper/methods.md").exists()


def test_a_run_does_not_depend_on_its_company(finished, tmp_path):
    """One run alone, one core, another order: the same bytes in every metric."""
    folder = make_folder(tmp_path / "alone")
    table = pd.read_parquet(finished / "results/toy/metrics.parquet").set_index("run_id")
    run = table.index[7]
    path = f"results/runs/second/{run}/metrics.parquet"
    # The baseline takes two threads where it can have them, and threads are part of what makes a result.
    assert snakemake(folder, "--cores", "2", path).returncode == 0
    alone = pd.read_parquet(folder / path).set_index("run_id")
    pd.testing.assert_frame_equal(alone[METRICS], table.loc[[run], METRICS], check_exact=True)


def test_a_killed_study_goes_on_where_it_was(finished, tmp_path):
    folder = make_folder(tmp_path / "killed")
    process = subprocess.Popen(
        command(folder, "--cores", "2"), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
        start_new_session=True, env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while len(done := list(folder.glob("results/runs/second/*/metrics.parquet"))) < 5:
        assert time.monotonic() < deadline
        assert process.poll() is None, "the study ended before it could be killed"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    written = {path: path.stat().st_mtime_ns for path in done}

    # What was under way is done again; so is an evaluation that had written its file, but not yet told Snakemake.
    assert snakemake(folder, "--unlock").returncode == 0
    resumed = snakemake(folder, "--cores", "2", "--rerun-incomplete")
    assert resumed.returncode == 0, resumed.stdout
    kept = [path for path, written_at in written.items() if path.stat().st_mtime_ns == written_at]
    assert len(kept) >= len(written) - 2
    table, whole = (pd.read_parquet(path / "results/toy/metrics.parquet") for path in (folder, finished))
    pd.testing.assert_frame_equal(table[["run_id", *METRICS]], whole[["run_id", *METRICS]], check_exact=True)


# Shared beginnings ----------------------------------------------------------------------------------------------------


def constant_study(epochs: list[int], share: float = 0) -> dict:
    """Return a study under a constant schedule whose runs of more epochs begin with the shorter ones."""
    config = copy.deepcopy(STUDY)
    config["sweep"]["factors"] = {"learning_rate": {"levels": ["1e-3", "3e-3"]}, "epochs": {"levels": epochs}}
    del config["training"]["epochs"]
    config["training"] |= {"batch_size": 16, "schedule": "constant", "warmup": share}
    return config


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a study of runs that share their beginnings has been run."""
    folder = make_folder(tmp_path_factory.mktemp("shared"))
    write_config(folder, constant_study([1, 2, 4]))
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout
    return folder


def test_longer_runs_go_on_from_shorter_ones(shared):
    summaries = [json.loads(path.read_text()) for path in shared.glob("results/runs/second/*/training.json")]
    steps = sorted((summary["steps"], summary["steps_of_shorter_run"]) for summary in summaries)
    assert steps == [*4 * [(3, 0)], *4 * [(6, 3)], *4 * [(12, 6)]]
    table = pd.read_parquet(shared / "results/toy/metrics.parquet")
    assert table.groupby("trajectory_id")["epochs"].apply(sorted).tolist() == 4 * [[1, 2, 4]]
    assert not list((shared / "results/runs").rglob("*.safetensors"))
    assert "Nothing to be done" in snakemake(shared, "--cores", "2").stdout


def test_a_shared_beginning_changes_no_metric(shared, tmp_path):
    folder = make_folder(tmp_path / "alone")
    table = pd.read_parquet(shared / "results/toy/metrics.parquet")
    run = table.loc[table["epochs"] == 4, "run_id"].iloc[1]
    config = constant_study([4])
    config["sweep"]["factors"]["batch_size"] = {"levels": [8, 16]}
    del config["sweep"]["factors"]["epochs"], config["training"]["batch_size"]
    config["training"]["epochs"] = 4
    write_config(folder, config)
    path = f"results/runs/second/{run}/metrics.parquet"
    told = snakemake(folder, "--cores", "2", path)
    assert told.returncode == 0, told.stdout
    alone = pd.read_parquet(folder / path).set_index("run_id")
    assert json.loads((folder / path).with_name("training.json").read_text())["steps_of_shorter_run"] == 0
    pd.testing.assert_frame_equal(alone[METRICS], table.set_index("run_id").loc[[run], METRICS], check_exact=True)


@pytest.mark.parametrize("level", [3, 8])
def test_another_number_of_epochs_reruns_no_run(shared, tmp_path, level):
    folder = Path(shutil.copytree(shared, tmp_path / "copy"))
    write_config(folder, constant_study([1, 2, 4, level]))
    counts = planned(snakemake(folder, "--dry-run").stdout)
    assert (counts["finetune_run"], counts["evaluate_run"]) == (4, 4)
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout
    assert "Nothing to be done" in snakemake(folder, "--cores", "2").stdout


def test_a_warm_up_that_depends_on_the_number_of_steps_shares_nothing(shared, tmp_path):
    folder = Path(shutil.copytree(shared, tmp_path / "copy"))
    write_config(folder, constant_study([1, 2, 4], share=0.1))
    assert snakemake(folder, "--cores", "2").returncode == 0
    summaries = [json.loads(path.read_text()) for path in folder.glob("results/runs/second/*/training.json")]
    assert sorted(summary["steps_of_shorter_run"] for summary in summaries) == [
        *16 * [0],
        *4 * [3],
        *4 * [6],
    ]  # the first study's and 12 new


# Bad input ------------------------------------------------------------------------------------------------------------


def test_a_bad_config_stops_before_any_job_with_all_its_problems(tmp_path):
    config = copy.deepcopy(STUDY)
    config["trainning"] = {}
    config["sweep"]["seeds"] = []
    write_config(tmp_path, config)
    told = snakemake(tmp_path, "--cores", "1")
    assert told.returncode == 1
    assert "the config has 2 problems; nothing was run." in told.stdout
    assert "Did you mean 'training'" in told.stdout
    assert "Traceback" not in told.stdout
    assert not (tmp_path / "results").exists()


def test_a_results_folder_that_is_not_one_is_named(fresh):
    (fresh / "results").write_text("in the way")
    told = snakemake(fresh, "--cores", "1")
    assert told.returncode == 1
    assert "results: found" in told.stdout
    assert "is not a folder" in told.stdout


def test_a_truncated_metrics_file_is_named_and_the_other_runs_stay(copied):
    table = pd.read_csv(copied / "results/toy/design.csv")
    spoilt, *others = [copied / path / "metrics.parquet" for path in table["path"]]
    before = {path: path.stat().st_mtime_ns for path in others}
    spoilt.write_bytes(spoilt.read_bytes()[:100])
    told = snakemake(copied, "--cores", "2")
    assert told.returncode == 1
    message = " ".join((copied / "results/logs/aggregate_metrics/toy.log").read_text().split())
    assert f"{spoilt.relative_to(copied)}: found a file that is damaged" in message
    assert "It is now metrics.parquet.damaged; start Snakemake again" in message
    assert {path: path.stat().st_mtime_ns for path in others} == before
    assert snakemake(copied, "--cores", "2").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in others} == before


def test_one_failing_job_keeps_the_others(tmp_path):
    folder = make_folder(tmp_path / "failing")
    config = copy.deepcopy(STUDY)
    config["training"]["train_examples"] = 121  # one more than there are
    write_config(folder, config)
    told = snakemake(folder, "--cores", "2", "--keep-going")
    assert told.returncode == 1
    logs = list((folder / "results/logs/finetune_run/second").glob("*.log"))
    assert len(logs) == 12
    assert all("setting train_examples: found 121. Allowed: at most 120" in log.read_text() for log in logs)
    assert list((folder / "results/baselines").glob("*/second/metrics.parquet")), "what did not fail was finished"


def launch(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Start a folder's study as `make study` does."""
    base = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", "config.yaml", "--cores", "2"]
    profile = ["--profile", str(ROOT / "workflow/profiles/local")]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "finevar.commands.launch", *base, *profile, *options],
        cwd=folder, env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT / "scripts")}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=600, check=False,
    )  # fmt: skip


def test_where_runs_fail_a_report_of_the_others_says_what_is_missing(copied):
    config = copy.deepcopy(STUDY)
    config["sweep"]["factors"]["train_examples"] = {"levels": [48, 121]}  # one more than there are
    del config["training"]["train_examples"]
    write_config(copied, config)
    told = launch(copied)
    assert told.returncode == 1
    assert "runs are done and kept" in told.stdout
    assert "Interim report: results/toy/interim/report.html" in told.stdout
    table = pd.read_parquet(copied / "results/toy/interim/metrics.parquet")
    missing = table[table["status"] == "missing"]
    assert set(missing["train_examples"]) == {121}
    assert len(missing) == 12
    assert set(table.loc[table["status"] == "ok", "train_examples"]) == {48, 64}
    assert missing["reason"].str.contains("found 121. Allowed: at most 120", regex=False).all()
    page = (copied / "results/toy/interim/report.html").read_text(encoding="utf-8")
    assert "<strong>Interim report.</strong> 12 runs of 26 gave no metrics" in page
    assert "6 points of 13 without any run" in page
    cause = "12 runs will fail again until the cause is mended: setting train_examples: found 121. Allowed: at most 120"
    assert cause in page
    assert cause.replace("runs", "jobs") in " ".join(told.stdout.split())
    assert "again to go on" not in page + told.stdout.split("runs are done and kept")[1]


def test_a_damaged_file_is_made_anew_in_one_start(copied):
    before = pd.read_parquet(copied / "results/toy/metrics.parquet")
    run = pd.read_csv(copied / "results/toy/design.csv")["path"][3]
    for path in (copied / run / "metrics.parquet", *copied.glob("results/baselines/*/model/model.safetensors")):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    told = launch(copied)
    assert told.returncode == 0, told.stdout
    assert "Damaged, quarantined and now rebuilt" in told.stdout
    after = pd.read_parquet(copied / "results/toy/metrics.parquet")
    pd.testing.assert_frame_equal(after[["run_id", *METRICS]], before[["run_id", *METRICS]], check_exact=True)
