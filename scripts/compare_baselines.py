"""Set the fitted surfaces beside the baselines; in: the study's metrics; out: differences, matching."""

from finevar.analyses import compare_study
from finevar.jobs import JobLog
from finevar.readings import Plan
from finevar.tables import read_metrics, write_tables


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        metrics = read_metrics(snakemake.input.metrics)
        write_tables(compare_study(metrics, Plan.of(snakemake.params)), snakemake.output)


if __name__ == "__main__":
    main(snakemake)
