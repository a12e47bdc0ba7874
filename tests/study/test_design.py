"""Designs against the published point sets; ids against the canonical form that they are documented to hash."""

from __future__ import annotations

import copy
import hashlib
import itertools
from typing import Any

import numpy as np
import pytest

from finevar.errors import InputError
from finevar.study.config import TRAINING_DEFAULTS, read_config
from finevar.study.design import Study, any_of, design_rows, plan_study
from finevar.study.identity import VERSION, digest
from finevar.study.seed_parts import COLUMNS

LEARNING_RATES, BATCH_SIZES, EPOCHS = (2.5e-5, 1e-4, 4e-4), (8, 16, 32), (1, 2, 3)
NAMES = ("learning_rate", "batch_size", "epochs")


def plan(raw: dict[str, Any]) -> Study:
    return plan_study(read_config(raw))


def refusal(raw: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        plan(raw)
    return str(caught.value)


def point_set(study: Study) -> set[tuple[float, ...]]:
    found = [tuple(point.values()) for point in study.points]
    assert len(found) == len(set(found)), "a point occurs twice"
    return set(found)


def as_coded(study: Study) -> set[tuple[int, ...]]:
    levels = [sorted(factor["levels"]) for factor in study.config["sweep"]["factors"].values()]
    return {tuple(levels[j].index(z) - 1 for j, z in enumerate(point)) for point in point_set(study)}


def with_design(raw: dict[str, Any], *, include_baseline: bool = False, **design: Any) -> dict[str, Any]:
    raw["sweep"]["design"] = {**design, "include_baseline": include_baseline}
    return raw


# Kinds of design


def test_full_factorial_is_every_combination(raw_config):
    assert point_set(plan(raw_config)) == set(itertools.product(LEARNING_RATES, BATCH_SIZES, EPOCHS))


def test_every_point_runs_at_every_seed(raw_config):
    study = plan(raw_config)
    assert (len(study.points), len(study.runs)) == (27, 54)


def test_central_composite_of_three_factors(raw_config):
    corners = set(itertools.product((-1, 1), repeat=3))
    faces = {(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)}
    assert as_coded(plan(with_design(raw_config, kind="central_composite"))) == corners | faces | {(0, 0, 0)}


def test_central_composite_of_two_factors_is_the_three_by_three_grid(raw_config):
    del raw_config["sweep"]["factors"]["epochs"]
    study = plan(with_design(raw_config, kind="central_composite"))
    assert as_coded(study) == set(itertools.product((-1, 0, 1), repeat=2))


def test_box_behnken_of_three_factors_is_edge_midpoints_and_centre(raw_config):
    edges = {point for point in itertools.product((-1, 0, 1), repeat=3) if point.count(0) == 1}
    assert len(edges) == 12
    assert as_coded(plan(with_design(raw_config, kind="box_behnken"))) == edges | {(0, 0, 0)}


@pytest.mark.parametrize(
    ("names", "settings"),
    [(NAMES, 9), ((*NAMES, "dropout"), 9), ((*NAMES, "dropout", "weight_decay", "frozen_layers"), 13)],
)
def test_definitive_screening_separates_first_order_from_second(raw_config, names, settings):
    """Jones & Nachtsheim 2011: 2 m + 1 settings of m factors (of one more where m is odd), in pairs of opposites.

    First-order columns are orthogonal to each other and to every product and square.
    """
    for name in set(names) - set(NAMES):
        raw_config["training"].pop(name, None)
        raw_config["sweep"]["factors"][name] = {"levels": [0, 1, 2] if name == "frozen_layers" else [0.0, 0.1, 0.2]}
    raw_config["analysis"] = {"model": "first_order"}
    coded = as_coded(plan(with_design(raw_config, kind="definitive")))
    assert len(coded) == settings
    assert {tuple(-x for x in place) for place in coded} == coded
    matrix = np.array(sorted(coded))
    pairs = itertools.combinations_with_replacement(matrix.T, 2)
    second = np.column_stack([one * other for one, other in pairs])
    assert np.count_nonzero(matrix.T @ second) == 0
    inner = matrix.T @ matrix
    assert np.count_nonzero(inner - np.diag(np.diag(inner))) == 0


def test_latin_hypercube_has_one_point_in_every_stratum(raw_config):
    study = plan(with_design(raw_config, kind="latin_hypercube", points=12, seed=3))
    low, high = np.log2(LEARNING_RATES[0]), np.log2(LEARNING_RATES[-1])
    places = sorted(12 * (np.log2(point["learning_rate"]) - low) / (high - low) for point in study.points)
    assert [int(place) for place in places] == list(range(12))


def test_latin_hypercube_keeps_integers_and_bounds(raw_config):
    for point in plan(with_design(raw_config, kind="latin_hypercube", points=12)).points:
        assert isinstance(point["batch_size"], int)
        assert 8 <= point["batch_size"] <= 32
        assert point["epochs"] in EPOCHS


def test_latin_hypercube_is_its_seeds(raw_config):
    def points(seed: int) -> list[dict[str, float]]:
        raw = copy.deepcopy(raw_config)
        return plan(with_design(raw, kind="latin_hypercube", points=12, seed=seed)).points

    assert points(1) == points(1)
    assert points(1) != points(2)
    unseeded = plan(with_design(copy.deepcopy(raw_config), kind="latin_hypercube", points=12)).points
    assert unseeded == points(0)


def test_an_optimal_design_is_so_many_combinations_and_the_baselines_own(raw_config):
    levels = set(itertools.product(LEARNING_RATES, BATCH_SIZES, EPOCHS))
    own = tuple(float(raw_config["baseline"]["settings"][name]) for name in NAMES)
    chosen = point_set(plan(with_design(copy.deepcopy(raw_config), kind="optimal", runs=15)))
    assert len(chosen) == 15
    assert chosen < levels
    with_own = plan(with_design(copy.deepcopy(raw_config), kind="optimal", runs=15, include_baseline=True))
    assert point_set(with_own) == chosen | {own}


def table(raw: dict[str, Any], tmp_path, content: str | bytes) -> dict[str, Any]:
    path = tmp_path / "points.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    raw["analysis"] = {"model": "first_order"}
    return with_design(raw, kind="table", file=str(path))


ROWS = ["2.5e-5,8,1", "2.5e-5,32,3", "4e-4,8,3", "4e-4,32,1", "1e-4,16,2"]
HEADER = ",".join(NAMES)


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_table_lists_the_points(raw_config, tmp_path, mark, end):
    study = plan(table(raw_config, tmp_path, mark + end.join([HEADER, *ROWS, ROWS[0], ""])))
    assert point_set(study) == {tuple(map(float, row.split(","))) for row in ROWS}


def test_table_in_another_column_order(raw_config, tmp_path):
    lines = [",".join(reversed(line.split(","))) for line in [HEADER, *ROWS]]
    study = plan(table(raw_config, tmp_path, "\n".join(lines)))
    assert point_set(study) == {tuple(map(float, row.split(","))) for row in ROWS}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["learning_rate,batch_size", "1e-4,8"], "found columns learning_rate, batch_size"),
        ([HEADER + ",dropout", "1e-4,8,1,0.1"], "found columns learning_rate, batch_size, epochs, dropout"),
        ([HEADER.replace(",", ";"), "1e-4;8;1"], "Allowed: one for each factor: learning_rate, batch_size, epochs"),
        ([HEADER.replace("epochs", "batch_size"), "1e-4,8,8"], "found columns learning_rate, batch_size, batch_size"),
        ([HEADER, "", "1e-4,eight,1"], "line 3, column batch_size: found 'eight'"),
        ([HEADER, "1e-4,8,"], "line 2, column epochs: found ''"),
        ([HEADER, "1e-4,8"], "line 2, column epochs: found None"),
        ([HEADER, *ROWS, "1e-4,8,1,9"], "line 7: found 4 cells. Allowed: 3"),
        ([HEADER, "1e-4,8,1.5"], "line 2, column epochs: found '1.5'. Allowed: a whole number from 1 to 3"),
        ([HEADER, "1e-4,64,1"], "line 2, column batch_size: found '64'. Allowed: a whole number from 8 to 32"),
        ([HEADER, "nan,8,1"], "line 2, column learning_rate: found 'nan'"),
        ([HEADER], "found 0 runs"),
        ([], "found columns none"),
    ],
)
def test_bad_table_is_told_by_line_and_column(raw_config, tmp_path, lines, told):
    assert told in refusal(table(raw_config, tmp_path, "\n".join(lines)))


