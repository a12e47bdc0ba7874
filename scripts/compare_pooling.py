"""Regress the same cards pooled and apart; in: a row per card; out: estimates side by side."""

from finevar.jobs.worker import run_rule


def main(snakemake) -> None:
    run_rule("finevar.commands.found_jobs.compare_pooling", snakemake)


if __name__ == "__main__":
    main(snakemake)
