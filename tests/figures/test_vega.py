"""Vega in a process that stays: what it draws, what it cannot draw, and when it is not there."""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pytest
import vl_convert

from finevar.figures import vega

SPEC = {"data": {"values": [{"a": 1, "b": 2.5}, {"a": 2, "b": 0.1}]}, "mark": "bar"}
SPEC |= {"encoding": {"x": {"field": "a", "type": "ordinal"}, "y": {"field": "b", "type": "quantitative"}}}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is a fork of the warm process, on Linux only")


@pytest.fixture
def folder(monkeypatch):
    """Return the folder of a process that has Vega, and end it afterwards."""
    place = Path(tempfile.mkdtemp(prefix="fv"))  # pytest's own folders are too deep for a socket
    monkeypatch.setattr(vega, "usable", lambda: True)
    monkeypatch.setattr(vega, "private_folder", lambda kind: place)
    server = multiprocessing.get_context("spawn").Process(target=vega.serve, args=[place], daemon=True)
    server.start()
    while not (place / vega.SOCKET).exists():
        time.sleep(0.01)
    yield place
    server.kill()
    server.join()
    shutil.rmtree(place)


def test_figures_are_the_same_whichever_process_draws_them(folder, monkeypatch):
    own = vl_convert.vegalite_to_svg(SPEC, vl_version=vega.vega_lite_version())
    monkeypatch.setattr(vega, "svg_of", lambda text: "drawn here")
    assert [vega.draw_svg(SPEC) for _ in range(2)] == [own, own]
    shutil.move(folder / vega.SOCKET, folder / "elsewhere")
    assert vega.draw_svg(SPEC) == "drawn here"


def test_what_cannot_be_drawn_says_why_and_costs_no_other_figure(folder):
    with pytest.raises(ValueError, match="Vega"):
        vega.draw_svg(SPEC | {"mark": "no such mark"})
    assert vega.draw_svg(SPEC).startswith("<svg")
