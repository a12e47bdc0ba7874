"""Run calls on several cores, each in a fork of this process, which inherits its imports and data."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from finevar.jobs.worker import end_with_parent

T = TypeVar("T")
inherited: Sequence[Callable[[], Any]] = ()  # a fork's calls


def in_forks(calls: Sequence[Callable[[], T]], processes: int) -> list[T]:
    """Return what each call returns, in their order; started in it, too, so that the longest should be first.

    Raises what a call raises. Only what is returned is pickled: what a call is given, a fork has as it lies here, so
    that sums over it keep their last bit. One call after the other, here, where one process is allowed, and off Linux,
    as there the libraries' own threads do not survive a fork.
    """
    if processes < 2 or len(calls) < 2 or sys.platform != "linux":
        return [call() for call in calls]
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(processes, len(calls)), fork, initializer=begin, initargs=(calls,)) as pool:
        return list(pool.map(work, range(len(calls))))


def begin(calls: Sequence[Callable[[], Any]]) -> None:
    """Be a fork: end with the process that made it, and keep to one core, as the others are the other forks'."""
    global inherited
    end_with_parent()
    threadpool_limits(1)
    inherited = calls


def work(number: int) -> Any:
    """Make one of the calls."""
    return inherited[number]()
