"""What an earlier config of a study made is removed by name, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from finevar.commands.report_jobs import remove_leftovers
from finevar.figures.names import FIGURES, figure_names
from finevar.metrics import RESPONSES


@pytest.fixture
def study(tmp_path) -> Path:
    """Return a study's folder with figures of two factors and two metrics, and a table of found models."""
    for name in ("figures/interplay.svg", "figures/surface_f1.json", "figures/surface_loss.json", "figures/mine.svg",
                 "figures/calibration.png", "figures/effects.png", "figures/effects.txt", "analysis/pooling.csv",
                 "analysis/calibration.csv", "interim/figures/interplay.svg"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(study: Path) -> set[str]:
    return {str(path.relative_to(study)) for path in study.rglob("*.*")}


def test_only_what_finevar_names_and_the_config_does_not_make_is_removed(study):
    before = names(study)
    removed = remove_leftovers(study, figures=["surface_loss"], tables=["calibration"])
    gone = {"figures/interplay.svg", "figures/surface_f1.json", "figures/calibration.png"}
    gone |= {"figures/effects.png", "analysis/pooling.csv"}
    assert before - names(study) == gone == {str(Path(path).relative_to(study)) for path in removed}


def test_what_is_made_stays(study):
    for image in study.glob("figures/*.png"):
        image.unlink()  # made by former versions alone
    before = names(study)
    assert not remove_leftovers(study, figures=figure_names(FIGURES, RESPONSES), tables=["pooling"])
    assert names(study) == before


def test_a_study_without_these_folders_has_no_leftovers(tmp_path):
    assert not remove_leftovers(tmp_path, figures=[], tables=[])
