"""Draw metrics against each other; in: pareto, pareto_points, metrics (Parquet); out: svg, png, json (Vega-Lite)."""

from finevar.drawing import save_chart
from finevar.jobs import JobLog
from finevar.records import PARETO, PARETO_POINTS, read_table
from finevar.tables import read_metrics
from finevar.tradeoffs_chart import tradeoffs_chart


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        pareto = read_table(snakemake.input.pareto, PARETO).to_pandas()
        points = read_table(snakemake.input.pareto_points, PARETO_POINTS).to_pandas()
        metrics = read_metrics(snakemake.input.metrics)
        chart = tradeoffs_chart(pareto, points, metrics, snakemake.params.factors)
        save_chart(chart, svg=snakemake.output.svg, png=snakemake.output.png, json=snakemake.output.json)


if __name__ == "__main__":
    main(snakemake)
