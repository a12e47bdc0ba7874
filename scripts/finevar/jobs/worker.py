"""A process that has imported what jobs need, from which the process of each job is forked.

A short run spends longer on imports than on training, and so does an analysis or a figure; there is one such process
for PyTorch and one for statistics and charts. The first job starts a warm process; each job asks it, over a
socket that only its user can open, for a fork that does the job's work in the job's directory and environment, and
waits for it. So a run still has a process of its own: what it computes is the same alone or in company, and what
crashes is that run alone. Jobs that train keep the analyses' process up beside theirs, so that its imports are done
when the last run ends; from the first analysis on, a fork of that process has Vega, which draws figures. A warm process
ends when nobody has asked for a while, and its forks end with it; where it is asked to end itself, it first has them
end, so that they save their states.

Off with FINEVAR_WARM=0, and under SLURM, whose jobs must not outlive or leave their allocation.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import hashlib
import importlib
import json
import os
import selectors
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finevar import LAYOUT, PACKAGE
from finevar.jobs.memory import memory_kills

OF_TRAINING = ("finevar.training.job", "finevar.evaluation.evaluation", "sklearn.metrics")
NEEDED = {  # by kind: the modules that import all that its jobs need
    "training": OF_TRAINING,
    "encoders": (*OF_TRAINING, "transformers.modeling_utils", "transformers.models.auto.modeling_auto"),
    "analysis": (
        "finevar.commands.analysis_jobs",
        "finevar.commands.found_jobs",
        "finevar.commands.figure_jobs",
        "finevar.commands.report_jobs",
        "sklearn.metrics",
    ),
}
NEXT = {"training": "analysis", "encoders": "analysis"}  # by kind: whose jobs come when those of the kind are done
BESIDE = {"analysis": "finevar.figures.vega.serve"}  # by kind: what one fork does for the others, from the first job on
IDLE_SECONDS = 20.0  # without a job before the warm process ends
START_SECONDS = 60.0  # that a job waits until the warm process can be reached
GRACE_SECONDS = 20.0  # between asking a fork to end and killing it
# Variables that libraries read on import: a process with other values needs a warm process of its own.
EARLY = ("ATEN_", "CUBLAS", "CUDA", "DNNL", "GOMP", "KMP", "LD_", "MALLOC", "MKL", "OMP", "ONEDNN", "PYTHON", "TORCH")
# What a fork frees stays its own: the kernel would clear memory that is given back and asked for again each time, which
# takes as long as what large arrays are computed for.
HEAP = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
HEADER = struct.Struct("!I")
PR_SET_PDEATHSIG = 1


def perform(function: str, arguments: dict[str, Any], log: str) -> None:
    """Call a function of the package, named with its module, and log what it returns; `job` is what `describe` gave."""
    from finevar.jobs.log import Job, JobLog

    with JobLog(log) as logger:
        if "job" in arguments:
            arguments |= {"job": Job.of(arguments["job"])}
        result = called(function)(**arguments)
        logger.info("%s: %s", function.rpartition(".")[2], "done" if result is None else result)


def called(function: str) -> Callable[..., Any]:
    """Return the function of a full name."""
    module, _, name = function.rpartition(".")
    return getattr(importlib.import_module(module), name)


# The job's side -------------------------------------------------------------------------------------------------------


def run_rule(function: str, snakemake: Any) -> None:
    """Do the work of an analysis or a figure in a fork of its own kind of warm process; function: takes a jobs.Job.

    What the job is given stays beside its log, for finevar.commands.run.
    """
    from finevar.jobs.log import describe

    job, log = describe(snakemake), Path(snakemake.log[0])
    log.with_suffix(".json").write_text(json.dumps({"function": function, "job": job}), encoding="utf-8")
    run_job(function, log=str(log), kind="analysis", job=job)


def kind_of(arguments: Mapping[str, Any]) -> str:
    """Return the kind of a training or an evaluation: of a model whose code is that of transformers one of its own."""
    config = Path(str(arguments.get("start") or arguments.get("model")), "config.json")
    return "encoders" if config.exists() and LAYOUT in json.loads(config.read_text(encoding="utf-8")) else "training"


def run_job(work: str, *, log: str, kind: str | None = None, **arguments: Any) -> None:
    """Run a job in a fork of the warm process of a kind, or in this process if there is none.

    work: a function's full name; arguments: as JSON. One of them may be micro_batches, the parts that a batch is worked
    in: they are doubled for as long as the kernel kills the fork for lack of memory; the function itself must refuse
    more than there are sentences. Raises SystemExit with the fork's exit status if it is not zero.
    """
    kills, kind = memory_kills(), kind or kind_of(arguments)
    status = ask(work, arguments, log, kind) if usable() else None
    while status == -signal.SIGKILL and memory_kills() > kills and "micro_batches" in arguments:
        arguments["micro_batches"] *= 2
        print(f"Memory ran out: each batch is now split into {arguments['micro_batches']} parts.", file=sys.stderr)
        kills = memory_kills()
        status = ask(work, arguments, log, kind)
    if status is None:
        perform(work, arguments, log)
    elif status < 0:
        raise SystemExit(
            f"The job's process was ended by {signal.Signals(-status).name}."
            + (" Often that means that memory ran out: run fewer jobs at once." if status == -signal.SIGKILL else "")
        )
    elif status > 0:
        from finevar.jobs.stall import stall_sentence

        raise SystemExit(stall_sentence(log) or status)


def usable() -> bool:
    """Say whether a warm process may be used: on Linux, unless switched off, outside SLURM."""
    off = os.environ.get("FINEVAR_WARM") == "0" or "SLURM_JOB_ID" in os.environ
    return sys.platform == "linux" and not off


def ask(function: str, arguments: dict[str, Any], log: str, kind: str) -> int | None:
    """Have a fork do the work; return its exit status, negative for a signal, or None if it was never begun."""
    request = json.dumps(
        {"function": function, "arguments": arguments, "log": log, "cwd": str(Path.cwd()), "environ": dict(os.environ)}
    ).encode()
    with contextlib.ExitStack() as held:
        server = held.enter_context(connect(kind))
        if server is None:
            return None
        try:
            socket.send_fds(server, [HEADER.pack(len(request))], [1, 2])
            server.sendall(request)
            if kind in NEXT:
                held.enter_context(connect(NEXT[kind]))
            answer = server.recv(HEADER.size)
        except OSError:
            answer = b""
    # Without one the warm process is gone and its forks with it: nothing is half-done under a final name.
    return struct.unpack("!i", answer)[0] if answer else None


def private_folder(kind: str = "training") -> Path | None:
    """Return the folder of the socket, for this kind, user, interpreter, code and environment; None if not safe."""
    code = sorted((str(file), file.stat().st_mtime_ns) for file in PACKAGE.rglob("*.py"))
    read = sorted(pair for pair in variables(kind).items() if pair[0].startswith(EARLY))
    identity = hashlib.sha256(repr((kind, sys.executable, str(PACKAGE), code, read)).encode()).hexdigest()
    folder = Path(tempfile.gettempdir()) / f"finevar-{os.getuid()}-{identity[:16]}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if private else None


def variables(kind: str) -> dict[str, str]:
    """Return the environment of the warm process of a kind; analyses share one, as their forks keep to a core each."""
    if kind != "analysis":
        return dict(os.environ)
    return {name: "1" if name.endswith("_NUM_THREADS") else value for name, value in os.environ.items()} | HEAP


@contextlib.contextmanager
def connect(kind: str) -> Iterator[socket.socket | None]:
    """Connect to the warm process, starting it if need be; None if it does not come up. It stays while this lasts."""
    folder = private_folder(kind)
    if folder is None:
        yield None
        return
    with socket.socket(socket.AF_UNIX) as server:
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one job starts it, the others wait
            up = reach(server, folder) or (start(folder, kind) and reach(server, folder))
        yield server if up else None


def reach(server: socket.socket, folder: Path) -> bool:
    """Try to connect."""
    try:
        server.connect(str(folder / "socket"))
    except OSError:
        return False
    return True


def command(kind: str, folder: Path) -> list[str]:
    """Return the module that is a kind's process, and its arguments; `slots DEVICE` is that of a GPU's slots."""
    name, _, device = kind.partition(" ")
    if name == "slots":
        return ["finevar.training.slot_server", str(folder), str(IDLE_SECONDS), device]
    return ["finevar.jobs.worker", str(folder), str(IDLE_SECONDS), BESIDE.get(kind, ""), *NEEDED[kind]]


def start(folder: Path, kind: str) -> bool:
    """Start the warm process and wait until it can be reached, which it can before its imports are done."""
    ready = folder / "socket"
    ready.unlink(missing_ok=True)  # of one that was killed
    process = subprocess.Popen(
        [sys.executable, "-m", *command(kind, folder)],
        cwd=folder,
        env={**variables(kind), "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *sys.path[1:]])},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if ready.exists():
            return True
        time.sleep(0.01)
    return False


# The warm process -----------------------------------------------------------------------------------------------------


@dataclass
class Fork:
    """A job's process: its number, a descriptor that is ready at its end, its job's connection, and when to kill it."""

    pid: int
    ended: int
    job: socket.socket
    deadline: float | None = None


def serve(folder: Path, idle: float, beside: str, modules: Sequence[str]) -> None:
    """Import modules, then fork for whoever asks, until nobody has for `idle` seconds and nobody is connected.

    beside: a function's full name; once there is a job, a fork calls it with the folder. "" for none.
    """
    forks: list[Fork] = []
    asked: list[int] = []
    with listening(folder) as listener, selectors.DefaultSelector() as selector:
        load(modules)
        signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))  # a shutdown: forks save their states
        selector.register(listener, selectors.EVENT_READ)
        last = time.monotonic()
        while forks or (not asked and (len(selector.get_map()) > 1 or time.monotonic() - last < idle)):
            for key, _ in selector.select(timeout=1.0):
                if key.fileobj is listener:
                    selector.register(listener.accept()[0], selectors.EVENT_READ)
                elif key.data is None:
                    accept(key.fileobj, selector, forks)
                elif key.fd == key.data.ended:
                    report(key.data, selector, forks)
                elif key.data in forks and key.data.deadline is None:  # unless it has ended in the same moment
                    ask_to_end(key.data, selector)  # since its job was killed
                last = time.monotonic()
            end_forks(forks, selector, asked=bool(asked))
            if beside and forks:
                fork_beside(beside, folder)
                beside = ""


@contextlib.contextmanager
def listening(folder: Path) -> Iterator[socket.socket]:
    """Listen at the socket of a folder, which is there once it can be reached."""
    beside = folder / f".socket.{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(beside))
        listener.listen(128)
        beside.rename(folder / "socket")
        yield listener
        (folder / "socket").unlink(missing_ok=True)


def load(modules: Sequence[str]) -> None:
    """Import what forks are to have."""
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # so that no fork writes to these objects' pages


def accept(job: socket.socket, selector: selectors.BaseSelector, forks: list[Fork]) -> None:
    """Take a job's request and fork for it."""
    selector.unregister(job)
    job.settimeout(10.0)
    streams: list[int] = []
    try:
        header, streams, _, _ = socket.recv_fds(job, HEADER.size, 2)
        request = json.loads(job.makefile("rb").read(HEADER.unpack(header)[0]))
    except (OSError, ValueError, struct.error):  # a job that was killed while it asked, or that had nothing to ask
        for stream in streams:
            os.close(stream)
        job.close()
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until the fork is one of these or takes it as its own
    parent, child = os.getpid(), os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        work(request, streams, parent, [job, *(key.fileobj for key in selector.get_map().values())])
    for stream in streams:
        os.close(stream)
    fork = Fork(child, os.pidfd_open(child), job)
    forks.append(fork)
    selector.register(fork.ended, selectors.EVENT_READ, fork)
    selector.register(job, selectors.EVENT_READ, fork)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def fork_beside(function: str, folder: Path) -> None:
    """Fork a process that calls a function for as long as this one lives."""
    parent = os.getpid()
    if os.fork() == 0:
        try:
            end_with_parent()
            if os.getppid() == parent:
                called(function)(folder)
        finally:  # whatever it was, its forks do without
            os._exit(1)


