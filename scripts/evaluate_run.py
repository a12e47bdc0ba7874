"""Evaluate one run; in: its model, evaluation data; out: predictions, metrics."""

from finevar.jobs.worker import run_job


def main(snakemake) -> None:
    run_job(
        "finevar.evaluation.evaluation.evaluate_files",
        log=snakemake.log[0],
        model=snakemake.input.model,
        summary=snakemake.input.summary,
        examples=snakemake.input.examples,
        encoded=snakemake.input.encoded,
        facts=snakemake.input.facts,
        record=snakemake.params.record,
        threads=snakemake.threads,
        weights_kept=bool(snakemake.resources.keep_weights),
        predictions=snakemake.output.predictions,
        metrics=snakemake.output.metrics,
    )


if __name__ == "__main__":
    main(snakemake)
