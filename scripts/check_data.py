"""Show what the model sees of the data; in: prepared and encoded data sets, the tokeniser; out: facts, one HTML file.

What keeps the model from learning is said in the terminal, too, before the runs.
"""

import itertools
from pathlib import Path

from finevar.columns import EXAMPLES
from finevar.data.encoding import load_encoded
from finevar.data.inspection import Part, inspect
from finevar.files import check_sums, read_facts, write_bytes, write_facts
from finevar.jobs.log import JobLog
from finevar.parquet import read_table
from finevar.report.data_page import render_data_page
from finevar.study.paths import PARTS
from finevar.words.inspection import caution_sentences, seen_sentence


def read_parts(prepared: str, encoded: str) -> dict[str, Part]:
    """Return the parts of a data set: texts and tokens; prepared, encoded: a file of each folder."""
    places = [(name, Path(prepared).with_name(f"{name}.parquet")) for name in PARTS]
    texts = {name: read_table(path, EXAMPLES)["text"].to_pylist() for name, path in places}
    return {name: Part(texts[name], load_encoded(Path(encoded).with_name(f"{name}.safetensors"))) for name in PARTS}


with JobLog(snakemake.log[0]) as log:
    params, models, datasets = snakemake.params, list(map(Path, snakemake.input.model)), snakemake.input.datasets
    for model in models:
        check_sums(model)
    prepared, seen = {}, {}
    read = itertools.product(models, datasets)  # in the order of what is encoded
    for name, (model, facts), encoded in zip(params.limits, read, snakemake.input.encoded, strict=True):
        prepared[name] = read_facts(facts)
        parts = read_parts(facts, encoded)
        seen[name] = inspect(parts, model, prepared[name]["classes"], **params.limits[name], shown=params.shown)
        log.info("%s", seen_sentence(name, seen[name]))
        for text in caution_sentences(name, seen[name]):
            log.warning("%s", text)
    write_facts(seen, snakemake.output.facts)
    write_bytes(render_data_page(params.study, params.model, prepared, seen).encode(), snakemake.output.html)
