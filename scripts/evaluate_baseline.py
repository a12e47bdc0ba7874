"""Evaluate the baseline on one data set of the sweep; in: model, evaluation data; out: predictions, metrics."""

from finevar.jobs.worker import run_job


def main(snakemake) -> None:
    run_job(
        "finevar.evaluation.evaluation.evaluate_baseline",
        log=snakemake.log[0],
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


if __name__ == "__main__":
    main(snakemake)
