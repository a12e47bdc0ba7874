"""One set of versions: requirements.lock agrees with pyproject.toml, with envs/ and with what the code imports."""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from finevar import ROOT

LOCK_LINE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[0-9][A-Za-z0-9.]*) +# (?P<reason>\S.*)")


def lock_lines() -> list[str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@functools.cache
def lock() -> dict[str, str]:
    pins = [line.split("#")[0].strip().split("==") for line in lock_lines()]
    return {canonicalize_name(name): version for name, version in pins}


def environment(path: Path) -> tuple[dict, list[str]]:
    """Return a conda environment and all its pins in pip's notation."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    conda = [re.sub(r"(?<!=)=(?!=)", "==", entry) for entry in content["dependencies"] if isinstance(entry, str)]
    pip = [pin for entry in content["dependencies"] if isinstance(entry, dict) for pin in entry["pip"]]
    return content, [pin for pin in conda if not pin.startswith("python==")] + pip


def project_requirements() -> list[str]:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return content["project"]["dependencies"] + content["dependency-groups"]["dev"]


def optional_modules() -> set[str]:
    """Return the modules that are imported only where they are installed: by users, or in a group's environment."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {*content["project"]["optional-dependencies"], *content["dependency-groups"]}


def imports_of(path: Path) -> set[str]:
    """Return the top-level modules that a Python or Snakemake file imports."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":  # Snakemake's dialect is no Python
        return set(re.findall(r"^\s*(?:import|from)\s+(\w+)", text, flags=re.MULTILINE))
    nodes = list(ast.walk(ast.parse(text)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    from_ = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in plain | from_}


def source_files() -> list[Path]:
    folders = [ROOT / name for name in ("scripts", "workflow", "tests")]
    found = [path for folder in folders for pattern in ("*.py", "*.smk") for path in folder.rglob(pattern)]
    return sorted(path for path in [*found, ROOT / "Snakefile"] if path.is_file())


@functools.cache
def owners() -> Mapping[str, list[str]]:
    """Return the packages that each installed module is of."""
    return packages_distributions()


TOOLS = {"pip", "pygments", "snakemake-executor-plugin-slurm"}  # called or loaded, not imported
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


@pytest.mark.parametrize("line", lock_lines())
def test_lock_line_pins_one_public_version_and_says_why(line: str) -> None:
    assert LOCK_LINE.fullmatch(line), f"requirements.lock: want 'name==version  # reason', found {line!r}"


def test_lock_names_each_package_once() -> None:
    assert len(lock()) == len(lock_lines())


@pytest.mark.parametrize("name", sorted(set(lock()) - {"torch"}))  # torch pins its CUDA libraries itself
def test_lock_holds_what_its_packages_need(name: str) -> None:
    try:
        needed = [Requirement(text) for text in requires(name) or []]
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed here")
    for need in needed:
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            version = lock().get(canonicalize_name(need.name))
            assert version, f"requirements.lock: {need.name} is missing, which {name} needs"
            assert Version(version) in need.specifier


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_conda_environment_pins_what_the_lock_pins(path: Path) -> None:
    content, pins = environment(path)
    assert content["channels"] == ["conda-forge", "nodefaults"]
    assert pins
    for pin in pins:
        name, _, version = pin.partition("==")
        assert lock().get(canonicalize_name(name)) == version, f"{path.name}: {pin} differs from requirements.lock"


@pytest.mark.parametrize("text", project_requirements())
def test_project_dependency_allows_the_locked_version(text: str) -> None:
    requirement = Requirement(text)
    version = lock().get(canonicalize_name(requirement.name))
    assert version, f"requirements.lock: {requirement.name} is missing, a dependency in pyproject.toml"
    assert Version(version) in requirement.specifier


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imported_packages_are_project_dependencies(path: Path) -> None:
    declared = {canonicalize_name(Requirement(text).name) for text in project_requirements()}
    own = [*(ROOT / "scripts").glob("*.py"), *(ROOT / "tests").rglob("*.py")]
    local = {"finevar", "snakemake_logger_plugin_finevar", "tests"} | {found.stem for found in own} | optional_modules()
    for module in imports_of(path) - set(sys.stdlib_module_names) - local:
        providers = {canonicalize_name(name) for name in owners().get(module, [])}
        assert providers & declared, f"{path.name} imports {module}, which pyproject.toml does not name"


def test_project_dependencies_are_imported() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = {canonicalize_name(Requirement(text).name) for text in content["project"]["dependencies"]}
    modules = set().union(*(imports_of(path) for path in source_files() if ROOT / "tests" not in path.parents))
    imported = {canonicalize_name(name) for module in modules for name in owners().get(module, [])}
    assert declared - imported == TOOLS


def test_rules_name_environments_that_exist_and_every_environment_is_used() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in source_files() if path.suffix != ".py")
    assert set(re.findall(r"envs/(\w+\.yaml)", text)) == {path.name for path in ENVIRONMENTS}
