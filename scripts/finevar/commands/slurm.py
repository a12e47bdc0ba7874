"""What a SLURM site has and allows: its programs are asked, and what they print is read."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MISSING, HANGING = 127, 124  # exit statuses, as a shell and timeout(1) have them
POLL_SECONDS = 180  # the plugin's longest wait between two questions
TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<parts>\d+(?::\d+){0,2})")
GPU = re.compile(r"(?:^|,)gpu(?::(?P<model>[^:,(]+)(?=:))?(?::(?P<count>\d+))?(?=[(,]|$)")
ERROR = re.compile(r"^[\w.]*Error: .*", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """What a program said."""

    status: int
    text: str = ""
    error: str = ""

    @property
    def ok(self) -> bool:
        """Return whether it succeeded."""
        return self.status == 0

    @property
    def reason(self) -> str:
        """Return why it failed: what a traceback ends with, else the first line."""
        said = self.error.strip() or self.text.strip() or f"exit status {self.status}"
        found = ERROR.search(said)
        return found[0] if found else said.splitlines()[0]


@dataclass(frozen=True)
class Partition:
    """A partition, and what its largest node gives to one job; minutes is None where there is no limit."""

    name: str
    default: bool
    up: bool
    nodes: int
    cpus: int
    memory_mb: int
    minutes: int | None
    gpus: dict[str, int]
    preemption: str
    accounts: tuple[str, ...]

    def fits(self, memory_mb: int, minutes: int) -> bool:
        """Return whether a job of this size is allowed here."""
        return self.memory_mb >= memory_mb and (self.minutes is None or self.minutes >= minutes)


@dataclass(frozen=True)
class Site:
    """What a site has and allows a user; max_jobs is how many jobs may be in the queue, None without a limit."""

    config: dict[str, str]
    partitions: list[Partition]
    accounts: list[str]
    max_jobs: int | None
    squeue: Answer
    sacct: Answer

    @property
    def needs_account(self) -> bool:
        """Return whether jobs without a known account are refused."""
        return bool({"associations", "all"} & set(self.config.get("AccountingStorageEnforce", "").lower().split(",")))

    def may_use(self, partition: Partition) -> bool:
        """Return whether a partition takes jobs, and those of one of the user's accounts."""
        closed = partition.accounts and self.accounts and not set(partition.accounts) & set(self.accounts)
        return partition.up and not closed


def ask(*command: str, seconds: float) -> Answer:
    """Run a program for at most some seconds; that it is missing or hangs is an answer, too."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        process = subprocess.Popen(command, **pipes, text=True, errors="replace", start_new_session=True)
    except OSError as error:
        return Answer(MISSING, error=f"{command[0]}: {error.strerror}")
    try:
        text, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return Answer(HANGING, error=f"no answer within {seconds:g} s")
    finally:
        end(process)
    return Answer(process.returncode, text, errors)


def end(process: subprocess.Popen[str]) -> None:
    """End a program that still runs, and what it has started; on SIGTERM srun gives back what it waits for."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(timeout=5)


def survey(seconds: float) -> Site:
    """Ask for everything, each program for at most some seconds."""

    def text(*command: str) -> str:
        return ask(*command, seconds=seconds).text

    config = read_config(text("scontrol", "show", "config"))
    partitions = text("scontrol", "--oneliner", "show", "partition")
    nodes = text("sinfo", "--noheader", "--exact", "--format=%R|%c|%m|%G|%D")
    user = ("show", "user", getpass.getuser(), "withassoc", "format=DefaultAccount,Account,MaxSubmitJobs")
    accounts, max_jobs = read_accounts(text("sacctmgr", "--noheader", "--parsable2", *user))
    return Site(
        config=config,
        partitions=read_partitions(partitions, nodes, config),
        accounts=accounts,
        max_jobs=max_jobs,
        squeue=ask("squeue", "--noheader", "--states=all", "--name=finevar_doctor", seconds=seconds),
        sacct=ask("sacct", "--allocations", "--noheader", seconds=seconds),
    )


def read_config(text: str) -> dict[str, str]:
    """Read `scontrol show config`; what is not set is left out."""
    found = re.findall(r"^(\w+) *= *(.*?) *$", text, re.MULTILINE)
    return {name: value for name, value in found if value not in ("", "(null)")}


def first_number(value: object) -> int | None:
    """Return the number that a value begins with, as `300 sec` or `4000 * attempt`; None for UNLIMITED."""
    found = re.match(r"\s*(\d+)", str(value))
    return int(found[1]) if found else None


