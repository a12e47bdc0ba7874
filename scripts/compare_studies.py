"""Set claims on found models beside those of a trained study; in: both studies' claims; out: one table."""

from finevar.jobs.worker import run_rule


def main(snakemake) -> None:
    run_rule("finevar.commands.found_jobs.compare_studies", snakemake)


if __name__ == "__main__":
    main(snakemake)
