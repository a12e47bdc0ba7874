"""Additions to a finished study: their runs, their checks, and the file that they are written into."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from finevar import ROOT
from finevar.study.additions import as_written, design_digest, following_seeds, judged_additions
from finevar.study.config import read_config
from finevar.study.design import design_points, fit_params, plan_study
from finevar.study.goals import Goal, read_goal
from finevar.study.yaml_edits import add_entry, inserted, with_addition
from refusals import at, names, refusal, refusals

SEEDS = {"date": "2025-12-31", "goal": "batch_size:loss 0.01", "seeds": [2, 3]}
LEVELS = {"learning_rate": 1e-4, "batch_size": 24, "epochs": 2}
POINTS = {"date": "2025-12-31", "goal": "batch_size:loss 0.01", "points": [LEVELS]}


def added(raw: dict, *entries: dict) -> dict:
    for entry in entries:
        raw = with_addition(raw, entry)
    return raw


def test_seeds_and_settings_add_their_runs_and_rename_none(raw_config):
    before = plan_study(read_config(raw_config))
    seeds = plan_study(read_config(added(raw_config, SEEDS)))
    assert list(before.runs) == [name for name, run in seeds.runs.items() if run.seed in (0, 1)]
    assert len(seeds.runs) == 2 * len(before.runs)
    both = plan_study(read_config(added(raw_config, SEEDS, POINTS)))
    assert seeds.runs.keys() < both.runs.keys()
    assert [run.seed for name, run in both.runs.items() if name not in seeds.runs] == [0, 1, 2, 3]
    assert both.points[-1] == LEVELS


def test_a_study_without_additions_has_no_param_of_them(raw_config):
    assert "additions" not in fit_params(plan_study(read_config(raw_config)))["analysis"]


def test_a_checked_config_is_given_back_as_it_can_be_read(raw_config):
    config = read_config(added(raw_config, SEEDS))
    assert config["sweep"]["seeds"] == [0, 1, 2, 3]
    assert as_written(config)["sweep"]["seeds"] == [0, 1]


def test_a_nested_factor_is_left_out_where_it_does_not_exist(raw_config):
    del raw_config["training"]["weight_decay"]
    raw_config["baseline"]["settings"]["weight_decay"] = 0.01
    raw_config["sweep"]["factors"] = {
        "optimizer": {"levels": ["adamw", "sgd"]},
        "weight_decay": {"levels": [0.001, 0.01, 0.1], "coding": "log10", "when": {"optimizer": "adamw"}},
        "batch_size": {"levels": [8, 16, 32], "coding": "log2"},
    }
    points = [{"optimizer": "sgd", "batch_size": 24}, {"optimizer": "adamw", "batch_size": 24, "weight_decay": 0.05}]
    config = read_config(added(raw_config, POINTS | {"points": points}))
    assert design_points(config)[-2:] == [points[0] | {"weight_decay": None}, points[1]]
    points[0]["weight_decay"] = 0.01
    del points[1]["weight_decay"]
    found = refusals(read_config, added(raw_config, POINTS | {"points": points}))
    at(found, "config: sweep.additions.0.points.0.weight_decay", "optimizer")
    at(found, "config: sweep.additions.0.points.1.weight_decay", "0.001 to 0.1")


def test_an_added_setting_that_the_condition_forbids_is_refused_rather_than_left_out(raw_config):
    raw_config["sweep"]["design"] = {"kind": "full_factorial", "where": "batch_size != 24"}
    found = refusals(read_config, added(raw_config, POINTS))
    at(found, "config: sweep.additions.0.points.0", "sweep.design.where")
    raw_config["sweep"]["design"]["where"] = "batch_size < 30 or epochs > 1"
    assert design_points(read_config(added(raw_config, POINTS)))[-1] == LEVELS


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        (SEEDS | {"seeds": [1, 2]}, "config: sweep.additions.0.seeds"),
        (SEEDS | {"points": [LEVELS]}, "config: sweep.additions.0"),
        ({"date": "2025-12-31"}, "config: sweep.additions.0"),
        (SEEDS | {"goal": "batch_size 0.01"}, "config: sweep.additions.0.goal"),
        (SEEDS | {"date": "yesterday"}, "config: sweep.additions.0.date"),
        (POINTS | {"points": [LEVELS | {"batch_size": 64}]}, "config: sweep.additions.0.points.0.batch_size"),
        (POINTS | {"points": [LEVELS | {"epochs": 1.5}]}, "config: sweep.additions.0.points.0.epochs"),
        (POINTS | {"points": [LEVELS | {"warmup": 0.1}]}, "config: sweep.additions.0.points.0"),
        (POINTS | {"first_stage": {"seeds": [0], "sd": 1, "df": 4, "design": "a"}}, "config: sweep.additions.0"),
    ],
)
def test_what_is_no_addition_is_refused(raw_config, entry, where):
    assert where in [error.where for error in refusals(read_config, added(raw_config, entry))]


def test_a_first_stage_holds_for_its_own_runs_scales_and_model(raw_config):
    study = plan_study(read_config(raw_config))
    runs = list(study.runs.values())
    stage = {"seeds": [0, 1], "sd": 0.1, "df": 1.0, "design": design_digest(study.config, runs, [0, 1])}

    def holds(raw: dict) -> bool:
        later = plan_study(read_config(raw))
        return judged_additions(later.config, list(later.runs.values()))[0]["holds"]

    own = added(raw_config, SEEDS | {"first_stage": stage})
    assert holds(own)
    assert holds(added(own, SEEDS | {"seeds": [4]}))
    assert not holds(added(own, POINTS))
    assert not holds(own | {"analysis": {"model": "interactions"}})
    other = copy.deepcopy(own)
    other["sweep"]["factors"]["batch_size"]["coding"] = "identity"
    assert not holds(other)
    assert not holds(added(raw_config, SEEDS))


def test_new_seeds_follow_the_largest():
    assert following_seeds([7, 0, 2**32 - 1], 3) == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("batch_size:loss 0.01", Goal("batch_size", "loss", 0.01)),
        (" schedule[cosine-linear]:loss  1e-2", Goal("schedule[cosine-linear]", "loss", 0.01)),
        ("learning_rate:epochs:f1 2", Goal("learning_rate:epochs", "f1", 2.0)),
    ],
)
def test_goals_are_read_and_written(text, goal):
    assert read_goal(text) == goal
    assert read_goal(str(goal)) == goal


@pytest.mark.parametrize("text", ["", "loss 0.1", "a:loss", "a:loss x", "a:loss -1", "a:loss 0", "a:loss nan", "a b"])
def test_what_is_no_goal_is_refused(text):
    assert names(refusal(read_goal, text), "batch_size:loss 0.01")


# Files ----------------------------------------------------------------------------------------------------------------

LAYOUTS = {
    "the default study": (ROOT / "config/config.yaml").read_text(encoding="utf-8"),
    "no newline at the end": "study: a\nsweep:\n  seeds: [0, 1]",
    "other line ends": "study: a\r\nsweep:\r\n  seeds: [0]  # why\r\nanalysis: {}\r\n",
    "comments below": "sweep:\n    seeds:\n    - 0\n    - 1 # one\n    # the end\n\n# more\nanalysis: {}\n",
    "a text of lines last": "sweep:\n  seeds: [0]\n  design:\n    where: >-\n      a <\n      b\nstudy: a\n",
    "an anchor elsewhere": "x: &x {a: 1}\nsweep:\n  factors: *x\n  seeds: [0]\n",
    "sweep in the middle": "sweep:\n  additions:\n  - date: '2025-01-01'\n    seeds: [5]\n  seeds: [0]\nstudy: a\n",
}


@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("entry", [SEEDS, POINTS])
def test_an_entry_is_written_and_every_line_stays(text, entry, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_bytes(text.encode())
    for _ in range(2):
        add_entry(path, entry)
    written = path.read_bytes().decode()
    before = yaml.safe_load(text)
    assert yaml.safe_load(written) == added(before, entry, entry)
    left = iter(written.splitlines())
    assert all(line in left for line in text.splitlines()), "the old lines in their order"
    assert ("\r\n" in text) == (written.count("\r\n") == written.count("\n"))


@pytest.mark.parametrize(
    "text",
    [
        "sweep: {seeds: [0]}\n",
        "x: &x\n  seeds: [0]\nsweep: *x\n",
        "x: &x\n  sweep:\n    seeds: [0]\n<<: *x\n",
        "sweep:\n  seeds: [0]\n  additions: [{date: '2025-01-01', seeds: [5]}]\n",
        "sweep: &x\n  seeds: [0]\nother: *x\n",
    ],
    ids=["braces", "alias", "merged", "list in brackets", "anchor that others use"],
)
def test_other_layouts_are_left_alone(text):
    assert inserted(text, SEEDS) is None


def test_a_file_that_may_be_of_others_is_left_alone_and_the_lines_are_told(tmp_path):
    own, link, text = tmp_path / "own.yaml", tmp_path / "link.yaml", "sweep:\n  seeds: [0]\n"
    own.write_text(text)
    link.symlink_to(own)
    assert names(refusal(add_entry, link, SEEDS), "seeds: [2, 3]")
    Path(tmp_path / "hard.yaml").hardlink_to(own)
    assert names(refusal(add_entry, own, SEEDS), "goal: batch_size:loss 0.01")
    assert own.read_text() == text
