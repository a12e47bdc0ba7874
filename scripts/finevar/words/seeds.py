"""What a study's seeds change, in words, and which of its parts change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from finevar.reasons import Head
from finevar.study.seed_parts import HELD, Seed, combination_count, drawn_parts, is_crossed, varied
from finevar.words.formatting import counted, joined

DECIDED = {
    "order": "the order of the data",
    "init": "the first weights of a new head",
    "dropout": "dropout",
    "sample": "the training examples that are learnt from",
}


def seed_words(seed: Seed) -> str:
    """Name a seed in a sentence."""
    if isinstance(seed, int):
        return f"seed {seed}"
    return f"seeds {', '.join(f'{part} {number}' for part, number in drawn_parts(seed).items())}"


def seeds_text(sweep: Mapping[str, Any]) -> str:
    """Count a study's seeds or, of seeds that are crossed, their combinations."""
    count = combination_count(sweep)
    if not is_crossed(sweep):
        return counted(count, "seed")
    return f"{count} combinations of seeds ({joined([f'{len(own)} of {part}' for part, own in varied(sweep).items()])})"


def seed_sentences(sweep: Mapping[str, Any], metrics: pd.DataFrame) -> list[str]:
    """Say which seeds there are and, where the config says so, what they change."""
    if isinstance(sweep["seeds"], Mapping):
        own = [f"{part} {', '.join(map(str, seeds))}" for part, seeds in varied(sweep).items()]
        return [f"Seeds by part, all combinations of which are run: {'; '.join(own)}."]
    numbers = joined([str(seed) for seed in sorted(metrics["seed"].unique())])
    held = [part for part in HELD if part not in varied(sweep)]
    others = f", and not {joined(held, 'or')}" if held else ""
    said = f"A seed changes {joined([*varied(sweep)])}{others}."
    return [f"Seeds: {numbers}.", *([said] if "vary" in sweep else [])]


def decided_sentence(sweep: Mapping[str, Any], metrics: pd.DataFrame) -> str:
    """Say what a seed decides, and that it is a block."""
    if is_crossed(sweep):
        parts = [what for part, what in DECIDED.items() if part in varied(sweep)]
        return f"Seeds of {joined(parts)} are crossed, and their combinations are the same at every setting."
    decided = [what for part, what in decided_words(metrics).items() if part in varied(sweep)]
    return f"A seed decides {joined(decided) or 'nothing'}, and is the same at every setting, so that seeds are blocks."


def decided_words(metrics: pd.DataFrame) -> dict[str, str]:
    """Say what each part of a seed decides in these runs; init is left out where no run draws weights."""
    drawn = {
        "a new head": not keeps_head(metrics),
        "LoRA": (metrics["method"] == "lora").any(),
        "layers drawn anew": (metrics["reinit_layers"].fillna(0) > 0).any(),
    }
    found = [what for what, is_drawn in drawn.items() if is_drawn]
    first = {"init": f"the first weights of {joined(found)}"} if found else {}
    return {part: what for part, what in (DECIDED | first).items() if part != "init" or found}


def keeps_head(metrics: pd.DataFrame) -> bool:
    """Say whether every run goes on with the head of the model that it starts from."""
    return set(metrics["head"].dropna()) <= {Head.KEPT, Head.REORDERED}


def idle_sentences(
    sweep: Mapping[str, Any], runs: pd.DataFrame, examples: Mapping[str, int], *, keeps_head: bool
) -> Iterator[str]:
    """Say which parts of a seed change nothing, of those that the config names.

    runs: data set and settings of each. examples: training examples of each data set. keeps_head: whether every run
    goes on with the head that it starts from.
    """
    named = varied(sweep) if "vary" in sweep or isinstance(sweep["seeds"], Mapping) else {}
    drawn_anew = (runs["method"] == "lora") | (runs["reinit_layers"].fillna(0) > 0)
    if "init" in named and keeps_head and not drawn_anew.any():
        yield "The seed of init changes nothing: every run keeps the head that it starts from, and draws no weights."
    if "sample" in named:
        whole = runs["train_examples"].fillna(float("inf")) >= runs["dataset"].map(examples)
        for name in runs.loc[whole, "dataset"].unique():
            which = "runs" if whole[runs["dataset"] == name].all() else "some runs"
            yield (
                f"The seed of the sample changes nothing in {which} on {name}, which learn from all of its "
                f"{examples[name]:,} training examples. Lower train_examples to see what another sample would do."
            )
