"""`make study` on a terminal: what it leaves there, and that it is clean where it is interrupted."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from test_mishaps import MOST_LINES, launching

SIZE = 120  # columns


def on_terminal(folder: Path, heed: Callable[[int, str], None] = lambda *_: None) -> tuple[int, str]:
    """Start a folder's study on a terminal; return the exit status and all that was written.

    heed: called with the process and what has been written so far, whenever that is more.
    """
    command, environment = launching()
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execve(command[0], command, environment | {"TERM": "xterm-256color", "COLUMNS": str(SIZE)})
    written = b""
    while part := read(terminal):
        written += part
        heed(process, written.decode(errors="replace"))
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), written.decode()


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's way to say that the last process has closed it
        return b""


def seen(written: str) -> list[str]:
    """Return the lines that a terminal shows in the end: moves up and erased lines are heeded, colours are not."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", written):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif part.endswith("A") and part.startswith("\x1b"):
            row -= int(part[2:-1])
        elif part == "\x1b[2K":
            lines[row] = ""
        elif not part.startswith("\x1b"):
            lines[row] = lines[row].ljust(column)[:column] + part + lines[row][column + len(part) :]
            column += len(part)
    return lines


def test_a_terminal_shows_a_block_while_it_runs_and_the_answer_in_the_end(copied):
    for name in ("analysis/effects.parquet", "report.html"):
        (copied / "results/toy" / name).unlink()
    status, written = on_terminal(copied)
    assert status == 0, written
    assert re.search("now.* 1 analyse study|now.* 1 render report", written)
    assert "\x1b[1A" in written, "the block is drawn over itself"
    lines = [line.rstrip() for line in seen(written) if line.strip()]
    assert len(lines) <= MOST_LINES
    assert not any("━" in line for line in lines), "the block is gone"
    assert [line for line in lines if line.startswith("Use  ")]
    assert ["Report", "results/toy/report.html"] in [line.split() for line in lines]
    (log,) = {line.split()[-1] for line in lines if ".snakemake/log/" in line}
    text = (copied / log).read_text()
    assert "rule render_report:" in text
    assert "FOUND" in text, "what jobs print is in the log file"
    assert "FOUND" not in written


def test_ctrl_c_on_a_terminal_leaves_it_clean(copied):
    shutil.rmtree(copied / "results/toy/analysis")
    sent: list[int] = []

    def interrupt(process: int, written: str) -> None:
        if not sent and re.search("now.* 1 (fit regressions|analyse study|draw figures)", written):
            os.killpg(os.getpgid(process), signal.SIGINT)
            sent.append(process)

    status, written = on_terminal(copied, interrupt)
    assert status == 1
    assert sent
    lines = seen(written)
    assert not any("━" in line for line in lines)
    assert "Traceback" not in written
    assert "Failed" not in written, "what was asked to end has not failed"
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l"), "the cursor is shown again"
    assert not list((copied / ".snakemake/locks").glob("*"))
