"""Errors for people: where it is, what was found, what is allowed, what to do."""

from __future__ import annotations

import copyreg
from collections.abc import Sequence
from typing import Any

MOST_NAMED = 20  # mistakes, or names, in one message


class InputError(Exception):
    """A mistake in a config, a file or a machine's set-up that its user can fix."""

    def __init__(self, where: str, *, found: str, allowed: str, remedy: str) -> None:
        super().__init__(f"{where}: found {found}. Allowed: {allowed}. {remedy}")
        self.where, self.found, self.allowed, self.remedy = where, found, allowed, remedy

    def __reduce__(self) -> tuple[Any, ...]:
        """Support pickling, which by default loses the keywords."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__


class InputErrors(InputError):
    """Several mistakes in one config, reported at once."""

    def __init__(self, problems: Sequence[InputError]) -> None:
        noun = "problem" if len(problems) == 1 else "problems"
        lines = [f"  {number}. {problem}" for number, problem in enumerate(problems[:MOST_NAMED], 1)]
        lines += [f"  and {len(problems) - MOST_NAMED} more."] if len(problems) > MOST_NAMED else []
        Exception.__init__(self, "\n".join([f"the config has {len(problems)} {noun}; nothing was run.", *lines]))
        self.problems = tuple(problems)


class Damage(InputError):
    """A file that is damaged or gone, and that Snakemake rebuilds at its next start."""


class Interruption(Exception):
    """A job was asked to end, and has saved what its next start resumes from."""
