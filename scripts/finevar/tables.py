"""The analysis tables: the columns of each, and how they are written for programs (Parquet) and for people (CSV)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from finevar.columns import CARDS, FOUND_METRICS, STUDY_METRICS, schema
from finevar.files import write_bytes
from finevar.parquet import read_table, write_table

Rows = list[dict[str, Any]]
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
PREDICTED = {"predicted": pa.float64(), "std_error": pa.float64(), **INTERVAL}

TABLES = {
    "coefficients": schema(
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
    ),
    "covariances": schema(response=pa.string(), term=pa.string(), other=pa.string(), covariance=pa.float64()),
    "effects": schema(
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
    ),
    "fits": schema(
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
        gate_code=pa.string(),  # reasons.Stop
    ),
    "profiles": schema(response=pa.string(), factor=pa.string(), value=pa.float64(), **PREDICTED),
    "surface": schema(
        response=pa.string(),
        factor_x=pa.string(),
        value_x=pa.float64(),
        factor_y=pa.string(),
        value_y=pa.float64(),
        held=pa.string(),
        **PREDICTED,
    ),
    "ladder": schema(
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
    ),
    "checks": schema(
        response=pa.string(),
        check=pa.string(),
        statistic=pa.float64(),
        df_numerator=pa.float64(),
        df_denominator=pa.float64(),
        sum_sq=pa.float64(),
        sum_sq_error=pa.float64(),
        **TEST,
        run_id=pa.string(),
    ),
    "influence": schema(
        response=pa.string(),
        run_id=pa.string(),
        fitted=pa.float64(),
        residual=pa.float64(),
        leverage=pa.float64(),
        studentised=pa.float64(),
        cook=pa.float64(),
    ),
    "sensitivity": schema(
        response=pa.string(),
        term=pa.string(),
        specification=pa.string(),
        **ESTIMATE,
        **TEST,
        p_low=pa.float64(),
        p_high=pa.float64(),
        refits=pa.int64(),
        agrees=pa.bool_(),
    ),
    "slopes": schema(
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
    ),
    "interplay": schema(
        response=pa.string(),
        factor=pa.string(),
        moderator=pa.string(),
        moderator_value=pa.float64(),
        unit=pa.string(),
        **ESTIMATE,
        **INTERVAL,
        sign=pa.string(),
    ),
    "johnson_neyman": schema(
        response=pa.string(),
        factor=pa.string(),
        moderator=pa.string(),
        value_low=pa.float64(),
        value_high=pa.float64(),
        sign=pa.string(),
    ),
    "optima": schema(
        response=pa.string(),
        kind=pa.string(),
        inside=pa.bool_(),
        stationary_predicted=pa.float64(),
        std_error=pa.float64(),
        **INTERVAL,
        region_share=pa.float64(),
        region_closed=pa.bool_(),
        reason=pa.string(),
    ),
    "optimum_factors": schema(
        response=pa.string(),
        factor=pa.string(),
        stationary_coded=pa.float64(),
        stationary=pa.float64(),
        region_low=pa.float64(),
        region_high=pa.float64(),
        recommended=pa.float64(),
        rival_low=pa.float64(),
        rival_high=pa.float64(),
    ),
    "canonical": schema(
        response=pa.string(), axis=pa.int64(), eigenvalue=pa.float64(), factor=pa.string(), weight=pa.float64()
    ),
    "ridge": schema(
        response=pa.string(),
        radius=pa.float64(),
        factor=pa.string(),
        coded=pa.float64(),
        value=pa.float64(),
        **PREDICTED,
    ),
    "recommendations": schema(
        response=pa.string(),
        point_id=pa.string(),
        observed=pa.float64(),
        **PREDICTED,
        candidates=pa.int64(),
        rivals=pa.int64(),
        expected_regret=pa.float64(),
        regret_bound=pa.float64(),
        smallest_effect=pa.float64(),
    ),
    "against_baseline": schema(
        response=pa.string(),
        baseline=pa.string(),
        point_id=pa.string(),
        **ESTIMATE,
        **INTERVAL,
        **SIMULTANEOUS,
        reason=pa.string(),
    ),
    "matched": schema(
        response=pa.string(),
        analysis=pa.string(),
        residual_sd=pa.float64(),
        **ESTIMATE,
        df=pa.float64(),
        **INTERVAL,
        **TEST,
    ),
    "calibration": schema(
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
    ),
    "calibration_effects": schema(
        response=pa.string(),
        factor=pa.string(),
        change=pa.float64(),
        std_error=pa.float64(),
        **INTERVAL,
        **TEST,
    ),
    "reliability": schema(
        group=pa.string(),
        dataset=pa.string(),
        point_id=pa.string(),
        bin=pa.int64(),
        confidence_mean=pa.float64(),
        correct_share=pa.float64(),
        **INTERVAL,
        count=pa.int64(),
        models=pa.int64(),
    ),
    "paired": schema(
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
    ),
    "paired_points": schema(
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
    ),
    "cards": CARDS,
    "found_gates": schema(
        gate=pa.string(),
        verdict=pa.string(),  # passed, noted, set aside, or stopped
        cards=pa.int64(),  # looked at
        flagged=pa.int64(),
        finding=pa.string(),
        consequence=pa.string(),
        terms=pa.string(),  # of the gate on aliasing: those of complete cards, by name, with spaces between
    ),
    "pooling": schema(
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
    ),
    "beside": schema(
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
        reason_code=pa.string(),
    ),
    "claims": schema(
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
        reason_code=pa.string(),  # reasons.Undecided or reasons.Stop
        p_adjusted=pa.float64(),
        unit=pa.string(),
        from_level=pa.float64(),
        to_level=pa.float64(),
        smallest_effect=pa.float64(),
        minimum_detectable=pa.float64(),
        found=pa.string(),
        verdict=pa.string(),
    ),
    "tuning_curves": schema(
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
    ),
    "robustness": schema(
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
    ),
    "failures": schema(
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
    ),
    "pareto": schema(
        dataset=pa.string(),  # "" is the mean over data sets
        point_id=pa.string(),
        response=pa.string(),
        mean=pa.float64(),  # over seeds; of seconds the geometric mean
        std_error=pa.float64(),
        runs=pa.int64(),
        reason=pa.string(),
    ),
    "pareto_points": schema(
        dataset=pa.string(),
        point_id=pa.string(),
        efficient=pa.bool_(),
        **TEST,
        p_adjusted=pa.float64(),
        dominated_by=pa.string(),
        verdict=pa.string(),
    ),
    "disagreements": schema(
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
    ),
    "prices": schema(
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
    ),
    "desirability": schema(
        point_id=pa.string(),
        response=pa.string(),  # "" is all of them together
        weight=pa.float64(),
        value=pa.float64(),
        desirability=pa.float64(),
        **INTERVAL,
        best_share=pa.float64(),
    ),
    "variability": schema(
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
    ),
    "importance": schema(
        response=pa.string(),
        factor=pa.string(),
        first_order=pa.float64(),
        total=pa.float64(),
        shapley=pa.float64(),
        shapley_ci_low=pa.float64(),
        shapley_ci_high=pa.float64(),
        method=pa.string(),
        reason=pa.string(),
    ),
}


def read_metrics(path: str | Path) -> pd.DataFrame:
    """Return a study's runs: those that it trained, or those that it found."""
    return read_table(path, STUDY_METRICS, FOUND_METRICS).to_pandas()


def are_found(runs: pd.DataFrame) -> bool:
    """Tell whether runs were found, as model cards, and not trained here."""
    return "owner" in runs


def as_table(name: str, rows: Rows) -> pa.Table:
    """Return rows as the table of that name; a column that no row has is null."""
    return pa.Table.from_pylist(rows, schema=TABLES[name])


def as_rows(table: pd.DataFrame) -> Rows:
    """Return a table's rows, missing values as None."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def write_tables(tables: Mapping[str, Rows], paths: Iterable[str]) -> None:
    """Write tables to the paths named after them, as Parquet or as CSV by suffix."""
    for path in paths:
        name = Path(path).stem
        table = as_table(name, tables[name])
        if Path(path).suffix == ".csv":
            buffer = pa.BufferOutputStream()
            csv.write_csv(table, buffer)
            write_bytes(buffer.getvalue().to_pybytes(), path)
        else:
            write_table(table, path)
