"""Runs that a file lists: every row is a run or has a reason, whatever program wrote it, and the truth is found."""

from __future__ import annotations

import bz2
import csv
import io
import json
import math
import re
import subprocess
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pyarrow as pa
import pytest
import statsmodels.formula.api as smf
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from finevar import ROOT
from finevar.analyses.fits import FittedStudy, Plan, fit_study
from finevar.columns import STUDY_METRICS
from finevar.commands.analysis_jobs import ANALYSES, weigh_settings
from finevar.errors import InputError
from finevar.found.listed import listed_runs, listing_rows
from finevar.parquet import write_table
from finevar.reasons import Unused
from finevar.results.study_tables import as_table, read_metrics
from finevar.study.coding import codings_of
from finevar.study.config import read_config
from finevar.study.design import baseline_levels
from finevar.study.listed_runs import read_runs, used
from finevar.study.run_files import FORMS, number_of, read_listing, seconds_of
from finevar.study.schemas import TAKEN
from finevar.study.settings import SPECS
from simulated_runs import LOST, NOISE_SD, RANK, RATE, SQUARE, simulated

EXAMPLE = "config/studies/own_runs.yaml"


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def config_of(path: Path, *, factors=("learning_rate",), metrics=None, **keys) -> dict:
    """Return a config that names a file's columns."""
    runs = {"file": str(path), "metrics": metrics or {"accuracy": "accuracy"}} | keys.pop("runs", {})
    factors = factors if isinstance(factors, dict) else {name: {} for name in factors}
    sweep = {"factors": factors}
    return {"study": "x", "source": "runs", "runs": runs, "sweep": sweep, "analysis": {"model": "first_order"}} | keys


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def read(config: dict) -> pd.DataFrame:
    """Return what every row of a config's file is, and check that none is lost and each is used or has a reason."""
    checked = read_config(config)
    runs = read_runs(checked)
    rows = as_table("listing", listing_rows(runs)).to_pandas()
    assert rows["line"].tolist() == list(range(1, len(rows) + 1))
    assert (rows["use"] != "used").equals(rows["reason"].notna())
    table = listed_runs(runs, checked).to_pandas()
    assert len(table) == (rows["use"] != "excluded").sum()
    return rows.astype(object).where(rows.notna(), None)


def problem(config: dict) -> str:
    with pytest.raises(InputError) as caught:
        read_config(config)
    return str(caught.value)


# What each row is -----------------------------------------------------------------------------------------------------

TABLE = """run,state,learning_rate,seed,dataset,accuracy,loss
a,finished,1e-5,0,x,0.80,0.5
b,finished,1e-5,1,x,0.81,0.5
c,finished,3e-5,0,x,0.85,0.4
d,finished,3e-5,1,x,0.86,0.4
"""


@pytest.mark.parametrize(
    ("line", "use", "code"),
    [
        ("e,finished,1e-4,0,x,0.9,0.3", "used", None),
        ("e,FINISHED,1e-4,0.0,x,0.9,0.3", "used", None),
        ("e,,1e-4,0,x,0.9,", "used", None),
        ("e,crashed,3e-5,2,x,,", "missing", None),
        ("e,running,3e-5,2,x,,", "missing", None),
        ("e,on fire,3e-5,2,x,0.9,0.3", "missing", None),
        ("e,finished,3e-5,2,x,,", "missing", None),
        ("e,finished,3e-5,2,x,0.5,nan", "diverged", None),
        ("e,diverged,3e-5,2,x,,", "diverged", None),
        ("e,finished,3e-5,2,x,0.9,inf", "diverged", None),
        ("e,crashed,1e-3,0,x,,", "excluded", Unused.UNFINISHED),
        ("e,finished,,0,x,0.9,0.3", "excluded", Unused.NO_FACTOR),
        ("e,finished,adam,0,x,0.9,0.3", "excluded", Unused.NO_FACTOR),
        ("e,finished,1e-4,first,x,0.9,0.3", "excluded", Unused.NO_SEED),
        ("e,finished,1e-4,0.5,x,0.9,0.3", "excluded", Unused.NO_SEED),
        ("e,finished,1e-4,0,,0.9,0.3", "excluded", Unused.NO_DATASET),
        ("e,finished,1e-4,0,x,1.9,0.3", "excluded", Unused.IMPOSSIBLE),
        ("e,finished,1e-4,0,x,0.9,-0.3", "excluded", Unused.IMPOSSIBLE),
        ("e,pruned,1e-4,0,x,0.9,0.3", "excluded", Unused.PRUNED),
        ("e,finished,3e-5,1,x,0.86,0.4", "excluded", Unused.DUPLICATE),
        ("base,finished,,,x,0.7,0.6", "excluded", Unused.BASELINE),
    ],
)
def test_every_row_is_a_run_or_has_a_reason(tmp_path, line, use, code):
    path = write(
        tmp_path / "runs.csv", f"{TABLE}{line}\nbase,,,,x,0.7,0.6\n" if code != Unused.BASELINE else TABLE + line
    )
    rows = read(config_of(path, metrics={"accuracy": "accuracy", "loss": "loss"}, baseline={"run": "base"}))
    assert (rows["use"][4], rows["reason_code"][4]) == (use, code)
    assert rows["use"][:4].tolist() == ["used"] * 4


