"""What a study's seeds change, in words."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from finevar.reasons import Head
from finevar.study.config import TRAINING_DEFAULTS
from finevar.study.seed_parts import FIRST
from finevar.words.seeds import decided_sentence, idle_sentences, seed_sentences, seed_words, seeds_text

EVERY = {"seeds": {"init": 2, "order": 2, "dropout": 2, "sample": 2}}


def idle(sweep: dict[str, Any], *, keeps_head: bool = False, **settings: Any) -> list[str]:
    runs = pd.DataFrame([{"dataset": "amazon", **TRAINING_DEFAULTS, "train_examples": 100, **settings}])
    said = idle_sentences(sweep, runs, {"amazon": 200}, keeps_head=keeps_head)
    return [sentence.split()[3].replace("the", "sample") for sentence in said]


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({}, []),
        ({"train_examples": 199}, []),
        ({"train_examples": 200}, ["sample"]),
        ({"train_examples": None}, ["sample"]),
        ({"dropout": 0.0}, []),
        ({"keeps_head": True}, ["init"]),
        ({"keeps_head": True, "method": "lora"}, []),
        ({"keeps_head": True, "reinit_layers": 1}, []),
    ],
)
def test_parts_that_change_nothing_are_named(settings, parts):
    assert idle(EVERY, **settings) == parts


def test_what_the_config_does_not_name_is_not_missed():
    off = {"train_examples": None, "dropout": 0.0, "keeps_head": True}
    assert idle({"seeds": [0, 1]}, **off) == []
    assert idle({"seeds": [0, 1], "vary": ["order", "sample"]}, **off) == ["sample"]
    assert idle(EVERY, **off) == ["init", "sample"]


def test_combinations_are_counted_as_such():
    assert seeds_text({"seeds": [3, 4, 5]}) == seeds_text({"seeds": {"order": 3}}) == "3 seeds"
    assert seeds_text({"seeds": {"order": 3, "init": [7, 8]}}) == "6 combinations of seeds (2 of init and 3 of order)"


def test_a_seed_of_parts_is_named_by_each():
    assert seed_words(3) == "seed 3"
    said = seed_words({"init": 1, "order": 0, "dropout": 0, "sample": FIRST})
    assert [word for word in said.split() if word.strip(",").lstrip("-").isdigit()] == ["1,", "0,", "0"]


def test_a_kept_head_is_nothing_that_a_seed_decides():
    for head, decides in ((Head.NEW, True), (Head.KEPT, False)):
        metrics = pd.DataFrame({"head": [head], "seed": [0], "method": "full", "reinit_layers": 0})
        assert ("head" in decided_sentence({"seeds": [0]}, metrics)) is decides
        assert "LoRA" in decided_sentence({"seeds": [0]}, metrics.assign(method="lora"))
        assert "blocks" in decided_sentence({"seeds": [0]}, metrics)
        assert "crossed" in decided_sentence(EVERY, metrics)
        assert len(seed_sentences({"seeds": [0]}, metrics)) == len(seed_sentences(EVERY, metrics)) == 1
        assert len(seed_sentences({"seeds": [0], "vary": ["order"]}, metrics)) == 2
