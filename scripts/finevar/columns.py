"""The columns of what runs leave: data, steps, predictions, metrics; and of model cards."""

from __future__ import annotations

import pyarrow as pa

from finevar.metrics import ON_CARDS, RESPONSES, STANDARD_ERRORS
from finevar.study.settings import SPECS, kind_of


def schema(**columns: pa.DataType) -> pa.Schema:
    """Return a schema of nullable columns."""
    return pa.schema(list(columns.items()))


TYPES = {int: pa.int64(), float: pa.float64(), str: pa.string()}
SETTINGS = {name: TYPES[kind_of(name)] for name in SPECS}
DESIGN = schema(run_id=pa.string(), point_id=pa.string(), dataset=pa.string(), seed=pa.int64(), **SETTINGS)
EXAMPLES = schema(example_id=pa.string(), text=pa.string(), label=pa.int64())
TRAINING = schema(
    step=pa.int64(),
    epoch=pa.float64(),
    learning_rate=pa.float64(),
    loss=pa.float64(),
    grad_norm=pa.float64(),
    tokens=pa.int64(),
    micro_batches=pa.int64(),
    seconds=pa.float64(),
)
PREDICTIONS = schema(example_id=pa.string(), label=pa.int64(), logits=pa.list_(pa.float32()), loss=pa.float64())
MEASURED = {
    "status": pa.string(),
    "reason": pa.string(),
    **{name: pa.float64() for name in (*RESPONSES, *STANDARD_ERRORS)},
    "f1_average": pa.string(),
    "classes": pa.int64(),
    "train_examples_used": pa.int64(),
    "eval_examples": pa.int64(),
    "steps": pa.int64(),
    "tokens": pa.int64(),
    "micro_batches": pa.int64(),
    "train_seconds": pa.float64(),
    "eval_seconds": pa.float64(),
    "train_peak_memory_mb": pa.float64(),
    "eval_peak_memory_mb": pa.float64(),
    "threads": pa.int64(),
    "device": pa.string(),
    "dtype_used": pa.string(),
    "python": pa.string(),
    "torch": pa.string(),
    "packages": pa.string(),
    "code": pa.string(),
    "engine": pa.string(),
    "model_sha256": pa.string(),
    "data_sha256": pa.string(),
}
METRICS = pa.schema([*DESIGN, *MEASURED.items()])
STUDY_METRICS = pa.schema(
    [
        *METRICS,
        *((f"baseline_{response}", pa.float64()) for response in RESPONSES),
        ("is_baseline_point", pa.bool_()),
        ("trajectory_id", pa.string()),
        (
            "ending",
            pa.string(),
        ),  # of a missing run, a code of endings; of a collapsed one, of reasons.Collapse
    ]
)
# A model card as it was found: what it states of a training and its evaluation. A CSV of facts has these columns, too.
STATED = {
    "card_id": pa.string(),
    "owner": pa.string(),
    "revision": pa.string(),
    "source": pa.string(),
    "kind": pa.string(),  # what wrote the card: trainer, keras, autotrain or other
    "base_model": pa.string(),
    "task": pa.string(),
    "dataset": pa.string(),
    "subset": pa.string(),
    "split": pa.string(),
    "learning_rate": pa.float64(),
    "train_batch_size": pa.int64(),  # sentences a device works at once
    "eval_batch_size": pa.int64(),
    "gradient_accumulation_steps": pa.int64(),
    "num_devices": pa.int64(),
    "total_train_batch_size": pa.int64(),
    "epochs_asked": pa.float64(),
    "steps_asked": pa.int64(),
    "epochs_run": pa.float64(),  # at the last evaluation of the card's table
    "steps_run": pa.int64(),
    "eval_interval": pa.float64(),  # epochs between the last two evaluations
    "seed_stated": pa.int64(),
    "schedule": pa.string(),
    "warmup_steps": pa.float64(),
    "warmup_ratio": pa.float64(),
    "mixed_precision": pa.string(),
    **{name: pa.float64() for name in ON_CARDS},  # the headline
    "f1_average": pa.string(),
    "headline": pa.string(),  # the row of the table that it is: last, best, last and best, another row, no row
    "evaluated": pa.string(),  # where it stands: text or metadata
    **{f"{place}_{name}": pa.float64() for place in ("last", "best") for name in ON_CARDS},
    "transformers": pa.string(),
    "notes": pa.string(),
}
MODEL_CARDS = schema(
    **STATED,
    batch_size=pa.int64(),  # effective: sentences an optimiser step
    data=pa.string(),  # data set and part of it, "" where the card names none
    card_sha256=pa.string(),
    reason=pa.string(),  # why it states too little to be used
)
CARDS = pa.schema(
    [
        *MODEL_CARDS,
        ("duplicate_of", pa.string()),  # the first card with the same metrics
        ("complete", pa.bool_()),  # of the study's task and base models, with every factor and metric
        ("set_aside", pa.string()),  # why it is not among the study's runs; null where it is
        ("set_aside_code", pa.string()),  # reasons.Aside
        ("rare", pa.string()),  # its metrics that too few cards on its data set state, which are left out
    ]
)
# The columns that only a study of found models has; its batches and epochs need not be whole.
FOUND_METRICS = pa.schema(
    [
        *(pa.field(field.name, pa.float64()) if field.name == "epochs" else field for field in STUDY_METRICS),
        *(
            (name, STATED[name])
            for name in (
                "owner",
                "revision",
                "source",
                "kind",
                "base_model",
                "task",
                "subset",
                "split",
                "train_batch_size",
                "gradient_accumulation_steps",
                "total_train_batch_size",
                "epochs_asked",
                "epochs_run",
                "steps_run",
                "seed_stated",
                "headline",
                "evaluated",
            )
        ),
        *((f"{place}_{name}", pa.float64()) for place in ("last", "best") for name in ON_CARDS),
        ("gate", pa.string()),  # why no p-value may be had from these rows, the same in all; null where it may
    ]
)
LEARNING_CURVES = schema(
    run_id=pa.string(),
    dataset=pa.string(),
    seed=pa.int64(),
    **SETTINGS,
    epoch=pa.float64(),
    loss=pa.float64(),
    tokens_per_second=pa.float64(),
)
