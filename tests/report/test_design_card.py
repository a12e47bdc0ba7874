"""The design card: its sentences against numbers worked out here, and a page that is safe, offline and complete."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from finevar import ROOT
from finevar.planning.alternatives import next_level, with_level, with_seeds
from finevar.planning.design_card import DesignFacts, gather_design_facts
from finevar.report.design_card import design_card_text, render_design_card
from finevar.study.coding import Coding
from finevar.study.config import read_config
from finevar.study.design import plan_study
from pilot_facts import PILOT

NO_RUNS = pd.DataFrame()


def facts(
    raw: dict[str, Any], finished: pd.DataFrame = NO_RUNS, baselines: pd.DataFrame = NO_RUNS, **pilot: Any
) -> DesignFacts:
    return gather_design_facts(read_config(copy.deepcopy(raw)), PILOT | pilot, finished, baselines)


def text_of(page: str) -> str:
    """Return a page's words, without its style."""
    page = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


class Nesting(HTMLParser):
    """Follows which tags are open, and notes those that are closed out of turn."""

    VOID = ("meta",)

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def finished_runs(raw: dict[str, Any], spread: float) -> pd.DataFrame:
    """Return every run as done; the two seeds of a point lie `spread` apart in every metric."""
    rows = [
        {"run_id": run.run_id, "point_id": run.point_id, "dataset": run.dataset, "seed": run.seed, "status": "ok"}
        | dict.fromkeys(("accuracy", "f1", "loss"), 0.8 + spread * run.seed)
        | dict.fromkeys(("accuracy_se", "f1_se", "loss_se"), 0.001)
        for run in plan_study(read_config(copy.deepcopy(raw))).runs.values()
    ]
    return pd.DataFrame(rows)


def test_the_essentials_in_a_few_lines(raw_config):
    told = design_card_text(facts(raw_config), "results/toy/design_card.html")
    lines = told.splitlines()
    assert lines[0] == "Design card of study toy"
    assert lines[-1] == "- All of it: results/toy/design_card.html"
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 110
    assert "54 runs: 27 points (full factorial of learning rate, batch size and epochs) at 2 seeds on amazon." in told
    # 771 s: 478 s of steps as in the forecast's test, 5 s a run besides, 20 s of analysis and 3 s for the baseline
    assert "The 54 runs take about 12.8 min on the machine of the pilot" in told.replace("\n  ", " ")


def test_power_in_words(raw_config):
    """At 54 runs, noise 0.0045 and about 3.14 standard errors: 2 x 3.14 x 0.0045 / 6 = 0.0047 for a factor."""
    told = design_card_text(facts(raw_config), "x").replace("\n  ", " ")
    assert "Accuracy: with 80 % power the study finds a change of 0.0047 over a factor's range, 0.0058 by" in told
    assert "the smallest effect of interest is 0.010 (default; set your own), so that is enough; the test" in told
    assert "the smallest effect of interest is 5 % of the baseline's, not known yet" in told
    known = facts(raw_config, baselines=pd.DataFrame({"accuracy": [0.8], "f1": [0.8], "loss": [0.4]}))
    told = design_card_text(known, "x").replace("\n  ", " ")
    assert "Loss: with 80 % power the study finds a change of 0.013 over a factor's range" in told
    assert "the smallest effect of interest is 0.020 (default; set your own), so that is enough" in told


def test_effects_that_would_be_missed_are_told(raw_config):
    """One factor at two seeds: a first-order model of three points does not find what twice the noise would be."""
    raw_config["sweep"]["factors"] = {"epochs": {"levels": [1, 2, 3]}}
    raw_config["analysis"] = {"model": "first_order", "responses": ["loss"], "smallest_effect": {"loss": 0.024}}
    told = design_card_text(facts(raw_config), "x").replace("\n  ", " ")
    assert "the smallest effect of interest is 0.024, so one of that size may" in told


def test_the_studys_own_noise_is_used_and_said(raw_config):
    """Seeds 0.02 apart: 0.02 / sqrt 2 = 0.0141, 27 degrees of freedom; chi-squared of 27: 14.573 and 43.195."""
    done = facts(raw_config, finished_runs(raw_config, 0.02))
    page = text_of(render_design_card(done))
    assert page.count("noise between seeds of 0.0141 (95 % interval 0.0112 to 0.0192") == 3
    assert "with 27 degrees of freedom" in page
    assert "as other studies found it" not in page
    assert "54 of them are done" in page
    assert "All runs are done; analysis and report take about 20 s." in page


