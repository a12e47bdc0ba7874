"""What a test may ask of a sentence without holding it to its wording: the numbers in it."""

from __future__ import annotations

import re

NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


def numbers(text: str) -> list[float]:
    """Return the numbers that a text names, in order; digits of a name (F1, B0) are none."""
    return [float(number.replace(",", "")) for number in NUMBER.findall(text.replace("\N{MINUS SIGN}", "-"))]
