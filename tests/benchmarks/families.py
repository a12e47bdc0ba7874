"""Time training steps of other encoders: python -m tests.benchmarks.families; from the repository's root.

On random sentences as long as those of the default study, for models of MiniLM's size and random weights: batches laid
end to end, padded to the longest, and Hugging Face's Trainer as one would tune it by hand (padded to the longest,
bfloat16 where the processor has it). All cores are busy, with a process of one thread on each: the Trainer, too, which
one process of several threads would slow. Prints real tokens a second of processor time, so that what else the machine
does changes little.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import numpy as np
import torch
from tests.benchmarks.made import LENGTHS, SHARES, WORDS

from finevar import LAYOUT
from finevar.data.encoding import Encoded
from finevar.models.general.family import Encoder
from finevar.models.machine import choose_dtype, set_up
from finevar.models.vocabulary import compact
from finevar.study.config import TRAINING_DEFAULTS
from finevar.training.start import first_state
from finevar.training.steps import Course, FlatSteps

SIZES = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 12}
DEBERTA = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 256, "share_att_key": True}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {"max_position_embeddings": 514},
    "electra": {"embedding_size": 384},
    "albert": {"embedding_size": 128},
    "modernbert": {
        "cls_token_id": 2,
        "sep_token_id": 3,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "max_position_embeddings": 512,
    },
    "deberta-v2": DEBERTA | {"position_biased_input": False, "type_vocab_size": 0},
    "mpnet": {"max_position_embeddings": 514},
}
PADDED = ("deberta-v2", "mpnet")  # attention is not ours to replace
BATCH, STEPS, WARM = 32, 8, 2
SETTINGS = TRAINING_DEFAULTS | {"weight_decay": 0.01}


def main() -> None:
    """Time each family each way."""
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, batch {BATCH}, matrices in {choose_dtype('auto', 'cpu')}, tokens a second of all cores")
    print("| family | flat | padded | Trainer | best over Trainer |\n|---|---|---|---|---|")
    for kind in FAMILIES:
        found = {}
        for way in ("flat", "padded"):
            if way == "padded" or kind not in PADDED:
                with get_context("spawn").Pool(cores) as pool:
                    found[way] = sum(pool.starmap(ours, [(kind, way, seed) for seed in range(cores)], chunksize=1))
        with get_context("spawn").Pool(cores) as pool:
            theirs = sum(pool.starmap(trainer, [(kind, seed) for seed in range(cores)], chunksize=1))
        cells = " | ".join(f"{found[way]:,.0f}" if way in found else "" for way in ("flat", "padded"))
        print(f"| {kind} | {cells} | {theirs:,.0f} | {max(found.values()) / theirs:.2f} |", flush=True)


def config_of(kind: str) -> Any:
    """Return a family's config at MiniLM's size."""
    from transformers import AutoConfig

    return AutoConfig.for_model(kind, **{"vocab_size": 30522, "pad_token_id": 0, **SIZES, **FAMILIES[kind]})


def model_of(kind: str) -> torch.nn.Module:
    """Return a family's model of random weights."""
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(config_of(kind))


def sentences(seed: int) -> Encoded:
    """Return random sentences for all steps."""
    draw, count = np.random.default_rng(seed), BATCH * (WARM + STEPS)
    lengths = np.interp(draw.uniform(size=count), SHARES, LENGTHS).astype(int)
    tokens = draw.integers(5, WORDS, lengths.sum()).astype(np.int32)
    return Encoded(tokens, np.cumsum([0, *lengths]), draw.integers(0, 2, count))


def ours(kind: str, way: str, seed: int) -> float:
    """Return the real tokens that one process of one thread takes in a second of its own."""
    dtype = choose_dtype("auto", set_up(1))
    model, examples = model_of(kind), sentences(seed)
    stated = json.loads(model.config.to_json_string(use_diff=False)) | {LAYOUT: way}
    weights, family, examples, _ = compact(model.state_dict(), Encoder.from_config(stated).with_dropout(0.1), examples)
    course = Course(family, examples, SETTINGS, seed, dtype)
    steps = FlatSteps(course, first_state(weights, course).to("cpu"), 1)
    speeds = []
    for step in range(WARM + STEPS):
        began = time.process_time()
        done = steps.take(range(step * BATCH, (step + 1) * BATCH), 1e-5)
        speeds.append(done.tokens / (time.process_time() - began))
    return statistics.median(speeds[WARM:])


def trainer(kind: str, seed: int) -> float:
    """Return the real tokens a second of one tuned Trainer of one thread."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    torch.set_num_threads(1)
    examples, marks = sentences(seed), []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            marks.append(time.process_time())

        on_train_end = on_step_begin

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        ids = [torch.from_numpy(row["ids"].astype(np.int64)) for row in rows]
        mask = [torch.ones_like(one) for one in ids]
        tokens, mask = (torch.nn.utils.rnn.pad_sequence(part, batch_first=True) for part in (ids, mask))
        return {"input_ids": tokens, "attention_mask": mask, "labels": torch.tensor([row["label"] for row in rows])}

    rows = [{"ids": examples.sentence(n, 128), "label": int(examples.labels[n])} for n in range(len(examples))]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=1e-5, report_to=[],
            bf16=choose_dtype("auto", "cpu") == torch.bfloat16, use_cpu=True, save_strategy="no", disable_tqdm=True,
            remove_unused_columns=False, logging_strategy="no",
        )  # fmt: skip
        Trainer(model_of(kind), arguments, train_dataset=rows, data_collator=collate, callbacks=[Clock()]).train()
    return len(examples.tokens) / len(examples) * BATCH / statistics.median(np.diff(marks)[WARM:])


if __name__ == "__main__":
    main()
