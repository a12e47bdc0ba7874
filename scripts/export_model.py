"""Export the recommended run's model; in: metrics, recommendations, what the run was made from; out: a model folder."""

from finevar.commands.export import export_files
from finevar.jobs.log import JobLog


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]) as log:
        gap = export_files(
            metrics=snakemake.input.metrics,
            recommendations=snakemake.input.recommendations,
            start=snakemake.input.start,
            train=snakemake.input.train,
            examples=snakemake.input.examples,
            encoded=snakemake.input.encoded,
            facts=snakemake.input.facts,
            response=snakemake.params.response,
            dataset=snakemake.params.dataset,
            factors=snakemake.params.factors,
            confidence=snakemake.params.confidence,
            runs=snakemake.params.runs,
            threads=snakemake.threads,
            model=snakemake.output.model,
        )
        log.info("logits differ from those that were evaluated by %g at most", gap)


if __name__ == "__main__":
    main(snakemake)
