"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster import Cluster, cluster, require

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


LONGEST = ("test_slurm", "test_slurm_losses", "test_workflow", "test_faults", "test_browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes, so that no process is left alone with one in the end."""
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


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


@pytest.fixture
def raw_config() -> dict[str, Any]:
    return read_toy()


def read_toy() -> dict[str, Any]:
    """Return a study of 54 runs as Snakemake reads it: by YAML 1.1, to which 1e-4 is text."""
    return yaml.load(STUDY % {letter: letter * 64 for letter in "abcd"}, Loader=yaml.FullLoader)
