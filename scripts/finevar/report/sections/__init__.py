"""The report's sections, one module each: its TITLE, its PART of the page, its PLACE there, and what it says.

`section(tables, labels, factors, confidence)` returns a finding in words and the groups below it;
`of_study(tables, labels, facts)` stands in its place where the study's config has a say. None, or parts.STOPPED as the
finding, leaves the section out. One with a `template` of its own is laid out by that. The page finds the modules here,
so that a file alone adds a section. STUDIES: the kinds of studies that have it, where not all do.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

PARTS = {  # of the page, in its order
    "answer": "Answer",
    "explore": "Explore",
    "effects": "What each hyperparameter does",
    "tradeoffs": "Trade-offs and cost",
    "errors": "Errors and calibration",
    "trust": "Can you trust it?",
    "details": "Details",
}


def titled_modules() -> dict[str, ModuleType]:
    """Return the modules that are sections by their names, in the page's order."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    titled = {name: module for name, module in modules.items() if hasattr(module, "TITLE")}
    order = list(PARTS)
    return dict(sorted(titled.items(), key=lambda item: (order.index(item[1].PART), item[1].PLACE)))
