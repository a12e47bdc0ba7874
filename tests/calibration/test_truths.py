"""Simulated studies have the truth that they are said to have, and scoring tells right answers from wrong ones."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn import metrics
from tests.calibration import counts, promises, simulate, truths, verdicts
from tests.calibration.truths import BETTER, CORNER, FACTORS, GRID, KINDS, RESPONSES, SMALLEST, USUAL, Cell

from finevar.statistics import families

SIZES = (3.0, 0.0, -1.5)
ALL = KINDS["all"]


def softplus_mean(centre: float, sd: float) -> float:
    """Return the expectation of a loss under normal margins, by the trapezoidal rule."""
    z = np.linspace(-9, 9, 2001)
    return float(np.trapezoid(np.logaddexp(0, -truths.CONFIDENCE * (centre + sd * z)) * stats.norm.pdf(z), z))


def test_a_clean_truth_is_additive_and_of_the_sizes_asked_for():
    truth = truths.truth_of(KINDS["clean"], SIZES, 0.0)
    for response in RESPONSES:
        sign = BETTER[response]
        expected = np.outer(sign * np.array(SIZES) * SMALLEST[response], np.ones(9))
        assert truth.simple_effects(response, "first") == pytest.approx(expected)
        assert truth.largest_changes(response, None) == pytest.approx(abs(expected[:, 0]))
        assert truth.surface(response, None)[len(GRID) // 2] == pytest.approx(USUAL[response])


def test_a_cliff_costs_what_it_says_at_the_corner_alone():
    flat, fallen = (truths.truth_of(KINDS["cliff"], SIZES, depth) for depth in (0.0, 0.2))
    for response, lost in (("accuracy", 0.2), ("f1", 0.2), ("loss", -0.2)):
        gap = flat.surface(response, None) - fallen.surface(response, None)
        assert gap == pytest.approx(lost * (np.arange(27) == CORNER))
    changes = fallen.largest_changes("accuracy", None)
    assert changes[1] == pytest.approx(0.2)  # of the factor without an effect elsewhere


def test_opposite_data_sets_cancel():
    truth = truths.truth_of(KINDS["opposite"], SIZES, 0.0)
    for response in RESPONSES:
        assert truth.surface(response, None) == pytest.approx(np.full(27, USUAL[response]))
        assert truth.largest_changes(response, None) == pytest.approx(np.abs(SIZES) * SMALLEST[response])


def test_margins_give_the_accuracy_and_loss_by_quadrature():
    """Under everything at once, at the corner: normal margins given the run's noise, which is t with 3 df."""
    truth = truths.truth_of(ALL, SIZES, 0.1)
    wide = truths.DIFFICULTY**2 + (truths.INTERACTIONS**2).sum() + truths.SEED_SENTENCE**2
    wide += truths.RUN_SENTENCE**2 * ALL.growth + truths.SHIFT**2 + 3 * truths.SLOPE**2
    spread = truths.RUN * ALL.growth / np.sqrt(3)
    centre = truth.margins[0, CORNER]

    def over_runs(function) -> float:
        return integrate.quad(lambda t: function(centre + spread * t) * stats.t.pdf(t, 3), -np.inf, np.inf)[0]

    accuracy = over_runs(lambda margin: stats.norm.cdf(margin / np.sqrt(wide)))
    assert accuracy == pytest.approx(truth.surface("accuracy", None)[CORNER], abs=1e-5)
    loss = over_runs(lambda margin: softplus_mean(margin, np.sqrt(wide)))
    assert truth.loss_scales[0, CORNER] * loss == pytest.approx(truth.surface("loss", None)[CORNER], abs=5e-5)


@pytest.mark.parametrize("kind", ["clean", "all"])
def test_many_studies_have_the_true_means(kind):
    """Of 80,000 sentences and 160 seeds, at every setting and from setting to setting; 40 errors are nearly normal."""
    truth = truths.truth_of(KINDS[kind], SIZES, 0.1 * KINDS[kind].cliff)
    generator = np.random.default_rng(1)
    drawn = [
        truths.metrics(
            truths.outcomes(truth.margins[0], truth.loss_scales[0], KINDS[kind], np.arange(27), (4, 2000), generator)
        )
        for _ in range(40)
    ]
    for name in RESPONSES:
        means = np.array([part[name].reshape(27, 4).mean(1) for part in drawn])
        true = truth.surface(name, None)
        for values, expected in ((means, true), (means - means[:, :1], true - true[0])):
            error = values.std(0, ddof=1) / np.sqrt(len(values)) + 1e-12
            assert np.abs((values.mean(0) - expected) / error).max() < 5
            assert error.max() < (0.006 if name == "loss" else 0.003)


