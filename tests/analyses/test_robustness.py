"""Robustness: every specification is the fit that it is called, and agreement is what the numbers say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from finevar.analyses import fits as readings
from finevar.analyses import robustness
from finevar.report.parts import STOPPED
from finevar.report.sections import robustness as robustness_section
from finevar.statistics import specifications
from finevar.study.coding import TERM_ORDER, Coding
from finevar.tables import TABLES
from prose import numbers
from report_fixtures import FACTORS, fitting, plan_of, simulate_metrics

LABELS = {"accuracy": "accuracy", "loss": "loss"}


def analysed(metrics: pd.DataFrame, responses: str = "accuracy loss", order: str = "quadratic") -> pd.DataFrame:
    plan = plan_of(FACTORS, responses.split(), order)
    study = readings.FittedStudy.of(metrics, plan)
    return fitting(TABLES["robustness"].schema, robustness.robustness_tables(study)["robustness"])


@pytest.fixture(scope="module")
def metrics() -> pd.DataFrame:
    return simulate_metrics(FACTORS, (0, 1), ("amazon",), 0)


@pytest.fixture(scope="module")
def table(metrics) -> pd.DataFrame:
    return analysed(metrics)


def only(table: pd.DataFrame, **values) -> pd.Series:
    for name, value in values.items():
        table = table[table[name] == value]
    (row,) = table.to_dict("records")
    return row


def test_the_reported_specification_is_the_effects_table(metrics, table):
    plan = plan_of(FACTORS, ["accuracy", "loss"])
    effects = pd.DataFrame(readings.fit_study(readings.FittedStudy.of(metrics, plan))["effects"]).set_index(
        ["response", "factor"]
    )
    reported = table[table["reported"] & (table["factor"] != "")].set_index(["response", "factor"])
    assert len(reported) == len(effects) == 6
    assert reported["agrees"].all()
    sign = np.where(reported.index.get_level_values("response") == "loss", -1, 1)
    effects = effects.loc[reported.index]
    np.testing.assert_allclose(reported["estimate"], sign * effects["change"], rtol=1e-12)
    t = (effects["change"] / effects["std_error"]).abs()
    np.testing.assert_allclose(reported["p_value"], 2 * stats.t.sf(t, 54 - 11), rtol=1e-9)  # of the change alone
    assert (reported["conclusion"] == effects["verdict"]).all()


def test_specifications_are_all_combinations_each_once(table):
    found = table[(table["response"] == "loss") & (table["factor"] == "epochs") & table["agrees"].notna()]
    names = ["coding", "degree", "covariance", "scale"]
    assert not found.duplicated(names).any()
    assert [found[name].nunique() for name in names] == [3, 3, 3, 2]
    assert len(found) == 3 * 3 * 3 * 2
    untried = table[table["agrees"].isna()]
    assert set(untried["degree"]) == {"cubic"}
    assert untried["reason"].str.contains("learning rate has 3 levels among the finished runs").all()


@pytest.mark.parametrize(("scale", "left"), [("raw", "loss"), ("unbounded", "np.log(loss)")])
@pytest.mark.parametrize(("covariance", "how"), [("classical", "nonrobust"), ("HC3", "HC3")])
def test_a_specification_is_the_fit_that_it_is_called(metrics, table, scale, left, covariance, how):
    """First order in the levels as they are, with statsmodels: the change is slope times range."""
    fit = smf.ols(f"{left} ~ learning_rate + batch_size + epochs + C(seed)", metrics).fit(cov_type=how, use_t=True)
    row = only(
        table, response="loss", factor="batch_size", coding="identity", degree="first_order", scale=scale,
        covariance=covariance,
    )  # fmt: skip
    assert row["estimate"] == pytest.approx(-fit.params["batch_size"] * (64 - 16), rel=1e-6)  # less loss is better
    assert row["p_value"] == pytest.approx(fit.pvalues["batch_size"], rel=1e-6)


def test_clusters_are_runs_that_differ_in_epochs_only(metrics, table):
    """CR3 is the jackknife over clusters: refit without each, times (G - 1) / G, t with G - 1 degrees of freedom."""
    formula = "accuracy ~ learning_rate + batch_size + epochs + C(seed)"
    whole = smf.ols(formula, metrics).fit().params["learning_rate"]
    clusters = metrics.groupby(["learning_rate", "batch_size", "seed"]).ngroup()
    apart = [smf.ols(formula, metrics[clusters != c]).fit().params["learning_rate"] for c in range(18)]
    error = np.sqrt(17 / 18 * np.sum((np.array(apart) - whole) ** 2))
    row = only(
        table, response="accuracy", factor="learning_rate", coding="identity", degree="first_order", scale="raw",
        covariance="CR3",
    )  # fmt: skip
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(abs(whole / error), 17), rel=1e-6)


def test_codings_that_are_the_same_are_tried_once():
    logs = {"learning_rate": Coding((1e-5, 1e-4), "log10"), "batch_size": Coding((8, 16), "log2")}
    assert list(specifications.codings_to_try(logs)) == [specifications.CONFIGURED, "identity"]
    plain = {name: Coding(coding.levels, "identity") for name, coding in logs.items()}
    assert list(specifications.codings_to_try(plain)) == [specifications.CONFIGURED, "log2"]
    nought = {"dropout": Coding((0.0, 0.1), "identity")}
    assert list(specifications.codings_to_try(nought)) == [specifications.CONFIGURED], "0 has no logarithm"


def test_degrees_that_add_no_term_are_tried_once():
    assert list(specifications.degrees_to_try(["epochs"])) == ["first_order", "quadratic"]
    assert list(specifications.degrees_to_try(["learning_rate", "epochs"])) == list(TERM_ORDER)


def test_runs_that_share_trajectories_are_never_taken_for_independent(metrics):
    many = simulate_metrics(FACTORS, (0, 1, 2, 3), ("amazon",), 0)
    course = many.groupby(["learning_rate", "batch_size", "seed"]).ngroup().astype(str)
    found = analysed(many.assign(trajectory_id=course))
    assert set(found["covariance"].dropna()) == {"CR3"}
    assert found["reported"].any()


def test_a_response_at_a_bound_has_no_unbounded_scale(metrics):
    found = analysed(metrics.assign(accuracy=metrics["accuracy"].where(metrics.index > 0, 1.0)), "accuracy")
    assert set(found["scale"].dropna()) == {"raw"}


def test_the_recommendation_falls_where_a_degree_cannot_see_the_peak(metrics):
    """Accuracy peaks at epochs 2 and falls less on one side: a straight line points to the end of the levels."""
    noise = np.random.default_rng(3).normal(scale=0.002, size=len(metrics))
    peak = metrics["epochs"].map({1: 0.80, 2: 0.90, 3: 0.86})
    found = analysed(metrics.assign(accuracy=peak + noise), "accuracy")
    setting = found[(found["factor"] == "") & found["agrees"].notna()]
    assert "ep2" in setting["conclusion"].iloc[0]
    straight = setting["degree"].isin(["first_order", "interactions"])
    assert setting.loc[~straight, "agrees"].all()
    assert not setting.loc[straight & (setting["covariance"] == "classical"), "agrees"].any()
    assert (setting.loc[straight, "estimate"] > 0).all()


# Section --------------------------------------------------------------------------------------------------------------


def test_the_section_counts_the_specifications(table):
    found = robustness_section.section({"robustness": table}, LABELS, list(FACTORS), 0.95)
    assert [group["title"] for group in found["groups"]] == ["Accuracy", "Loss"]
    counted = table[table["agrees"].notna()].groupby(["response", "factor"])["agrees"].agg(["sum", "size"])
    row = counted.loc[("loss", "learning_rate")]
    texts = [part["text"] for group in found["groups"] for part in group["sentences"]]
    rate = next(part["text"] for part in found["groups"][1]["sentences"] if part["text"].startswith("Learning rate"))
    assert numbers(rate)[:2] == [row["sum"], row["size"]]
    assert numbers(texts[-1])[0] == 3, "levels, too few for a cubic surface"
    assert numbers(found["finding"])[:2] == [(counted["sum"] == counted["size"]).sum(), 8]
    disagreeing = int((counted["size"] - counted["sum"]).sum())
    assert len(found["groups"][-1]["folded"][0]["rows"]) == disagreeing


def part(agrees: list[bool], **columns) -> pd.DataFrame:
    base = {"coding": "log2", "degree": "quadratic", "covariance": "HC3", "scale": "raw"}
    return pd.DataFrame({"agrees": agrees, **{name: [value] * len(agrees) for name, value in base.items()}, **columns})


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (part([True, True]), ""),
        (
            part([True, False, False], degree=["quadratic", "first_order", "first_order"]),
            " All that do not have the degree first order.",
        ),
        (
            part([False, False, False, True], degree=["first_order"] * 2 + ["cubic"] * 2, scale=list("abab")),
            " Not one agrees that has the degree first order or the scale a.",
        ),
        (
            part([False, True, True, False], degree=["first_order"] * 2 + ["cubic"] * 2, scale=list("abab")),
            " Those that do not have no one choice in common.",
        ),
    ],
)  # fmt: skip
def test_what_disagreeing_specifications_share_is_told(rows, told):
    assert robustness_section.dissent_text(rows) == told


def test_stopped_responses_are_told():
    empty = {"robustness": fitting(TABLES["robustness"].schema, [])}
    assert robustness_section.section(empty, {}, [], 0.95)["finding"] == STOPPED
