"""Pooled, with data-set effects and clustered: against statsmodels' formulae and the jackknife's definition."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from test_gates import published, question, sound  # noqa: F401 - a fixture
from tests.calibration import found as calibration

from finevar.found.pooling import pooling_rows


def row(rows: list[dict], **which) -> dict:
    (found,) = [one for one in rows if all(one.get(name) == value for name, value in which.items())]
    return found


FORMULA = "f1 ~ learning_rate + batch_size"


def published_pool(cards: pd.DataFrame) -> pd.DataFrame:
    """Return the cards of every task that go into the published comparison, chosen with pandas alone."""
    once = cards[~cards[["loss", "accuracy", "f1"]].duplicated() & cards["reason"].isna() & cards["f1"].notna()]
    once = once[(once["data"] != "") & (once["epochs_asked"] <= 5)].assign(block=once["task"] + once["data"])
    return once[once.groupby("block")["block"].transform("size") >= 5]


def test_batch_size_on_f1_of_the_published_cards_is_gone_with_data_set_effects(published):  # noqa: F811
    rows = pooling_rows(published, question(), 0.95)
    which = {"response": "f1", "factor": "batch_size", "pool": "all tasks"}
    pooled = row(rows, **which, specification="pooled", errors="HC3")
    apart = row(rows, **which, specification="data-set effects", errors="classical")
    assert (pooled["cards"], pooled["datasets"]) == (60, 6)
    assert pooled["p_value"] < 0.0001
    assert apart["p_value"] == pytest.approx(0.907, abs=5e-4)


@pytest.mark.parametrize("specification", ["pooled", "data-set effects"])
@pytest.mark.parametrize(("errors", "kind"), [("classical", "nonrobust"), ("HC3", "HC3")])
def test_estimates_agree_with_statsmodels(published, specification, errors, kind):  # noqa: F811
    pool = published_pool(published)
    formula = FORMULA + (" + C(block)" if specification != "pooled" else "")
    expected = smf.ols(formula, pool).fit(cov_type=kind, use_t=True)
    rows = pooling_rows(published, question(), 0.95)
    for factor, width in (("learning_rate", 1.9e-4), ("batch_size", 56)):
        found = row(
            rows, response="f1", factor=factor, pool="all tasks", specification=specification, errors=errors
        )  # fmt: skip
        assert found["estimate"] == pytest.approx(expected.params[factor] * width, rel=1e-8)
        assert found["std_error"] == pytest.approx(expected.bse[factor] * width, rel=1e-8)
        assert found["p_value"] == pytest.approx(expected.pvalues[factor], rel=1e-6)
        assert [found["ci_low"], found["ci_high"]] == pytest.approx(
            list(expected.conf_int().loc[factor] * width), rel=1e-6
        )
    epochs = row(rows, response="f1", factor="epochs", pool="all tasks", specification=specification, errors=errors)
    assert (epochs.get("estimate"), bool(epochs["reason"])) == (None, True), "it has one value only"


def jackknife(cards: pd.DataFrame, formula: str, term: str, label: str) -> float:
    """Return the standard error by leaving out one cluster at a time, about the full estimate: CR3's definition."""
    full = smf.ols(formula, cards).fit().params[term]
    names = cards[label].unique()
    without = [smf.ols(formula, cards[cards[label] != name]).fit().params[term] for name in names]
    return float(np.sqrt((len(names) - 1) / len(names) * sum((value - full) ** 2 for value in without)))


def test_errors_clustered_by_owner_are_the_jackknifes():
    cards = sound()
    rows = pooling_rows(cards, question(), 0.95)
    data = cards.rename(columns={"epochs_asked": "epochs"})
    formula = "loss ~ learning_rate + batch_size + epochs"
    widths = {"learning_rate": 1.9e-4, "batch_size": 56, "epochs": 4}
    for specification, blocks in (("pooled", ""), ("data-set effects", " + C(data)")):
        for factor, width in widths.items():
            found = row(
                rows, response="loss", factor=factor, pool="compared", specification=specification,
                errors="clustered by owner",
            )  # fmt: skip
            assert found["std_error"] == pytest.approx(
                width * jackknife(data, formula + blocks, factor, "owner"), rel=1e-6
            )
            assert (found["clusters"], found["df"]) == (12, 11)


def test_errors_clustered_by_data_set_are_the_jackknifes_within_data_sets():
    random = np.random.default_rng(3)
    cards = sound(96)
    cards["data"] = [f"set{number % 8}" for number in range(96)]
    cards["loss"] = random.uniform(0.2, 0.6, 96)
    rows = pooling_rows(cards, question(), 0.95)
    data = cards.rename(columns={"epochs_asked": "epochs"})
    formula = "loss ~ learning_rate + batch_size + epochs + C(data)"
    full = smf.ols(formula, data).fit()
    found = row(
        rows, response="loss", factor="batch_size", pool="compared", specification="data-set effects",
        errors="clustered by data set",
    )  # fmt: skip
    assert found["estimate"] == pytest.approx(full.params["batch_size"] * 56, rel=1e-8)
    assert found["std_error"] == pytest.approx(56 * jackknife(data, formula, "batch_size", "data"), rel=1e-6)


def test_of_settings_by_habit_only_data_set_effects_and_owners_tell_the_truth():
    """Of 40 studies without effects 5 % would be 2; eight or more would come by chance in 0.1 % of such tests."""
    found = dict(calibration.rates(40, 3))
    assert found["settings by habit: pooled, HC3"] > 80
    assert found["settings by habit: data-set effects, clustered by owner"] <= 100 * 7 / 40
    assert found["settings at random: data-set effects, clustered by owner"] <= 100 * 7 / 40


def test_what_cannot_be_estimated_has_a_reason_and_no_number():
    cards = sound()
    cards["epochs_asked"] = np.where(cards["data"] == "imdb", 1.0, 3.0)  # data set and epochs go together
    rows = pooling_rows(cards, question(), 0.95)
    which = {"response": "loss", "factor": "epochs", "pool": "compared", "errors": "HC3"}
    assert row(rows, **which, specification="pooled")["p_value"] > 0
    apart = row(rows, **which, specification="data-set effects")
    assert "p_value" not in apart
    assert apart["reason"] == "within data sets it does not vary, or only with what stands before it"
    which |= {"factor": "batch_size", "errors": "clustered by data set"}
    few = row(rows, **which, specification="pooled")
    assert few["reason"] == "2 data sets, too few to cluster by"
