"""Where model cards come from: the Hugging Face Hub, a folder, or a CSV of facts that somebody read from them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import disable_progress_bars
from pyarrow import csv

from finevar.columns import MODEL_CARDS, STATED
from finevar.data.sources import building
from finevar.errors import InputError
from finevar.files import read_json, write_json
from finevar.found.card_settings import SETTINGS
from finevar.found.cards import LARGEST_CARD, Card, complete, read_card
from finevar.found.methods import FULL, METHODS
from finevar.found.values import Stated, same_row
from finevar.jobs.log import FOUND, LOGGER
from finevar.metrics import ON_CARDS, RESPONSES
from finevar.parquet import write_rows
from finevar.study.consistency import cut, listed
from finevar.study.dialects import stated_separator
from finevar.study.found_config import card_files

INDEX = "index.json"  # of a fetched folder: each model's commit, or why there is no card
MOST_FACTS = 100_000  # rows of a CSV
LARGEST = 1e300  # number in one
NO_CARD = {
    GatedRepoError: "the model is gated",  # a kind of the next one
    RepositoryNotFoundError: "the Hub has no such model, or it is private",
    RevisionNotFoundError: "the model has no such revision",
    EntryNotFoundError: "the model has no card",
    HFValidationError: "that cannot be a model's name",
}


# The Hub --------------------------------------------------------------------------------------------------------------


def fetch_cards(models: Sequence[str], output: Path) -> None:
    """Make the folder output of models' cards, each as owner/name/README.md, and index.json with their commits.

    models: owner/name, or owner/name@revision. Offline, what is in the Hub's cache is taken from there. A model without
    a card is in the index with the reason. Raises InputError where the Hub cannot be reached.
    """
    disable_progress_bars()
    with building(output) as scratch:
        index = {model: fetch_card(model, scratch / "output") for model in models}
        (scratch / "output").mkdir(exist_ok=True)
        write_json(index, scratch / "output" / INDEX)


def fetch_card(model: str, folder: Path) -> dict[str, str]:
    """Put a model's card into a folder and return its commit, or the reason why it has none.

    Raises InputError for a card that is neither on this machine nor can be fetched.
    """
    repo, _, revision = model.partition("@")
    try:
        path = Path(hf_hub_download(repo, "README.md", revision=revision or None))
    except (*NO_CARD, HTTPError, ConnectionError) as error:
        reason = next((reason for kind, reason in NO_CARD.items() if isinstance(error, kind)), None)
        if reason and not isinstance(error, LocalEntryNotFoundError):
            return {"reason": reason}
        raise InputError(
            f"model card of {cut(model)}",
            found="no answer from the Hugging Face Hub, and no copy in its cache",
            allowed="a connection, or a filled cache (HF_HOME)",
            remedy="Fetch on a machine with a connection and copy its cache here, or put the cards into a folder.",
        ) from error
    target = folder / repo / "README.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(path.read_bytes())
    return {"revision": path.parent.name}


# Reading --------------------------------------------------------------------------------------------------------------


def read_cards(place: Mapping[str, Any], fetched: str, output: str | Path) -> None:
    """Write a row (columns.MODEL_CARDS) of each card, and log of each that cannot be used why, in a line.

    place: the config's `cards`. fetched: the folder of those that come from the Hub.
    """
    rows = read_stated(Path(place["facts"])) if "facts" in place else read_folder(Path(place.get("folder", fetched)))
    write_rows([{"data": ""} | row for row in rows], output, MODEL_CARDS)
    for row in rows:
        if row["reason"]:
            LOGGER.info("%s: %s", row["card_id"], row["reason"])
    usable = sum(not row["reason"] for row in rows)
    LOGGER.log(FOUND, "%d model cards read, %d usable.", len(rows), usable)


def read_folder(folder: Path) -> list[Stated]:
    """Return a row (columns.MODEL_CARDS) of each card in a folder, in the order of their names.

    A card that lies as owner/name/README.md is owner/name's; any other .md file is named after itself.
    """
    index = read_json(folder / INDEX) if (folder / INDEX).exists() else {}
    commits = {model.partition("@")[0]: entry["revision"] for model, entry in index.items() if "revision" in entry}
    rows = [read_card(card) for card in cards_in(folder, commits)]
    missing = [{"card_id": model, "reason": entry["reason"]} for model, entry in index.items() if "reason" in entry]
    if not rows and not missing:
        raise InputError(
            str(folder),
            found="no model card",
            allowed="owner/name/README.md, or other .md files",
            remedy="Put cards there, or correct cards.folder.",
        )
    return sorted([*rows, *missing], key=lambda row: row["card_id"])


def cards_in(folder: Path, revisions: Mapping[str, str]) -> Iterator[Card]:
    """Yield the cards in a folder."""
    for path in card_files(folder):
        parts = path.relative_to(folder).with_suffix("").parts
        named = parts[:-1] if parts[-1] == "README" and len(parts) > 1 else parts
        name = "/".join(named)
        with path.open("rb") as file:
            text = file.read(4 * LARGEST_CARD + 4).decode("utf-8", errors="replace")
        owner = named[0] if len(named) > 1 else None
        source = f"https://huggingface.co/{name}" if name in revisions else None
        yield Card(name, text, owner, revisions.get(name), source)


def read_stated(path: Path) -> list[Stated]:
    """Return a row (columns.MODEL_CARDS) of each card that a CSV lists, in its order.

    Raises InputError for unknown or missing columns, values of another type, repeated ids and impossible numbers.
    """
    table = facts_table(path)
    rows = [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, 2):
        where = f"{path}: line {number}"
        if not str(row.get("card_id", "")).strip():
            raise InputError(where, found="no card_id", allowed="an id in each row", remedy="Name the card.")
        if row["card_id"] in seen:
            raise InputError(
                where,
                found=f"{cut(row['card_id'])} as on line {seen[row['card_id']]}",
                allowed="each card once",
                remedy="Remove one of the two.",
            )
        seen[row["card_id"]] = number
        check_numbers(row, where)
        check_method(row, where)
        row["card_sha256"] = hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()
    return [complete({"kind": "other", "headline": headline_of(row)} | row) for row in rows]


def headline_of(row: Stated) -> str | None:
    """Say whether the headline is the last row of the card's table, where that row is known."""
    last = {name: row[f"last_{name}"] for name in ON_CARDS if f"last_{name}" in row}
    if not last:
        return None
    return "last" if same_row({name: row[name] for name in ON_CARDS if name in row}, last) else "no row"


