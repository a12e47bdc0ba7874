"""Studies that are not clean, and what is said of them: nothing false, and nothing of what cannot be known.

Simulated sentence by sentence, so that the true effects are known: of the factors one is dealt no effect, one of one
and a half and one of ten smallest effects of interest.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.calibration import truths, verdicts
from tests.calibration.truths import CODINGS, FACTORS, Cell

from finevar.analyses.claims import judge_claims
from finevar.analyses.fits import FittedStudy, Plan
from finevar.analyses.surfaces import compare_study, explore_study
from finevar.reasons import Stop, Undecided
from finevar.statistics import families
from finevar.statistics.regression import THESE_SENTENCES, predicted
from finevar.study.coding import Coding

SIZES = (0.0, 1.5, 10.0)
STUDIES = 6
CORNER = {"learning_rate": 2e-4, "batch_size": 16, "epochs": 3}


@pytest.fixture(autouse=True)
def strong_and_quick(monkeypatch):
    """One factor's effect is plain in any study, and draws are enough for a quantile to within 2 %."""
    monkeypatch.setattr(truths, "SIZES", SIZES)
    monkeypatch.setattr(families, "DRAWS", 20_000)


def simulated(kind: str = "clean", seeds: int = 5, number: int = 0, **others: Any) -> truths.Study:
    """Return a study of the central composite design's 15 settings, or of others."""
    sentences, collapsed = others.pop("sentences", 1000), others.pop("collapsed", False)
    return truths.simulate(Cell(kind, collapsed, seeds, **others), number, sentences)


def analysed(study: truths.Study, runs: pd.DataFrame | None = None, responses=("accuracy",)) -> FittedStudy:
    """Analyse a study as the workflow does; runs: with other statuses or values."""
    found = np.where(verdicts.collapsed_runs(study), "collapsed", "ok")
    runs = study.runs.assign(status=found) if runs is None else runs
    plan = Plan(CODINGS, truths.BASELINE, responses, "quadratic", 0.95, study.claims, truths.SMALLEST)
    return FittedStudy.of(runs, plan, partial(verdicts.outcomes, study))


def says(study: FittedStudy, dataset: str = "") -> dict[str, str]:
    """Return the verdict on each factor."""
    return {row["factor"]: row["verdict"] for row in study.effects if row["dataset"] == dataset}


Pairs = list[tuple[truths.Study, FittedStudy]]


def check_against_truth(studies: Pairs, dataset: str = "") -> None:
    """Check that no true effect is called negligible, that the plain one is found, and that chance errs seldom.

    Of six studies' 18 intervals more than three miss in 1 % of such checks, and more than one factor of six without an
    effect is said to have one in 3 %. No true claim is contradicted.
    """
    misses, false = 0, 0
    for study, found in studies:
        sign = -1 if dataset == "second" else 1
        for row in found.effects:
            if row["dataset"] != dataset:
                continue
            size = sign * study.truth.sizes[row["factor"]]
            misses += not row["ci_low"] <= size * truths.SMALLEST["accuracy"] <= row["ci_high"]
            false += size == 0 and row["verdict"] in ("effect", "small")
            assert size == 0 or row["verdict"] in ("effect", "undecided"), row
            assert abs(size) < max(SIZES) or row["verdict"] == "effect", row
        true = {claim["name"] for claim in study.claims if verdicts.claim_holds(claim, study)}
        assert not [row for row in judge_claims(found) if row["verdict"] == "contradicted" and row["name"] in true]
    assert misses <= 3
    assert false <= 1


# Runs that failed -----------------------------------------------------------------------------------------------------


KINDS = pytest.mark.parametrize(
    ("seeds", "design", "status"), [(2, "full_factorial", "diverged"), (5, "central_composite", "collapsed")]
)


