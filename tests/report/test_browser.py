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
from finevar.tables import TABLES
from prose import numbers
from report_fixtures import CENTRE, CODINGS, FACTORS, baseline_metrics, explore, facts, fitting, plan_of, simulate

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
    """Return the page, opened once, all of it unfolded, with the network off; `wrong` gathers what goes wrong on it."""
    context = browser.new_context(offline=True, viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.wrong = []
    page.on("console", lambda told: page.wrong.append(told.text) if told.type == "error" else None)
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("request", lambda asked: page.wrong.append(asked.url) if asked.url.startswith("http") else None)
    page.goto(report.as_uri())
    page.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")
    page.locator(".chart").first.scroll_into_view_if_needed()
    page.wait_for_selector(".vega-embed svg")
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


def test_without_a_fitted_surface_the_explorer_shows_the_runs_alone(browser, tmp_path):
    from finevar.report.page import render_page

    stopped = explore(simulate(gate=dict.fromkeys(CENTRE, "too few settings")))
    path = tmp_path / "stopped.html"
    path.write_text(render_page(stopped | {"baselines": baseline_metrics()}, {}, facts(), program()))
    page, wrong = browser.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(path.as_uri())
    assert page.locator("#explorer-sliders, #explorer-map").count() == 0
    page.locator("#runs-more").click()
    assert page.locator("#runs-body tr").count() == len(stopped["metrics"])
    page.locator("#runs-body button").first.click()
    assert page.locator(".run-panel").count() == 1
    page.locator("#runs-charts > summary").click()
    axes = page.locator("#explorer-x option")
    assert axes.count() == page.locator("#explorer-y option").count() > len(FACTORS)
    assert wrong == []
    page.close()


def test_every_figure_is_there_at_once_and_drawn_by_the_time_that_it_is_seen(page):
    assert page.evaluate("[...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('svg, img'))")
    last = page.locator(".chart:visible").last
    last.evaluate("(node) => node.scrollIntoView({ behavior: 'instant' })")
    last.locator("svg.marks").wait_for()
    page.wait_for_function("(node) => node.classList.contains('vega-embed')", arg=last.element_handle())


def stops_of(page: Page, factor: int) -> list[str]:
    """Return what a slider's stops read, in order."""
    return page.evaluate(
        """(id) => {
          const slider = document.getElementById(id), found = [];
          for (let stop = 0; stop <= slider.max; stop++) {
            slider.value = stop;
            slider.dispatchEvent(new Event("input"));
            found.push(document.getElementById(`${id}-value`).textContent);
          }
          return found;
        }""",
        f"explorer-factor-{factor}",
    )


def go_to(page: Page, factor: int, words: str) -> None:
    """Move a slider to the stop that reads so."""
    page.locator(f"#explorer-factor-{factor}").fill(str(stops_of(page, factor).index(words)))


def test_two_settings_are_compared_either_way_round_and_from_the_address(page, tables):
    """Against the runs' own means; the second setting minus the first has all signs turned."""
    pairs = tables["setting_pairs"].query("response == 'loss'")
    names = list(dict.fromkeys([*pairs["point_id"], *pairs["other"]]))
    means = tables["metrics"].groupby("point_id")["loss"].mean()
    page.locator("#pair-first").select_option(index=3)
    page.locator("#pair-second").select_option(index=7)
    cells = page.locator("#pair-rows tr").last.locator("td")
    forth = cells.all_inner_texts()
    assert numbers(forth[0])[0] == pytest.approx(means[names[3]] - means[names[7]], rel=0.05)
    assert f"pair={names[3]}..{names[7]}" in page.url
    page.locator("#pair-first").select_option(index=7)
    assert "different settings" in page.locator("#pair-sentences").inner_text()
    page.locator("#pair-second").select_option(index=3)
    assert numbers(cells.all_inner_texts()[2])[::-1] == [-value for value in numbers(forth[2])]


def test_a_place_shows_the_surfaces_prediction(page, tables):
    """Against the fit itself, which the page does not hold: only coefficients and covariance."""
    levels = {"learning_rate": 1e-4, "batch_size": 39, "epochs": 3}
    for number, words in enumerate(("1e-4", "39", "3")):
        go_to(page, number, words)
    surface = FittedStudy.of(tables["metrics"], plan_of(FACTORS, list(CENTRE))).surfaces[0]
    coded = {name: np.atleast_1d(CODINGS[name].coded(value)) for name, value in levels.items()}
    (at,) = predicted(surface, coded)
    cells = page.locator("#explorer-predictions tr").first.locator("td").all_inner_texts()
    assert cells[0] == f"{at['predicted']:.3g}"
    assert cells[1] == f"{at['ci_low']:.3g} to {at['ci_high']:.3g}"
    assert cells[3] == "not tried"


def test_a_tried_setting_has_the_interval_of_its_cards(page, tables):
    page.get_by_role("button", name="Recommended").click()
    best = tables["recommendation"].query("role == 'recommended'")["point_id"].item()
    rows = tables["ranking"][tables["ranking"]["point_id"] == best].set_index("response")
    shown = page.locator("#explorer-predictions tr td:nth-child(3)").all_inner_texts()
    for text, name in zip(shown, CENTRE, strict=True):
        assert numbers(text) == pytest.approx(rows.loc[name, ["ci_low", "ci_high"]].tolist(), abs=6e-4)


def test_sliders_stop_at_every_level_and_at_whole_numbers(page):
    found = [list(map(float, stops_of(page, number))) for number in range(3)]
    for stops, factor in zip(found, FACTORS.values(), strict=True):
        assert set(map(float, factor["levels"])) <= set(stops)
        assert stops == sorted(set(stops))
    assert all(stop.is_integer() for stops in found[1:] for stop in stops)


def test_a_click_near_a_ring_goes_to_its_setting(page):
    page.get_by_role("button", name="Mid-range").click()
    drawn = page.locator("#explorer-map svg").bounding_box()
    rings = page.locator("#explorer-map .ring")
    corner = max((ring.bounding_box() for ring in rings.all()), key=lambda box: box["x"] - box["y"])
    at = {
        "x": corner["x"] + corner["width"] / 2 - drawn["x"] - 3,
        "y": corner["y"] + corner["height"] / 2 - drawn["y"] + 4,
    }
    page.locator("#explorer-map svg").click(position=at)
    values = [page.locator(f"#explorer-factor-{number}-value").inner_text() for number in range(3)]
    assert values == ["4e-4", "64", "2"]


def test_a_prediction_never_leaves_the_metrics_bounds(browser, tables, tmp_path):
    from finevar.report.page import render_page

    found = tables["covariances"]
    wide = found.assign(**{name: found[name] * 1e6 for name in ("seed", "sentence", "both")})
    path = tmp_path / "report.html"
    changed = tables | {"covariances": wide, "baselines": baseline_metrics()}
    path.write_text(render_page(changed, {}, facts(), ""))
    page = browser.new_page()
    page.goto(path.as_uri())
    go_to(page, 1, "39")
    cells = page.locator("#explorer-predictions tr td:nth-child(3)").all_inner_texts()
    page.close()
    assert cells[:2] == ["0 to 1", "0 to 1"]
    assert cells[2].startswith("0 to ")


def test_a_setting_beyond_the_levels_is_not_drawn_beside_the_map(browser, tables, tmp_path):
    """As the baseline's own may lie; all others are there."""
    from finevar.report.page import render_page

    metrics, path = tables["metrics"].copy(), tmp_path / "report.html"
    metrics.loc[metrics["point_id"] == metrics["point_id"].iloc[0], "learning_rate"] = 1e-7
    path.write_text(render_page(tables | {"metrics": metrics, "baselines": baseline_metrics()}, {}, facts(), ""))
    page = browser.new_page()
    page.goto(path.as_uri())
    places = [float(circle.get_attribute("cx")) for circle in page.locator("#explorer-map circle").all()]
    page.close()
    assert len(places) == metrics["point_id"].nunique() - 1
    assert min(places) == 64  # where the map begins


def test_the_axes_are_never_the_same_hyperparameter(page):
    across, up = page.locator("#explorer-across"), page.locator("#explorer-up")
    before = across.input_value(), up.input_value()
    across.select_option(before[1])
    assert (across.input_value(), up.input_value()) == before[::-1]


def test_the_colour_scale_stays_where_the_sliders_move(page):
    bar = "#explorer-map svg > text:nth-last-of-type(-n+3)"
    before = page.locator(bar).all_inner_texts()
    page.locator("#explorer-factor-2").fill("0")
    assert page.locator(bar).all_inner_texts() == before


def test_a_place_is_one_click_away(page, tables):
    page.get_by_role("button", name="Best measured loss").click()
    means = tables["metrics"].groupby(list(FACTORS))["loss"].mean()
    best = dict(zip(FACTORS, means.idxmin(), strict=True))
    assert float(page.locator("#explorer-factor-0-value").inner_text()) == best["learning_rate"]
    assert float(page.locator("#explorer-factor-2-value").inner_text()) == best["epochs"]
    assert f"{means.min():.3g} (2 runs)" in page.locator("#explorer-predictions").inner_text()


def test_the_table_filters_and_sorts(page, tables):
    best_first = tables["metrics"]["accuracy"].sort_values(ascending=False)
    seen = [float(text) for text in page.locator("#runs-body tr td:nth-child(2)").all_inner_texts()]
    assert seen == pytest.approx(best_first[: len(seen)].tolist(), abs=6e-4)
    page.get_by_label("Epochs, from").fill("3")
    assert page.locator("#runs-count").inner_text().startswith("18 of 54 runs")
    page.get_by_role("button", name="Loss", exact=True).click()
    losses = [float(text) for text in page.locator("#runs-body tr td:nth-child(4)").all_inner_texts()]
    lowest = tables["metrics"].query("epochs == 3")["loss"].sort_values()
    assert losses == pytest.approx(lowest[: len(losses)].tolist(), abs=6e-4)
    assert page.locator("#explorer-parallel .trace.faint").count() == 36
    page.get_by_role("button", name="Accuracy", exact=True).click()


def test_dragging_along_an_axis_keeps_the_runs_in_that_range(page, tables):
    page.locator("#explorer-parallel").evaluate(
        "(node) => node.scrollIntoView({ behavior: 'instant', block: 'center' })"
    )
    box = page.locator("#explorer-parallel .brush").nth(2).bounding_box()  # epochs
    x, y = box["x"] + box["width"] / 2, box["y"] + 3
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 0.2 * box["height"], steps=3)
    page.mouse.up()
    assert page.locator("#runs-count").inner_text().startswith("18 of 54 runs")
    assert float(page.get_by_label("Epochs, from").input_value()) > 2
    page.mouse.click(x, y + box["height"] / 2)
    assert page.locator("#runs-count").inner_text() == "54 of 54 runs; 51 more are not shown."


