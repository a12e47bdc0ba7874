"""The columns of what runs leave: data, steps, predictions, metrics; and of model cards."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from finevar.metrics import ON_CARDS, RESPONSES, STANDARD_ERRORS
from finevar.study.seed_parts import COLUMNS
from finevar.study.settings import MODEL, SPECS, kind_of

TYPES = {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_()}
Columns = dict[str, pa.DataType]


def of(kind: type, *names: str) -> Columns:
    """Return columns of one type."""
    return dict.fromkeys(names, TYPES[kind])


SETTINGS = {name: TYPES[kind_of(name)] for name in SPECS}
IDS = of(str, "run_id", "point_id", "dataset") | of(int, "seed")
PARTS = of(int, *COLUMNS.values())  # of a run's seed; a sample that is not drawn is seed_parts.FIRST
MEASURED = (
    of(str, "status", "reason")
    | of(float, *RESPONSES, *STANDARD_ERRORS)
    | of(float, "chance")  # the accuracy of answers with the same shares that say nothing of the text
    | of(str, "f1_average", "positive")  # the class that binary F1, precision and recall are of
    | of(int, "positive_label", "classes", "train_examples_used", "eval_examples", "steps", "tokens", "micro_batches")
    | of(float, "train_seconds", "eval_seconds", "train_peak_memory_mb", "eval_peak_memory_mb")
    | of(int, "threads")
    | of(str, "head")  # what the run began with, one of reasons.Head
    | of(str, "architecture", "layout")  # the model's class in transformers; batches: flat or padded
    | of(str, "device", "dtype_used", "python", "torch", "packages", "code", "engine", "model_sha256", "data_sha256")
)
STUDIED = {
    **of(float, *(f"baseline_{name}" for name in (*RESPONSES, "chance"))),
    **of(str, "baseline_head"),
    **of(bool, "is_baseline_point"),
    **of(str, "trajectory_id"),
    "ending": pa.string(),  # of a missing run's last attempt, one of the codes of endings; null for the others
}
# A model card as it was found: what it states of a training and its evaluation. A CSV of facts has these columns, too.
AT_ENDS = of(float, *(f"{place}_{name}" for place in ("last", "best") for name in ON_CARDS))
STATED = {
    **of(str, "card_id", "owner", "revision", "source"),
    "kind": pa.string(),  # what wrote the card: trainer, keras, autotrain or other
    "method": pa.string(),  # of training, one of found.methods; null where nothing says that it was another than usual
    **of(str, "base_model", "task", "dataset", "subset", "split"),
    **of(float, "learning_rate"),
    "train_batch_size": pa.int64(),  # sentences a device works at once
    **of(int, "eval_batch_size", "gradient_accumulation_steps", "num_devices", "total_train_batch_size"),
    **of(float, "epochs_asked"),
    **of(int, "steps_asked"),
    "epochs_run": pa.float64(),  # at the last evaluation of the card's table
    **of(int, "steps_run"),
    "eval_interval": pa.float64(),  # epochs between the last two evaluations
    **of(int, "seed_stated"),
    **of(str, "schedule"),
    **of(float, "warmup_steps", "warmup_ratio"),
    **of(str, "mixed_precision"),
    **of(float, *ON_CARDS),  # the headline
    **of(str, "f1_average"),
    "headline": pa.string(),  # the row of the table that it is: last, best, last and best, another row, no row
    "evaluated": pa.string(),  # where it stands: text or metadata
    **AT_ENDS,
    **of(str, "transformers", "notes"),
}
READ = {
    "batch_size": pa.int64(),  # effective: sentences an optimiser step
    "data": pa.string(),  # data set and part of it, "" where the card names none
    "card_sha256": pa.string(),
    "reason": pa.string(),  # why it states too little to be used
}
JUDGED = {
    "duplicate_of": pa.string(),  # the first card with the same metrics
    "complete": pa.bool_(),  # of the study's task and base models, with every factor and metric
    "set_aside": pa.string(),  # why it is not among the study's runs; null where it is
    "set_aside_code": pa.string(),  # reasons.Aside
    "rare": pa.string(),  # its metrics that too few cards on its data set state, which are left out
}
# What only a study of found models has; its batches and epochs need not be whole.
FOUND = {
    **of(str, "owner", "revision", "source", "kind", "base_model", "task", "subset", "split"),
    **of(int, "train_batch_size", "gradient_accumulation_steps", "total_train_batch_size"),
    **of(float, "epochs_asked", "epochs_run"),
    **of(int, "steps_run", "seed_stated"),
    **of(str, "headline", "evaluated"),
    **AT_ENDS,
    "gate": pa.string(),  # why no p-value may be had from these rows, the same in all; null where it may
}

EXAMPLES = pa.schema(of(str, "example_id", "text") | of(int, "label"))
TRAINING = pa.schema(
    of(int, "step")
    | of(float, "epoch", "learning_rate", "loss", "grad_norm")
    | of(int, "tokens", "micro_batches")
    | of(float, "seconds")
)
EPOCHS = pa.schema(of(int, "epoch") | of(float, "loss", "accuracy", "seconds") | of(str, "reason"))
PREDICTIONS = pa.schema(
    of(str, "example_id") | of(int, "label") | {"logits": pa.list_(pa.float32())} | of(float, "loss")
)
LEARNING_CURVES = pa.schema(
    of(str, "run_id", "dataset") | of(int, "seed") | SETTINGS | of(float, "epoch", "loss", "tokens_per_second")
)
EPOCH_EVALUATIONS = pa.schema(
    of(str, "run_id", "dataset") | of(int, "seed") | SETTINGS | {name: EPOCHS.field(name).type for name in EPOCHS.names}
)
DESIGN = pa.schema(IDS | SETTINGS | PARTS)
# What only a study of several models has: where a run starts, its model's baseline, and whether it has its settings.
MODELS = of(str, MODEL, "baseline_id") | of(bool, "is_own_baseline_point")
METRICS = pa.schema(IDS | SETTINGS | MEASURED)
STUDY_METRICS = pa.schema(IDS | SETTINGS | MEASURED | STUDIED | PARTS)
MODELS_METRICS = pa.schema(IDS | SETTINGS | MEASURED | STUDIED | PARTS | MODELS)
FOUND_METRICS = pa.schema(IDS | SETTINGS | MEASURED | STUDIED | of(float, "epochs") | FOUND)
MODEL_CARDS = pa.schema(STATED | READ)
CARDS = pa.schema(STATED | READ | JUDGED)


def of_models(columns: pa.Schema) -> pa.Schema:
    """Return the columns of a table of runs' settings in a study of several models."""
    return columns.append(pa.field(MODEL, MODELS[MODEL]))


def listed_metrics(factors: Iterable[str]) -> pa.Schema:
    """Return the columns of runs that a file lists: those of runs trained here, its own factors, and its row."""
    known = IDS | SETTINGS | MEASURED | STUDIED | of(float, *factors) | of(int, "line")
    return pa.schema(known)
