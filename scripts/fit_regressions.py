"""Fit the response surfaces; in: the study's metrics; out: tidy tables of estimates, fits and predictions."""

import pyarrow as pa

from finevar import records
from finevar.coding import Coding
from finevar.jobs import JobLog
from finevar.readings import fit_study

TABLES = {
    "coefficients": records.COEFFICIENTS,
    "effects": records.EFFECTS,
    "fits": records.FITS,
    "profiles": records.PROFILES,
    "surface": records.SURFACE,
}


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]) as log:
        metrics = records.read_table(snakemake.input.metrics, records.STUDY_METRICS).to_pandas()
        analysis = snakemake.params.analysis
        tables = fit_study(
            metrics,
            {name: Coding.of(factor) for name, factor in snakemake.params.factors.items()},
            snakemake.params.baseline,
            responses=analysis["responses"],
            order=analysis["model"],
            confidence=analysis["confidence"],
        )
        for fit in tables["fits"]:
            if fit.get("gate"):
                log.warning("%s, %s: %s", fit["response"], fit["framework"], fit["gate"])
        for name, columns in TABLES.items():
            table = pa.Table.from_pylist(tables[name], schema=columns)
            records.write_table(table, snakemake.output[name])
        for path in snakemake.output.csv:
            name = path.rsplit("/", 1)[1].removesuffix(".csv")
            pa.Table.from_pylist(tables[name], schema=TABLES[name]).to_pandas().to_csv(path, index=False)


if __name__ == "__main__":
    main(snakemake)