def failing(seeds: int, design: str, status: str, which: slice) -> Pairs:
    """Return studies in which some of the runs at the corner failed, with an accuracy of 0.5."""
    studies = []
    for number in range(STUDIES):
        study = simulated(seeds=seeds, number=number, design=design)
        runs = study.runs.copy()
        runs.loc[runs.index[at_corner(runs)][which], ["status", "accuracy"]] = [status, 0.5]
        studies.append((study, analysed(study, runs)))
    return studies


def at_corner(runs: pd.DataFrame) -> pd.Series:
    return runs[list(CORNER)].eq(pd.Series(CORNER)).all(axis=1)


@KINDS
def test_one_run_that_failed_misleads_nobody(seeds, design, status):
    """Of 54 runs, or of 75."""
    studies = failing(seeds, design, status, slice(-1, None))
    assert all(len(found.surfaces[0].runs) == {2: 53, 5: 74}[seeds] for _, found in studies)
    check_against_truth(studies)


def test_runs_that_answer_one_class_are_found_and_left_out():
    studies = [
        (study, analysed(study)) for number in range(STUDIES) if (study := simulated(number=number, collapsed=True))
    ]
    for study, found in studies:
        (part,) = study.outcomes.values()
        one_class = sum((hits == part.labels).mean() in (0, 1) for hits in part.hits)
        assert len(study.runs) - len(found.surfaces[0].runs) == one_class
        assert one_class in (1, 2, 3)
    check_against_truth(studies)


@KINDS
def test_a_failed_cell_stops_nothing_and_nothing_is_said_of_it(seeds, design, status):
    studies = failing(seeds, design, status, slice(None))
    check_against_truth(studies)
    study, found = studies[0]
    (surface,) = found.surfaces
    at = {name: coding.coded([CORNER[name]]) for name, coding in CODINGS.items()}
    assert next(predicted(surface, at))["predicted"] is None
    gone = set(study.runs.loc[at_corner(study.runs), "point_id"])
    (best,) = explore_study(found)["predicted_best"]
    assert best["point_id"] not in gone
    compared = {row.get("point_id") for row in compare_study(found)["against_baseline"]}
    assert compared
    assert not compared & gone


# Data sets ------------------------------------------------------------------------------------------------------------


def test_opposite_effects_on_two_data_sets_have_verdicts_of_their_own():
    """Their mean is no effect at all, which is true and says nothing: the pooled verdict is withheld."""
    studies = [(study, analysed(study)) for number in range(STUDIES) if (study := simulated("opposite", number=number))]
    agree = 0
    for study, found in studies:
        pooled = {row["factor"]: row for row in found.effects if row["dataset"] == ""}
        by_size = {abs(size): name for name, size in study.truth.sizes.items()}
        none, plain = by_size[0], by_size[max(SIZES)]
        assert (pooled[plain]["verdict"], pooled[plain]["reason_code"]) == (None, Undecided.DATASETS_DIFFER)
        assert abs(pooled[plain]["change"]) < truths.SMALLEST["accuracy"]
        assert says(found, "first")[plain] == says(found, "second")[plain] == "effect"
        agree += not pooled[none]["datasets_differ"]
        assert (none in says(found, "first")) == pooled[none]["datasets_differ"], "one verdict where data sets agree"
    assert agree >= STUDIES - 1
    for name in truths.DATASETS:
        check_against_truth(studies, name)


# Values that do not vary ----------------------------------------------------------------------------------------------


def test_right_on_every_sentence_in_half_of_the_cells():
    """At the two larger batches all is right: a plain effect at the smallest, and no noise at the others."""
    study = simulated()
    large = study.runs["batch_size"] > 16
    study.outcomes["first"].hits[large] = True
    runs = study.runs.assign(accuracy=study.outcomes["first"].hits.mean(1))
    assert (runs["accuracy"] == 1).mean() > 0.5
    found = analysed(study, runs)
    batch = next(row for row in found.effects if row["factor"] == "batch_size")
    assert batch["verdict"] == "effect"
    assert batch["largest"] > 0.1
    numbers = pd.DataFrame(found.effects)[["change", "ci_low", "ci_high", "p_adjusted", "simple_low", "simple_high"]]
    assert np.isfinite(numbers.to_numpy(float)).all()


