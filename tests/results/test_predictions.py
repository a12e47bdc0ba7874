"""Saved predictions are read in the runs' order, and only set side by side where they are of the same examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from finevar.errors import InputError
from finevar.results import predictions
from prediction_fixtures import write_predictions

LABELS = np.array([0, 1, 1, 0])
RIGHT = np.array([[2, 0], [0, 2], [0, 2], [2, 0]], dtype=np.float32)
WRONG_ON_FIRST = np.array([[0, 2], [0, 2], [0, 2], [2, 0]], dtype=np.float32)


def runs_of(*names: str, dataset: str = "amazon", positive: int | None = None) -> pd.DataFrame:
    return pd.DataFrame({"run_id": names, "dataset": dataset, "positive_label": positive})


def write_run(root: Path, dataset: str, run_id: str, logits: np.ndarray, ids: list[str] | None = None) -> None:
    write_predictions(root / dataset / run_id / "predictions.parquet", logits, LABELS, ids)


def read_contributions(runs: pd.DataFrame, response: str, root: Path) -> dict[str, np.ndarray]:
    return predictions.contributions_of(runs, response, runs, predictions.read_runs(runs, root))


def test_contributions_come_in_the_runs_order_by_data_set(tmp_path):
    write_run(tmp_path, "amazon", "a", RIGHT)
    write_run(tmp_path, "amazon", "b", WRONG_ON_FIRST)
    write_run(tmp_path, "tweets", "c", WRONG_ON_FIRST)
    runs = pd.concat([runs_of("b"), runs_of("c", dataset="tweets"), runs_of("a")])
    found = read_contributions(runs, "accuracy", tmp_path)
    assert list(found) == ["amazon", "tweets"]
    np.testing.assert_array_equal(found["amazon"], [[0, 1, 1, 1], [1, 1, 1, 1]])
    np.testing.assert_array_equal(found["tweets"], [[0, 1, 1, 1]])
    losses = read_contributions(runs, "loss", tmp_path)["amazon"]
    np.testing.assert_allclose(losses[0], [np.log1p(np.exp(2))] + [np.log1p(np.exp(-2))] * 3, rtol=1e-12)


@pytest.mark.parametrize("positive", [0, 1, None])
def test_contributions_to_f1_are_of_the_positive_class(tmp_path, positive):
    write_run(tmp_path, "amazon", "a", WRONG_ON_FIRST)
    (found,) = read_contributions(runs_of("a", positive=positive), "f1", tmp_path)["amazon"]
    expected = f1_score(LABELS, WRONG_ON_FIRST.argmax(1), pos_label=1 if positive is None else positive)
    assert found.mean() == pytest.approx(expected)


def test_no_runs_have_no_contributions(tmp_path):
    assert read_contributions(runs_of(), "accuracy", tmp_path) == {}


def test_runs_without_a_value_are_left_out(tmp_path):
    write_run(tmp_path, "amazon", "a", RIGHT)
    write_run(tmp_path, "amazon", "b", WRONG_ON_FIRST)
    known = runs_of("a", "b")
    found = predictions.contributions_of(runs_of("b"), "accuracy", known, predictions.read_runs(known, tmp_path))
    np.testing.assert_array_equal(found["amazon"], [[0, 1, 1, 1]])


def test_other_examples_or_another_order_are_refused(tmp_path):
    write_run(tmp_path, "amazon", "a", RIGHT)
    for name, ids in {"order": ["1", "0", "2", "3"], "fewer": None}.items():
        write_run(tmp_path, "amazon", name, RIGHT if ids else np.empty((0, 2)), ids)
        with pytest.raises(InputError, match=rf"{name}/predictions.parquet: found \d examples that are not those of"):
            predictions.read_runs(runs_of("a", name), tmp_path)


def test_another_number_of_classes_is_refused(tmp_path):
    write_run(tmp_path, "amazon", "a", RIGHT)
    write_run(tmp_path, "amazon", "three", np.column_stack([RIGHT, [0, 0, 0, 0]]))
    with pytest.raises(InputError, match="another number of classes"):
        predictions.read_runs(runs_of("a", "three"), tmp_path)


def test_predictions_that_wait_beside_their_place_are_read_there(tmp_path):
    """As where a submission failed after its evaluation: an interim report has that run, too."""
    write_run(tmp_path, "amazon", "a", RIGHT)
    write_run(tmp_path, "amazon", "b/finished/evaluation", WRONG_ON_FIRST)
    found = read_contributions(runs_of("a", "b"), "accuracy", tmp_path)
    np.testing.assert_array_equal(found["amazon"], [[1, 1, 1, 1], [0, 1, 1, 1]])
