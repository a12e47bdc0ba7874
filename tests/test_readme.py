"""The README: short, its config sound as printed, its commands and links those that there are."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from finevar import ROOT
from finevar.data.corpus import prepare
from finevar.study.config import read_config
from finevar.study.design import plan_study

README, MANUAL = ROOT / "README.md", ROOT / "config" / "README.md"


@pytest.fixture
def printed(monkeypatch) -> dict[str, Any]:
    """Return the config that the README prints, checked."""
    monkeypatch.chdir(ROOT)
    (text,) = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    return read_config(yaml.load(text, Loader=yaml.FullLoader))


def test_it_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_its_config_plans_every_combination_at_every_seed(printed):
    assert len(plan_study(printed).runs) == 3 * 2 * 4


def test_its_config_reads_the_file_that_it_names(printed):
    spec = printed["datasets"]["tickets"]
    *_, facts = prepare(spec, Path(printed["sources"]["mine"]["path"]), hub=False)
    with (ROOT / "config/examples/tickets.csv").open(encoding="utf-8", newline="") as file:
        texts = {row["body"]: row["queue"] for row in csv.DictReader(file)}
    assert (facts["eval"], facts["classes"]) == (120, sorted(set(texts.values())))
    assert 0 < facts["train"] <= len(texts) - 120


def test_it_names_every_target_of_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert targets - set(re.findall(r"make ([a-z-]+)", README.read_text(encoding="utf-8"))) == {"help", "env"}


def slugs(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [README, MANUAL], ids=["README", "manual"])
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in slugs(target), link