def facts_table(path: Path) -> pa.Table:
    """Return a CSV of facts with the columns' types; empty cells are null, and so is nothing else."""
    with path.open("rb") as file:
        head = file.readline().decode(errors="replace").strip()
    if re.search("[;\t]", head) or stated_separator(head):
        raise InputError(
            str(path),
            found=f"a first line that is none of names between commas: {cut(head)}",
            allowed="a header line, commas between cells and points in numbers",
            remedy="Save it so, without a line above the header.",
        )
    options = csv.ConvertOptions(
        column_types=STATED, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
    )
    try:
        table = csv.read_csv(path, convert_options=options)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise InputError(
            str(path),
            found=cut(str(error), 200),
            allowed="a CSV in UTF-8 with a header line; numbers where a column holds numbers",
            remedy="Correct that cell.",
        ) from error
    unknown = [name for name in table.column_names if name not in STATED]
    lacks = [name for name in ("card_id", "loss") if name not in table.column_names]
    found = [f"unknown columns {listed(unknown)}"] if unknown else []
    found += [f"no column {', '.join(lacks)}"] if lacks else []
    found += ["a column twice"] if len(set(table.column_names)) < len(table.column_names) else []
    found += [] if 0 < len(table) <= MOST_FACTS else [f"{len(table)} rows"]
    if found:
        raise InputError(
            str(path), found="; ".join(found), allowed=", ".join(STATED), remedy="Rename or remove columns."
        )
    return table


def check_numbers(row: Mapping[str, Any], where: str) -> None:
    """Raise InputError for a number that no training and no evaluation can have had."""
    for name, value in row.items():
        metric, setting = RESPONSES.get(name.removeprefix("last_").removeprefix("best_")), SETTINGS.get(name)
        low, high = (setting.least, setting.largest) if setting else metric.bounds if metric else (0.0, LARGEST)
        if isinstance(value, (int, float)) and not low <= value <= min(high, LARGEST):
            kind = "a whole number" if setting and setting.is_whole else "a number"
            raise InputError(
                f"{where}: {name}",
                found=f"{value:g}",
                allowed=f"{kind} from {low:g} to {min(high, LARGEST):g}, or nothing",
                remedy="Correct it, or leave the cell empty.",
            )


def check_method(row: Mapping[str, Any], where: str) -> None:
    """Raise InputError for a method of training that is none of those known."""
    if row.get("method", FULL) not in (FULL, *METHODS):
        raise InputError(
            f"{where}: method",
            found=cut(row["method"]),
            allowed=listed([FULL, *METHODS]),
            remedy="Correct it, or leave the cell empty where all weights were trained as usual.",
        )
