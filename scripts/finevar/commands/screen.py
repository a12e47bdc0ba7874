"""What is drawn while Snakemake runs: one live block on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

REDRAWN = 2.0  # times a second
BAR = 30  # columns


@dataclass(frozen=True)
class State:
    """What the block shows: how many of how many are done, a sentence on that, and lines by their names."""

    done: int = 0
    planned: int = 0
    sentence: str = ""
    lines: Mapping[str, str] = field(default_factory=dict)


class Screen:
    """Lines that stay, above a block that is redrawn as long as it is open; no block where there is no terminal."""

    def __init__(self, state: Callable[[], State], *, stdout: bool = False, colour: bool = True) -> None:
        self.state = state
        self.console = Console(
            stderr=not stdout, no_color=None if colour else True, highlight=False, markup=False, emoji=False
        )
        stream = sys.stdout if stdout else sys.stderr
        self.live: Live | None = None
        self.is_terminal = stream.isatty() and not self.console.is_dumb_terminal

    def open(self) -> None:
        """Begin to draw the block, where there is a terminal."""
        if self.is_terminal and not self.live:
            self.live = Live(
                get_renderable=lambda: block(self.state()), console=self.console, transient=True,
                refresh_per_second=REDRAWN,
            )  # fmt: skip
            self.live.start(refresh=True)

    def close(self) -> None:
        """Remove the block, and show the cursor again."""
        if self.live:
            self.live.stop()
            self.live = None

    def say(self, text: str, style: str = "") -> None:
        """Print lines that stay; where there is no terminal as they are, each with the time."""
        clock = "" if self.is_terminal or not self.console.stderr else time.strftime("%H:%M:%S ")
        self.console.print(Text(clock + text, style=style), soft_wrap=not self.is_terminal)


def block(state: State) -> Group:
    """Return the block: a bar with its sentence, then the lines, each cut to the terminal's width."""
    bar = ProgressBar(total=state.planned or None, completed=state.done, width=BAR, pulse=not state.planned)
    head, rows = Table.grid(padding=(0, 1)), Table.grid(padding=(0, 1))
    head.add_row(bar, Text(state.sentence, no_wrap=True, overflow="ellipsis"))
    for name, text in state.lines.items():
        rows.add_row(Text(name, style="bold"), Text(text, no_wrap=True, overflow="ellipsis"))
    return Group(head, rows)
