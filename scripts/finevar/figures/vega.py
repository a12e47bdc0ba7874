"""Vega, which draws figures, in two processes for all of a study's: to start it takes as long as to draw six of them.

Two forks of the analyses' warm process have it, from that process's first job on, so that it has started by the time
that there is something to draw. The warm process itself must not: Vega's threads do not survive a fork.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from finevar.jobs.worker import end_with_parent, private_folder, usable

SOCKET = "vega"  # in the warm process's private folder


def draw_svg(spec: Mapping[str, Any]) -> str:
    """Return what Vega draws of a Vega-Lite specification: in a process that has it or, where there is none, here."""
    text = json.dumps(spec)
    folder = private_folder("analysis") if usable() else None
    if folder is not None:
        with contextlib.suppress(OSError, EOFError), Client(str(folder / SOCKET)) as vega:
            vega.send_bytes(text.encode())
            return vega.recv_bytes().decode()
    return svg_of(text)


def serve(folder: Path) -> None:
    """Start Vega, here and in a fork, and draw for whoever asks, two figures at a time; return never.

    Who asks for a figure that Vega cannot draw gets no answer, and learns why when it draws the figure itself.
    """
    (folder / SOCKET).unlink(missing_ok=True)  # of one that was killed
    with Listener(str(folder / SOCKET), backlog=128) as listener:
        if os.fork() == 0:
            end_with_parent()
        svg_of('{"data": {"values": [{}]}, "mark": "point"}')
        while True:
            with contextlib.suppress(OSError, EOFError, ValueError), listener.accept() as asked:
                asked.send_bytes(svg_of(asked.recv_bytes().decode()).encode())


def svg_of(text: str) -> str:
    """Return what Vega, which this process has or starts, draws of a specification as JSON."""
    return vl_convert.vegalite_to_svg(text, vl_version=vega_lite_version())


def vega_lite_version() -> str:
    """Return the version of Vega-Lite that the figures are written for, as major.minor."""
    return ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