def end_forks(forks: Sequence[Fork], selector: selectors.BaseSelector, *, asked: bool) -> None:
    """Kill forks that have not ended in time; ask all others to end where this process is asked to."""
    for fork in forks:
        if fork.deadline is not None and time.monotonic() > fork.deadline:
            signal.pidfd_send_signal(fork.ended, signal.SIGKILL)
        elif asked and fork.deadline is None:
            ask_to_end(fork, selector)


def ask_to_end(fork: Fork, selector: selectors.BaseSelector) -> None:
    """Ask a fork to end, and set when it is to be killed; its job, if it lives, goes on by itself."""
    selector.unregister(fork.job)
    fork.deadline = time.monotonic() + GRACE_SECONDS
    signal.pidfd_send_signal(fork.ended, signal.SIGTERM)


def report(fork: Fork, selector: selectors.BaseSelector, forks: list[Fork]) -> None:
    """Report to a job how its fork ended."""
    status = os.waitstatus_to_exitcode(os.waitpid(fork.pid, 0)[1])
    selector.unregister(fork.ended)
    os.close(fork.ended)
    if fork.deadline is None:
        selector.unregister(fork.job)
        with contextlib.suppress(OSError):
            fork.job.sendall(struct.pack("!i", status))
    fork.job.close()
    forks.remove(fork)


def end_with_parent() -> None:
    """Have the kernel end this process with the one that forked it, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def work(request: dict[str, Any], streams: list[int], parent: int, others: list[socket.socket | int]) -> None:
    """Be the fork: take on the job's directory, environment and output streams, do its work, and end."""
    status = 1
    try:
        end_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        for number, stream in enumerate(streams, start=1):
            os.dup2(stream, number)
            os.close(stream)
        for other in others:  # what only the warm process talks through
            os.close(other if isinstance(other, int) else other.detach())
        os.environ.clear()
        os.environ.update(request["environ"])
        os.chdir(request["cwd"])
        perform(request["function"], request["arguments"], request["log"])
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # whatever it was, the job learns it from its streams and its status
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4:])
