"""Write the report; in: metrics, the analysis tables, baselines (Parquet), datasets, figures (JSON).

baselines: the baseline's metrics, a file for each evaluation data set. datasets: a dataset.json for each name in
params.datasets, in that order. figures: Vega-Lite specifications, named by their files. Out: one HTML file.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from finevar import records
from finevar.files import read_facts, read_json, write_bytes
from finevar.jobs import JobLog
from finevar.report import ANALYSES, render_report


def read(path: str, columns: pa.Schema) -> pd.DataFrame:
    """Read a table, checked."""
    return records.read_table(path, columns).to_pandas()


def read_baselines(paths: Iterable[str]) -> pd.DataFrame:
    """Read the baseline's metrics, one row an evaluation data set."""
    return pd.concat([read(path, records.METRICS) for path in paths], ignore_index=True)


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        schemas = {"metrics": records.STUDY_METRICS} | {name: getattr(records, name.upper()) for name in ANALYSES}
        tables = {name: read(snakemake.input[name], columns) for name, columns in schemas.items()}
        tables["baselines"] = read_baselines(snakemake.input.baselines)
        facts = {
            "config": snakemake.params.config,
            "factors": snakemake.params.factors,
            "interim": snakemake.wildcards.study.endswith("/interim"),
            "datasets": dict(zip(snakemake.params.datasets, map(read_facts, snakemake.input.datasets), strict=True)),
        }
        figures = {Path(path).stem: read_json(path) for path in snakemake.input.figures}
        write_bytes(render_report(tables, figures, facts).encode(), snakemake.output.html)


if __name__ == "__main__":
    main(snakemake)
