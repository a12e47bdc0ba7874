"""Crossed parts of the seed: against R's lme4, closed forms and simulated truth."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reference
from finevar.statistics import components
from finevar.statistics.clustered import Clustered
from finevar.statistics.components import Components
from finevar.statistics.crossed import crossed_parts, part_numbers

PLACES = np.array([-1.0, 0.0, 1.0])


def drawn(
    draw: np.random.Generator, settings: int, sds: tuple[float, float, float], a: int = 4, b: int = 5
) -> np.ndarray:
    """Return runs [settings, a, b]: half of each part's variance alike at all settings, half otherwise at each."""
    out = np.zeros((settings, a, b))
    for sd, shape in zip(sds, ((a, 1), (1, b), (a, b)), strict=True):
        out += sd * math.sqrt(0.5) * (draw.standard_normal(shape) + draw.standard_normal((settings, *shape)))
    return out


def study(values: np.ndarray, sentences: np.ndarray | None = None) -> Clustered:
    """Return a study of a line through three settings; values [settings, a, b], sentences [..., sentences]."""
    settings, a, b = values.shape
    setting, *parts = np.array(list(itertools.product(range(settings), range(a), range(b)))).T
    design = np.column_stack([np.ones(len(setting)), PLACES[setting]])
    each = np.zeros((len(setting), 2)) if sentences is None else sentences.reshape(len(setting), -1)
    seed = parts[0] * b + parts[1]
    return Clustered(design, seed, np.zeros_like(seed), [values.reshape(-1, 1) + each], parts=np.column_stack(parts))


# Variance components


def test_components_are_lme4s(tmp_path):
    if missing := reference.missing_r():
        (pytest.fail if os.environ.get("FINEVAR_REQUIRE_R") else pytest.skip)(missing)
    values = drawn(np.random.default_rng(3), 6, (1.0, 0.8, 0.5))
    rows = [(*place, value) for place, value in np.ndenumerate(values)]
    pd.DataFrame(rows, columns=["setting", "init", "order", "y"]).to_csv(tmp_path / "runs.csv", index=False)
    subprocess.run(["Rscript", str(Path(__file__).with_name("crossed.R")), str(tmp_path)], check=True)
    by_r = pd.read_csv(tmp_path / "found.csv").set_index("quantity")["value"]
    assert Components(values).found[:3] == pytest.approx(by_r[["init", "order", "both"]].to_numpy(), rel=1e-4)


def test_components_of_four_runs_by_hand():
    """Of y = 3 i + o + 0.5 i o at i, o = -1, 1: mean squares 36, 4 and 1, each with one degree of freedom."""
    side = np.array([-1.0, 1.0])
    values = (3 * side[:, None] + side + 0.5 * side[:, None] * side)[None]
    found = Components(values)
    assert found.found == pytest.approx([(36 - 1) / 2, (4 - 1) / 2, 1, 0])
    assert found.shares == pytest.approx(np.array([17.5, 1.5, 1, 0]) / 20)


def test_an_estimate_below_zero_counts_as_zero():
    side = np.array([-1.0, 1.0])
    found = Components((3 * side[:, None] + 2 * side[:, None] * side)[None])
    assert found.found == pytest.approx([(36 - 16) / 2, (0 - 16) / 2, 16, 0])
    assert found.variances.tolist() == pytest.approx([10, 0, 16, 0])
    assert found.shares.sum() == pytest.approx(1)


def test_three_parts_by_simulation():
    """Expected: 1 of the first part, 0.25 of its product with the third, 0.5 of all three; nothing of others."""
    draw, found = np.random.default_rng(5), []
    for _ in range(400):
        values = draw.standard_normal((2, 3, 1, 1)) + 0.5 * draw.standard_normal((2, 3, 1, 4))
        found.append(Components(values + math.sqrt(0.5) * draw.standard_normal((2, 3, 3, 4))).found)
    errors = np.std(found, axis=0) / math.sqrt(len(found))
    assert Components(values + np.zeros((2, 3, 3, 4))).sets == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    truth = np.array([1, 0, 0, 0, 0.25, 0, 0.5, 0])
    assert (np.abs(np.mean(found, axis=0) - truth) <= 3.5 * errors + 1e-12).all()


def test_sampling_of_sentences_is_taken_out():
    """Sentences of standard deviation 2 in every run: 100 of them make a variance of 0.04, which no part keeps."""
    draw, found = np.random.default_rng(6), []
    for _ in range(100):
        each = drawn(draw, 3, (0.3, 0.2, 0.1))[..., None] + 2 * draw.standard_normal((3, 4, 5, 100))
        found.append(Components(each.mean(-1), [each]).found)
    errors = np.std(found, axis=0) / 10
    assert (np.abs(np.mean(found, axis=0) - [0.09, 0.04, 0.01, 0.04]) <= 3.5 * errors).all()


