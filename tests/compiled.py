"""A paper kit compiled by LaTeX, its log the judge."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TYPESET, CITE = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main"], ["bibtex", "main"]
WRONG = r"^!.*|.*undefined.*|.*multiply defined.*|.*didn't find a database entry.*"
MOST = 5  # points that a line may stand out beyond the margin


def check_paper(folder: Path, scratch: Path) -> None:
    """Compile a kit's main.tex as a journal would.

    Fail at an error, a reference or citation without its target, or a line beyond the margin. Without LaTeX, skip the
    test, or fail where FINEVAR_REQUIRE_LATEX is set.
    """
    if not shutil.which("pdflatex"):
        missing = "no LaTeX: apt-get install texlive-latex-base texlive-latex-recommended"
        (pytest.fail if os.environ.get("FINEVAR_REQUIRE_LATEX") else pytest.skip)(missing)
    kit = scratch / "compiled"
    shutil.copytree(folder, kit)
    done = [subprocess.run(command, cwd=kit, capture_output=True, text=True, errors="replace", timeout=60, check=False)
            for command in (TYPESET, CITE, TYPESET, TYPESET)]  # fmt: skip
    assert not any(one.returncode for one in done), "\n".join(one.stdout for one in done)
    log = (kit / "main.log").read_text(errors="replace") + done[1].stdout
    assert "Output written on main.pdf" in log
    assert re.findall(WRONG, log, re.MULTILINE) == []
    assert [size for size in re.findall(r"Overfull \\[hv]box \(([\d.]+)pt", log) if float(size) > MOST] == []
