"""What became of a data set's rows, in words and as counts that add up."""

from __future__ import annotations

import pytest

from finevar.data.rows import require_accounted
from finevar.words.data import account_of, account_sentence, dropped_text
from prose import numbers

FACTS = {
    "read": 3708, "dropped_unlabelled": 67, "dropped_within_margin": 656, "dropped_repeats": 9,
    "dropped_other_reason": 0, "html_decoded": 38, "train": 2000, "eval": 800, "held_back": 176, "classes": ["a", "b"],
}  # fmt: skip


def test_the_account_is_of_rows_alone_and_adds_up():
    counts = account_of(FACTS)
    assert set(FACTS) - set(counts) == {"html_decoded", "classes"}
    assert counts.pop("read") == sum(counts.values())


def test_the_sentence_has_every_count_that_is_none():
    assert numbers(account_sentence(FACTS)) == [3708, 2976, 2000, 800, 176, 67, 656, 9]
    assert numbers(account_sentence({"read": 20, "train": 16, "eval": 4})) == [20, 20, 16, 4]


def test_a_reason_that_words_do_not_know_is_named_as_it_is_written():
    assert dropped_text(FACTS | {"dropped_other_reason": 3}).endswith("3 other reason")


def test_rows_that_nobody_accounts_for_are_an_error():
    require_accounted(FACTS, 2976)
    with pytest.raises(ArithmeticError):
        require_accounted(FACTS, 2975)
