"""Prepare a data set; in: its source's folder; out: train.parquet, eval.parquet, dataset.json."""

from pathlib import Path

import pyarrow as pa

from finevar.corpus import prepare
from finevar.files import check_sums, write_facts
from finevar.jobs import JobLog
from finevar.records import EXAMPLES, write_table


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]) as log:
        if snakemake.params.kind != "local":
            check_sums(Path(snakemake.input.source))
        train, evaluation, facts = prepare(
            snakemake.params.dataset, Path(snakemake.input.source), hub=snakemake.params.kind == "hub"
        )
        for examples, path in ((train, snakemake.output.train), (evaluation, snakemake.output.evaluation)):
            write_table(pa.Table.from_pandas(examples, schema=EXAMPLES, preserve_index=False), path)
        write_facts(facts, snakemake.output.facts)
        log.info("prepared: %s", facts)


if __name__ == "__main__":
    main(snakemake)
