"""What a model sees of a data set: its tokens, those that it does not know, what is cut off, and what looks alike."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from finevar.data.encoding import Encoded, read_tokenizer
from finevar.data.pairs import BREAK, shown_text, texts_in
from finevar.reasons import Unseen
from finevar.study.classes import label_key, written_twice
from finevar.study.consistency import cut

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNREADABLE = 0.1  # share of unknown tokens from which a model is taken not to read the texts
MUCH_CUT = 0.2  # share of the sentences that lose their end, from which that is a caution
LEAKED = 0.05  # share of the evaluation sentences that look like training sentences, likewise
ANY = 1e-12  # a share above 0
# Names that programs write for no label or a number that is none, "\\N" MySQL; "none" is a class of many data sets.
NO_LABEL = ("nan", "na", "n/a", "#n/a", "<na>", "null", "nat", "\\n", "inf", "-inf", "infinity", "-infinity")
FRAME = 2  # tokens around a text that is no pair
COMMONEST = 10  # unknown pieces that are named
LOOKED_THROUGH = 2_000  # sentences in which these are counted
SAMPLE = 10  # sentences that are shown
LONGEST_TEXT, LONGEST_PIECE, MOST_TOKENS = 300, 40, 60  # of what is shown
QUANTILES = {"shortest": 0.0, "p05": 0.05, "median": 0.5, "p95": 0.95, "longest": 1.0}
BINS = 30  # of lengths, at most
BULK = 0.99  # share of the sentences whose lengths have bins; the others, which may be far longer, are one more

Facts = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A part of a data set: its texts, of pairs as data.pairs has them, and their tokens."""

    texts: Sequence[str]
    encoded: Encoded


def inspect(
    parts: Mapping[str, Part],
    model: Path,
    classes: Sequence[str],
    *,
    max_lengths: Sequence[int],
    train_sizes: Sequence[int | None],
    shown: bool,
) -> Facts:
    """Return what the model sees of a data set, as counts that JSON holds.

    parts: by name, `train` and `eval` among them; one without sentences is left out. max_lengths, train_sizes: those
    that trainings have; None is all examples. shown: whether texts may be.
    """
    tokenizer, known = read_tokenizer(model), {name: part for name, part in parts.items() if len(part.encoded)}
    unknown = unknown_id(model, tokenizer)
    longest = max(max_lengths)
    facts = {
        "classes": list(map(str, classes)),
        "unknown_token": None if unknown is None else tokenizer.id_to_token(unknown),
        "parts": {name: part_facts(part.encoded, unknown, len(classes), max_lengths) for name, part in known.items()},
        "used": [used_facts(parts["train"].encoded, size, len(classes)) for size in train_sizes],
        "alike": alike_facts(parts["train"].encoded, parts["eval"].encoded, longest)
        | first_text_facts(parts["train"].texts, parts["eval"].texts),
    }
    if shown:
        facts["unknown_pieces"] = unknown_pieces(list(known.values()), tokenizer, unknown)
        facts["sample"] = list(sample(parts["train"], tokenizer, classes, min(max_lengths)))
    return facts


def unknown_id(model: Path, tokenizer: Tokenizer) -> int | None:
    """Return the number of the token that stands for what a tokeniser does not know; None where it knows every byte."""
    spec = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    if spec.get("unk_id") is not None:  # of Unigram
        return int(spec["unk_id"])
    return tokenizer.token_to_id(spec["unk_token"]) if spec.get("unk_token") else None


# Counts ---------------------------------------------------------------------------------------------------------------


def part_facts(encoded: Encoded, unknown: int | None, classes: int, max_lengths: Sequence[int]) -> Facts:
    """Return a part's sentences by class, its tokens and those unknown, its lengths, and what each length cuts off.

    Lengths are in tokens with those around and between texts, as max_length counts them; tokens are without.
    """
    lengths, where = np.diff(encoded.offsets), sentences_with(encoded, unknown)
    return {
        "sentences": len(encoded),
        "by_class": counts(encoded.labels, classes),
        "tokens": int((lengths - FRAME).sum() if encoded.pairs is None else encoded.pairs.sum()),
        "unknown": len(where),
        "with_unknown": len(np.unique(where)),
        "lengths": {name: float(np.quantile(lengths, share)) for name, share in QUANTILES.items()},
        "histogram": histogram(lengths),
        "cut": [cut_facts(lengths, length) for length in max_lengths],
    }


def sentences_with(encoded: Encoded, token: int | None) -> np.ndarray:
    """Return the number of the sentence of each place at which a token stands [places]; none of no token."""
    places = np.flatnonzero(np.asarray(encoded.tokens) == (-1 if token is None else token))
    return np.searchsorted(encoded.offsets, places, side="right") - 1


def counts(labels: np.ndarray, classes: int) -> list[int]:
    """Return how many sentences each class has."""
    return np.bincount(labels, minlength=classes).tolist()


