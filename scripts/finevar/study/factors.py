"""What is known of a training setting beyond the config's schema: its words, and how it behaves as a factor.

A setting without an entry goes by its name: `clip_norm` is "clip norm", and no more needs to be said of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finevar.study.seed_parts import Seed, seed_tag


@dataclass(frozen=True)
class Setting:
    """A setting's words, and what it is as a factor."""

    words: str
    unit: str = ""  # what it counts
    shares: bool = False  # whether a level below 1 is a share of what it counts
    one: str = ""  # what a step of 1 is; "" where it is a unit of the setting
    tag: str = ""  # its letters in the readable part of an id
    card_column: str = ""  # of columns.MODEL_CARDS, which states it
    costliest: Callable[[Iterable[float]], float] = max  # of its levels, to time; a low rate, as a high one may diverge
    cubic: bool = False  # whether its cube is a term: only where the response turns over within its range

    def unit_of(self, levels: Sequence[float]) -> str:
        """Return what levels are counted in."""
        return f"share of {self.unit}" if self.shares and max(levels) < 1 else self.unit

    def mixes_units(self, levels: Sequence[float]) -> bool:
        """Say whether some levels are shares and others counts; 0 is both."""
        return self.shares and any(0 < level < 1 for level in levels) and any(level >= 1 for level in levels)


NOTED = {
    "learning_rate": Setting("learning rate", tag="lr", card_column="learning_rate", costliest=min, cubic=True),
    "batch_size": Setting("batch size", unit="sentences a step", tag="bs", card_column="batch_size"),
    "epochs": Setting("epochs", one="epoch", tag="ep", card_column="epochs_asked"),
    "warmup": Setting("warm-up", unit="steps", shares=True),
    "max_length": Setting("maximum length", unit="tokens"),
    "train_examples": Setting("training examples", one="training example"),
    "frozen_layers": Setting("frozen layers", one="frozen layer", costliest=min),
    "beta2": Setting("AdamW's beta2"),
    "method": Setting("method", costliest=min),  # of the alphabet: full
    "reinit_layers": Setting("layers drawn anew", one="layer drawn anew"),
    "lora_rank": Setting("LoRA rank"),
    "lora_scale": Setting("LoRA scale"),
    "lora_layers": Setting("LoRA layers"),
}
CARD_COLUMNS = {name: known.card_column for name, known in NOTED.items() if known.card_column}


def setting(name: str) -> Setting:
    """Return what is known of a setting, or of anything else that has a name."""
    return NOTED.get(name) or Setting(name.replace("_", " "))


def short_name(levels: Mapping[str, Any], seed: Seed | None = None) -> str:
    """Return the readable part of an id, such as lr2e-05-bs16-ep2-seed0; what is null is left out."""
    tags = {known.tag: levels[name] for name, known in NOTED.items() if known.tag}
    parts = [f"{tag}{value:g}" for tag, value in tags.items() if value is not None]
    return "-".join(parts if seed is None else [*parts, seed_tag(seed)])
