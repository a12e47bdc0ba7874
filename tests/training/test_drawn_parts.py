"""The parts of a training that are drawn, each from a seed of its own, and what a drawn sample holds."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from test_lora import SETTINGS as LORA
from test_resuming import CLASSES, Case, assert_same, interrupt, make_examples, make_start, resume
from test_training_pairs import COUNT, LABELS, PAIRS
from test_training_pairs import start as start_of_pairs  # noqa: F401 - a fixture

from finevar.data.encoding import encode
from finevar.data.splitting import by_share
from finevar.models import checkpoint
from finevar.study.config import TRAINING_DEFAULTS
from finevar.study.seed_parts import FIRST, PARTS
from finevar.training import loop
from finevar.training.loop import Trained
from finevar.training.schedule import drawn_numbers, learnt_from
from finevar.training.start import first_state
from finevar.training.steps import Course

SEED = {"init": 1, "order": 2, "dropout": 3, "sample": 4}
SETTINGS = TRAINING_DEFAULTS | {"batch_size": 3, "epochs": 2, "max_length": 32, "train_examples": 20, "dropout": 0.5}
SIZES = [60, 30, 10]  # of the classes of a pool
POOL = np.repeat(range(3), SIZES)[by_share(pd.Series(np.repeat(range(3), SIZES)))]


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    return make_start("no head", tmp_path_factory.mktemp("start"))


@pytest.fixture(scope="module")
def case(start) -> Case:
    return Case(start, make_examples(random.Random(0), 40), SETTINGS, SEED)


def standing(case: Case, **seeds: int) -> Trained:
    """Train at a rate of zero: the weights stay those of the start."""
    return replace(case, seed=SEED | seeds).train(changes={"learning_rate": 0.0, "weight_decay": 0.0})


# What each part decides -----------------------------------------------------------------------------------------------


def head_of(trained: Trained) -> list[Any]:
    return [trained.weights[name].tolist() for name in ("classifier.weight", "pre_classifier.weight")]


def column(trained: Trained, name: str) -> list[Any]:
    return [row[name] for row in trained.steps]


@pytest.mark.parametrize("pads", [False, True])
@pytest.mark.parametrize("part", PARTS)
def test_another_seed_of_one_part_changes_that_part_alone(case, monkeypatch, part, pads):
    monkeypatch.setattr(loop, "pads", lambda _: pads)
    one, other = standing(case), standing(case, **{part: 9})
    assert (head_of(one) != head_of(other)) == (part == "init")
    assert (column(one, "tokens") != column(other, "tokens")) == (part in ("order", "sample"))
    assert (one.summary["tokens"] != other.summary["tokens"]) == (part == "sample")
    assert column(one, "loss") != column(other, "loss")


def test_without_dropout_in_the_encoder_its_seed_still_drops_units_of_the_head(case):
    one, other = (replace(case, seed=SEED | {"dropout": seed}).train(changes={"dropout": 0.0}) for seed in (3, 9))
    assert column(one, "loss") != column(other, "loss")


def test_loras_factors_are_drawn_from_init(start, case):
    weights, family = checkpoint.load_model(start)
    checkpoint.fit_head(weights, family, [], CLASSES, 0)

    def factors(**seeds: int) -> dict[str, torch.Tensor]:
        course = Course(family, case.examples, LORA, SEED | seeds, torch.float32)
        return {name: factor for name, factor in first_state(weights, course).weights.items() if "lora_A" in name}

    one = factors()
    assert one
    assert all(torch.equal(one[name], factor) for name, factor in factors(order=9, dropout=9, sample=9).items())
    assert not any(torch.equal(one[name], factor) for name, factor in factors(init=9).items())


def test_one_seed_is_that_of_all_parts_but_the_sample(case):
    parts = {"init": 5, "order": 5, "dropout": 5, "sample": FIRST}
    assert_same(replace(case, seed=5).train(), replace(case, seed=parts).train())


def test_a_drawn_sample_is_resumed_to_the_same_bytes(case, tmp_path):
    whole = case.train()
    for at in (2, 9):  # in the first and in the second epoch, of seven steps each
        interrupt(case, tmp_path, at)
    assert_same(resume(case, tmp_path), whole)


# Samples --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "shares"), [(10, [6, 3, 1]), (50, [30, 15, 5]), (100, SIZES)])
def test_a_sample_holds_each_class_by_its_share_and_nothing_twice(count, shares):
    for seed in range(20):
        drawn = drawn_numbers(POOL, count, seed)
        assert np.bincount(POOL[drawn]).tolist() == shares
        assert len(set(drawn.tolist())) == count


def test_every_example_is_drawn_as_often_as_others_of_its_class():
    seeds, count = 2_000, 20
    times = np.bincount(np.concatenate([drawn_numbers(POOL, count, seed) for seed in range(seeds)]), minlength=100)
    for k, size in enumerate(SIZES):
        share = 0.2  # 12 of 60, 6 of 30, 2 of 10
        z = (times[np.equal(POOL, k)] - seeds * share) / np.sqrt(seeds * share * (1 - share))
        assert len(z) == size
        assert np.abs(z).max() < 4.5


def test_a_larger_sample_of_a_seed_holds_the_smaller():
    for seed in range(5):
        drawn = [set(drawn_numbers(POOL, count, seed).tolist()) for count in range(3, 101)]
        assert all(smaller < larger for smaller, larger in itertools.pairwise(drawn))


def test_seeds_draw_different_samples():
    drawn = [drawn_numbers(POOL, 50, seed) for seed in range(10)]
    shared = [len(np.intersect1d(one, other)) for k, one in enumerate(drawn) for other in drawn[:k]]
    # Hypergeometric: 30 * 30/60 + 15 * 15/30 + 5 * 5/10 = 25 in common, with a standard deviation of 2.5.
    assert abs(np.mean(shared) - 25) < 3 * 2.5 / np.sqrt(len(shared) / 2)


def test_of_all_examples_any_sample_is_the_same(case):
    settings = {"train_examples": len(case.examples)}
    assert_same(case.train(changes=settings), replace(case, seed=SEED | {"sample": 8}).train(changes=settings))
    assert_same(case.train(changes=settings), replace(case, seed=SEED | {"sample": FIRST}).train(changes=settings))


def test_what_is_drawn_of_pairs_are_whole_pairs(start_of_pairs):  # noqa: F811
    pool = encode(PAIRS, LABELS, start_of_pairs)
    numbers = drawn_numbers(pool.labels, COUNT // 2, 3)
    found = learnt_from(pool, COUNT // 2, 3)
    for k, n in enumerate(numbers):
        one = encode([PAIRS[n]], [LABELS[n]], start_of_pairs)
        assert found.sentence(k, 32).tolist() == one.sentence(0, 32).tolist()
        assert found.pairs[k].tolist() == one.pairs[0].tolist()
    assert found.labels.tolist() == [LABELS[n] for n in numbers]
    first = learnt_from(pool, 5, FIRST)
    assert [first.sentence(k, 32).tolist() for k in range(5)] == [pool.sentence(k, 32).tolist() for k in range(5)]
