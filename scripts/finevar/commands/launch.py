"""Run Snakemake in this directory so that no finished work is lost, whatever breaks.

usage: python -m finevar.commands.launch [OPTION OF SNAKEMAKE ...]

A Snakemake that is killed (kill -9, out of memory, power cut) leaves its lock, which stops the next one, and
perhaps jobs, here or on a cluster, with nobody to wait for them. Both are cleared here, but only once it is certain
that no Snakemake lives in the directory, since unlocking beneath a live one lets two write the same files:

1. flock(2) on a file of our own keeps a second start out. The kernel drops it with the last process that holds it,
   whatever way that ends, so it cannot go stale. Snakemake inherits it, its jobs do not.
2. A Snakemake that was started otherwise (`snakemake --cores 2`) holds no flock, so /proc is asked for one, too.
3. Jobs that still run have lost their Snakemake: they are asked to end, and a training saves its state. What others
   had half written is removed.
4. Then Snakemake runs. Where a job has quarantined a damaged file, Snakemake runs again, to rebuild it. So it does
   where files were dated in the future, by a clock that was wrong, beside which it takes nothing for new.
5. Where runs failed, a report of the others is made, and says what is missing. Else the answer is printed.

/proc and flock see one machine. Where several share the directory (a cluster), start from one of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from finevar.commands.slurm import MISSING, ask
from finevar.errors import InputError
from finevar.files import DAMAGED, is_abandoned
from finevar.jobs.log import sentence
from finevar.study.paths import FAILED, RESULTS, folder_of
from finevar.study.yaml_files import load_config

GRACE_SECONDS = 60  # for a job to save its state
CLOCKS_DIFFER_SECONDS = 60
LOOK_SECONDS = 5.0  # between looks at whether Snakemake hangs
ENDING_SECONDS = 20.0  # that a Snakemake without jobs here may do nothing after it was asked to end
HANG_SECONDS = 240.0  # and otherwise: under SLURM it looks after its jobs every 180
PASSES = 5  # a damaged file can hide another one behind it
SNAKEMAKE = r"^([^ ]*/)?snakemake$"
JOBS = r"\.snakemake/scripts/|^finevar\.jobs\.worker$"
SHOW_CURSOR = "\x1b[?25h"
SLURM_NAME = "finevar_"  # of the jobs of workflow/profiles/slurm


def main(options: Sequence[str]) -> int:
    """Start Snakemake with these options and return its exit status.

    A config that cannot be read, and a disk that is full or read-only, are named.
    """
    try:
        config = Path(options[options.index("--configfile") + 1]) if "--configfile" in options else None
        if config:
            load_config(config)
        if {"--dry-run", "-n"} & set(options):
            return snakemake(options)
        status = start(options)
        if not status and config and "--" not in options:
            from finevar.commands.answer import print_answer  # which imports for seconds

            print_answer(config)
        return status
    except (InputError, OSError) as error:
        if not (text := sentence(error)):
            raise
        print(text, file=sys.stderr)
        return 1


def start(options: Sequence[str]) -> int:
    """Start Snakemake once nothing else is active here, and return its exit status."""
    with alone() as lock:
        locked = any(Path(".snakemake/locks").glob("*"))
        end_jobs()
        if locked:
            cancel_jobs()
            print("Removing the lock of an interrupted run.", file=sys.stderr)
            status = snakemake([*without_targets(options), "--unlock"], lock)
            if status:
                return status
        remove_half_written()
        return run(options, lock)


def run(options: Sequence[str], lock: int) -> int:
    """Run Snakemake until it has nothing left to repair; make a report of what there is where runs failed."""
    date_back()
    for _ in range(PASSES):
        known = damaged_files()
        FAILED.unlink(missing_ok=True)
        status = snakemake(options, lock)
        if status <= 0:
            break
        if found := damaged_files() - known:
            print(f"Damaged, quarantined and now rebuilt: {', '.join(sorted(found))}.", file=sys.stderr)
        if not date_back() and not found:
            break
    if status > 0 and FAILED.exists():
        report = FAILED.read_text(encoding="utf-8")
        print("Some jobs failed, see above. Making a report of the finished runs.", file=sys.stderr)
        if not snakemake([*without_targets(options), "--quiet", "all", "--", "interim"], lock):
            print(f"Interim report: {report}")
    return abs(status)


def without_targets(options: Sequence[str]) -> list[str]:
    """Return the options before `--`, behind which only targets can stand."""
    return [*itertools.takewhile(lambda option: option != "--", options)]


def snakemake(options: Sequence[str], *locks: int) -> int:
    """Run Snakemake, which inherits locks; pass SIGTERM on to it; return its status, negative where it was ended."""
    logger = [] if any(option.partition("=")[0] == "--logger" for option in options) else ["--logger=finevar"]
    process = subprocess.Popen([sys.executable, "-m", "snakemake", *logger, *options], pass_fds=locks)
    ended: list[int] = []

    def end(number: int, _: object) -> None:
        ended.append(number)
        if number == signal.SIGTERM:  # Ctrl-C reaches it from the terminal
            process.send_signal(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        status = wait(process, ended)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if sys.stderr.isatty():
            print(SHOW_CURSOR, end="", file=sys.stderr, flush=True)  # in case it was killed while it drew
    return -max(1, abs(status)) if ended else status


def wait(process: subprocess.Popen, ended: Sequence[int]) -> int:
    """Wait for Snakemake's end and return its status; interrupt it, as Ctrl-C does, where it hangs.

    It can when it gets SIGTERM: its handler takes a lock, which may be held by what the signal has interrupted.
    """
    since, before = time.monotonic(), None
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=LOOK_SECONDS)
        now = activity(process.pid)
        if now is None or now != before:
            since, before = time.monotonic(), now
        elif time.monotonic() - since > (ENDING_SECONDS if ended else HANG_SECONDS):
            print("Snakemake hangs after SIGTERM, as it sometimes does: interrupting it.", file=sys.stderr)
            for _ in range(2):  # the first only ends what it awaits
                process.send_signal(signal.SIGINT)
                time.sleep(LOOK_SECONDS / 2)
            since, before = time.monotonic(), None


def activity(process: int) -> int | None:
    """Return how often the threads of a process have been set going so far; None where it has jobs here to wait for."""
    try:
        states = [task.read_text() for task in Path(f"/proc/{process}/task").glob("*/status")]
    except OSError:  # one has just ended
        return None
    switches = re.findall(r"ctxt_switches:\s+(\d+)", "".join(states))
    return sum(map(int, switches)) if switches and not processes_here(JOBS) else None


# One at a time -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def alone() -> Iterator[int]:
    """Hold the directory for this start alone; end the program where another run is active in it."""
    Path(".snakemake").mkdir(exist_ok=True)
    with Path(".snakemake/launch.lock").open("w") as file:
        held = False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = True
        alive = ", ".join(map(str, processes_here(SNAKEMAKE)))
        if held or alive:
            raise SystemExit(
                f"Another run is active in {Path.cwd()}{f' (process {alive})' if alive else ''}.\nWait for it, or stop "
                "it (Ctrl-C, or 'kill' with that number), then start again; it will go on from there."
            )
        yield file.fileno()


def processes_here(pattern: str) -> list[int]:
    """Return the processes that work in this directory and have an argument that matches; not those of SLURM jobs."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            here = (folder / "cwd").readlink() == Path.cwd()
            words = (folder / "cmdline").read_text(errors="replace").split("\0") if here else []
            if any(re.search(pattern, word) for word in words) and not in_other_slurm_job(folder):
                found.append(int(folder.name))
        except OSError:
            continue
    return sorted(found)


