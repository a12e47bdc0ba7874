"""Choose the model cards that can be compared; in: a row per card; out: a study's runs, all cards, the gates."""

from finevar.jobs.worker import run_rule


def main(snakemake) -> None:
    run_rule("finevar.commands.found_jobs.aggregate_cards", snakemake)


if __name__ == "__main__":
    main(snakemake)
