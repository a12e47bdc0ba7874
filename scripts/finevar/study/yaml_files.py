"""Read YAML that a person wrote: what is wrong is named with its file and line, and with the way out."""

from __future__ import annotations

import difflib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from finevar.errors import InputError
from finevar.study.consistency import cut, listed
from finevar.study.content import is_file

LARGEST_FILE = 1_000_000  # bytes, far above any study or list of claims
FOLDERS = (Path("config"), Path("config/studies"))  # where studies lie
QUOTE = "Put the whole value in quotation marks"
SPACES = "Indent with spaces alone, as many for all keys of a level"
BEGINS = ("quoted scalar", "flow", "simple key")  # what is named by the line that it begins in
REMEDIES = {  # by a part of what PyYAML says
    "for a second time": "Remove one of the two, or give it another name",
    "quoted scalar": "Close the quotation mark that is opened there",
    "flow": "Close the bracket that is opened there, and separate its items by commas",
    "simple key": "Write `key: value`, with a blank after the colon",
    "mapping values": f"{QUOTE} if it holds a colon and a blank; else mend the indentation, or the line before",
    "'\\t'": f"{SPACES}, not with tabs",
    "cannot start any token": QUOTE,
    "undefined alias": f"{QUOTE}, since a * at its start refers to an anchor",
    "alphabetic or numeric character": f"{QUOTE}, since * and & at its start have a meaning in YAML",
    "constructor": f"{QUOTE}, since a ! at its start names a type",
    "single document": "Remove the line --- that begins a second document",
    "special characters": "Remove the character, which no text editor shows",
    "block": f"{SPACES}, or put the whole value in quotation marks",
}


class Loader(yaml.SafeLoader):
    """PyYAML's, except that a key that stands twice in one mapping is an error instead of the last one's value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping's keys and values."""
        first: dict[Hashable, int] = {}
        for key, _ in node.value:
            name = self.construct_object(key, deep=True) if key.tag != "tag:yaml.org,2002:merge" else None
            if isinstance(name, Hashable) and name is not None:
                if name in first:
                    known = f"key {cut(repr(name))} for a second time; it stands in line {first[name]}, too"
                    raise yaml.constructor.ConstructorError(None, None, known, key.start_mark)
                first[name] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


def load_config(path: Path) -> dict[str, Any]:
    """Return a study's config as it is written; raise InputError where there is none or where it cannot be read."""
    if not is_file(path):
        raise InputError(
            cut(str(path), 300),
            found="a folder" if is_file(path, Path.is_dir) else "no such file",
            allowed=f"a study's config, such as {listed(similar(path))}",
            remedy="Name it, as in: make study CONFIG=config/config.yaml; `make new` writes one for data of your own.",
        )
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(
            cut(str(path), 300),
            found="no content" if content is None else f"a {'list' if isinstance(content, list) else 'text'}",
            allowed="keys with values (study, sources, model, datasets and so on)",
            remedy="Compare it with config/config.yaml; config/README.md has every key.",
        )
    return content


def similar(path: Path) -> list[str]:
    """Return configs whose name resembles a path's, or all of those there are."""
    there = {each.name: str(each) for folder in FOLDERS for each in sorted(folder.glob("*.y*ml"))}
    names = difflib.get_close_matches(path.name, there, cutoff=0.7) or there
    return [there[name] for name in names]


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds; raise InputError where it is too large, no text or no YAML."""
    where = cut(str(path), 300)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"more than {LARGEST_FILE:,} bytes")
        text = path.read_bytes().decode("utf-8-sig")
        return Loader(text).get_single_data()
    except yaml.YAMLError as error:
        raise yaml_error(where, text, error) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        found = f"byte {error.object[error.start]:#04x}, which is not UTF-8"
        where, remedy = f"{where}, line {line}", "Save the file as UTF-8, with the text editor that wrote it."
        raise InputError(where, found=found, allowed="YAML in UTF-8", remedy=remedy) from None
    except (ValueError, RecursionError, OSError) as error:
        found = cut(str(error) if isinstance(error, ValueError) else type(error).__name__, 200)
        raise InputError(where, found=found, allowed="YAML in UTF-8", remedy="Correct the file.") from None


def yaml_error(where: str, text: str, error: yaml.YAMLError) -> InputError:
    """Return what PyYAML says of a file, with the line that it stumbles over."""
    parts = (getattr(error, name, None) or "" for name in ("context", "problem", "reason"))
    context, problem, reason = parts
    lines = [*text.splitlines(), ""]
    number = min(line_of(text, error, context), len(lines) - 1)
    said = f"{context} {problem}{reason}"
    remedy = next((each for part, each in REMEDIES.items() if part in said), "Correct the line")
    return InputError(
        f"{where}, line {number + 1}",
        found=f"`{cut(lines[number].strip(), 100)}` ({cut(problem or reason, 200)})",
        allowed="YAML",
        remedy=f"{remedy}.",
    )


def line_of(text: str, error: yaml.YAMLError, context: str) -> int:
    """Return the number of the line, from 0, that an error belongs to."""
    if isinstance(error, yaml.reader.ReaderError):
        return text.count("\n", 0, error.position)
    names = ["problem_mark", "context_mark"]
    if any(part in context for part in BEGINS):
        names.reverse()
    marks = [mark for name in names if (mark := getattr(error, name, None))]
    return marks[0].line if marks else 0
