"""Calls on several cores at once, each in a fork of this process, which has what is imported and read by then."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from finevar.jobs.worker import end_with_parent

T = TypeVar("T")


def in_forks(calls: Sequence[Callable[[], T]], processes: int) -> list[T]:
    """Return what each call returns, in their order; the longest go first to end soonest.

    calls: partials of functions that a module has at its top, and of what can be pickled. Raises what a call raises. Here,
    one after the other, where one process is allowed, and off Linux, whose forks alone are safe with these libraries.
    """
    if processes < 2 or len(calls) < 2 or sys.platform != "linux":
        return [call() for call in calls]
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(processes, len(calls)), mp_context=fork, initializer=end_with_parent) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]