def test_rows_beyond_the_levels_asked_for_are_excluded(tmp_path):
    path = write(tmp_path / "runs.csv", TABLE + "e,finished,1e-2,0,x,0.9,0.3\n")
    rows = read(config_of(path, factors={"learning_rate": {"levels": [1e-5, 3e-5]}}))
    assert rows["reason_code"].tolist() == [None] * 4 + [Unused.RANGE]


def test_repeats_without_seeds_are_numbered_and_equal_names_get_their_rows(tmp_path):
    path = write(tmp_path / "runs.csv", "name,lr,accuracy\na,1,0.8\na,1,0.81\na,2,0.9\nb,2,0.9\n")
    runs = read_runs(read_config(config_of(path, factors={"learning_rate": {"column": "lr"}})))
    assert [run.seed for run in runs] == [0, 1, 0, 1]
    assert [run.run_id for run in runs] == ["a (row 1)", "a (row 2)", "a (row 3)", "b"]


def test_levels_that_differ_in_their_last_bits_are_one_setting(tmp_path):
    assert 0.1 + 0.2 != 0.3
    text = f"lr,seed,accuracy\n{0.1 + 0.2},0,0.8\n0.3,1,0.81\n0.5,0,0.9\n0.5,1,0.9\n"
    runs = read_runs(read_config(config_of(write(tmp_path / "runs.csv", text), factors={"lr": {}})))
    assert len({run.point_id for run in runs}) == len({run.levels["lr"] for run in runs}) == 2


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"runs": {"file": "none.csv"}}, ["runs.file", "none.csv"]),
        ({"metrics": {"accuracy": "acuracy"}}, ["runs.metrics.accuracy", "Did you mean 'accuracy'"]),
        ({"metrics": {"bleu": "accuracy"}}, ["runs.metrics"]),
        ({"factors": ("rate",)}, ["sweep.factors.rate", "'rate'"]),
        ({"factors": {"status": {"column": "learning_rate"}}}, ["sweep.factors", "status"]),
        ({"factors": {"seed_": {"column": "same"}}}, ["sweep.factors.seed_", "Remove seed_"]),
        ({"factors": {"learning_rate": {"coding": "log3"}}}, ["coding", "log10"]),
        ({"runs": {"seed": "Seed"}}, ["runs.seed", "Did you mean 'seed'"]),
        ({"runs": {"percent": ["loss"]}}, ["runs.percent", "accuracy"]),
        ({"baseline": {"run": "nobody"}}, ["baseline.run", "nobody"]),
        ({"baseline": {"run": "twice"}}, ["baseline.run", "2 rows named 'twice'", "baseline.metrics"]),
        ({"baseline": {"run": "a", "metrics": {"accuracy": 0.5}}}, ["config: baseline", "one of them"]),
        ({"baseline": {"settings": {"rate": 1}}}, ["baseline.settings", "no learning_rate"]),
        ({"analysis": {"responses": ["loss"]}}, ["analysis.responses", "runs.metrics"]),
        ({"source": "cards"}, ["source"]),
    ],
)
def test_mistakes_are_named_with_a_remedy(tmp_path, keys, words):
    lines = [*TABLE.splitlines(), *["twice,finished,1e-5,0,x,0.7,0.6"] * 2]
    rows = [line + f",{'same' if number == 0 else 7}" for number, line in enumerate(lines)]
    path = write(tmp_path / "runs.csv", "\n".join(rows))
    said = problem(config_of(path, **keys))
    assert all(word in said for word in words), said


