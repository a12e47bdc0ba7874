"""The report: one page, complete, offline, and honest about what is missing."""

import functools
import json
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import altair as alt
import pandas as pd
import pytest
import yaml
from altair.utils.schemapi import validate_jsonschema
from scipy.stats import binomtest
from test_claims import some_claims

from finevar.analyses.claims import judge_claims
from finevar.analyses.fits import FittedStudy, fit_study
from finevar.commands.figure_jobs import drawing_of
from finevar.figures import drawing
from finevar.figures.drawing import Drawing
from finevar.figures.names import figure_names, kinds_of
from finevar.report import tables as report_tables
from finevar.report.page import render_page
from finevar.study.coding import codings_of
from finevar.study.kinds import TRAINED
from finevar.words.numbers import MINUS, level
from prediction_fixtures import explored_study
from prose import MISSING, Page, golden, numbers, said_once, without_numbers
from report_fixtures import (
    BASELINE,
    CENTRE,
    FACTORS,
    as_read,
    baseline_metrics,
    explore,
    factors,
    facts,
    plan_of,
    simulate,
    simulate_curves,
    simulate_metrics,
)

MOST_WORDS = 1800
GATE = "The terms learning_rate^2 and epochs^2 are aliased: three levels are needed"
HEAD = "What the report says of small studies, once where it says the same of other numbers.\n"
COMPLETE = "Runs with predictions, and claims"
TROUBLED = "Two runs diverged, and a gate stopped the loss"
INTERIM = "The same while it is under way"
READ_TWICE = ("fits", "coefficients")  # absolute, and relative to the baseline
STOPPED = "Gates stopped all"
ONE_SEED = "One seed on two data sets"
ONE_FACTOR = "One factor, and the source's model as the baseline"
PARTS = ["answer", "explore", "effects", "tradeoffs", "errors", "trust", "details"]
DETAILS = [
    "surfaces", "coefficients", "checks", "sensitivity", "robustness", "slopes", "optimum", "prices", "variability",
    "tuning", "claims", "baseline", "paired", "data", "design", "failures", "runs", "curves", "provenance", "reading",
]  # fmt: skip


Study = tuple[dict[str, pd.DataFrame], dict[str, Any]]  # a study's tables, and the facts that its report states
Rendered = tuple[str, Page]


def figures(tables, study=FACTORS):
    """Return the drawings of a study's figures."""
    params = SimpleNamespace(factors=codings_of(study), baseline=BASELINE)
    return {name: drawing_of(name, tables, params) for name in names_of(tables)}


def names_of(tables):
    """Return the names of a study's figures."""
    kinds = kinds_of(factors=len(FACTORS), study=TRAINED, by_epoch="epoch_evaluations" in tables)
    return figure_names(kinds, CENTRE)


program = functools.cache(drawing.program)


def render(tables: dict[str, pd.DataFrame], known: dict[str, Any], drawn: dict[str, Drawing]) -> Rendered:
    """Return the page of some tables, and what a parser makes of it."""
    frozen = baseline_metrics(tuple(known["datasets"]))
    html = render_page(tables | {"baselines": frozen}, drawn, known, program())
    return html, Page(html)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Study]:
    """Return studies of every kind by what they are."""
    whole = explored_study(tmp_path_factory.mktemp("study"), study=FACTORS, seeds=(0, 1))
    troubled = explore(simulate(gate={"loss": GATE}, diverged=2))
    claimed = FittedStudy.of(whole["metrics"], replace(plan_of(FACTORS, list(CENTRE)), claims=some_claims()))
    pair, one = ("amazon", "tweets"), factors(1)
    source = facts(one)
    del source["config"]["baseline"]["dataset"]
    return {
        COMPLETE: (whole | as_read({"claims": judge_claims(claimed)}), facts()),
        TROUBLED: (troubled, facts()),
        INTERIM: (troubled, facts() | {"interim": True}),
        STOPPED: (explore(simulate(gate=dict.fromkeys(CENTRE, GATE))), facts()),
        ONE_SEED: (explore(simulate(seeds=(0,), datasets=pair)), facts(datasets=pair)),
        ONE_FACTOR: (explore(simulate(one), one), source),
    }


