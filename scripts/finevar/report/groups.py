"""The parts that a section of a page is made of: a title, sentences with their marks, figures and tables."""

from __future__ import annotations

from collections.abc import Iterable

from finevar.report.kinds import Group, Sentence, Table


def sentence(text: str, verdict: str | None = None) -> Sentence:
    """Return a sentence with the mark of its verdict, or with none."""
    return {"text": text, "verdict": verdict}


def group(
    title: str,
    sentences: Iterable[str | Sentence],
    *,
    figures: Iterable[str] = (),
    tables: Iterable[Table] = (),
    folded: Iterable[Table] = (),
) -> Group:
    """Return a part of a section; empty sentences are left out, and folded tables open on a click."""
    return {
        "title": title,
        "sentences": [sentence(text) if isinstance(text, str) else text for text in sentences if text],
        "figures": list(figures),
        "tables": list(tables),
        "folded": list(folded),
    }