def in_other_slurm_job(folder: Path) -> bool:
    """Return whether a process belongs to a SLURM job that this one does not belong to."""
    variables = dict(line.partition("=")[::2] for line in (folder / "environ").read_text(errors="replace").split("\0"))
    return variables.get("SLURM_JOB_ID", os.environ.get("SLURM_JOB_ID")) != os.environ.get("SLURM_JOB_ID")


# What a killed Snakemake left ----------------------------------------------------------------------------------------


def end_jobs() -> None:
    """End jobs that a dead Snakemake left on this machine, giving them time to save their state."""
    orphans = processes_here(JOBS)
    if not orphans:
        return
    print(f"Ending what an interrupted run left running: {', '.join(map(str, orphans))}.", file=sys.stderr)
    send(orphans, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while (orphans := processes_here(JOBS)) and time.monotonic() < deadline:
        time.sleep(0.2)
    send(orphans, signal.SIGKILL)


def send(processes: Sequence[int], number: int) -> None:
    """Send a signal to those that are still there."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def cancel_jobs() -> None:
    """Cancel SLURM jobs that a dead Snakemake left in this directory, and wait until they have ended."""
    jobs = slurm_jobs()
    if not jobs:
        return
    print(f"Cancelling the SLURM jobs of an interrupted run: {', '.join(jobs)}.", file=sys.stderr)
    subprocess.run(["scancel", *jobs], check=False, timeout=60)
    deadline = time.monotonic() + GRACE_SECONDS
    while (jobs := slurm_jobs()) and time.monotonic() < deadline:
        time.sleep(1)
    if jobs:
        raise SystemExit(
            f"SLURM jobs of an interrupted run do not end: {', '.join(jobs)}.\n"
            "Look at them with squeue, and start again when they are gone: two jobs of one run must not write at once."
        )


def slurm_jobs() -> list[str]:
    """Return the numbers of this directory's jobs that wait or run; end the program where SLURM does not say."""
    answer = ask("squeue", "--me", "--noheader", "--format", "%i|%j|%Z", seconds=60)
    if not answer.ok:
        if answer.status != MISSING:
            what = "squeue does not answer: SLURM may still run jobs of an interrupted run."
            print(what, file=sys.stderr)
        return []
    rows = (line.split("|", 2) for line in answer.text.splitlines())
    return [number for number, name, folder in rows if name.startswith(SLURM_NAME) and Path(folder) == Path.cwd()]


def remove_half_written() -> None:
    """Remove what jobs that were killed had begun to write or to fetch."""
    written = [path for path in made() if is_abandoned(path)]
    fetched = [path for kind in ("model", "source") for path in folder_of(kind).glob(".*-????????")]
    for path in (*written, *fetched):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def date_back() -> bool:
    """Set dates in the future to now, and return whether there were any."""
    now, ahead = time.time(), []
    for path in made():
        with contextlib.suppress(FileNotFoundError):
            ahead += [path] if path.lstat().st_mtime > now + CLOCKS_DIFFER_SECONDS else []
    for path in ahead:  # all alike, so that none is newer than what was made of it
        with contextlib.suppress(FileNotFoundError):
            os.utime(path, (now, now), follow_symlinks=False)
    if ahead:
        print(
            f"{len(ahead)} files had dates in the future, from a wrong clock: their dates are now the present.",
            file=sys.stderr,
        )
    return bool(ahead)


def damaged_files() -> set[str]:
    """Return what jobs have found damaged and quarantined."""
    return {str(path) for path in made() if path.name.endswith(DAMAGED)}


def made() -> Iterator[Path]:
    """Yield all that lies under results; jobs that still end may remove some of it meanwhile."""
    for folder, folders, files in os.walk(RESULTS):
        yield from (Path(folder, name) for name in (*folders, *files))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