@pytest.fixture(scope="module")
def pages(studies: dict[str, Study]) -> dict[str, Rendered]:
    """Return the studies' pages; figures are drawn of the first two, the others have their captions only."""
    blank = Drawing({}, "<svg></svg>")
    return {
        name: render(
            *study, figures(study[0]) if name in (COMPLETE, TROUBLED) else dict.fromkeys(names_of(study[0]), blank)
        )
        for name, study in studies.items()
    }


@pytest.fixture(scope="module")
def complete(pages: dict[str, Rendered]) -> Rendered:
    return pages[COMPLETE]


# Words ----------------------------------------------------------------------------------------------------------------


def test_the_pages_read_as_on_the_golden_one(pages):
    golden(
        "report.txt", said_once(HEAD, {title: page.lines() for title, (_, page) in pages.items()}), same=without_numbers
    )


def test_no_missing_number_is_printed_as_a_word(pages):
    assert [(name, word) for name, (_, page) in pages.items() for word in MISSING.findall(page.words)] == []


# Structure ------------------------------------------------------------------------------------------------------------


def test_seven_parts_come_in_order_and_the_contents_list_them(complete):
    _, page = complete
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert [name for name in ids if name in PARTS] == PARTS
    links = [href for link in page.all("a") if (href := link.attributes.get("href", "")).startswith("#")]
    assert links[: len(PARTS)] == [f"#{name}" for name in PARTS]
    assert {link.removeprefix("#") for link in links if "?" not in link} <= set(ids)


def test_details_are_folded(complete):
    _, page = complete
    folded = [element.attributes for element in page.all("details", "detail")]
    assert [attributes["id"] for attributes in folded] == DETAILS
    assert not any("open" in attributes for attributes in folded)


def test_little_is_to_be_read_before_anything_is_unfolded(pages):
    words = {name: len(page.visible) for name, (_, page) in pages.items()}
    assert max(words.values()) <= MOST_WORDS, words


def first_screen(page: Page) -> str:
    """Return the page's text down to the ranking."""
    return " ".join(page.visible).partition("All settings, ranked")[0]


def test_the_first_screen_answers_a_readers_five_questions(complete, studies):
    """Which setting, what it gains, how sure that is, what it costs, what to beware of: by the tables alone."""
    tables, text = studies[COMPLETE][0], first_screen(complete[1])
    advised = tables["recommendation"]
    (best,) = advised[advised["role"] == "recommended"].to_dict("records")
    runs = tables["metrics"].query("point_id == @best['point_id']")
    levels = runs[list(FACTORS)].iloc[0].to_dict()
    own = tables["against_baseline"].query("point_id == @best['point_id'] and baseline == 'B0'").set_index("response")
    answers = {
        "which setting": [f"{name.replace('_', ' ')} {level(value)}" for name, value in levels.items()],
        "what it gains": [f"{runs['accuracy'].mean():.3f}", f"{runs['loss'].mean():.3f}"],
        "how sure": [f"{(advised['role'] == 'tied').sum()} of {len(advised) - 1}", f"{best['regret_bound']:.3f}"],
        "what it costs": [f"{runs['train_seconds'].mean():.1f} s"],
        "what to beware of": ["Epochs 3 is the highest level tried", "2 seeds"],
    }
    missing = {question: [part for part in parts if part not in text] for question, parts in answers.items()}
    assert not any(missing.values()), missing
    for gain in own.loc[list(CENTRE), "estimate"]:
        assert any(number == pytest.approx(gain, abs=6e-4) for number in numbers(text)), gain


