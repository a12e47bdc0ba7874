"""Check the fitted surfaces; in: the study's metrics; out: checks, influence, sensitivity, robustness."""

from finevar.analyses import check_study
from finevar.jobs import JobLog
from finevar.readings import Plan
from finevar.tables import read_metrics, write_tables


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        metrics = read_metrics(snakemake.input.metrics)
        write_tables(check_study(metrics, Plan.of(snakemake.params)), snakemake.output)


if __name__ == "__main__":
    main(snakemake)