def test_a_click_on_a_run_opens_its_panel_and_brings_it_into_view(page, tables):
    page.locator("#explorer-scatter .run").nth(5).dispatch_event("click")
    panel = page.locator(".run-panel")
    run = tables["metrics"].set_index("run_id").loc[panel.locator("h3").inner_text()]
    assert f"{run['loss']:.3g}" in panel.inner_text()
    assert panel.evaluate(
        "(node) => { const box = node.getBoundingClientRect(); return 0 <= box.top && box.top < innerHeight; }"
    )
    for view in ("#explorer-scatter .run.opened", "#explorer-parallel .trace.opened"):
        assert page.locator(view).count() == 1, view


def test_a_run_can_be_opened_by_keyboard_and_keeps_the_focus(page):
    opener = page.locator("#runs-body button").first
    opener.focus()
    page.keyboard.press("Enter")
    assert page.locator("#runs-body button").first.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Enter")
    assert page.locator(".run-panel").count() == 0


def test_a_panel_links_to_the_log_where_there_is_one(browser, tables, tmp_path):
    from finevar.report.page import render_page

    there, gone = tables["metrics"]["run_id"].iloc[:2]
    log = tmp_path / "logs" / "finetune_run" / "amazon" / f"{there}.log"
    log.parent.mkdir(parents=True)
    log.touch()
    path = tmp_path / "toy" / "report.html"
    path.parent.mkdir()
    known = facts() | {"folder": path.parent}
    path.write_text(render_page(tables | {"baselines": baseline_metrics()}, {}, known, ""))
    page = browser.new_page()
    page.goto(f"{path.as_uri()}#explore?runs={there},{gone}")
    links = page.locator(".run-panel a")
    assert [link.evaluate("(node) => node.href") for link in links.all()] == [log.as_uri()]
    page.close()


