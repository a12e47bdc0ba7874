"""Add an entry to sweep.additions of a study's file, whose comments and layout stay as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from finevar.errors import InputError
from finevar.files import write_bytes
from finevar.study.consistency import cut
from finevar.study.yaml_files import Loader

BOM = b"\xef\xbb\xbf"


def with_addition(content: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config as it is written with one more entry under sweep.additions."""
    sweep = content["sweep"]
    return {**content, "sweep": {**sweep, "additions": [*sweep.get("additions", []), dict(entry)]}}


def add_entry(path: Path, entry: Mapping[str, Any]) -> None:
    """Write an entry into a file; raise InputError, with what to write by hand, where that cannot be done safely.

    The file is replaced as a whole, once the new text is known to read as the old one with the entry.
    """
    raw = path.read_bytes()
    text = raw.decode("utf-8-sig")
    if path.is_symlink() or path.stat().st_nlink > 1:
        raise by_hand(path, entry, "a link, whose file other studies may use")
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise by_hand(path, entry, "a file, or its folder, that may not be written to")
    new = inserted(text, entry)
    if new is None:
        raise by_hand(path, entry, "`sweep` or `additions` in braces, by an anchor, or otherwise out of the usual")
    write_bytes((BOM if raw.startswith(BOM) else b"") + new.encode(), path)


def inserted(text: str, entry: Mapping[str, Any]) -> str | None:
    """Return a config's text with an entry; None where the text is not laid out so that it can have one."""
    found = value_of(yaml.compose(text, Loader), "sweep")
    if found is None or not is_block(found, yaml.MappingNode):
        return None
    known = value_of(found, "additions")
    if known is not None and not is_block(known, yaml.SequenceNode):
        return None
    column = found.start_mark.column
    lines = entry_lines(entry, column if known is None else known.start_mark.column, is_first=known is None)
    mark = max((leaf.end_mark for leaf in leaves(found if known is None else known)), key=lambda mark: mark.index)
    at = mark.line + (mark.column > 0)
    ending = "\r\n" if "\r\n" in text else "\n"
    before = text.splitlines(keepends=True)
    head = "".join(before[:at])
    head += "" if head.endswith(("\n", "\r")) else ending
    new = head + "".join(line + ending for line in lines) + "".join(before[at:])
    return new if reads_as(new, with_addition(Loader(text).get_single_data(), entry)) else None


def reads_as(text: str, content: Mapping[str, Any]) -> bool:
    """Say whether a text is YAML of this content."""
    try:
        return Loader(text).get_single_data() == content
    except yaml.YAMLError:
        return False


def value_of(node: yaml.Node | None, name: str) -> yaml.Node | None:
    """Return the value of a mapping's own key; None where it has none, or is no mapping."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for key, value in pairs if key.value == name), None)


def is_block(node: yaml.Node, kind: type[yaml.CollectionNode]) -> bool:
    """Say whether a node is a collection of a kind that has lines of its own, and something in it."""
    return isinstance(node, kind) and not node.flow_style and bool(node.value)


def leaves(node: yaml.Node) -> Iterator[yaml.Node]:
    """Yield what a collection's lines end with: its parts that have no lines of their own."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        yield node
        return
    for part in node.value:
        for each in part if isinstance(node, yaml.MappingNode) else (part,):
            yield from leaves(each)


def entry_lines(entry: Mapping[str, Any], column: int, *, is_first: bool) -> list[str]:
    """Return the lines of an entry, indented to a column, below the key where it is the first."""
    text = yaml.safe_dump([dict(entry)], sort_keys=False, default_flow_style=None, allow_unicode=True, width=100)
    key, further = (["additions:"], "  ") if is_first else ([], "")
    return [" " * column + line for line in (*key, *(further + line for line in text.splitlines()))]


def by_hand(path: Path, entry: Mapping[str, Any], found: str) -> InputError:
    """Return the error of a file that cannot be written to, which says what to write."""
    lines = "\n".join(entry_lines(entry, 2, is_first=True))
    return InputError(
        cut(str(path), 300),
        found=found,
        allowed="a file of this study alone, whose sweep has its keys on lines of their own",
        remedy=f"Write this into `sweep` yourself, or only its entry where there is an `additions`:\n{lines}",
    )