def test_all_bad_cells_are_told_at_once(raw_config, tmp_path):
    message = refusal(table(raw_config, tmp_path, "\n".join([HEADER, "x,8,1", "1e-4,9000,1"])))
    assert "2 problems" in message


def test_table_that_is_missing_or_not_utf8(raw_config, tmp_path):
    assert "sweep.design.file" in refusal(table(copy.deepcopy(raw_config), tmp_path, b"\xff\xfe\0"))
    raw_config["sweep"]["design"] = {"kind": "table", "file": str(tmp_path / "no.csv")}
    assert "No such file" in refusal(raw_config)
    raw_config["sweep"]["design"] = {"kind": "table", "file": str(tmp_path)}
    assert "directory" in refusal(raw_config)


def test_baseline_is_added_once_where_it_is_absent(raw_config):
    raw_config["baseline"]["settings"]["learning_rate"] = 3e-4
    assert point_set(plan(raw_config)) == set(itertools.product(LEARNING_RATES, BATCH_SIZES, EPOCHS)) | {(3e-4, 32, 1)}
    assert len(plan(with_design(raw_config, kind="full_factorial")).points) == 27


# What cannot be fitted


def test_two_levels_are_too_few_for_a_square(raw_config):
    raw_config["sweep"]["factors"]["epochs"]["levels"] = [1, 3]
    message = refusal(raw_config)
    assert "sweep.factors: found epochs has 2 levels in the design, and the terms of model quadratic need 3" in message
    assert "found 18 settings that do not separate epochs^2 from the terms before them." in message
    raw_config["analysis"] = {"model": "interactions"}
    assert len(plan(raw_config).points) == 18


