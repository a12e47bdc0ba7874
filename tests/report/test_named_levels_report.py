"""The report of a study with a factor whose levels are names: words, figures, and the explorer in a browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from test_browser import CHROMIUM, browser  # noqa: F401, a fixture
from test_claims import some_claims
from test_report import figures, program

from finevar.analyses.claims import judge_claims
from finevar.analyses.fits import FittedStudy
from finevar.report import paper
from finevar.report.page import render_page
from finevar.report.sections.claims import claim_sentence
from finevar.statistics.regression import predicted
from finevar.study.coding import coded_of
from finevar.words.effects import effect_sentence, headline
from prose import MISSING, Page, numbers
from report_fixtures import CENTRE, FACTORS, as_read, baseline_metrics, explore, facts, plan_of, simulate

LEVELS = ["linear", "cosine", "constant"]
STUDY = {name: FACTORS[name] for name in ("learning_rate", "batch_size")} | {"schedule": {"levels": LEVELS}}


@pytest.fixture(scope="module")
def tables() -> dict:
    return explore(simulate(STUDY, seeds=(0, 1, 2, 3)), STUDY)


@pytest.fixture(scope="module")
def html(tables) -> str:
    return render_page(tables | {"baselines": baseline_metrics()}, figures(tables, STUDY), facts(STUDY), program())


@pytest.fixture(scope="module")
def surface(tables):
    found = FittedStudy.of(tables["metrics"], plan_of(STUDY, list(CENTRE))).surfaces
    return next(each for each in found if each.response == "loss")


def test_effects_are_of_the_factor_and_of_each_two_levels(tables):
    """Cosine is -0.04 from linear's zero, constant +0.04: the columns sum to zero."""
    rows = tables["effects"].query("response == 'loss'").set_index("factor")
    changes = [name for name in rows.index if name.startswith("schedule")]
    assert changes == ["schedule", "schedule[cosine-linear]", "schedule[constant-linear]", "schedule[constant-cosine]"]
    assert rows.loc["schedule[constant-cosine]", "change"] == pytest.approx(0.08, abs=0.01)
    assert rows.loc["schedule", "verdict"] == rows.loc["schedule[constant-cosine]", "verdict"] == "effect"
    assert np.isnan(rows.loc["schedule", "change"])


def test_sentences_name_levels_instead_of_ends(tables):
    rows = {row["factor"]: row for row in tables["effects"].query("response == 'loss'").to_dict("records")}
    sentence = effect_sentence(rows["schedule[constant-cosine]"], "loss")
    assert "schedule constant instead of cosine raises loss" in sentence.lower()
    assert {0.08} <= {round(value, 2) for value in numbers(sentence)}
    whole = effect_sentence(rows["schedule"], "loss")
    assert "mid-range" not in whole
    answer = headline(tables["effects"], tables["fits"], {name: name for name in CENTRE})
    assert "instead of" not in answer, "the factor as a whole stands for its levels"


def test_the_page_holds_every_change_and_level(html):
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    for words in ("schedule cosine instead of linear", "schedule constant instead of cosine", "Schedule linear"):
        assert words in page
    assert Page(html)
    data = json.loads(re.search(r'id="explorer-data">(.*?)</script>', html, re.DOTALL)[1])
    assert data["factors"][2] == {"name": "schedule", "label": "Schedule", "levels": LEVELS, "scale": "names"}
    assert data["axes"] == [[0, None], [1, None], [2, 0], [2, 1]]
    assert {place[2] for place in data["tried"]} == {0, 1, 2}


def test_slopes_and_stationary_points_are_given_within_each_level(tables):
    slopes = tables["slopes"].query("place == 'simple' and units == 'coded' and response == 'loss'")
    within = slopes[slopes["moderator"].str.contains("[", regex=False)]
    assert set(within["moderator"]) == {f"schedule[{level}]" for level in LEVELS}
    assert set(tables["optima"]["at"]) == {f"schedule = {level}" for level in LEVELS}


def test_claims_on_levels_are_said_in_words(tables):
    plan = plan_of(STUDY, list(CENTRE))
    terms = {"schedule[constant-cosine]": "positive", "schedule": None, "learning_rate:schedule[cosine-linear]": None}
    plain = some_claims()[0] | {"response": "loss", "framework": None, "statement": "", "p": None}
    said = [plain | {"term": term, "sign": sign, "name": term} for term, sign in terms.items()]
    rows = judge_claims(FittedStudy.of(tables["metrics"], replace(plan, claims=said)))
    assert [row["verdict"] for row in rows][:2] == ["replicated", "replicated"]
    table = as_read({"claims": rows})["claims"]
    words = [claim_sentence(row, {"loss": "loss"}, 0.95) for row in table.to_dict("records")]
    assert not any("baseline" in sentence or "slope" in sentence for sentence in words)
    assert numbers(words[0])[0] == pytest.approx(0.08, abs=0.01)


def test_the_paper_kit_has_a_table_for_each_level(tables, tmp_path):
    known = facts(STUDY)
    known["config"]["sources"]["vader"] = {"kind": "package", "package": "vaderSentiment==3.3.2", "sha256": "5d" * 32}
    known["config"]["datasets"]["movies"] = {"source": "vader", "file": "movies.txt"}
    known["datasets"]["movies"] = known["datasets"]["amazon"]
    drawn = figures(tables, STUDY)["coefficients"]
    paper.write_kit(tables | {"baselines": baseline_metrics()}, {"coefficients": drawn}, known, tmp_path)
    names = {path.stem for path in (tmp_path / "tables").glob("*.md")}
    assert {"optimum_loss_1", "optimum_loss_2", "optimum_loss_3", "effects"} <= names
    assert "schedule cosine instead of linear" in (tmp_path / "tables" / "effects.md").read_text()
    texts = [path.read_text() for path in tmp_path.glob("*.md")]
    assert texts
    assert not any(map(MISSING.search, texts))


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
def test_the_explorer_has_a_selector_whose_predictions_are_the_surfaces(browser, html, surface, tmp_path):  # noqa: F811
    path = tmp_path / "report.html"
    path.write_text(html)
    page, wrong = browser.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(path.as_uri())
    selector = page.locator("#explorer-factor-2")
    assert selector.locator("option").all_inner_texts() == LEVELS
    page.get_by_role("button", name="Mid-range").click()
    for level in ("cosine", "constant"):
        selector.select_option(label=level)
        assert f"schedule={level}" in page.url
        text = page.locator("#explorer-predictions tr").last.locator("td").all_inner_texts()
        middle = {"learning_rate": [1e-4], "batch_size": [32], "schedule": [level]}
        (at,) = predicted(surface, coded_of(surface.codings, middle))
        assert numbers(text[0]) == pytest.approx([at["predicted"]], abs=6e-4)
    page.goto(f"{path.as_uri()}#explore?schedule=linear&learning_rate=0.0001")
    page.reload()
    assert selector.input_value() == "0"
    page.get_by_role("button", name="Recommended").click()
    assert page.locator("#explorer-map svg").count() == 1
    assert page.locator("#explorer-profiles svg").count() == 3
    assert wrong == []
    page.close()
