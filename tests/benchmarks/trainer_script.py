"""What finevar is compared with: one fine-tuning and evaluation by Hugging Face's Trainer, as a script of its own.

As a glue script does by default (every sentence padded to 128 tokens, float32, the model saved at the end), or, with
--tuned, as one would set it by hand (batches padded to their longest, bfloat16 where the processor has it, larger
batches for evaluation). Prints the metrics and times as one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LENGTH = 128


def fine_tune(
    model: str, train: str, evaluation: str, settings: dict[str, Any], *, seed: int, tuned: bool
) -> dict[str, float]:
    """Fine-tune and evaluate once; files are CSV with columns text and label."""
    import numpy as np
    import torch
    from datasets import load_dataset
    from sklearn.metrics import f1_score
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(model)
    data = load_dataset("csv", data_files={"train": train, "evaluation": evaluation})
    padding = False if tuned else "max_length"
    data = data.map(
        lambda rows: tokenizer(rows["text"], padding=padding, max_length=LENGTH, truncation=True), batched=True
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            AutoModelForSequenceClassification.from_pretrained(model),
            TrainingArguments(
                output_dir=folder,
                learning_rate=settings["learning_rate"],
                per_device_train_batch_size=settings["batch_size"],
                num_train_epochs=settings["epochs"],
                warmup_steps=settings["warmup"],
                weight_decay=settings["weight_decay"],
                seed=seed,
                bf16=tuned and native_bfloat16(),
                use_cpu=not torch.cuda.is_available(),
                per_device_eval_batch_size=64 if tuned else 8,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=data["train"],
            eval_dataset=data["evaluation"],
            data_collator=DataCollatorWithPadding(tokenizer) if tuned else None,
            compute_metrics=lambda found: {
                "accuracy": float(np.mean(found.predictions.argmax(1) == found.label_ids)),
                "f1": float(f1_score(found.label_ids, found.predictions.argmax(1))),
            },
        )
        began = time.monotonic()
        trainer.train()
        seconds = time.monotonic() - began
        found = trainer.evaluate()
        if not tuned:
            trainer.save_model()
    return {name: found[f"eval_{name}"] for name in ("accuracy", "f1", "loss")} | {"train_seconds": seconds}


def native_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16 natively, as finevar asks it."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
    from finevar.models.machine import CPUINFO, has_bfloat16

    return has_bfloat16(CPUINFO)


def main() -> None:
    """Run once from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", help="JSON: model, train, evaluation, settings, seed, tuned")
    job = json.loads(parser.parse_args().job)
    print("RESULT " + json.dumps(fine_tune(**job)))


if __name__ == "__main__":
    main()
