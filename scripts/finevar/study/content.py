"""Local files identified by content: a SHA-256 each, cached until the file changes.

Dates and places are no part of it, so that a file that is replaced by an older one is seen, and one that is only
touched, moved or copied is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from finevar.errors import InputError
from finevar.files import sha256_of, write_json
from finevar.study.paths import CONTENT

MEMORY = CONTENT  # a small file for each file that was read; of no other effect than time
SETTLED_SECONDS = 10.0  # a file changed within them may change again at the same date: clocks are coarse and differ
SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".parquet": "parquet"}
LINES = ("csv", "tsv", "jsonl")  # formats whose examples are lines, the order of which decides nothing
# Of a checkpoint, all that is read of it but its licence: what must be there, and what there may be of a tokenizer.
MODEL_FILES = ("config.json", "model.safetensors")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
)


def format_of(spec: Mapping[str, Any], path: str | Path) -> str | None:
    """Return the format of a data set's file: the stated one or, by its suffix, a known one."""
    return spec.get("format") or SUFFIXES.get(Path(path).suffix.lower())


def is_file(path: Path, kind: Callable[[Path], bool] = Path.is_file) -> bool:
    """Say whether there is a file, or what `kind` finds; not for a text that is no path, or that one may not follow."""
    try:
        return kind(path)
    except (OSError, ValueError):
        return False


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes; raise InputError where there is no such file."""
    return remembered(Path(path), "bytes", sha256_of)


def examples_sha256(path: str | Path, form: str | None, *, header: bool) -> str:
    """Return a SHA-256 that two files of examples share where they hold the same ones in any order.

    form: csv, tsv or jsonl; of any other format, the file's bytes. header: whether the first line names the columns.
    """
    if form not in LINES:
        return file_sha256(path)
    named = header and form != "jsonl"
    kind = f"{form} {'with' if named else 'without'} header"
    return remembered(Path(path), kind, lambda file: records_sha256(file, header=named, quoted=form == "csv"))


def records_sha256(path: Path, *, header: bool, quoted: bool) -> str:
    """Return a SHA-256 of a file's records whatever their order; the first stays the first where it is a header.

    The sum of the records' hashes stands for the set of them (Bellare and Micciancio 1997), so that a file of any size
    is read once, in little memory.
    """
    total, first = 0, b""
    with path.open("rb") as file:
        for number, digest in enumerate(record_digests(file, quoted=quoted)):
            if header and number == 0:
                first = digest
            else:
                total += int.from_bytes(digest)
    return hashlib.sha256(first + (total % 2**256).to_bytes(32)).hexdigest()


def record_digests(file: BinaryIO, *, quoted: bool) -> Iterator[bytes]:
    """Yield the SHA-256 of each line but blank ones; quoted: of lines that quotation marks span, as of one."""
    record, size, inside = hashlib.sha256(), 0, False
    for line in file:
        content = line.rstrip(b"\r\n")
        size += len(content.strip(b" "))
        record.update(content + b"\n")
        inside ^= quoted and content.count(b'"') % 2 == 1
        if not inside:
            if size:
                yield record.digest()
            record, size = hashlib.sha256(), 0
    if size:
        yield record.digest()


# Remembering ----------------------------------------------------------------------------------------------------------


def remembered(path: Path, kind: str, compute: Callable[[Path], str]) -> str:
    """Return what `compute` makes of a file, from memory where it is the same file as then: size, inode, both times.

    The second time is that of the file's last change of any sort, which no program can set.
    """
    try:
        stamp = stamp_of(path)
        note = MEMORY / f"{hashlib.sha256(f'{kind} {path.absolute()}'.encode()).hexdigest()[:32]}.json"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(note.read_text(encoding="utf-8"))
            if known["stamp"] == stamp:
                return known["sha256"]
        digest = compute(path)
        settled = time.time() - stamp[3] / 1e9 > SETTLED_SECONDS and stamp_of(path) == stamp
    except (OSError, ValueError) as error:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise InputError(
            str(path)[:300],
            found="no such file" if gone else str(getattr(error, "strerror", None) or error),
            allowed="a readable file; paths are relative to the folder that Snakemake runs in",
            remedy="Correct its path in the config, or put the file there.",
        ) from None
    if settled:
        with contextlib.suppress(OSError):  # a full or read-only disk costs time, not the answer
            note.parent.mkdir(parents=True, exist_ok=True)
            write_json({"path": str(path), "stamp": stamp, "sha256": digest}, note)
    return digest


def stamp_of(path: Path) -> list[int]:
    """Return a file's size, inode, and times of its content's and of its last change in nanoseconds."""
    found = path.stat()
    return [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]
