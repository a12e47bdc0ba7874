"""Draw all figures of a study; in: its tables (Parquet); out: svg, json (Vega-Lite) of each."""

from finevar.jobs.worker import run_rule

run_rule("finevar.commands.figure_jobs.draw_figures", snakemake)
