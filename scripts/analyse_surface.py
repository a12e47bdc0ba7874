"""Read the fitted surfaces; in: the study's metrics; out: slopes, interplay, optimum, recommendation."""

from finevar.jobs.worker import run_rule


def main(snakemake) -> None:
    run_rule("finevar.commands.analysis_jobs.analyse_surface", snakemake)


if __name__ == "__main__":
    main(snakemake)
