"""A job that no longer makes progress ends, with the stacks of its threads in its log, rather than hang for ever.

Kernels run outside Python: a deadlock in one, or a network file system that never answers, holds a job until its time
limit and leaves no trace of where. faulthandler's timer is a thread of its own in C, which neither needs Python nor
waits for a call that holds its lock. It can write stacks alone, so what they mean and what to do stands in the log
before: the line that says when the job would end so.
"""

from __future__ import annotations

import contextlib
import faulthandler
import math
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from finevar.errors import InputError
from finevar.jobs.log import LOGGER, LogFile

VARIABLE = "FINEVAR_STALL_SECONDS"
STALL_SECONDS = 1800.0  # without progress before a job ends; the variable overrides it, and 0 means never
ARMED_SECONDS = 1.0  # that a timer serves before progress sets a new one, which costs more than a tiny step would
REMEDY = (
    "Start Snakemake again: the job goes on from its last saved state, if it has one. If its steps need longer, raise "
    f"{VARIABLE}."
)
FIRED = re.compile(rb"^Timeout \(\d+:\d\d:\d\d(\.\d+)?\)!$", re.MULTILINE)  # faulthandler's line above the stacks


@contextlib.contextmanager
def ending_if_stalled(unit: str) -> Iterator[Callable[[], None]]:
    """Give a function to call after each unit of work; end the process, status 1, if none is called for too long.

    The process then ends at once, as if it were killed: only what was saved before is there at the next start. It ends
    up to `ARMED_SECONDS` late, never early. Time in which the process is stopped (SIGSTOP) counts as well.
    Raises InputError where the variable holds no number of seconds.
    """
    limit = stall_seconds()
    if not limit:
        yield lambda: None
        return
    ends = "If no %s ends within %g seconds, this job ends itself and the stacks of its threads follow here. %s"
    LOGGER.info(ends, unit, limit, REMEDY)
    logs = (handler.stream for handler in LOGGER.handlers if isinstance(handler, LogFile))
    file = next(logs, sys.__stderr__)  # the latter where work is done without a log
    armed = -math.inf

    def progressed() -> None:
        nonlocal armed
        if time.monotonic() - armed >= ARMED_SECONDS:
            faulthandler.dump_traceback_later(limit + ARMED_SECONDS, exit=True, file=file)
            armed = time.monotonic()

    progressed()
    try:
        yield progressed
    finally:
        faulthandler.cancel_dump_traceback_later()


def stall_seconds() -> float:
    """Return the seconds without progress after which a job ends; 0 for never."""
    chosen = os.environ.get(VARIABLE) or str(STALL_SECONDS)
    try:
        seconds = float(chosen)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= threading.TIMEOUT_MAX / 2:
        raise InputError(
            f"environment variable {VARIABLE}",
            found=chosen,
            allowed="the seconds without progress after which a job ends, or 0 for no limit",
            remedy=f"Set it to a number such as {STALL_SECONDS:g}, or unset it.",
        )
    return seconds


def stall_sentence(log: str | Path) -> str | None:
    """Return what to say of a job that ended itself since it made no progress; None, by its log, for any other.

    Such a job could write nothing but the stacks.
    """
    text = b""
    with contextlib.suppress(FileNotFoundError):
        text = Path(log).read_bytes()
    if not FIRED.search(text):
        return None
    return f"The job made no progress for too long and ended itself; {log} shows where its threads were. {REMEDY}"
