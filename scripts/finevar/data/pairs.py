"""Sentence pairs: an example's two texts in one, a line each, since no cleaned text holds a line break."""

from __future__ import annotations

from finevar.study.consistency import cut

BREAK = "\n"
SHOWN = " \N{DOUBLE VERTICAL LINE} "  # between the texts of a pair, where a person reads them in a line


def texts_in(example: str) -> str | tuple[str, str]:
    """Return an example's text, or the two of a pair, as tokenizers take either."""
    first, is_pair, second = example.partition(BREAK)
    return (first, second) if is_pair else example


def shown_text(example: str, most: int) -> str:
    """Return an example to print within a line; of a pair, each text is cut to half of the letters."""
    texts = example.split(BREAK)
    return SHOWN.join(cut(text, most // len(texts)) for text in texts)
