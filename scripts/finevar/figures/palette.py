"""The look of all figures: colours, shapes, sizes and type."""

from __future__ import annotations

WIDTH = 860  # pixels for the panels of a figure
FONT = "Helvetica, Arial, Liberation Sans, sans-serif"
INK, QUIET, FAINT, GRID = "#1b1f24", "#57606a", "#d8dee4", "#eef1f4"
BLUE, VERMILION, GREY = "#0072b2", "#d55e00", "#7a7f87"  # Okabe and Ito's first two: safe for colour-blind eyes
HUES = [VERMILION, "#009e73", "#cc79a7", "#56b4e9", "#8c6d1f", BLUE]  # of data sets
VERDICT_COLOURS = [BLUE, "#56b4e9", VERMILION, GREY, INK]  # in the order of words.effects.VERDICTS, then none
VERDICT_SHAPES = ["circle", "triangle-down", "triangle-up", "square", "diamond"]
MOST_COLUMNS = 3
STYLE = {
    "font": FONT,
    "background": "white",
    "padding": 8,
    "view": {"stroke": None, "continuousWidth": 300, "continuousHeight": 300},
    "axis": {
        "labelColor": QUIET, "titleColor": INK, "domainColor": FAINT, "tickColor": FAINT, "gridColor": GRID,
        "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "titlePadding": 8,
    },
    "legend": {
        "orient": "top", "titleOrient": "left", "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal",
        "labelColor": INK, "titleColor": INK,
    },
    "title": {"fontSize": 13, "fontWeight": 600, "anchor": "start", "color": INK, "offset": 8},
}  # fmt: skip
