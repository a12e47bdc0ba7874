"""The forecast by hand calculation, and the pilot on a tiny model whose pace is set from outside."""

from __future__ import annotations

import copy
import math
import time
from pathlib import Path
from typing import Any

import pytest

import tiny
from finevar.columns import EXAMPLES
from finevar.data.encoding import encode, save_encoded
from finevar.errors import InputError
from finevar.files import read_facts, write_facts
from finevar.models import checkpoint
from finevar.parquet import write_rows
from finevar.planning import pilot
from finevar.planning.forecast import (
    ANALYSIS_SECONDS,
    BOOKS_BYTES,
    SNAKEMAKE_MB,
    forecast_study,
    step_seconds,
    tokens_of,
)
from finevar.study.config import TRAINING_DEFAULTS, read_config
from finevar.study.design import plan_study
from finevar.training import steps, timing
from pilot_facts import PILOT

# Of a run of 256 sentences, an epoch takes 32, 16 or 8 steps of 0.18, 0.26 or 0.42 s.
EPOCH = {8: 32 * 0.18, 16: 16 * 0.26, 32: 8 * 0.42}


def forecast(raw: dict[str, Any], finished: set[str] = frozenset(), **pilot: Any):
    return forecast_study(read_config(raw), PILOT | pilot, finished)


# Forecast -------------------------------------------------------------------------------------------------------------


def test_the_seconds_of_a_study_by_hand(raw_config):
    """54 runs: each of 3 batch sizes at 1, 2 and 3 epochs, 3 learning rates and 2 seeds."""
    told = forecast(raw_config)
    steps = 6 * sum((1 + 2 + 3) * seconds for seconds in EPOCH.values())
    assert (told.runs, told.left) == (54, 54)
    assert told.total.steps == pytest.approx(steps)
    assert told.total.starting == pytest.approx(54 * 1.0)  # 1.18 s but for its one step
    assert told.total.evaluation == pytest.approx(54 * 3.0)
    assert told.total.snakemake == pytest.approx(54 * 1.0)
    baseline = 3.0  # its evaluation
    assert told.seconds == pytest.approx(ANALYSIS_SECONDS + baseline + steps + 54 * 5.0)


def test_what_is_done_takes_nothing(raw_config):
    runs = plan_study(read_config(raw_config)).runs
    three_epochs = {name for name, run in runs.items() if run.settings["epochs"] == 3}
    told = forecast(raw_config, three_epochs)
    assert (told.runs, told.left) == (54, 36)
    assert told.total.steps == pytest.approx(6 * sum(3 * seconds for seconds in EPOCH.values()))
    assert told.disk == 36 * (40_000 + BOOKS_BYTES)
    done = forecast(raw_config, set(runs))
    assert (done.seconds, done.disk, done.transient, done.memory_mb) == (ANALYSIS_SECONDS, 0, 0, SNAKEMAKE_MB)


def test_two_at_once_take_half(raw_config):
    alone, two = forecast(raw_config), forecast(raw_config, concurrent=2)
    assert two.total == alone.total
    rest = (alone.seconds - ANALYSIS_SECONDS) / (two.seconds - ANALYSIS_SECONDS)
    assert 1.9 < rest <= 2.0  # but for the end, where one waits for the other


def test_many_places_wait_for_the_longest_run(raw_config):
    """More places than runs: the slowest run decides, 3 epochs at batch size 8."""
    told = forecast(raw_config, concurrent=100)
    assert told.seconds == pytest.approx(ANALYSIS_SECONDS + 5.0 + 3 * EPOCH[8])
    assert told.memory_mb == pytest.approx(SNAKEMAKE_MB + 54 * (700 + 100 * math.log2(24 / 8)))


def test_runs_go_on_from_shorter_ones_under_a_constant_schedule(raw_config):
    """Only the steps of the longest run of a trajectory are taken, and on many places one run waits for the other."""
    raw_config["training"] |= {"schedule": "constant", "warmup": 0.0}
    told = forecast(raw_config, concurrent=100)
    assert told.total.steps == pytest.approx(6 * sum(3 * seconds for seconds in EPOCH.values()))
    # The last one starts when two trainings before it have ended, each after half of Snakemake's work and its start.
    assert told.seconds == pytest.approx(ANALYSIS_SECONDS + 2 * 1.5 + 5.0 + 3 * EPOCH[8])
    assert told.transient == 54 * 90_000_000 + 36 * 200_000_000


