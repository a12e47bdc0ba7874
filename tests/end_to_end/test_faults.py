"""A short fault campaign (`make faults` is the long one): kills and damage, then one start that mends all."""

from __future__ import annotations

import random
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults import accidents, damage, kills, sequence
from tests.faults.kills import Blow
from tests.faults.study import GOAL, Place, clear, make_place

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
EDITS = (
    "labels changed, older file",
    "note beside the data",
    "data file renamed",
    "trainings forced",
)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    place = make_place(Path(tempfile.mkdtemp(prefix="faults")), GOAL)  # pytest's own folders are too deep for a socket
    yield place
    clear(place)


@pytest.mark.parametrize(
    ("kind", "stage", "blow"),
    [
        ("plain", "baseline", Blow(0.4, "Snakemake", signal.SIGKILL)),
        ("plain", "baseline", Blow(0.5, "fork", signal.SIGTERM)),
        ("headless", "fresh", Blow(0.2, "all", signal.SIGKILL, baseline=True)),
    ],
)
def test_a_start_after_a_kill_ends_as_if_nothing_had_been(place, kind, stage, blow):
    name = f"kill-{kind}-{blow.name}".replace(" ", "-")
    outcome = kills.trial(place, name, kind, stage, [blow], random.Random(0))
    assert not outcome.wrong, outcome.line("")
    assert outcome.repeated == 0


def test_damage_is_mended_by_one_start(place):
    outcome = damage.trial(place, "metrics", damage.TARGETS["run metrics"], "bit flipped", True, random.Random(0))
    assert not outcome.wrong, outcome.line("")
    assert outcome.notes[-1] == "told"


def test_an_edit_gives_what_a_study_made_from_nothing_gives_and_reruns_no_more_than_it_must(place):
    outcomes = [outcome for _, outcome in sequence.sequence(place, EDITS)]
    assert not any(outcome.wrong for outcome in outcomes), "\n".join(outcome.line("") for outcome in outcomes)


@pytest.mark.parametrize("name", ["lock", "half-written", "company"])
def test_a_start_meets_what_another_left_or_does(place, name):
    outcome = accidents.TRIALS[name][0](place)
    assert not outcome.wrong, outcome.line("")
