"""Draw one response's surface over each pair of factors; in: surface, metrics (Parquet); out: svg, png, json."""

from finevar.drawing import save_chart
from finevar.jobs import JobLog
from finevar.planes import surface_chart
from finevar.records import STUDY_METRICS, SURFACE, read_table


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        surface = read_table(snakemake.input.surface, SURFACE).to_pandas()
        metrics = read_table(snakemake.input.metrics, STUDY_METRICS).to_pandas()
        factors, baseline = snakemake.params.factors, snakemake.params.baseline
        chart = surface_chart(surface, metrics, snakemake.wildcards.response, factors, baseline)
        save_chart(chart, svg=snakemake.output.svg, png=snakemake.output.png, json=snakemake.output.json)


if __name__ == "__main__":
    main(snakemake)
