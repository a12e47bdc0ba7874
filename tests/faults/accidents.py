"""Studies that something else goes wrong with: locks, clocks, company, full and read-only disks."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import yaml
from tests.faults.edits import Desk, flip_labels
from tests.faults.kills import Outcome, start_once_more
from tests.faults.processes import candidates, end_all
from tests.faults.study import GOAL, Place, Told, differences, finish, run, settle, start

HOUR = 3600
NOBODY = 2**22 + 1  # above the numbers that Linux gives to processes
DISK_MB = 64
FULL = "No space left on device. The disk is full"
READ_ONLY = re.compile(r"is not writable|Read-only file system")
ACTIVE = "Another run is active"
OTHER = "other"  # the name of a second study
LOCKED = re.compile(r"cannot be locked", re.IGNORECASE)


# What a killed start leaves -------------------------------------------------------------------------------------------


def lock(place: Place, content: str) -> Outcome:
    """Leave a lock of a Snakemake that is gone."""
    folder = place.copy("plain", "runs", f"lock-{len(content)}")
    for name in ("0.input.lock", "0.output.lock"):
        (folder / ".snakemake/locks").mkdir(exist_ok=True)
        (folder / ".snakemake/locks" / name).write_text(content, encoding="utf-8")
    return start_once_more(place, folder, "plain", "lock", ["empty" if not content else "of two files"])


def half_written(place: Place) -> Outcome:
    """Leave half of what jobs write, under the names that it has until it is whole."""
    folder = place.copy("plain", "runs", "half-written")
    one, gone = next(folder.glob("results/runs/*/*")), f"{platform.node()}.{NOBODY}"
    for path in (
        one / f".metrics.parquet.{gone}",
        one / f"finished/.evaluation.{gone}/predictions.parquet",
        folder / f"results/toy/.metrics.parquet.{gone}",
        folder / "results/models/.model-0123abcd-x_1y2z34/output/model.safetensors",
        *(path.parent / f".{path.name}.{gone}" for path in folder.glob("results/encoded/*/train.safetensors")),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    return start_once_more(place, folder, "plain", "half-written", [])


def stale_socket(place: Place, kind: str) -> Outcome:
    """Leave the folder of a warm process that is gone, in some wrong state."""
    folder, temporary = place.copy("plain", "baseline", f"socket-{kind}"), place.root / f"t-{kind}"
    temporary.mkdir()
    process, _ = start(place, folder, temporary=temporary)
    while process.poll() is None and not list(temporary.glob("finevar-*/socket")):
        time.sleep(0.01)
    end_all(folder, temporary, signal.SIGKILL)
    process.wait()
    settle(folder)
    spoil_socket(next(temporary.glob("finevar-*")), kind)
    outcome = start_once_more(place, folder, "plain", "stale socket", [kind], temporary=temporary)
    end_all(folder, temporary, signal.SIGKILL)
    return outcome


def spoil_socket(folder: Path, kind: str) -> None:
    """Put a warm process's folder into a wrong state; as it is, it has a socket that nobody listens to."""
    if kind == "file":
        (folder / "socket").unlink()
        (folder / "socket").write_text("no socket")
    elif kind == "open":
        folder.chmod(0o755)
    elif kind == "taken":
        folder.rename(folder.with_suffix(".old"))
        folder.write_text("no folder")


