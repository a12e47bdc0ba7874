"""The design card: what it says against numbers worked out here, and a page that is safe, offline and complete."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from typing import Any

import pandas as pd
import pytest

from conftest import read_toy
from finevar import ROOT
from finevar.planning.alternatives import next_level, with_level, with_seeds
from finevar.planning.design_card import DesignFacts, gather_design_facts
from finevar.reasons import Stop
from finevar.report.design_card import design_card_text, render_design_card
from finevar.report.design_card_sections import headline, power_sentences
from finevar.study.coding import Coding
from finevar.study.config import read_config
from finevar.study.design import plan_study
from pilot_facts import PILOT
from prose import MISSING, Page, golden, numbers, said_once, without_numbers
from report_fixtures import SEEN

HEAD = "What the design card says of studies, once where it says the same of other numbers.\n"
NO_RUNS = pd.DataFrame()
UNREAD = SEEN | {  # every second token unknown, a third of the sentences cut, a quarter of the evaluation alike
    "parts": {
        name: part | {"unknown": part["tokens"] // 2, "cut": [part["cut"][0] | {"sentences": part["sentences"] // 3}]}
        for name, part in SEEN["parts"].items()
    },
    "alike": {"alike": 300, "contradictory": 40, "in_both": 200},
}


def facts(
    raw: dict[str, Any],
    finished: pd.DataFrame = NO_RUNS,
    baselines: pd.DataFrame = NO_RUNS,
    seen: dict[str, Any] = SEEN,
    **pilot: Any,
) -> DesignFacts:
    return gather_design_facts(read_config(copy.deepcopy(raw)), PILOT | pilot, finished, baselines, {"amazon": seen})


def finished_runs(raw: dict[str, Any], spread: float) -> pd.DataFrame:
    """Return every run as done; the two seeds of a point lie `spread` apart in every metric."""
    rows = [
        {"run_id": run.run_id, "point_id": run.point_id, "dataset": run.dataset, "seed": run.seed, "status": "ok"}
        | dict.fromkeys(("accuracy", "f1", "loss"), 0.8 + spread * run.seed)
        | dict.fromkeys(("accuracy_se", "f1_se", "loss_se"), 0.001)
        for run in plan_study(read_config(copy.deepcopy(raw))).runs.values()
    ]
    return pd.DataFrame(rows)


def shown(known: DesignFacts) -> Page:
    return Page(render_design_card(known))


def one_metric(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a study of one factor and one metric, at a first-order model."""
    sweep = raw["sweep"] | {"factors": {"epochs": {"levels": [1, 2, 3]}}}
    return raw | {"sweep": sweep, "analysis": {"model": "first_order", "responses": ["loss"]}}


def sharing(raw: dict[str, Any], seeds: list[int]) -> dict[str, Any]:
    """Return a study whose runs share trajectories."""
    training = raw["training"] | {"schedule": "constant", "warmup": 0.0}
    return raw | {"training": training, "sweep": raw["sweep"] | {"seeds": seeds}}


@pytest.fixture(scope="module")
def studies() -> dict[str, DesignFacts]:
    """Return studies of every kind by what they are."""
    raw = read_toy()
    two = ("amazon", "movies")
    design = {"kind": "latin_hypercube", "points": 20}
    return {
        "A factorial": facts(raw),
        "All runs are done": facts(raw, finished_runs(raw, 0.02)),
        "One factor, at which an effect may be missed": facts(one_metric(raw)),
        "A gate will stop it": facts(sharing(raw, [0])),
        "Runs share trajectories": facts(sharing(raw, [0, 1])),
        "A metric of unknown noise": facts(raw | {"analysis": {"responses": ["mcc"]}}),
        "Texts that the model does not read": facts(raw, seen=UNREAD),
        "No grid of levels": facts(raw | {"sweep": raw["sweep"] | {"design": design}}),
        "Settings that a condition leaves out": facts(
            raw | {"sweep": raw["sweep"] | {"design": raw["sweep"]["design"] | {"where": "batch_size * epochs <= 64"}}}
        ),
        "Two data sets": facts(
            raw | {"sweep": raw["sweep"] | {"datasets": [*two]}},
            data=dict.fromkeys(two, PILOT["data"]["amazon"]),
        ),
    }


