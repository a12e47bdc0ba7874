"""Draw training loss against epoch; in: learning_curves (Parquet); out: svg, png, json (Vega-Lite)."""

from finevar.charts import learning_curves_chart
from finevar.drawing import save_chart
from finevar.jobs import JobLog
from finevar.records import LEARNING_CURVES, read_table


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        curves = read_table(snakemake.input.learning_curves, LEARNING_CURVES).to_pandas()
        chart = learning_curves_chart(curves, snakemake.params.factors)
        save_chart(chart, svg=snakemake.output.svg, png=snakemake.output.png, json=snakemake.output.json)


if __name__ == "__main__":
    main(snakemake)
