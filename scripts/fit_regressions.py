"""Fit the response surfaces; in: the study's metrics; out: coefficients, effects, fits, ladder, profiles, surface."""

from finevar.jobs import JobLog
from finevar.readings import Plan, fit_study
from finevar.tables import read_metrics, write_tables


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]) as log:
        metrics = read_metrics(snakemake.input.metrics)
        tables = fit_study(metrics, Plan.of(snakemake.params))
        for fit in tables["fits"]:
            if fit.get("gate"):
                log.warning("%s, %s: %s", fit["response"], fit["framework"], fit["gate"])
        write_tables(tables, snakemake.output)


if __name__ == "__main__":
    main(snakemake)
