"""Draw the effects against what is negligible; in: effects (Parquet); out: svg, png, json (Vega-Lite)."""

from finevar.drawing import save_chart
from finevar.effects_chart import effects_chart
from finevar.jobs import JobLog
from finevar.records import EFFECTS, read_table


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        chart = effects_chart(read_table(snakemake.input.effects, EFFECTS).to_pandas())
        save_chart(chart, svg=snakemake.output.svg, png=snakemake.output.png, json=snakemake.output.json)


if __name__ == "__main__":
    main(snakemake)
