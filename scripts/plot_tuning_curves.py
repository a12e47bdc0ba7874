"""Draw tuning curves; in: tuning_curves, fits (Parquet); out: svg, png, json (Vega-Lite)."""

from finevar.drawing import save_chart
from finevar.jobs import JobLog
from finevar.records import FITS, TUNING_CURVES, read_table
from finevar.tuning_chart import tuning_chart


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        curves = read_table(snakemake.input.tuning_curves, TUNING_CURVES).to_pandas()
        fits = read_table(snakemake.input.fits, FITS).to_pandas()
        chart = tuning_chart(curves, fits)
        save_chart(chart, svg=snakemake.output.svg, png=snakemake.output.png, json=snakemake.output.json)


if __name__ == "__main__":
    main(snakemake)
