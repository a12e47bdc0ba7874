"""Fixtures that several test modules share."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster import Cluster, cluster, require

from finevar import ROOT

# Of several processes on few cores, threads that wait in a loop for each other take what the others need.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Small matrices gain nothing from threads, which several processes fight over: simulations take a tenth of the time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

STUDY = """
study: toy
sources:
  minilm: {kind: package, package: a-model==1.0, sha256: %(a)s, weights_sha256: %(b)s}
  ratings: {kind: package, package: some.ratings==1.0, sha256: %(c)s, archive: data.tar.gz, archive_sha256: %(d)s}
model: minilm
datasets:
  movies: &ratings
    source: ratings
    file: movies.txt
    format: tsv
    columns: [id, rating, text]
    text: text
    label: rating
    threshold: 0
    margin: 0.5
    eval_examples: 600
  amazon:
    <<: *ratings
    file: amazon.txt
baseline:
  dataset: movies
  settings: {learning_rate: 1e-4, batch_size: 32, epochs: 1, train_examples: 4000}
sweep:
  datasets: [amazon]
  design: {kind: full_factorial}
  factors:
    learning_rate: {levels: [2.5e-5, 1e-4, 4e-4], coding: log2}
    batch_size: {levels: [8, 16, 32], coding: log2}
    epochs: {levels: [1, 2, 3]}
  seeds: [0, 1]
training: {train_examples: 256, warmup: 0.1, weight_decay: 0.01}
"""


LONGEST = [f"test_{name}" for name in (
    "slurm", "slurm_losses", "faults", "workflow", "mishaps", "confirm", "extending", "calibration_campaign",
    "tradeoffs", "browser", "found_study", "report", "security", "fuzz", "shared_beginnings", "variability", "claims",
    "saving", "sources",
)]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes, so that no process is left alone with one in the end."""
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


def pytest_collection_finish() -> None:
    """Leave modules and collected tests out of garbage collection, which statsmodels' multipletests asks for each time.

    A collection takes a tenth of a second otherwise, of which simulations ask for hundreds.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def no_slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide scontrol, by which each start of Snakemake would wait ten seconds for a controller that there is not.

    A test with a cluster of its own puts that cluster's clients first.
    """
    folder: Path = tmp_path_factory.mktemp("no-slurm")
    (folder / "scontrol").write_text("#!/bin/sh\nexit 1\n")
    (folder / "scontrol").chmod(0o755)
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}{os.pathsep}{before}"
    yield
    os.environ["PATH"] = before


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Bring up a SLURM of three nodes for a module's tests."""
    require()
    with cluster(tmp_path_factory.mktemp("c")) as up:
        yield up


@pytest.fixture(scope="module")
def fewer_draws() -> Iterator[None]:
    """Draw less in each of a module's simulated studies, as `make calibrate` does."""
    from tests.calibration.simulate import drawing_less

    with drawing_less():
        yield


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a toy study that has been run: once for all processes of the tests, to be copied only."""
    from toy_study import run_toy  # which imports torch

    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "toy"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            run_toy(tmp_path_factory.mktemp("made")).rename(folder)
    return folder


@pytest.fixture(scope="module")
def finished(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the finished toy study for a module's tests, not to be spoilt."""
    from toy_study import copy_of

    return copy_of(toy, tmp_path_factory.mktemp("finished") / "toy")


@pytest.fixture
def copied(toy: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished toy study, to be spoilt."""
    from toy_study import copy_of

    return copy_of(toy, tmp_path / "copy")


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """Return a folder with nothing but the default study's config."""
    shutil.copy(ROOT / "config" / "config.yaml", tmp_path / "config.yaml")
    return tmp_path


@pytest.fixture
def raw_config() -> dict[str, Any]:
    return read_toy()


def read_toy() -> dict[str, Any]:
    """Return a study of 54 runs as Snakemake reads it: by YAML 1.1, to which 1e-4 is text."""
    return yaml.load(STUDY % {letter: letter * 64 for letter in "abcd"}, Loader=yaml.FullLoader)
