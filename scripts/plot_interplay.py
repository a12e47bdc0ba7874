"""Draw slopes over other factors; in: interplay, coefficients (Parquet); out: svg, png, json (Vega-Lite)."""

from finevar.drawing import save_chart
from finevar.interplay_chart import interplay_chart
from finevar.jobs import JobLog
from finevar.records import COEFFICIENTS, INTERPLAY, read_table


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        interplay = read_table(snakemake.input.interplay, INTERPLAY).to_pandas()
        coefficients = read_table(snakemake.input.coefficients, COEFFICIENTS).to_pandas()
        chart = interplay_chart(interplay, coefficients, snakemake.params.factors)
        save_chart(chart, svg=snakemake.output.svg, png=snakemake.output.png, json=snakemake.output.json)


if __name__ == "__main__":
    main(snakemake)
