"""What a module takes from another of this repository is there: seen without running either."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from finevar import ROOT

PATHS = sorted(path for folder in ("scripts", "tests") for path in (ROOT / folder).rglob("*.py"))
SUBMODULES = {path.parent if path.stem == "__init__" else path.with_suffix(""): path for path in PATHS}
# By the names under which they are imported: from the folders that pytest and Snakemake put on the path.
MODULES = {path.stem: path for path in PATHS if path.is_relative_to(ROOT / "tests")} | {
    ".".join(module.relative_to(top).parts): path
    for top in (ROOT / "scripts", ROOT)
    for module, path in SUBMODULES.items()
    if module.is_relative_to(top)
}


@cache
def names_in(path: Path) -> set[str]:
    """Return the names that a module binds, and of a package its modules."""
    table = symtable.symtable(path.read_text(encoding="utf-8"), str(path), "exec")
    bound = {name.get_name() for name in table.get_symbols() if name.is_assigned() or name.is_imported()}
    return bound | {module.name for module in SUBMODULES if path.stem == "__init__" and module.parent == path.parent}


def missing(tree: ast.Module) -> Iterator[str]:
    """Yield each name that is asked of a module of this repository and is not in it."""
    nodes = list(ast.walk(tree))
    modules = {
        name.asname or name.name: MODULES[name.name]
        for node in nodes if isinstance(node, ast.Import) for name in node.names if name.name in MODULES
    }  # fmt: skip
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module in {*MODULES, "tests"}:
            for name in node.names:
                if (whole := f"{node.module}.{name.name}") in MODULES:
                    modules[name.asname or name.name] = MODULES[whole]
                elif node.module == "tests" or name.name not in names_in(MODULES[node.module]):
                    yield f"line {node.lineno}: {whole}"
    rebound = {node.arg for node in nodes if isinstance(node, ast.arg)}
    rebound |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and not node.attr.startswith("__"):
            path = modules.get(node.value.id) if node.value.id not in rebound else None
            if path and node.attr not in names_in(path):
                yield f"line {node.lineno}: {node.value.id}.{node.attr}"


def test_names_of_other_modules_are_there():
    found = {path: list(missing(ast.parse(path.read_text(encoding="utf-8")))) for path in PATHS}
    assert {path: names for path, names in found.items() if names} == {}


def test_a_name_that_is_not_there_is_seen():
    lines = ["import tiny", "from finevar import files as own", "from prose import nothing", "tiny.no(own.nor)"]
    assert list(missing(ast.parse("\n".join(lines)))) == ["line 3: prose.nothing", "line 4: tiny.no", "line 4: own.nor"]
