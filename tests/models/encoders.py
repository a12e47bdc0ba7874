"""Tiny encoders of random weights, one of each architecture, as transformers saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

import tiny

BERT_LIKE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
ROBERTA_LIKE = BERT_LIKE | {"max_position_embeddings": 65, "type_vocab_size": 1}
DEBERTA = {
    "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16, "share_att_key": True,
    "norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0,
}  # fmt: skip
MODERNBERT = {
    "local_attention": 8,
    "global_attn_every_n_layers": 2,
    "num_hidden_layers": 3,
    "classifier_pooling": "mean",
}
MODERNBERT |= {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
FLAT: dict[str, dict[str, Any]] = {
    "bert": BERT_LIKE,
    "roberta": ROBERTA_LIKE,
    "xlm-roberta": ROBERTA_LIKE,
    "electra": BERT_LIKE | {"embedding_size": 16},
    "albert": BERT_LIKE | {"embedding_size": 16},
    "distilbert": {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4},
    "modernbert": BERT_LIKE | MODERNBERT,
    "nomic_bert": BERT_LIKE,
}
PADDED: dict[str, dict[str, Any]] = {
    "deberta-v2": BERT_LIKE | DEBERTA,
    "mpnet": BERT_LIKE | {"max_position_embeddings": 66},
}
ALL = FLAT | PADDED


def make(kind: str, folder: Path, *, classes: int = 2, rate: float | None = None, **config: Any) -> PreTrainedModel:
    """Write a tiny model of a kind with a tokenizer; return it, in evaluation mode; rate: of all dropout."""
    torch.manual_seed(7)
    sizes = {"vocab_size": tiny.WORDS, "max_position_embeddings": 64, "pad_token_id": 0, "num_labels": classes}
    named = {"id2label": dict(enumerate(tiny.CLASSES))} if classes == len(tiny.CLASSES) else {}
    known = AutoConfig.for_model(kind, **sizes | ALL[kind] | named | config)
    if rate is not None:
        for name in [name for name in known.to_dict() if "dropout" in name]:
            setattr(known, name, rate)
    model = AutoModelForSequenceClassification.from_config(known)
    folder.mkdir(parents=True)
    tiny.save(model, folder)
    return model
