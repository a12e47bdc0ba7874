"""A model card as the Hub's own library reads it, however odd its metadata are."""

from __future__ import annotations

import logging
import re
from email.parser import HeaderParser
from pathlib import Path

import yaml
from huggingface_hub import ModelCard, ModelCardData

# What is wrong with a card's metadata is returned, not logged.
for _name in ("repocard", "repocard_data"):
    logging.getLogger(f"huggingface_hub.{_name}").setLevel(logging.CRITICAL)


def parse_card(text: str) -> tuple[ModelCardData, str, str | None]:
    """Return a card's metadata, its text, and the kind of error where the metadata cannot be read, else None."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    try:
        card = ModelCard(text, ignore_metadata_errors=True)
        return card.data, card.text, None
    except (ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError, RecursionError) as error:
        body = re.sub(r"\A\s*---\n.*?\n---\s*\n", "", text, count=1, flags=re.DOTALL)
        return ModelCardData(), body, type(error).__name__


def read_licence(folder: Path, package: Path) -> str | None:
    """Return the licence that the card in a folder, or else the metadata of the package it came in, states, or None."""
    readme = folder / "README.md"
    stated = [parse_card(lenient_text(readme))[0].get("license")] if readme.is_file() else []
    for path in sorted(
        found for place in ("*.dist-info/METADATA", "PKG-INFO", "*/PKG-INFO") for found in package.glob(place)
    ):
        about = HeaderParser().parsestr(lenient_text(path))
        stated += [about["License-Expression"], about["License"]]
    licence = next(filter(None, stated), None)
    if isinstance(licence, list):
        return ", ".join(map(str, licence))
    return licence and str(licence).splitlines()[0].strip()


def lenient_text(path: Path) -> str:
    """Return a file's text, whatever bytes are in it."""
    return path.read_text(encoding="utf-8", errors="replace")
