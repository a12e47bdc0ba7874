"""Evaluations after each epoch: means over seeds against figures by hand, and which settings got worse."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from finevar.analyses.epochs import epoch_means, lowest_early, whole_runs
from finevar.columns import EPOCH_EVALUATIONS
from finevar.words.findings import epochs_sentence
from prose import numbers
from report_fixtures import fitting

FACTORS = ["learning_rate", "epochs"]


def evaluations(*runs: tuple[float, int, int, list[float | None]]) -> pd.DataFrame:
    """Return the table of runs: learning rate, epochs, seed and the loss after each epoch."""
    rows: list[dict[str, Any]] = [
        {"run_id": f"{rate}-{epochs}-{seed}", "dataset": "amazon", "seed": seed, "learning_rate": rate}
        | {"epochs": epochs, "epoch": at, "loss": loss}
        for rate, epochs, seed, losses in runs
        for at, loss in enumerate(losses, 1)
    ]
    return fitting(EPOCH_EVALUATIONS, rows)


def test_means_and_spread_by_hand():
    found = epoch_means(evaluations((1e-4, 2, 0, [0.5, 0.4]), (1e-4, 2, 1, [0.7, 0.4])), FACTORS)
    assert found["mean"].tolist() == pytest.approx([0.6, 0.4])
    assert found["high"].tolist() == pytest.approx([0.6 + 0.02**0.5, 0.4])  # the deviation of 0.5 and 0.7
    assert found["low"].tolist() == pytest.approx([0.6 - 0.02**0.5, 0.4])
    alone = epoch_means(evaluations((1e-4, 2, 0, [0.5, 0.4])), FACTORS)
    assert alone[["low", "high"]].isna().all(axis=None)


def test_runs_without_a_number_of_epochs_of_their_own_are_known_by_its_default():
    """3 in config/README.md: a table has nothing where a nested factor does not exist."""
    runs = evaluations((1e-4, 3, 0, [0.5, 0.4, 0.3]), (2e-4, 3, 0, [0.5, 0.4])).assign(epochs=None)
    assert whole_runs(runs)["loss"].tolist() == [0.5, 0.4, 0.3]


def test_a_run_that_lacks_an_epoch_is_in_no_mean():
    """It diverged in its second epoch, so that later means would be of others than earlier ones."""
    found = evaluations((1e-4, 2, 0, [0.5, 0.4]), (1e-4, 2, 1, [0.9]), (1e-4, 2, 2, [0.9, None]))
    assert set(whole_runs(found)["run_id"]) == {"0.0001-2-0"}
    assert epoch_means(found, FACTORS)["mean"].tolist() == [0.5, 0.4]
    assert epoch_means(found.iloc[:0], FACTORS).empty


def test_settings_whose_loss_was_lower_before_are_counted():
    found = evaluations(
        (1e-4, 1, 0, [0.5]), (1e-4, 2, 0, [0.5, 0.4]), (1e-4, 3, 0, [0.5, 0.4, 0.6]), (4e-4, 2, 0, [0.3, 0.9])
    )
    assert lowest_early(epoch_means(found, FACTORS), FACTORS) == (2, 3)
    assert numbers(epochs_sentence(2, 3)) == [2, 3]
    assert not numbers(epochs_sentence(0, 0))