@pytest.fixture(scope="module")
def pages(studies) -> dict[str, Page]:
    """Return the studies' design cards, each rendered once."""
    return {title: shown(known) for title, known in studies.items()}


def test_the_cards_read_as_on_the_golden_page(studies, pages):
    words = {}
    for title, known in studies.items():
        printed = design_card_text(known, "a.html").replace("\n  ", " ").splitlines()
        words[title] = [*printed, "", *pages[title].lines()]
    golden("design_card.txt", said_once(HEAD, words), same=without_numbers)


@pytest.mark.parametrize(
    ("by_class", "primary", "first"),
    [([640, 160], None, "accuracy"), ([641, 159], None, "f1"), ([641, 159], "loss", "loss")],
)
def test_the_metric_that_will_choose_a_setting_stands_first(by_class, primary, first):
    """A class of under a fifth of 800 evaluation sentences makes it F1, unless the config says which it is."""
    seen = SEEN | {"parts": SEEN["parts"] | {"eval": SEEN["parts"]["eval"] | {"by_class": by_class}}}
    raw = read_toy()
    analysis = raw.get("analysis", {}) | ({"primary": primary} if primary else {})
    known = facts(raw | {"analysis": analysis}, finished_runs(raw, 0.02), seen=seen)
    assert next(iter(known.noise)) == first
    assert {*known.noise} == {"accuracy", "f1", "loss"}
    assert {"accuracy": "accuracy", "f1": "F1", "loss": "loss"}[first] in headline(known)


def test_no_missing_number_is_printed_as_a_word(pages):
    assert not any(MISSING.search(page.words) for page in pages.values())


def test_the_essentials_in_a_few_lines(studies):
    """771 s: 478 s of steps as in the forecast's test, 5 s a run besides, 20 s of analysis and 3 s for the baseline."""
    text = design_card_text(studies["A factorial"], "results/toy/design_card.html")
    first, runs, time, *_, last = text.splitlines()
    assert "toy" in first
    assert last.endswith(" results/toy/design_card.html")
    assert text.count("\n") < 25
    assert max(map(len, text.splitlines())) <= 110
    assert numbers(runs) == [54, 27, 2]
    assert {54, 12.8} <= set(numbers(time))


def test_what_the_model_does_not_see_is_said_first(studies, pages):
    """10 of 20 tokens, 725 of 2,176 and 266 of 800 sentences, 200 of 800."""
    first = pages["Texts that the model does not read"].all("div", "callout")
    said = [numbers(item.text) for item in pages["Texts that the model does not read"].all("li")[:3]]
    assert len(first) == 1
    assert said == [[50], [33.3, 128], [25]]
    assert not pages["A factorial"].all("div", "callout")
    printed = design_card_text(studies["Texts that the model does not read"], "x")
    assert numbers(printed)[:1] == [50]


def test_power(studies):
    """54 runs at 27 points, two seeds, noise 0.0045, and 500 sentences that differ by 0.13.

    A change over the range is that of two means of 18 runs, 2 / 18 of a run's variance; sentences add 0.13^2 / 500.
    A factor has four terms, so that the test is at 0.0125: 2.51 + 0.84 standard errors, and a little for the t.
    """
    known = studies["A factorial"]
    found = {each.factor: each for each in known.found("accuracy")}
    seeds, sentences = 0.0045**2 * 2 / 18, 0.13**2 / 500
    assert found["epochs"].change == pytest.approx((2.50 + 0.84) * (seeds + sentences) ** 0.5, rel=0.01)
    assert found["epochs"].seed_share == pytest.approx(seeds / (seeds + sentences))
    assert found["epochs"].seeds is None  # however many, the sentences leave more than 0.01
    assert found["epochs"].sentences == pytest.approx(0.13**2 / ((0.01 / 3.35) ** 2 - seeds), rel=0.05)
    bounds = known.smallest_effects
    assert bounds["accuracy"].value == pytest.approx(0.01)
    assert bounds["loss"].value is None
    shown_numbers = set(numbers(power_sentences(known)[0]))
    assert {0.010, found["epochs"].sentences, float(f"{found['epochs'].change:.2g}")} <= shown_numbers


