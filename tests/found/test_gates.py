"""Which cards are compared and what stops a p-value: on facts that are known, and on cards with one thing wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from finevar import ROOT
from finevar.analyses.fits import FittedStudy, Plan, fit_study
from finevar.columns import CARDS, MODEL_CARDS
from finevar.found.choice import Question, duplicates, stopped_early
from finevar.found.gates import judge_cards
from finevar.found.metrics import found_runs
from finevar.found.sources import read_stated
from finevar.reasons import Aside, Stop
from finevar.results.study_tables import as_table
from finevar.study.coding import Coding
from finevar.tables import as_rows

FACTORS = {
    "learning_rate": Coding((1e-5, 2e-4), "identity"),
    "batch_size": Coding((8, 64), "identity"),
    "epochs": Coding((1, 5), "identity"),
}
BASELINE = {
    "name": "published",
    "settings": {"learning_rate": 1e-5, "batch_size": 32, "epochs": 3},
    "metrics": {"accuracy": 0.91, "f1": 0.92, "loss": 0.39},
}


def question(**changes) -> Question:
    asked = {
        "codings": FACTORS,
        "responses": ("accuracy", "f1", "loss"),
        "order": "interactions",
        "task": "text-classification",
        "base_models": (),
        "cards_per_dataset": 5,
        "largest_owner_share": 0.5,
    }
    return Question(**asked | changes)


def as_cards(rows: list[dict]) -> pd.DataFrame:
    return pa.Table.from_pylist(rows, schema=MODEL_CARDS).to_pandas()


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return as_cards(read_stated(ROOT / "config" / "cards" / "distilbert_sst2.csv"))


def gate(gates: list[dict], name: str) -> dict:
    (found,) = [row for row in gates if row["gate"] == name]
    return found


# The 130 published cards: counts that anyone can repeat on the facts --------------------------------------------------


def test_what_is_wrong_with_the_published_cards_is_found(published):
    cards, gates, stop = judge_cards(published, question())
    assert gate(gates, "duplicates") | {"finding": ""} == {
        "gate": "duplicates", "verdict": "excluded", "cards": 130, "flagged": 42, "finding": "",
        "consequence": "A training counts once: the first card is kept.",
    }  # fmt: skip
    owners = gate(gates, "owners")
    assert (owners["cards"], owners["flagged"], owners["verdict"]) == (130, 114, "stopped")
    assert published["owner"].value_counts()["ali2066"] == 114
    assert cards["complete"].sum() == 53
    aliasing = gate(gates, "aliasing")
    assert (aliasing["cards"], aliasing["verdict"], aliasing["terms"]) == (53, "stopped", "batch_size:epochs")
    assert gate(gates, "tasks")["flagged"] == 65
    assert stop == f"{owners['finding']} {aliasing['finding']}"


def test_no_p_value_is_had_from_them(published):
    cards, _, stop = judge_cards(published, question())
    runs = found_runs(cards, BASELINE, stop).to_pandas()
    plan = Plan(FACTORS, BASELINE["settings"], ["accuracy", "f1", "loss"], "interactions", 0.95)
    tables = fit_study(FittedStudy.of(runs, plan))
    assert tables["coefficients"] == tables["effects"] == []
    assert {(row["gate"], row["gate_code"]) for row in tables["fits"]} == {(stop, Stop.CARDS)}


def test_duplicates_agree_with_pandas_on_the_raw_table(published):
    metrics = published[["loss", "accuracy", "f1"]]
    assert (duplicates(published).notna() == metrics.duplicated()).all()


# Cards with one thing wrong -------------------------------------------------------------------------------------------


def sound(count: int = 48) -> pd.DataFrame:
    """Return cards that nothing is wrong with: twelve owners, two data sets, a grid of settings."""
    random = np.random.default_rng(1)
    rows = []
    for number in range(count):
        owner = f"owner{number % 12}"
        rows.append(
            {
                "card_id": f"{owner}/{number}",
                "owner": owner,
                "base_model": "base",
                "task": "text-classification",
                "dataset": "imdb",
                "data": "imdb" if number // 12 % 2 else "emotion",
                "learning_rate": random.choice([1e-5, 5e-5, 2e-4]),
                "train_batch_size": int(random.choice([8, 16, 64])),
                "epochs_asked": float(random.choice([1, 3, 5])),
                "epochs_run": None,
                "loss": float(random.uniform(0.2, 0.6)),
                "accuracy": float(random.uniform(0.8, 0.95)),
                "f1": float(random.uniform(0.8, 0.95)),
                "f1_average": "macro",
                "headline": "last",
            }
        )
        rows[-1]["batch_size"] = rows[-1]["train_batch_size"]
    return as_cards(rows)


def test_sound_cards_pass_and_are_all_compared():
    cards, gates, stop = judge_cards(sound(), question())
    assert stop is None
    assert cards[["set_aside", "set_aside_code"]].isna().all(axis=None)
    assert {row["verdict"] for row in gates} == {"passed"}
    runs = found_runs(cards, BASELINE, stop).to_pandas()
    assert list(runs["run_id"]) == list(cards["card_id"])
    assert (runs["epochs"] == cards["epochs_asked"]).all()
    assert (runs["baseline_accuracy"] == 0.91).all()
    assert set(runs["trajectory_id"]) == set(cards["owner"])


@pytest.mark.parametrize(
    ("changes", "name", "verdict", "code"),
    [
        ({"task": "token-classification"}, "tasks", "excluded", Aside.TASK),
        ({"task": None}, "tasks", "excluded", Aside.TASK),
        ({"data": ""}, "data sets", "excluded", Aside.NO_DATASET),
        ({"data": "rare"}, "data sets", "excluded", Aside.RARE_DATASET),
        ({"epochs_run": 1.0, "epochs_asked": 5.0}, "early stops", "excluded", Aside.STOPPED_EARLY),
        ({"batch_size": 256}, "range of batch size", "excluded", Aside.RANGE),
        ({"learning_rate": 1.0}, "range of learning rate", "excluded", Aside.RANGE),
        ({"reason": "it states no metric"}, "unusable", "excluded", Aside.UNUSABLE),
        ({"loss": "first", "accuracy": "first", "f1": "first"}, "duplicates", "excluded", Aside.DUPLICATE),
        ({"f1_average": None}, "averaging of F1", "noted", None),
        ({"headline": "no row"}, "headline", "noted", None),
        ({"base_model": "other"}, "base models", "noted", None),
    ],
)
def test_one_card_with_one_thing_wrong(changes, name, verdict, code):
    cards = sound()
    for column, value in changes.items():
        cards.loc[20, column] = cards.loc[0, column] if value == "first" else value
    judged, gates, stop = judge_cards(cards, question())
    assert gate(gates, name)["verdict"] == verdict
    assert code is None or gate(gates, name)["flagged"] == 1
    assert stop is None
    assert judged["set_aside_code"].dropna().to_dict() == ({} if code is None else {20: code})
    assert judged["set_aside"].notna().equals(judged["set_aside_code"].notna())


def test_chosen_cards_and_gates_are_tables():
    cards = sound()
    cards.loc[20, "task"] = None
    judged, gates, _ = judge_cards(cards, question())
    assert pa.Table.from_pylist(as_rows(judged), schema=CARDS)["set_aside_code"].to_pylist().count("task") == 1
    assert as_table("found_gates", gates)["gate"].to_pylist()[-1] == "aliasing"


@pytest.mark.parametrize("evaluation", ["last", "best"])
def test_a_row_of_the_table_is_compared_where_it_is_asked_for(evaluation):
    cards = sound()
    for name in ("loss", "accuracy", "f1"):
        cards[f"{evaluation}_{name}"] = cards[name] / 2
    cards.loc[5, [f"{evaluation}_{name}" for name in ("loss", "accuracy", "f1")]] = None
    judged, gates, stop = judge_cards(cards, question(evaluation=evaluation))
    assert gate(gates, "headline")["flagged"] == 1
    runs = found_runs(judged, BASELINE, stop).to_pandas().set_index("run_id")
    assert runs.loc[cards.loc[3, "card_id"], "accuracy"] == cards.loc[3, "accuracy"] / 2
    assert judged.loc[5, "set_aside_code"] == Aside.NO_METRIC
    assert cards.loc[5, "card_id"] not in runs.index


def test_one_owner_of_most_cards_stops_every_p():
    cards = sound()
    cards.loc[:29, "owner"] = "busy"
    _, gates, stop = judge_cards(cards, question())
    assert gate(gates, "owners")["verdict"] == "stopped"
    assert (gate(gates, "owners")["cards"], gate(gates, "owners")["flagged"]) == (48, 30)
    assert stop == gate(gates, "owners")["finding"]
    assert judge_cards(cards, question(largest_owner_share=0.7))[2] is None


def test_mixed_tasks_stop_every_p_and_have_data_sets_of_their_own():
    cards = sound()
    cards.loc[:23, "task"] = "token-classification"
    judged, gates, stop = judge_cards(cards, question(task=None))
    assert gate(gates, "tasks")["verdict"] == "stopped"
    assert stop == gate(gates, "tasks")["finding"]
    tasks, sets = ("text-classification", "token-classification"), ("imdb", "emotion")
    assert set(judged["data"]) == {f"{task}, {data}" for task in tasks for data in sets}


def test_an_aliased_term_is_named_and_stops_every_p():
    cards = sound()
    cards["epochs_asked"] = np.where(cards["batch_size"] == 8, 1.0, 3.0)
    cards["batch_size"] = np.where(cards["batch_size"] == 8, 8, 16)
    _, gates, stop = judge_cards(cards, question())
    aliasing = gate(gates, "aliasing")
    assert aliasing["flagged"] == 3  # epochs, and its two products
    assert set(aliasing["terms"].split()) == {"epochs", "learning_rate:epochs", "batch_size:epochs"}
    assert stop == aliasing["finding"]


def test_other_base_models_are_set_aside_where_one_is_named():
    cards = sound()
    cards.loc[3, "base_model"] = "other"
    judged, gates, _ = judge_cards(cards, question(base_models=("base",)))
    assert judged["set_aside_code"].dropna().to_dict() == {3: Aside.BASE_MODEL}
    assert gate(gates, "base models")["verdict"] == "excluded"


def test_a_metric_that_few_cards_of_a_data_set_state_is_left_out():
    cards = sound()
    emotion = cards.index[cards["data"] == "emotion"]
    cards.loc[emotion[3:], "f1"] = None
    judged, gates, stop = judge_cards(cards, question())
    assert gate(gates, "metrics")["flagged"] == 3
    runs = found_runs(judged, BASELINE, stop).to_pandas()
    assert runs.loc[runs["dataset"] == "emotion", "f1"].isna().all()
    assert runs.loc[runs["dataset"] == "imdb", "f1"].notna().all()
    assert runs["accuracy"].notna().all()


@pytest.mark.parametrize(
    ("asked", "run", "interval", "early"),
    [
        (3, 3.0, 1.0, False),
        (3, 2.0, 1.0, True),
        (3, 2.92, 0.73, False),  # the next evaluation would have come after the end
        (3, 1.46, 0.73, True),
        (2, 1.99, 1.0, False),  # batches do not divide the data
        (0.5, 0.4, 0.2, False),
        (3, 1.9, None, True),
        (3, 2.5, None, False),
        (3, None, None, False),
    ],
)
def test_stopped_early_is_a_whole_evaluation_interval_short(asked, run, interval, early):
    cards = pd.DataFrame({"epochs_asked": [asked], "epochs_run": [run], "eval_interval": [interval]}, dtype=float)
    assert stopped_early(cards).item() is early