def test_constant_batch_times_epochs_is_aliased(raw_config, tmp_path):
    pairs = [(8, 4), (16, 2), (32, 1)]
    raw_config["sweep"]["factors"]["epochs"] = {"levels": [1, 2, 4], "coding": "log2"}
    rows = [f"{rate},{batch},{epochs}" for rate in LEARNING_RATES for batch, epochs in pairs]
    message = refusal(table(raw_config, tmp_path, "\n".join([HEADER, *rows])))
    assert "found 9 settings that do not separate epochs from the terms before them. Allowed: a design that" in message


def test_one_factor_that_follows_from_two_others_is_aliased(raw_config, tmp_path):
    raw_config["sweep"]["factors"] = {
        "learning_rate": {"levels": ["1e-4", "2e-4", "3e-4"]},
        "batch_size": {"levels": [8, 16, 24]},
        "epochs": {"levels": [2, 3, 4, 5, 6]},
    }
    rows = [f"{rate}e-4,{8 * batch},{rate + batch}" for rate in (1, 2, 3) for batch in (1, 2, 3)]
    message = refusal(table(copy.deepcopy(raw_config), tmp_path, "\n".join([HEADER, *rows])))
    assert "found 9 settings that do not separate epochs from the terms before them. Allowed: a design that" in message
    broken = [*rows[:-1], "3e-4,24,2"]
    assert len(plan(table(raw_config, tmp_path, "\n".join([HEADER, *broken]))).points) == 9


def test_no_more_runs_than_parameters_is_refused(raw_config):
    del raw_config["sweep"]["factors"]["epochs"], raw_config["sweep"]["factors"]["batch_size"]
    raw_config["sweep"]["seeds"] = [0]
    assert "found 3 runs for 3 parameters" in refusal(raw_config)
    raw_config["sweep"]["seeds"] = [0, 1]
    assert len(plan(raw_config).runs) == 6


def test_batch_larger_than_the_data_is_refused(raw_config):
    raw_config["training"]["train_examples"] = 24
    raw_config["sweep"]["factors"]["batch_size"]["levels"] = [4, 8, 32]
    message = refusal(raw_config)
    assert "9 problems" in message  # three learning rates by three numbers of epochs
    assert "found batch_size 32 with train_examples 24" in message


# Identities


def ids(raw: dict[str, Any]) -> set[str]:
    return set(plan(raw).runs)


def changed(raw: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(raw)
    *parents, last = path.split(".")
    place = raw
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    return raw


def test_a_digest_is_the_start_of_the_sha256_of_canonical_json():
    canonical = f'[{VERSION},{{"a":[1,2.5e-05,null],"b":{{"c":"d","e":true}}}}]'
    expected = hashlib.sha256(canonical.encode()).hexdigest()[:8]
    assert digest({"b": {"e": True, "c": "d"}, "a": [1, 2.5e-5, None]}) == expected


def unlike_defaults(settings: dict) -> dict:
    return {name: value for name, value in settings.items() if value != TRAINING_DEFAULTS[name]}


def test_a_run_id_hashes_all_that_decides_the_run(raw_config):
    study = plan(raw_config)
    config = read_config(raw_config)
    source = {"source": config["sources"]["ratings"]}
    data = {name: spec | source for name, spec in config["datasets"].items()}
    for spec in data.values():
        if spec["margin"] == 0:  # the default
            del spec["margin"]
        del spec["fold_labels"]  # likewise
    baseline = {"model": config["sources"]["minilm"], "dataset": data["movies"], "seed": 0}
    baseline["settings"] = unlike_defaults(config["baseline"]["settings"])
    settings = config["training"] | {"learning_rate": 2.5e-5, "batch_size": 8, "epochs": 1}
    identity = {"dataset": data["amazon"], "baseline": baseline, "settings": unlike_defaults(settings)}
    run = study.runs[f"lr2.5e-05-bs8-ep1-seed1-{digest(identity | {'seed': 1})}"]
    assert run.point_id == f"lr2.5e-05-bs8-ep1-{digest(identity)}"
    assert (run.dataset, run.seed) == ("amazon", 1)
    assert run.settings == {name: value for name, value in settings.items() if not name.startswith("lora_")}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("sweep.factors.learning_rate.levels", [2.5e-5, 5e-5, 1e-4, 4e-4]),
        ("sweep.seeds", [0, 1, 2]),
        ("sweep.datasets", ["amazon", "movies"]),
        ("sweep.factors.dropout", {"levels": [0.1, 0.2, 0.3]}),  # 0.1 is the default
    ],
)
def test_more_levels_seeds_data_sets_or_factors_keep_all_ids(raw_config, path, value):
    assert ids(raw_config) < ids(changed(raw_config, path, value))


