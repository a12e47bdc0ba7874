"""The lines of a model card's text: facts as `name: value`, numbers, and texts that are safe to print."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

LONGEST_NAME, LONGEST_LINE = 120, 2_000
FACT = re.compile(r"(?:(?:[-*+]|\d{1,3}[.)]) )?[*`_]*([A-Za-z][\w .@/()-]{0,60}?) ?[*`]* ?[:=] ?[*`]* ?(\S.*)")
ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+.!|~<>-])")
# Behind a comma three digits may be thousands, unless 0 stands before it.
DECIMAL_COMMA = re.compile(r"([+-]?(?:0|\d{1,18}(?=,(?!\d{3}(?!\d))))),(\d{1,30}(?:[eE][+-]?\d{1,3})?)")
FENCES = ("```", "~~~")
SEVERAL = re.compile(r"[,;] (?=[A-Za-z][\w ]{0,40}[:=])")  # between facts of one line
BARE_RULE = re.compile(r"\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)+")
VALUES = ("value", "values", "setting")  # heads of the column that has a table's facts
NUMBER = re.compile(r"[+-]?(?:\d{1,18}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,3})?")
HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")


def fact_of(line: str) -> tuple[str, str] | None:
    """Return name and value of a line `name: value`, in a list or not, bold or in backticks or neither."""
    match = FACT.fullmatch(" ".join(ESCAPED.sub(r"\1", line[:LONGEST_LINE]).split()))
    return (match[1], match[2]) if match else None


def facts_of(line: str) -> list[tuple[str, str]]:
    """Return the facts of a line, which are several where all that stands between commas is one."""
    facts = [fact_of(part) for part in SEVERAL.split(line[:LONGEST_LINE])]
    known = [fact for fact in facts if fact]
    return known if len(known) == len(facts) else [fact for fact in [fact_of(line)] if fact]


def sections(body: Sequence[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield each heading in lower case, "" before the first one, with the lines and the blocks of code below it."""
    title, lines, code = "", [], []
    block: list[str] | None = None
    for line in body:
        if line.lstrip().startswith(FENCES):
            code += [] if block is None else ["\n".join(block)]
            block = [] if block is None else None
        elif block is not None:
            block.append(line)
        elif heading := HEADING.match(line):
            yield title, lines, code
            title, lines, code = heading[2].lower(), [], []
        else:
            lines.append(line)
    yield title, lines, code


def outside_code(body: Sequence[str]) -> Iterator[str]:
    """Yield the lines that do not stand in a block of code, where a `#` is a comment and a value an example."""
    fenced = False
    for line in body:
        if line.lstrip().startswith(FENCES):
            fenced = not fenced
        elif not fenced:
            yield line


def cells(line: str) -> list[str]:
    """Return the cells of a line of a table; none where it is no such line."""
    text = line.strip()
    return [cell.strip() for cell in text[1:-1].split("|")] if len(text) > 2 and text[0] == text[-1] == "|" else []


def barred(body: Sequence[str]) -> list[str]:
    """Return a card's lines, those of tables that are written without outer bars with them."""
    lines, inside = list(body), False
    for number, line in enumerate(body):
        if BARE_RULE.fullmatch(line) and number:
            inside = True
            lines[number - 1] = f"| {body[number - 1].strip()} |"
        inside = inside and "|" in line
        if inside:
            lines[number] = f"| {line.strip()} |"
    return lines


def table_pairs(rows: Iterable[Sequence[str]], is_name: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Yield the facts of a table: a row each, or where its head has several names, a column each.

    Several rows of such columns are several trainings. Of a row's columns one is headed as the value, else there are
    two; a value in several columns is given with all of them. is_name: whether a text names what is looked for.
    """
    rows = [row for row in rows if not is_rule(row)]
    if not rows:
        return
    head, rest = rows[0], rows[1:]
    if sum(map(is_name, head)) > 1:
        yield from zip(head, rest[0], strict=False) if len(rest) == 1 else ()
        return
    value = next((place for place, name in enumerate(head) if plain(name).lower() in VALUES), None)
    value = 1 if value is None and len(head) < 3 else value
    for row in rows:
        if value is None and len(row) > 1:
            yield row[0], " | ".join(row[1:])
        elif value is not None and len(row) > max(value, 1):
            yield row[int(value == 0)], row[value]


def is_rule(row: Sequence[str]) -> bool:
    """Say whether a table's row is the rule below its head."""
    return set("".join(row)) <= set(":- ")


def plain(text: str) -> str:
    """Return a text without escapes, emphasis and backticks."""
    return re.sub(r"[*`]", "", ESCAPED.sub(r"\1", text)).strip()


def plain_number(text: str) -> float | None:
    """Return the number that a text is, alone or in bold; a share where it ends with %.

    With a decimal comma, too, but not where it may be one between thousands.
    """
    word = text.strip().strip("*`").strip().rstrip(".,;").strip()
    share = word.removesuffix("%").strip()
    if comma := DECIMAL_COMMA.fullmatch(share):
        word, share = word.replace(",", "."), f"{comma[1]}.{comma[2]}"
    if not NUMBER.fullmatch(share):
        return None
    value = float(share) if share == word else float(Decimal(share).scaleb(-2))
    return value if math.isfinite(value) else None


def from_dictionary(text: str) -> Any:
    """Return a dictionary that is written as Python writes it; the text where it is none."""
    try:
        return ast.literal_eval(text.strip()) if len(text) < 1000 else text
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def texts(value: Any) -> list[str]:
    """Return the texts that a value of the metadata is, alone or in a list; anything else in it is left out."""
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str) and item.strip()]


def short(text: str | None) -> str | None:
    """Return a name without what could not be printed, cut where it is long; None for none."""
    if text is None:
        return None
    words = "".join(letter if letter.isprintable() else " " for letter in text.strip().strip("`*"))
    return words[:LONGEST_NAME].strip() or None


def cut(text: str) -> str:
    """Return a text to quote in a note."""
    words = short(text) or ""
    return words if len(words) <= 60 else f"{words[:57]}..."
