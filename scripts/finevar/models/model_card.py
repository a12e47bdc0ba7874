"""A model card as the Hub's own library reads it, however odd its metadata are."""

from __future__ import annotations

import logging
import re

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
