"""What decides a result, and the ids made from it: of sources, data sets, the baseline, settings and runs.

An id holds content and choices, never a place or a date: moving data changes none, editing them changes what depends on
them. Whatever stands at its default is left out, so that a setting that is new in finevar renames no run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finevar.errors import InputError
from finevar.study.consistency import PLACES, Config
from finevar.study.content import (
    MODEL_FILES,
    SENTENCEPIECE,
    TOKENIZER_FILES,
    VOCABULARIES,
    file_sha256,
    is_file,
    part_identity,
    parts_of,
)
from finevar.study.found_config import card_files
from finevar.study.schemas import read_schema
from finevar.study.settings import TRAINING_DEFAULTS, in_effect, model_names, of_training
from finevar.study.starting_models import twin_problems

# Part of every id. Raised where a default changes its value, as ids leave defaults out: all results then get new ids.
VERSION = 2

OF_METRICS = ("positive",)  # keys of a data set that no data and no run depend on

Settings = Mapping[str, Any]


def chosen(settings: Settings) -> Config:
    """Return a training's settings in effect that are not at their defaults: all that ids and identities say of it."""
    return differing(in_effect(of_training(settings)), TRAINING_DEFAULTS)


def differing(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> Config:
    """Return the values that are not their key's default."""
    return {key: value for key, value in values.items() if key not in defaults or value != defaults[key]}


def dataset_identity(config: Config, name: str) -> Config:
    """Return all that decides a data set's content: its own keys, and its source's or, of local files, what they hold.

    Raises InputError where a local file is not there.
    """
    spec = config["datasets"][name]
    source = config["sources"][spec["source"]]
    known = read_schema("config")["$defs"]["dataset"]["properties"]
    spec = {key: value for key, value in spec.items() if key not in OF_METRICS}
    identity = differing(spec, {key: part["default"] for key, part in known.items() if "default" in part})
    if source["kind"] != "local":
        return identity | {"source": source}
    kept = {key: value for key, value in identity.items() if key not in ("source", "format")}
    for key in set(PLACES) & set(spec):
        parts = parts_of(Path(source["path"]), spec[key])
        known = [part_identity(spec, path, ordered="label_file" in spec) for path in parts]
        # One after the other where the lines of one file are the labels of another's, else in any order.
        kept[key] = known[0] if len(known) == 1 else known if "label_file" in spec else sorted(known, key=str)
    return kept


def model_source(config: Config, model: str) -> Config:
    """Return the source of a pretrained model and how it is read: by which family, and whether as sentence pairs."""
    pairs = any(isinstance(config["datasets"][name].get("text"), list) for name in used_datasets(config))
    read = {"pairs": pairs or None, "family": config.get("family")}
    return config["sources"][model] | {key: value for key, value in read.items() if value}


def model_identity(config: Config, model: str) -> Config:
    """Return all that decides a pretrained model: its source or, of a local one, what its files hold.

    Raises InputError where a local model lacks its config or its weights.
    """
    source = model_source(config, model)
    if source["kind"] != "local":
        return source
    files = {path.name: file_sha256(path) for path in local_model_files(source)}
    return files | {key: value for key, value in source.items() if key in ("pairs", "family")}


def local_model_files(source: Config) -> list[Path]:
    """Return a local model's files that decide what is made of it; raise InputError where it lacks one it needs."""
    folder = Path(source["path"])
    for name in MODEL_FILES:
        if not is_file(folder / name):
            raise InputError(
                f"config: sources, the local model {folder}"[:300],
                found=f"no {name} that can be read",
                allowed=f"a folder with {' and '.join(MODEL_FILES)}",
                remedy="Correct `path`; to convert another format, use transformers' save_pretrained.",
            )
    vocabulary = any(is_file(folder / name) for name in VOCABULARIES)
    names = (*MODEL_FILES, *TOKENIZER_FILES, *(() if vocabulary else SENTENCEPIECE))
    return [folder / name for name in names if is_file(folder / name)]


def cards_identity(cards: Config) -> list[list[str]]:
    """Return what the user's own files of model cards hold: of a folder by their names in it, of a CSV its content."""
    names = {path: str(path.relative_to(cards["folder"])) if "folder" in cards else "" for path in local_cards(cards)}
    return [[name, file_sha256(path)] for path, name in names.items()]


def runs_identity(config: Config) -> str:
    """Return what the user's own file of runs holds, by its content."""
    return file_sha256(Path(config["runs"]["file"]))


def local_cards(cards: Config) -> list[Path]:
    """Return the user's own files that hold model cards; of cards on the Hub none."""
    if "facts" in cards:
        return [Path(cards["facts"])]
    return card_files(cards["folder"]) if "folder" in cards else []


def used_datasets(config: Config) -> list[str]:
    """Return the data sets that runs or the baseline are trained on."""
    names = dict.fromkeys([*config["sweep"]["datasets"], config["baseline"].get("dataset")])
    return [name for name in names if name]


@dataclass(frozen=True)
class Identities:
    """What decides the results of a study's parts; of a part whose files cannot be read, None."""

    models: dict[str, Config | None]  # by the names of their sources
    datasets: dict[str, Config | None]  # by name, of those that runs or the baseline are trained on


def read_identities(config: Config) -> tuple[Identities, list[InputError]]:
    """Return the identities of a study's models and data, each made once, and which files cannot be read."""
    problems: list[InputError] = []

    def attempt(identity: Callable[..., Config], *of: Any) -> Config | None:
        try:
            return identity(config, *of)
        except InputError as error:
            problems.append(error)
            return None

    datasets = {name: attempt(dataset_identity, name) for name in used_datasets(config)}
    models = {name: attempt(model_identity, name) for name in model_names(config)}
    return Identities(models, datasets), [*problems, *twin_problems(models)]


def baseline_identity(config: Config, known: Identities, model: str) -> Config:
    """Return all that decides the weights of a model's baseline: the source model and, where it is trained, how."""
    identity, baseline = source_identity(config, known, model), config["baseline"]
    if "dataset" in baseline:
        identity["dataset"] = known.datasets[baseline["dataset"]]
        identity |= {"settings": chosen(baseline["settings"]), "seed": baseline["seed"]}
    return identity


def start_identity(config: Config, known: Identities, model: str) -> Config:
    """Return all that decides the weights that every run of a model starts from."""
    return (source_identity if config["sweep"]["start"] == "model" else baseline_identity)(config, known, model)


def source_identity(config: Config, known: Identities, model: str) -> Config:
    """Return all that decides what a training makes of a source model: the model, and what its head's classes are."""
    return {"model": known.models[model]} | ({"head": config["head"]} if "head" in config else {})


def source_ids(config: Config) -> dict[str, str]:
    """Return the id of each source that is fetched."""
    fetched = {name: source for name, source in config["sources"].items() if source["kind"] != "local"}
    return {name: f"{name}-{digest(source)}" for name, source in fetched.items()}


def model_ids(known: Identities) -> dict[str, str]:
    """Return the id of each pretrained model, which is the same whatever the config calls its source."""
    return {name: f"model-{digest(identity)}" for name, identity in known.models.items()}


def digest(identity: Any) -> str:
    """Return eight hexadecimal digits of the SHA-256 of a value's canonical JSON and the version of ids."""
    canonical = json.dumps([VERSION, identity], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def require_planned(identity: Any, planned: str, *files: str) -> None:
    """Raise InputError unless an identity is the one that an id, which ends in its digest, was made from."""
    if digest(identity) != planned.rpartition("-")[2]:
        raise InputError(
            ", ".join(map(str, files)),
            found="content that changed after this study was planned",
            allowed="files that do not change while jobs read them",
            remedy="Start Snakemake again: it plans the study from the present files.",
        )
