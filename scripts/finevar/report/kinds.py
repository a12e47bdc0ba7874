"""What the pages are made of: tables of cells, and sections of groups of sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from finevar.words.numbers import Row

Tables = Mapping[str, pd.DataFrame]
Labels = Mapping[str, str]  # responses in words
Table = dict[str, Any]
Cell = dict[str, Any]
Show = Callable[[Row], Any]  # what is printed of a row: a text or a cell
Column = tuple[str, Show]  # under its title
Sentence = dict[str, Any]  # text and verdict
Group = dict[str, Any]
Section = dict[str, Any]  # finding and groups
