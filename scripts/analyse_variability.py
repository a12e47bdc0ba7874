"""Divide the variance between runs, count failures; in: the study's metrics, runs' predictions; out: three tables."""

from finevar.failures import failure_rows
from finevar.jobs import JobLog
from finevar.predictions import read_contributions
from finevar.readings import Plan, finished_runs
from finevar.tables import read_metrics, write_tables
from finevar.variability import variability_rows


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        metrics, plan = read_metrics(snakemake.input.metrics), Plan.of(snakemake.params)
        contributions = {name: read_contributions(finished_runs(metrics, name), name) for name in plan.responses}
        tables = variability_rows(metrics, plan, contributions) | {"failures": failure_rows(metrics, plan)}
        write_tables(tables, snakemake.output)


if __name__ == "__main__":
    main(snakemake)
