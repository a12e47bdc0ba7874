"""Which runs show nothing learnt, and that nothing is recommended of them, by counts made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import matthews_corrcoef
from test_failed_settings import fitted
from test_recommendation import advised, of_code, runs  # noqa: F401 - a fixture

from finevar.analyses.baselines import against_baseline_rows
from finevar.analyses.cautions import recommend
from finevar.analyses.learning import guessing, learning_rows, one_class
from finevar.reasons import COLLAPSED, OK, Caution, Collapse, Excluded

pytestmark = pytest.mark.usefixtures("fewer_draws")
SHARES = {"texts": {"ham": 0.9, "spam": 0.1}}  # of 400 evaluation sentences


def metrics(*rows: tuple) -> pd.DataFrame:
    """Return runs: status, code of its collapse, accuracy and Matthews correlation."""
    table = pd.DataFrame(rows, columns=["status", "ending", "accuracy", "mcc"])
    return table.assign(dataset="texts", eval_examples=400)


TABLE = metrics(
    (COLLAPSED, Collapse.ONE_CLASS, 0.9, None),
    (COLLAPSED, Collapse.NO_BETTER, 0.88, 0.02),
    (OK, None, 0.9, None),  # always ham, which is too near to all sentences to be called a collapse
    (OK, None, 0.1, None),  # always spam
    (OK, None, 0.905, 0.09),  # below 2 / sqrt(400) = 0.1
    (OK, None, 0.905, 0.11),
    (OK, None, 0.95, None),  # a metric that is not known says nothing
    ("diverged", None, None, None),
    ("missing", None, None, None),
)


def test_runs_that_answer_one_class_only_or_guess():
    assert one_class(TABLE, SHARES).tolist() == [True, False, True, True, *[False] * 5]
    assert guessing(TABLE).tolist() == [False, True, False, False, True, *[False] * 4]
    assert not one_class(TABLE.iloc[2:], {}).any()


def test_of_guesses_few_exceed_two_standard_errors():
    """2.3 % of a normal distribution lie above two; the classes are uneven, and of three the spread is smaller.

    As a guess has the labels' counts, its correlation follows from the number of sentences that are right.
    """
    draw = np.random.default_rng(4)
    for classes in (2, 3):
        labels = draw.choice(classes, p=[0.6, 0.4] if classes == 2 else [0.5, 0.3, 0.2], size=400)
        guesses = np.array([draw.permutation(labels) for _ in range(1500)])
        right, square = (guesses == labels).sum(1), (np.bincount(labels) ** 2).sum()
        found = (400 * right - square) / (400**2 - square)
        assert found[0] == pytest.approx(matthews_corrcoef(labels, guesses[0]))
        assert np.mean(found > 0.1) < 0.035


def test_counts_with_the_accuracy_of_the_commonest_class():
    rows = list(learning_rows(TABLE, SHARES, recommended=True))
    assert [(row["code"], row["count"], row["runs"]) for row in rows] == [
        (Caution.ONE_CLASS, 3, 7),
        (Caution.GUESSING, 2, 7),
    ]
    assert {(row["value"], row["detail"]) for row in rows} == {(0.9, "ham")}


@pytest.mark.parametrize(("few", "said"), [(TABLE.iloc[:5], True), (TABLE.iloc[:6], True), (TABLE.iloc[:7], False)])
def test_four_fifths_of_the_runs_are_nearly_all(few, said):
    """5 of 5 and 5 of 6, but not 5 of 7; and never where a setting is recommended."""
    codes = [row["code"] for row in learning_rows(few, SHARES, recommended=False)]
    assert (Caution.LEARNT_NOTHING in codes) == said
    assert Caution.LEARNT_NOTHING not in [row["code"] for row in learning_rows(few, SHARES, recommended=True)]


def test_data_sets_count_alike():
    two = pd.concat([TABLE, TABLE.assign(dataset="others")], ignore_index=True)
    rows = list(learning_rows(two, SHARES | {"others": {"a": 0.5, "b": 0.3, "c": 0.2}}, recommended=True))
    assert [row["value"] for row in rows] == pytest.approx([0.7, 0.7])
    assert rows[0]["count"] == 3 + 1  # of the other data set's runs the one that is marked alone


def test_a_setting_whose_runs_guess_is_not_recommended(runs):  # noqa: F811
    best = advised(runs)["recommendation"].iloc[0]["point_id"]
    found = advised(runs.assign(mcc=np.where(runs["point_id"] == best, 0.05, 0.7)))["recommendation"]
    row = found[found["point_id"] == best].iloc[0]
    assert row["role"] == "excluded"
    assert row["reason_code"] == Excluded.UNLEARNT
    assert found.iloc[0]["role"] == "recommended"


def test_where_all_runs_guess_nothing_is_recommended_and_that_is_said_first(runs):  # noqa: F811
    found = fitted(runs.assign(mcc=0.0), "loss", "accuracy")
    shares = {name: {"ham": 0.7, "spam": 0.3} for name in runs["dataset"].unique()}
    tables = recommend(found, found.rows(against_baseline_rows), [], shares)
    assert "recommended" not in {row["role"] for row in tables["recommendation"]}
    first, second, third = tables["cautions"]
    assert (first["code"], second["code"], third["code"]) == (
        Caution.LEARNT_NOTHING,
        Caution.GUESSING,
        Caution.EMPTIED,
    )
    assert (first["count"], first["runs"], first["value"]) == (len(runs), len(runs), 0.7)
    assert third["detail"] == Excluded.UNLEARNT
    assert tables["next_runs"] == []
    assert of_code(pd.DataFrame(tables["cautions"]), Caution.EDGE).empty
