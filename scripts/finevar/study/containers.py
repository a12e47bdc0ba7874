"""Files as people keep them: compressed, or alone in a zip."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath
from typing import IO

COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}  # by the first bytes of a file
ZIP = b"PK\x03\x04"
SUFFIXES = (".gz", ".bz2", ".xz")
MOST_LAYERS = 3  # of a file that was compressed more than once
# What the standard library raises of a damaged, cut or encrypted one.
DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, NotImplementedError, gzip.BadGzipFile)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file as what it holds, uncompressed; raise ValueError where it is damaged."""
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        try:
            if member := only_member(path):
                file = stack.enter_context(stack.enter_context(zipfile.ZipFile(file)).open(member))
            for _ in range(MOST_LAYERS):
                if opener := opener_of(file):
                    file = stack.enter_context(opener(file))
            yield file
        except DAMAGE as error:
            raise ValueError(f"a compressed file that is damaged or encrypted: {error}") from None


def opener_of(file: IO[bytes]) -> Callable[[IO[bytes]], IO[bytes]] | None:
    """Return what opens a file that is compressed, by its first bytes; None for any other."""
    start = file.read(6)
    file.seek(0)
    return next((each for magic, each in COMPRESSED.items() if start.startswith(magic)), None)


def only_member(path: Path) -> str | None:
    """Return the name of the one file that a zip holds, if it is a zip of one file."""
    names = members(path)
    return names[0] if len(names) == 1 else None


def members(path: Path) -> list[str]:
    """Return the names of a zip's files but for folders and what macOS adds; none of another or a damaged file."""
    try:
        with path.open("rb") as file:
            if file.read(4) != ZIP:
                return []
            with zipfile.ZipFile(file) as archive:
                names = [member.filename for member in archive.infolist() if not member.is_dir()]
    except (OSError, ValueError, *DAMAGE):
        return []
    return [name for name in names if not re.match(r"__MACOSX/|(.*/)?(\.DS_Store$|\._)", name)]


def plain_name(path: Path) -> str:
    """Return the name of what a file holds: its own without a compression's suffix, or that of a zip's one file."""
    inner = PurePath((path.suffix.lower() == ".zip" and only_member(path)) or path.name)
    while inner.suffix.lower() in SUFFIXES:
        inner = inner.with_suffix("")
    return inner.name
