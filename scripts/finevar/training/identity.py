"""What decides a training's outputs, and how those of a finished one with the same identity are restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finevar import ENGINES
from finevar.data.encoding import encoded_sha256
from finevar.jobs.cache import kept_identity, restore_finished
from finevar.models import checkpoint
from finevar.study.identity import chosen
from finevar.training.steps import Settings


def training_identity(
    start: Path, encoded: str, classes: Sequence[str], settings: Settings, seed: int
) -> dict[str, Any]:
    """Return all that decides what a training gives but for the machine; start: the folder of the model it begins with.

    Data by their token ids and labels; settings that are at their defaults are left out.
    """
    return checkpoint.content_of(start) | {
        "engine": ENGINES["training"],
        "encoded": encoded_sha256(encoded),
        "classes": list(classes),
        "settings": chosen(settings),
        "seed": seed,
    }


def without_epochs(course: Mapping[str, Any]) -> dict[str, Any]:
    """Return what runs of one trajectory have in common: all but how long they follow it."""
    return {**course, "settings": {key: value for key, value in course["settings"].items() if key != "epochs"}}


def restore_trained(folder: Path, outputs: Sequence[str], *, start: Path) -> bool:
    """Restore a finished training's outputs, with the tokenizer that its start has now; False where one is gone."""
    if not restore_finished(folder, "training", outputs):
        return False
    checkpoint.copy_tokenizer(start, Path(outputs[0]))
    return True


def restore_evaluated(folder: Path, outputs: Sequence[str], identity: Mapping[str, Any], start: Path) -> bool:
    """Restore the outputs of a training whose weights are gone because they are evaluated; False if they are not.

    identity: that of the evaluation that will read them. In place of weights there is a model's config alone, which
    that evaluation, finished as well, does not read.
    """
    model, training, summary, *state = outputs
    if kept_identity(folder, "evaluation") != identity or not restore_finished(folder, "training", [training, summary]):
        return False
    checkpoint.write_config(Path(model), start=start, classes=identity["classes"])
    for path in state:
        Path(path).touch()  # no state: what would go on from it begins anew
    return True
