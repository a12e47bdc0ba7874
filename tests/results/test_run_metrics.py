"""Metrics are a function of predictions: a run's file of another version is scored again as it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, matthews_corrcoef

from finevar import ENGINES
from finevar.columns import METRICS, PREDICTIONS
from finevar.errors import InputError
from finevar.files import blank_seal, sealed
from finevar.metrics import Positive
from finevar.parquet import write_rows
from finevar.results.run_metrics import engine, read_run_metrics

LABELS = np.array([0, 1, 1, 0, 1])
LOGITS = np.array([[2.0, -1.0], [0.5, 1.5], [1.0, 0.0], [0.0, 3.0], [-1.0, 1.0]], dtype=np.float32)


def make_run(folder: Path, *, drop: tuple[str, ...] = (), **values: Any) -> Path:
    """Write a run as another version did: with the scores that it had, without some columns."""
    folder.mkdir()
    row = dict.fromkeys(METRICS.names) | {"run_id": "r", "status": "ok", "accuracy": 0.0, "engine": engine()} | values
    if row["status"] == "ok":
        rows = [
            {"example_id": str(number), "label": int(label), "logits": logits.tolist(), "loss": 0.0}
            for number, (label, logits) in enumerate(zip(LABELS, LOGITS, strict=True))
        ]
        write_rows(rows, folder / "predictions.parquet", PREDICTIONS)
    table = pa.Table.from_pylist([row], schema=METRICS).drop_columns(list(drop))
    buffer = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({"seal": blank_seal()}), buffer)
    (folder / "metrics.parquet").write_bytes(sealed(buffer.getvalue().to_pybytes()))
    return folder / "metrics.parquet"


def before() -> str:
    """Return the versions of a row that an older version of the metrics scored."""
    return f"{engine().rpartition('.')[0]}.0"


def test_a_row_of_this_version_is_read_as_it_is(tmp_path):
    assert read_run_metrics([make_run(tmp_path / "a", accuracy=0.123)])[0]["accuracy"] == 0.123


def test_a_row_of_another_version_is_scored_from_its_predictions(tmp_path):
    paths = [make_run(tmp_path / "a", accuracy=0.123), make_run(tmp_path / "b", engine=before(), train_seconds=3.0)]
    paths.append(make_run(tmp_path / "c", accuracy=0.321))
    one, row, three = read_run_metrics(paths)
    assert (one["accuracy"], three["accuracy"]) == (0.123, 0.321)
    predicted = LOGITS.argmax(1)
    probabilities = np.exp(LOGITS.astype(float)) / np.exp(LOGITS.astype(float)).sum(1, keepdims=True)
    assert row["accuracy"] == pytest.approx(accuracy_score(LABELS, predicted))
    assert row["f1"] == pytest.approx(f1_score(LABELS, predicted))
    assert row["mcc"] == pytest.approx(matthews_corrcoef(LABELS, predicted))
    assert row["loss"] == pytest.approx(log_loss(LABELS, probabilities))
    assert (row["train_seconds"], row["engine"]) == (3.0, engine())
    assert list(row) == METRICS.names


def test_a_metric_that_did_not_exist_then_is_there_now(tmp_path):
    (row,) = read_run_metrics([make_run(tmp_path / "a", drop=("brier", "loss_se"), engine=before())])
    assert row["brier"] is not None
    assert row["loss_se"] is not None
    assert list(row) == METRICS.names


def test_a_setting_that_did_not_exist_then_was_at_its_default(tmp_path):
    (row,) = read_run_metrics([make_run(tmp_path / "a", drop=("warmup", "schedule"), learning_rate=3e-4)])
    assert (row["warmup"], row["schedule"], row["learning_rate"]) == (0, "linear", 3e-4)  # as Hugging Face's Trainer
    assert list(row) == METRICS.names


def test_a_diverged_run_has_no_metrics_under_any_version(tmp_path):
    values = {"status": "diverged", "accuracy": None, "reason": "loss is nan"}
    (row,) = read_run_metrics([make_run(tmp_path / "a", drop=("brier",), engine=before(), **values)])
    assert (row["status"], row["reason"], row["accuracy"], row["brier"]) == ("diverged", "loss is nan", None, None)


@pytest.mark.parametrize("column", ["train_seconds", "device", "data_sha256"])
def test_a_file_that_lacks_what_no_predictions_tell_is_quarantined(tmp_path, column):
    path = make_run(tmp_path / "a", drop=(column,))
    with pytest.raises(InputError, match=column):
        read_run_metrics([path])
    assert not path.exists()


SPAM, HAM = Positive(1, "spam"), Positive(0, "ham")


@pytest.mark.parametrize(("own", "wanted"), [(SPAM, HAM), (HAM, SPAM), (None, HAM)])
def test_a_row_of_another_positive_class_is_scored_from_its_predictions(tmp_path, own, wanted):
    known = {"positive_label": own.label, "positive": own.name} if own else {}
    path = make_run(tmp_path / "a", dataset="d", f1=0.123, **known)
    assert read_run_metrics([path], {"other": wanted, "d": own})[0]["f1"] == 0.123
    (row,) = read_run_metrics([path], {"d": wanted})
    assert row["f1"] == pytest.approx(f1_score(LABELS, LOGITS.argmax(1), pos_label=wanted.label))
    assert (row["positive_label"], row["positive"], row["engine"]) == (*wanted, engine())


def test_a_row_scored_by_another_version_keeps_its_positive_class(tmp_path):
    path = make_run(tmp_path / "a", engine=before(), positive_label=0, positive="ham")
    (row,) = read_run_metrics([path])
    assert row["f1"] == pytest.approx(f1_score(LABELS, LOGITS.argmax(1), pos_label=0))


def test_columns_that_are_newer_than_a_run_are_no_damage(tmp_path):
    (row,) = read_run_metrics([make_run(tmp_path / "a", drop=("head", "positive", "positive_label", "chance"))])
    assert (row["head"], row["positive"], row["positive_label"]) == (None, None, 1)
    assert row["chance"] == pytest.approx(0.6 * 0.6 + 0.4 * 0.4)  # three of five labels and of five answers are 1


def test_the_versions_of_training_and_evaluation_stay_those_of_the_row(tmp_path):
    (row,) = read_run_metrics([make_run(tmp_path / "a", engine="a.b.c.x.y.0")])
    assert row["engine"] == f"a.b.c.x.y.{ENGINES['metrics']}"
