"""Models and sentences at random, of the sizes of the default study: what is timed does not depend on what they say."""

from __future__ import annotations

import numpy as np
import torch

from finevar.data.encoding import Encoded
from finevar.models.distilbert.family import FlatDistilBert
from finevar.models.family import Weights

SIZES = {
    "MiniLM, 22.7 M": FlatDistilBert(30522, 512, 384, 1536, 6, 12, "gelu", 0.1, 0.1, 0.2),
    "DistilBERT-base, 66 M": FlatDistilBert(30522, 512, 768, 3072, 6, 12, "gelu", 0.1, 0.1, 0.2),
}
WORDS = 3000  # that occur in 256 to 512 sentences
# The lengths of the Amazon sentences in tokens, at shares of them.
SHARES = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 1)
LENGTHS = (3, 9, 12, 15, 18, 20, 23, 27, 32, 39, 47, 57, 68, 76, 128)


def random_weights(architecture: FlatDistilBert) -> Weights:
    """Return weights of a model's sizes, of the words that occur alone, as training has them."""
    draw = torch.Generator().manual_seed(0)
    dim, wide = architecture.dim, architecture.hidden_dim
    sizes = {"distilbert.embeddings.word_embeddings.weight": (WORDS, dim)}
    sizes |= {"distilbert.embeddings.position_embeddings.weight": (architecture.positions, dim)}
    for layer in range(architecture.layers):
        name = f"distilbert.transformer.layer.{layer}"
        linear = {f"attention.{part}_lin": (dim, dim) for part in ("q", "k", "v", "out")}
        linear |= {"ffn.lin1": (wide, dim), "ffn.lin2": (dim, wide)}
        for part, shape in linear.items():
            sizes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
        for part in ("sa_layer_norm", "output_layer_norm"):
            sizes |= {f"{name}.{part}.weight": (dim,), f"{name}.{part}.bias": (dim,)}
    sizes |= {"distilbert.embeddings.LayerNorm.weight": (dim,), "distilbert.embeddings.LayerNorm.bias": (dim,)}
    for part, rows in (("pre_classifier", dim), ("classifier", 2)):
        sizes |= {f"{part}.weight": (rows, dim), f"{part}.bias": (rows,)}
    weights = {name: torch.randn(size, generator=draw).mul_(0.02) for name, size in sizes.items()}
    for name, weight in weights.items():
        weight.add_(1.0 if name.lower().endswith(("layernorm.weight", "layer_norm.weight")) else 0.0).requires_grad_()
    return weights


def random_examples(count: int) -> Encoded:
    """Return random sentences as long as those of the default study."""
    draw = np.random.default_rng(0)
    sizes = np.interp(draw.uniform(size=count), SHARES, LENGTHS).astype(int)
    tokens = draw.integers(0, WORDS, sizes.sum()).astype(np.int32)
    return Encoded(tokens, np.concatenate([[0], np.cumsum(sizes)]), draw.integers(0, 2, count))
