"""Draw metrics against each other; in: pareto, pareto_points, metrics (Parquet); out: svg, png, json (Vega-Lite)."""

from finevar.warm import run_rule


def main(snakemake) -> None:
    run_rule("finevar.figure_jobs.plot_tradeoffs", snakemake)


if __name__ == "__main__":
    main(snakemake)
