"""What a user reads of each typical mistake, on one golden page (see prose); other tests ask for an error's fields."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_corpus import PAIRS, csv, jsonl, spec, write
from test_reading import zipped
from test_sources import package, tarred, tiny_model, write_files

from finevar.data.corpus import prepare
from finevar.data.packages import Problem, archive_member, check_sha256, pip_error, source_name, unpack
from finevar.errors import InputError
from finevar.files import damaged, missing
from finevar.found.sources import read_folder, read_stated
from finevar.jobs.log import check_writable, sentence
from finevar.jobs.stall import VARIABLE, stall_seconds
from finevar.models.fetch import fetch_model
from finevar.results.aggregation import check_alike, check_runs
from finevar.study.config import read_config
from finevar.study.design import plan_study
from prose import golden

HEAD = (
    "Every typical mistake as its user reads it. Rewrite this page with FINEVAR_GOLDEN=write (tests/test_errors.py).\n"
)
PIP = package("0" * 64)
Mistakes = Iterator[tuple[str, Callable[[], Any]]]


def test_every_typical_error_reads_as_on_the_page(raw_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "soon")
    mistakes = [*config_mistakes(raw_config), *data_mistakes(Path("mine")), *source_mistakes(), *file_mistakes()]
    page = "\n".join([HEAD, *(f"# {title}\n{message(function, tmp_path)}\n" for title, function in mistakes)])
    golden("errors.txt", page)


def message(function: Callable[[], Any], folder: Path) -> str:
    """Return what a user reads of a call that fails, the same on every machine."""
    with pytest.raises((InputError, OSError)) as caught:
        function()
    return str(sentence(caught.value)).replace(f"{folder}/", "").replace(sys.executable, "bin/python")


def config_mistakes(raw: dict[str, Any]) -> Mistakes:
    """Yield mistakes in a config, one that has many of them first."""
    many = raw | {"model": "bert", "trainning": {}, "analysis": {"confidence": 95, "claims": ["gone.yaml"]}}
    sweep = raw["sweep"] | {"factors": raw["sweep"]["factors"] | {"epochs": {"levels": [1]}}, "seeds": [0, 0]}
    yield "many mistakes in a config", lambda: read_config(many | {"sweep": sweep})
    sources = raw["sources"] | {"minilm": {"kind": "hub", "repo": "a/b", "revision": "main"}}
    yield "a Hub revision that is no commit", lambda: read_config(raw | {"sources": sources})
    yield "keys that do not fit together", lambda: read_config(raw | {"training": {"epochs": 2}})
    claim = {"response": "f1", "term": "lerning_rate"}
    yield "a claim about no term", lambda: read_config(raw | {"analysis": {"claims": [claim]}})
    Path("points.csv").write_text("learning_rate,batch_size,epochs\n1e-4,16,fast\n1,16,2\n")
    table = raw["sweep"] | {"design": {"kind": "table", "file": "points.csv"}}
    yield "a table of points with a word and a rate too high", lambda: plan_study(read_config(raw | {"sweep": table}))
    huge = raw["sweep"] | {"design": {"kind": "latin_hypercube", "points": 10**9}}
    yield "a design of too many runs", lambda: read_config(raw | {"sweep": huge})


def data_mistakes(folder: Path) -> Mistakes:
    """Yield mistakes in a user's data."""
    folder.mkdir()
    texts = [(f"more {number}", "") for number in range(10)]
    files = {
        "column.csv": "words,label\na,b\n",
        "suffix.xlsx": csv(PAIRS),
        "bytes.csv": csv(PAIRS).encode() + b"caf\xe9,a\n",
        "cut.jsonl": jsonl(PAIRS) + '\n{"text": "a", "label"',
        "empty.csv": csv([*PAIRS, ("", "a")]),
        "single.csv": csv([(text, "a") for text, _ in PAIRS]),
        "rare.csv": csv([*PAIRS, ("odd one", "c")]),
        "semicolons.csv": "text;label\none, two;a\n",
        "stray.csv": 'text,label\n"it is,a\n"fine" he said,b\n',
        "swallowed.csv": f'text,label\n"it is,a\nfine",b\n{csv(PAIRS)[11:]}',
        "short.csv": "text,label\nfine\n",
        "mixed.tsv": 'text\tlabel\n"a ""b"" c"\ta\n5" disk\tb\n',
        "array.jsonl": '[{"text": "a", "label": "b"}]',
        "unlabelled.csv": csv([(text, "") for text, _ in PAIRS]),
        "sheet.csv": zipped({"xl/workbook.xml": "", "[Content_Types].xml": ""}),
        "lists.csv": csv([*PAIRS, ("both", '"a,b"')]),
        "scores.csv": csv([(text, f"{number / 8}") for number, (text, _) in enumerate([*PAIRS, *texts])]),
        "pairs.csv": csv([("the same premise", label) for _, label in PAIRS]),
    }
    for name, content in files.items():
        write(folder, name, content)
    for name in ("gone.csv", *files):
        yield f"data: {name}", lambda name=name: prepare(spec(name), folder, hub=False)
    yield "data: a rating in words", lambda: prepare(spec("single.csv", threshold=3), folder, hub=False)
    write(folder, "whole.csv", csv(PAIRS))
    for title, number in (("all of it held out", 20), ("fewer held out than classes", 1)):
        asked = spec("whole.csv", eval_examples=number)
        yield f"data: {title}", lambda asked=asked: prepare(asked, folder, hub=False)


