"""The processes of a study, found by where they work, and signals to them; never those of anybody else."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import time
from pathlib import Path

from finevar.commands.launch import JOBS, SNAKEMAKE

VICTIMS = ("launcher", "Snakemake", "job", "fork", "warm", "all", "terminal")


def processes(folder: Path) -> dict[int, list[str]]:
    """Return the words of the command of each process that works in a folder or below it."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            here = (process / "cwd").readlink()
            words = (process / "cmdline").read_text(errors="replace").split("\0")
            if here.is_relative_to(folder) and any(words):
                found[int(process.name)] = words
    return found


def part(words: list[str]) -> str:
    """Tell which part of a study a process of its folder is."""
    if "finevar.commands.launch" in words:
        return "launcher"
    if "finevar.jobs.worker" in words:
        return "fork"
    if any(re.search(JOBS, word) for word in words):
        return "job"
    return "Snakemake" if any(re.search(SNAKEMAKE, word) for word in words) else "other"


def rules_under_way(folder: Path) -> list[str]:
    """Return the rules whose jobs run in a folder."""
    words = [word for command in processes(folder).values() for word in command]
    return sorted({name for word in words for name in re.findall(r"\.snakemake/scripts/tmp\w+\.(\w+)\.py", word)})


def candidates(folder: Path, temporary: Path, victim: str) -> list[int]:
    """Return the processes that a victim's name stands for; temporary: where the warm process lives."""
    if victim == "warm":
        return [number for number, words in processes(temporary).items() if "finevar.jobs.worker" in words]
    if victim == "all":
        return [*processes(folder), *candidates(folder, temporary, "warm")]
    return [number for number, words in processes(folder).items() if part(words) == victim]


def strike(folder: Path, temporary: Path, victim: str, number: int, group: int, draw: random.Random) -> bool:
    """Send a signal to a victim; False if there is none. group: the process group of the terminal."""
    if victim == "terminal":
        return send_group(group)
    found = candidates(folder, temporary, victim)
    if victim == "all":
        return end_all(folder, temporary, number) if found else False
    return bool(found) and send(draw.choice(sorted(found)), number)


def end_all(folder: Path, temporary: Path, number: int) -> bool:
    """Send a signal to all processes of a study: SIGTERM as a shutdown does, SIGKILL as a power cut, at once."""
    if number == signal.SIGTERM:
        return any([send(process, number) for process in candidates(folder, temporary, "all")])  # noqa: C419, to all
    while found := candidates(folder, temporary, "all"):
        for kind in (signal.SIGSTOP, signal.SIGKILL):  # first stopped, so that none sees another one's end
            for process in found:
                send(process, kind)
        time.sleep(0.01)
    return True


def send(process: int, number: int) -> bool:
    """Send a signal; False if the process is gone."""
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return False
    return True


def send_group(group: int) -> bool:
    """Send SIGINT to a process group, as a terminal does for Ctrl-C; False if it is gone."""
    try:
        os.killpg(group, signal.SIGINT)
    except ProcessLookupError:
        return False
    return True


def left(folder: Path, *, within: float) -> list[str]:
    """Return the commands of the processes that work in a folder still after that many seconds."""
    deadline = time.monotonic() + within
    while (found := processes(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [" ".join(words)[:120] for words in found.values()]
