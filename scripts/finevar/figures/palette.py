"""The look of all figures: colours, shapes, sizes and type."""

from __future__ import annotations

WIDTH = 860  # pixels for the panels of a figure
FONT = "Helvetica, Arial, Liberation Sans, sans-serif"  # of files; a page draws in its own
INK, QUIET, FAINT, GRID, PAPER = "#1b1f24", "#57606a", "#d8dee4", "#eef1f4", "#ffffff"
BLUE, VERMILION, GREY = "#0072b2", "#d55e00", "#7a7f87"  # Okabe and Ito's first two: safe for colour-blind eyes
ON_SCALE = "#111111"  # text over a colour scale, which is the same on every ground
HUES = [VERMILION, "#009e73", "#cc79a7", "#56b4e9", "#8c6d1f", BLUE]  # of data sets
VERDICT_COLOURS = [BLUE, "#56b4e9", VERMILION, GREY, INK]  # in the order of words.effects.VERDICTS, then none
VERDICT_SHAPES = ["circle", "triangle-down", "triangle-up", "square", "diamond"]
MOST_COLUMNS = 3
RAMP = ["#4ac16d", "#1fa187", "#277f8e", "#365c8d", "#46327e", "#440154"]  # viridis without what is too pale for a line
DARK = {  # what takes a colour's place on a dark ground
    INK: "#e6e9ed", QUIET: "#9aa4af", FAINT: "#343b44", GRID: "#262c34", PAPER: "#14171b",
    BLUE: "#4aa8e0", VERMILION: "#f0873a", GREY: "#98a0a9", "#56b4e9": "#9ad0f0", "#009e73": "#3fc59b",
    "#365c8d": "#6d9bd8", "#46327e": "#9b87e0", "#440154": "#d08bf0",
}  # fmt: skip
STYLE = {
    "font": FONT,
    "background": "transparent",
    "padding": {"left": 20, "right": 8, "top": 8, "bottom": 8},  # labels at the left may be in a wider font than here
    "text": {"color": INK, "fontSize": 12},
    "view": {"stroke": None, "continuousWidth": 300, "continuousHeight": 300},
    "axis": {
        "labelColor": QUIET, "titleColor": INK, "domainColor": FAINT, "tickColor": FAINT, "gridColor": GRID,
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "titlePadding": 8,
    },
    "legend": {
        "orient": "top", "titleOrient": "left", "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal",
        "labelColor": INK, "titleColor": INK,
    },
    "title": {"fontSize": 13, "fontWeight": 600, "anchor": "start", "color": INK, "offset": 8},
}  # fmt: skip


def dark_style(within: str) -> str:
    """Return the CSS by which drawings within an element follow a dark page: a style prevails over attributes."""
    rules = [
        f'{within} [{channel}="{light}"] {{ {channel}: {dark}; }}'
        for light, dark in DARK.items()
        for channel in ("fill", "stroke")
    ]
    return "@media screen and (prefers-color-scheme: dark) {\n" + "\n".join(rules) + "\n}"