def test_a_percent_sign_says_the_same_as_the_key(tmp_path):
    text = "lr,accuracy\n1,80%\n1,81.5%\n2,90\n2,91\n"
    config = config_of(write(tmp_path / "runs.csv", text), factors=("lr",), runs={"percent": ["accuracy"]})
    assert [run.metrics["accuracy"] for run in read_runs(read_config(config))] == [0.8, 0.815, 0.9, 0.91]


def test_percentages_are_found_and_the_remedy_works(tmp_path):
    text = "lr,accuracy\n" + "".join(f"{rate},{value}\n" for rate, value in ((1, 80), (1, 81.5), (2, 90), (2, 91)))
    config = config_of(write(tmp_path / "runs.csv", text), factors=("lr",))
    assert "Set runs.percent: [accuracy]" in problem(config)
    config["runs"]["percent"] = ["accuracy"]
    assert [run.metrics["accuracy"] for run in read_runs(read_config(config))] == [0.8, 0.815, 0.9, 0.91]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no row"]), ("a,b\n", ["no row"]), ("a,a\n1,2\n", ["column a twice"]),
        ("a,b\n1,2\n1,2,3\n", ["row 3", "3 cells"]),
    ],
)  # fmt: skip
def test_files_that_are_no_tables_are_refused(tmp_path, text, words):
    said = problem(config_of(write(tmp_path / "runs.csv", text)))
    assert all(word in said for word in words), said


def test_no_factor_may_be_called_as_a_column_of_the_table_of_runs():
    assert set(STUDY_METRICS.names) - set(SPECS) - set(TAKEN) <= {
        name for name in STUDY_METRICS.names if name.startswith("baseline_") or name.endswith(("_se", "_mb", "_sha256"))
    } | {"is_baseline_point", "trajectory_id", "f1_average", "train_examples_used", "dtype_used", "micro_batches"}


@pytest.mark.parametrize(("delimiter", "suffix"), [(",", "csv"), (";", "csv"), ("\t", "tsv"), (None, "parquet")])
def test_the_same_table_is_the_same_in_every_form_of_file(tmp_path, delimiter, suffix):
    frame, path = pd.read_csv(io.StringIO(TABLE)), tmp_path / f"runs.{suffix}"
    frame.to_csv(path, sep=delimiter, index=False) if delimiter else frame.to_parquet(path)
    runs = read_runs(read_config(config_of(path)))
    assert [(run.run_id, run.levels["learning_rate"], run.seed, run.metrics["accuracy"]) for run in runs] == list(
        frame[["run", "learning_rate", "seed", "accuracy"]].itertuples(index=False, name=None)
    )


@pytest.mark.parametrize("suffix", ["csv.gz", "csv.zip", "parquet.bz2"])
def test_a_compressed_table_is_read_as_what_it_holds(tmp_path, suffix):
    frame, path = pd.read_csv(io.StringIO(TABLE)), tmp_path / f"runs.{suffix}"
    if "parquet" in suffix:
        path.write_bytes(bz2.compress(frame.to_parquet()))
    else:
        frame.to_csv(path, index=False)
    assert [run.metrics["accuracy"] for run in read_runs(read_config(config_of(path)))] == frame["accuracy"].tolist()
    path.write_bytes(path.read_bytes()[:40])
    assert path.name in problem(config_of(path))


def test_numbers_with_decimal_commas_are_read_where_semicolons_part_cells(tmp_path):
    frame = pd.read_csv(io.StringIO(TABLE))
    frame.to_csv(tmp_path / "runs.csv", sep=";", decimal=",", index=False)
    runs = read_runs(read_config(config_of(tmp_path / "runs.csv")))
    assert [(run.levels["learning_rate"], run.metrics["accuracy"]) for run in runs] == list(
        frame[["learning_rate", "accuracy"]].itertuples(index=False, name=None)
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.text(max_size=8), min_size=3, max_size=3), min_size=1, max_size=8))
def test_any_cells_give_a_config_or_an_error_for_people(cells):
    text = io.StringIO()
    csv.writer(text).writerows([("lr", "accuracy", "state"), *cells])
    path = ROOT / "tests" / "found" / "any.csv"
    try:
        path.write_text(text.getvalue(), encoding="utf-8", errors="replace")
        read(config_of(path, factors=("lr",)))
    except InputError:
        pass
    finally:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("cell", "number"), [("1e-5", 1e-5), ("93.5%", 0.935), ("nan", None), ("inf", None), ("1_000", None), ("x", None)]
)
def test_a_number_is_a_finite_one(cell, number):
    assert number_of(cell) == number


