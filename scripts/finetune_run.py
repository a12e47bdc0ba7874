"""Fine-tune one run; in: baseline, encoded data, perhaps a shorter run's state; out: model, steps, summary, state."""

from finevar.jobs.worker import run_job


def main(snakemake) -> None:
    run_job(
        "finevar.training.job.train_files",
        log=snakemake.log[0],
        start=snakemake.input.start,
        begin=snakemake.input.begin if snakemake.input.begin != snakemake.input.train else None,
        train=snakemake.input.train,
        facts=snakemake.input.facts,
        evaluation=snakemake.input.evaluation,
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        micro_batches=1,
        threads=snakemake.threads,
        weights_kept=bool(snakemake.resources.keep_weights),
        model=snakemake.output.model,
        state=snakemake.output.state or None,
        training=snakemake.output.training,
        summary=snakemake.output.summary,
        name=snakemake.wildcards.run,
    )


if __name__ == "__main__":
    main(snakemake)