def test_more_seeds_and_levels(raw_config):
    """Four seeds instead of two: slopes a little smaller than by sqrt 2, as degrees of freedom grow, too."""
    planned, seeds, *levels = facts(raw_config).variants
    assert (planned.runs, seeds.runs, [level.runs for level in levels]) == (54, 108, [72, 72, 72])
    assert 0.63 < seeds.detected["epochs"] / planned.detected["epochs"] < 0.5**0.5
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
        ("max_length", (511, 512), "identity", 510),  # no position beyond, and a level below
        ("frozen_layers", (0, 1), "identity", 2),
    ],
)
def test_the_level_to_add(name, levels, scale, expected):
    assert next_level(name, Coding(levels, scale)) == pytest.approx(expected)


def test_there_may_be_no_level_to_add():
    assert next_level("epochs", Coding((1, 1000), "identity")) == 500
    assert next_level("max_length", Coding(tuple(range(8, 513)), "identity")) is None


def test_larger_studies_leave_the_study_as_it_is(raw_config):
    raw_config["sweep"]["seeds"] = [1, 7]
    config = read_config(raw_config)
    before = copy.deepcopy(config)
    assert with_seeds(config, 2)["sweep"]["seeds"] == [1, 7, 0, 2]
    assert with_level(config, "epochs", 4)["sweep"]["factors"]["epochs"]["levels"] == [1, 2, 3, 4]
    assert config == before


def test_a_gate_is_told_instead_of_power(raw_config):
    """One seed of runs that share trajectories: 9 of them for 10 parameters."""
    raw_config["training"] |= {"schedule": "constant", "warmup": 0.0}
    raw_config["sweep"]["seeds"] = [0]
    stopped = facts(raw_config)
    for told in (design_card_text(stopped, "x").replace("\n  ", " "), text_of(render_design_card(stopped))):
        assert "As planned, the analysis would stop: runs share 9 trajectories" in told
        assert "with 80 % power" not in told
        assert re.search(r"3 seeds: 54 more runs, .{,20} more, and the analysis would not stop", told)


def test_cautions(raw_config):
    raw_config["sweep"]["seeds"] = [0]
    assert "At one seed the study does not measure its noise" in text_of(render_design_card(facts(raw_config)))
    raw_config["sweep"]["seeds"] = [0, 1]
    raw_config["training"] |= {"schedule": "constant", "warmup": 0.0}
    assert "The runs share 18 trajectories" in text_of(render_design_card(facts(raw_config)))


def test_a_metric_without_known_noise_has_no_made_up_power(raw_config):
    raw_config["analysis"] = {"responses": ["mcc"]}
    page = text_of(render_design_card(facts(raw_config)))
    assert "Mcc" not in page
    assert "MCC: its noise is not known beforehand" in page
    assert "Smallest effects on" not in page


def test_designs_that_are_no_grid_have_no_levels_to_add(raw_config):
    raw_config["sweep"]["design"] = {"kind": "latin_hypercube", "points": 20}
    page = text_of(render_design_card(facts(raw_config)))
    assert "The points are not a grid of levels" in page
    assert "one more level" not in page.lower()


def test_many_data_sets(raw_config):
    raw_config["sweep"]["datasets"] = ["amazon", "movies"]
    told = facts(raw_config, data=dict.fromkeys(("amazon", "movies"), PILOT["data"]["amazon"]))
    assert told.forecast.runs == 108
    assert "on amazon and movies" in design_card_text(told, "x").replace("\n  ", " ")
    assert "dataset" not in text_of(render_design_card(told))


def test_the_page_is_valid_escaped_and_offline(raw_config):
    page = render_design_card(facts(raw_config, machine={"device": "<b>A & B</b>", "dtype_used": "float32"}))
    nesting = Nesting()
    nesting.feed(page)
    assert (nesting.open, nesting.wrong) == ([], [])
    assert "<b>A" not in page
    assert "&lt;b&gt;A &amp; B" in page
    assert not re.search(r"(src|href)=.?(http|//)|@import|url\(", page)


def test_no_number_is_missing(raw_config):
    page = text_of(render_design_card(facts(raw_config)))
    assert not re.search(r"\bnan\b|\binf\b|None|undefined", page)


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
        "train_baseline",
        "time_pilot",
        "design_card",
    }