def read_minutes(text: str) -> int | None:
    """Read a time limit, [days-]hours:minutes:seconds or what SLURM shortens it to; None for UNLIMITED."""
    found = TIME.fullmatch(text.strip())
    if not found:
        return None
    parts = [int(part) for part in found["parts"].split(":")]
    if found["days"] is None and len(parts) < 3:  # minutes, or minutes:seconds
        return parts[0]
    hours, minutes, *_ = [*parts, 0]
    return (int(found["days"] or 0) * 24 + hours) * 60 + minutes


def read_gpus(text: str) -> dict[str, int]:
    """Return how many GPUs of each model are among a node's generic resources; `any` has no name of a model."""
    return {found["model"] or "any": int(found["count"] or 1) for found in GPU.finditer(text)}


def read_accounts(text: str) -> tuple[list[str], int | None]:
    """Read rows of default account, account and limit of jobs; return accounts, default first, and the least limit."""
    rows = [line.split("|") for line in text.splitlines() if line.count("|") == 2]
    limits = [limit for row in rows if (limit := first_number(row[2])) is not None]
    accounts = [row[0] for row in rows] + [row[1] for row in rows]
    return [name for name in dict.fromkeys(accounts) if name], min(limits, default=None)


def read_partitions(partitions: str, nodes: str, config: Mapping[str, str]) -> list[Partition]:
    """Read `scontrol --oneliner show partition`, and with it sinfo's `%R|%c|%m|%G|%D`, a line for each kind of node."""
    rows = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in partitions.splitlines() if "PartitionName=" in line]
    kinds = [line.split("|") for line in nodes.splitlines() if line.count("|") == 4]
    highest = max((priority(row) for row in rows), default=0)
    return [
        read_partition(row, [kind for kind in kinds if kind[0] == row["PartitionName"]], config, highest)
        for row in rows
    ]


def read_partition(
    row: Mapping[str, str], kinds: Sequence[Sequence[str]], config: Mapping[str, str], highest: int
) -> Partition:
    """Read one partition; highest is the priority of the partition that comes first."""
    largest = {place: max((first_number(kind[place]) or 0 for kind in kinds), default=0) for place in (1, 2)}
    limits = [first_number(each.get("MaxMemPerNode")) for each in (row, config)]
    gpus = [read_gpus(kind[3]) for kind in kinds]
    return Partition(
        name=row["PartitionName"],
        default=row.get("Default") == "YES",
        up=row.get("State", "UP") == "UP" and bool(kinds),
        nodes=sum(first_number(kind[4]) or 0 for kind in kinds),
        cpus=largest[1],
        memory_mb=min([largest[2], *(limit for limit in limits if limit)]),
        minutes=read_minutes(row.get("MaxTime", "UNLIMITED")),
        gpus=max(gpus, key=lambda each: sum(each.values()), default={}),
        preemption=read_preemption(row, config, highest),
        accounts=() if row.get("AllowAccounts", "ALL") == "ALL" else tuple(row["AllowAccounts"].split(",")),
    )


def read_preemption(row: Mapping[str, str], config: Mapping[str, str], highest: int) -> str:
    """Return what becomes of jobs that others push out, OFF, REQUEUE, CANCEL or SUSPEND.

    Where it goes by the partitions' priorities, nothing pushes out those of the highest.
    """
    kind = config.get("PreemptType", "preempt/none")
    if kind == "preempt/none" or (kind == "preempt/partition_prio" and priority(row) == highest):
        return "OFF"
    modes = row.get("PreemptMode", config.get("PreemptMode", "OFF")).split(",")
    return next((mode for mode in modes if mode != "GANG"), "OFF")


def priority(row: Mapping[str, str]) -> int:
    """Return a partition's priority; 1 is SLURM's default."""
    return first_number(row.get("PriorityTier", "1")) or 0


def choose_status_command(site: Site, *, first_check: int) -> str | None:
    """Return the program by which Snakemake can learn how jobs ended; None if there is none.

    squeue needs no accounting, but forgets a job MinJobAge seconds after its end. The plugin distrusts it if that is
    less than three times the wait before its first question; and a job that ends and is forgotten between two questions
    is waited for for ever.
    """
    remembered = first_number(site.config.get("MinJobAge")) or 0
    if site.squeue.ok and remembered > max(3 * first_check, POLL_SECONDS):
        return "squeue"
    return "sacct" if site.sacct.ok else None


def choose_partition(site: Site, *, memory_mb: int, minutes: int, gpu: bool) -> Partition | None:
    """Return where jobs of a size had best go: not pushed out, no GPUs left idle, by default, with most nodes."""

    def rank(partition: Partition) -> tuple[bool, bool, bool, int]:
        return partition.preemption == "OFF", bool(partition.gpus) == gpu, partition.default, partition.nodes

    fitting = [each for each in site.partitions if site.may_use(each) and each.fits(memory_mb, minutes)]
    return max((each for each in fitting if each.gpus or not gpu), key=rank, default=None)
