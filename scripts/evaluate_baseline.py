"""Evaluate the baseline on one data set of the sweep; in: model, evaluation data; out: predictions, metrics."""

from finevar.evaluation import evaluate_files
from finevar.jobs import JobLog


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]) as log:
        row = evaluate_files(
            model=snakemake.input.model,
            summary=snakemake.input.summary or None,
            examples=snakemake.input.examples,
            encoded=snakemake.input.encoded,
            facts=snakemake.input.facts,
            record=snakemake.params.record,
            threads=snakemake.threads,
            predictions=snakemake.output.predictions,
            metrics=snakemake.output.metrics,
        )
        log.info("evaluated: %s", row)


if __name__ == "__main__":
    main(snakemake)
