"""Where pages come from: the templates, and how they are read."""

from __future__ import annotations

from pathlib import Path

import jinja2

from finevar.words import effects as effect_words

TEMPLATES = Path(__file__).parent / "templates"
BEFORE_RUNS = ("data.html", "design_card.html")  # pages of their own
ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)  # fmt: skip
ENVIRONMENT.filters["in_words"] = lambda verdict: effect_words.VERDICTS.get(verdict, verdict)
