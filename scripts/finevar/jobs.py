"""What every job shares: its log file and how it tells of an error."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import TracebackType

from finevar.errors import InputError

LOGGER = logging.getLogger("finevar")


class JobLog:
    """Log to a rule's log file while a job runs; tell an InputError in its own words, without a traceback.

    Anything else that goes wrong leaves its traceback in the log and goes on up.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __enter__(self) -> logging.Logger:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handlers = [logging.FileHandler(self.path, mode="w", encoding="utf-8"), logging.StreamHandler()]
        handlers[1].setLevel(logging.WARNING)
        for handler in handlers:
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"))
        LOGGER.setLevel(logging.INFO)
        LOGGER.handlers = handlers
        logging.captureWarnings(True)
        logging.getLogger("py.warnings").handlers = handlers[:1]
        return LOGGER

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        told = isinstance(error, InputError)
        if told:
            LOGGER.error(str(error))
        elif error is not None:
            LOGGER.error("the job stopped", exc_info=(kind, error, traceback))
        logging.captureWarnings(False)
        for handler in LOGGER.handlers:
            handler.close()
        LOGGER.handlers = logging.getLogger("py.warnings").handlers = []
        if told:
            raise SystemExit(1)


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
