"""One row a run, whatever became of it; learning curves binned by hand."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from finevar.columns import (
    EPOCH_EVALUATIONS,
    EPOCHS,
    LEARNING_CURVES,
    METRICS,
    MODELS_METRICS,
    PREDICTIONS,
    STUDY_METRICS,
    TRAINING,
)
from finevar.jobs.endings import BEGUN, ERROR, NOT_BEGUN
from finevar.metrics import RESPONSES
from finevar.parquet import write_rows
from finevar.reasons import UNRECORDED, Collapse
from finevar.results.aggregation import (
    aggregate_curves,
    aggregate_epochs,
    aggregate_metrics,
    aggregate_models,
    named_runs,
    read_design,
)
from finevar.results.collapse import mark_collapsed
from finevar.results.run_metrics import engine, read_run_metrics
from finevar.study.config import read_config
from finevar.study.design import baseline_levels, design_rows, plan_study
from refusals import refusal

Row = dict[str, Any]


@pytest.fixture
def expected(raw_config) -> list[Row]:
    """Return the first runs of the toy study, with None for unset settings, as a design lists them."""
    runs = list(plan_study(read_config(raw_config)).runs.values())[:6]
    return [{name: value for name, value in row.items() if name != "path"} for row in design_rows(runs)]


@pytest.fixture
def levels(raw_config) -> Row:
    return baseline_levels(read_config(raw_config))


def write_metrics(folder: Path, runs: list[Row], **values: Any) -> list[Path]:
    paths = []
    for number, run in enumerate(runs):
        paths.append(folder / f"{len(list(folder.iterdir()))}.parquet")
        own = {"status": "ok", "accuracy": 0.8 + number / 100, "loss": 0.4, "engine": engine()} | values
        write_rows([run | own], paths[-1], METRICS)
    return paths


def write_baseline(folder: Path, dataset: str = "amazon", **values: Any) -> Path:
    path = folder / f"baseline-{dataset}" / "metrics.parquet"
    path.parent.mkdir()
    names = {"run_id": "movies-x", "point_id": "movies-x", "dataset": dataset, "seed": 0, "status": "ok"}
    names["engine"] = engine()
    write_rows([names | dict.fromkeys(RESPONSES, 0.75) | values], path, METRICS)
    write_predictions(path, labels=[0, 1] * 200, predicted=[0, 1] * 150 + [0, 0] * 50)
    return path


def write_predictions(metrics: Path, labels: list[int], predicted: list[int]) -> None:
    """Write predictions beside a file of metrics."""
    rows = [
        {"example_id": str(number), "label": label, "logits": [1.0 - answer, float(answer)], "loss": 1.0}
        for number, (label, answer) in enumerate(zip(labels, predicted, strict=True))
    ]
    write_rows(rows, metrics.with_name("predictions.parquet"), PREDICTIONS)


def test_runs_are_in_the_designs_order_with_the_baseline_beside(tmp_path, expected, levels):
    paths = write_metrics(tmp_path, expected)
    baseline = write_baseline(tmp_path, accuracy=0.7, mcc=None)
    table = aggregate_metrics(expected, paths[::-1], [baseline], levels)
    assert table.schema == STUDY_METRICS
    rows = table.to_pylist()
    assert [row["run_id"] for row in rows] == [run["run_id"] for run in expected]
    assert [row["accuracy"] for row in rows] == pytest.approx([0.8, 0.81, 0.82, 0.83, 0.84, 0.85])
    assert {(row["baseline_accuracy"], row["baseline_mcc"], row["baseline_loss"]) for row in rows} == {
        (0.7, None, 0.75)
    }


def test_each_data_set_has_its_own_baseline(tmp_path, expected, levels):
    expected[0]["dataset"] = "movies"
    baselines = [write_baseline(tmp_path, name, f1=value) for name, value in (("movies", 0.1), ("amazon", 0.2))]
    rows = aggregate_metrics(expected, write_metrics(tmp_path, expected), baselines, levels).to_pylist()
    assert [row["baseline_f1"] for row in rows] == [0.1, 0.2, 0.2, 0.2, 0.2, 0.2]


def test_each_model_has_its_own_baseline(tmp_path, expected, levels):
    """A run at the levels of its own model's baseline is known as such, and the study's model's as the study's."""
    names = ["a", "b", "a", "b", "a", "b"]
    expected = [run | {"model": name} for run, name in zip(expected, names, strict=True)]
    paths = [tmp_path / run["run_id"] / "metrics.parquet" for run in expected]
    for path, run in zip(paths, expected, strict=True):
        path.parent.mkdir()
        own = {"status": "ok", "accuracy": 0.9, "engine": engine(), "model_sha256": run["model"]}
        write_rows([run | own], path, METRICS)
    files = []
    for name, accuracy in (("b", 0.8), ("a", 0.7)):
        (tmp_path / name).mkdir()
        files.append(write_baseline(tmp_path / name, accuracy=accuracy, run_id=name))
    own = {name: {factor: expected[place][factor] for factor in levels} for place, name in enumerate("ab")}
    models = {name: (f"baseline-{name}", own[name] | {"model": name}) for name in "ab"}
    for path, name in zip(files, "ba", strict=True):
        path.parent.rename(tmp_path / name / f"baseline-{name}")
    files = [tmp_path / name / f"baseline-{name}" / "metrics.parquet" for name in "ba"]
    table = aggregate_models(expected, paths[::-1], files, own["a"] | {"model": "a"}, models)
    assert table.schema == MODELS_METRICS
    rows = table.to_pylist()
    assert [row["run_id"] for row in rows] == [run["run_id"] for run in expected]
    assert [row["model"] for row in rows] == names
    assert [row["baseline_accuracy"] for row in rows] == [0.7, 0.8] * 3
    assert [row["baseline_id"] for row in rows] == ["baseline-a", "baseline-b"] * 3
    assert [row["is_own_baseline_point"] for row in rows][:2] == [True, True]
    assert [row["is_baseline_point"] for row in rows] == [True, *[False] * 5]


@pytest.mark.parametrize("column", ["data_sha256", "engine"])
def test_models_are_compared_on_the_same_data_by_the_same_code(tmp_path, expected, column):
    versions = (engine(), f"another.{engine().split('.', 1)[1]}")
    each = dict(zip("ab", versions if column == "engine" else ("one", "other"), strict=True))
    paths, files, models = [], [], {}
    expected = [run | {"model": name} for run, name in zip(expected[:4], "aabb", strict=True)]
    for name, value in each.items():
        (tmp_path / name / f"baseline-{name}").mkdir(parents=True)
        for run in (run for run in expected if run["model"] == name):
            (tmp_path / run["run_id"]).mkdir()
            paths += write_metrics(tmp_path / run["run_id"], [run], **{column: value, "model_sha256": name})
        files.append(write_baseline(tmp_path / name / f"baseline-{name}", **{column: value}))
        models[name] = (f"baseline-{name}", {"model": name})
    error = refusal(aggregate_models, expected, paths, files, {"model": "a"}, models)
    assert column in error.found


def test_a_run_collapses_by_its_own_models_baseline(tmp_path, expected):
    """It is right on half of the sentences, as always one class would be: no better a baseline proves nothing."""
    paths = {run["run_id"]: tmp_path / run["run_id"] / "metrics.parquet" for run in expected[:2]}
    for run, path in zip(expected[:2], paths.values(), strict=True):
        path.parent.mkdir()
        write_rows([run | {"status": "ok", "accuracy": 0.5, "engine": engine()}], path, METRICS)
        write_predictions(path, labels=[0, 1] * 200, predicted=[0, 0, 1, 1] * 100)
    files = []
    for name, accuracy in (("good", 0.75), ("bad", 0.5)):
        (tmp_path / name).mkdir()
        files.append(write_baseline(tmp_path / name, accuracy=accuracy, run_id=name))
    own = dict(zip(paths, ("good", "bad"), strict=True))
    rows = mark_collapsed(read_run_metrics(list(paths.values())), paths, files, own)
    assert [row["status"] for row in rows] == ["collapsed", "ok"]


def test_curves_and_epochs_of_several_models_say_whose_they_are(tmp_path, expected):
    runs = [run | {"model": "a"} for run in expected]
    assert aggregate_curves(expected, []).schema == LEARNING_CURVES
    assert aggregate_curves(runs, []).schema.names == [*LEARNING_CURVES.names, "model"]
    path = tmp_path / runs[0]["run_id"] / "training.parquet"
    assert aggregate_epochs(runs, [path])["model"].to_pylist() == ["a"]


def test_a_design_of_several_models_is_read_with_them(tmp_path, expected):
    path = tmp_path / "design.csv"
    for rows in ([run | {"model": "a"} for run in expected], expected):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        assert read_design(path) == rows


def test_a_run_without_a_file_is_a_row_of_its_own(tmp_path, expected, levels):
    paths = write_metrics(tmp_path, expected)
    paths[2].unlink()
    table = aggregate_metrics(expected, paths, [write_baseline(tmp_path)], levels)
    row = table.to_pylist()[2]
    assert (row["status"], row["ending"], row["accuracy"]) == ("missing", NOT_BEGUN, None)
    assert {name: row[name] for name in expected[2]} == expected[2]
    assert row["baseline_accuracy"] == 0.75
    assert set(named_runs(table.to_pandas(), "missing")) == {expected[2]["run_id"]}


def test_a_missing_runs_reason_is_the_last_error_of_its_logs(tmp_path, expected, levels):
    logs = {name: tmp_path / "logs" / name / "amazon" for name in ("finetune_run", "evaluate_run")}
    for folder in logs.values():
        folder.mkdir(parents=True)
        for run in expected[:3]:
            (folder / f"{run['run_id']}.log").touch()
    (logs["finetune_run"] / f"{expected[0]['run_id']}.log").write_text("09:00:00 ERROR first\n09:00:01 ERROR second\n")
    (logs["evaluate_run"] / f"{expected[1]['run_id']}.log").write_text("09:00:00 INFO a\n09:00:02 ERROR third\nmore\n")
    baseline = [write_baseline(tmp_path)]
    rows = aggregate_metrics(expected, [], baseline, levels, logs=tmp_path / "logs").to_pylist()
    assert [row["reason"] for row in rows[:2]] == ["second", "third"]
    assert [row["ending"] for row in rows[:4]] == [ERROR, ERROR, BEGUN, NOT_BEGUN]


@pytest.mark.parametrize("column", ["data_sha256", "model_sha256", "engine", "eval_examples"])
def test_what_must_not_be_mixed_is_refused_by_name(tmp_path, expected, levels, column):
    versions = (engine(), f"another.{engine().split('.', 1)[1]}")
    usual, other = {"eval_examples": (880, 881), "engine": versions}.get(column, ("one", "other"))
    paths = write_metrics(tmp_path, expected[:4], **{column: usual})
    paths += write_metrics(tmp_path, expected[4:], **{column: other})
    error = refusal(aggregate_metrics, expected, paths, [write_baseline(tmp_path, **{column: usual})], levels)
    assert "amazon" in error.where
    assert column in error.found
    assert error.found.endswith(f"{expected[4]['run_id']}, {expected[5]['run_id']}")


def test_a_baseline_evaluated_on_other_data_is_refused(tmp_path, expected, levels):
    paths = write_metrics(tmp_path, expected, data_sha256="one")
    error = refusal(aggregate_metrics, expected, paths, [write_baseline(tmp_path, data_sha256="other")], levels)
    assert error.found.endswith(" movies-x")


def test_a_diverged_run_stays_with_its_reason(tmp_path, expected, levels):
    paths = write_metrics(tmp_path, expected[:5])
    paths += write_metrics(tmp_path, expected[5:], status="diverged", reason="loss nan at step 3", accuracy=None)
    table = aggregate_metrics(expected, paths, [write_baseline(tmp_path)], levels)
    row = table.to_pylist()[5]
    assert (row["status"], row["reason"], row["accuracy"]) == ("diverged", "loss nan at step 3", None)
    assert named_runs(table.to_pandas(), "diverged") == {expected[5]["run_id"]: "loss nan at step 3"}
    assert len(named_runs(table.to_pandas(), "ok")) == 5


def test_a_collapsed_run_is_marked_and_its_metrics_stay(tmp_path, expected, levels):
    """Of 400 sentences of two equal classes; an accuracy of 0.55 is two standard errors above chance."""
    paths = write_metrics(tmp_path, expected[:4])
    for run, accuracy, ones in ((expected[4], 0.5, 400), (expected[5], 0.56, 224)):
        folder = tmp_path / run["run_id"]
        folder.mkdir()
        paths += write_metrics(folder, [run], accuracy=accuracy, reason="not defined: mcc")
        write_predictions(paths[-1], labels=[0, 1] * 200, predicted=[1] * ones + [0] * (400 - ones))
    before = [path.read_bytes() for path in paths]
    rows = aggregate_metrics(expected, paths, [write_baseline(tmp_path)], levels).to_pylist()
    assert [row["status"] for row in rows] == ["ok"] * 4 + ["collapsed", "ok"]
    assert rows[4]["reason"] == "100.0% of its predictions are class 1, as 50.0% of the examples are; not defined: mcc"
    assert (rows[4]["ending"], rows[4]["accuracy"]) == (Collapse.ONE_CLASS, 0.5)
    assert [path.read_bytes() for path in paths] == before


def test_a_run_that_occurs_twice_is_refused(tmp_path, expected, levels):
    paths = write_metrics(tmp_path, [*expected, expected[0]])
    error = refusal(aggregate_metrics, expected, paths, [write_baseline(tmp_path)], levels)
    assert error.found.endswith(expected[0]["run_id"])


def test_a_run_of_another_design_is_refused(tmp_path, expected, levels):
    paths = write_metrics(tmp_path, expected)
    error = refusal(aggregate_metrics, expected[1:], paths, [write_baseline(tmp_path)], levels)
    assert error.found.endswith(expected[0]["run_id"])
    assert "results/runs" in error.remedy


def test_a_damaged_file_is_named(tmp_path, expected, levels):
    paths = write_metrics(tmp_path, expected)
    paths[3].write_bytes(paths[3].read_bytes()[:100])
    error = refusal(aggregate_metrics, expected, paths, [write_baseline(tmp_path)], levels)
    assert error.where == str(paths[3])


def test_the_baselines_own_point_is_marked(tmp_path, raw_config):
    study = plan_study(read_config(raw_config))
    expected = design_rows(study.runs.values())
    table = aggregate_metrics(expected, [], [write_baseline(tmp_path)], baseline_levels(study.config)).to_pylist()
    marked = [row for row in table if row["is_baseline_point"]]
    assert {(row["learning_rate"], row["batch_size"], row["epochs"]) for row in marked} == {(1e-4, 32, 1)}
    assert [row["seed"] for row in marked] == [0, 1]


# Learning curves


def training(folder: Path, run: Row, steps: list[Row]) -> Path:
    path = folder / run["run_id"] / "training.parquet"
    path.parent.mkdir(exist_ok=True)
    numbered = [{"step": number, "learning_rate": 1e-4, "grad_norm": 1.0} | row for number, row in enumerate(steps)]
    write_rows(numbered, path, TRAINING)
    return path


def test_bins_by_hand(tmp_path, expected):
    # 20 steps an epoch, so two in each tenth; step k takes k + 1 half seconds and has 30 tokens.
    seconds = 0.0
    steps = []
    for number in range(5):
        seconds += (number + 1) / 2
        steps.append({"epoch": (number + 1) / 20, "loss": float(number), "tokens": 30, "seconds": seconds})
    table = aggregate_curves(expected[:1], [training(tmp_path, expected[0], steps)])
    assert table.schema == LEARNING_CURVES
    rows = table.to_pylist()
    assert [row["epoch"] for row in rows] == pytest.approx([0.1, 0.2, 0.25])
    assert [row["loss"] for row in rows] == pytest.approx([0.5, 2.5, 4.0])
    assert [row["tokens_per_second"] for row in rows] == pytest.approx([60 / 1.5, 60 / 3.5, 30 / 2.5])
    assert {(row["run_id"], row["seed"], row["train_examples"]) for row in rows} == {(expected[0]["run_id"], 0, 256)}


@pytest.mark.parametrize("per_epoch", [3, 7, 10, 11, 30, 100, 625])
def test_every_epoch_has_ten_bins_or_one_a_step(tmp_path, expected, per_epoch):
    steps = [
        {"epoch": (number + 1) / per_epoch, "loss": 1.0, "tokens": 1, "seconds": number + 1.0}
        for number in range(3 * per_epoch)
    ]
    ends = [
        row["epoch"] for row in aggregate_curves(expected[:1], [training(tmp_path, expected[0], steps)]).to_pylist()
    ]
    assert len(ends) == 3 * min(per_epoch, 10)
    assert {1.0, 2.0, 3.0} <= {round(end, 12) for end in ends}


def test_a_clock_that_stands_still_gives_no_speed(tmp_path, expected):
    steps = [{"epoch": 0.5, "loss": 1.0, "tokens": 9, "seconds": 0.0}]
    assert (
        aggregate_curves(expected[:1], [training(tmp_path, expected[0], steps)]).to_pylist()[0]["tokens_per_second"]
        is None
    )


def test_a_run_without_steps_has_no_curve(tmp_path, expected):
    steps = [{"epoch": 1.0, "loss": 1.0, "tokens": 9, "seconds": 1.0}]
    table = aggregate_curves(
        expected[:2], [training(tmp_path, expected[0], []), training(tmp_path, expected[1], steps)]
    )
    assert table.column("run_id").to_pylist() == [expected[1]["run_id"]]
    assert aggregate_curves(expected[:1], [training(tmp_path, expected[0], [])]).schema == LEARNING_CURVES


# Evaluations after each epoch


def test_every_runs_evaluations_stand_in_one_table(tmp_path, expected):
    """The files that a run leaves, one kept where its submission failed; a run from before has a row that says so."""
    trainings = [training(tmp_path, run, []) for run in expected[:3]]
    for run, losses in ((expected[0], [0.5, 0.4]), (expected[1], [0.6, None])):
        rows = [{"epoch": at, "loss": loss, "accuracy": loss, "seconds": 1.0} for at, loss in enumerate(losses, 1)]
        write_rows(rows, tmp_path / run["run_id"] / "epochs.parquet", EPOCHS)
    trainings[1] = tmp_path / expected[1]["run_id"] / "finished/training/training.parquet"
    table = aggregate_epochs(expected, trainings)
    assert table.schema == EPOCH_EVALUATIONS
    names = [run["run_id"] for run in expected]
    rows = table.to_pandas().set_index("run_id")
    assert rows.index.tolist() == [names[0], names[0], names[1], names[1], names[2]]
    assert rows.loc[names[0], "loss"].tolist() == [0.5, 0.4]
    assert rows.loc[names[1], "epoch"].tolist() == [1, 2]
    assert rows.loc[names[2], "reason"] == UNRECORDED
    assert rows.loc[names[2], ["epoch", "loss"]].isna().all()
    assert rows.loc[names[2], "learning_rate"] == expected[2]["learning_rate"]


# The design file


def write_design(path: Path, rows: list[Row]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_design_comes_back_to_the_bit(tmp_path, raw_config):
    del raw_config["training"]["train_examples"]
    raw_config["sweep"]["factors"]["learning_rate"]["levels"] = [2.5e-05, 0.1 + 0.2, 1 / 3]
    rows = design_rows(plan_study(read_config(raw_config)).runs.values())
    assert {row["train_examples"] for row in rows} == {None}
    without_path = [{name: value for name, value in row.items() if name != "path"} for row in rows]
    assert read_design(write_design(tmp_path / "design.csv", rows)) == without_path


@pytest.mark.parametrize("name", ["nan", "null", "amazon"])
def test_a_data_set_may_have_any_name(tmp_path, expected, name):
    rows = [row | {"dataset": name} for row in expected]
    assert read_design(write_design(tmp_path / "design.csv", rows)) == rows


def test_a_design_of_an_earlier_version_has_the_parts_of_its_seeds(tmp_path, expected):
    """As a new clone finds it beside finished runs: without the columns of the parts."""
    parts = ("seed_init", "seed_order", "seed_dropout", "seed_sample")
    rows = [{name: value for name, value in row.items() if name not in parts} for row in expected]
    found = read_design(write_design(tmp_path / "design.csv", rows))
    assert [[row[name] for name in parts] for row in found] == [[row["seed"]] * 3 + [-1] for row in rows]