# Exports as programs write them ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("multi_index", [False, True])
@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_of_optuna_is_read_as_it_is(tmp_path, multi_index, index, suffix):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.GridSampler({"lr": [1e-5, 1e-4, 1e-3]}))

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("lr", 1e-5, 1e-3, log=True)
        trial.set_user_attr("eval_loss", 0.5 - rate)
        if trial.number == 1:
            raise ValueError
        if trial.number == 2:
            raise optuna.TrialPruned
        return 0.8 + rate

    for _ in range(2):
        study.optimize(objective, n_trials=3, catch=(ValueError,))
    frame = study.trials_dataframe()
    path = tmp_path / f"trials{suffix}"
    written = study.trials_dataframe(multi_index=multi_index)
    written.to_csv(path, index=index) if suffix == ".csv" else written.to_parquet(path, index=index)
    metrics = {"accuracy": "value", "loss": "eval_loss"}
    config = config_of(path, factors={"learning_rate": {"column": "lr"}}, metrics=metrics)
    runs = read_runs(read_config(config))
    whole = frame[frame["state"] == "COMPLETE"]
    assert [run.metrics["accuracy"] for run in runs if run.status == "ok" and not run.code] == whole["value"].tolist()
    assert [run.seconds for run in runs] == pytest.approx(frame["duration"].dt.total_seconds().tolist(), abs=1e-6)
    assert sum(run.code == Unused.PRUNED for run in runs) == (frame["state"] == "PRUNED").sum()
    assert [run.metrics["loss"] for run in runs] == frame["user_attrs_eval_loss"].tolist()


# As mlflow.search_runs().to_csv() wrote it (mlflow 3.17), shortened.
MLFLOW = """run_id,experiment_id,status,artifact_uri,start_time,end_time,metrics.loss,metrics.accuracy,params.lr,params.seed
0381,9082,FAILED,file:///a,2026-11-28 05:02:29.875+00:00,,,,2e-05,2
5ee4,9082,FINISHED,file:///b,2026-11-28 05:02:29.839+00:00,2026-11-29 06:03:30.839+00:00,,0.81,2e-05,1
071b,9082,FINISHED,file:///c,2026-11-28 05:02:29.799+00:00,2026-11-28 05:02:31+00:00,0.3,0.8,1e-05,0
"""  # noqa: E501
# As the W&B app exports a table of runs.
WANDB = """"Name","State","Notes","User","Tags","Created","Runtime","Sweep","lr","seed","eval/accuracy","eval/loss"
"dry-sweep-1","finished","-","me","","2025-05-01T10:00:00.000Z","61","abc","0.00001","0","0.8","0.5"
"wet-sweep-2","finished","-","me","","2025-05-01T10:02:00.000Z","62","abc","0.0001","0","0.85","NaN"
"odd-sweep-3","crashed","-","me","","2025-05-01T10:04:00.000Z","3","abc","0.0001","1","",""
"raw-sweep-4","finished","-","me","","2025-05-01T10:06:00.000Z","60","abc","0.0001","2","0.86","0.4"
"""


@pytest.mark.parametrize(
    ("text", "names", "statuses", "seconds"),
    [
        (MLFLOW, {"accuracy": "accuracy", "loss": "loss"}, ["missing", "ok", "ok"], [None, 90061, 1.201]),
        (
            WANDB,
            {"accuracy": "eval/accuracy", "loss": "eval/loss"},
            ["ok", "diverged", "missing", "ok"],
            [61, 62, 3, 60],
        ),
    ],
    ids=["mlflow", "wandb"],
)
def test_tables_of_trackers_are_read_as_they_are(tmp_path, text, names, statuses, seconds):
    path = write(tmp_path / "export.csv", text)
    runs = read_runs(read_config(config_of(path, factors={"learning_rate": {"column": "lr"}}, metrics=names)))
    assert [run.status for run in runs] == statuses
    assert [run.seconds for run in runs] == seconds
    assert {run.code for run in runs} == {None}
    frame = pd.read_csv(io.StringIO(text))
    assert [run.seed for run in runs] == frame.filter(regex="seed").iloc[:, 0].tolist()
    assert [run.levels["learning_rate"] for run in runs] == frame.filter(regex=r"(^|\.)lr$").iloc[:, 0].tolist()


