"""A throw-away SLURM on this machine, for tests: three nodes that are processes, and nothing left of it afterwards.

There is no systemd, no cgroup and no accounting, all files are in one folder, and neither /etc/slurm nor a SLURM or
MUNGE that runs already is touched: daemons and clients go by SLURM_CONF, and munged and all ports are this one's own.
As Snakemake takes variables named SLURM_... away from its jobs, clients come from a folder in PATH that puts it back.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "srun", "scancel", "scontrol", "sinfo", "squeue", "sacct", "sacctmgr", "sshare")
FOUND = {name: shutil.which(name) for name in (*DAEMONS, *CLIENTS)}  # before a test hides scontrol
NODES = ("n1", "n2", "g1")
USABLE = ("idle", "mixed", "allocated")
STARTED = "slurmd started on"  # in slurmd's own log
MARK = "CLUSTER_NODE"  # the variable by which a cluster's daemons, steps and jobs are told from all other processes
SOCKET_ROOM = 75  # a socket's path has at most 107 characters, and SLURM's own part of it needs the rest

# {host}, {folder}, {socket} and ports are filled in. Memory and processors are invented, which config_overrides allows.
# A node that does not answer is down after SlurmdTimeout: short, though longer than a busy machine may keep it waiting.
SLURM_CONF = """
ClusterName=throwaway
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={socket}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/%n
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=5
MessageTimeout=4
KillWait=5
MinJobAge=300
JobRequeue=1
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={folder}/mark
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName=DEFAULT CPUs=4 RealMemory=16000
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={n1}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={n2}
NodeName=g1 NodeHostname={host} NodeAddr=127.0.0.1 Port={g1} Gres=gpu:fake:2
PartitionName=DEFAULT State=UP MaxTime=1-00:00:00 DefaultTime=10 DefMemPerCPU=500
PartitionName=cpu Nodes=n1,n2 Default=YES PriorityTier=10 PreemptMode=OFF
PartitionName=gpu Nodes=g1 PriorityTier=10 PreemptMode=OFF
PartitionName=scav Nodes=n1,n2 PriorityTier=1 PreemptMode=REQUEUE
"""
# SLURM only counts the devices and sets CUDA_VISIBLE_DEVICES, so any device file does.
GRES_CONF = "NodeName=g1 Name=gpu Type=fake File=/dev/null\nNodeName=g1 Name=gpu Type=fake File=/dev/zero\n"


@dataclass(frozen=True)
class Job:
    """A job as squeue tells of it, for MinJobAge after its end as well."""

    id: str
    name: str
    state: str
    node: str
    partition: str
    workdir: Path


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up; its environment makes clients talk to it."""

    folder: Path
    environment: dict[str, str]
    daemons: dict[str, subprocess.Popen[bytes]]

    def run(self, *command: str) -> str:
        """Run a client and return what it prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}\n{self.told()}")
        return done.stdout

    def told(self) -> str:
        """Return the ends of the daemons' logs."""
        return "\n".join(f"{name}: ...{self.log(name)[-800:]}" for name in ("munged", "slurmctld", *NODES))

    def log(self, name: str) -> str:
        """Return what a daemon has said so far."""
        path = self.folder / f"{name}.out"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def jobs(self) -> list[Job]:
        """Return all jobs, ended ones too."""
        rows = self.run("squeue", "--all", "--noheader", "--states=all", "--format=%i|%j|%T|%N|%P|%Z").splitlines()
        return [Job(*words[:5], Path(words[5])) for words in (row.split("|", 5) for row in rows)]

    def nodes(self) -> dict[str, str]:
        """Return each node's state, as idle, mixed or down; down* where it has stopped to answer."""
        rows = self.run("sinfo", "--all", "--noheader", "--Node", "--format=%N %T").splitlines()
        return dict(row.split() for row in rows)

    def cancel(self, job: str) -> None:
        """Cancel a job, which gets SIGTERM, then, KillWait seconds later, SIGKILL."""
        self.run("scancel", job)

    def start_now(self, job: str) -> None:
        """Spare a requeued job the two minutes that SLURM holds it back for."""
        self.run("scontrol", "update", f"jobid={job}", "starttime=now")

    def lose(self, node: str) -> None:
        """Take the power from a node and all that runs on it; the controller has to notice by itself."""
        end(self.folder, node)
        self.daemons.pop(node).wait()

    def down(self, node: str) -> None:
        """Lose a node, and have the controller know at once."""
        self.lose(node)
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")

    def up(self, node: str) -> None:
        """Start a lost node again and wait until it takes jobs."""
        starts = self.log(node).count(STARTED)
        self.start(node, "slurmd", "-D", "-N", node)
        self.wait_for(lambda: self.log(node).count(STARTED) > starts)  # for it may not have been missed yet
        self.wait_for(lambda: self.nodes()[node] in USABLE)  # ReturnToService=2: as soon as it has told of itself

    def kill_controller(self) -> None:
        """Kill slurmctld; it knows later what it had saved, which may lack the last seconds."""
        controller = self.daemons.pop("slurmctld")
        controller.kill()
        controller.wait()

    def start_controller(self) -> None:
        """Start slurmctld and wait until it answers and has found the nodes that are there."""
        self.start("slurmctld", "slurmctld", "-D")
        self.wait_for(lambda: self.answers("scontrol", "ping"))
        self.wait_for(lambda: all(self.nodes()[node] in USABLE for node in NODES if node in self.daemons))

    def wait_for(self, found: Callable[[], object], *, seconds: float = 60) -> None:
        """Wait until something is so; raise RuntimeError, with the daemons' words, if one ends or time is up."""
        deadline = time.monotonic() + seconds
        while not found():
            ended = [name for name, daemon in self.daemons.items() if daemon.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise RuntimeError(f"{', '.join(ended) or 'nothing'} ended after {seconds} s at most\n{self.told()}")
            time.sleep(0.05)

    def answers(self, *command: str) -> bool:
        """Tell whether a client succeeds."""
        return (
            subprocess.run(command, env=self.environment, capture_output=True, timeout=60, check=False).returncode == 0
        )

    def start(self, name: str, *command: str) -> None:
        """Start a daemon in the foreground, so that its process is a child of this one."""
        with (self.folder / f"{name}.out").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                command,
                env={**self.environment, MARK: str(self.folder / name)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the test, which then ends the daemons
            )


def missing() -> str | None:
    """Tell why there can be no cluster on this machine, if so."""
    if sys.platform != "linux":
        return "SLURM runs on Linux only"
    if absent := [name for name in (*DAEMONS, *CLIENTS) if not FOUND.get(name)]:
        return f"SLURM is not installed: no {', '.join(absent)} (Debian: slurmctld slurmd slurm-client munge)"
    return None if os.geteuid() == 0 else "slurmd starts jobs as root only, and this is another user"


def require() -> None:
    """Skip a test where there can be no cluster; fail it there if FINEVAR_REQUIRE_SLURM=1."""
    if reason := missing():
        (pytest.fail if os.environ.get("FINEVAR_REQUIRE_SLURM") == "1" else pytest.skip)(reason)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Bring a cluster up in a folder, and end all of its processes afterwards, jobs included."""
    write_config(folder)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    made = Cluster(folder, {**os.environ, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}, {})
    try:
        made.start("munged", *munged(folder))
        made.wait_for((folder / "munge").exists)
        made.start_controller()
        for node in NODES:
            made.start(node, "slurmd", "-D", "-N", node)
        made.wait_for(lambda: set(made.nodes().values()) == {"idle"})
        yield made
    finally:
        end(folder)
        for daemon in made.daemons.values():
            daemon.wait()


def write_config(folder: Path) -> None:
    """Write slurm.conf, gres.conf beside it, MUNGE's key, the clients and what marks jobs."""
    if len(str(folder)) > SOCKET_ROOM:
        raise ValueError(f"{folder}: too deep for sockets; allowed are {SOCKET_ROOM} characters")
    for name in ("state", "bin", *NODES):
        (folder / name).mkdir(parents=True)
    ports = dict(zip(("controller", *NODES), free_ports(1 + len(NODES)), strict=True))
    text = SLURM_CONF.format(host=socket.gethostname().split(".")[0], folder=folder, socket=folder / "munge", **ports)
    (folder / "slurm.conf").write_text(text, encoding="utf-8")
    (folder / "gres.conf").write_text(GRES_CONF, encoding="utf-8")
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    write_script(folder / "mark", f'echo "export {MARK}={folder}/$SLURMD_NODENAME"')
    for name in CLIENTS:
        write_script(folder / "bin" / name, f'SLURM_CONF={folder}/slurm.conf exec {FOUND[name]} "$@"')


def write_script(path: Path, command: str) -> None:
    """Write a program."""
    path.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
    path.chmod(0o755)


def munged(folder: Path) -> list[str]:
    """Return the command of a MUNGE daemon with its own socket and key, though others may not enter its folder."""
    files = {"socket": "munge", "key-file": "munge.key", "seed-file": "munge.seed", "pid-file": "munge.pid"}
    options = [f"--{option}={folder / name}" for option, name in files.items()]
    return ["munged", "--foreground", "--force", *options]


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on, from below those that connections take by themselves."""
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        for port in random.sample(range(20000, 32000), 1000):
            listener = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                listener.bind(("", port))
                found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError("no free port between 20000 and 32000")


def end(folder: Path, node: str = "") -> None:
    """Kill a cluster's daemons, steps and jobs, or those of one of its nodes, until none is left."""
    known: set[int] = set()
    while pids := members(known := known | sessions(folder, node)):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def sessions(folder: Path, node: str) -> set[int]:
    """Return the sessions that have a marked process: a daemon's, or that of a job's step."""
    mark = f"{MARK}={folder}/" + (f"{node}\0" if node else "")
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_text(errors="replace"):
                found.add(os.getsid(int(process.name)))
    return found


def members(wanted: set[int]) -> list[int]:
    """Return the processes of sessions, those of jobs that cleared their environment too; zombies are gone."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, _, session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
            if state != "Z" and int(session) in wanted:
                found.append(int(process.name))
    return found