def test_enough_sentences_find_what_is_of_interest(raw_config):
    many = {"amazon": PILOT["data"]["amazon"] | {"eval_examples": 5000}}
    few, known = facts(raw_config), facts(raw_config, data=many)
    assert known.found("accuracy")[0].change < known.smallest_effects["accuracy"].value
    assert few.found("accuracy")[0].change > few.smallest_effects["accuracy"].value


def test_the_studys_own_noise_is_used(studies):
    """Seeds 0.02 apart: 0.02 / sqrt 2 = 0.0141, 27 degrees of freedom; chi-squared of 27: 14.573 and 43.195."""
    known = studies["All runs are done"]
    for noise in known.noise.values():
        assert (noise.sd, noise.df) == (pytest.approx(0.0141, abs=5e-5), 27)
        assert noise.interval(0.95) == pytest.approx((0.0112, 0.0192), abs=5e-5)
    sentences = [numbers(item.text) for item in shown(known).all("li")]
    assert sum({0.0141, 0.0112, 0.0192, 27} <= set(found) for found in sentences) == 3


def test_more_seeds_and_levels(raw_config):
    """Four seeds instead of two: slopes a little smaller, as the sentences stay what they are."""
    planned, seeds, *levels = facts(raw_config).variants
    assert (planned.runs, seeds.runs, [level.runs for level in levels]) == (54, 108, [72, 72, 72])
    assert 0.9 < seeds.slopes["epochs"] / planned.slopes["epochs"] < 1
    assert [(level.factor, level.level) for level in levels] == [
        ("learning_rate", 5e-5),
        ("batch_size", 11),
        ("epochs", 4),
    ]
    assert seeds.seconds - planned.seconds == pytest.approx(54 * 5 + 36 * (5.76 + 4.16 + 3.36))  # see the forecast


@pytest.mark.parametrize(
    ("name", "levels", "scale", "expected"),
    [
        ("learning_rate", (1e-5, 1e-4, 1e-2), "log10", 1e-3),  # the middle of the widest gap
        ("epochs", (1, 2, 3), "identity", 4),  # no whole number in between
        ("epochs", (2, 4, 6), "identity", 3),
        ("batch_size", (8, 16), "log2", 11),
        ("dropout", (0.0, 0.2), "identity", 0.1),
        ("max_length", (8191, 8192), "identity", 8190),  # no position beyond, and a level below
        ("frozen_layers", (0, 1), "identity", 2),
    ],
)
def test_the_level_to_add(name, levels, scale, expected):
    assert next_level(name, Coding(levels, scale)) == pytest.approx(expected)


def test_there_may_be_no_level_to_add():
    assert next_level("epochs", Coding((1, 1000), "identity")) == 500
    assert next_level("max_length", Coding(tuple(range(8, 8193)), "identity")) is None


def test_larger_studies_leave_the_study_as_it_is(raw_config):
    raw_config["sweep"]["seeds"] = [1, 7]
    config = read_config(raw_config)
    before = copy.deepcopy(config)
    assert with_seeds(config, 2)["sweep"]["seeds"] == [1, 7, 0, 2]
    crossed = {**config, "sweep": config["sweep"] | {"seeds": {"init": 2, "order": [4, 5, 6], "sample": [0, 9]}}}
    more = {"init": [0, 1, 2, 3], "order": [4, 5, 6], "sample": [0, 9, 1, 2]}
    assert with_seeds(crossed, 2)["sweep"]["seeds"] == more
    assert with_level(config, "epochs", 4)["sweep"]["factors"]["epochs"]["levels"] == [1, 2, 3, 4]
    assert config == before