def test_a_panel_shows_what_the_run_gets_wrong(browser, tables, tmp_path):
    """A pair of classes that never occurs counts as none; markup in a sentence stays text."""
    from finevar.report.page import render_page

    first, second = tables["metrics"]["run_id"].iloc[:2]
    on = {"dataset": "amazon"}
    counts = [(first, 0, 0, 333), (first, 0, 1, 81), (first, 1, 1, 586), (second, 0, 0, 414)]
    wrong = {"example_id": "a", "text": "<b>fine", "label": 0, "predicted": 1, "probability": 0.923}
    rows = {
        "classes": [on | {"label": 0, "label_name": "no"}, on | {"label": 1, "label_name": "yes"}],
        "run_confusion": [
            on | {"run_id": run, "label": label, "predicted": predicted, "count": count}
            for run, label, predicted, count in counts
        ],
        "run_sentences": [on | wrong | {"run_id": first}],
    }
    path = tmp_path / "report.html"
    known = {name: fitting(TABLES[name].schema, found) for name, found in rows.items()}
    path.write_text(render_page(tables | known | {"baselines": baseline_metrics()}, {}, facts(), ""))
    page = browser.new_page()
    page.goto(f"{path.as_uri()}#explore?runs={first},{second}")
    panels = {panel.locator("h3").inner_text(): panel for panel in page.locator(".run-panel").all()}
    assert panels[first].locator(".matrix td").all_inner_texts() == ["333", "81", "0", "586"]
    assert numbers(panels[first].locator("li small").inner_text()) == [92]
    assert "<b>fine" in panels[first].locator("li").inner_text()
    assert panels[second].locator(".matrix td").all_inner_texts() == ["414", "0", "0", "0"]
    assert panels[second].locator("li").count() == 0
    page.close()


