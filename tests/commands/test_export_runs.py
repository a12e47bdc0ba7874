"""A study's runs for other programs: a tidy CSV with its dictionary, and an MLflow file store; both read back."""

from __future__ import annotations

import builtins
from pathlib import Path

import pandas as pd
import pytest
import yaml

from finevar import ROOT
from finevar.columns import FOUND_METRICS, STUDY_METRICS, listed_metrics
from finevar.commands import export_runs
from finevar.errors import InputError
from finevar.found.listed import listed_runs
from finevar.metrics import RESPONSES
from finevar.parquet import write_table
from finevar.study.config import read_config
from finevar.study.listed_runs import read_runs
from simulated_runs import simulated


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return a folder in which the example's runs have been aggregated."""
    monkeypatch.chdir(ROOT)
    config = read_config(yaml.safe_load((ROOT / "config/studies/own_runs.yaml").read_text(encoding="utf-8")))
    table = listed_runs(read_runs(config), config)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config" / "examples").mkdir(parents=True)
    (tmp_path / "config" / "examples" / "runs.csv").write_text(simulated(), encoding="utf-8")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config_as_written()), encoding="utf-8")
    (tmp_path / "results" / "own_runs").mkdir(parents=True)
    write_table(table, tmp_path / "results" / "own_runs" / "metrics.parquet")
    return tmp_path


def config_as_written() -> dict:
    return yaml.safe_load((ROOT / "config/studies/own_runs.yaml").read_text(encoding="utf-8"))


def export(folder: Path, to: str) -> Path:
    assert export_runs.main(["--configfile", str(folder / "config.yaml"), "--to", to]) == 0
    return folder / "results" / "own_runs" / "export"


def test_the_csv_holds_every_run_and_the_dictionary_every_column(folder):
    out = export(folder, "csv")
    runs, dictionary = pd.read_csv(out / "runs.csv"), pd.read_csv(out / "dictionary.csv", keep_default_na=False)
    source = pd.read_csv(folder / "config/examples/runs.csv").iloc[1:].reset_index(drop=True)
    assert runs["run_id"].tolist() == source["run"].tolist()
    for name in ("learning_rate", "lora_rank", "accuracy", "loss"):
        pd.testing.assert_series_equal(runs[name].astype(float), source[name].astype(float), check_names=False)
    assert dictionary["column"].tolist() == runs.columns.tolist()
    units = dictionary.set_index("column")["unit"]
    assert (units["loss"], units["train_seconds"], units["accuracy"]) == ("nats", "s", "")
    assert (dictionary["meaning"] != "").all()


def test_every_column_that_a_table_of_runs_can_have_has_a_meaning_of_its_own():
    names = {*STUDY_METRICS.names, *FOUND_METRICS.names, *listed_metrics(["adapter_width"]).names}
    own = [name for name in names if export_runs.meaning(name)[0].startswith("hyperparameter ")]
    assert own == ["adapter_width"]
    assert all(export_runs.meaning(f"baseline_{name}")[0] for name in RESPONSES)


def test_what_is_exported_is_a_table_that_can_be_analysed(folder):
    config = config_as_written()
    config["runs"]["file"] = str(export(folder, "csv") / "runs.csv")
    config["baseline"] = {}
    again = [run for run in read_runs(read_config(config)) if not run.code]
    first = pd.read_parquet(folder / "results/own_runs/metrics.parquet")
    assert [run.metrics.get("loss") for run in again] == first["loss"].astype(object).where(
        first["loss"].notna(), None
    ).tolist()
    assert [run.status for run in again] == first["status"].tolist()


def test_without_mlflow_the_message_names_the_command(folder, monkeypatch, capsys):
    usual = builtins.__import__

    def without(name: str, *rest: object, **named: object) -> object:
        if name.partition(".")[0] == "mlflow":
            raise ImportError(name)
        return usual(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert export_runs.main(["--configfile", str(folder / "config.yaml"), "--to", "mlflow"]) == 1
    assert "-m pip install mlflow-skinny" in capsys.readouterr().err
    assert not (folder / "results/own_runs/export/mlruns").exists()


def test_a_study_without_runs_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="make study"):
        export_runs.runs_of("nothing")


def test_the_mlflow_store_is_one_that_mlflow_reads(folder):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed, and need not be")
    out = export(folder, "mlflow")
    out = export(folder, "mlflow")  # again, in place of the first
    client = mlflow.MlflowClient((out / "mlruns").absolute().as_uri())
    (experiment,) = client.search_experiments()
    found = client.search_runs(experiment.experiment_id, max_results=1000)
    table = pd.read_parquet(folder / "results/own_runs/metrics.parquet").set_index("run_id")
    table["train_seconds"] = table["train_seconds"].fillna(0)
    assert {run.info.run_name for run in found} == set(table.index)
    for run in found:
        row = table.loc[run.info.run_name]
        assert float(run.data.params["learning_rate"]) == row["learning_rate"]
        assert run.info.status == ("FINISHED" if row["status"] == "ok" else "FAILED")
        assert run.data.metrics.get("accuracy") == (row["accuracy"] if row["status"] == "ok" else None)
        assert (run.info.end_time - run.info.start_time) / 1000 == pytest.approx(row["train_seconds"], abs=1e-3)
