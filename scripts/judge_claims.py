"""Judge what was claimed before the study; in: coefficients, fits (Parquet); out: claims."""

from finevar.jobs.worker import run_rule


def main(snakemake) -> None:
    run_rule("finevar.commands.analysis_jobs.judge_claims", snakemake)


if __name__ == "__main__":
    main(snakemake)
