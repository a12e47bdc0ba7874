"""Tokenise a data set once; in: its parts, the model's tokeniser; out: flat token ids."""

from pathlib import Path

from finevar.columns import EXAMPLES
from finevar.data.encoding import encode, save_encoded
from finevar.data.pairs import texts_in
from finevar.files import check_sums
from finevar.jobs.log import JobLog
from finevar.parquet import read_table

with JobLog(snakemake.log[0]) as log:
    check_sums(Path(snakemake.input.model))
    prepared = {Path(path).stem: path for path in snakemake.input.parts}
    for path in map(Path, snakemake.output.parts):
        examples = read_table(prepared[path.stem], EXAMPLES) if path.stem in prepared else EXAMPLES.empty_table()
        texts, labels = list(map(texts_in, examples["text"].to_pylist())), examples["label"].to_pylist()
        encoded = encode(texts, labels, Path(snakemake.input.model))
        save_encoded(encoded, path)
        log.info("%s: %d sentences, %d tokens", path.stem, len(encoded), len(encoded.tokens))
