"""The family `transformers`: any encoder's own code, for sentences laid end to end or padded to the longest."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from finevar import LAYOUT
from finevar.errors import InputError
from finevar.models.family import Batch, Forward, Pad, Weights
from finevar.models.flat import packing
from finevar.models.general import layouts, skeleton
from finevar.models.lora import adapted_layers, unadapted


@dataclass(frozen=True)
class Encoder:
    """A model of transformers for sequence classification; `family.Family` says what each part does.

    config: its config.json. layout: flat or padded. rate: of dropout in the encoder; None for the checkpoint's own.
    """

    config: str
    layout: str
    padding: int | None
    rate: float | None = None

    @staticmethod
    def convert(folder: Path, output: Path, *, where: str, pairs: bool = False) -> list[str]:
        """Write a checkpoint of any encoder into the folder output; return what was changed.

        pairs: whether it is to read sentence pairs, so that its tokenizer must give the token types that it has.
        """
        from finevar.models.general.conversion import convert_encoder  # imports what no training needs

        return convert_encoder(folder, output, where=where, pairs=pairs)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read the sizes from a converted checkpoint's config.json."""
        family = cls(json.dumps(config), config[LAYOUT], None)
        return replace(family, padding=family.model().own_padding)

    def model(self, device: str = "cpu") -> nn.Module:
        """Return the model's code."""
        return skeleton.skeleton(self.config, flat=self.layout == "flat", rate=self.rate, device=device)

    @property
    def embedding(self) -> str:
        """The name of the word embedding."""
        model = self.model()
        words = model.get_input_embeddings()
        return next(f"{name}.weight" for name, module in model.named_modules() if module is words)

    @property
    def positions(self) -> int:
        """The most tokens of a sentence."""
        model = self.model()
        return model.config.max_position_embeddings - skeleton.first_position(model)

    @property
    def transformers_class(self) -> str:
        """The class of transformers that reads what is saved."""
        return type(self.model()).__name__

    @property
    def typed(self) -> bool:
        """Whether the model tells the two texts of a pair apart by token types."""
        model = self.model()
        return skeleton.takes(model, "token_type_ids") and getattr(model.config, "type_vocab_size", 0) > 1

    def with_dropout(self, rate: float) -> Self:
        """Return the family with this rate of dropout in the encoder."""
        if rate and not skeleton.rates(json.loads(self.config)):
            raise InputError(
                "setting dropout",
                found=str(rate),
                allowed=f"0 alone: {self.transformers_class} has no dropout",
                remedy="Set `dropout: 0` in `training` and in the baseline's settings.",
            )
        return replace(self, rate=rate)

    def blocks(self) -> list[str]:
        """Return what the weights' names begin with, from input to output; of layers that share weights none."""
        name, count = skeleton.layers(self.model())
        # The module of the model that embeds: ELECTRA's projection of the embeddings begins with its name, too.
        return [".".join(self.embedding.split(".")[:2]), *(f"{name}.{layer}." for layer in range(count))]

    def linear(self) -> list[str]:
        """Return the names of the layers' matrices; layers that share weights have them once."""
        return skeleton.linear(self.model())

    def head(self, classes: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the head's weights by name."""
        return skeleton.head_shapes(self.model(), classes)

    def batch(self, sentences: Sequence[np.ndarray], seconds: Sequence[int] | None = None) -> Batch:
        """Lay sentences end to end, or pad them to the longest."""
        types = seconds if self.typed else None
        if self.layout == "padded":
            return layouts.padded(sentences, types)
        return packing.collate(sentences, types, heads=self.model().config.num_attention_heads)

    def padder(self, sentences: int, length: int, device: torch.device) -> Pad:
        """Return what lays out so many sentences that are padded to a length."""
        if self.layout == "flat":
            heads = self.model().config.num_attention_heads
            return packing.padder(sentences, length, heads=heads, device=device, typed=self.typed)
        return lambda tokens, lengths, seconds: layouts.pad(tokens, lengths, seconds if self.typed else None)

    def forward(self, weights: Weights, dtype: torch.dtype) -> Forward:
        """Return the model as a function; autocast chooses what is multiplied in the type."""
        device = weights[self.embedding].device
        model = self.model(str(device))
        lowered = functools.partial(torch.autocast, device.type, dtype, enabled=dtype != torch.float32)
        own, adapted = unadapted(weights), adapted_layers(weights, dtype)

        def logits(batch: Any, masks: torch.Generator | None) -> Tensor:
            model.train(masks is not None)
            model.get_input_embeddings().padding_idx = self.padding  # its row among those of the words that occur
            with ExitStack() as stack:
                stack.enter_context(lowered())
                if adapted:
                    stack.enter_context(layouts.AdaptedLayers(adapted))
                if masks is not None:
                    stack.enter_context(layouts.DrawnDropout(masks))
                if self.layout == "flat":
                    stack.enter_context(layouts.flying(batch, masks))
                return torch.func.functional_call(model, own, kwargs=self.arguments(model, batch)).logits.float()

        return logits

    def arguments(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Return what the model's code is called with."""
        if self.layout == "flat":
            tokens, places = batch.tokens[None], batch.positions[None]
            types, mask = batch.types if batch.types is None else batch.types[None], batch.cell_bias[:, 0, 0] == 0
        else:
            tokens, types, mask = batch.tokens, batch.types, batch.mask
            places = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        given = {"input_ids": tokens, "attention_mask": mask.long()}
        if skeleton.takes(model, "token_type_ids"):
            given["token_type_ids"] = torch.zeros_like(tokens) if types is None else types
        if skeleton.takes(model, "position_ids"):
            given["position_ids"] = numbered(tokens, places, skeleton.first_position(model), self.padding)
        return given


def numbered(tokens: Tensor, places: Tensor, first: int, padding: int | None) -> Tensor:
    """Return the numbers of positions, from the tokens' places in their sentences, both [rows, length].

    first: the number of a sentence's first position. Above 0 as in RoBERTa: a padding token in a text does not count,
    and has the number before the first.
    """
    if not first or padding is None:
        return places + first
    real = tokens != padding
    count = real.long().cumsum(1)
    begins = torch.arange(tokens.shape[1], device=tokens.device) - places
    before = count.gather(1, begins) - real.long().gather(1, begins)
    return (count - before) * real + first - 1