def histogram(lengths: np.ndarray) -> Facts:
    """Return how many sentences are of each range of lengths: from the first one on, in ranges of one width.

    open: whether the last range has no end, as it holds the few longest sentences.
    """
    first, last = int(lengths.min()), int(np.quantile(lengths, BULK, method="inverted_cdf"))
    width = -(-(last - first + 1) // BINS)
    beyond = (last - first) // width + 1
    counts = np.bincount(np.minimum((lengths - first) // width, beyond)).tolist()
    return {"first": first, "width": width, "counts": counts, "open": len(counts) > beyond}


def cut_facts(lengths: np.ndarray, max_length: int) -> Facts:
    """Return how many sentences lose their end at a length, and how many tokens are lost."""
    lost = np.maximum(lengths - max_length, 0)
    return {"max_length": max_length, "sentences": int((lost > 0).sum()), "tokens": int(lost.sum())}


def used_facts(train: Encoded, size: int | None, classes: int) -> Facts:
    """Return how many sentences of each class a training of that many examples reads."""
    used = train.head(min(size or len(train), len(train)))
    return {"train_examples": size, "sentences": len(used), "by_class": counts(used.labels, classes)}


def alike_facts(train: Encoded, evaluation: Encoded, max_length: int) -> Facts:
    """Return how many sentences the model cannot tell from others, as their tokens are the same once they are cut.

    alike: training sentences that share theirs with another one; contradictory: of these, those that share them with
    one of another class; in_both: evaluation sentences that share theirs with a training sentence.
    """
    seen = [
        pd.DataFrame({"key": [each.sentence(number, max_length).tobytes() for number in range(len(each))]})
        for each in (train, evaluation)
    ]
    groups = seen[0].assign(label=np.asarray(train.labels)).groupby("key")["label"]
    return {
        "alike": int((groups.transform("size") > 1).sum()),
        "contradictory": int((groups.transform("nunique") > 1).sum()),
        "in_both": int(seen[1]["key"].isin(seen[0]["key"]).sum()),
    }


def first_text_facts(train: Sequence[str], evaluation: Sequence[str]) -> dict[str, int]:
    """Return, of pairs, how many evaluation pairs have the first text of a training pair, as one premise may."""
    firsts = [[text.partition(BREAK)[0] for text in part if BREAK in text] for part in (train, evaluation)]
    known = set(firsts[0])
    return {"first_in_both": sum(first in known for first in firsts[1])} if known else {}


def cautions(facts: Facts) -> Iterator[tuple[Unseen, float]]:
    """Yield what keeps a model from learning of a data set or a score from showing it, with the share that it is of.

    Shares are of tokens, of sentences at the longest max_length, of evaluation sentences, and of all sentences.
    """
    parts = facts["parts"].values()
    sentences = sum(part["sentences"] for part in parts)
    unlabelled = [name for name in facts["classes"] if label_key(name) in NO_LABEL]
    unknown = sum(part["unknown"] for part in parts) / max(sum(part["tokens"] for part in parts), 1)
    cut_off = sum(max(part["cut"], key=lambda one: one["max_length"])["sentences"] for part in parts)
    found = {
        Unseen.UNKNOWN: (unknown, UNREADABLE),
        Unseen.CUT: (cut_off / sentences, MUCH_CUT),
        Unseen.IN_BOTH: (facts["alike"]["in_both"] / facts["parts"]["eval"]["sentences"], LEAKED),
        Unseen.UNLABELLED: (of_classes(facts, unlabelled) / sentences, ANY),
        Unseen.WRITTEN_TWICE: (of_classes(facts, written_twice(facts["classes"])) / sentences, ANY),
    }
    yield from ((code, share) for code, (share, least) in found.items() if share >= least)


def of_classes(facts: Facts, names: Sequence[str]) -> int:
    """Return how many sentences of all parts are of some classes."""
    places = [facts["classes"].index(name) for name in names]
    return sum(part["by_class"][place] for part in facts["parts"].values() for place in places)


# What is shown --------------------------------------------------------------------------------------------------------


def unknown_pieces(parts: Sequence[Part], tokenizer: Tokenizer, unknown: int | None) -> list[tuple[str, int]]:
    """Return the commonest pieces of text that the tokeniser does not know, with how often they occur.

    Counted in the first sentences that hold any, so that it takes no time.
    """
    if unknown is None:
        return []
    numbers = [(part, number) for part in parts for number in np.unique(sentences_with(part.encoded, unknown)).tolist()]
    texts = [part.texts[number] for part, number in numbers[:LOOKED_THROUGH]]
    found = Counter(
        text.split(BREAK)[side][begin:end]
        for text, encoding in zip(texts, tokenizer.encode_batch(list(map(texts_in, texts))), strict=True)
        for token, side, (begin, end) in zip(encoding.ids, encoding.sequence_ids, encoding.offsets, strict=True)
        if token == unknown and side is not None
    )
    return [(cut(piece, LONGEST_PIECE), count) for piece, count in found.most_common(COMMONEST)]


def sample(part: Part, tokenizer: Tokenizer, classes: Sequence[str], max_length: int) -> Iterator[Facts]:
    """Yield some sentences, of each class in turn: label, text, tokens, and the places of those that are cut off.

    Sentences are in the order of their hashes, so that the first are as good as drawn.
    """
    labels = pd.Series(np.asarray(part.encoded.labels))
    turns = pd.DataFrame({"turn": labels.groupby(labels).cumcount(), "label": labels}).sort_values(["turn", "label"])
    for number in turns.index[:SAMPLE]:
        ids = part.encoded.sentence(number, int(part.encoded.offsets[-1])).tolist()
        yield {
            "label": str(classes[labels[number]]),
            "text": shown_text(part.texts[number], LONGEST_TEXT),
            "tokens": [tokenizer.id_to_token(token) for token in ids[:MOST_TOKENS]],
            "count": len(ids),
            "lost": [place for place in part.encoded.lost(number, max_length) if place < MOST_TOKENS],
        }