def source_mistakes() -> Mistakes:
    """Yield what keeps a source from being fetched."""
    name = source_name(PIP)
    logs = {
        Problem.NO_PIP: "",
        Problem.MISMATCH: f"Got        {'1' * 64}",
        Problem.UNREACHED: "Could not fetch URL https://pypi.org/simple/x/: connection error: timed out - skipping",
        Problem.NO_VERSION: "Could not find a version that satisfies the requirement x==1.0 (from versions: 0.8, 0.9)",
        Problem.OTHER: "ERROR: Wheel 'x' is invalid.",
    }
    for problem, log in logs.items():
        yield f"pip: {problem}", lambda problem=problem, log=log: throw(pip_error(PIP, problem, [log]))
    yield "another file than the one pinned", lambda: check_sha256("1" * 64, "0" * 64, where=name)
    Path("package").mkdir()
    Path("package/data.tar").write_bytes(tarred({"../outside": b""}))
    yield "an archive that is not there", lambda: archive_member(Path("package"), PIP | {"archive": "data.zip"})
    unpacked = Path("unpacked")
    yield "an archive that reaches outside", lambda: unpack(Path("package/data.tar"), unpacked, where=name)
    files = tiny_model() | {"config.json": b'{"model_type": "gpt2"}'}
    local = {"kind": "local", "path": str(write_files(Path("gpt"), files))}
    yield "a model of another family", lambda: fetch_model(local, Path("model"))
    Path("cards.csv").write_text("card_id,loss,lr\na/b,0.3,1e-5\n")
    yield "model cards: a column of another name", lambda: read_stated(Path("cards.csv"))
    Path("cards").mkdir()
    yield "model cards: none", lambda: read_folder(Path("cards"))


def file_mistakes() -> Mistakes:
    """Yield what is wrong with results, with the machine, and with how finevar is started."""
    Path("metrics.parquet").write_bytes(b"cut")
    yield "a damaged file", lambda: throw(damaged("metrics.parquet", what="a table"))
    yield "a missing file", lambda: throw(missing("metrics.parquet", what="a table"))
    rows = [{"run_id": name, "dataset": "amazon", "data_sha256": name[0]} for name in ("a1", "a2", "b1")]
    yield "a run copied", lambda: check_runs(rows, [*rows, rows[0]])
    yield "runs of different data", lambda: check_alike(rows, {"amazon": rows[0] | {"run_id": "baseline"}})
    Path("file").touch()
    yield "results that are no folder", lambda: check_writable(Path("file"))
    yield "a time limit in words", stall_seconds
    yield "a full disk", lambda: throw(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "results/a.parquet"))


def throw(error: Exception) -> None:
    """Raise an error that is made elsewhere."""
    raise error
