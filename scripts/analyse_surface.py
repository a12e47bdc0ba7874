"""Read the fitted surfaces; in: the study's metrics; out: slopes, interplay, optimum, recommendation."""

from finevar.analyses import explore_study
from finevar.findings import recommended_sentence
from finevar.formatting import response_labels
from finevar.jobs import FOUND, JobLog
from finevar.readings import Plan
from finevar.tables import read_metrics, write_tables


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]) as log:
        metrics, plan = read_metrics(snakemake.input.metrics), Plan.of(snakemake.params)
        tables = explore_study(metrics, plan)
        write_tables(tables, snakemake.output)
        chosen: dict[str, dict[str, float]] = {}
        for row in tables["optimum_factors"]:
            chosen.setdefault(row["response"], {})[row["factor"]] = row["recommended"]
        if told := recommended_sentence(chosen, response_labels(metrics, plan.responses)):
            log.log(FOUND, told)


if __name__ == "__main__":
    main(snakemake)
