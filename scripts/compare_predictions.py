"""Set the runs' predictions beside the baseline's; in: metrics, predictions; out: calibration, gains and losses."""

from finevar.jobs.worker import run_rule


def main(snakemake) -> None:
    run_rule("finevar.commands.analysis_jobs.compare_predictions", snakemake)


if __name__ == "__main__":
    main(snakemake)