def test_a_state_that_is_gone_is_made_anew(raw_config):
    """Where the shorter runs are done their states are gone, so the longer ones start from the beginning."""
    raw_config["training"] |= {"schedule": "constant", "warmup": 0.0}
    runs = plan_study(read_config(raw_config)).runs
    told = forecast(raw_config, {name for name, run in runs.items() if run.settings["epochs"] < 3})
    assert told.total.steps == pytest.approx(6 * sum(3 * seconds for seconds in EPOCH.values()))


def test_longer_sentences_are_cut_and_take_longer(raw_config):
    """Half of 20 and half of 100 tokens, cut at 40: 30 a sentence."""
    lengths = [0] * 101
    lengths[20] = lengths[100] = 250
    other = PILOT["data"]["amazon"] | {"train_lengths": lengths, "eval_lengths": lengths}
    raw_config["training"]["max_length"] = 40
    raw_config["sweep"]["datasets"] = ["amazon", "movies"]
    told = forecast(raw_config, data=PILOT["data"] | {"movies": other})
    runs = plan_study(read_config(raw_config)).runs.values()
    run = next(run for run in runs if run.dataset == "movies" and run.settings["batch_size"] == 16)
    assert tokens_of(run, PILOT | {"data": {"movies": other}}) == pytest.approx(16 * 30)
    assert told.total.evaluation == pytest.approx(54 * 3.0 + 54 * (1.0 + 2.0 * 30 / 10))


def test_memory_and_disk(raw_config):
    told = forecast(raw_config, concurrent=2)
    # At batch size 32 at most, 8 times 3 steps, of which the pilot took 8: log2(3) doublings more.
    assert told.memory_mb == pytest.approx(SNAKEMAKE_MB + 2 * (700 + 100 * math.log2(3)))
    assert (told.disk, told.transient) == (54 * (40_000 + BOOKS_BYTES), 4 * 90_000_000)
    kept = forecast(raw_config | {"keep_weights": "all"}, concurrent=2)
    assert (kept.disk, kept.transient) == (54 * (40_000 + BOOKS_BYTES + 90_000_000), 0)


def test_a_step_between_and_beyond_what_was_timed():
    assert step_seconds(PILOT, 160) == pytest.approx(0.26)
    assert step_seconds(PILOT, 640) == pytest.approx(0.74)
    odd = copy.deepcopy(PILOT)
    odd["steps"][0]["seconds"] = 0.01  # a line through both would be below 0 at the left
    assert 0 <= step_seconds(odd, 1) < 0.01


def test_all_examples_are_those_of_the_data(raw_config):
    raw_config["training"]["train_examples"] = None
    assert forecast(raw_config).total.steps == pytest.approx(
        36 * (math.ceil(2000 / 8) * 0.18 + math.ceil(2000 / 16) * 0.26 + (0.1 + 2000 / 63 * 0.01) * 63)
    )


# Pilot ----------------------------------------------------------------------------------------------------------------


CLASSES = ["negative", "positive"]
SETTINGS = TRAINING_DEFAULTS | {"batch_size": 8, "max_length": 16, "train_examples": 40, "dtype": "float32"}


@pytest.fixture
def data(tmp_path: Path) -> pilot.Data:
    """Return the files of a tiny model and data set: 60 sentences to train, 30 to evaluate."""
    tiny.make_model(tmp_path / "start")
    for part, count in (("train", 60), ("eval", 30)):
        texts, labels = zip(*tiny.make_sentences(count, seed=count), strict=True)
        numbers = [CLASSES.index(label) for label in labels]
        save_encoded(encode(texts, numbers, tmp_path / "start"), tmp_path / f"{part}.safetensors")
        rows = [
            {"example_id": str(number), "text": text, "label": label}
            for number, (text, label) in enumerate(zip(texts, numbers, strict=True))
        ]
        write_rows(rows, tmp_path / f"{part}.parquet", EXAMPLES)
    write_facts({"classes": CLASSES, "data_sha256": "0" * 64}, tmp_path / "facts.json")
    names = ("train.safetensors", "eval.safetensors", "eval.parquet", "facts.json")
    return pilot.Data(*(str(tmp_path / name) for name in names))


def paced(monkeypatch: pytest.MonkeyPatch, seconds: list[float]) -> None:
    """Make each step take so many seconds more, the last of them from then on."""
    taken, update = iter(seconds[:-1]), steps.update

    def slow(*args: Any, **options: Any):
        time.sleep(next(taken, seconds[-1]))
        return update(*args, **options)

    monkeypatch.setattr(steps, "update", slow)


def time_steps(data: pilot.Data, folder: Path, **settings: Any) -> dict[str, Any]:
    output = str(folder / "steps.json")
    chosen = {"settings": SETTINGS | settings, "threads": 1, "output": output}
    timing.time_steps(start=str(folder / "start"), train=data.train, facts=data.facts, **chosen)
    return read_facts(output)


