"""Metrics that are missing at a setting, on a data set, or nearly everywhere: the analyses go on with the rest."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from finevar.analyses.fits import FittedStudy, Plan, fit_study
from finevar.commands.analysis_jobs import ANALYSES, weigh_settings
from finevar.found.metrics import found_runs
from finevar.reasons import Stop, Untraded
from finevar.results.study_tables import as_table
from finevar.study.coding import Coding

FACTORS = {"learning_rate": Coding((1e-5, 1e-3), "log10"), "batch_size": Coding((8, 64), "log2")}
BASELINE = {"name": "usual", "settings": {"learning_rate": 1e-4, "batch_size": 16}, "metrics": {"accuracy": 0.8}}
METRICS = ("accuracy", "f1", "loss")
WHOLE = "nothing"

pytestmark = pytest.mark.usefixtures("fewer_draws")  # no count or front depends on them
CLAIM = {
    "name": "a", "response": "accuracy", "framework": "absolute", "term": "learning_rate", "finding": "significant",
    "sign": "positive", "p": 0.01, "statement": "", "source": "x",
}  # fmt: skip


def cards(count: int = 60) -> pd.DataFrame:
    """Return chosen cards of twenty owners on two data sets; accuracy rises with the rate, and loss falls."""
    draw = np.random.default_rng(7)
    rates, batches = draw.choice([1e-5, 3e-5, 1e-4, 1e-3], count), draw.choice([8, 16, 32, 64], count)
    skill = 0.03 * FACTORS["learning_rate"].coded(rates) + draw.normal(0, 0.01, count)
    numbers = np.arange(count)
    frame = pd.DataFrame(
        {
            "card_id": [f"model{number}" for number in numbers], "owner": [f"owner{number % 20}" for number in numbers],
            "data": np.where(numbers // 20 % 2, "imdb", "emotion"), "learning_rate": rates, "batch_size": batches,
            "epochs_asked": 3.0, "accuracy": 0.85 + skill, "f1": 0.84 + skill + draw.normal(0, 0.005, count),
            "loss": 0.4 - skill + draw.normal(0, 0.02, count), "rare": "", "set_aside": None,
        }
    )  # fmt: skip
    from finevar.columns import CARDS

    return frame.reindex(columns=CARDS.names).astype(object).where(lambda found: found.notna(), None)


@cache
def analysed(which: str) -> tuple[FittedStudy, dict[str, list[dict]]]:
    """Return a study of cards, of which some lack metrics, and the rows of every table that its analyses make."""
    plan = Plan(FACTORS, BASELINE["settings"], list(METRICS), "first_order", 0.95, [CLAIM])
    study = FittedStudy.of(found_runs(lacking(which), BASELINE, None).to_pandas(), plan)
    tables = fit_study(study) | weigh_settings(study, {}, None)
    for analysis in ANALYSES:
        tables |= analysis(study)
    for name, rows in tables.items():
        as_table(name, rows)
    return study, tables


def lacking(which: str) -> pd.DataFrame:
    """Return cards of which some lack metrics."""
    found, draw = cards(), np.random.default_rng(3)
    if which == "a setting of its own":
        found.loc[[0, 1], ["learning_rate", "batch_size"]] = [2e-5, 24]
        found.loc[[0, 1], ["accuracy", "f1"]] = None
    elif which == "a data set":
        found.loc[found["data"] == "imdb", ["accuracy", "f1"]] = None
    elif which == "at random":
        for name in METRICS:
            found.loc[draw.random(len(found)) < 0.4, name] = None
    elif which == "nothing in common":
        found.loc[found["data"] == "imdb", ["accuracy", "f1"]] = None
        found.loc[found["data"] == "emotion", "loss"] = None
    elif which == "all but two":
        found.loc[found.index[2:], "accuracy"] = None
    elif which == "few repeated settings":
        found["learning_rate"] = draw.permutation(np.geomspace(1e-5, 1e-3, len(found)))
        found.loc[[0, 2, 4], ["learning_rate", "batch_size"]] = [2e-5, 16]
        found.loc[[0, 7], "accuracy"] = None
    elif which == "everywhere":
        found["accuracy"] = None
    return found


KINDS = (
    "a setting of its own",
    "a data set",
    "at random",
    "nothing in common",
    "all but two",
    "few repeated settings",
    "everywhere",
)


@pytest.mark.parametrize("which", KINDS)
def test_nothing_stops_and_what_is_left_out_is_counted(which):
    found = lacking(which)
    study, tables = analysed(which)
    points = found.assign(point=found["learning_rate"].astype(str) + " " + found["batch_size"].astype(str))
    fitted = [surface.response for surface in study.surfaces]
    expected = {}
    for name in fitted if len(fitted) > 1 else ():
        known = points[name].notna().groupby([points["data"], points["point"]]).any()
        expected |= {(name, data): int((~part).sum()) for data, part in known.groupby(level=0) if not part.all()}
    rows = [row for row in tables["pareto"] if row.get("reason_code") == Untraded.NO_VALUE]
    said = {
        (row["response"], row["reason"].split(" on ")[1].split(" ")[0]): int(row["reason"].split(" ")[0])
        for row in rows
    }
    assert said == expected


def test_the_front_is_that_of_the_settings_with_every_metric():
    """By pandas: means of the complete settings, and who is beaten in all three."""
    found = lacking("at random")
    _, tables = analysed("at random")
    for data, part in found.groupby("data"):
        means = part.astype(dict.fromkeys(METRICS, float)).groupby(["learning_rate", "batch_size"])[list(METRICS)]
        table = means.mean().dropna()
        better = table.assign(loss=-table["loss"]).to_numpy()
        front = [not any((other >= own).all() and (other > own).any() for other in better) for own in better]
        rows = [row for row in tables["pareto_points"] if row["dataset"] == data]
        assert (len(rows), sum(row["efficient"] for row in rows)) == (len(table), sum(front))


def test_a_data_set_without_a_metric_has_no_front_and_the_other_keeps_its_own():
    _, tables = analysed("a data set")
    assert {row["dataset"] for row in tables["pareto_points"]} == {"emotion"}
    _, whole = analysed(WHOLE)
    assert {row["dataset"] for row in whole["pareto_points"]} == {"emotion", "imdb"}
    assert {row["cells"] for row in tables["disagreements"] if row["place"] == "summary"} == {
        len(cards().query("data == 'emotion'").groupby(["learning_rate", "batch_size"]))
    }


def test_a_metric_that_no_card_states_is_withheld_with_its_code():
    study, tables = analysed("everywhere")
    assert study.stopped["accuracy"].code == Stop.NO_VALUE
    assert {row["gate_code"] for row in tables["fits"] if row["response"] == "accuracy"} == {Stop.NO_VALUE}
    assert {row["response"] for row in tables["effects"]} == {"f1", "loss"}


def test_surfaces_are_those_of_the_runs_that_have_the_metric():
    """The fit of loss is the same whether or not other metrics are missing."""
    _, partial = analysed("a data set")
    _, whole = analysed(WHOLE)
    own, other = ([row["change"] for row in made["effects"] if row["response"] == "loss"] for made in (partial, whole))
    assert own == pytest.approx(other, rel=1e-12)
