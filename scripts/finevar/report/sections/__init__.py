"""The report's sections, one module each, whose `section` returns a finding in words and the groups below it.

A module with a TITLE is a section of its own: the page finds it here, so that its file alone adds it, and goes by its
PLACE. The others stand within sections that the page's template lays out.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def titled_modules() -> dict[str, ModuleType]:
    """Return the modules that are sections of their own by their names, in the page's order."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    titled = {name: module for name, module in modules.items() if hasattr(module, "TITLE")}
    return dict(sorted(titled.items(), key=lambda item: item[1].PLACE))
