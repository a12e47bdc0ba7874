"""Train the baseline that every run starts from; in: source model, encoded data; out: model, steps, summary."""

from finevar.jobs.worker import run_job


def main(snakemake) -> None:
    run_job(
        "finevar.training.job.train_files",
        log=snakemake.log[0],
        start=snakemake.input.start,
        train=snakemake.input.train,
        facts=snakemake.input.facts,
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        micro_batches=1,
        threads=snakemake.threads,
        model=snakemake.output.model,
        training=snakemake.output.training,
        summary=snakemake.output.summary,
        name="baseline",
    )


if __name__ == "__main__":
    main(snakemake)