def test_seeds_differ_by_as_much_as_is_said():
    """Runs of one setting differ in accuracy by 0.005 beyond the sampling of what they do to single sentences."""
    truth, sentences = truths.truth_of(KINDS["clean"], (0.0, 0.0, 0.0), 0.0), 4000
    generator = np.random.default_rng(2)
    centre = np.array([len(GRID) // 2])
    part = truths.outcomes(truth.margins[0], truth.loss_scales[0], KINDS["clean"], centre, (400, sentences), generator)
    differ = (part.hits[::2] != part.hits[1::2]).mean()
    beyond = part.hits.mean(1).var(ddof=1) - differ / 2 / sentences
    assert np.sqrt(beyond) == pytest.approx(0.005, rel=0.12)  # three standard errors of 400 seeds' deviation
    assert differ == pytest.approx(0.035, abs=0.005)


def test_metrics_are_those_of_scikit_learn():
    study = truths.simulate(Cell("clean", True, 4), 3)
    part = study.outcomes["first"]
    predicted = np.where(part.hits, part.labels, ~part.labels)
    assert study.runs["f1"].to_numpy() == pytest.approx([metrics.f1_score(part.labels, row) for row in predicted])
    assert study.runs["accuracy"].to_numpy() == pytest.approx(
        [metrics.accuracy_score(part.labels, row) for row in predicted]
    )
    one_class = (predicted == predicted[:, :1]).all(1)
    assert 1 <= one_class.sum() <= 3
    assert study.runs.loc[one_class, "loss"].between(0.6, 0.9).all()


def test_the_standard_error_of_f1_is_that_of_resampled_sentences():
    part = truths.simulate(Cell("clean", False, 2), 0).outcomes["first"]
    generator = np.random.default_rng(0)
    again = [generator.integers(1000, size=1000) for _ in range(2000)]
    spread = np.std([truths.f1_of(part.hits[:1, rows], part.labels[rows])[0][0] for rows in again])
    assert truths.f1_of(part.hits[:1], part.labels)[1][0] == pytest.approx(spread, rel=0.06)


def test_a_study_is_the_same_whenever_it_is_drawn():
    first, again = (truths.simulate(Cell("all", True, 2), 5) for _ in range(2))
    assert first.runs.equals(again.runs)
    assert not first.runs.equals(truths.simulate(Cell("all", True, 2), 6).runs)


@pytest.mark.parametrize(("design", "settings"), [("central_composite", 15), ("full_factorial", 27)])
def test_levels_stand_where_the_grid_has_them(design, settings):
    runs, places = truths.planned(design, 2, 1)
    assert len(places) == settings
    assert len(runs) == 2 * settings
    for number, (name, coding) in enumerate(truths.CODINGS.items()):
        assert coding.coded(runs[name]).round() == pytest.approx(np.repeat(GRID[places, number], 2))


def test_blocks_add_up(monkeypatch):
    monkeypatch.setattr(families, "DRAWS", simulate.FEWER_DRAWS)
    whole, *parts = (verdicts.count(Cell("clean", True, 2), numbers) for numbers in (range(2), range(1), range(1, 2)))
    for key, sums in whole.items():
        assert sums == pytest.approx(np.sum([part.get(key, (0, 0)) for part in parts], axis=0))


def oracle(study: truths.Study, response: str, *, right: bool) -> verdicts.Answer:
    """Return an answer that is right, or wrong, in everything."""
    truth, sign = study.truth, BETTER[response]
    here = truth.surface(response, None)[study.settings]
    nearest = np.linalg.lstsq(verdicts.MATRIX[study.settings], here)[0]
    off = 0.0 if right else 0.5
    sizes = truth.largest_changes(response, None).round(9)
    says = {True: ("negligible", "effect"), False: ("effect", "negligible")}[right]
    best = (sign * here).round(9) == (sign * here).round(9).max()
    chosen = int(best.argmax())
    return verdicts.Answer(
        verdicts={name: says[int(size > 0)] for name, size in zip(FACTORS, sizes, strict=True)},
        effects=np.stack([truth.simple_effects(response, None)] * 2, -1) + off + [-1e-9, 1e-9],
        coefficients=np.stack([nearest] * 2, -1) + off + [-1e-9, 1e-9],
        predictions=np.stack([here] * 2, -1) + off + [-1e-9, 1e-9],
        contenders=best if right else ~best,
        chosen=chosen,
        gain_low=sign * (here[chosen] - USUAL[response]) + (-1e-9 if right else 1e-9),
        misses=not right,
        by_means=not right,
    )


@pytest.mark.parametrize("right", [True, False])
def test_scoring_tells_right_from_wrong(right):
    study = truths.simulate(Cell("clean", False, 4), 1)
    found = {(response, None): oracle(study, response, right=right) for response in RESPONSES}
    holds = [verdicts.claim_holds(claim, study) for claim in study.claims]
    assert holds == [True, True, True, True, False, True]
    judged = ["replicated" if said == right else "contradicted" for said in holds]
    for what, _, value in verdicts.scores(study, found, judged):
        promise = promises.PROMISES[what]
        if what == "nothing said":
            assert value == 0
        elif "found" in what or "covered" in what or what in ("no effect: called negligible", "true claim: replicated"):
            assert value == right
        elif promise.high < 100 or "without any" in what:
            assert value == (not right)


def test_a_claim_whose_truth_depends_on_the_place_is_not_scored():
    study = next(
        study
        for study in (truths.simulate(Cell("cliff", False, 2), number) for number in range(100))
        if study.truth.sizes["learning_rate"] == 3 and np.ptp(study.truth.surface("accuracy", None)) > 0.21
    )
    assert verdicts.claim_holds(study.claims[0], study) is None


def test_a_promise_is_kept_or_broken():
    promise = promises.PROMISES["coefficients: covered"]
    rates = (95.0, 92.5, 98.5, 91.0)
    assert [promise.mark(rate, rate - 1, rate + 1) for rate in rates] == ["", "!", "!", "!!"]
    assert not promise.holds_for("clean", 2)
    assert not promises.PROMISES["3 x smallest: found"].holds_for("all", 5)


def test_limits_are_those_of_scipys_exact_test():
    hits, studies = np.array([0, 1, 37, 200]), np.full(4, 200)
    exact = [stats.binomtest(int(k), 200).proportion_ci(0.95, method="exact") for k in hits]
    assert np.transpose(promises.limits(hits, studies)) == pytest.approx(100 * np.array(exact))


def test_a_run_that_was_ended_goes_on_and_cells_take_turns(tmp_path, monkeypatch):
    """Of two cells; the first run's last line was cut."""
    asked = []

    def count(cell: Cell, numbers: range) -> verdicts.Counts:
        asked.append((cell.seeds, numbers.start))
        return {("nothing said", metric): (len(numbers), 5.0) for metric in RESPONSES}

    monkeypatch.setattr(verdicts, "count", count)
    monkeypatch.setattr(counts, "get_context", lambda _: SimpleNamespace(Pool=lambda *_, **__: nullcontext(Serial())))
    cells, path = [Cell("clean", False, seeds) for seeds in (4, 5)], tmp_path / "verdicts.jsonl"
    counts.simulate_missing(path, cells, 2 * counts.BLOCK, 1)
    assert asked == [(4, 0), (5, 0), (4, counts.BLOCK), (5, counts.BLOCK)]
    path.write_text(path.read_text()[:-10])
    asked.clear()
    counts.simulate_missing(path, cells, 2 * counts.BLOCK, 1)
    assert asked == [(5, counts.BLOCK)]
    found = counts.totals(path, cells)
    assert found["studies"].tolist() == [2 * counts.BLOCK] * 6
    assert found["hits"].tolist() == [10.0] * 6
    line = promises.tables(found).splitlines()[-1]
    assert line == "| nothing said |  | 25.0 (16.0 to 35.9) |"  # 20 of 80, by R's binom.test


class Serial:
    """A pool of the process itself."""

    imap_unordered = staticmethod(map)
