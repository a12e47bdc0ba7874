"""Fetch a pinned package with pip and unpack it; nothing of it is installed.

pip is run with its user's own settings (index, proxy, certificates). It reads the metadata of an sdist by that sdist's
build script, but only after the hash is found right.
"""

from __future__ import annotations

import lzma
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from enum import StrEnum
from pathlib import Path
from typing import Any

from finevar.errors import InputError
from finevar.files import sha256_of
from finevar.jobs.log import LOGGER, MACHINE_ERRORS
from finevar.study.consistency import cut, listed

Source = dict[str, Any]


class Problem(StrEnum):
    """What keeps pip from a package."""

    NO_PIP = "no_pip"
    MISMATCH = "mismatch"  # only files with other hashes
    UNREACHED = "unreached"
    NO_VERSION = "no_version"
    OTHER = "other"


# pip has no exit status or report for a download that failed; these are its words, in its output or its log.
VERSIONS = re.compile(r"Could not find a version that satisfies .* \(from versions: (.*)\)")
GOT = re.compile(r"Got +([0-9a-f]{64})")
UNREACHED = re.compile(r"Could not fetch URL (\S+): (?!404)(.+?)(?: - skipping)?$", re.MULTILINE)
BROKEN = re.compile(r"Max retries exceeded|connection broken|Read timed out|Connection (?:refused|reset|aborted)")
ERROR = re.compile(r"ERROR: (.*)")
MEANINGS = {  # the first whose words occur
    Problem.MISMATCH: (re.compile(r"DO NOT MATCH THE HASHES"),),
    Problem.UNREACHED: (UNREACHED, BROKEN),
    Problem.NO_VERSION: (re.compile(r"No matching distribution found"),),
}

# What Python's readers of archives raise on damage, on a password, on a name that no file can have, on circular links.
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError)
UNPACKABLE = (*DAMAGE, OSError, ValueError, OverflowError, LookupError, RuntimeError)


def source_name(source: Source) -> str:
    """Name a source for people."""
    names = {"package": "package", "hub": "repo", "local": "path"}
    return f"source {source[names[source['kind']]]}"


def fetch_package(source: Source, scratch: Path) -> Path:
    """Download and unpack a package; return the folder of its contents."""
    where = source_name(source)
    file = download_package(source, scratch)
    check_sha256(sha256_of(file), source["sha256"], where=where)
    folder = scratch / "package"
    unpack(file, folder, where=where)
    inside = list(folder.iterdir())
    return inside[0] if file.suffix != ".whl" and len(inside) == 1 else folder


def download_package(source: Source, scratch: Path) -> Path:
    """Return the wheel or sdist that has the source's hash, downloaded by pip with its user's own settings."""
    name = source["package"].split("==")[0]
    problem, said = pip_download(source, scratch, [])
    logs = [said]
    if problem == Problem.MISMATCH:
        # An index that states hashes gives the right file at once; one that does not offers a wheel before the sdist.
        again, said = pip_download(source, scratch, ["--no-binary", name])
        if again not in (
            Problem.NO_VERSION,
            Problem.UNREACHED,
        ):  # else there is no sdist, and the wheel's hash is wrong
            problem, logs = again, [*logs, said]
    if problem is not None:
        raise pip_error(source, problem, logs)
    return next((scratch / "download").iterdir())


def pip_download(source: Source, scratch: Path, options: list[str]) -> tuple[Problem | None, str]:
    """Run `pip download` with a required hash; return its problem, if any, and all that it said."""
    requirements, log = scratch / "requirements.txt", scratch / "pip.log"
    requirements.write_text(f"{source['package']} --hash=sha256:{source['sha256']}\n", encoding="utf-8")
    log.unlink(missing_ok=True)
    quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--log", str(log)]
    target = ["--no-deps", "--dest", str(scratch / "download"), "--requirement", str(requirements)]
    command = [sys.executable, "-m", "pip", "download", *quiet, *target, *options]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    LOGGER.info("pip download %s\n%s", source["package"], result.stdout.rstrip())
    details = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    said = f"{result.stdout}\n{details}"
    if not result.returncode:
        return None, said
    if subprocess.run([sys.executable, "-c", "import pip"], capture_output=True, check=False).returncode:
        return Problem.NO_PIP, said
    found = (problem for problem, words in MEANINGS.items() if any(one.search(said) for one in words))
    return next(found, Problem.OTHER), said


