"""The packages are layers, and what a dry run imports is quick to import."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from finevar import PACKAGE, ROOT


def test_imports_keep_the_contracts_between_packages():
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    path = {"PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_dry_run_imports_no_library_that_takes_seconds():
    rules = (ROOT / "workflow" / "rules" / "common.smk").read_text(encoding="utf-8")
    imports = re.findall(r"^from finevar[\w.]* import .*$", rules, re.MULTILINE)
    slow = ("torch", "transformers", "datasets", "pandas", "statsmodels", "sklearn", "altair")
    code = "\n".join([*imports, "import sys", f"print([name for name in {slow} if name in sys.modules])"])
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert len(imports) > 8
    assert done.stdout.strip() == "[]"
