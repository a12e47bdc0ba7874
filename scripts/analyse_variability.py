"""Divide the variance between runs, count failures; in: the study's metrics, runs' predictions; out: three tables."""

from finevar.jobs.worker import run_rule


def main(snakemake) -> None:
    run_rule("finevar.commands.analysis_jobs.analyse_variability", snakemake)


if __name__ == "__main__":
    main(snakemake)
