"""Size and opening time of the report of 500 runs: python -m tests.benchmarks.report; from the repository's root."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
sys.path.extend([str(Path(__file__).parents[1] / folder) for folder in (".", "report", "analyses")])

import numpy as np
from playwright.sync_api import sync_playwright
from test_report import figures, program

from finevar.report.page import render_page
from prediction_fixtures import explored_study
from report_fixtures import baseline_metrics, facts

LEVELS = {
    "learning_rate": {"levels": [1e-5, 2e-5, 4e-5, 8e-5, 1.6e-4], "coding": "log2"},
    "batch_size": {"levels": [8, 16, 32, 64, 128], "coding": "log2"},
    "epochs": {"levels": [1, 2, 3, 4], "coding": "identity"},
}
SEEDS = (0, 1, 2, 3, 4)  # 100 points at 5 seeds
OPENINGS = 5


def opening_seconds(path: Path) -> list[float]:
    """Return how long a browser takes until the page is there, until what is seen is drawn, and to draw every chart."""
    found = []
    with sync_playwright() as program:
        browser = program.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for _ in range(OPENINGS):
            context = browser.new_context(offline=True, viewport={"width": 1400, "height": 1000})
            page, start = context.new_page(), time.perf_counter()
            page.goto(path.as_uri())
            shown = time.perf_counter() - start
            page.wait_for_selector(".vega-embed svg")
            seen = time.perf_counter() - start
            page.evaluate("document.querySelectorAll('.chart').forEach(drawFigure)")
            page.wait_for_function(
                "[...document.querySelectorAll('.chart')].every((one) => one.querySelector('.marks'))"
            )
            found.append((shown, seen, time.perf_counter() - start - seen))
            context.close()
        browser.close()
    return [float(np.median(times)) for times in zip(*found, strict=True)]


def main() -> None:
    """Simulate a study, write its report, open it."""
    with tempfile.TemporaryDirectory() as folder:
        tables = explored_study(Path(folder), study=LEVELS, seeds=SEEDS)
        start = time.perf_counter()
        tables |= {"baselines": baseline_metrics()}
        html = render_page(tables, figures(tables, LEVELS), facts(LEVELS), program())
        path = Path(folder) / "report.html"
        path.write_text(html, encoding="utf-8")
        size, seconds = path.stat().st_size / 1e6, time.perf_counter() - start
        print(f"{len(tables['metrics'])} runs: {size:.2f} MB, {seconds:.1f} s to write")
        shown, seen, drawn = opening_seconds(path)
        print(f"opens in {shown:.2f} s with still figures; what is seen can be hovered after {seen:.2f} s")
        print(f"drawing all figures at once would take {drawn:.2f} s (median of {OPENINGS})")


if __name__ == "__main__":
    main()
