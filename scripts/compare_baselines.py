"""Set the fitted surfaces beside the baselines; in: the study's metrics; out: differences, matching."""

from finevar.jobs.worker import run_rule


def main(snakemake) -> None:
    run_rule("finevar.commands.analysis_jobs.compare_baselines", snakemake)


if __name__ == "__main__":
    main(snakemake)
