"""List the study's runs for people and for later steps; in: config; out: design.csv."""

import csv
from pathlib import Path

from finevar.design import design_points, design_rows, plan_runs
from finevar.jobs import JobLog


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]) as log:
        config = snakemake.params.config
        rows = design_rows(plan_runs(config, design_points(config)).values())
        with Path(snakemake.output.design).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        log.info("%d runs", len(rows))


if __name__ == "__main__":
    main(snakemake)
