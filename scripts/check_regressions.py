"""Check the fitted surfaces; in: the study's metrics; out: checks, influence, sensitivity, robustness."""

from finevar.jobs.worker import run_rule


def main(snakemake) -> None:
    run_rule("finevar.commands.analysis_jobs.check_regressions", snakemake)


if __name__ == "__main__":
    main(snakemake)
