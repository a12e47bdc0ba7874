"""What is wrong with the models that a study starts from, before any job: their names, their layers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from finevar.errors import InputError
from finevar.files import read_json
from finevar.study.consistency import Config, cut, listed
from finevar.study.content import is_file
from finevar.study.paths import place
from finevar.study.settings import MODEL

LAYERS = ("num_hidden_layers", "n_layers")  # keys of a config.json, as transformers has them


def name_problems(config: Config) -> Iterator[InputError]:
    """Yield that the model whose baseline is the study's is none of those that it compares."""
    models = config["sweep"]["factors"].get(MODEL, {"levels": [config["model"]]})["levels"]
    if config["model"] not in models:
        yield InputError(
            "config: model",
            found=cut(repr(config["model"])),
            allowed=f"a level of sweep.factors.{MODEL}: {listed(models)}",
            remedy="Name the one whose baseline is the study's, or add it there.",
        )


def twin_problems(models: Mapping[str, Config | None]) -> Iterator[InputError]:
    """Yield models that are one and the same under two names."""
    for (one, own), (other, same) in itertools.combinations(models.items(), 2):
        if own is not None and own == same:
            yield InputError(
                f"config: sweep.factors.{MODEL}.levels",
                found=f"{one} and {other}, which are the same model",
                allowed="models that differ",
                remedy="Take one of them away.",
            )


def layers_of(source: Mapping[str, Any], model_id: str) -> int | None:
    """Return the layers of a model by its config.json: its source's, or the fetched one's; None where none says so."""
    folder = Path(source["path"]) if source["kind"] == "local" else place("model", model=model_id)
    try:
        found = read_json(folder / "config.json") if is_file(folder / "config.json") else {}
    except (ValueError, OSError):  # which the job that fetches the model says
        return None
    counts = [found[key] for key in LAYERS if isinstance(found, dict) and isinstance(found.get(key), int)]
    return counts[0] if counts else None


def depth_problems(
    trained: Mapping[str, Sequence[Mapping[str, Any]]], layers: Mapping[str, int | None]
) -> Iterator[InputError]:
    """Yield settings of layers beyond those of the model that some training starts from.

    trained: the settings of the trainings that start from each model. layers: how many it has, where that is known.
    """
    for model, settings in trained.items():
        frozen = [each["frozen_layers"] for each in settings]
        drawn = [each["frozen_layers"] + each["reinit_layers"] for each in settings if each.get("reinit_layers")]
        for name, tried in (("frozen_layers", frozen), ("reinit_layers", drawn)):
            if (most := layers[model]) is not None and (found := max(tried, default=0)) > most:
                deep = [other for other, own in layers.items() if other != model and (own is None or own >= found)]
                names = f"[{listed(deep)}]" if deep[1:] else listed(deep)
                nested = f", or where it is a factor give it `when: {{model: {names}}}`" if deep else ""
                yield InputError(
                    f"config: {name}",
                    found=f"{found} layers{' frozen or drawn anew' if name == 'reinit_layers' else ''}",
                    allowed=f"at most {most}, the layers of {model}",
                    remedy=f"Lower {name}{nested}.",
                )
