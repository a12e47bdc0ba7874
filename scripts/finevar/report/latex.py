"""Text, tables and figures as LaTeX, for pdflatex with the packages of TeX Live's base and recommended parts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from finevar.report.parts import Row, Table

MARKS = {  # what LaTeX reads otherwise, and characters that its default fonts lack
    "\\": r"\textbackslash{}",
    **{mark: rf"\{mark}" for mark in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{SUPERSCRIPT TWO}": "$^2$",
    "\N{SUPERSCRIPT THREE}": "$^3$",
    "\N{NO-BREAK SPACE}": "~",
    "\N{EM DASH}": "---",
    "\N{EN DASH}": "--",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': "''",
    "[": "{[}",  # else an option, where it follows the end of a row
}
LATIN = re.compile("[\x20-\x7e\u00c0-\u00cf\u00d1-\u00d6\u00d8-\u00dd\u00df-\u00ef\u00f1-\u00f6\u00f8-\u00fd\u00ff]")

LINE = 470.0  # points: the width of main.tex's lines
GAP = 6.0  # points between two columns
SPARE = 1.03  # times the room that whole words take, so that not every line is one word
INTERVAL = re.compile(r"(?<=\d) to (?=[\d\N{MINUS SIGN}])")  # kept on one line
SHORT = 22  # characters
SIZES = {
    "footnotesize": 0.85,
    "scriptsize": 0.8,
    "fontsize{6}{7}\\selectfont": 0.735,
    "tiny": 0.68,
}  # widths of their letters, beside those at 10 points
LETTERS = {  # widths in points at 10 points (Computer Modern Roman)
    **dict.fromkeys("ijl.,:;'!|", 2.8),
    **dict.fromkeys("tsrfI()[]-\N{EN DASH}/ \N{NO-BREAK SPACE}", 3.95),
    **dict.fromkeys("mwMWABCDEGHKNOQRUVXY%+<>=\N{MINUS SIGN}\N{PLUS-MINUS SIGN}\N{MULTIPLICATION SIGN}", 7.8),
}
LETTER = 5.5  # any other

LONG_TABLE = r"""% needs the packages array, booktabs and longtable
{{\{size}\setlength{{\tabcolsep}}{{{half:.1f}pt}}
\begin{{longtable}}{{@{{}}{shape}@{{}}}}
  \caption{{{caption}}}\label{{tab:{label}}} \\
  \toprule
  {titles} \\
  \midrule
  \endfirsthead
  \toprule
  {titles} \\
  \midrule
  \endhead
  \bottomrule
  \endlastfoot
  {rows}
\end{{longtable}}}}
"""
FIGURE = r"""\begin{{figure}}[htbp]
  \centering
  \includegraphics[width=\linewidth,height=0.75\textheight,keepaspectratio]{{figures/{name}.pdf}}
  \caption{{{caption}}}\label{{fig:{label}}}
\end{{figure}}
"""


def latex(text: str) -> str:
    """Return text as LaTeX prints it; letters that its default fonts lack become those closest to them."""
    return "".join(MARKS[mark] if mark in MARKS else closest(mark) for mark in text)


def closest(mark: str) -> str:
    """Return a character that LaTeX's default fonts have: itself, without its accent, or a question mark."""
    if LATIN.match(mark):
        return mark
    return unicodedata.normalize("NFKD", mark).encode("ascii", "ignore").decode() or "?"


def label_of(name: str) -> str:
    """Return the label under which text refers to a table or a figure."""
    return name.replace("_", "-")


def figure(name: str, caption: str) -> str:
    """Return a figure that is figures/<name>.pdf."""
    return FIGURE.format(name=name, caption=latex(caption), label=label_of(name))


# Tables ---------------------------------------------------------------------------------------------------------------


def long_table(found: Table, name: str) -> str:
    """Return a table that breaks across pages, its columns as wide as its longest lines or, together, as the page."""
    titles = [[column["title"]] for column in found["columns"]]
    lines = [titles, *([cell_lines(cell) for cell in row] for row in found["rows"])]
    size, widths = fitted([[line for cell in column for line in cell] for column in zip(*lines, strict=True)])
    sides = ["left" if column["kind"] == "number" else "right" for column in found["columns"]]
    head, *rows = (" & ".join(r" \par ".join(map(latex, cell)) for cell in row) for row in lines)
    return LONG_TABLE.format(
        size=size,
        half=GAP / 2,
        shape="".join(rf">{{\ragged{side}\arraybackslash}}p{{{width:.1f}pt}}" for side, width in
                      zip(sides, widths, strict=True)),
        caption=latex(found["caption"]),
        label=label_of(name),
        titles=head,
        rows="\n  ".join(rf"{row} \\ \addlinespace[2pt]" for row in rows),
    )  # fmt: skip


def cell_lines(cell: Row) -> list[str]:
    """Return a cell's text and its note, each as a line; short ones with numbers, and intervals, do not break."""
    return [unbroken(str(cell[part])) for part in ("text", "note") if cell[part]]


def unbroken(line: str) -> str:
    """Return a line with blanks that do not break where a number belongs to what is beside it."""
    if len(line) <= SHORT and re.search(r"\d", line):
        return line.replace(" ", "\N{NO-BREAK SPACE}")
    return INTERVAL.sub("\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}", line)


def fitted(columns: Sequence[Sequence[str]]) -> tuple[str, list[float]]:
    """Return the largest size at which columns of such lines fit the page, words whole, and their widths in points."""
    room = LINE - GAP * (len(columns) - 1)
    words = [max((width(word) for line in column for word in line.split(" ")), default=0) for column in columns]
    size = next((name for name, scale in SIZES.items() if scale * SPARE * sum(words) <= room), "tiny")
    scale = SIZES[size]
    least = [scale * word for word in words]
    wanted = [scale * max(map(width, column), default=0) for column in columns]
    return size, shared(least, wanted, room)


def shared(least: Sequence[float], wanted: Sequence[float], room: float) -> list[float]:
    """Return widths that share room: what is wanted where that fits, else the widest give way to the others."""
    low, high = 0.0, max(wanted, default=0.0)

    def at_most(most: float) -> list[float]:
        return [max(one, min(other, most)) for one, other in zip(least, wanted, strict=True)]

    if sum(wanted) <= room:
        return list(wanted)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(at_most(middle)) <= room else (low, middle)
    return at_most(low)


def width(text: str) -> float:
    """Return about how wide text is at 10 points, rather too wide than too narrow."""
    return sum(LETTERS.get(letter, LETTER) for letter in text) + 1
