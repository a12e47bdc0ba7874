"""Inference for new seeds and new sentences: against R (clubSandwich, sandwich), closed forms and simulated truth."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.api import OLS
from tests.calibration import populations

import reference
from finevar.statistics.clustered import Clustered
from finevar.statistics.families import family
from finevar.statistics.seed_slopes import NO_NOISE, NO_SLOPES, ONE_SEED, SlopesTest, seed_slopes_test

SENTENCES = 12


def study(seeds: int, *, datasets: int = 1, missing: float = 0.0) -> Clustered:
    """Return a small study of seeds that shift and turn, sentences that do too, without a share of its runs."""
    draw = np.random.default_rng([seeds, datasets, int(100 * missing)])
    places = np.tile(populations.SETTINGS, (seeds * datasets, 1))
    seed = np.repeat(np.arange(seeds), len(populations.SETTINGS) * datasets)
    dataset = np.tile(np.repeat(np.arange(datasets), len(populations.SETTINGS)), seeds)
    kept = draw.random(len(seed)) >= missing
    places, seed, dataset = places[kept], seed[kept], dataset[kept]
    design = np.column_stack([populations.quadratic(places), *(dataset == number for number in range(1, datasets))])
    shifts = (draw.normal(size=(seeds, 4))[seed] * np.column_stack([np.ones(len(seed)), places])).sum(1)
    parts = []
    for number in range(datasets):
        rows = dataset == number
        turns = draw.normal(size=(4, SENTENCES))
        part = np.column_stack([np.ones(rows.sum()), places[rows]]) @ turns + draw.normal(size=(rows.sum(), SENTENCES))
        parts.append(shifts[rows, None] + number + part)
    return Clustered(design, seed, dataset, parts)


def weights_of(clustered: Clustered) -> np.ndarray:
    """Return some combinations of the parameters: slopes, the intercept, a prediction and one at random."""
    count = clustered.design.shape[1]
    some = np.vstack([clustered.design[3], np.random.default_rng(0).normal(size=count)])
    return np.vstack([np.eye(count)[[1, 2, 0, 7]], some])


STUDIES = {
    "balanced": {"seeds": 5},
    "unbalanced": {"seeds": 5, "missing": 0.3},
    "two data sets": {"seeds": 4, "datasets": 2, "missing": 0.3},
}


@pytest.fixture(scope="module", params=STUDIES)
def compared(request, tmp_path_factory) -> tuple[Clustered, dict[str, np.ndarray]]:
    """Return a study, and what R makes of it by quantity."""
    if missing := reference.missing_r():
        (pytest.fail if os.environ.get("FINEVAR_REQUIRE_R") else pytest.skip)(missing)
    clustered, folder = study(**STUDIES[request.param]), tmp_path_factory.mktemp("r")
    values = np.empty((len(clustered.seeds), SENTENCES))
    for number, part in enumerate(clustered.contributions):
        values[clustered.datasets == number] = part
    pd.DataFrame({"seed": clustered.seeds, "dataset": clustered.datasets}).to_csv(folder / "runs.csv", index=False)
    for name, matrix in (("design", clustered.design), ("values", values), ("weights", weights_of(clustered))):
        np.savetxt(folder / f"{name}.csv", matrix, fmt="%.17g", delimiter=",")
    script = Path(__file__).with_name("clustered.R")
    subprocess.run(["Rscript", str(script), str(folder)], check=True, capture_output=True)
    found = pd.read_csv(folder / "found.csv").groupby("quantity")["value"].apply(np.array)
    return clustered, found.to_dict()


def test_variance_between_seeds_is_clubsandwichs(compared):
    clustered, by_r = compared
    found = clustered.contrasts(weights_of(clustered), new_sentences=False)
    for name, values in (("estimate", found.estimate), ("seed", found.variance), ("p", found.p_value)):
        np.testing.assert_allclose(values, by_r[name], rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(found.df, by_r["seed_df"], rtol=1e-6)


def test_wald_test_of_the_calibration_is_clubsandwichs(compared):
    clustered, by_r = compared
    np.testing.assert_allclose(
        populations.wald(clustered, weights_of(clustered)[:2], new_sentences=False), by_r["htz"], rtol=1e-6
    )


ONE_DATASET = pytest.mark.parametrize("compared", ["balanced", "unbalanced"], indirect=True)


@ONE_DATASET
def test_variance_between_sentences_is_sandwichs(compared):
    """HC0 divides by N where the variance of a mean has N - 1."""
    clustered, by_r = compared
    found = clustered.contrasts(weights_of(clustered))
    np.testing.assert_allclose(found.sentence * (SENTENCES - 1) / SENTENCES, by_r["plain_sentence"], rtol=1e-6)


@ONE_DATASET
def test_variance_of_both_is_clubsandwichs_of_each_sentence(compared):
    clustered, by_r = compared
    np.testing.assert_allclose(clustered.contrasts(weights_of(clustered)).both, by_r["both"], rtol=1e-6)


@pytest.mark.parametrize("compared", ["balanced"], indirect=True)
def test_two_way_clustered_variance_is_sandwichs(compared):
    """Without small-sample factors: each part has (n - 1) / n, and cells count what a seed or sentence shares."""
    clustered, by_r = compared
    found, seeds = clustered.contrasts(weights_of(clustered)), 5
    seed, sentence = found.seed * (seeds - 1) / seeds, found.sentence * (SENTENCES - 1) / SENTENCES
    both = found.both * (seeds - 1) / seeds * (SENTENCES - 1) / SENTENCES
    np.testing.assert_allclose(seed, by_r["plain_seed"], rtol=1e-6)
    cells = both + seed / SENTENCES + sentence / seeds
    np.testing.assert_allclose(seed + sentence - cells, by_r["plain_two_way"], rtol=1e-6)


@pytest.mark.parametrize("name", STUDIES)
def test_sentences_vary_within_their_data_set_and_data_sets_add(name):
    clustered = study(**STUDIES[name])
    weights = weights_of(clustered)
    runs = weights @ np.linalg.pinv(clustered.design)
    values = [runs[:, clustered.datasets == number] @ part for number, part in enumerate(clustered.contributions)]
    parts = np.array([value.var(1, ddof=1) / SENTENCES for value in values])
    found = clustered.contrasts(weights)
    np.testing.assert_allclose(found.estimate, sum(value.mean(1) for value in values))
    np.testing.assert_allclose(found.sentence, parts.sum(0))
    np.testing.assert_allclose(found.sentence_df, parts.sum(0) ** 2 / ((parts**2).sum(0) / (SENTENCES - 1)))


@pytest.fixture(scope="module", params=[1, 2], ids=["one data set", "two data sets"])
def balanced(request) -> tuple[Clustered, list[np.ndarray]]:
    """Return a balanced study, and by data set the estimates of each seed alone [contrasts, seeds, sentences]."""
    clustered = study(5, datasets=request.param)
    estimates = [np.empty((6, 5, SENTENCES)) for _ in clustered.contributions]
    for seed in range(5):
        own = clustered.seeds == seed
        runs = weights_of(clustered) @ np.linalg.pinv(clustered.design[own])
        for number, part in enumerate(clustered.contributions):
            mine = clustered.datasets == number
            estimates[number][:, seed] = runs[:, mine[own]] @ part[own[mine]]
    return clustered, estimates


def test_balanced_interval_for_these_sentences_is_the_t_interval_of_the_seeds_own_estimates(balanced):
    clustered, estimates = balanced
    found = clustered.contrasts(weights_of(clustered), new_sentences=False)
    seeds = sum(part.mean(2) for part in estimates)
    by_scipy = stats.ttest_1samp(seeds, 0, axis=1)
    np.testing.assert_allclose(found.p_value, by_scipy.pvalue)
    np.testing.assert_allclose(found.df, 4)
    expected = by_scipy.confidence_interval(0.9)
    np.testing.assert_allclose(found.interval(0.9), [expected.low, expected.high])


def test_balanced_variance_of_both_is_that_of_the_residuals_of_sentence_and_seed(balanced):
    clustered, estimates = balanced
    expected = 0
    for part in estimates:
        rest = part - part.mean(1, keepdims=True) - part.mean(2, keepdims=True) + part.mean((1, 2), keepdims=True)
        expected = expected + (rest**2).sum((1, 2)) / (4 * (SENTENCES - 1)) / (5 * SENTENCES)
    np.testing.assert_allclose(clustered.contrasts(weights_of(clustered)).both, expected)


def test_variance_for_new_seeds_and_sentences_and_its_degrees_of_freedom(balanced):
    found = balanced[0].contrasts(weights_of(balanced[0]))
    seed, sentence = found.seed, found.sentence
    expected = np.maximum(seed + sentence - found.both, np.maximum(seed, sentence))
    np.testing.assert_allclose(found.variance, expected)
    df = expected**2 / (seed**2 / 4 + sentence**2 / found.sentence_df)
    np.testing.assert_allclose(found.p_value, 2 * stats.t.sf(np.abs(found.estimate) / np.sqrt(expected), df))


def test_a_frozen_baseline_varies_with_sentences_only(balanced):
    clustered, _ = balanced
    weights = weights_of(clustered)
    frozen = [np.random.default_rng(number).normal(size=SENTENCES) for number in range(len(clustered.contributions))]
    absolute, relative = clustered.contrasts(weights), clustered.against(frozen).contrasts(weights)
    np.testing.assert_allclose(relative.seed, absolute.seed)
    np.testing.assert_allclose(relative.both, absolute.both)
    np.testing.assert_allclose(relative.sentence[0], absolute.sentence[0])  # a slope has no baseline
    runs = weights[4] @ np.linalg.pinv(clustered.design)  # a prediction, of the first data set
    mine = clustered.datasets == 0
    change = runs[mine] @ clustered.contributions[0] - runs[mine].sum() * frozen[0]
    others = sum(
        (runs[clustered.datasets == 1] @ part - runs[clustered.datasets == 1].sum() * model).var(ddof=1) / SENTENCES
        for part, model in zip(clustered.contributions[1:], frozen[1:], strict=True)
    )
    assert relative.sentence[4] == pytest.approx(change.var(ddof=1) / SENTENCES + others)
    assert relative.estimate[4] == pytest.approx(absolute.estimate[4] - frozen[0].mean())


def test_with_few_seeds_the_variance_is_hc3s():
    clustered = populations.study(np.random.default_rng(0), 2)
    weights = np.eye(clustered.design.shape[1])
    found = clustered.contrasts(weights, new_sentences=False)
    np.testing.assert_allclose(found.std_error, clustered.few.bse)
    np.testing.assert_allclose(found.p_value, clustered.few.pvalues)


def test_what_rests_on_one_seed_alone_has_no_p_value():
    whole = study(4, datasets=2)
    kept = (whole.datasets == 0) | (whole.seeds == 0)
    parts = [part[kept[whole.datasets == number]] for number, part in enumerate(whole.contributions)]
    found = Clustered(whole.design[kept], whole.seeds[kept], whole.datasets[kept], parts).contrasts(np.eye(11))
    assert np.isnan(found.p_value).tolist() == [False] * 10 + [True]


def test_a_family_of_one_is_a_t_test():
    clustered = populations.study(np.random.default_rng(1), 5, effect=0.03)
    for new_sentences in (True, False):
        one = family(clustered, np.eye(10)[2:3], new_sentences=new_sentences)
        assert one.p_value[0] == pytest.approx(one.found.p_value[0], abs=0.005)
        np.testing.assert_allclose(one.interval(0.95), one.found.interval(0.95), rtol=0.02)


def test_p_values_of_uncorrelated_contrasts_are_sidaks():
    """Three main effects of a balanced design, for these sentences: independent t of 4 degrees of freedom each."""
    clustered = populations.study(np.random.default_rng(2), 5)
    judged = family(clustered, np.eye(10)[1:4], new_sentences=False)
    np.testing.assert_allclose(judged.p_value, 1 - (1 - judged.found.p_value) ** 3, atol=0.005)
    low, high = judged.interval(0.95)
    reach = stats.t.isf((1 - 0.95 ** (1 / 3)) / 2, 4) * judged.found.std_error
    np.testing.assert_allclose(high - low, 2 * reach, rtol=0.02)


def test_p_values_of_all_pairs_are_tukeys_where_only_sentences_vary():
    sentences, cells = 400, 5
    draw = np.random.default_rng(3).normal(size=(sentences, cells))
    alike = np.linalg.qr(draw - draw.mean(0))[0].T + np.array([0, 0, 0, 0.005, 0.008])[:, None]
    design = np.tile(np.eye(cells), (4, 1))
    seeds, none = np.repeat(np.arange(4), cells), np.zeros(4 * cells, int)
    clustered = Clustered(design, seeds, none, [np.tile(alike, (4, 1))])
    pairs = np.array([a - b for i, a in enumerate(np.eye(cells)) for b in np.eye(cells)[:i]])
    judged = family(clustered, pairs)
    expected = stats.studentized_range.sf(np.abs(judged.found.t) * np.sqrt(2), cells, sentences - 1)
    np.testing.assert_allclose(judged.p_value, expected, atol=0.01)


def test_draws_repeat():
    clustered = populations.study(np.random.default_rng(4), 5)
    first, second = (family(clustered, populations.simple_effects(), draws=6_000) for _ in range(2))
    np.testing.assert_array_equal(first.largest, second.largest)
    assert len(first.largest) == 6_000
    assert (first.p_value >= first.found.p_value).all()


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_seeds_change_slopes_is_an_f_test_within_cells(missing):
    clustered = study(3, missing=missing)
    surface = clustered.design
    cells = np.unique(surface, axis=0, return_inverse=True)[1]
    found = seed_slopes_test(clustered.metric, surface[:, 1:4], clustered.seeds, cells, surface)
    own = (clustered.seeds[:, None] == np.arange(1, 3)).astype(float)
    without = np.column_stack([cells[:, None] == np.unique(cells), own])
    each = np.column_stack([without, *(own[:, [seed]] * surface[:, 1:4] for seed in range(2))])
    expected = OLS(clustered.metric, each).fit().compare_f_test(OLS(clustered.metric, without).fit())
    assert (found.f_value, found.p_value, found.df_numerator) == pytest.approx(expected)


def test_seeds_change_slopes_is_an_f_test_against_the_surface_where_no_cell_has_two_seeds():
    clustered = study(4)
    kept = np.arange(60) % 4 == clustered.seeds
    seeds, surface, values = clustered.seeds[kept] // 2, clustered.design[kept, :4], clustered.metric[kept]
    found = seed_slopes_test(values, surface[:, 1:], seeds, np.arange(len(values)), surface)
    without = np.column_stack([surface, seeds])
    each = np.column_stack([without, seeds[:, None] * surface[:, 1:]])
    expected = OLS(values, each).fit().compare_f_test(OLS(values, without).fit())
    assert (found.f_value, found.p_value, found.df_numerator) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("runs", "reason"), [(slice(0, 15), ONE_SEED), (slice(14, 45, 15), NO_SLOPES), (slice(0, 30, 5), NO_NOISE)]
)
def test_seeds_change_slopes_cannot_be_tested(runs, reason):
    clustered = study(3)
    surface = clustered.design[runs][:, : 1 if reason == NO_SLOPES else 4]
    slopes, seeds = clustered.design[runs][:, 1:4], clustered.seeds[runs]
    found = seed_slopes_test(clustered.metric[runs], slopes, seeds, np.arange(len(seeds)), surface)
    assert found == SlopesTest(reason=reason)


@pytest.mark.parametrize(("seeds", "turn"), [(2, 0.0), (4, populations.TURN), (5, populations.TURN), (6, 0.0)])
def test_intervals_hold_the_effect_for_new_seeds_and_sentences(seeds, turn):
    """A rate of 95 % of 200 studies lies within three standard errors; with 2 seeds that keep their slopes as well."""
    drawn = (np.random.default_rng([7, seeds, number]) for number in range(200))
    held = [populations.covered(populations.study(draw, seeds, effect=0.03, turn=turn), 0.03) for draw in drawn]
    assert abs(np.mean(held) - 0.95) < 3 * (0.05 * 0.95 / 200) ** 0.5


def test_a_family_finds_nothing_where_seeds_only_change_slopes_and_tails_are_heavy():
    drawn = (np.random.default_rng([8, number]) for number in range(100))
    made = (populations.study(draw, 5, tails=True, sentence_turn=0.05) for draw in drawn)
    found = [dict(populations.findings(one, new_sentences=True))["largest of the draws"] for one in made]
    assert np.mean(found) < 0.05 + 3 * (0.05 * 0.95 / 100) ** 0.5
