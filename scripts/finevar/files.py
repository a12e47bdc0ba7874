"""Files between jobs: complete under their final name or absent, and checked for damage when they are read.

A file of our own carries its SHA-256 within itself (a seal), whatever its format; a folder has SHA256SUMS, which the
command sha256sum can check. What a reader finds damaged is quarantined, and Snakemake rebuilds it at its next start.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from finevar.errors import Damage

SEAL = b"sealed-sha256="
BLANK = b"0" * 64
SUMS = "SHA256SUMS"
DAMAGED = ".damaged"


# Writing --------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def appearing(path: str | Path) -> Iterator[Path]:
    """Give a name beside the final one; what was written there is flushed to disk and takes the final name."""
    path = Path(path)
    beside = name_beside(path)
    with naming(path):
        try:
            yield beside
            with beside.open("rb+") as file:
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def name_beside(path: Path) -> Path:
    """Return the name under which this process writes what is to take a final name."""
    return path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}")


def is_abandoned(path: Path) -> bool:
    """Return whether a name is one under which a process of this machine wrote that is gone.

    Where there is no /proc, none is known to be. The command of a process that has ended is empty until its parent, or
    whatever stands for init in a container, has asked for its status.
    """
    name, _, process = path.name.rpartition(".")
    mine = name.startswith(".") and name.endswith(f".{platform.node()}") and process.isdigit()
    try:
        return mine and Path("/proc/self").exists() and not Path("/proc", process, "cmdline").read_bytes()
    except OSError:
        return True


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Let an error of the system name the file: that of a write does not, and safetensors has but a text of it."""
    try:
        yield
    except SafetensorError as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if not number:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
    except OSError as error:
        error.filename = str(path)
        raise


def write_bytes(data: bytes, path: str | Path) -> None:
    """Write a file, complete or not at all."""
    with appearing(path) as beside:
        beside.write_bytes(data)


def write_json(value: Mapping[str, Any], path: str | Path) -> None:
    """Write a JSON object without a seal, for others to read."""
    write_bytes(f"{json.dumps(value, indent=1)}\n".encode(), path)


def write_facts(facts: Mapping[str, Any], path: str | Path) -> None:
    """Write a sealed JSON object."""
    write_bytes(sealed(f"{json.dumps({**facts, 'seal': blank_seal()}, indent=1)}\n".encode()), path)


def write_sums(folder: Path) -> None:
    """Write the SHA-256 of every file of a folder, as sha256sum does."""
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in files_of(folder)]
    write_bytes("".join(lines).encode(), folder / SUMS)


def files_of(folder: Path) -> list[str]:
    """Return the files of a folder in order, but for its sums and for what Snakemake and the Hub's libraries add."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return [name for name in names if name not in (SUMS, ".snakemake_timestamp") and not name.startswith(".cache/")]


def blank_seal() -> str:
    """Return the text that a file is to hold once, for `sealed` to fill in."""
    return (SEAL + BLANK).decode()


def sealed(data: bytes) -> bytes:
    """Return a file's bytes with its blank seal filled in: their own SHA-256, taken with the seal blank."""
    place = seal_place(data)
    return data[:place] + hashlib.sha256(data).hexdigest().encode() + data[place + len(BLANK) :]


def seal_file(path: Path) -> None:
    """Fill in the blank seal of a file, in place: for files too large to hold twice."""
    with path.open("rb+") as file, mmap.mmap(file.fileno(), 0) as data:
        place = seal_place(data)
        data[place : place + len(BLANK)] = hashlib.sha256(data).hexdigest().encode()


def seal_place(data: bytes | mmap.mmap) -> int:
    """Return where a file's seal stands: behind its last mark, as texts before it could hold one, too."""
    return data.rfind(SEAL) + len(SEAL)


# Reading --------------------------------------------------------------------------------------------------------------


def is_sealed(data: bytes | mmap.mmap) -> bool:
    """Return whether a file's bytes are those that were sealed."""
    if (place := seal_place(data)) < len(SEAL):
        return False
    with memoryview(data) as whole:
        found = hashlib.sha256(whole[:place])
        found.update(BLANK)
        found.update(whole[place + len(BLANK) :])
        return found.hexdigest().encode() == bytes(whole[place : place + len(BLANK)])


def is_sealed_file(path: str | Path) -> bool:
    """Return whether a file is as it was sealed."""
    with Path(path).open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return is_sealed(data)


def read_sealed(path: str | Path, *, what: str) -> bytes:
    """Return a sealed file's bytes; raise InputError, and quarantine the file, where it is damaged."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise missing(path, what=what) from None
    if not is_sealed(data):
        raise damaged(path, what=what)
    return data


def read_facts(path: str | Path) -> dict[str, Any]:
    """Read what `write_facts` wrote; raise InputError, and quarantine the file, where it is damaged."""
    facts = json.loads(read_sealed(path, what="a complete JSON file"))
    del facts["seal"]
    return facts


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object without a seal."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def check_sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each of a folder's files; raise InputError, and quarantine it, if one is damaged."""
    what = f"a folder whose files are as {SUMS} has them"
    if not folder.exists():
        raise missing(folder, what=what)
    if wrong := damage_of(folder):
        raise damaged(folder, what=what, found=wrong)
    return read_sums(folder)


def damage_of(folder: Path) -> str | None:
    """Say what is wrong with the files of a folder that has sums, if anything is."""
    try:
        sums = read_sums(folder)
    except FileNotFoundError:
        return f"no {SUMS}"
    except (OSError, ValueError):
        return f"a {SUMS} that is damaged"
    there = set(files_of(folder))
    if there != set(sums):
        odd = sorted(there ^ set(sums))
        return f"other files than {SUMS} lists ({ascii(odd[0])[:100]}{' and more' if len(odd) > 1 else ''})"
    wrong = [name for name, digest in sums.items() if sha256_of(folder / name) != digest]
    return f"a damaged {', '.join(wrong)}" if wrong else None


def read_sums(folder: Path) -> dict[str, str]:
    """Return what SHA256SUMS says of each file; raise ValueError where it cannot be read."""
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    if not sums:
        raise ValueError("no sums")
    return sums


def sha256_of(path: str | Path) -> str:
    """Return a file's SHA-256 in hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(path: Path) -> bool:
    """Return whether a sealed file, or a folder with sums, is as it was written."""
    try:
        return damage_of(path) is None if path.is_dir() else is_sealed_file(path)
    except OSError:
        return False


# Damage ---------------------------------------------------------------------------------------------------------------


def damaged(path: str | Path, *, what: str, found: str = "a file that is damaged") -> Damage:
    """Quarantine a damaged file or folder and return the error that says so."""
    aside = Path(f"{path}{DAMAGED}")
    if aside.is_dir():
        shutil.rmtree(aside)
    with contextlib.suppress(FileNotFoundError):  # another job has found it, too
        Path(path).rename(aside)
    return Damage(
        str(path),
        found=found,
        allowed=what,
        remedy=f"It is now {aside.name}; start Snakemake again, and it is rebuilt, with nothing else redone.",
    )


def missing(path: str | Path, *, what: str) -> Damage:
    """Return the error of a file that was there when the job was planned."""
    return Damage(
        str(path),
        found="nothing, or a file that another job has just quarantined as damaged",
        allowed=what,
        remedy="Start Snakemake again; only what is missing is rebuilt.",
    )