def pip_error(source: Source, problem: Problem, logs: list[str]) -> InputError:
    """Return a problem as an error for people, with what pip's logs say of it."""
    where, log = source_name(source), logs[-1]
    match problem:
        case Problem.MISMATCH:
            return sha256_error(where, ", ".join(sorted(set(GOT.findall("\n".join(logs))))), source["sha256"])
        case Problem.NO_PIP:
            found, allowed = f"no pip in {sys.executable}", "a Python environment with pip"
            remedy = "Run `python -m ensurepip` in it."
        case Problem.UNREACHED:
            unreached = UNREACHED.search(log)
            found = f"no answer from {unreached[1]} ({unreached[2]})" if unreached else "a broken connection"
            allowed = "a package index that answers"
            remedy = "Check the network and pip's settings (`pip config list`, PIP_INDEX_URL, PIP_PROXY); run again."
        case Problem.NO_VERSION:
            versions = VERSIONS.search(log)
            known = "" if versions is None or versions[1] == "none" else f": {versions[1]}"
            found = f"no such {'version' if known else 'package'} on the index"
            allowed = f"a name==version that it has{known}"
            remedy = "Correct `package`, or set pip to an index that has it."
        case Problem.OTHER:
            errors = list(dict.fromkeys(ERROR.findall(log)))
            found = f"pip could not download it ({'; '.join(errors[:3]) or 'no reason given'})"
            allowed, remedy = "a package that `pip download` gets", "The job's log has all that pip said."
    return InputError(where, found=found, allowed=allowed, remedy=remedy)


def archive_member(package: Path, source: Source) -> Path:
    """Return the archive within an unpacked package, its hash checked."""
    file = package / source["archive"]
    if not file.is_file():
        archives = [path.relative_to(package).as_posix() for path in sorted(package.rglob("*")) if is_archive(path)]
        raise InputError(
            f"{source_name(source)}: archive",
            found=f"no file {cut(source['archive'])} in the package",
            allowed=f"an archive within it: {listed(archives) or 'it has none'}",
            remedy="Correct `archive`.",
        )
    if "archive_sha256" in source:
        check_sha256(sha256_of(file), source["archive_sha256"], where=f"{source_name(source)}, {source['archive']}")
    return file


def is_archive(path: Path) -> bool:
    """Say whether a file can be unpacked."""
    try:
        return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))
    except UNPACKABLE:
        return False


def unpack(archive: Path, folder: Path, *, where: str) -> None:
    """Unpack a zip, wheel or tar into a new folder; raise InputError for one that is damaged or reaches outside."""
    folder.mkdir()
    try:
        (unpack_zip if zipfile.is_zipfile(archive) else unpack_tar)(archive, folder, where=where)
    except UNPACKABLE as error:
        if isinstance(error, OSError) and error.errno in MACHINE_ERRORS:
            raise
        reason = str(error).partition("\n")[0].rstrip(":") or type(error).__name__
        raise InputError(
            where,
            found=f"a file that cannot be unpacked ({cut(reason, 200)})",
            allowed="a complete zip, wheel or tar archive",
            remedy="Choose another file.",
        ) from error


def unpack_zip(archive: Path, folder: Path, *, where: str) -> None:
    """Unpack a zip whose members all stay inside the folder."""
    with zipfile.ZipFile(archive) as members:
        for name in members.namelist():
            if not (folder / name).resolve().is_relative_to(folder.resolve()):
                raise outside_error(where, name)
        members.extractall(folder)


def unpack_tar(archive: Path, folder: Path, *, where: str) -> None:
    """Unpack a tar whose members all stay inside the folder; a link becomes a copy of the member that it names.

    By hand, because Python's own filter for this is missing before 3.11.4, and Debian 12 has 3.11.2.
    """
    with tarfile.open(archive) as members:
        for member in members:
            target = folder / member.name
            if not target.resolve().is_relative_to(folder.resolve()):
                raise outside_error(where, member.name)
            try:
                content = members.extractfile(member)
            except KeyError:
                raise outside_error(where, f"{member.name}, a link to {member.linkname}") from None
            if content is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                with content, target.open("wb") as file:
                    shutil.copyfileobj(content, file)


def outside_error(where: str, member: str) -> InputError:
    """Return the error of an archive that would write elsewhere."""
    return InputError(
        where,
        found=f"an archive member that would land outside its folder: {cut(member, 200)}",
        allowed="members inside it",
        remedy="Do not trust this file; choose another.",
    )


def check_sha256(found: str, wanted: str, *, where: str) -> None:
    """Raise InputError unless two hashes are the same."""
    if found != wanted:
        raise sha256_error(where, found, wanted)


def sha256_error(where: str, found: str, wanted: str) -> InputError:
    """Return the error of a file that is not the one pinned."""
    return InputError(
        where,
        found=f"SHA-256 {found}",
        allowed=f"the SHA-256 of the config, {wanted}",
        remedy="This is not the file that the config pins: correct the hash only if you trust the file.",
    )
