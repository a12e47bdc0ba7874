"""The report: one page, complete, offline, and honest about what is missing."""

import functools
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import altair as alt
import pandas as pd
import pytest
from altair.utils.schemapi import validate_jsonschema

from finevar.analyses.fits import FittedStudy, fit_study
from finevar.commands.figure_jobs import CHARTS
from finevar.figures import drawing
from finevar.figures.names import FIGURES, figure_names, kind_of
from finevar.report import tables as report_tables
from finevar.report.page import render_page
from finevar.study.coding import codings_of
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

GATE = "The terms learning_rate^2 and epochs^2 are aliased: three levels are needed"
VOID = {"meta", "link", "br", "img", "hr", "input"}
SECTIONS = [
    "answer",
    "explore",
    "design",
    "baseline",
    "effects",
    "main-effects",
    "interplay",
    "slopes",
    "surfaces",
    "optimum",
    "tradeoffs",
    "calibration",
    "variability",
    "tuning",
    "claims",
    "checks",
    "sensitivity",
    "curves",
    "points",
    "provenance",
    "reading",
]


class Page(HTMLParser):
    """Collects tags, attributes and visible text, and checks that tags nest."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style", "svg"} & set(self.open):
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def figures(tables, study=FACTORS):
    """Return the drawings of a study's figures."""
    params = SimpleNamespace(factors=codings_of(study), baseline=BASELINE)
    names = figure_names(FIGURES, CENTRE)
    return {name: drawing.draw(CHARTS[kind_of(name)](tables, params, name)) for name in names}


program = functools.cache(drawing.program)


def render(tables, known=None, drawn=None):
    """Return the page of some tables, and what a parser makes of it; without figures unless they are given."""
    html = render_page(tables | {"baselines": baseline_metrics()}, drawn or {}, known or facts(), program())
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return html, page


@pytest.fixture(scope="module")
def complete():
    """Return the page of a study without any trouble."""
    tables = explore(simulate())
    return render(tables, drawn=figures(tables))


@pytest.fixture(scope="module")
def troubled():
    """Return the page of a study with a gated response and lost runs."""
    tables = explore(simulate(gate={"loss": GATE}, diverged=2))
    return render(tables, drawn=figures(tables))


def test_the_sections_come_in_order_and_the_contents_list_them(complete):
    _, page = complete
    assert [attrs["id"] for tag, attrs in page.tags if tag == "h2"] == SECTIONS
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a" and attrs.get("href", "").startswith("#")]
    assert links[: len(SECTIONS)] == [f"#{name}" for name in SECTIONS]
    assert {link.removeprefix("#") for link in links} == set(SECTIONS)


def test_every_figure_keeps_to_vega_lites_schema():
    for drawn in figures(explore(simulate())).values():
        validate_jsonschema(drawn.spec, alt.load_schema())


def test_nothing_is_loaded_from_elsewhere(complete):
    html, page = complete
    for tag, attrs in page.tags:
        for name in ("src", "href", "srcset", "data", "action"):
            value = attrs.get(name) or ""
            assert not re.match(r"(https?:)?//", value), (tag, value)
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_the_program_is_held_once(complete):
    html, page = complete
    assert html.count("window.vegaEmbed=") == 1
    told = ["effects", "coefficients", "main_effects", "interplay", "learning_curves"]
    told += [*(f"surface_{response}" for response in CENTRE), "variability"]
    told += ["tradeoffs", "tuning_curves"]  # and no calibration, which takes predictions
    charts_drawn = [attrs["id"] for tag, attrs in page.tags if tag == "div" and attrs.get("class") == "chart"]
    assert sorted(charts_drawn) == sorted(f"chart-{name}" for name in told)


def test_figures_and_tables_can_be_read_without_seeing_them(complete):
    _, page = complete
    assert all(attrs.get("aria-label") for _, attrs in page.tags if attrs.get("role") == "img")
    tables = sum(tag == "table" for tag, _ in page.tags)
    assert tables == sum(tag == "caption" for tag, _ in page.tags) > 8
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in page.tags if tag == "th")


def test_every_figure_has_a_drawing_for_pages_without_scripts(complete):
    html, _ = complete
    assert len(re.findall(r"<noscript><(?:svg|img alt=\"\" src=\"data:image/png;base64)", html)) == len(CENTRE) + 8


def test_every_caption_says_how_many_runs_it_rests_on(complete):
    html, _ = complete
    captions = re.findall(r"</script>\s*<figcaption>(.*?)</figcaption>", html, re.DOTALL)
    assert len(captions) == len(CENTRE) + 8
    assert [text for text in captions if "54 runs" not in text and "27 tried points" not in text] == []


