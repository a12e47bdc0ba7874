"""Files of a source: which there are, and what identifies their content, cached until a file changes.

Dates and places are no part of it, so that a file that is replaced by an older one is seen, and one that is only
touched, moved or copied is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from glob import has_magic
from pathlib import Path
from typing import IO, Any

from finevar.errors import InputError
from finevar.files import sha256_of, write_json
from finevar.study.consistency import as_list, cut
from finevar.study.containers import opened, plain_name
from finevar.study.dialects import Dialect, codec, dialect_of, is_wide, quoting_of
from finevar.study.paths import CONTENT

MEMORY = CONTENT  # a small file for each file that was read; of no other effect than time
SETTLED_SECONDS = 10.0  # a file changed within them may change again at the same date: clocks are coarse and differ
LINES = ("csv", "tsv", "jsonl", "lines")  # formats whose examples are lines, the order of which decides nothing
# Of a checkpoint, all that is read of it but its licence: what must be there, what there may be of a tokenizer, and of
# what holds its vocabulary the first that is there.
MODEL_FILES = ("config.json", "model.safetensors")
VOCABULARIES = ("tokenizer.json", "vocab.txt")
TOKENIZER_FILES = (*VOCABULARIES, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
SENTENCEPIECE = ("sentencepiece.bpe.model", "spiece.model", "spm.model")  # read in want of the vocabularies


def is_file(path: Path, kind: Callable[[Path], bool] = Path.is_file) -> bool:
    """Say whether there is a file, or what `kind` finds; not for a text that is no path, or that one may not follow."""
    try:
        return kind(path)
    except (OSError, ValueError):
        return False


def parts_of(folder: Path, names: str | list[str]) -> list[Path]:
    """Return the files that names and patterns stand for, each once; raise InputError for a pattern of none."""
    found: dict[Path, None] = {}
    for name in as_list(names):
        literal = not has_magic(name) or is_file(folder / name)
        paths = [folder / name] if literal else matches(folder, name)
        if not paths:
            raise InputError(
                cut(str(folder), 200),
                found=f"no file that matches {cut(repr(name))}",
                allowed="a pattern of one file or more (* stands for any characters, ** for any folders)",
                remedy="Correct the pattern, or put the files there.",
            )
        found |= dict.fromkeys(paths)
    return list(found)


def matches(folder: Path, pattern: str) -> list[Path]:
    """Return the files that match a pattern, in order, but for hidden ones; none for what is no pattern."""
    anchor = Path(pattern).anchor
    try:
        found = Path(anchor or folder).glob(pattern.removeprefix(anchor))
        return sorted(path for path in found if is_file(path) and not path.name.startswith("."))
    except (OSError, ValueError, NotImplementedError):
        return []


def label_of(path: Path, label_from: str) -> str:
    """Return the label that a file's name, without its suffix, or its folder gives to all of its texts."""
    return path.parent.name if label_from == "folder" else Path(plain_name(path)).stem


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes; raise InputError where there is no such file."""
    return remembered(Path(path), "bytes", sha256_of)


def part_identity(spec: Mapping[str, Any], path: Path, *, ordered: bool = False) -> list[str]:
    """Return what identifies the examples of a file: their format, what they are and, if from a name, their label.

    ordered: whether the order of its lines says which labels they have.
    """
    dialect = dialect_of(spec, path)
    quoting = dialect.quoting or remembered(path, f"quoting {dialect}", lambda file: quoting_in(file, dialect))
    dialect = replace(dialect, quoting="minimal" if quoting == "minimal" else dialect.quoting)
    form = "quoted tsv" if dialect.form == "tsv" and "quoting" not in spec and quoting == "minimal" else dialect.form
    known = file_sha256(path) if ordered else examples_sha256(path, dialect)
    return [form, known] + ([label_of(path, spec["label_from"])] if "label_from" in spec else [])


def quoting_in(path: Path, dialect: Dialect) -> str:
    """Return how a TSV uses quotation marks; `none` where it is damaged, which its preparation reports."""
    try:
        with opened(path) as file:
            return quoting_of(file.read().decode(codec(dialect), "replace"), dialect.separator)
    except ValueError:
        return "none"


def examples_sha256(path: str | Path, dialect: Dialect) -> str:
    """Return a SHA-256 that two files of examples share where they hold the same ones in any order.

    Of a format or an encoding whose examples are no lines of bytes, that of the whole content.
    """
    return remembered(Path(path), f"examples {dialect}", lambda file: content_sha256(file, dialect))


def content_sha256(path: Path, dialect: Dialect) -> str:
    """Return the SHA-256 of a file's examples, uncompressed; of a damaged file that of its bytes."""
    counted = dialect.quoting != "backslash" and dialect.quote == '"'  # marks, so as to know which lines are one record
    lines = dialect.form in LINES and counted and not is_wide(dialect)
    try:
        with opened(path) as file:
            if dialect.form == "json":
                return array_sha256(file)
            return records_sha256(file, dialect) if lines else hashlib.file_digest(file, "sha256").hexdigest()
    except ValueError:
        return sha256_of(path)


def array_sha256(file: IO[bytes]) -> str:
    """Return a SHA-256 of a JSON array's items whatever their order; raise ValueError where there is none."""
    items = json.load(file)
    if not isinstance(items, list):
        raise ValueError("no array")
    return sum_sha256(hashlib.sha256(json.dumps(item).encode()).digest() for item in items)


def records_sha256(file: IO[bytes], dialect: Dialect) -> str:
    """Return a SHA-256 of a file's records whatever their order; the first stays the first where it is a header."""
    for _ in range(dialect.skip):
        file.readline()
    digests = record_digests(file, quoted=dialect.quoting == "minimal")
    return sum_sha256(digests, first=next(digests, b"") if dialect.header else b"")


def sum_sha256(digests: Iterable[bytes], first: bytes = b"") -> str:
    """Return a SHA-256 of the sum of records' hashes, which stands for the set of them (Bellare and Micciancio 1997).

    So a file of any size is read once, in little memory.
    """
    total = sum(map(int.from_bytes, digests))
    return hashlib.sha256(first + (total % 2**256).to_bytes(32)).hexdigest()


def record_digests(file: IO[bytes], *, quoted: bool) -> Iterator[bytes]:
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
