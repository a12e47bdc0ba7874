"""A tiny DistilBERT with random weights and a tiny data set, made on the spot: real formats, seconds to train."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
)

from finevar import files
from finevar.data.encoding import Encoded, save_encoded

GOOD = ["good", "great", "fine", "lovely", "superb"]
BAD = ["bad", "poor", "awful", "dull", "weak"]
NEUTRAL = ["film", "plot", "cast", "the", "a", "was", "with", "and", "story", "music"]
CLASSES = ["negative", "positive"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = len(SPECIAL) + len(GOOD) + len(BAD) + len(NEUTRAL)


def make_tokeniser(folder: Path) -> None:
    """Write a word-level WordPiece tokeniser of the words above."""
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *GOOD, *BAD, *NEUTRAL])}
    tokeniser = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokeniser.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokeniser.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokeniser.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokeniser.save(str(folder / "tokenizer.json"))
    facts = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps(facts))
    files.write_sums(folder)


def make_model(
    folder: Path,
    *,
    layers: int = 2,
    dim: int = 32,
    heads: int = 4,
    classes: int = 2,
    dropout: float = 0.1,
    seed: int = 7,
) -> DistilBertForSequenceClassification:
    """Write a DistilBERT of random weights in Hugging Face's layout; return it."""
    torch.manual_seed(seed)
    config = DistilBertConfig(
        vocab_size=WORDS,
        max_position_embeddings=64,
        dim=dim,
        hidden_dim=2 * dim,
        n_layers=layers,
        n_heads=heads,
        dropout=dropout,
        attention_dropout=dropout,
        seq_classif_dropout=dropout,
        num_labels=classes,
        **({"id2label": dict(enumerate(CLASSES))} if classes == len(CLASSES) else {}),
    )
    model = DistilBertForSequenceClassification(config)
    save(model, folder)
    return model


def make_headless(folder: Path) -> None:
    """Write the encoder alone of such a model, under the names that a pretrained one has."""
    make_model(folder).distilbert.save_pretrained(folder)
    files.write_sums(folder)


def make_bert(folder: Path) -> None:
    """Write a BERT of random weights without a head."""
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=WORDS,
        max_position_embeddings=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
    )
    save(BertModel(config), folder)


def make_bag(folder: Path, *, dim: int = 8) -> None:
    """Write a model with a head of the family in tests/models/bag.py, and random weights."""
    folder.mkdir()
    draw = torch.Generator().manual_seed(0)
    weights = {"bag.weight": torch.randn(WORDS, dim, generator=draw), "top.bias": torch.zeros(2)}
    save_file(weights | {"top.weight": torch.randn(2, dim, generator=draw)}, folder / "model.safetensors")
    config = {"model_type": "bag", "dim": dim, "words": WORDS, "positions": 64, "id2label": dict(enumerate(CLASSES))}
    (folder / "config.json").write_text(json.dumps(config))
    make_tokeniser(folder)


def save(model: PreTrainedModel, folder: Path) -> None:
    """Widen a model's weights and write it with a tokeniser."""
    with torch.no_grad():  # the stock initialisation is nearly symmetric: widen it so that gradients tell layers apart
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model.eval().save_pretrained(folder)
    make_tokeniser(folder)


def make_sentences(count: int, *, seed: int = 0) -> list[tuple[str, str]]:
    """Return (sentence, label) pairs, all different; the label is the majority of good and bad words."""
    draw = random.Random(seed)
    pairs: dict[str, str] = {}
    while len(pairs) < count:
        label = draw.choice(CLASSES)
        words = draw.choices(GOOD if label == "positive" else BAD, k=draw.randint(1, 3))
        words += draw.choices(NEUTRAL, k=draw.randint(1, 9))
        draw.shuffle(words)
        pairs.setdefault(" ".join(words), label)
    return list(pairs.items())


def write_csv(path: Path, pairs: list[tuple[str, str]]) -> None:
    """Write sentences as a CSV file with columns sentence and label."""
    path.write_text("sentence,label\n" + "".join(f"{text},{label}\n" for text, label in pairs), encoding="utf-8")


def training_job(folder: Path, start: Path, examples: Encoded, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a training's job but for its outputs; its examples are saved in the folder."""
    save_encoded(examples, folder / "encoded.safetensors")
    files.write_facts({"classes": CLASSES, "data_sha256": "d"}, folder / "dataset.json")
    places = {"start": start, "train": folder / "encoded.safetensors", "facts": folder / "dataset.json"}
    return {name: str(path) for name, path in places.items()} | {
        "settings": settings, "seed": 0, "threads": 1, "name": "x"
    }  # fmt: skip


def training_outputs(folder: Path) -> dict[str, str]:
    """Return the files that a training's job leaves in a folder."""
    names = {"model": "model", "training": "training.parquet", "summary": "training.json"}
    return {output: str(folder / name) for output, name in names.items()}
