"""What the report and the paper kit are made of, read from a rule's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from finevar import records
from finevar.files import read_facts, read_json
from finevar.report import ANALYSES, Tables


def read_study(inputs: Any, params: Any, *, interim: bool) -> tuple[Tables, dict[str, Any], dict[str, Any]]:
    """Return a study's tables, its figures' Vega-Lite specifications by name, and the facts beside them.

    inputs: the rule's named files: metrics, a table for each of ANALYSES, baselines (one for each evaluation data set),
    datasets (a dataset.json for each name in params.datasets, in that order) and figures (JSON).
    """
    schemas = {"metrics": records.STUDY_METRICS} | {name: getattr(records, name.upper()) for name in ANALYSES}
    tables = {name: read(inputs[name], columns) for name, columns in schemas.items()}
    tables["baselines"] = pd.concat([read(path, records.METRICS) for path in inputs.baselines], ignore_index=True)
    facts = {
        "config": params.config,
        "factors": params.factors,
        "interim": interim,
        "datasets": dict(zip(params.datasets, map(read_facts, inputs.datasets), strict=True)),
    }
    return tables, {Path(path).stem: read_json(path) for path in inputs.figures}, facts


def read(path: str, columns: pa.Schema) -> pd.DataFrame:
    """Return a table, checked."""
    return records.read_table(path, columns).to_pandas()
