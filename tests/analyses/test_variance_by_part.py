"""The parts of the seed in a study: shares, what is withheld, claims on them, and what the report says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from finevar.analyses.baselines import against_baseline_rows
from finevar.analyses.cautions import recommend
from finevar.analyses.claims import judge_claims
from finevar.analyses.effects import seed_slopes
from finevar.analyses.fits import FittedStudy
from finevar.analyses.paired import winning_chances
from finevar.analyses.seed_parts import INCOMPLETE, NO_MEAN, TOGETHER, ZERO, ratio_verdict, seed_part_rows
from finevar.analyses.variability import variability_rows
from finevar.errors import InputError
from finevar.reasons import Caution
from finevar.report.sections import claims as claims_section
from finevar.report.sections import seed_parts as section
from finevar.report.sections import trust
from finevar.statistics.components import Components
from finevar.statistics.crossed import DEPENDENT
from finevar.study.claim_files import ratio_problems
from report_fixtures import FACTORS, as_read, plan_of, simulate_metrics

LABELS = {"accuracy": "accuracy"}
CLAIM = {"framework": None, "sign": None, "p": None, "statement": "Both vary it alike", "source": "a paper"}


@pytest.fixture(scope="module")
def metrics() -> pd.DataFrame:
    """Return 3 x 3 crossed seeds at every setting; the order's moves accuracy ten times as much as noise does."""
    runs = simulate_metrics(FACTORS, range(9), ["amazon"], 0)
    runs = runs.assign(seed_init=runs["seed"] // 3, seed_order=runs["seed"] % 3, seed_dropout=0, seed_sample=-1)
    return runs.assign(accuracy=runs["accuracy"] + np.array([-0.06, 0.0, 0.06])[runs["seed_order"]], head="new")


def fitted(metrics: pd.DataFrame, *claims: dict) -> FittedStudy:
    """Return the fitted accuracy of runs."""
    plan = dataclasses.replace(plan_of(FACTORS, ["accuracy"]), claims=claims)
    return FittedStudy.of(metrics, plan)


def rows_of(study: FittedStudy) -> dict[str, dict]:
    return {row["source"]: row for row in seed_part_rows(study)}


def claimed(term: str, finding: str, sign: str | None = None) -> dict:
    return CLAIM | {"name": f"{term} {finding}", "response": "accuracy", "term": term, "finding": finding, "sign": sign}


def test_shares_of_a_study_are_those_of_its_runs(metrics):
    rows = rows_of(fitted(metrics))
    cube = metrics.sort_values(["point_id", "seed"])["accuracy"].to_numpy(float).reshape(-1, 3, 3)
    assert list(rows) == ["init", "order", "init:order", "test_set"]
    found = Components(cube)
    assert [rows[name]["share"] for name in ("init", "order", "init:order")] == pytest.approx(found.shares[:3])
    assert rows["order"]["variance"] == pytest.approx(0.06**2, rel=0.1)
    assert (rows["order"]["settings"], rows["order"]["left_out"], rows["order"]["df"]) == (len(cube), 0, 2)
    assert rows["order"]["ci_low"] <= rows["order"]["share"] <= rows["order"]["ci_high"]
    assert "share" not in rows["test_set"]
    assert rows["test_set"]["reason"] == NO_MEAN
    assert {row["reason"] for row in rows.values() if row.get("share") == 0} <= {ZERO}


def test_settings_without_every_combination_are_left_out_and_counted(metrics):
    first, second = metrics["point_id"].unique()[:2]
    lost = metrics["point_id"].isin([first, second]) & (metrics["seed"] == 4)
    rows = rows_of(fitted(metrics[~lost]))
    kept = metrics[~metrics["point_id"].isin([first, second])].sort_values(["point_id", "seed"])
    assert (rows["order"]["settings"], rows["order"]["left_out"]) == (kept["point_id"].nunique(), 2)
    cube = kept["accuracy"].to_numpy(float).reshape(-1, 3, 3)
    assert rows["order"]["variance"] == pytest.approx(Components(cube).variances[1])
    none = rows_of(fitted(metrics[metrics["seed"] != 4]))
    assert {row["reason"] for row in none.values()} == {INCOMPLETE}
    assert not any("share" in row for row in none.values())


def test_parts_that_change_together_have_no_share(metrics):
    together = metrics.assign(**{f"seed_{part}": metrics["seed"] for part in ("init", "order", "dropout")})
    rows = rows_of(fitted(together))
    assert {name: row["reason"] for name, row in rows.items()} == dict.fromkeys(("init", "order", "dropout"), TOGETHER)


def test_what_takes_runs_for_independent_is_withheld(metrics):
    study = fitted(metrics)
    (surface,) = study.surfaces
    assert surface.spread.parts.tolist() == metrics[["seed_init", "seed_order"]].to_numpy().tolist()
    assert seed_slopes(surface, "learning_rate").reason == DEPENDENT
    name = {"dataset": "amazon", "point_id": metrics["point_id"].iloc[0], "seeds": 9}
    assert winning_chances([name], surface) == [{"reason": DEPENDENT}]
    sources = variability_rows(study, {})["variability"]
    assert not any("ci_low" in row for row in sources)
    assert "other_seeds" not in {row["component"] for row in sources}


def test_seeds_count_as_those_of_the_part_that_has_fewest(metrics):
    few = trust.seeds_check({"metrics": metrics})
    assert (few["state"], few["text"].split()[0]) == (trust.CAUTION, "3")
    assert trust.seeds_check({"metrics": metrics.drop(columns=["seed_init", "seed_order"])})["state"] == trust.PASS
    study = fitted(metrics)
    assert study.surfaces[0].reported_errors.count == 3
    found = recommend(study, study.rows(against_baseline_rows), [], shares={})["cautions"]
    (row,) = [row for row in found if row["code"] == Caution.FEW_SEEDS]
    assert row["count"] == 3


def test_claims_on_parts_are_judged_by_the_interval_of_their_ratio(metrics):
    claims = [
        claimed("order/init", "effect", "positive"),
        claimed("order/init", "effect", "negative"),
        claimed("init/order", "none"),
        claimed("sample/init", "effect", "positive"),
    ]
    rows = judge_claims(fitted(metrics, *claims))
    assert [row["verdict"] for row in rows] == ["replicated", "contradicted", "contradicted", "undecided"]
    assert rows[3]["reason_code"] == "fixed_factor"
    assert rows[0]["ci_low"] > 1
    told = claims_section.section({"claims": as_read({"claims": rows})["claims"]}, LABELS, list(FACTORS), 0.95)
    assert len(told["groups"][0]["sentences"]) == 4


@pytest.mark.parametrize(
    ("finding", "sign", "low", "high", "verdict"),
    [
        ("none", None, 0.6, 1.9, "replicated"),
        ("none", None, 0.4, 1.9, "undecided"),
        ("none", None, 2.1, 9.0, "contradicted"),
        ("none", None, 0.1, 0.4, "contradicted"),
        ("effect", "positive", 1.1, 9.0, "replicated"),
        ("effect", "positive", 0.9, 9.0, "undecided"),
        ("effect", "negative", 1.1, 9.0, "contradicted"),
        ("effect", "negative", 0.1, 0.9, "replicated"),
    ],
)
def test_verdicts_on_a_ratio(finding, sign, low, high, verdict):
    assert ratio_verdict({"finding": finding, "sign": sign}, low, high) == verdict


@pytest.mark.parametrize(("finding", "sign"), [("effect", None), ("none", "positive"), ("not_significant", None)])
def test_a_claim_on_parts_that_says_nothing_of_their_ratio_is_refused(finding, sign):
    (problem,) = ratio_problems("claims[0]", claimed("init/order", finding, sign))
    assert isinstance(problem, InputError)


def test_the_report_gives_each_parts_share_and_what_a_seed_changes(metrics):
    tables = as_read({"seed_parts": seed_part_rows(fitted(metrics))}) | {"metrics": metrics}
    found = section.section(tables, LABELS, list(FACTORS), 0.95)
    assert found["finding"].index("order") < found["finding"].index("weights")
    kept = metrics.assign(head="kept")
    told = [section.meaning(runs, {"init", "order"}) for runs in (metrics, kept, kept.assign(method="lora"))]
    assert ["weights" in text for text in told] == [True, False, True]
    assert "LoRA" in told[2]
    (shares,) = found["groups"][0]["tables"]
    assert len(shares["rows"]) == 4
    together = metrics.assign(seed_init=metrics["seed"], seed_order=metrics["seed"])
    tables = as_read({"seed_parts": seed_part_rows(fitted(together))}) | {"metrics": together}
    assert found["groups"][0]["tables"] != section.section(tables, LABELS, list(FACTORS), 0.95)["groups"][0]["tables"]
