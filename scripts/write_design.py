"""List the study's runs for people and for later steps; in: config; out: design.csv."""

import csv
from pathlib import Path

from finevar.jobs.log import JobLog
from finevar.study.config import read_config
from finevar.study.design import design_rows, plan_study
from finevar.study.identity import require_planned

with JobLog(snakemake.log[0]) as log:
    rows = design_rows(plan_study(read_config(snakemake.config)).runs.values())
    require_planned(rows, snakemake.params.design, "the design")
    with Path(snakemake.output.design).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    log.info("%d runs", len(rows))