@pytest.mark.parametrize("seeds", [2, 5])
def test_seeds_that_tie_everywhere_stop_the_metric(seeds):
    study = simulated(seeds=seeds)
    tied = study.runs.assign(accuracy=study.runs.groupby("point_id")["accuracy"].transform("first"))
    found = analysed(study, tied)
    assert found.stopped["accuracy"].code == Stop.ZERO_NOISE
    assert found.effects == []


def test_seeds_that_tie_in_some_cells_stop_nothing():
    """Half of the cells: where all seeds are as the first, the others still show the noise."""
    study = simulated()
    first = study.runs.groupby("point_id")["accuracy"].transform("first")
    tied = study.runs.assign(accuracy=study.runs["accuracy"].where(study.runs["epochs"] > 1, first))
    found = analysed_without_sentences(study, tied)
    plain = next(name for name in FACTORS if abs(study.truth.sizes[name]) == max(SIZES))
    assert says(found)[plain] == "effect"
    assert np.isfinite(pd.DataFrame(found.effects)[["ci_low", "ci_high", "p_adjusted"]].to_numpy(float)).all()


def analysed_without_sentences(study: truths.Study, runs: pd.DataFrame) -> FittedStudy:
    """Analyse runs whose metric no longer follows from the sentences."""
    plan = Plan(CODINGS, truths.BASELINE, ["accuracy"], "quadratic", 0.95, study.claims, truths.SMALLEST)
    return FittedStudy.of(runs, plan)


# Designs --------------------------------------------------------------------------------------------------------------


