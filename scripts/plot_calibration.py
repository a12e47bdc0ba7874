"""Draw what the loss is made of; in: calibration_effects, reliability (Parquet); out: svg, png, json (Vega-Lite)."""

from finevar.jobs.worker import run_rule


def main(snakemake) -> None:
    run_rule("finevar.commands.figure_jobs.plot_calibration", snakemake)


if __name__ == "__main__":
    main(snakemake)
