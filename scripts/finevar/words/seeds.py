"""What a study's seeds change, in words, and which of its parts change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from finevar.reasons import Head
from finevar.study.seed_parts import PARTS, Seed, combination_count, is_crossed, varied
from finevar.words.formatting import counted, joined

DECIDED = {
    "order": "the order of the data",
    "init": "the first weights of a new head",
    "dropout": "dropout",
    "sample": "the training examples that are learnt from",
}


def seed_words(seed: Seed) -> str:
    """Name a seed in a sentence."""
    return f"seed {seed}" if isinstance(seed, int) else f"seeds {', '.join(f'{part} {seed[part]}' for part in PARTS)}"


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
    said = f"A seed changes {joined([*varied(sweep)])}, and all else is the same in every run."
    return [f"Seeds: {numbers}.", *([said] if "vary" in sweep else [])]


def decided_sentence(sweep: Mapping[str, Any], metrics: pd.DataFrame) -> str:
    """Say what a seed decides, and that it is a block."""
    decided = [what for part, what in DECIDED.items() if part in varied(sweep)]
    if keeps_head(metrics) and len(decided) > 1:
        decided = [what for what in decided if what != DECIDED["init"]]
    if is_crossed(sweep):
        return f"Seeds of {joined(decided)} are crossed, and their combinations are the same at every setting."
    return f"A seed decides {joined(decided)}, and is the same at every setting, so that seeds are blocks."


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
