"""Gather the runs that are done; in: design.csv, the files that there are, the baseline's metrics; out: two tables."""

from finevar.jobs.worker import run_rule


def main(snakemake) -> None:
    run_rule("finevar.commands.analysis_jobs.aggregate_finished", snakemake)


if __name__ == "__main__":
    main(snakemake)
