"""Write the report; in: metrics, coefficients, effects, fits, surface, baselines (Parquet), datasets, figures (JSON).

baselines: the baseline's metrics, a file for each evaluation data set. datasets: a dataset.json for each name in
params.datasets, in that order. figures: Vega-Lite specifications, named by their files. Out: one HTML file.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from finevar.files import read_json, write_bytes
from finevar.jobs import JobLog
from finevar.records import COEFFICIENTS, EFFECTS, FITS, METRICS, STUDY_METRICS, SURFACE, read_table
from finevar.report import render_report

SCHEMAS = {
    "metrics": STUDY_METRICS,
    "coefficients": COEFFICIENTS,
    "effects": EFFECTS,
    "fits": FITS,
    "surface": SURFACE,
}


def read_baselines(paths: Iterable[str]) -> pd.DataFrame:
    """Read the baseline's metrics, one row an evaluation data set."""
    return pd.concat([read_table(path, METRICS).to_pandas() for path in paths], ignore_index=True)


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        tables = {name: read_table(snakemake.input[name], schema).to_pandas() for name, schema in SCHEMAS.items()}
        tables["baselines"] = read_baselines(snakemake.input.baselines)
        facts = {
            "config": snakemake.params.config,
            "factors": snakemake.params.factors,
            "datasets": dict(zip(snakemake.params.datasets, map(read_json, snakemake.input.datasets), strict=True)),
        }
        figures = {Path(path).stem: read_json(path) for path in snakemake.input.figures}
        write_bytes(render_report(tables, figures, facts).encode(), snakemake.output.html)


if __name__ == "__main__":
    main(snakemake)
