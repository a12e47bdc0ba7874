"""Finished jobs, kept beside their outputs for as long as the run's folder is there.

Snakemake removes a job's outputs before it starts the job again, for whatever reason it does so (`--forcerun`, dates
that a copy changed, an end that it did not live to see), and those of a job whose submission failed. So they have a
second name, a hard link, in the folder `finished` that Snakemake does not know. A job that finds there what it is to
make gives it back: nothing is trained twice. What a job is to make is its identity, which holds all that decides the
result but the machine: data, model, settings and the version of the code (ENGINES).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finevar.files import is_whole, name_beside, read_facts, write_facts
from finevar.jobs.log import LOGGER


def kept_folder(folder: Path, job: str) -> Path:
    """Return where the outputs of a finished job (training, evaluation) of a run are kept."""
    return folder / "finished" / job


def keep_finished(folder: Path, job: str, outputs: Sequence[str], identity: Mapping[str, Any]) -> None:
    """Link a finished job's outputs where Snakemake does not remove them.

    identity: all that decides what is in the outputs. On file systems without hard links they are copied.
    """
    kept = kept_folder(folder, job)
    beside = name_beside(kept)
    try:
        beside.mkdir(parents=True)
        for output in map(Path, outputs):
            link(output, beside / output.name)
        write_facts({"identity": identity}, beside / "identity.json")
        before = name_beside(kept.with_name(f"{job}.before"))
        if kept.exists():
            kept.replace(before)
        beside.replace(kept)
        shutil.rmtree(before, ignore_errors=True)
    except OSError as error:
        LOGGER.info("the finished %s cannot be kept for later starts (%s)", job, error)
        shutil.rmtree(beside, ignore_errors=True)


def kept_identity(folder: Path, job: str) -> dict[str, Any] | None:
    """Return the identity of a job that is kept, if one is and all that is left of its outputs is whole."""
    kept = kept_folder(folder, job)
    files = [path for path in kept.glob("*") if not path.name.startswith(".")]  # but for those of a file system
    if kept / "identity.json" not in files or not all(map(is_whole, files)):
        return None
    return read_facts(kept / "identity.json")["identity"]


def restore_finished(folder: Path, job: str, outputs: Sequence[str]) -> bool:
    """Give a kept job's outputs their names again; False if one of them is no longer kept."""
    kept = kept_folder(folder, job)
    if not all((kept / Path(output).name).exists() for output in outputs):
        return False
    for output in map(Path, outputs):
        if output.is_dir():
            shutil.rmtree(output)
        output.unlink(missing_ok=True)
        link(kept / output.name, output)
        for path in (output, *output.rglob("*")):
            os.utime(path)  # made now, as far as Snakemake is concerned: its inputs may be newer
    return True


def drop_weights(folder: Path) -> None:
    """Forget a training's weights, which take room, once they are evaluated."""
    kept = kept_folder(folder, "training")
    shutil.rmtree(kept / "model", ignore_errors=True)
    (kept / "state.safetensors").unlink(missing_ok=True)


def link(source: str | Path, target: str | Path) -> None:
    """Link a file, or the files of a folder; copy where the file system has no hard links."""
    if Path(source).is_dir():
        shutil.copytree(source, target, copy_function=link)
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