def test_factors_that_nearly_go_together_are_undecided_and_never_negligible():
    """Epochs follow the batch but for one run in ten, and none has an effect: intervals are wide, and say so."""
    draw = np.random.default_rng(5)
    rows = []
    for seed in range(5):
        for number in range(20):
            batch = (16, 32, 64)[number % 3]
            epochs = (1, 2, 3)[(number + (number % 10 == 9)) % 3]
            rate = (2.5e-5, 7e-5, 2e-4)[number // 3 % 3]
            rows.append({"learning_rate": rate, "batch_size": batch, "epochs": epochs, "seed": seed, "number": number})
    runs = pd.DataFrame(rows).assign(dataset="first", status="ok", dtype_used="float32", baseline_accuracy=0.85)
    names = [f"run{number}" for number in range(len(runs))]
    runs = runs.assign(run_id=names, trajectory_id=names, point_id=runs["number"].astype(str))
    runs["accuracy"] = 0.85 + draw.normal(scale=0.02, size=len(runs))
    plan = Plan(CODINGS, truths.BASELINE, ["accuracy"], "first_order", 0.95, smallest_effect=truths.SMALLEST)
    found = says(FittedStudy.of(runs, plan))
    assert found["batch_size"] == found["epochs"] == "undecided"
    tied = runs[runs["number"] % 10 != 9].reset_index(drop=True)
    assert FittedStudy.of(tied, plan).stopped["accuracy"].code == Stop.ALIASED


def test_a_missing_run_is_none():
    """Of 75 runs one has not finished: the others' fit is unbalanced, and holds the truth."""
    studies = []
    for number in range(STUDIES):
        study = simulated(number=number)
        runs = study.runs.copy()
        runs.loc[7 * number, ["status", "accuracy"]] = ["missing", np.nan]
        studies.append((study, analysed(study, runs)))
        assert len(studies[-1][1].surfaces[0].runs) == 74
    check_against_truth(studies)


# Seeds ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [1, 2, 3, 4, 5])
def test_what_few_seeds_say_and_what_they_do_not(seeds):
    """Below four nothing is negligible; one and two cannot tell whether a seed changes slopes."""
    studies = [
        (study, analysed(study))
        for number in range(STUDIES)
        if (study := simulated("slopes", seeds, number, sentences=4000))
    ]
    for _, found in studies:
        assert found.surfaces[0].shows_absence == (seeds >= 4)
        for row in found.effects:
            turns = row["p_seeds"] is not None and row["p_seeds"] < 0.10
            assert row["supposes_slopes"] == (seeds < 3 or (seeds == 3 and turns))
            if row["verdict"] == "undecided" and row["reason_code"] != Undecided.SUSPECTS:
                assert (row["reason_code"] == Undecided.FEW_SEEDS) == (seeds < 4)
        if seeds < 4:
            assert set(says(found).values()) <= {"effect", "undecided"}
            claims = judge_claims(found)
            assert not [row for row in claims if row["finding"] == "none" and row["verdict"] == "replicated"]
            assert "smaller than matters" not in {row["verdict"] for row in claims}
        if seeds == 1:
            open_claims = [
                row for row in judge_claims(found) if row["verdict"] == "undecided" and row["response"] == "accuracy"
            ]
            assert {row["reason_code"] for row in open_claims} <= {Undecided.NO_NOISE, Undecided.MULTIPLE_CLAIMS}
    if seeds >= 4:
        check_against_truth(studies)


def test_enough_seeds_and_sentences_show_that_a_factor_is_negligible():
    study = simulated(seeds=12, design="full_factorial", sentences=8000)
    found = analysed(study)
    none = next(name for name in FACTORS if study.truth.sizes[name] == 0)
    assert says(found)[none] == "negligible"
    claim = next(row for row in judge_claims(found) if row["finding"] == "none" and row["term"] == none)
    assert claim["verdict"] == "replicated"


def test_ten_thousand_runs_of_a_thousand_sentences():
    """Ten levels of each of three factors at ten seeds: one factor moves the metric, and no other."""
    draw, levels = np.random.default_rng(0), range(1, 11)
    codings = {name: Coding(tuple(levels), "identity") for name in FACTORS}
    points = np.array(list(itertools.product(levels, repeat=3)))
    runs = pd.DataFrame(points, columns=list(FACTORS)).assign(point_id=[f"p{number}" for number in range(1000)])
    runs = runs.merge(pd.DataFrame({"seed": range(10)}), how="cross").assign(dataset="first", status="ok")
    names = [f"run{number}" for number in range(len(runs))]
    runs = runs.assign(run_id=names, trajectory_id=names, dtype_used="float32", baseline_accuracy=0.5)
    skill = 0.1 * codings["epochs"].coded(runs["epochs"])
    right = skill[:, None] + 0.3 * draw.standard_normal((10_000, 1000), np.float32) > draw.standard_normal(1000)
    runs["accuracy"] = right.mean(1)
    plan = Plan(codings, {}, ["accuracy"], "quadratic", 0.95, smallest_effect=truths.SMALLEST)
    study = FittedStudy.of(runs, plan, lambda *_: ({"first": right}, {}))
    assert says(study)["epochs"] == "effect"
    others = [row for row in study.effects if row["factor"] != "epochs"]
    assert {row["verdict"] for row in others} <= {"negligible", "undecided"}
    assert {row["simple_effects"] for row in others} == {10 * 64}, "of many levels five, of many settings the outermost"


def test_without_sentences_the_intervals_are_narrower_and_say_for_whom_they_hold():
    study = simulated()
    with_sentences, without = analysed(study), analysed_without_sentences(study, study.runs)
    assert {row["population"] for row in without.effects} == {THESE_SENTENCES}
    for wide, narrow in zip(with_sentences.effects, without.effects, strict=True):
        assert wide["change"] == pytest.approx(narrow["change"], abs=1e-12)
        assert wide["std_error"] > narrow["std_error"]