@pytest.mark.parametrize(("text", "form"), [(MLFLOW, "mlflow"), (WANDB, "wandb"), (TABLE, "plain")])
def test_a_form_is_known_by_its_columns(tmp_path, text, form):
    assert read_listing(write(tmp_path / "a.csv", text), "auto").form is FORMS[form]


def test_a_table_of_the_installed_mlflow_is_read_as_it_is(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed, and need not be")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    for rate in (1e-5, 1e-4):
        with mlflow.start_run():
            mlflow.log_param("learning_rate", rate)
            mlflow.log_metric("accuracy", 0.8 + rate)
    mlflow.search_runs().to_csv(tmp_path / "runs.csv", index=False)
    table = mlflow.search_runs()
    runs = read_runs(read_config(config_of(tmp_path / "runs.csv")))
    assert [run.status for run in used(runs)] == ["ok", "ok"]
    lasted = (table["end_time"] - table["start_time"]).dt.total_seconds()
    assert [run.seconds for run in runs] == pytest.approx(lasted.tolist())


@pytest.mark.parametrize("dumps", [str, json.dumps])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_of_wandbs_api_is_read_as_its_documentation_makes_it(tmp_path, dumps, suffix):
    rates, scores = [1e-5, 1e-4] * 3, [0.8, 0.9, 0.81, 0.91, 0.82, math.nan]
    rows = [
        {
            "summary": dumps({"eval": {"accuracy": score}, "_runtime": 61.5, "note": 'it\'s "nan"', "table": None}),
            "config": dumps({"optim": {"lr": {"value": rate}}, "seed": number // 2, "layers": [1, 2]}),
            "name": f"sweep-{number}",
        }
        for number, (rate, score) in enumerate(zip(rates, scores, strict=True))
    ]
    table, path = pd.DataFrame(rows), tmp_path / f"runs{suffix}"
    table.to_csv(path) if suffix == ".csv" else table.to_parquet(path)
    config = config_of(path, factors={"lr": {"column": "optim.lr"}}, metrics={"accuracy": "eval.accuracy"})
    runs = read_runs(read_config(config))
    assert [run.levels["lr"] for run in runs] == rates
    assert [(run.run_id, run.seed, run.seconds) for run in runs[:3]] == [(f"sweep-{n}", n // 2, 61.5) for n in range(3)]
    assert [run.metrics.get("accuracy") for run in runs] == [*scores[:-1], None]
    assert [run.status for run in runs] == [*["ok"] * 5, "diverged"]


def test_the_separator_that_excel_states_is_taken(tmp_path):
    rows = [[0.00001, 0, 0.8], [0.0001, 0, 0.9], [0.00001, 1, 0.81], [0.0001, 1, 0.91]]
    table = pd.DataFrame(rows, columns=["learning_rate", "seed", "accuracy"])
    path = write(tmp_path / "runs.csv", "sep=;\r\n" + table.to_csv(index=False, sep=";", decimal=","))
    assert [run.metrics["accuracy"] for run in read_runs(read_config(config_of(path)))] == [0.8, 0.9, 0.81, 0.91]


@pytest.mark.parametrize("lines", [True, False])
def test_json_becomes_a_csv_by_the_command(tmp_path, lines):
    table = pd.DataFrame({"learning_rate": [1e-5, 1e-4], "seed": [0, 0], "accuracy": [0.8, 0.9]})
    path = tmp_path / "runs.json"
    table.to_json(path, orient="records", lines=lines)
    command = re.search(r"Run: (.*), and name", problem(config_of(path)))[1]
    subprocess.run(command, shell=True, check=True)
    assert read(config_of(tmp_path / "runs.csv"))["use"].tolist() == ["used", "used"]


@pytest.mark.parametrize("name", ["train/batch_size", "optim.lr", "Learning Rate", "steps"])
def test_a_factor_whose_column_is_no_name_leads_to_its_column(tmp_path, name):
    path = tmp_path / "runs.csv"
    pd.DataFrame({name: [1, 2], "accuracy": [0.8, 0.9]}).to_csv(path, index=False)
    (offered,) = re.findall(r"`(\w+: {column: .*?})`", problem(config_of(path, factors=(name,))))
    factors = yaml.safe_load(offered)
    assert [*factors.values()] == [{"column": name}]
    assert read(config_of(path, factors=factors))["use"].tolist() == ["used", "used"]


def test_values_that_are_no_numbers_are_named_where_the_others_are_one(tmp_path):
    path = tmp_path / "runs.csv"
    pd.DataFrame({"size": ["800", "1,600", "3,200"], "accuracy": [0.7, 0.8, 0.9]}).to_csv(path, index=False)
    text = problem(config_of(path, factors=("size",)))
    assert all(words in text for words in ("800 in every run", "2 rows", "1,600"))


def test_a_column_is_found_by_the_end_of_its_path(tmp_path):
    path = tmp_path / "runs.csv"
    pd.DataFrame({"config.optim.lr.value": [1, 2], "accuracy": [0.8, 0.9]}).to_csv(path, index=False)
    assert "'config.optim.lr.value'" in problem(config_of(path, factors=("lr",)))


def test_times_are_read_as_pandas_writes_them():
    for seconds in (0.25, 61, 3723.5, 90061):
        assert seconds_of(str(pd.Timedelta(seconds=seconds))) == pytest.approx(seconds)
    assert seconds_of("0") is seconds_of("soon") is None


# The example, whose truth is known ------------------------------------------------------------------------------------


def example() -> dict:
    return read_config(yaml.safe_load((ROOT / EXAMPLE).read_text(encoding="utf-8")))


def analysed(config: dict, runs: pd.DataFrame) -> tuple[FittedStudy, dict]:
    """Return a study of listed runs and the rows of its tables."""
    plan = Plan(
        codings_of(config["sweep"]["factors"]), baseline_levels(config), config["analysis"]["responses"],
        config["analysis"]["model"], 0.95,
    )  # fmt: skip
    study = FittedStudy.of(runs, plan)
    tables = fit_study(study) | weigh_settings(study, {}, None)
    for analysis in ANALYSES:
        tables |= analysis(study)
    return study, {name: as_table(name, rows).to_pandas() for name, rows in tables.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the example's runs, through a file, and its tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        config = example()
        path = tmp_path_factory.mktemp("listed") / "metrics.parquet"
        write_table(listed_runs(read_runs(config), config), path)
        runs = read_metrics(path)
        return runs, *analysed(config, runs)


def test_the_shipped_file_is_what_its_script_writes():
    assert (ROOT / "config" / "examples" / "runs.csv").read_text(encoding="utf-8") == simulated()


def test_the_examples_truth_is_found(made):
    runs, study, tables = made
    assert (runs["status"] == "missing").sum() == len(LOST)
    rows = tables["coefficients"].query("response == 'accuracy' and framework == 'absolute' and units == 'coded'")
    rows = rows.drop_duplicates("term").set_index("term")
    for term, value in {"learning_rate": RATE, "learning_rate^2": SQUARE, "lora_rank": RANK}.items():
        assert abs(rows.loc[term, "estimate"] - value) < 3.5 * rows.loc[term, "std_error"]
    best = tables["recommendation"].query("role == 'recommended'")["point_id"].item()
    assert best.startswith("lr0.0001-")
    surface = next(one for one in study.surfaces if one.response == "accuracy")
    assert surface.pure_error_sd == pytest.approx(NOISE_SD, rel=0.35)


def test_the_fit_is_that_of_statsmodels(made):
    runs, study, _ = made
    codings = study.plan.codings
    frame = runs[runs["status"] == "ok"].assign(
        **{name: coding.coded(runs[name])[runs["status"] == "ok"] for name, coding in codings.items()}
    )
    formula = "accuracy ~ learning_rate * lora_rank + I(learning_rate**2) + I(lora_rank**2) + C(seed, Sum)"
    other = smf.ols(formula, frame).fit()
    surface = next(one for one in study.surfaces if one.response == "accuracy")
    assert surface.fit.ssr == pytest.approx(other.ssr, rel=1e-9)
    assert surface.fit.params[surface.names.index("learning_rate:lora_rank")] == pytest.approx(
        other.params["learning_rate:lora_rank"], rel=1e-6
    )


@pytest.mark.parametrize(
    "kind", ["no baseline", "figures only", "one seed", "random search", "two data sets", "failures"]
)
def test_tables_of_every_kind_are_analysed(kind):
    """Also those of a random search, where no setting has a second run, and without anything to compare with."""
    config = example()
    frame, draw = listed_runs(read_runs(config), config).to_pandas(), np.random.default_rng(1)
    if kind in ("no baseline", "figures only"):
        config["baseline"]["settings"] = {}
        frame["is_baseline_point"] = False
    if kind == "no baseline":
        frame[["baseline_accuracy", "baseline_loss"]] = np.nan
    if kind == "one seed":
        frame = frame[(frame["seed"] == 0) & (frame["status"] == "ok")].assign(train_seconds=np.nan)
    if kind == "random search":
        frame = frame[frame["status"] == "ok"].assign(seed=0)
        frame["lora_rank"] = draw.uniform(4, 16, len(frame))
        frame["point_id"] = [f"p{number}" for number in range(len(frame))]
    if kind == "two data sets":
        frame = pd.concat(
            [frame, frame.assign(dataset="other", run_id=frame["run_id"] + "o", accuracy=frame["accuracy"] - 0.1)]
        )
    if kind == "failures":
        frame.loc[frame["lora_rank"] == 16, ["status", "accuracy", "loss"]] = ["diverged", np.nan, np.nan]
        config["analysis"]["model"] = "interactions"
    frame["trajectory_id"] = frame["run_id"]
    study, tables = analysed(config, frame.reset_index(drop=True))
    assert {surface.response for surface in study.surfaces} == {"accuracy", "loss"}
    assert (
        (tables["effects"].query("dataset == ''")["estimate" if "estimate" in tables["effects"] else "change"])
        .notna()
        .all()
    )
    relative = tables["fits"].query("framework == 'relative'")["gate_code"]
    assert relative.notna().all() == (kind in ("no baseline", "figures only"))
    assert pa.Table.from_pandas(tables["recommendation"]).num_rows


# Of three epochs and four repeats: accuracy by repeat, then by epochs.
MEASURED = [[0.80, 0.83, 0.85], [0.81, 0.82, 0.86], [0.79, 0.83, 0.84], [0.80, 0.84, 0.87]]


def made_by_optuna(folder: Path) -> Path:
    """Return the table of an Optuna study of MEASURED."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    for row in MEASURED:
        for epochs, _ in enumerate(row, 1):
            study.enqueue_trial({"epochs": epochs})
        study.optimize(lambda trial, row=row: row[trial.suggest_int("epochs", 1, 3) - 1], n_trials=3)
    study.trials_dataframe().to_csv(folder / "trials.csv")
    return folder / "trials.csv"


def made_by_mlflow(folder: Path) -> Path:
    """Return the table of an MLflow run store of MEASURED."""
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed, and need not be")
    mlflow.set_tracking_uri((folder / "mlruns").as_uri())
    for row in MEASURED:
        for epochs, accuracy in enumerate(row, 1):
            with mlflow.start_run():
                mlflow.log_param("epochs", epochs)
                mlflow.log_metric("value", accuracy)
    mlflow.search_runs().to_csv(folder / "runs.csv")
    return folder / "runs.csv"


@pytest.mark.parametrize("maker", [made_by_optuna, made_by_mlflow])
def test_what_a_tracker_wrote_is_analysed(tmp_path, monkeypatch, maker):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    levels = {"epochs": {"levels": [1, 2, 3]}}
    checked = read_config(config_of(maker(tmp_path), factors=levels, metrics={"accuracy": "value"}))
    write_table(listed_runs(read_runs(checked), checked), tmp_path / "metrics.parquet")
    _, tables = analysed(checked, read_metrics(tmp_path / "metrics.parquet"))
    rows = tables["coefficients"].query("term == 'epochs' and framework == 'absolute' and units == 'natural'")
    slope, _ = np.polyfit([1, 2, 3] * 4, np.ravel(MEASURED), 1)
    assert rows["estimate"].unique() == pytest.approx([slope])
