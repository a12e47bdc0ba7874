"""Draw one response's surface over each pair of factors; in: surface, metrics (Parquet); out: svg, png, json."""

from finevar.jobs.worker import run_rule


def main(snakemake) -> None:
    run_rule("finevar.commands.figure_jobs.plot_surface", snakemake)


if __name__ == "__main__":
    main(snakemake)
