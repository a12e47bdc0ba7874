"""Gather all runs; in: design.csv, every run's metrics and steps, the baseline's metrics; out: two tables."""

from pathlib import Path

from finevar.aggregation import aggregate_curves, aggregate_metrics, named_runs, read_design
from finevar.finished import forget_finished
from finevar.jobs import FOUND, JobLog
from finevar.records import write_table
from finevar.wording import ranges_sentence


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]) as log:
        runs = read_design(snakemake.input.design)
        metrics = aggregate_metrics(runs, snakemake.input.metrics, snakemake.input.baselines, snakemake.params.baseline)
        write_table(metrics, snakemake.output.metrics)
        write_table(aggregate_curves(runs, snakemake.input.trainings), snakemake.output.curves)
        folders = {Path(path).parent for path in (*snakemake.input.metrics, *snakemake.input.baselines)}
        for folder in folders | {Path(path).parents[1] for path in snakemake.input.baselines}:
            forget_finished(folder)
        for run, reason in named_runs(metrics.to_pandas(), "diverged").items():
            log.warning("run %s diverged: %s", run, reason)
        log.log(FOUND, "%s", ranges_sentence(metrics.to_pandas(), ("accuracy", "f1", "loss")))


if __name__ == "__main__":
    main(snakemake)