def test_a_step_takes_what_it_takes_without_the_first_one(data, tmp_path, monkeypatch):
    paced(monkeypatch, [1.0, 0.1])
    found = time_steps(data, tmp_path)
    assert found["steps"] == timing.MOST - 1
    assert 0.1 < found["seconds"] < 0.25


def test_slow_steps_are_few(data, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "ENOUGH_SECONDS", 0.1)
    paced(monkeypatch, [0.2])
    assert time_steps(data, tmp_path)["steps"] == timing.FEWEST - 1


def test_a_step_reads_the_tokens_of_its_sentences(data, tmp_path):
    """Batches of all 40 sentences read the same tokens in every step: those of the first 40, cut at 8."""
    found = time_steps(data, tmp_path, batch_size=40, max_length=8)
    texts = [text for text, _ in tiny.make_sentences(60, seed=60)][:40]
    assert found["tokens"] == sum(min(len(text.split()) + 2, 8) for text in texts)
    assert found["peak_memory_mb"] > 50


def test_settings_to_time_are_the_costliest_at_each_batch_size():
    factors = {
        "learning_rate": {"levels": [1e-5, 1e-3]},
        "batch_size": {"levels": [32, 8, 16]},
        "frozen_layers": {"levels": [2, 0]},
        "max_length": {"levels": [64, 128]},
    }
    timed = pilot.pilot_settings(SETTINGS, factors)
    assert [row["batch_size"] for row in timed] == [8, 16, 32]
    costliest = {"learning_rate": 1e-5, "frozen_layers": 0, "max_length": 128}
    assert all(row.items() >= costliest.items() for row in timed)
    many = {"batch_size": {"levels": [4, 8, 16, 32, 64]}}
    assert [row["batch_size"] for row in pilot.pilot_settings(SETTINGS, many)] == [4, 64]
    assert [row["batch_size"] for row in pilot.pilot_settings(SETTINGS, {})] == [8]


def test_snakemakes_own_work_is_what_a_job_takes(tmp_path, monkeypatch):
    """Jobs that sleep for half a second keep a place for so long, and for what Snakemake itself takes."""
    monkeypatch.setattr(pilot, "TRIVIAL_SCRIPT", "import time\ntime.sleep(0.5)\n" + pilot.TRIVIAL_SCRIPT)
    monkeypatch.setattr(pilot, "TRIVIAL_JOBS", 6)
    assert 0.5 < pilot.job_overhead(tmp_path / "trivial", concurrent=2) < 3.0


def test_the_pilot_times_every_part_and_leaves_nothing(data, tmp_path, monkeypatch):
    monkeypatch.setattr(pilot, "job_overhead", lambda folder, concurrent: 0.25)
    before = sorted(tmp_path.iterdir())
    found = pilot.time_pilot(
        start=str(tmp_path / "start"),
        data={"reviews": data},
        settings=[SETTINGS, SETTINGS | {"batch_size": 16}],
        concurrent=2,
        threads=1,
        beside=str(tmp_path / "pilot.json"),
    )
    assert sorted(tmp_path.iterdir()) == before
    assert [row["batch_size"] for row in found["steps"]] == [8, 16]
    assert all(0 < row["seconds"] < 1 for row in found["steps"])
    assert 0 < found["evaluation"]["inside"] < found["evaluation"]["seconds"]
    weights = checkpoint.load_model(tmp_path / "start")[0]
    least = sum(tensor.numel() * 4 for tensor in weights.values())
    assert least < found["bytes"]["model"] < least + 50_000
    assert found["bytes"]["run"] % 4096 == 0
    assert (found["data"]["reviews"]["train_examples"], found["data"]["reviews"]["eval_examples"]) == (60, 30)
    texts = [text for text, _ in tiny.make_sentences(30, seed=30)]
    counts = found["data"]["reviews"]["eval_lengths"]
    assert sum(length * count for length, count in enumerate(counts)) == sum(len(text.split()) + 2 for text in texts)


def test_a_part_that_fails_is_told(data, tmp_path, monkeypatch):
    monkeypatch.setattr(pilot, "job_overhead", lambda folder, concurrent: 0.25)
    with pytest.raises(InputError, match="time_steps: found exit status 1"):
        pilot.time_pilot(
            start=str(tmp_path / "nothing"),
            data={"reviews": data},
            settings=[SETTINGS],
            concurrent=1,
            threads=1,
            beside=str(tmp_path / "pilot.json"),
        )
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
