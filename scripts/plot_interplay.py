"""Draw slopes over other factors; in: interplay, coefficients (Parquet); out: svg, png, json (Vega-Lite)."""

from finevar.warm import run_rule


def main(snakemake) -> None:
    run_rule("finevar.figure_jobs.plot_interplay", snakemake)


if __name__ == "__main__":
    main(snakemake)
