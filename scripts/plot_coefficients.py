"""Draw the coefficients with their intervals; in: coefficients (Parquet); out: svg, png, json (Vega-Lite)."""

from finevar.charts import coefficients_chart
from finevar.drawing import save_chart
from finevar.jobs import JobLog
from finevar.records import COEFFICIENTS, read_table


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        coefficients = read_table(snakemake.input.coefficients, COEFFICIENTS).to_pandas()
        chart = coefficients_chart(coefficients)
        save_chart(chart, svg=snakemake.output.svg, png=snakemake.output.png, json=snakemake.output.json)


if __name__ == "__main__":
    main(snakemake)
