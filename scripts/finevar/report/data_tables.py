"""Tables of what a model sees of the data sets, for the pages before the runs and the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from finevar.report.cells import cell, columns, listed, table, whole
from finevar.report.parts import Cell, Row, Section, Table, group
from finevar.report.tables import FACT_WORDS
from finevar.study.paths import PARTS
from finevar.words.formatting import counted, sentence_case
from finevar.words.inspection import cut_text, seen_sentence, share_text
from finevar.words.numbers import number

Facts = Mapping[str, Any]

MOST_CLASSES = 12  # in a table that is not folded


def seen_section(data: Facts) -> Section:
    """Return what the model sees of each data set, without the cautions; data: by name, see data.inspection."""
    groups = []
    for name, facts in data.items():
        tables = [lengths_table(name, facts), classes_table(name, facts)]
        groups.append(group("", [seen_sentence(name, facts), alike_sentence(facts)], folded=tables))
    return {"finding": "", "groups": groups}


def rows_table(name: str, prepared: Facts) -> Table:
    """Return a row a count of the preparation, whatever it counted: rows, and their share of those read."""
    shown = [*columns(str, what="What"), ("Rows#", lambda row: counted_cell(row["count"], prepared["read"]))]
    rows = [{"what": what, "count": count} for what, count in counts_of(prepared)]
    return listed(f"Rows of {name}, and their share of those read", rows, shown)


def counts_of(prepared: Facts) -> Iterator[tuple[str, int]]:
    """Yield what a preparation counted, in words, with the counts; those that it has under one name apart."""
    for key, value in prepared.items():
        words = FACT_WORDS.get(key, key.replace("_", " "))
        if isinstance(value, Mapping):
            yield from ((f"{words}: {FACT_WORDS.get(part, part)}", count) for part, count in value.items())
        elif isinstance(value, int):
            yield words, value


def classes_table(name: str, facts: Facts) -> Table:
    """Return a row a class: sentences and share in each part, and among the examples that trainings use."""
    parts = {f"{sentence_case(PARTS[key])}#": part for key, part in facts["parts"].items()}
    sizes = {used_title(used): used for used in facts["used"]}
    rows = [
        [label, *(counted_cell(part["by_class"][k], part["sentences"]) for part in (parts | sizes).values())]
        for k, label in enumerate(facts["classes"])
    ]
    return table(f"Classes of {name}: sentences, and their share of the part", ["Class", *parts, *sizes], rows)


def used_title(used: Facts) -> str:
    """Name the examples that a training uses."""
    return f"Used: {'all' if used['train_examples'] is None else whole(used['train_examples'])}#"


def counted_cell(count: int, of: int) -> Cell:
    """Return a cell with a count and its share."""
    return cell(whole(count), note=share_text(count, of))


def lengths_table(name: str, facts: Facts) -> Table:
    """Return a row a part: sentences, lengths in tokens, what max_length cuts, and what is unknown."""

    def lengths(row: Row) -> Cell:
        found = {key: number(value, 0) for key, value in row["lengths"].items()}
        return cell(found["median"], note=f"{found['p05']} to {found['p95']}; longest {found['longest']}")

    shown = [
        ("Part", lambda row: sentence_case(row["part"])),
        ("Sentences#", lambda row: whole(row["sentences"])),
        ("Tokens: median#", lengths),
        ("Cut by max_length#", lambda row: cut_text([row])),
        ("Unknown tokens#", lambda row: counted_cell(row["unknown"], row["tokens"])),
        ("Sentences with one#", lambda row: counted_cell(row["with_unknown"], row["sentences"])),
    ]
    rows = [part | {"part": PARTS[key]} for key, part in facts["parts"].items()]
    return listed(f"What the model reads of {name}: below the median, from 5 to 95% of the sentences", rows, shown)


def alike_sentence(facts: Facts) -> str:
    """Say how many sentences look the same to the model."""
    alike, parts = facts["alike"], facts["parts"]
    train, evaluation = parts["train"]["sentences"], parts["eval"]["sentences"]
    firsts = ""
    if count := alike.get("first_in_both"):
        shared = f"{counted(count, 'evaluation pair')} ({share_text(count, evaluation)})"
        firsts = f" {shared} have the first text of a training pair, with another second one."
    if not alike["alike"] and not alike["in_both"]:
        return f"No two sentences have the same tokens.{firsts}"
    return (
        f"{counted(alike['alike'], 'training sentence')} ({share_text(alike['alike'], train)}) share their tokens with "
        f"another one, {alike['contradictory']:,} of them with one of another class; "
        f"{counted(alike['in_both'], 'evaluation sentence')} ({share_text(alike['in_both'], evaluation)}) with a "
        f"training sentence.{firsts}"
    )
