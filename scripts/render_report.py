"""Write the report; in: metrics, the analysis tables, baselines (Parquet), datasets, figures (JSON); out: HTML."""

from finevar.jobs.worker import run_rule

run_rule("finevar.commands.report_jobs.render_report", snakemake)