def test_the_answer_stands_first(complete):
    _, page = complete
    words = page.words
    assert "Learning rate and epochs moved accuracy, binary F1 and loss." in words
    assert "54 runs of 27 points at 2 seeds, all of them complete." in words
    assert "one fit read at two places" in words
    assert re.search(r"differ from that identity by at most \d\.\de-1[1-6]\.", words)
    assert "B1, its own levels" in words


@pytest.mark.parametrize("which", ["complete", "troubled"])
def test_no_missing_number_is_printed_as_a_word(which, request):
    _, page = request.getfixturevalue(which)
    assert not re.search(r"\b(nan|None|NaN|NaT|inf|<NA>)\b", page.words)


def test_a_gated_response_has_its_sentence_and_no_p_value(troubled):
    _, page = troubled
    words = page.words
    assert f"No p-values for loss: {GATE}." in words
    assert "No verdict on loss." in words
    assert "Loss in coded units" not in words
    assert "moved loss" not in words
    assert "Accuracy in coded units" in words


def test_a_response_without_a_baseline_keeps_its_absolute_table():
    tables = explore(simulate())
    relative = (tables["fits"]["framework"] == "relative") & (tables["fits"]["response"] == "loss")
    tables["fits"].loc[relative, "gate"] = "the baseline has no loss."
    coefficients = tables["coefficients"]
    relative = (coefficients["framework"] == "relative") & (coefficients["response"] == "loss")
    _, page = render(tables | {"coefficients": coefficients[~relative]})
    assert "No relative p-values for loss: the baseline has no loss." in page.words
    assert "Loss in coded units" in page.words
    assert "No verdict on loss" not in page.words


def test_lost_runs_are_named(troubled):
    _, page = troubled
    assert "52 ok and 2 diverged." in page.words
    assert page.words.count("the loss was not finite at step 12") == 2


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
    assert worst not in set(tables["recommendations"]["point_id"]) | set(tables["pareto_points"]["point_id"])
    _, page = render(tables, facts(study, datasets), figures(tables, study))
    assert "3 collapsed" in page.words
    assert not re.search(r"\b(nan|None)\b", page.words)


def test_a_study_where_all_is_gated_still_has_a_page():
    _, page = render(explore(simulate(gate=dict.fromkeys(CENTRE, GATE))))
    assert "No verdict: accuracy, binary F1 and loss could not be analysed" in page.words
    assert "Adjusted p-values" not in page.words


def test_one_seed_gives_no_spread_and_no_nan():
    _, page = render(explore(simulate(seeds=(0,))))
    assert "at 1 seed, all of them complete." in page.words
    assert not re.search(r"\bnan\b", page.words)


def test_a_baseline_that_is_the_source_model():
    known = facts()
    del known["config"]["baseline"]["dataset"]
    _, page = render(explore(simulate()), known)
    assert "minilm as its source provides it" in page.words


def test_markup_in_a_reason_is_text():
    tables = explore(simulate(diverged=1))
    tables["metrics"]["reason"] = tables["metrics"]["reason"].replace(
        "the loss was not finite at step 12", "<script>alert(1)</script>"
    )
    html, _ = render(tables)
    assert "<script>alert(1)" not in html


def test_the_config_is_given_back_as_yaml(complete):
    _, page = complete
    assert "study: quickstart" in page.words
    assert "confidence: 0.95" in page.words


def test_point_means_are_over_seeds():
    metrics = pd.DataFrame(
        {"dataset": "a", "point_id": ["p", "p", "q"], "status": ["ok", "ok", "diverged"], "epochs": [1, 1, 2]}
    ).assign(loss=[0.2, 0.4, None], ece=0.1, brier=0.2)
    found = report_tables.point_means(metrics, ["loss"], ["epochs"])
    assert found["loss"].tolist() == pytest.approx([0.3])
    assert found["loss_sd"].tolist() == pytest.approx([0.1414213562])  # 0.2 / sqrt 2
    assert found["runs"].tolist() == [2]


def test_extreme_points_know_which_way_is_better():
    points = pd.DataFrame({"dataset": "a", "epochs": [1, 2, 3], "accuracy": [0.8, 0.9, 0.7], "loss": [0.5, 0.6, 0.4]})
    points = points.assign(ece=0.1, brier=0.2, accuracy_sd=None, loss_sd=None, ece_sd=None, brier_sd=None)
    labels = {"accuracy": "accuracy", "loss": "loss"}
    (table,) = report_tables.extreme_points(points, labels, labels=labels, factors=["epochs"], several=False)
    roles = {row[0]["text"]: row[1]["text"] for row in table["rows"]}
    assert roles == {"best accuracy, worst loss": "2", "best loss, worst accuracy": "3"}
