"""Train the baseline that every run starts from; in: source model, encoded data; out: model, steps, summary."""

from finevar.jobs import JobLog
from finevar.training import train_files


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]) as log:
        summary = train_files(
            start=snakemake.input.start,
            train=snakemake.input.train,
            facts=snakemake.input.facts,
            settings=snakemake.params.settings,
            seed=snakemake.params.seed,
            threads=snakemake.threads,
            model=snakemake.output.model,
            training=snakemake.output.training,
            summary=snakemake.output.summary,
            name="baseline",
        )
        log.info("trained: %s", summary)


if __name__ == "__main__":
    main(snakemake)
