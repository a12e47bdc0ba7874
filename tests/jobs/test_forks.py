"""Calls in forks: what they return, in order; what they raise; and their end with the process that made them."""

from __future__ import annotations

import os
import pickle
from functools import partial

import pytest

from finevar.errors import Damage, InputError
from finevar.jobs.forks import in_forks


def fail() -> None:
    raise Damage("a file", found="damage", allowed="none", remedy="Start again.")


@pytest.mark.parametrize("processes", [1, 2, 9])
def test_results_come_in_the_order_of_the_calls(processes):
    assert in_forks([partial(pow, 2, number) for number in range(7)], processes) == [1, 2, 4, 8, 16, 32, 64]


def test_calls_run_in_processes_of_their_own_which_need_no_pickling():
    own = in_forks([lambda: os.getpid(), lambda: os.getpid()], 1)
    forked = in_forks([lambda: os.getpid(), lambda: os.getpid()], 2)
    assert set(own) == {os.getpid()}
    assert os.getpid() not in forked


def test_an_error_arrives_as_what_it_is():
    with pytest.raises(Damage, match=r"a file: found damage\. Allowed: none\."):
        in_forks([fail, fail], 2)


def test_an_input_error_survives_pickling():
    error = pickle.loads(pickle.dumps(InputError("a", found="b", allowed="c", remedy="d")))
    assert isinstance(error, InputError)
    assert str(error) == "a: found b. Allowed: c. d"