def test_intervals_of_shares_and_ratios_hold_the_truth(monkeypatch):
    """Two hundred studies of 4 settings: 95 % intervals miss in at most 5 % and three standard errors."""
    monkeypatch.setattr(components, "DRAWS", 999)
    draw, sds = np.random.default_rng(7), (1.0, 0.7, 0.6)
    truth = np.square(sds) / np.square(sds).sum()
    held, ratios = [], []
    for _ in range(200):
        found = Components(drawn(draw, 4, sds, 3, 3))
        low, high = found.share_limits(0.95)
        held.append((low[:3] <= truth) & (truth <= high[:3]))
        _, low, high = found.ratio((0,), (1,), 0.95)
        ratios.append(low <= truth[0] / truth[1] <= high)
    assert np.mean(held, axis=0).min() >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 200)
    assert np.mean(ratios) >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 200)


# Contrasts


def test_variance_of_a_balanced_mean_is_that_of_crossed_random_effects():
    """V = (MS_a + MS_b - MS_ab) / (a b) of the combinations' own means."""
    values = drawn(np.random.default_rng(8), 3, (1.0, 1.0, 0.3))
    own = values.mean(0)
    first, second = own.mean(1), own.mean(0)
    rest = own - first[:, None] - second + own.mean()
    squares = 5 * first.var(ddof=1), 4 * second.var(ddof=1), (rest**2).sum() / 12
    expected = (squares[0] + squares[1] - squares[2]) / 20
    found = study(values).contrasts(np.array([[1.0, 0.0]]))
    assert found.estimate[0] == pytest.approx(own.mean())
    assert found.variance[0] == pytest.approx(expected)
    parts = np.array(squares) / 20
    assert found.df[0] == pytest.approx(expected**2 / (parts**2 / [3, 4, 12]).sum())


def test_variance_is_never_less_than_a_parts_own():
    values = np.zeros((3, 4, 4))
    values += np.array([1.0, -1, 1, -1])[:, None] * np.array([1.0, 1, -1, -1])
    found = study(values).contrasts(np.array([[1.0, 0.0]]))
    assert found.seed[0] == pytest.approx(0, abs=1e-12)


def test_sentences_that_parts_treat_otherwise_count_once():
    """V_both = (MS_as + MS_bs - MS_abs) / (a b n) of the sentences' own contrasts."""
    draw = np.random.default_rng(9)
    each = draw.standard_normal((1, 4, 1, 8)) + draw.standard_normal((1, 1, 5, 8)) + draw.standard_normal((3, 4, 5, 8))
    found = study(np.zeros((3, 4, 5)), each).contrasts(np.array([[1.0, 0.0]]))
    own = each.mean(0)
    own = own - own.mean((0, 1)) - own.mean(2, keepdims=True) + own.mean()
    first, second = own.mean(1), own.mean(0)
    rest = own - first[:, None] - second[None]
    squares = 5 * (first**2).sum() / 21, 4 * (second**2).sum() / 28, (rest**2).sum() / 84
    assert found.both[0] == pytest.approx((squares[0] + squares[1] - squares[2]) / 160)


@pytest.mark.parametrize("size", [3, 4])
def test_intervals_for_new_seeds_of_all_parts_hold_the_truth(size):
    """Parts that shift all runs and turn slopes; taken for independent, combinations miss far too often."""
    draw, held, alone = np.random.default_rng(size), [], []
    for _ in range(250):
        shifts, slopes = (
            draw.standard_normal((size, 1))
            + 0.7 * draw.standard_normal((1, size))
            + 0.4 * draw.standard_normal((size, size))
            for _ in range(2)
        )
        values = shifts + PLACES[:, None, None] * slopes + 0.2 * draw.standard_normal((3, size, size))
        crossed = study(values)
        for found, kept in ((crossed, held), (dataclasses.replace(crossed, parts=None), alone)):
            low, high = found.contrasts(np.eye(2)).interval(0.95)
            kept.append((low <= 0) & (high >= 0))
    assert (np.mean(held, axis=0) >= 0.93).all()
    assert (np.mean(held, axis=0) <= 0.99).all()
    assert (np.mean(alone, axis=0) < 0.9).all()


# Which parts are crossed


def test_parts_are_crossed_where_they_have_fewer_seeds_than_there_are_combinations():
    combinations = list(itertools.product((0, 1, 2), (5, 7)))
    runs = pd.DataFrame(combinations, columns=["seed_init", "seed_order"]).assign(seed=range(6), seed_dropout=0)
    assert crossed_parts(runs) == ["init", "order"]
    assert part_numbers(runs).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1]]
    together = runs.assign(seed_init=range(6), seed_order=range(6))
    assert crossed_parts(together) == []
    assert part_numbers(together) is None
