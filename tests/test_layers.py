"""The package's modules form layers: each imports only from those that its docstring lists before it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
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


def test_a_dry_run_imports_no_library_that_takes_seconds():
    rules = (PACKAGE.parents[1] / "workflow" / "rules" / "common.smk").read_text(encoding="utf-8")
    imports = re.findall(r"^from finevar[\w.]* import .*$", rules, re.MULTILINE)
    slow = ("torch", "transformers", "datasets", "pandas", "statsmodels", "altair")
    code = "\n".join([*imports, "import sys", f"print([name for name in {slow} if name in sys.modules])"])
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert len(imports) > 8
    assert done.stdout.strip() == "[]"
