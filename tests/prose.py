"""What tests ask of words: the numbers in a sentence, the parts of a page, and golden pages that hold all prose.

Tests are not held to wording, so that a sentence is mended in one place: the golden pages in tests/golden, which
FINEVAR_GOLDEN=write rewrites; their diff shows what people will read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
MISSING = re.compile(r"\b(nan|None|NaN|NaT|inf|undefined)\b|<NA>")  # no number, printed as if it were one
VOID = {"meta", "link", "br", "img", "hr", "input"}
SILENT = {"script", "style", "svg", "noscript"}  # without words for people
CELLS, INLINE = {"td", "th"}, {"a", "span", "strong"}
LINES = {"h1": "# ", "h2": "## ", "h3": "### ", "li": "- ", "tr": "", "caption": "Table: ", "figcaption": "Figure: "}
LINES |= dict.fromkeys(("title", "p", "dt", "dd", "summary", "label", "button"), "")
ROWS = 3  # of a table's body that a golden page shows


def numbers(text: str) -> list[float]:
    """Return the numbers that a text names, in order; digits of a name (F1, B0) are none."""
    return [float(number.replace(",", "")) for number in NUMBER.findall(text.replace("\N{MINUS SIGN}", "-"))]


def golden(name: str, page: str, *, same: Callable[[str], str] = str) -> None:
    """Compare a page with the golden one of a name, or write that; same: what a text is reduced to beforehand."""
    path = GOLDEN / name
    if os.environ.get("FINEVAR_GOLDEN") == "write":
        path.write_text(page, encoding="utf-8")
    assert same(page) == same(path.read_text(encoding="utf-8"))


def said_once(head: str, pages: Mapping[str, Iterable[str]]) -> str:
    """Return the lines of pages below each other, those alike but for their numbers once.

    head: what stands first; pages: their lines by their titles.
    """
    text, said = [head], set()
    for title, lines in pages.items():
        text += ["=" * 80, title, "=" * 80]
        for line in lines:
            if (alike := without_numbers(line)) not in said or not line:
                text.append(line)
            said.add(alike)
        text.append("")
    return "\n".join(text)


def without_numbers(text: str) -> str:
    """Return a text in which all numbers are alike: those that it names are tested where they are computed."""
    return NUMBER.sub("0", text.replace("\N{MINUS SIGN}", ""))


@dataclass
class Element:
    """An element of a page: its tag, attributes, and the words within it, those of the elements in it included."""

    tag: str
    attributes: dict[str, str | None]
    parts: list[str] = field(default_factory=list)

    @property
    def raw(self) -> str:
        return "".join(self.parts)

    @property
    def text(self) -> str:
        return " ".join(self.raw.split())

    def has(self, name: str) -> bool:
        """Say whether it is of a class."""
        return name in (self.attributes.get("class") or "").split()


class Page(HTMLParser):
    """A page's elements in their order; fails where tags do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[Element] = []
        self.elements: list[Element] = []
        self.seen: list[str] = []  # before anything is unfolded: of closed details the summaries alone
        self.feed(html)
        self.close()
        assert self.open == [], "tags are left open"

    def handle_starttag(self, tag, attrs):
        self.elements.append(Element(tag, dict(attrs)))
        if tag == "small":  # a note below what a cell holds
            self.spread(" ")
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_startendtag(self, tag, attrs):
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag
        self.spread(" | " if tag in CELLS else "" if tag in INLINE else " ")

    def handle_data(self, data):
        if not any(element.tag in SILENT for element in self.open):
            self.spread(data)
            folds = [element for element in self.open if element.tag == "details" and "open" not in element.attributes]
            titles = [element for element in self.open if element.tag == "summary"]
            if "body" in {element.tag for element in self.open} and len(folds) <= len(titles):
                self.seen.append(data)

    def spread(self, data: str) -> None:
        """Add words to all elements that are open."""
        for element in self.open:
            element.parts.append(data)

    @property
    def words(self) -> str:
        return " ".join(element.text for element in self.elements if element.tag == "body")

    @property
    def visible(self) -> list[str]:
        """Return the words that are read before anything is unfolded; those that a program adds are not among them."""
        return " ".join(self.seen).split()

    def all(self, tag: str, kind: str = "") -> list[Element]:
        """Return the elements with a tag, of a class where one is given."""
        return [element for element in self.elements if element.tag == tag and (not kind or element.has(kind))]

    def lines(self) -> Iterator[str]:
        """Yield the page's words, a line for each heading, sentence, item and row; of long tables the first rows."""
        rows = 0
        for element in self.elements:
            rows = 0 if element.tag == "table" else rows + (element.tag == "tr")
            shown = element.tag in LINES and not element.has("unseen") and (element.tag != "tr" or rows <= 1 + ROWS)
            if shown and element.text:
                yield LINES[element.tag] + element.text.removesuffix(" |")
