"""Draw what the loss is made of; in: calibration_effects, reliability (Parquet); out: svg, png, json (Vega-Lite)."""

from finevar.calibration_chart import calibration_chart
from finevar.drawing import save_chart
from finevar.jobs import JobLog
from finevar.records import CALIBRATION_EFFECTS, RELIABILITY, read_table


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        effects = read_table(snakemake.input.calibration_effects, CALIBRATION_EFFECTS).to_pandas()
        reliability = read_table(snakemake.input.reliability, RELIABILITY).to_pandas()
        chart = calibration_chart(effects, reliability, snakemake.params.factors)
        save_chart(chart, svg=snakemake.output.svg, png=snakemake.output.png, json=snakemake.output.json)


if __name__ == "__main__":
    main(snakemake)
