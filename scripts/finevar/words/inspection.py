"""Sentences on what a model sees of a data set; facts: of data.inspection."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from finevar.data.inspection import NO_LABEL, cautions
from finevar.reasons import Unseen
from finevar.study.classes import label_key, written_twice
from finevar.study.paths import PARTS
from finevar.words.formatting import counted, joined
from finevar.words.numbers import percent

Facts = Mapping[str, Any]


def share_text(count: float, of: float) -> str:
    """Print a share in per cent, one that is not 0 never as 0."""
    share = count / of if of else 0.0
    return "less than 0.1%" if 0 < share < 0.001 else percent(round(share, 3))


def total(facts: Facts, what: str) -> int:
    """Return a count over all parts."""
    return sum(part[what] for part in facts["parts"].values())


def seen_sentence(name: str, facts: Facts) -> str:
    """Say how many sentences a data set has, how long they are, and how much of them the model does not see."""
    parts = facts["parts"]
    sizes = joined([f"{part['sentences']:,} {PARTS[key]}" for key, part in parts.items()])
    return (
        f"{name}: {sizes} sentences of {len(facts['classes'])} classes, with a median of "
        f"{counted(int(parts['train']['lengths']['median']), 'token')}; cut by max_length: {cut_text(parts.values())}; "
        f"unknown to the tokeniser: {share_text(total(facts, 'unknown'), total(facts, 'tokens'))} of the tokens."
    )


def cut_text(parts: Collection[Facts]) -> str:
    """Print which share of the sentences of some parts each max_length cuts."""
    found, sentences = [part["cut"] for part in parts], sum(part["sentences"] for part in parts)
    return joined(
        [
            f"{share_text(sum(one['sentences'] for one in same), sentences)} at {same[0]['max_length']}"
            for same in zip(*found, strict=True)
        ]
    )


def caution_sentences(name: str, facts: Facts) -> list[str]:
    """Return a sentence for each caution about a data set."""
    return [caution_sentence(name, facts, code, share) for code, share in cautions(facts)]


def caution_sentence(name: str, facts: Facts, code: Unseen, share: float) -> str:
    """Say what a model does not see of a data set, or what its score there does not show, and what to do."""
    found = share_text(share, 1)
    match code:
        case Unseen.UNKNOWN:
            return (
                f"The model cannot read {name}: its tokeniser does not know {found} of the tokens, so that a run can "
                "learn little but which class is common. Use a model whose vocabulary has the script of these texts."
            )
        case Unseen.CUT:
            longest = max(one["max_length"] for one in facts["parts"]["train"]["cut"])
            return (
                f"{found} of the sentences of {name} lose their end, as they are longer than max_length, {longest} "
                "tokens. Raise it, or shorten the texts to what matters."
            )
        case Unseen.UNLABELLED:
            names = joined([repr(name) for name in facts["classes"] if label_key(name) in NO_LABEL])
            return (
                f"{found} of the sentences of {name} are of the class {names}, as programs write a label that is "
                "missing or no number. If it is none, empty these cells: such examples are left out and counted."
            )
        case Unseen.WRITTEN_TWICE:
            names = joined([repr(name) for name in written_twice(facts["classes"])])
            return (
                f"{found} of the sentences of {name} are of the classes {names}, some of which may be one "
                "class in two spellings. If so, write it one way throughout."
            )
    return (
        f"{found} of the evaluation sentences of {name} have the same tokens as a training sentence, once long ones "
        "are cut and what is unknown is replaced: their scores are partly memory."
    )
