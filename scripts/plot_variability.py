"""Draw where the variance between runs comes from; in: variability (Parquet); out: svg, png, json (Vega-Lite)."""

from finevar.jobs.worker import run_rule


def main(snakemake) -> None:
    run_rule("finevar.commands.figure_jobs.plot_variability", snakemake)


if __name__ == "__main__":
    main(snakemake)
