"""What every job shares: its log file, how it reports an error, and how it is asked to end."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import signal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

from finevar.errors import Damage, InputError, Interruption

LOGGER = logging.getLogger("finevar")
FOUND = 25  # level of the one line that says what a stage found, in the terminal too
# Levels of the last line of a job's log where it did not succeed; an error that nobody foresaw is a plain ERROR.
ENDINGS = {41: "INTERRUPTED", 42: "DAMAGED", 43: "MACHINE ERROR", 44: "INPUT ERROR"}
# A line of a log, and the line of how its job ended, to read it again: its level and its sentence.
LINE, TIME = "%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"
END_LEVELS = (*ENDINGS.values(), "ERROR")
END_LINE = re.compile(rf"^\d\d:\d\d:\d\d ({'|'.join(END_LEVELS)}) (.*)$", re.MULTILINE)
INTERRUPTED = 75  # exit status of a job that was asked to end: EX_TEMPFAIL, try again
LONGEST_CAUSE = 300  # characters of an unforeseen error in the log's line; its traceback follows
# Ctrl-C; preemption, a time limit, scancel, a shutdown; SLURM's warning before its time limit (--signal=USR1@60).
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
MACHINE_ERRORS = {  # by number: what to do
    errno.ENOSPC: "The disk is full: free some space",
    errno.EDQUOT: "The disk quota is used up: free some space",
    errno.EROFS: "The disk is read-only: make it writable, or run with snakemake --directory elsewhere",
    errno.EACCES: "Permission was refused: change the permissions",
    errno.EIO: "The disk or the network file system failed: see to it",
    errno.ESTALE: "The network file system lost the file: see to it",
    errno.EMFILE: "Too many files are open: raise ulimit -n",
}


class Files(list):
    """A rule's files: a list of paths, some of which have a name; a name may stand for several."""

    def __init__(self, paths: Iterable[str], named: Mapping[str, Any]) -> None:
        super().__init__(paths)
        self.named = dict(named)

    def __getattr__(self, name: str) -> Any:
        named = self.__dict__.get("named", {})  # which is not there yet while a copy in another process is made
        if name not in named:
            raise AttributeError(f"no file is named {name}; there are {', '.join(named)}")
        return named[name]

    def __getitem__(self, key: Any) -> Any:
        return self.named[key] if isinstance(key, str) else super().__getitem__(key)


@dataclass(frozen=True)
class Job:
    """What a rule gives to its work, as Snakemake's own object has it, but made of plain values."""

    input: Files
    output: Files
    params: SimpleNamespace
    wildcards: SimpleNamespace
    threads: int = 1

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Job:
        """Return the job that `describe` gave."""
        files = {part: Files(*described[part]) for part in ("input", "output")}
        named = {part: SimpleNamespace(**described[part]) for part in ("params", "wildcards")}
        return cls(**files, **named, threads=described["threads"])


def describe(snakemake: Any) -> dict[str, Any]:
    """Return what a rule gives to its script as values that JSON holds."""
    files = {
        part: (list(found), {name: value if isinstance(value, str) else list(value) for name, value in found.items()})
        for part, found in (("input", snakemake.input), ("output", snakemake.output))
    }
    named = {part: dict(getattr(snakemake, part).items()) for part in ("params", "wildcards")}
    return files | named | {"threads": snakemake.threads}


def arguments(snakemake: Any) -> dict[str, Any]:
    """Return a rule's named files and params, and its threads, as arguments of a function; where it has no file, None.

    But for the param `engine`, which is for Snakemake: a rule whose code computes otherwise runs again.
    """
    files = {name: value or None for part in (snakemake.input, snakemake.output) for name, value in part.items()}
    params = {name: value for name, value in snakemake.params.items() if name != "engine"}
    return files | params | {"threads": snakemake.threads}


class LogFile(logging.FileHandler):
    """A log file; on a full disk, what does not fit goes to the terminal alone."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Do nothing: what could not be written the other handler writes to the terminal."""


class JobLog:
    """Log to a rule's log file while a job runs; report an InputError in its own words, without a traceback.

    Anything else that goes wrong leaves its traceback in the log and goes on up.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __enter__(self) -> logging.Logger:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handlers = [LogFile(self.path, mode="w", encoding="utf-8"), logging.StreamHandler()]
        handlers[1].setLevel(FOUND)
        for level, name in (ENDINGS | {FOUND: "FOUND"}).items():
            logging.addLevelName(level, name)
        for handler in handlers:
            handler.setFormatter(logging.Formatter(LINE, datefmt=TIME))
        LOGGER.setLevel(logging.INFO)
        LOGGER.handlers = handlers
        logging.captureWarnings(True)
        logging.getLogger("py.warnings").handlers = handlers[:1]
        return LOGGER

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            error = Interruption("Interrupted by SIGINT; starts again at the next start.")
        text = sentence(error)
        if text:
            kinds = (Interruption, Damage, OSError, InputError)  # of ENDINGS, in their order; damage is an InputError
            level = next(level for level, kind in zip(ENDINGS, kinds, strict=True) if isinstance(error, kind))
            LOGGER.log(level, text)
        elif error is not None:
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            LOGGER.error("the job stopped: %s", cause[:LONGEST_CAUSE], exc_info=(kind, error, traceback))
        logging.captureWarnings(False)
        for handler in LOGGER.handlers:
            with contextlib.suppress(OSError):
                handler.close()
        LOGGER.handlers = logging.getLogger("py.warnings").handlers = []
        if text:
            raise SystemExit(INTERRUPTED if isinstance(error, Interruption) else 1)


def sentence(error: BaseException | None) -> str | None:
    """Return what to say of an error that needs no traceback; None for any other."""
    if isinstance(error, InputError | Interruption):
        return str(error)
    if isinstance(error, OSError) and error.errno in MACHINE_ERRORS:
        where = f"{error.filename}: " if error.filename else ""
        remedy = f"{MACHINE_ERRORS[error.errno]}, then start Snakemake again; nothing done is lost."
        return f"{where}{error.strerror}. {remedy}"
    return None


@contextlib.contextmanager
def asked_to_end() -> Iterator[list[str]]:
    """Give a list that gets the name of a signal when one asks the job to end, instead of ending it at once."""
    asked: list[str] = []

    def ask(number: int, _: object) -> None:
        asked.append(signal.Signals(number).name)

    before = {number: signal.signal(number, ask) for number in END_SIGNALS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check_writable(folder: Path) -> None:
    """Raise InputError unless a folder, or the nearest one above it that exists, can be written to."""
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(
            str(folder),
            found=f"{nearest.absolute()} is not {'writable' if nearest.is_dir() else 'a folder'}",
            allowed="a folder that you may write to",
            remedy="Change its permissions, or run with snakemake --directory elsewhere.",
        )
