"""Errors for people: where it is, what was found, what is allowed, what to do."""

from __future__ import annotations

import copyreg
from typing import Any


class InputError(Exception):
    """A mistake in a config, a file or a machine's set-up that its user can mend."""

    def __init__(self, where: str, *, found: str, allowed: str, remedy: str) -> None:
        super().__init__(f"{where}: found {found}. Allowed: {allowed}. {remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Let one process hand it to another: pickling by itself forgets the keywords."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__


class Damage(InputError):
    """A file that is damaged or gone, and that Snakemake makes again at its next start."""


class Interruption(Exception):
    """A job was asked to end, and has kept what its next start goes on from."""
