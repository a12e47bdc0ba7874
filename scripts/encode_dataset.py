"""Tokenise a data set once; in: train.parquet, eval.parquet, the model's tokeniser; out: flat token ids."""

from pathlib import Path

from finevar.columns import EXAMPLES
from finevar.data.encoding import encode, save_encoded
from finevar.files import check_sums
from finevar.jobs.log import JobLog
from finevar.parquet import read_table

with JobLog(snakemake.log[0]) as log:
    check_sums(Path(snakemake.input.model))
    for part in ("train", "evaluation"):
        examples = read_table(snakemake.input[part], EXAMPLES)
        texts, labels = examples["text"].to_pylist(), examples["label"].to_pylist()
        encoded = encode(texts, labels, Path(snakemake.input.model))
        save_encoded(encoded, snakemake.output[part])
        log.info("%s: %d sentences, %d tokens", part, len(encoded), len(encoded.tokens))
