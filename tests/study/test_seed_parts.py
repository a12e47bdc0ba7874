"""The parts of a seed: which a study varies, in what runs, and by what ids."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from finevar.errors import InputError
from finevar.study.config import read_config
from finevar.study.confirmation import confirmation_runs, fresh_seeds
from finevar.study.design import Run, Study, plan_study
from finevar.study.seed_parts import FIRST, PARTS, combination_count, is_crossed, numbered, parts_of, seed_of, varied

ORDINARY = {3: {"init": 3, "order": 3, "dropout": 3, "sample": FIRST}}


def plan(raw: dict[str, Any], **sweep: Any) -> Study:
    return plan_study(read_config(raw | {"sweep": raw["sweep"] | sweep}))


def refusal(raw: dict[str, Any], **sweep: Any) -> str:
    with pytest.raises(InputError) as caught:
        plan(raw, **sweep)
    return str(caught.value)


def of_first_point(study: Study) -> list[Run]:
    point = next(iter(study.runs.values())).point_id
    return [run for run in study.runs.values() if run.point_id == point]


def test_a_seed_changes_all_but_the_sample_unless_the_config_says_otherwise():
    assert numbered({"seeds": [3]}) == ORDINARY
    assert numbered({"seeds": [3], "vary": ["order"]}) == {3: {"init": 0, "order": 3, "dropout": 0, "sample": FIRST}}
    assert numbered({"seeds": [3], "vary": [*PARTS]}) == {3: dict.fromkeys(PARTS, 3)}
    assert varied({"seeds": [7, 3], "vary": ["sample", "init"]}) == {"init": [7, 3], "sample": [7, 3]}
    assert not is_crossed({"seeds": [7, 3], "vary": ["sample", "init"]})


def test_crossed_parts_are_numbered_the_last_of_them_fastest():
    sweep = {"seeds": {"order": [5, 9], "init": 3}}
    pairs = [(parts["init"], parts["order"]) for parts in numbered(sweep).values()]
    assert pairs == [(0, 5), (0, 9), (1, 5), (1, 9), (2, 5), (2, 9)]
    assert list(numbered(sweep)) == [0, 1, 2, 3, 4, 5]
    assert {(parts["dropout"], parts["sample"]) for parts in numbered(sweep).values()} == {(0, FIRST)}
    assert is_crossed(sweep)


@pytest.mark.parametrize("seeds", [{"order": 4}, {"order": 4, "init": 1}, {"order": 4, "init": [8]}])
def test_one_part_alone_crosses_nothing(seeds):
    assert not is_crossed({"seeds": seeds})
    assert combination_count({"seeds": seeds}) == 4


def test_a_seed_of_one_number_and_its_parts_are_one_thing():
    assert [seed_of(parts_of(seed)) for seed in (0, 3)] == [0, 3]
    apart = {"init": 3, "order": 3, "dropout": 3, "sample": 3}
    assert seed_of(apart) == parts_of(apart) == apart


def test_what_is_trained_alike_is_one_run_in_all_studies(raw_config):
    ordinary, crossed = plan(raw_config), plan(raw_config, seeds={"init": 2, "order": 2, "dropout": 2})
    assert set(ordinary.runs) < set(crossed.runs)
    assert [crossed.runs[name].seed for name in list(ordinary.runs)[:2]] == [0, 7]  # seeds 0 and 1, and 0-0-0 and 1-1-1
    assert {run.own_record["seed"] for run in ordinary.runs.values()} == {0, 1}
    for name, run in ordinary.runs.items():
        assert crossed.runs[name].own_record == run.own_record
    alone, both = plan(raw_config, seeds=[0, 1, 2], vary=["order"]), plan(raw_config, seeds={"init": 2, "order": 3})
    assert set(alone.runs) < set(both.runs)
    assert set(plan(raw_config, vary=["dropout", "order", "init"]).runs) == set(ordinary.runs)


def test_runs_of_parts_are_named_after_them(raw_config):
    runs = of_first_point(plan(raw_config, seeds={"init": 2, "sample": 2}))
    assert [re.search(r"-seed([\d_]+)-", run.run_id)[1] for run in runs] == ["0_0_0_0", "0_0_0_1", "1_0_0_0", "1_0_0_1"]
    smk = (Path(__file__).parents[2] / "workflow/rules/common.smk").read_text()
    pattern = re.search(r'run=r"(.+)",', smk)[1]
    assert all(re.fullmatch(pattern, run.run_id) for run in runs)
    assert [run.own_record["seed"] for run in runs] == [None] * 4


def test_tables_hold_the_seed_of_each_part(raw_config):
    rows = [run.record for run in of_first_point(plan(raw_config, seeds={"order": [4, 6], "sample": [9]}))]
    columns = ("seed", "seed_init", "seed_order", "seed_dropout", "seed_sample")
    assert [[row[name] for name in columns] for row in rows] == [[0, 0, 4, 0, 9], [1, 0, 6, 0, 9]]
    rows = [run.record for run in of_first_point(plan(raw_config))]
    assert [[row[name] for name in columns] for row in rows] == [[0, 0, 0, 0, FIRST], [1, 1, 1, 1, FIRST]]


def test_longer_runs_begin_with_shorter_ones_of_the_same_parts(raw_config):
    raw_config["training"] = {"train_examples": 256, "schedule": "constant"}
    study = plan(raw_config, seeds={"init": 2, "order": 2})
    assert len(study.shorter) == 9 * 4 * 2
    assert all(study.runs[longer].drawn == study.runs[begin].drawn for longer, begin in study.shorter.items())


def test_without_a_number_of_examples_there_is_no_sample(raw_config):
    raw_config["training"] = {"train_examples": None}
    everything = plan(raw_config, vary=[*PARTS])
    assert set(everything.runs) == set(plan(raw_config).runs)
    assert "train_examples" in refusal(raw_config, vary=["sample"])
    assert "train_examples" in refusal(raw_config, seeds={"init": 2, "sample": 2})
    raw_config["training"] = {"dropout": 0, "train_examples": 256}
    assert len(plan(raw_config, seeds={"init": 2, "dropout": 2}).runs) == 108  # the head has dropout of its own


@pytest.mark.parametrize(
    ("sweep", "place"),
    [
        ({"seeds": {"init": 3}, "vary": ["init"]}, "sweep.vary"),
        ({"seeds": {"head": 3}}, "sweep.seeds"),
        ({"seeds": {}}, "sweep.seeds"),
        ({"seeds": {"init": 0}}, "sweep.seeds.init"),
        ({"seeds": {"init": [1, 1]}}, "sweep.seeds.init"),
        ({"seeds": {"init": [-1]}}, "sweep.seeds.init"),
        ({"vary": []}, "sweep.vary"),
        ({"vary": ["seed"]}, "sweep.vary"),
        ({"seeds": 3}, "sweep.seeds"),
        ({"seeds": {"init": 1000, "order": 1000}}, "sweep"),
        ({"seeds": dict.fromkeys(PARTS, 1000)}, "sweep"),
        ({"seeds": dict.fromkeys(PARTS, 1000), "design": {"kind": "central_composite"}}, "sweep"),
        ({"seeds": {"init": 4294967295, "order": 2}}, "sweep.seeds.init"),
    ],
)
def test_seeds_that_mean_nothing_are_refused(raw_config, sweep, place):
    assert f"config: {place}" in refusal(raw_config, **sweep)


def test_a_confirmation_varies_at_once_what_the_study_crosses(raw_config):
    study = plan(raw_config, seeds={"init": 2, "order": [0, 8]})
    fresh = fresh_seeds(study.config["sweep"])
    runs = confirmation_runs(study, study.points[:1], fresh).values()
    assert [run.seed for run in runs] == fresh == [9, 10, 11, 12]
    assert [run.drawn for run in runs] == [{"init": n, "order": n, "dropout": 0, "sample": FIRST} for n in fresh]
