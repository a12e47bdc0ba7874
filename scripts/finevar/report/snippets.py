"""A setting as people paste it: the study's YAML, and the arguments of transformers' Trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from finevar.study.settings import MODEL, TRAINING_DEFAULTS, of_training
from finevar.words.numbers import is_missing, level

ARGUMENTS = {  # of transformers.TrainingArguments, by setting
    "learning_rate": "learning_rate",
    "batch_size": "per_device_train_batch_size",
    "epochs": "num_train_epochs",
    "weight_decay": "weight_decay",
    "schedule": "lr_scheduler_type",
    "clip_norm": "max_grad_norm",
    "label_smoothing": "label_smoothing_factor",
    "beta2": "adam_beta2",
}
SELDOM = ("label_smoothing", "beta2")  # said where they are not at their default alone
SCHEDULES = {"constant": "constant_with_warmup"}  # what transformers calls differently


def as_yaml(settings: Mapping[str, Any]) -> str:
    """Return settings as the block `training` of a study's config, below the model that they are for, if it varied."""
    model = {MODEL: settings[MODEL]} if MODEL in settings else {}
    own = {name: shortened(value) for name, value in of_training(settings).items()}
    return yaml.safe_dump(model | {"training": own}, sort_keys=False)


def as_arguments(settings: Mapping[str, Any]) -> str:
    """Return settings as transformers.TrainingArguments, those that it knows."""
    asked = {name for name, value in settings.items() if value != TRAINING_DEFAULTS.get(name)}
    said = [name for name in settings if name in ARGUMENTS and not (name in SELDOM and name not in asked)]
    known = {ARGUMENTS[name]: settings[name] for name in said if not is_missing(settings[name])}
    if "lr_scheduler_type" in known:
        known["lr_scheduler_type"] = SCHEDULES.get(known["lr_scheduler_type"], known["lr_scheduler_type"])
    warmup = settings.get("warmup")
    if not is_missing(warmup):
        known["warmup_ratio" if warmup < 1 else "warmup_steps"] = warmup
    lines = [f"    {name}={written(value)}," for name, value in known.items()]
    for name in ("optimizer", "layer_decay"):
        if name in asked:
            what = f"{name} {settings[name]} as it is here"
            lines.append(f"    # {what} is no argument: give Trainer your own, optimizers=(..., None)")
    if "reinit_layers" in asked:
        lines.append(
            f"    # reinit_layers {settings['reinit_layers']} is none: draw the model's last layers anew before"
        )
    if "method" in asked:
        lines.append(f"    # LoRA is none: give Trainer get_peft_model(model, {lora_config(settings)})")
    return "\n".join(["TrainingArguments(", '    output_dir="finetuned",', *lines, ")"])


def lora_config(settings: Mapping[str, Any]) -> str:
    """Return LoRA's settings as PEFT's configuration."""
    rank, targets = settings["lora_rank"], {"all": '"all-linear"', "attention": "[...]"}[settings["lora_layers"]]
    alpha = written(settings["lora_scale"] * rank)
    return f'LoraConfig(task_type="SEQ_CLS", r={written(rank)}, lora_alpha={alpha}, target_modules={targets})'


def shortened(value: Any) -> Any:
    """Return a number as a whole one where it is."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) >= 1 else value


def written(value: Any) -> str:
    """Write a value as Python reads it."""
    return repr(value) if isinstance(value, str) else level(value).replace(",", "")
