"""Draw predicted profiles over the observed runs; in: profiles, metrics (Parquet); out: svg, png, json (Vega-Lite)."""

from finevar.charts import main_effects_chart
from finevar.drawing import save_chart
from finevar.jobs import JobLog
from finevar.records import PROFILES, STUDY_METRICS, read_table


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        profiles = read_table(snakemake.input.profiles, PROFILES).to_pandas()
        metrics = read_table(snakemake.input.metrics, STUDY_METRICS).to_pandas()
        chart = main_effects_chart(profiles, metrics, snakemake.params.factors)
        save_chart(chart, svg=snakemake.output.svg, png=snakemake.output.png, json=snakemake.output.json)


if __name__ == "__main__":
    main(snakemake)
