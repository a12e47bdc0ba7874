"""What a training keeps beside its outputs, so that being cut short costs minutes and never a wrong number.

Snakemake removes the outputs of a job that did not end well, and its log when it begins again. So there are files in a
run's folder that it does not know:

resume.safetensors   where the training stood when it was last saved; gone when it is done
attempts.log         a line for each start, save and end, never shortened
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from finevar.errors import Interruption
from finevar.files import naming
from finevar.jobs.log import LOGGER, asked_to_end
from finevar.training.state import State, load_state, save_state
from finevar.training.steps import Masks

SAVE_SECONDS = 300.0  # between saves of a state; FINEVAR_SAVE_SECONDS overrides it
SAVE_SHARE = 0.02  # of a training's time that may go to saving


@dataclass
class StateSaver:
    """Saves one training's state, as time passes and when the job is asked to end.

    trajectory: all that decides the training's course; a state of another one is not used.
    """

    path: Path
    trajectory: Mapping[str, Any]
    attempts: TextIO
    asked: list[str]
    last: float = field(default_factory=time.monotonic)
    cost: float = 0.0  # seconds that the last save took
    begun: int = 0  # the step of the state that was found

    def load(self) -> State | None:
        """Return the state that an earlier attempt left, if one did."""
        state = load_state(self.path, self.trajectory, own=True) if self.path.exists() else None
        self.begun = len(state.rows) if state else 0
        self.note(f"started at step {self.begun}")
        return state

    def restored(self) -> None:
        """Note that there was nothing left to do."""
        self.path.unlink(missing_ok=True)
        self.note("found it finished")

    def save_if_due(self, state: State, draws: Masks) -> None:
        """Save the state after a step if it is time; raise Interruption, with the state saved, if the job is to end."""
        if len(state.rows) <= self.begun:
            self.note("started again at step 0: the saved state does not fit this training")
            self.begun = 0
        if not self.asked and time.monotonic() - self.last < self.every():
            return
        begun = time.monotonic()
        save_state(replace(state, draws=draws.get_state()), self.path, self.trajectory)
        self.last = time.monotonic()
        self.cost = self.last - begun
        step = len(state.rows)
        if self.asked:
            self.note(f"ended by {self.asked[0]} with its state saved at step {step}")
            raise Interruption(f"Interrupted by {self.asked[0]}; goes on from step {step} at the next start.")
        self.note(f"saved at step {step}")

    def every(self) -> float:
        """Return the seconds between saves: what the user chose, or so many that saving takes a small share."""
        chosen = os.environ.get("FINEVAR_SAVE_SECONDS")
        return float(chosen) if chosen else max(SAVE_SECONDS, self.cost / SAVE_SHARE)

    def done(self, step: int, status: str) -> None:
        """Forget the state: the outputs are complete."""
        self.path.unlink(missing_ok=True)
        self.note(f"finished at step {step}, {status}")

    def note(self, what: str) -> None:
        """Add a line to the attempts."""
        job = f", SLURM job {os.environ['SLURM_JOB_ID']}" if "SLURM_JOB_ID" in os.environ else ""
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        line = f"{now} {what} ({platform.node()}, process {os.getpid()}{job})\n"
        with naming(self.attempts.name):  # past the buffer, which would fail once more when it is closed
            os.write(self.attempts.fileno(), line.encode())


@contextlib.contextmanager
def saving_states(folder: Path, trajectory: Mapping[str, Any]) -> Iterator[StateSaver]:
    """Save the states of the training whose outputs lie in a folder, once no other process trains it any more.

    Such a process is what a killed Snakemake left behind: two at once would write the same files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "attempts.log").open("a", encoding="utf-8") as attempts, asked_to_end() as asked:
        lock(attempts)
        yield StateSaver(folder / "resume.safetensors", trajectory, attempts, asked)


def lock(file: TextIO) -> None:
    """Hold a file's lock until it is closed; go on without on file systems that have none."""
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            LOGGER.warning("another process still trains this run: waiting until it has ended")
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        LOGGER.info("%s cannot be locked (%s)", file.name, error)