def test_a_gate_stands_instead_of_power(studies):
    """One seed of runs that share trajectories: 9 of them for 10 parameters; three seeds have 27."""
    stopped = studies["A gate will stop it"]
    assert stopped.gate.code == Stop.FEW_CLUSTERS
    planned, seeds, *_ = stopped.variants
    assert (planned.slopes, seeds.seeds, seeds.runs - planned.runs, bool(seeds.slopes)) == (None, 3, 54, True)
    for text in (design_card_text(stopped, "x").replace("\n  ", " "), shown(stopped).words):
        assert str(stopped.gate) in text
    assert not any(map(stopped.found, stopped.noise))


def test_a_metric_without_known_noise_has_no_made_up_power(studies):
    known = studies["A metric of unknown noise"]
    assert known.found("mcc") == []
    assert not [table for table in shown(known).all("table") if "MCC" in table.text]


def test_designs_that_are_no_grid_have_no_levels_to_add(studies):
    assert [variant.factor for variant in studies["No grid of levels"].variants] == [None, None]


def test_many_data_sets(studies):
    assert studies["Two data sets"].forecast.runs == 108


def test_the_page_is_valid_escaped_and_offline(raw_config):
    page = render_design_card(facts(raw_config, machine={"device": "<b>A & B</b>", "dtype_used": "float32"}))
    Page(page)  # fails where tags do not nest
    assert "<b>A" not in page
    assert "&lt;b&gt;A &amp; B" in page
    assert not re.search(r"(src|href)=.?(http|//)|@import|url\(", page)


def test_the_card_needs_no_run_and_trains_only_the_baseline(tmp_path):
    """A dry run of the default study, with nothing there."""
    options = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path), "--cores", "2", "--dry-run"]
    config = ["--configfile", str(ROOT / "config" / "config.yaml")]
    command = [sys.executable, "-m", "snakemake", "design_card", *options, *config, "--quiet", "rules"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    table = (done.stdout + done.stderr).split("Job stats:", 1)[1]
    rules = set(re.findall(r"^([a-z_]+) +\d+$", table, re.MULTILINE)) - {"total"}
    assert rules == {
        "fetch_model",
        "fetch_data",
        "prepare_dataset",
        "encode_dataset",
        "check_data",
        "train_baseline",
        "time_pilot",
        "design_card",
    }


def test_the_headline_names_what_would_find_the_smallest_effect_of_interest(studies, raw_config):
    """For 0.01 in accuracy, of the first metric's hardest factor; with 5,000 sentences the design is large enough."""
    known = studies["A factorial"]
    (worst,) = sorted(known.found("accuracy"), key=lambda each: each.change)[-1:]
    assert numbers(headline(known)) == [float(f"{worst.change:.2g}"), 80, 0.01, worst.sentences]
    many = {"amazon": PILOT["data"]["amazon"] | {"eval_examples": 5000}}
    large = facts(raw_config, data=many)
    assert numbers(headline(large))[1:] == [80, 0.01]
    assert numbers(headline(studies["A metric of unknown noise"])) == []


def test_what_is_found_is_drawn_for_each_metric_of_known_noise(studies, pages):
    labels = [chart.attributes["aria-label"] for chart in pages["A factorial"].all("div", "chart")]
    assert [label.partition(":")[0] for label in labels] == ["Accuracy", "F1", "Loss"]
    changes = [each.change for each in studies["A factorial"].found("accuracy")]
    assert numbers(labels[0]) == [*(float(f"{change:.2g}") for change in changes), 0.01]
    assert not pages["A metric of unknown noise"].all("div", "chart")
    assert not pages["A gate will stop it"].all("div", "chart")
