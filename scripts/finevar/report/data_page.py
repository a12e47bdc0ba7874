"""The data page: what was read and where it went, what the model sees of it, and sentences as the model gets them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finevar.report.data_tables import MOST_CLASSES, alike_sentence, classes_table, lengths_table, rows_table
from finevar.report.environment import ENVIRONMENT
from finevar.study.paths import PARTS
from finevar.words.inspection import caution_sentences, cut_text, share_text, total
from finevar.words.numbers import number

Facts = Mapping[str, Any]


def render_data_page(study: str, model: str, prepared: Mapping[str, Facts], seen: Mapping[str, Facts]) -> str:
    """Return what there is to see of a study's data as one HTML page that loads nothing from elsewhere.

    prepared, seen: by data set, what its preparation and data.inspection found.
    """
    found = {name: dataset(name, prepared[name], facts) for name, facts in seen.items()}
    return ENVIRONMENT.get_template("data.html").render(
        study=study,
        model=model,
        datasets=found,
        cautions=[text for name, facts in seen.items() for text in caution_sentences(name, facts)],
    )


def dataset(name: str, prepared: Facts, facts: Facts) -> dict[str, Any]:
    """Return what the page shows of one data set."""
    classes = classes_table(name, facts)
    shortest = min(one["max_length"] for one in facts["parts"]["train"]["cut"])  # which the sample was cut at
    return {
        "cards": list(cards(facts)),
        "rows": rows_table(name, prepared),
        "classes": classes,
        "many": len(facts["classes"]) > MOST_CLASSES,
        "lengths": lengths_table(name, facts),
        "chart": chart(facts),
        "alike": alike_sentence(facts),
        "pieces": facts.get("unknown_pieces", []),
        "sample": [shown_sentence(row, facts["unknown_token"], shortest) for row in facts.get("sample", [])],
    }


def cards(facts: Facts) -> list[tuple[str, str, str]]:
    """Return the few numbers to see first: what of, the number, and a line."""
    parts = facts["parts"]
    sizes = ", ".join(f"{part['sentences']:,} {PARTS[key]}" for key, part in parts.items())
    counts = parts["train"]["by_class"]
    most = max(range(len(counts)), key=counts.__getitem__)
    lengths = parts["train"]["lengths"]
    unknown = total(facts, "unknown")
    return [
        ("Sentences", f"{total(facts, 'sentences'):,}", sizes),
        ("Commonest class", share_text(counts[most], sum(counts)), f"{facts['classes'][most]}, in training"),
        ("Tokens a sentence", number(lengths["median"], 0), f"median; the longest has {number(lengths['longest'], 0)}"),
        ("Cut by max_length", cut_text(parts.values()), "of the sentences"),
        ("Unknown tokens", share_text(unknown, total(facts, "tokens")), f"{unknown:,}, which the model cannot read"),
    ]


def chart(facts: Facts) -> dict[str, Any]:
    """Return the training sentences' lengths as bars: how high, and whether all of a bar's sentences are cut."""
    train = facts["parts"]["train"]
    found, most = train["histogram"], max(one["max_length"] for one in train["cut"])
    first, width, counts = found["first"], found["width"], found["counts"]
    starts = [first + width * number for number in range(len(counts))]
    spans = [span(start, width) for start in starts]
    if found["open"]:
        spans[-1] = f"{starts[-1]} or more"
    bars = [
        {"high": count / max(counts), "cut": start > most, "words": f"{words} tokens: {count:,}"}
        for start, words, count in zip(starts, spans, counts, strict=True)
    ]
    last = spans[-1] if found["open"] else str(starts[-1] + width - 1)
    return {"bars": bars, "first": first, "last": last, "most": most}


def span(start: int, width: int) -> str:
    """Print a range of lengths."""
    return str(start) if width == 1 else f"{start} to {start + width - 1}"


def shown_sentence(row: Facts, unknown: str | None, max_length: int) -> dict[str, Any]:
    """Return a sentence as the page shows it: its class, its text, its tokens each with its kind, how many more.

    max_length: at which those of the row are cut off; of the tokens that are not shown, too.
    """

    def kind(number: int, token: str) -> str:
        if number in row["lost"]:
            return "lost"
        return "unknown" if token == unknown else ""

    tokens = [{"text": token, "kind": kind(number, token)} for number, token in enumerate(row["tokens"])]
    more, lost = row["count"] - len(tokens), row["count"] - max_length - len(row["lost"])
    return {"label": row["label"], "text": row["text"], "tokens": tokens, "more": more, "lost": max(lost, 0)}
