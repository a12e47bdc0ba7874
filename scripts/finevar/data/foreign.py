"""What a file is that holds no text or table that can be read, and the command that makes one of it."""

from __future__ import annotations

import itertools
import json
import shlex
import sys
from pathlib import Path

from finevar.study.containers import ZIP, members, plain_name
from finevar.study.paths import folder_of

UNPACK = {".gz": "gzip -dc", ".bz2": "bzip2 -dc", ".xz": "xz -dc"}
NO_DATA = "Give a file of texts and labels."
SAVE = "Save it as CSV in UTF-8"
IN_IT = "and name the file in it."
KINDS = {  # by the first bytes: what a file is, and how to go on; {} is the file
    b"PAR1": ("a Parquet file", "Give `format: parquet`."),
    b"(\xb5/\xfd": ("a file compressed by zstd", "Run: zstd -d {}, and name what it writes."),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", f"Run: 7z x {{}}, {IN_IT}"),
    b"Rar!": ("a RAR archive", f"Run: unrar x {{}}, {IN_IT}"),
    b"\xd0\xcf\x11\xe0": ("an old Office file, such as an Excel workbook", f"{SAVE}."),
    b"SQLite format 3": ("an SQLite database", "Export its table: sqlite3 -header -csv {} 'SELECT * FROM its_name'."),
    b"version https://git-lfs": ("a pointer that Git LFS left in place of the file", "Run in its clone: git lfs pull"),
    b"\x80\x04\x95": ("a pickle, which is never opened", "Write it as Parquet or CSV where it was made."),
    b"%PDF": ("a PDF", NO_DATA),
    b"PK\x05\x06": ("an empty zip", NO_DATA),
    b"\x89PNG": ("an image", NO_DATA),
    b"\xff\xd8\xff": ("an image", NO_DATA),
}


class Otherwise(ValueError):
    """Content that another key of the config reads."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.remedy = remedy


def foreign(path: Path, content: bytes) -> tuple[str, str] | None:
    """Return what a file is and how to go on, where its content, uncompressed, shows that it is no text."""
    kind, remedy = next((kind for magic, kind in KINDS.items() if content.startswith(magic)), ("", ""))
    if content.startswith(ZIP):
        kind, remedy = zipped(path)
    elif content.startswith(b"ARROW1"):
        kind, remedy = "an Arrow file", f"Run: {by_pandas(path, 'read_feather')}"
    elif content[257:262] == b"ustar":
        kind, remedy = "a tar archive", f"Run: tar -xf {{}}, {IN_IT}"
    elif content[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        kind, remedy = "a web page", "Download the file itself, on GitHub by the button `Raw`."
    return (kind, remedy.replace("{}", shlex.quote(str(path)))) if kind else None


def zipped(path: Path) -> tuple[str, str]:
    """Return what a zip of several files, or of none, is."""
    names = members(path)
    if any(name.startswith("xl/") for name in names):
        command = by_pandas(path, "read_excel", ", dtype=str, keep_default_na=False")
        return "an Excel workbook", f"{SAVE}, or run: {sys.executable} -m pip install openpyxl && {command}"
    if any(name.startswith("word/") for name in names):
        return "a Word document", f"{SAVE}."
    if "content.xml" in names:
        return "an OpenDocument file", f"{SAVE}."
    if not names:
        return (
            "a zip without files, or one within another compressed file",
            "Unpack the outer one, or give another file.",
        )
    return f"a zip archive of {len(names)} files", "Run: unzip {}, and name the files in it."


def by_pandas(path: Path, reader: str, options: str = "") -> str:
    """Return the command that makes a CSV of a file with pandas, and what to do then."""
    new = converted(path, ".csv")
    old, made = json.dumps(str(path)), json.dumps(str(new))
    code = f"import pandas; pandas.{reader}({old}{options}).to_csv({made}, index=False)"
    return f"{sys.executable} -c {shlex.quote(code)}, and name {new} in the config."


def converted(path: Path, suffix: str) -> Path:
    """Return a name for what a file is converted to: beside it or, if that was fetched, in the present folder."""
    new = Path(plain_name(path)).with_suffix(suffix)
    new = new if folder_of("source") in path.parents else path.with_name(new.name)
    return new.with_stem(f"{new.stem}-converted") if new == path else new


def rewritten(path: Path, command: str, suffix: str = "") -> str:
    """Return what passes a file, uncompressed, through a command into another, and what to do then."""
    new = converted(path, suffix or f".utf8{Path(plain_name(path)).suffix}")
    layers = itertools.takewhile(UNPACK.__contains__, map(str.lower, reversed(path.suffixes)))
    first, *others = [*(UNPACK[suffix] for suffix in layers), command]
    through = f"{first} < {shlex.quote(str(path))}"
    if path.suffix.lower() == ".zip":
        through, others = f"unzip -p {shlex.quote(str(path))}", [command]
    return f"{' | '.join([through, *others])} > {shlex.quote(str(new))}, and name that file in the config."
