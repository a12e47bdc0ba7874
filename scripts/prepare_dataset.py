"""Prepare a data set; in: its source's folder, or the user's own files; out: its parts, facts."""

from itertools import chain
from pathlib import Path

import pyarrow as pa

from finevar.columns import EXAMPLES
from finevar.data.corpus import prepare
from finevar.files import check_sums, write_facts
from finevar.jobs.log import JobLog
from finevar.parquet import write_table
from finevar.study.classes import positive_of
from finevar.study.config import read_config
from finevar.study.consistency import PLACES
from finevar.study.identity import dataset_identity, require_planned

with JobLog(snakemake.log[0]) as log:
    spec, kind, name = snakemake.params.dataset, snakemake.params.kind, snakemake.wildcards.data.rpartition("-")[0]
    if kind == "local":
        own = {key: list(snakemake.input.get(key)) for key in PLACES if snakemake.input.get(key)}
        parts, facts = prepare(spec | own, Path(), hub=False)
        # The id was made of what the files held when the study was planned.
        identity = dataset_identity(read_config(snakemake.config), name)
        require_planned(identity, snakemake.wildcards.data, *chain(*own.values()))
    else:
        check_sums(Path(snakemake.input.source))
        parts, facts = prepare(spec, Path(snakemake.input.source), hub=kind == "hub")
    positive_of(facts, snakemake.config["datasets"][name].get("positive"), name)  # refused here, before any training
    for path in map(Path, snakemake.output.parts):
        write_table(pa.Table.from_pandas(parts[path.stem], schema=EXAMPLES, preserve_index=False), path)
    write_facts(facts, snakemake.output.facts)
    log.info("prepared: %s", facts)