def test_settings_of_lora_decide_runs_with_lora_alone(raw_config):
    raw = changed(raw_config, "sweep.factors.method", {"levels": ["full", "lora"]})
    both, ranked = plan(raw), plan(changed(raw, "training.lora_rank", 4))
    full, lora = ({name for name, run in both.runs.items() if run.settings["method"] == m} for m in ("full", "lora"))
    assert full == ids(raw_config)
    assert lora
    assert {*both.runs} & {*ranked.runs} == full
    assert all(
        "lora_rank" not in both.runs[name].settings and both.runs[name].record["lora_rank"] is None for name in full
    )
    assert {ranked.runs[name].settings["lora_rank"] for name in {*ranked.runs} - full} == {4}
    assert both.baseline_ids == ranked.baseline_ids == plan(raw_config).baseline_ids


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("study", "another"),
        ("analysis", {"model": "first_order", "confidence": 0.9, "responses": ["loss"]}),
        ("keep_weights", "all"),
        ("sweep.seeds", [1, 0]),
        ("sweep.factors.epochs.levels", [3.0, 2.0, 1.0]),
        ("training.dropout", 0.1),  # the default
        ("training.schedule", "linear"),
        ("training.warmup", "1e-1"),
        ("sources.unused", {"kind": "local", "path": "here"}),
    ],
)
def test_what_decides_no_run_changes_no_id(raw_config, path, value):
    assert ids(raw_config) == ids(changed(raw_config, path, value))


def test_the_order_of_keys_changes_no_id(raw_config):
    shuffled = {key: raw_config[key] for key in reversed(raw_config)}
    shuffled["datasets"] = dict(reversed(raw_config["datasets"].items()))
    shuffled["training"] = dict(reversed(raw_config["training"].items()))
    shuffled["sweep"]["factors"] = dict(reversed(raw_config["sweep"]["factors"].items()))
    assert ids(raw_config) == ids(shuffled)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("datasets.amazon.margin", 0.4),
        ("datasets.amazon.eval_examples", 500),
        ("datasets.movies.eval_examples", 500),  # the baseline's own data
        ("baseline.seed", 1),
        ("baseline.settings.epochs", 2),
        ("sources.ratings.sha256", "0" * 64),
        ("sources.minilm.weights_sha256", "0" * 64),
        ("training.dropout", 0.2),
        ("training.schedule", "cosine"),
        ("training.train_examples", 128),
    ],
)
def test_what_decides_a_run_changes_every_id(raw_config, path, value):
    assert not ids(raw_config) & ids(changed(raw_config, path, value))


def test_a_setting_is_the_same_as_factor_and_as_fixed_one(raw_config):
    raw_config["baseline"]["settings"]["weight_decay"] = 0.01
    as_factor = changed(raw_config, "sweep.factors.weight_decay", {"levels": [0.0, 0.01, 0.1]})
    del as_factor["training"]["weight_decay"]
    assert ids(raw_config) < ids(as_factor)


def test_a_baseline_that_is_not_trained_is_the_model(raw_config):
    del raw_config["baseline"]["dataset"]
    study = plan(raw_config)
    assert study.baseline_ids == study.model_ids
    assert ids(raw_config) == ids(changed(raw_config, "baseline.settings.weight_decay", 0.1))


def test_one_data_set_under_two_names_is_refused(raw_config):
    raw_config["datasets"]["again"] = raw_config["datasets"]["amazon"]
    raw_config["sweep"]["datasets"] = ["amazon", "again"]
    assert "different runs with one id" in refusal(raw_config)


def test_design_rows_tell_settings_and_path(raw_config):
    row = design_rows(plan(raw_config).runs.values())[0]
    assert row["path"] == f"results/runs/amazon/{row['run_id']}"
    assert list(row)[:7] == ["run_id", "point_id", "dataset", "seed", "learning_rate", "batch_size", "epochs"]
    assert row["weight_decay"] == 0.01
    assert list(row)[4:-1] == [*TRAINING_DEFAULTS, *COLUMNS.values()]


def test_wildcard_pattern_escapes_names():
    assert any_of(["a.b", "c"]) == r"a\.b|c"