def books(place: Place, kind: str) -> Outcome:
    """Damage what Snakemake itself has noted of finished jobs: every second record."""
    folder = place.copy("plain", "runs", f"books-{kind}")
    for path in sorted(path for path in (folder / ".snakemake/metadata").rglob("*") if path.is_file())[::2]:
        data = path.read_bytes()
        path.write_bytes({"emptied": b"", "cut": data[: len(data) // 2], "zeros": bytes(len(data))}[kind])
    return start_once_more(place, folder, "plain", "Snakemake's books", [kind])


# Clocks ---------------------------------------------------------------------------------------------------------------


def clock(place: Place, what: str, *patterns: str) -> Outcome:
    """Move the clock back by an hour after files were made; count what is redone, now and at a second start."""
    folder = place.copy("plain", "runs", f"clock-{what.replace(' ', '-')}")
    date((path for pattern in patterns for path in sorted(folder.glob(pattern))), time.time() + HOUR)
    told = run(place, folder)
    again = run(place, folder)
    notes = [what, f"jobs: {jobs(told)}", f"at a second start: {jobs(again)}"]
    outcome = start_once_more(place, folder, "plain", "clock moved back", notes)
    outcome.wrong += [f"start {number}: {told.status}" for number, told in enumerate((told, again), 1) if told.status]
    return outcome


def early_inputs(place: Place) -> Outcome:
    """Date a user's own files in the future: the launcher leaves them so, and a job that reads one tells."""
    folder = place.copy("plain", "runs", "clock-inputs")
    mine = [path for path in (folder / "mine").rglob("*") if path.is_file()]
    date(mine, time.time() + HOUR)
    told = run(place, folder)
    date(mine, time.time())
    outcome = start_once_more(
        place, folder, "plain", "clock moved back", [f"inputs, status {told.status}, then touched"]
    )
    named = re.search(r"older modification time .* than input mine/\S+", told.text)
    outcome.wrong += [] if told.status == 1 and named else [f"not told: {told.text[-600:]}"]
    return outcome


def date(paths: Iterable[Path], when: float) -> None:
    """Date files."""
    for path in paths:
        os.utime(path, (when, when))


def jobs(told: Told) -> str:
    """Return which jobs a start ran, trainings and evaluations by name."""
    tables = re.findall(r"^(finetune_run|evaluate_run|train_baseline|total) +(\d+)$", told.text, re.MULTILINE)
    return " ".join(f"{count} {rule}" for rule, count in tables) or "none"


# Company --------------------------------------------------------------------------------------------------------------


def company(place: Place, first: str, second: str) -> Outcome:
    """Start a study twice at once: the second start refuses and disturbs nothing."""
    folder = place.copy("plain", "baseline", f"company-{first}-{second}")
    begun = time.monotonic()
    process, file = start(place, folder, module=first)
    while process.poll() is None and not list(folder.glob("results/runs/*/*/attempts.log")):
        time.sleep(0.01)
    told = run(place, folder, module=second)
    early = process.poll() is None
    done = finish(process, file, begun)
    outcome = start_once_more(place, folder, "plain", "two at once", [f"{second} beside {first}"])
    sentence = ACTIVE in told.text if second == "finevar.commands.launch" else LOCKED.search(told.text)
    outcome.wrong += [] if told.status and sentence and early else [f"the second: {told.status}, {told.text[-300:]}"]
    outcome.wrong += [f"the first: {done.status}"] if done.status else []
    return outcome


def orphan(place: Place) -> Outcome:
    """Start beside a Snakemake that lost its launcher: the start refuses until it has ended."""
    folder = place.copy("plain", "baseline", "company-orphan")
    process, _ = start(place, folder)
    while process.poll() is None and not list(folder.glob("results/runs/*/*/attempts.log")):
        time.sleep(0.01)
    process.kill()
    process.wait()
    told = run(place, folder)
    early = candidates(folder, folder, "Snakemake")
    settle(folder)
    outcome = start_once_more(place, folder, "plain", "two at once", ["beside a Snakemake without its launcher"])
    outcome.wrong += (
        [] if told.status == 1 and ACTIVE in told.text and early else [f"{told.status}: {told.text[-300:]}"]
    )
    return outcome


def shared_results(place: Place) -> Outcome:
    """Let two folders share their results by a link, with other data under the same name; compare either with its own.

    The first one starts again after the second: what the second has trained is not to become the first one's.
    """
    one, two, shared = place.copy("plain", "finished", "shared-one"), place.root / "shared-two", place.root / "shared"
    alone = second_folder(place, "shared-alone")
    subprocess.run(["cp", "-a", str(alone), str(two)], check=True)
    (one / "results").rename(shared)
    for folder in (one, two):
        (folder / "results").symlink_to(shared)
    goals = ["--", GOAL.replace("toy", OTHER)] if place.goals else []
    statuses = [run(place, folder, *goals).status for folder in (alone, two)]
    wrong = [f"the second: {line}" for line in differences(two, alone, OTHER)]
    outcome = start_once_more(place, one, "plain", "shared results", [], remove_ok=False)
    outcome.wrong += wrong + [f"the second: exit status {status}" for status in statuses if status]
    return outcome


def second_folder(place: Place, name: str) -> Path:
    """Return a study of its own name that has not been started, with other labels in the same place."""
    folder = place.copy("plain", "fresh", name)
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")) | {"study": OTHER}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    flip_labels(Desk(folder, config, random.Random(0)))
    return folder


# Disks ----------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[Callable[[str], None]]:
    """Lay a small disk of its own over a folder, with the folder's files; give a function that mounts it anew."""
    beside = folder.with_name(f"{folder.name}.below")
    folder.rename(beside)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "faults", str(folder)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{beside}/.", str(folder)], check=True)
        yield lambda how: remount(folder, how)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        subprocess.run(["rm", "-rf", str(beside)], check=True)


def remount(folder: Path, how: str) -> None:
    """Mount a disk anew with other options, waiting for what is still open."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def full_disk(place: Place, where: str, free_kb: int) -> Outcome:
    """Let a disk fill in the middle of a study; make room and start once more."""
    folder = place.copy("plain", "baseline", f"full-{where or 'all'}-{free_kb}")
    with disk(folder / where) as again:
        used = -(-sum(path.lstat().st_blocks for path in (folder / where).rglob("*")) // 2)
        again(f"size={used + free_kb}k")
        told = run(place, folder)
        logs = "".join(path.read_text(errors="replace") for path in (folder / "results/logs").rglob("*.log"))
        again(f"size={DISK_MB}m")
        notes = [f"{where or 'whole folder'} with {free_kb} kB free", f"status {told.status}"]
        outcome = start_once_more(place, folder, "plain", "full disk", notes, remove_ok=False)
        if told.status == 0:
            outcome.wrong.append("the disk did not fill")
        elif not (naming_file(told.text) or naming_file(logs)):
            outcome.wrong.append(f"not told: {told.text[-600:]}")
        outcome.wrong += ["traceback at the full disk"] if "Traceback" in told.text else []
        if outcome.wrong:
            subprocess.run(["cp", "-a", str(folder), f"{folder}-kept"], check=True)
    return outcome


def naming_file(text: str) -> bool:
    """Tell whether a text has the sentence about a full disk, with the file's name before it."""
    return bool(re.search(rf"\S+: {FULL}", " ".join(text.split())))


def read_only(place: Place, where: str) -> Outcome:
    """Start a study on a read-only disk; make it writable and start once more."""
    folder = place.copy("plain", "runs", f"read-only-{where or 'all'}")
    with disk(folder / where) as again:
        again("ro")
        told = run(place, folder)
        again("rw")
        outcome = start_once_more(place, folder, "plain", "read-only disk", [where or "whole folder"], remove_ok=False)
    if told.status != 1 or not READ_ONLY.search(told.text) or "Traceback" in told.text:
        outcome.wrong.append(f"not told: {told.status}, {told.text[-600:]}")
    return outcome


LAUNCHER, SNAKEMAKE = "finevar.commands.launch", "snakemake"
TRIALS: dict[str, list[Callable[[Place], Outcome]]] = {
    "lock": [functools.partial(lock, content=content) for content in ("", "results/toy/a\nresults/toy/b\n")],
    "half-written": [half_written],
    "socket": [functools.partial(stale_socket, kind=kind) for kind in ("dead", "file", "open", "taken")],
    "books": [functools.partial(books, kind=kind) for kind in ("emptied", "cut", "zeros")],
    "clock": [
        early_inputs,
        lambda place: clock(place, "encoded", "results/encoded/*/*", "results/data/*/*"),
        lambda place: clock(
            place, "half of the runs", "results/runs/*/*-seed0-*/*.parquet", "results/runs/*/*-seed0-*/*.json"
        ),
        lambda place: clock(place, "baseline", "results/baselines/**/*"),
    ],
    "company": [
        functools.partial(company, first=LAUNCHER, second=LAUNCHER),
        functools.partial(company, first=LAUNCHER, second=SNAKEMAKE),
        functools.partial(company, first=SNAKEMAKE, second=LAUNCHER),
        orphan,
    ],
    "shared": [shared_results],
    "full-disk": [
        functools.partial(full_disk, where=where, free_kb=free_kb)
        for where, free_kb in (
            ("results", 40),
            ("results", 160),
            ("results", 600),
            ("results", 1500),
            ("", 40),
            ("", 160),
            ("", 600),
            ("", 1500),
        )
    ],
    "read-only": [functools.partial(read_only, where=where) for where in ("results", "")],
}


def trials(place: Place, only: list[str]) -> Iterator[tuple[str, Outcome]]:
    """Yield the outcome of every accident, or of those that are named."""
    for name, kinds in TRIALS.items():
        if only and name not in only:
            continue
        for number, kind in enumerate(kinds, 1):
            yield f"{number}/{len(kinds)}", kind(place)
