"""What is known of settings beyond the schema."""

from __future__ import annotations

import pytest

from finevar.columns import CARDS
from finevar.study.factors import CARD_COLUMNS, NOTED, setting, short_name
from finevar.study.settings import SPECS


def test_only_settings_are_noted_in_their_order_and_no_two_alike():
    assert list(NOTED) == [name for name in SPECS if name in NOTED]
    words = [setting(name).words for name in SPECS]
    assert len(set(words)) == len(words)


def test_model_cards_have_the_columns_of_their_factors():
    assert set(CARD_COLUMNS.values()) <= set(CARDS.names)


def test_a_setting_without_a_note_goes_by_its_name():
    assert setting("clip_norm").words == "clip norm"
    assert not setting("rate_floor").unit_of([0.0, 0.5])


@pytest.mark.parametrize(
    ("name", "levels", "unit", "mixed"),
    [
        ("warmup", [0, 0.1], "share of steps", False),
        ("warmup", [0, 100], "steps", False),
        ("warmup", [0.1, 100], "steps", True),
        ("dropout", [0.5, 1], "", False),
        ("max_length", [64, 128], "tokens", False),
    ],
)
def test_units(name, levels, unit, mixed):
    assert (setting(name).unit_of(levels), setting(name).mixes_units(levels)) == (unit, mixed)


def test_the_readable_part_of_an_id():
    assert short_name({"batch_size": 16, "learning_rate": 2e-5, "epochs": 2, "dropout": 0.1}) == "lr2e-05-bs16-ep2"
    assert short_name({"learning_rate": 1e-4, "batch_size": 16.0, "epochs": None}) == "lr0.0001-bs16"
