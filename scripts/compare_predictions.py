"""Set the runs' predictions beside the baseline's; in: metrics, predictions; out: calibration, gains and losses."""

from finevar.jobs import JobLog
from finevar.prediction_analyses import compare_predictions
from finevar.readings import Plan
from finevar.tables import read_metrics, write_tables


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        metrics = read_metrics(snakemake.input.metrics)
        plan = Plan.of(snakemake.params)
        write_tables(compare_predictions(metrics, plan, snakemake.input.baselines), snakemake.output)


if __name__ == "__main__":
    main(snakemake)
