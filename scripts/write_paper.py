"""Write the paper kit; in: as the report's; out: a folder of tables, figures, methods and references."""

from finevar.jobs.worker import run_rule

run_rule("finevar.commands.report_jobs.write_paper", snakemake)