def test_the_address_leads_to_the_same_view(browser, report, page):
    page.get_by_label("Epochs, from").fill("2")
    page.locator("#explorer-response").select_option(label="loss")
    go_to(page, 1, "39")
    page.locator("#runs-body button").first.click()
    other = browser.new_page()
    other.goto(page.url)
    for place in ("#explorer-predictions", "#runs-count", ".run-panel", "#explorer-factor-1-value"):
        assert other.locator(place).inner_text() == page.locator(place).inner_text()
    assert other.locator("#explorer-response").input_value() == page.locator("#explorer-response").input_value()
    other.close()


@pytest.mark.parametrize(("kind", "start"), [("SVG", b"<svg"), ("PNG", b"\x89PNG"), ("CSV", b"")])
def test_a_figure_can_be_saved(page, kind, start, tables):
    page.locator("#chart-coefficients").scroll_into_view_if_needed()
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
    assert {"run_id", *CENTRE, *FACTORS} <= set(lines[0].split(","))
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
    page.keyboard.press("ArrowRight")
    assert page.locator("#explorer-factor-2-value").inner_text() == "2"
    page.keyboard.press("End")
    assert page.locator("#explorer-factor-2-value").inner_text() == "3"


# Before anything is unfolded ------------------------------------------------------------------------------------------


@pytest.fixture
def fresh(browser, report) -> Iterator[Page]:
    """Return the page as it opens."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(report.as_uri())
    yield page
    page.close()


def test_a_ranked_setting_leads_to_its_runs(fresh, tables):
    best = tables["recommendation"].query("role == 'recommended'")["point_id"].item()
    fresh.locator(".ranking tr.recommended a").click()
    runs = tables["metrics"][tables["metrics"]["point_id"] == best]
    assert fresh.locator("#runs-count").inner_text().startswith(f"{len(runs)} of 54 runs, 1 opened")
    assert fresh.locator(".run-panel h3").inner_text() in set(runs["run_id"])
    assert float(fresh.locator("#explorer-factor-2-value").inner_text()) == runs["epochs"].iloc[0]


def test_a_check_leads_to_its_numbers_and_unfolds_them(fresh):
    assert fresh.locator("#checks").get_attribute("open") is None
    fresh.locator(".checklist a[href='#checks']").first.click()
    fresh.wait_for_function("document.getElementById('checks').open")


def test_the_contents_stand_open_beside_a_wide_page_and_folded_on_a_phone(fresh):
    contents = fresh.locator("nav details")
    assert contents.get_attribute("open") is not None
    fresh.set_viewport_size({"width": 390, "height": 800})
    fresh.wait_for_function("!document.querySelector('nav details').open")
    assert fresh.locator("h1").bounding_box()["y"] < 200, "the answer comes first"


def test_the_setting_can_be_copied(browser, report):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(report.as_uri())
    page.get_by_role("button", name="Copy YAML").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").startswith("training:")
    context.close()
