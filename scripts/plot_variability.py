"""Draw where the variance between runs comes from; in: variability (Parquet); out: svg, png, json (Vega-Lite)."""

from finevar.drawing import save_chart
from finevar.jobs import JobLog
from finevar.records import VARIABILITY, read_table
from finevar.variability_chart import variability_chart


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        chart = variability_chart(read_table(snakemake.input.variability, VARIABILITY).to_pandas())
        save_chart(chart, svg=snakemake.output.svg, png=snakemake.output.png, json=snakemake.output.json)


if __name__ == "__main__":
    main(snakemake)
