"""Fit the response surfaces; in: the study's metrics; out: coefficients, effects, fits, ladder, profiles, surface."""

from finevar.formatting import response_labels
from finevar.jobs import FOUND, JobLog
from finevar.readings import Plan, fit_study
from finevar.tables import as_table, read_metrics, write_tables
from finevar.wording import headline


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]) as log:
        metrics, plan = read_metrics(snakemake.input.metrics), Plan.of(snakemake.params)
        tables = fit_study(metrics, plan)
        for fit in tables["fits"]:
            if fit.get("gate"):
                log.warning("%s, %s: %s", fit["response"], fit["framework"], fit["gate"])
        write_tables(tables, snakemake.output)
        effects, fits = (as_table(name, tables[name]).to_pandas() for name in ("effects", "fits"))
        log.log(FOUND, headline(effects, fits, response_labels(metrics, plan.responses)))


if __name__ == "__main__":
    main(snakemake)
