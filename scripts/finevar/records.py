"""Every Parquet file's columns, and how one is written (complete or not at all) and read (checked)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from finevar import scores
from finevar.files import blank_seal, damaged, read_sealed, sealed, write_bytes

RESPONSES = tuple(scores.RESPONSES)
LOWER_IS_BETTER = frozenset(name for name, response in scores.RESPONSES.items() if response.lower_is_better)
SECONDS = "seconds"  # of training a run


def towards(metric: str) -> float:
    """Return the sign that makes more of a metric, a response or seconds, better."""
    return -1.0 if metric in LOWER_IS_BETTER or metric == SECONDS else 1.0


def schema(**columns: pa.DataType) -> pa.Schema:
    """Return a schema of nullable columns."""
    return pa.schema(list(columns.items()))


SETTINGS = {
    "learning_rate": pa.float64(),
    "batch_size": pa.int64(),
    "epochs": pa.int64(),
    "warmup": pa.float64(),
    "weight_decay": pa.float64(),
    "dropout": pa.float64(),
    "max_length": pa.int64(),
    "train_examples": pa.int64(),
    "frozen_layers": pa.int64(),
    "schedule": pa.string(),
    "clip_norm": pa.float64(),
    "dtype": pa.string(),
}
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
    **{response: pa.float64() for response in RESPONSES},
    "accuracy_se": pa.float64(),
    "f1_se": pa.float64(),
    "loss_se": pa.float64(),
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
        ("ending", pa.string()),  # of a missing run's last attempt, one of the codes of endings; null for the others
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
    **{name: pa.float64() for name in scores.ON_CARDS},  # the headline
    "f1_average": pa.string(),
    "headline": pa.string(),  # the row of the table that it is: last, best, last and best, another row, no row
    "evaluated": pa.string(),  # where it stands: text or metadata
    **{f"{place}_{name}": pa.float64() for place in ("last", "best") for name in scores.ON_CARDS},
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
        *((f"{place}_{name}", pa.float64()) for place in ("last", "best") for name in scores.ON_CARDS),
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

ESTIMATE = {"estimate": pa.float64(), "std_error": pa.float64()}
INTERVAL = {"ci_low": pa.float64(), "ci_high": pa.float64()}
SIMULTANEOUS = {"simultaneous_low": pa.float64(), "simultaneous_high": pa.float64()}  # hold for all rows at once
TEST = {"p_value": pa.float64(), "reason": pa.string()}  # reason: why there is no p, or no verdict
VERDICT = TEST | {
    "p_adjusted": pa.float64(),
    "family": pa.string(),
    "p_equivalence": pa.float64(),
    "verdict": pa.string(),
}
COEFFICIENTS = schema(
    response=pa.string(),
    framework=pa.string(),
    units=pa.string(),
    term=pa.string(),
    group=pa.string(),
    unit=pa.string(),
    **ESTIMATE,
    df=pa.float64(),
    t_value=pa.float64(),
    **INTERVAL,
    **VERDICT,
)
COVARIANCES = schema(response=pa.string(), term=pa.string(), other=pa.string(), covariance=pa.float64())
EFFECTS = schema(
    response=pa.string(),
    factor=pa.string(),
    from_level=pa.float64(),
    to_level=pa.float64(),
    change=pa.float64(),
    std_error=pa.float64(),
    **INTERVAL,
    per_unit=pa.float64(),
    per_unit_ci_low=pa.float64(),
    per_unit_ci_high=pa.float64(),
    unit=pa.string(),
    smallest_effect=pa.float64(),
    **VERDICT,
)
FITS = schema(
    response=pa.string(),
    framework=pa.string(),
    runs=pa.int64(),
    points=pa.int64(),
    seeds=pa.int64(),
    datasets=pa.int64(),
    parameters=pa.int64(),
    df_residual=pa.float64(),
    r2=pa.float64(),
    r2_adjusted=pa.float64(),
    r2_predicted=pa.float64(),
    residual_sd=pa.float64(),
    pure_error_sd=pa.float64(),
    pure_error_df=pa.float64(),
    test_set_se=pa.float64(),
    smallest_effect=pa.float64(),
    covariance=pa.string(),
    covariance_reason=pa.string(),
    clusters=pa.int64(),
    baseline_value=pa.float64(),
    largest_identity_deviation=pa.float64(),
    diverged=pa.int64(),
    missing=pa.int64(),
    gate=pa.string(),
)
PREDICTED = {"predicted": pa.float64(), "std_error": pa.float64(), **INTERVAL}
PROFILES = schema(response=pa.string(), factor=pa.string(), value=pa.float64(), **PREDICTED)
SURFACE = schema(
    response=pa.string(),
    factor_x=pa.string(),
    value_x=pa.float64(),
    factor_y=pa.string(),
    value_y=pa.float64(),
    held=pa.string(),
    **PREDICTED,
)
LADDER = schema(
    response=pa.string(),
    rung=pa.string(),
    parameters=pa.int64(),
    df=pa.float64(),
    sum_sq=pa.float64(),
    f_value=pa.float64(),
    df_residual=pa.float64(),
    **TEST,
    f_robust=pa.float64(),
    p_robust=pa.float64(),
    r2=pa.float64(),
    r2_adjusted=pa.float64(),
    r2_predicted=pa.float64(),
    press=pa.float64(),
    aicc=pa.float64(),
    chosen=pa.bool_(),
)
CHECKS = schema(
    response=pa.string(),
    check=pa.string(),
    statistic=pa.float64(),
    df_numerator=pa.float64(),
    df_denominator=pa.float64(),
    sum_sq=pa.float64(),
    sum_sq_error=pa.float64(),
    **TEST,
    run_id=pa.string(),
)
INFLUENCE = schema(
    response=pa.string(),
    run_id=pa.string(),
    fitted=pa.float64(),
    residual=pa.float64(),
    leverage=pa.float64(),
    studentised=pa.float64(),
    cook=pa.float64(),
)
SENSITIVITY = schema(
    response=pa.string(),
    term=pa.string(),
    specification=pa.string(),
    **ESTIMATE,
    **TEST,
    p_low=pa.float64(),
    p_high=pa.float64(),
    refits=pa.int64(),
    agrees=pa.bool_(),
)
SLOPES = schema(
    response=pa.string(),
    factor=pa.string(),
    place=pa.string(),
    moderator=pa.string(),
    moderator_level=pa.float64(),
    units=pa.string(),
    unit=pa.string(),
    **ESTIMATE,
    **INTERVAL,
    **TEST,
    p_adjusted=pa.float64(),
    family=pa.string(),
)
INTERPLAY = schema(
    response=pa.string(),
    factor=pa.string(),
    moderator=pa.string(),
    moderator_value=pa.float64(),
    unit=pa.string(),
    **ESTIMATE,
    **INTERVAL,
    sign=pa.string(),
)
JOHNSON_NEYMAN = schema(
    response=pa.string(),
    factor=pa.string(),
    moderator=pa.string(),
    value_low=pa.float64(),
    value_high=pa.float64(),
    sign=pa.string(),
)
OPTIMA = schema(
    response=pa.string(),
    kind=pa.string(),
    inside=pa.bool_(),
    stationary_predicted=pa.float64(),
    std_error=pa.float64(),
    **INTERVAL,
    region_share=pa.float64(),
    region_closed=pa.bool_(),
    reason=pa.string(),
)
OPTIMUM_FACTORS = schema(
    response=pa.string(),
    factor=pa.string(),
    stationary_coded=pa.float64(),
    stationary=pa.float64(),
    region_low=pa.float64(),
    region_high=pa.float64(),
    recommended=pa.float64(),
    rival_low=pa.float64(),
    rival_high=pa.float64(),
)
CANONICAL = schema(
    response=pa.string(), axis=pa.int64(), eigenvalue=pa.float64(), factor=pa.string(), weight=pa.float64()
)
RIDGE = schema(
    response=pa.string(), radius=pa.float64(), factor=pa.string(), coded=pa.float64(), value=pa.float64(), **PREDICTED
)
RECOMMENDATIONS = schema(
    response=pa.string(),
    point_id=pa.string(),
    observed=pa.float64(),
    **PREDICTED,
    candidates=pa.int64(),
    rivals=pa.int64(),
    expected_regret=pa.float64(),
    regret_bound=pa.float64(),
    smallest_effect=pa.float64(),
)
AGAINST_BASELINE = schema(
    response=pa.string(),
    baseline=pa.string(),
    point_id=pa.string(),
    **ESTIMATE,
    **INTERVAL,
    **SIMULTANEOUS,
    reason=pa.string(),
)
MATCHED = schema(
    response=pa.string(),
    analysis=pa.string(),
    residual_sd=pa.float64(),
    **ESTIMATE,
    df=pa.float64(),
    **INTERVAL,
    **TEST,
)
CALIBRATION = schema(
    role=pa.string(),
    run_id=pa.string(),
    dataset=pa.string(),
    point_id=pa.string(),
    seed=pa.int64(),
    loss=pa.float64(),
    refinement=pa.float64(),
    calibration_loss=pa.float64(),
    temperature=pa.float64(),
    accuracy=pa.float64(),
    ece=pa.float64(),
    brier=pa.float64(),
    reason=pa.string(),
)
CALIBRATION_EFFECTS = schema(
    response=pa.string(),
    factor=pa.string(),
    change=pa.float64(),
    std_error=pa.float64(),
    **INTERVAL,
    **TEST,
)
RELIABILITY = schema(
    group=pa.string(),
    dataset=pa.string(),
    point_id=pa.string(),
    bin=pa.int64(),
    confidence_mean=pa.float64(),
    correct_share=pa.float64(),
    **INTERVAL,
    count=pa.int64(),
    models=pa.int64(),
)
PAIRED = schema(
    run_id=pa.string(),
    dataset=pa.string(),
    point_id=pa.string(),
    seed=pa.int64(),
    sentences=pa.int64(),
    gained=pa.int64(),
    lost=pa.int64(),
    p_value=pa.float64(),
    p_adjusted=pa.float64(),
    family=pa.string(),
)
PAIRED_POINTS = schema(
    dataset=pa.string(),
    point_id=pa.string(),
    response=pa.string(),
    sentences=pa.int64(),
    seeds=pa.int64(),
    estimate=pa.float64(),
    **INTERVAL,
    **SIMULTANEOUS,
    probability=pa.float64(),
    probability_low=pa.float64(),
    probability_high=pa.float64(),
    reason=pa.string(),
)


FOUND_GATES = schema(
    gate=pa.string(),
    verdict=pa.string(),  # passed, noted, set aside, or stopped
    cards=pa.int64(),  # looked at
    flagged=pa.int64(),
    finding=pa.string(),
    consequence=pa.string(),
)
POOLING = schema(
    response=pa.string(),
    factor=pa.string(),
    pool=pa.string(),  # which cards
    specification=pa.string(),
    errors=pa.string(),
    cards=pa.int64(),
    datasets=pa.int64(),
    clusters=pa.int64(),
    **ESTIMATE,
    df=pa.float64(),
    **INTERVAL,
    **TEST,
)
BESIDE = schema(
    name=pa.string(),
    response=pa.string(),
    term=pa.string(),
    framework=pa.string(),
    source=pa.string(),
    finding=pa.string(),
    sign=pa.string(),
    p_published=pa.float64(),
    study=pa.string(),
    kind=pa.string(),  # found or designed
    **ESTIMATE,
    **INTERVAL,
    p_value=pa.float64(),
    p_adjusted=pa.float64(),
    from_level=pa.float64(),
    to_level=pa.float64(),
    verdict=pa.string(),
    reason=pa.string(),
)


CLAIMS = schema(
    name=pa.string(),
    response=pa.string(),
    framework=pa.string(),
    term=pa.string(),
    statement=pa.string(),
    source=pa.string(),
    finding=pa.string(),
    sign=pa.string(),
    p_published=pa.float64(),
    **ESTIMATE,
    **INTERVAL,
    **TEST,
    p_adjusted=pa.float64(),
    unit=pa.string(),
    from_level=pa.float64(),
    to_level=pa.float64(),
    smallest_effect=pa.float64(),
    minimum_detectable=pa.float64(),
    found=pa.string(),
    verdict=pa.string(),
)
TUNING_CURVES = schema(
    response=pa.string(),
    dataset=pa.string(),
    draws=pa.int64(),
    expected=pa.float64(),
    **INTERVAL,
    expected_again=pa.float64(),
    settings=pa.int64(),
    runs=pa.int64(),
    method=pa.string(),
    reason=pa.string(),
)
ROBUSTNESS = schema(
    response=pa.string(),
    factor=pa.string(),
    conclusion=pa.string(),
    coding=pa.string(),
    degree=pa.string(),
    covariance=pa.string(),
    scale=pa.string(),
    reported=pa.bool_(),
    estimate=pa.float64(),
    **TEST,
    agrees=pa.bool_(),
)
FAILURES = schema(
    dataset=pa.string(),
    factor=pa.string(),
    level=pa.float64(),
    runs=pa.int64(),
    diverged=pa.int64(),
    missing=pa.int64(),
    share=pa.float64(),
    **INTERVAL,
    **TEST,
    p_adjusted=pa.float64(),
)
PARETO = schema(
    dataset=pa.string(),  # "" is the mean over data sets
    point_id=pa.string(),
    response=pa.string(),
    mean=pa.float64(),  # over seeds; of seconds the geometric mean
    std_error=pa.float64(),
    runs=pa.int64(),
    reason=pa.string(),
)
PARETO_POINTS = schema(
    dataset=pa.string(),
    point_id=pa.string(),
    efficient=pa.bool_(),
    **TEST,
    p_adjusted=pa.float64(),
    dominated_by=pa.string(),
    verdict=pa.string(),
)
DISAGREEMENTS = schema(
    response_a=pa.string(),
    response_b=pa.string(),
    place=pa.string(),
    point_id=pa.string(),
    cosine=pa.float64(),
    **INTERVAL,
    verdict=pa.string(),
    reason=pa.string(),
    cells=pa.int64(),
    share_agree=pa.float64(),
    share_disagree=pa.float64(),
    share_open=pa.float64(),
    factors=pa.string(),
)
PRICES = schema(
    best_for=pa.string(),
    response=pa.string(),
    point_id=pa.string(),
    own_best=pa.string(),
    price=pa.float64(),
    std_error=pa.float64(),
    **INTERVAL,
    smallest_effect=pa.float64(),
    verdict=pa.string(),
    reason=pa.string(),
)
DESIRABILITY = schema(
    point_id=pa.string(),
    response=pa.string(),  # "" is all of them together
    weight=pa.float64(),
    value=pa.float64(),
    desirability=pa.float64(),
    **INTERVAL,
    best_share=pa.float64(),
)
VARIABILITY = schema(
    response=pa.string(),
    component=pa.string(),
    kind=pa.string(),
    method=pa.string(),
    variance=pa.float64(),
    sd=pa.float64(),
    sd_low=pa.float64(),
    sd_high=pa.float64(),
    share=pa.float64(),
    **INTERVAL,
    test_set_share=pa.float64(),
    df=pa.float64(),
    reason=pa.string(),
)
IMPORTANCE = schema(
    response=pa.string(),
    factor=pa.string(),
    first_order=pa.float64(),
    total=pa.float64(),
    shapley=pa.float64(),
    shapley_ci_low=pa.float64(),
    shapley_ci_high=pa.float64(),
    method=pa.string(),
    reason=pa.string(),
)


def write_rows(rows: Iterable[Mapping[str, Any]], path: str | Path, columns: pa.Schema) -> None:
    """Write rows as a Parquet file of these columns; the file appears complete or not at all."""
    write_table(pa.Table.from_pylist(list(rows), schema=columns), path)


def write_table(table: pa.Table, path: str | Path) -> None:
    """Write a table as a Parquet file, complete or not at all."""
    buffer = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({"seal": blank_seal()}), buffer, compression="zstd")
    write_bytes(sealed(buffer.getvalue().to_pybytes()), path)


def read_tables(paths: Sequence[str | Path], columns: pa.Schema) -> list[pa.Table]:
    """Read many small Parquet files of these columns, in order."""
    return [checked(table, path, columns) for table, path in zip(read_sealed_tables(paths), paths, strict=True)]


def read_sealed_tables(paths: Iterable[str | Path]) -> list[pa.Table]:
    """Read many small Parquet files of whatever columns, in order, on as many threads as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(read_sealed_table, paths))


def read_table(path: str | Path, columns: pa.Schema, *others: pa.Schema) -> pa.Table:
    """Read a Parquet file that another job wrote, which has these columns or, where more are given, those of one other.

    Raises InputError, and sets the file aside, where it is damaged or has the columns of another version.
    """
    return checked(read_sealed_table(path), path, columns, *others)


def read_sealed_table(path: str | Path) -> pa.Table:
    """Read a Parquet file that another job wrote, perhaps of another version; raise InputError where it is damaged."""
    data = read_sealed(path, what="a complete Parquet file of this workflow")
    with pq.ParquetFile(pa.BufferReader(data)) as file:
        return file.read(use_threads=False).replace_schema_metadata()


def checked(table: pa.Table, path: str | Path, columns: pa.Schema, *others: pa.Schema) -> pa.Table:
    """Return a file's table; raise InputError, and set the file aside, where it has the columns of another version."""
    if table.schema not in [known.remove_metadata() for known in (columns, *others)]:
        wrong = sorted(set(table.schema.names) ^ set(columns.names))
        found = f"other columns or types than this version writes{': ' + ', '.join(wrong) if wrong else ''}"
        raise damaged(path, found=found, what=", ".join(columns.names))
    return table
