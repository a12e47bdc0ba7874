"""Trade metrics off; in: the study's metrics; out: Pareto set, disagreements, prices, desirability, tuning curves."""

from finevar.jobs import JobLog
from finevar.readings import Plan
from finevar.tables import read_metrics, write_tables
from finevar.tradeoffs import tradeoff_rows
from finevar.tuning import tuning_rows


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        metrics = read_metrics(snakemake.input.metrics)
        plan = Plan.of(snakemake.params)
        tables = tradeoff_rows(metrics, plan) | {"tuning_curves": tuning_rows(metrics, plan)}
        write_tables(tables, snakemake.output)


if __name__ == "__main__":
    main(snakemake)
