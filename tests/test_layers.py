"""The package's modules form layers: each imports only from those that its docstring lists before it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import finevar

PACKAGE = Path(finevar.__file__).parent


def imported(path: Path) -> set[str]:
    """Return the package's modules that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "finevar":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("finevar."):
            found.add(node.module.removeprefix("finevar."))
    return found


def test_no_module_imports_a_higher_one():
    listed = finevar.__doc__.split("before it:")[1].split("What a dry run")[0]
    order = re.findall(r"\w+", listed)
    modules = {path.stem: path for path in PACKAGE.glob("*.py") if path.stem != "__init__"}
    assert sorted(order) == sorted(modules)
    for name, path in modules.items():
        higher = {other for other in imported(path) & set(order) if order.index(other) >= order.index(name)}
        assert not higher, f"{name} imports {higher}"
