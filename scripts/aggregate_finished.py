"""Gather the runs that are done; in: design.csv, the files that there are, the baseline's metrics; out: two tables."""

from pathlib import Path

from finevar.aggregation import aggregate_curves, aggregate_metrics, named_runs, read_design
from finevar.jobs import JobLog
from finevar.records import write_table


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]) as log:
        runs = read_design(snakemake.input.design)
        baselines, levels = snakemake.input.baselines, snakemake.params.baseline
        metrics = aggregate_metrics(runs, snakemake.params.metrics, baselines, levels, logs=Path("results/logs"))
        write_table(metrics, snakemake.output.metrics)
        write_table(aggregate_curves(runs, snakemake.params.trainings), snakemake.output.curves)
        missing = named_runs(metrics.to_pandas(), "missing")
        for run, reason in missing.items():
            log.info("run %s missing: %s", run, reason)
        log.info("%d of %d runs", len(runs) - len(missing), len(runs))


if __name__ == "__main__":
    main(snakemake)