def test_every_figure_keeps_to_vega_lites_schema(complete):
    html, _ = complete
    specs = re.findall(r'<script type="application/json" class="spec"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert len(specs) == len(CENTRE) + 12
    for spec in specs:
        validate_jsonschema(
            json.loads(spec) | {"datasets": {}}, alt.load_schema()
        )  # data are most of it and any will do


def test_nothing_is_loaded_from_elsewhere(complete):
    html, page = complete
    for element in page.elements:
        for name in ("src", "href", "srcset", "data", "action"):
            value = element.attributes.get(name) or ""
            assert not re.match(r"(https?:)?//", value), (element.tag, value)
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_the_program_is_held_once(complete):
    html, page = complete
    assert html.count("window.vegaEmbed=") == 1
    names = ["effects", "coefficients", "importance", "gain", "main_effects", "interplay", "learning_curves"]
    names += [*(f"surface_{response}" for response in CENTRE), "variability"]
    names += ["tradeoffs", "tuning_curves", "calibration", "epoch_evaluations"]
    assert sorted(chart.attributes["id"] for chart in page.all("div", "chart")) == sorted(
        f"chart-{name}" for name in names
    )


def test_figures_and_tables_can_be_read_without_seeing_them(complete):
    _, page = complete
    found = [element.attributes for element in page.elements]
    assert all(attributes.get("aria-label") for attributes in found if attributes.get("role") == "img")
    assert len(page.all("table")) == len(page.all("caption")) > 8
    assert all(head.attributes.get("scope") in ("col", "row") for head in page.all("th"))


def test_every_figure_has_a_drawing_for_pages_without_scripts(complete):
    html, _ = complete
    stills = re.findall(r"class=\"chart\"[^>]*><(?:svg|img alt=\"\" src=\"data:image/png;base64)", html)
    assert len(stills) == len(CENTRE) + 12


def test_every_caption_says_how_many_runs_it_rests_on(complete):
    html, _ = complete
    captions = re.findall(r"</script>\s*<figcaption>.*?</summary>(.*?)</details></figcaption>", html, re.DOTALL)
    assert len(captions) == len(CENTRE) + 12
    assert [text for text in captions if not {54, 27} & set(numbers(text))] == []


def test_the_page_begins_with_the_study_and_a_verdict_on_every_factor_and_metric(complete, studies):
    _, page = complete
    assert numbers(page.all("p", "kicker")[0].text) == [27, 2, 54, 240]
    verdicts = [mark.text for mark in page.all("span", "word")]
    assert sorted(verdicts) == sorted(studies[COMPLETE][0]["effects"]["verdict"])


def tables_of_terms(page: Page) -> int:
    """Return how many tables have a row a term: a metric's coefficients in both units, and their sensitivity."""
    return sum(table.text.split(" | ")[0].endswith("Term") for table in page.all("table"))


def notes_with(page: Page, text: str) -> int:
    """Return how many notes hold a text."""
    return sum(text in note.text for note in page.all("p", "note"))


def test_a_metric_that_a_gate_stopped_has_its_reason_and_no_table(pages):
    (_, whole), (_, page), (_, bare) = pages[COMPLETE], pages[TROUBLED], pages[STOPPED]
    assert [tables_of_terms(each) for each in (whole, page, bare)] == [3 * 3, 3 * 2, 0]
    assert [notes_with(each, GATE) for each in (whole, page, bare)] == [0, 1, 1]
    drawn = [chart.attributes["id"] for chart in page.all("div", "chart")]
    assert "chart-surface_accuracy" in drawn
    assert "chart-surface_loss" not in drawn


def test_a_response_without_a_baseline_keeps_its_absolute_table(studies):
    tables = dict(studies[COMPLETE][0])
    of_loss = {name: tables[name].query("framework == 'relative' and response == 'loss'").index for name in READ_TWICE}
    tables["fits"] = tables["fits"].copy()
    tables["fits"].loc[of_loss["fits"], "gate"] = GATE
    tables["coefficients"] = tables["coefficients"].drop(of_loss["coefficients"])
    _, page = render(tables, facts(), {})
    assert notes_with(page, GATE) == 1
    assert tables_of_terms(page) == 3 * 3


def test_lost_runs_are_named(pages, studies):
    _, page = pages[TROUBLED]
    lost = studies[TROUBLED][0]["metrics"].query("status == 'diverged'")
    rows = [row.text for row in page.all("tr") if "the loss was not finite at step 12" in row.text]
    assert [row.split(" | ")[0] for row in rows] == lost["run_id"].tolist()


@pytest.mark.parametrize("datasets", [("amazon",), ("amazon", "tweets")])
def test_a_setting_whose_runs_collapsed_leaves_a_page_without_predictions_there(datasets):
    study = factors(2)
    metrics = simulate_metrics(study, (0, 1, 2), datasets, 0)
    worst = metrics.groupby("point_id")["loss"].mean().idxmax()
    collapsed = (metrics["point_id"] == worst) & (metrics["dataset"] == datasets[-1])
    metrics.loc[collapsed, ["status", "reason"]] = ["collapsed", "all of its predictions are class 1"]
    fitted = FittedStudy.of(metrics, plan_of(study, list(CENTRE)))
    tables = {"metrics": metrics, "learning_curves": simulate_curves(metrics)} | as_read(fit_study(fitted))
    tables = explore(tables, study)
    assert tables["surface"]["predicted"].isna().any()
    assert worst not in set(tables["predicted_best"]["point_id"]) | set(tables["pareto_points"]["point_id"])
    _, page = render(tables, facts(study, datasets), figures(tables, study))
    exact = binomtest(int(collapsed.sum()), len(metrics)).proportion_ci(0.95, "exact")
    rate = f"{100 * exact.low:.2g}% to {100 * exact.high:.2g}%"
    first = [item.text for item in page.all("li") if rate in item.text]
    assert [f"({collapsed.sum()} collapsed)" in text for text in first] == [True], "named, with the rate"
    assert not re.search(r"\b(nan|None)\b", page.words)


def test_where_data_sets_differ_each_has_a_line_of_its_own():
    study, datasets = factors(1), ("amazon", "tweets")
    metrics = simulate_metrics(study, (0, 1, 2, 3), datasets, 0)
    turned = metrics["dataset"] == "tweets"
    metrics.loc[turned, "loss"] = 0.8 - metrics.loc[turned, "loss"]
    effects = as_read(fit_study(FittedStudy.of(metrics, plan_of(study, ["loss"]))))["effects"]
    rows = report_tables.verdict_matrix(effects, {"loss": "loss"})["rows"]
    assert [row[0]["text"].removeprefix("learning rate") for row in rows] == ["", " (on amazon)", " (on tweets)"]
    assert [row[1]["verdict"] for row in rows] == [None, "effect", "effect"]
    assert [row[1]["text"][0] for row in rows[1:]] == ["+", MINUS], "it raises loss on one and lowers it on the other"


def test_what_is_under_way_says_so_first(pages):
    assert ["Interim" in " ".join(page.visible) for _, page in (pages[INTERIM], pages[TROUBLED])] == [True, False]


def test_markup_in_a_reason_is_text(studies):
    tables = dict(studies[TROUBLED][0])
    tables["metrics"] = tables["metrics"].assign(reason="<script>alert(1)</script>")
    html, _ = render(tables, facts(), {})
    assert "<script>alert(1)" not in html


def test_the_config_is_given_back_as_yaml(complete):
    _, page = complete
    assert yaml.safe_load(page.all("pre")[0].raw) == facts()["config"]


def test_point_means_are_over_seeds():
    metrics = pd.DataFrame(
        {"dataset": "a", "point_id": ["p", "p", "q"], "status": ["ok", "ok", "diverged"], "epochs": [1, 1, 2]}
    ).assign(loss=[0.2, 0.4, None], ece=0.1, brier=0.2)
    found = report_tables.point_means(metrics, ["loss"], ["epochs"])
    assert found["loss"].tolist() == pytest.approx([0.3])
    assert found["loss_sd"].tolist() == pytest.approx([0.1414213562])  # 0.2 / sqrt 2
    assert found["runs"].tolist() == [2]
