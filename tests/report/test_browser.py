"""The report as a reader meets it: in a browser without network, at three widths, in print, by keyboard."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from test_report import figures, program

from finevar.analyses.fits import FittedStudy
from finevar.statistics.regression import predicted
from report_fixtures import CENTRE, FACTORS, baseline_metrics, explore, facts, plan_of, simulate

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), "")
WIDTHS = (1400, 800, 390)
PAPER = 718  # pixels between the margins of an A4 page

if os.environ.get("FINEVAR_REQUIRE_BROWSER") and not CHROMIUM:
    raise RuntimeError("FINEVAR_REQUIRE_BROWSER is set, and there is no Chromium: apt-get install chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def tables() -> dict:
    return explore(simulate())


@pytest.fixture(scope="module")
def report(tables, tmp_path_factory) -> Path:
    """Return a report's file."""
    from finevar.report.page import render_page

    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_page(tables | {"baselines": baseline_metrics()}, figures(tables), facts(), program()))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as program:
        browser = program.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser, report) -> Iterator[Page]:
    """Return the report's page, opened once, with the network off; what goes wrong on it is gathered in `wrong`."""
    context = browser.new_context(offline=True, viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.wrong = []
    page.on("console", lambda told: page.wrong.append(told.text) if told.type == "error" else None)
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("request", lambda asked: page.wrong.append(asked.url) if asked.url.startswith("http") else None)
    page.goto(report.as_uri())
    page.wait_for_function("[...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('svg'))")
    yield page
    context.close()


@pytest.fixture
def page(opened) -> Iterator[Page]:
    """Return the page with nothing filtered or chosen."""
    opened.locator("#runs-clear").click()
    yield opened
    opened.emulate_media(media="screen", color_scheme="light")
    opened.set_viewport_size({"width": 1400, "height": 1000})


def test_it_opens_without_network_and_without_complaint(page):
    assert page.wrong == []


def test_a_slider_tells_the_surfaces_prediction(page, tables):
    """Against the fit itself, which the page does not hold: only coefficients and covariance."""
    for number, place in enumerate((0.5, -1.0, 1.0)):
        page.locator(f"#explorer-factor-{number}").fill(str(place))
    surface = FittedStudy.of(tables["metrics"], plan_of(FACTORS, list(CENTRE))).surfaces[0]
    coded = dict(zip(FACTORS, map(np.atleast_1d, (0.5, -1.0, 1.0)), strict=True))
    (at,) = predicted(surface, coded)
    cells = page.locator("#explorer-predictions tr").first.locator("td").all_inner_texts()
    assert cells[0] == f"{at['predicted']:.4f}"
    assert cells[1] == f"{at['ci_low']:.4f} to {at['ci_high']:.4f}"
    assert page.locator("#explorer-factor-0-value").inner_text() == "2e-4"
    assert page.locator("#explorer-factor-1-value").inner_text() == "16"
    assert cells[3] == "not tried"


def test_a_place_is_one_click_away(page, tables):
    page.get_by_role("button", name="Best loss").click()
    rows = tables["optimum_factors"].query("response == 'loss'").set_index("factor")["best"]
    assert float(page.locator("#explorer-factor-2-value").inner_text()) == rows["epochs"]
    metrics = tables["metrics"]
    runs = metrics[np.logical_and.reduce([metrics[name] == rows[name] for name in FACTORS])]
    assert f"{runs['loss'].mean():.4f} (2 runs)" in page.locator("#explorer-predictions").inner_text()


def test_the_table_filters_and_sorts(page, tables):
    page.get_by_label("Epochs, from").fill("3")
    assert page.locator("#runs-count").inner_text() == "18 of 54 runs."
    page.get_by_role("button", name="Loss", exact=True).click()
    losses = [float(text) for text in page.locator("#runs-body tr td:nth-child(10)").all_inner_texts()]
    expected = tables["metrics"].query("epochs == 3")["loss"].sort_values(ascending=False)
    assert losses == pytest.approx(expected.tolist(), abs=6e-5)
    assert page.locator("#explorer-parallel .trace.faint").count() == 36


def test_a_chosen_run_shows_in_every_view(page):
    page.locator("#runs-body input[type=checkbox]").first.check()
    for view in ("#explorer-map .run.chosen", "#explorer-scatter .run.chosen", "#explorer-parallel .trace.chosen"):
        assert page.locator(view).count() == 1, view
    page.locator("#explorer-scatter .run").nth(5).click()
    assert page.locator("#runs-count").inner_text() == "54 of 54 runs, 2 chosen; 4 more are not shown."


def test_a_run_leads_to_its_log(page, tables):
    link = page.locator("#runs-body a").first
    run = tables["metrics"].set_index("run_id").loc[link.inner_text()]
    assert link.get_attribute("href") == f"../logs/finetune_run/{run['dataset']}/{run.name}.log"


@pytest.mark.parametrize(("kind", "start"), [("SVG", b"<svg"), ("PNG", b"\x89PNG"), ("CSV", b"")])
def test_a_figure_can_be_saved(page, kind, start, tables):
    button = page.get_by_role("button", name=f"Save coefficients as {kind}")
    with page.expect_download() as told:
        button.click()
    data = Path(told.value.path()).read_bytes()
    assert told.value.suggested_filename == f"coefficients.{kind.lower()}"
    assert data.startswith(start)
    if kind == "CSV":
        assert data.decode().count("learning rate") >= 3 * len(CENTRE)


def test_the_runs_can_be_saved(page, tables):
    page.get_by_label("Batch size, from").fill("64")
    with page.expect_download() as told:
        page.locator("#runs-csv").click()
    lines = Path(told.value.path()).read_text().splitlines()
    assert lines[0].split(",")[0] == "run_id"
    assert len(lines) == 1 + (tables["metrics"]["batch_size"] == 64).sum()


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_is_cut_in_print(page):
    page.set_viewport_size({"width": PAPER, "height": 1000})
    page.emulate_media(media="print")
    cut = page.evaluate(
        """(width) => [...document.querySelectorAll("table, svg, p, pre, li")].filter((node) => node.checkVisibility())
          .filter((node) => node.getBoundingClientRect().right > width + 1)
          .map((node) => `${node.tagName} ${node.textContent.slice(0, 60)}`)""",
        PAPER,
    )
    assert cut == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_check_finds_nothing_serious(page, scheme):
    page.emulate_media(color_scheme=scheme)
    found = Axe().run(page).response["violations"]
    serious = [
        (rule["id"], [node["html"][:120] for node in rule["nodes"]][:3])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_the_sliders_can_be_moved_by_keyboard(page):
    page.locator("#explorer-factor-2").fill("0")
    page.locator("#explorer-factor-2").focus()
    page.keyboard.press("End")
    assert page.locator("#explorer-factor-2-value").inner_text() == "3"
