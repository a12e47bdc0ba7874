"""Trade metrics off; in: the study's metrics; out: Pareto set, disagreements, prices, desirability, tuning curves."""

from finevar.jobs.worker import run_rule


def main(snakemake) -> None:
    run_rule("finevar.commands.analysis_jobs.analyse_tradeoffs", snakemake)


if __name__ == "__main__":
    main(snakemake)
