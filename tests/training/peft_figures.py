"""Write tests/training/peft_figures.json: what PEFT and transformers' Trainer make of the tiny encoders with LoRA.

PEFT is no dependency of the tests, as it brings accelerate. To write the figures again, in an environment that has
pyproject.toml's group peft beside requirements.lock:

    PYTHONPATH=scripts:tests:tests/models:tests/training python tests/training/peft_figures.py
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from test_general_training import COUNT, examples_for, start_of
from test_training import OrderedTrainer
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, TrainingArguments

from finevar.models import lora
from finevar.models.tokenization import load_tokenizer
from finevar.training.schedule import epoch_batches

FIGURES = Path(__file__).with_suffix(".json")
RANK, SCALE, SEED, BATCH, LENGTH, EPOCHS = 4, 2.0, 0, 8, 16, 4
KINDS = ("distilbert", "bert", "roberta", "albert", "modernbert", "deberta-v2", "mpnet")
HEADS = {kind: ["pooler", "classifier"] for kind in ("bert", "albert", "deberta-v2")}
HEADS |= {"distilbert": ["pre_classifier", "classifier"], "modernbert": ["head", "classifier"]}


def pattern(shape: Iterable[int]) -> Tensor:
    """Return numbers of a shape that follow no pattern of a weight's own."""
    shape = tuple(shape)
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float64).mul(1.7).cos().reshape(shape)


def summary(tensors: dict[str, Tensor]) -> dict[str, list[float]]:
    """Return two numbers of each tensor that no other is likely to have: its norm, its product with a pattern."""
    wide = {name: tensor.detach().double() for name, tensor in sorted(tensors.items())}
    return {
        name: [short(tensor.norm()), short((tensor * pattern(tensor.shape)).sum())] for name, tensor in wide.items()
    }


def short(number: Tensor) -> float:
    """Return a number with the digits that a figure needs."""
    return float(f"{number:.9g}")


def learned(shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """Return factors as a training may have made them, the second ones no longer zero."""
    made = lora.factors(shapes, rank=RANK, seed=SEED)
    return {
        name: pattern(tensor.shape).float() * 0.1 if name.endswith("B") else tensor for name, tensor in made.items()
    }


def own_name(name: str) -> str:
    """Return the name that a tensor of a model that PEFT has wrapped has without."""
    for part in ("base_model.model.", ".modules_to_save.default", ".default.weight"):
        name = name.replace(part, "")
    return name


def wrapped(kind: str, folder: Path, names: list[str]) -> torch.nn.Module:
    """Return the tiny model with adapters of PEFT beside these matrices."""
    from peft import LoraConfig, get_peft_model

    model = AutoModelForSequenceClassification.from_pretrained(folder / "model")
    layers = [name.removesuffix(".weight") for name in names]
    config = LoraConfig(
        task_type="SEQ_CLS", r=RANK, lora_alpha=SCALE * RANK, lora_dropout=0.0, target_modules=layers,
        modules_to_save=HEADS.get(kind, ["classifier"]),
    )  # fmt: skip
    return get_peft_model(model, config)


def put(model: torch.nn.Module, factors: dict[str, Tensor]) -> None:
    """Give a wrapped model its factors."""
    left = dict(factors)
    for name, parameter in model.named_parameters():
        if own_name(name) in left:
            parameter.data.copy_(left.pop(own_name(name)))
    assert not left, left.keys()


def gradients(model: torch.nn.Module, start: Path) -> tuple[list[list[float]], dict[str, list[float]]]:
    """Return the logits of the first sentences, and figures of the gradients of their mean loss."""
    examples = examples_for(start)
    sentences = [torch.from_numpy(examples.sentence(n, LENGTH).astype(int)) for n in range(BATCH)]
    model.eval()
    logits = torch.cat(
        [model(input_ids=tokens[None], attention_mask=torch.ones_like(tokens)[None]).logits for tokens in sentences]
    )
    F.cross_entropy(logits, torch.from_numpy(examples.labels[:BATCH])).backward()
    found = {own_name(name): parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    model.zero_grad()
    return logits.tolist(), summary(found)


def trained(model: torch.nn.Module, start: Path, folder: Path) -> tuple[list[float], dict[str, list[float]]]:
    """Return the losses of twenty steps of transformers' Trainer, and figures of the merged model's weights."""
    examples = examples_for(start)
    rows = [
        {"input_ids": examples.sentence(n, LENGTH).tolist(), "labels": int(examples.labels[n])} for n in range(COUNT)
    ]
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"), use_cpu=True, learning_rate=5e-3, num_train_epochs=EPOCHS, weight_decay=0.1,
        per_device_train_batch_size=BATCH, warmup_steps=0.1, report_to=[], save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    orders = [[n for batch in epoch_batches(COUNT, BATCH, SEED, epoch) for n in batch] for epoch in range(EPOCHS)]
    collate = DataCollatorWithPadding(load_tokenizer(start))
    trainer = OrderedTrainer(model, arguments, train_dataset=rows, data_collator=collate, orders=orders)
    trainer.train()
    return trainer.losses, summary(model.merge_and_unload().state_dict())


def figures_of(kind: str) -> dict[str, Any]:
    """Return the figures of one kind of encoder; its matrices are those of the layers that PyTorch has as linear."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        start = start_of(kind, folder, rate=0.0)
        plain = AutoModelForSequenceClassification.from_pretrained(folder / "model")
        names = [
            f"{name}.weight" for name, module in plain.base_model.named_modules(prefix=plain.base_model_prefix)
            if isinstance(module, torch.nn.Linear) and ".layer" in name.replace("albert_layer", ".layer")
        ]  # fmt: skip
        weights = plain.state_dict()
        shapes = {name: weights[name].shape for name in names}
        model = wrapped(kind, folder, names)
        put(model, learned(shapes))
        logits, found = gradients(model, start)
        put(model, lora.factors(shapes, rank=RANK, seed=SEED))
        losses, merged = trained(model, start, folder)
        return {"matrices": names, "logits": logits, "gradients": found, "losses": losses, "merged": merged}


if __name__ == "__main__":
    lines = (f'"{kind}": {json.dumps(figures_of(kind))}' for kind in KINDS)
    FIGURES.write_text("{\n" + ",\n".join(lines) + "\n}\n")
