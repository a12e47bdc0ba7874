"""Prepare a data set; in: its source's folder, or the user's own files; out: its parts, facts."""

from pathlib import Path

import pyarrow as pa

from finevar.columns import EXAMPLES
from finevar.data.corpus import prepare
from finevar.files import check_sums, write_facts
from finevar.jobs.log import JobLog
from finevar.parquet import write_table
from finevar.study.config import read_config
from finevar.study.identity import dataset_identity, require_planned

with JobLog(snakemake.log[0]) as log:
    spec, kind, name = snakemake.params.dataset, snakemake.params.kind, snakemake.wildcards.data.rpartition("-")[0]
    if kind == "local":
        own = {"file": snakemake.input.file, "eval_file": snakemake.input.eval_file}
        parts, facts = prepare(spec | {key: path for key, path in own.items() if path}, Path(), hub=False)
        # The id was made of what the files held when the study was planned.
        require_planned(dataset_identity(read_config(snakemake.config), name), snakemake.wildcards.data, *own.values())
    else:
        check_sums(Path(snakemake.input.source))
        parts, facts = prepare(spec, Path(snakemake.input.source), hub=kind == "hub")
    for path in map(Path, snakemake.output.parts):
        write_table(pa.Table.from_pandas(parts[path.stem], schema=EXAMPLES, preserve_index=False), path)
    write_facts(facts, snakemake.output.facts)
    log.info("prepared: %s", facts)
