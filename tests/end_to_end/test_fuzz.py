"""Whatever a config, a data file, an archive or a model holds: it is right, or an InputError says what is not.

Hypothesis makes up the cases, the same ones every time. Each has a few seconds, so that one without end is found, too.
"""

from __future__ import annotations

import bz2
import contextlib
import copy
import datetime
import gzip
import io
import itertools
import json
import lzma
import math
import reprlib
import shutil
import signal
import stat
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from conftest import STUDY
from finevar import ROOT, files
from finevar.columns import DESIGN, EXAMPLES
from finevar.data.corpus import prepare
from finevar.data.encoding import Encoded, encode, load_encoded, save_encoded
from finevar.data.packages import archive_member, unpack
from finevar.errors import InputError
from finevar.models.distilbert.conversion import convert_model
from finevar.models.distilbert.encoder import Architecture
from finevar.models.fetch import check_model
from finevar.parquet import read_table, write_table
from finevar.study.coding import axes_of, coded_of, codings_of, model_matrix, terms
from finevar.study.config import read_config
from finevar.study.design import Study, design_rows, plan_study
from finevar.study.kinds import TRAINED, study_kind
from finevar.study.settings import CONDITIONS, FACTORS, SPECS
from tiny import make_model

SECONDS = 10.0  # that a case may take, on a busy machine
LONGEST = 10_000  # characters of a message

Act = Callable[[], Any]


def cases(count: int) -> settings:
    """Return the settings of a test of that many cases, the same ones each time."""
    return settings(
        max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


class Endless(BaseException):
    """A case that takes too long; no Exception, so that no code under test can catch it."""


@contextlib.contextmanager
def limited(seconds: float = SECONDS) -> Iterator[None]:
    """Raise Endless if the block takes more of the processor's time, to which other work does not add."""

    def stop(*_: object) -> None:
        raise Endless

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def outcome(act: Act) -> Any:
    """Return what an act returns, or None if it tells a mistake in a fit message; anything else fails the test."""
    try:
        with limited():
            return act()
    except InputError as error:
        check_message(str(error))
        return None


def check_message(told: str) -> None:
    """Fail unless a message is one to print, of a sane length, that says what was found and what is allowed."""
    assert "found " in told
    assert "Allowed: " in told
    assert "Traceback" not in told
    assert len(told) <= LONGEST
    assert all(line.isprintable() for line in told.split("\n"))


# Values of every kind ------------------------------------------------------------------------------------------------

ODD_TEXTS = (
    "",
    " ",
    "toy\n",
    "a\0b",
    "\x1b[31mred",
    "\ud800",
    "\u202egnp.exe",
    "naïve café 数据 🙂",
    "nan",
    "-inf",
    "1e999",
    "1_000",
    "0x10",
    "null",
    "2024-02-30",
    "../..",
    "/etc/passwd",
    "/dev/zero",
    "~root",
    "$(touch escaped)",
    "`id`; rm -rf x | cat > y & 'z' \"",
    "-rf",
    "{study} {0} %s {{ 7 * 7 }}",
    "<script>alert(1)</script>",
    "x" * 300,
)
NUMBERS = (0, -1, 1, 2, 0.5, 1e-320, 1e308, -1e308, 2**31, 2**63, 10**9, 10**30, 1e300, 0.1 + 2e-17)
WORDS = (
    *FACTORS,
    "levels",
    "coding",
    "log2",
    "kind",
    "latin_hypercube",
    "table",
    "box_behnken",
    "hub",
    "points",
)
DATES = (datetime.date(2024, 2, 29), datetime.datetime(1, 1, 1, tzinfo=datetime.UTC))


def nested(depth: int) -> list[Any]:
    """Return lists within each other."""
    outer: list[Any] = []
    for _ in range(depth):
        outer = [outer]
    return outer


def endless() -> dict[str, Any]:
    """Return what YAML makes of an anchor within itself."""
    value: dict[str, Any] = {}
    value["again"] = [value]
    return value


def doubling(times: int) -> list[Any]:
    """Return what YAML makes of anchors that each name the one before twice: few objects, a great many places."""
    value: list[Any] = ["x"]
    for _ in range(times):
        value = [value, value]
    return value


LARGE = (
    lambda: "9" * 100_000,
    lambda: "a" * 9_999,
    lambda: 1 << 20_000,
    lambda: nested(5000),
    endless,
    lambda: doubling(40),
    lambda: list(range(3000)),
    lambda: list(range(200_000)),
    lambda: [*range(9000), "x", None, 1.5, *map(str, range(900))],
    lambda: {f"key{number}": number for number in range(50_000)},
    lambda: {"levels": [number / 1000 for number in range(1, 1000)]},
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.integers(-3, 70_000),
    st.floats(),
    st.sampled_from(ODD_TEXTS),
    st.sampled_from(WORDS),
    st.text(max_size=12),
    st.sampled_from(DATES),
    st.binary(max_size=4),
)
VALUES = st.one_of(
    SCALARS,
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=5), st.dictionaries(SCALARS, inner, max_size=4), st.tuples(inner, inner)
        ),
        max_leaves=8,
    ),
    st.sampled_from(LARGE).map(lambda make: make()),
)

# Bytes that were right once -------------------------------------------------------------------------------------------


def sometimes(draw: st.DrawFn, one_in: int) -> bool:
    """Return whether something odd is to happen here, as it is in one of so many cases."""
    return draw(st.sampled_from([False] * (one_in - 1) + [True]))


BYTES = st.one_of(
    st.binary(max_size=6), st.sampled_from([b"\0", b'"', b"\n", b"\r", b"\xff\xfe", b"\xef\xbb\xbf", b"{", b","])
)


# What befalls a file, where, how far, which bit, with what instead; drawn without looking at the file.
BLOWS = st.lists(
    st.tuples(
        st.sampled_from(["end", "lost", "double", "many", "over", "bit", "bit"]),
        st.integers(0, 2**20),
        st.sampled_from([0, 1, 1, 2, 8, 60]),
        st.integers(0, 7),
        BYTES,
    ),
    min_size=1,
    max_size=3,
)


def damage(draw: st.DrawFn, data: bytes) -> bytes:
    """Return bytes with a piece cut off, lost, doubled, overwritten or added, or with bits flipped."""
    for kind, place, size, bit, piece in draw(BLOWS):
        start = place % (len(data) + 1)
        before, hit, after = data[:start], data[start : start + size], data[start + size :]
        flipped = bytes([hit[0] ^ 1 << bit, *hit[1:]]) if hit else hit
        struck = {"lost": b"", "double": hit * 2, "many": hit * 500, "over": piece, "bit": flipped}
        data = before if kind == "end" else before + struck[kind] + after
    return data


# Configs -------------------------------------------------------------------------------------------------------------

STUDIES = [ROOT / "config/config.yaml", *sorted((ROOT / "config/studies").glob("*.yaml"))]
SHIPPED = [path.read_text(encoding="utf-8") for path in STUDIES]
CONFIG_TEXTS = [STUDY % {letter: letter * 64 for letter in "abcd"}, *SHIPPED]
CONFIGS = [yaml.load(text, Loader=yaml.FullLoader) for text in CONFIG_TEXTS]


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every parent and key below a node of a config."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield node, key
        yield from places(child)


def replace(draw: st.DrawFn, parent: Any, key: Any, _: Any) -> None:
    parent[key] = draw(VALUES)


def remove(_: st.DrawFn, parent: Any, key: Any, __: Any) -> None:
    del parent[key]


def add(draw: st.DrawFn, parent: Any, _: Any, __: Any) -> None:
    if isinstance(parent, dict):
        parent[draw(SCALARS)] = draw(VALUES)
    else:
        parent.append(draw(VALUES))


def double(_: st.DrawFn, parent: Any, key: Any, other: tuple[Any, Any]) -> None:
    other[0][other[1]] = parent[key]


def swap(_: st.DrawFn, parent: Any, key: Any, other: tuple[Any, Any]) -> None:
    parent[key], other[0][other[1]] = other[0][other[1]], parent[key]


def rename(draw: st.DrawFn, parent: Any, key: Any, _: Any) -> None:
    parent[draw(SCALARS)] = parent.pop(key)


class Case:
    """A made-up value that is printed in short where a test fails: some have no end."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return reprlib.repr(self.value)


def tweak(draw: st.DrawFn, parent: Any, key: Any, _: Any) -> None:
    if isinstance(parent[key], int | float):
        parent[key] = draw(st.sampled_from([parent[key] * 2, parent[key] / 2, -parent[key], 1, parent[key] + 1e-17]))
    elif isinstance(parent[key], list):
        parent[key] = parent[key] * draw(st.integers(0, 3)) + draw(st.lists(st.integers(0, 600), max_size=4))
    else:
        parent[key] = draw(st.sampled_from(WORDS))


@st.composite
def configs(draw: st.DrawFn) -> Case:
    """Return a sound config with up to three changes, each of any kind at any place."""
    config = copy.deepcopy(draw(st.sampled_from(CONFIGS)))
    known = list(places(config))
    for _ in range(draw(st.integers(1, 3))):
        change = draw(st.sampled_from([tweak, tweak, replace, replace, remove, add, double, swap, rename]))
        (parent, key), other = draw(st.sampled_from(known)), draw(st.sampled_from(known))
        with contextlib.suppress(KeyError, IndexError, TypeError):  # a change before has taken that place away
            change(draw, parent, key, other)
    return Case(config)


CLOSE = [0.1, math.nextafter(0.1, 1)]  # different numbers, whose logarithms are the same
SUITED = {
    "learning_rate": [5e-324, 1e-300, 1e-6, 1e-5, math.nextafter(1e-5, 1), 2e-5, 1e-4, 1e-3, *CLOSE, 1],
    "batch_size": [1, 2, 4, 8, 12, 16, 32, 64, 65536],
    "epochs": [1, 2, 3, 4, 5, 10, 999, 1000],
    "warmup": [0, 5e-324, *CLOSE, 0.5, 1, 2.5, 100, 1e17, 1e308],
    "weight_decay": [0, 5e-324, 1e-3, 0.01, *CLOSE, 10],
    "dropout": [0, 1e-9, *CLOSE, 0.5, math.nextafter(1, 0)],
    "max_length": [8, 16, 64, 128, 511, 512, 8192],
    "train_examples": [2, 64, 128, 256, 100_000, 2**53, 2**53 + 1, 2**63 - 1],
    "frozen_layers": [0, 1, 2, 3, 6, 2**53, 2**62],
    "label_smoothing": [0, 1e-9, *CLOSE, math.nextafter(1, 0)],
    "layer_decay": [5e-324, *CLOSE, 0.9, 1],
    "beta2": [5e-324, *CLOSE, 0.98, 0.999, math.nextafter(1, 0)],
    "reinit_layers": [0, 1, 2, 6, 2**62],
    "lora_rank": [1, 2, 8, 64, 8192],
    "lora_scale": [5e-324, *CLOSE, 2, 1024],
}
NAMED = {name: SPECS[name]["enum"] for name in FACTORS if "enum" in SPECS[name]}


@st.composite
def factors(draw: st.DrawFn) -> dict[str, Any]:
    """Return factors of which most have levels that are allowed, at and between the limits, in any coding."""
    chosen, size = {}, draw(st.sampled_from([2, 3, 3, 4]))
    for name in draw(st.lists(st.sampled_from(FACTORS), min_size=1, max_size=5, unique=True)):
        if name in NAMED:
            chosen[name] = {"levels": draw(st.lists(st.sampled_from(NAMED[name]), min_size=2, unique=True))}
            continue
        levels = draw(st.lists(st.sampled_from(SUITED[name]), min_size=size, max_size=size, unique=True))
        if name not in ("learning_rate", "weight_decay", "dropout") and draw(st.integers(0, 9)) == 0:
            levels = [*range(8, 200)]
        codings = ["identity"] if min(levels) == 0 and draw(st.booleans()) else ["identity", "log2", "log10"]
        chosen[name] = {"levels": levels, "coding": draw(st.sampled_from(codings))}
    return chosen


@st.composite
def sweeps(draw: st.DrawFn) -> dict[str, Any]:
    """Return a config of sound shape whose factors, design, seeds and terms may not fit together."""
    config = copy.deepcopy(CONFIGS[0])
    sweep = config["sweep"] = {"datasets": ["amazon"], "factors": draw(factors())}
    sweep["seeds"] = draw(st.sampled_from([[0, 1], [0, 1, 2], [5], [*range(40)]]))
    kinds = ["full_factorial", "full_factorial", "central_composite", "box_behnken", "latin_hypercube", "optimal"]
    sweep["design"] = {"kind": draw(st.sampled_from(kinds)), "include_baseline": draw(st.booleans())}
    if sweep["design"]["kind"] == "latin_hypercube":
        sweep["design"]["points"] = draw(st.one_of(st.integers(2, 60), st.sampled_from([999, 10**6, 10**9])))
    if sweep["design"]["kind"] == "optimal":
        sweep["design"] |= {"runs": draw(st.integers(2, 60)), "criterion": draw(st.sampled_from(["I", "D"]))}
    config["training"] = {"train_examples": 10**6, "schedule": draw(st.sampled_from(["constant", "linear"]))}
    for name in sweep["factors"]:
        config["training"] |= {on: allowed[0] for on, allowed in CONDITIONS.get(name, {}).items()}
    config["training"] = {name: value for name, value in config["training"].items() if name not in sweep["factors"]}
    own = {name: draw(st.sampled_from(factor["levels"])) for name, factor in sweep["factors"].items()}
    config["baseline"]["settings"] = {"train_examples": None} | own
    models = ["first_order", "first_order", "interactions", "quadratic", "cubic"]
    config["analysis"] = {"model": draw(st.sampled_from(models))}
    return config


LINES = st.sampled_from([line for text in CONFIG_TEXTS for line in text.splitlines()])
YAML_LINES = st.one_of(
    LINES,
    LINES.map(str.strip),
    st.text(max_size=30),
    st.sampled_from(["study: !!set {a}", "sweep: &again {factors: *again}", "<<: {study: x}", "? [a, b]\n: c", "---"]),
    st.sampled_from(["datasets: !!binary aGk=", "model: !!python/tuple [1]", "study: 0x" + "f" * 9000, "  - 1:2:3"]),
)


@st.composite
def config_texts(draw: st.DrawFn) -> str:
    """Return the text of a config with lines doubled, moved, lost, mixed with others or made up."""
    lines = draw(st.sampled_from(CONFIG_TEXTS)).splitlines()
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines)))
        lines[place : place + draw(st.integers(0, 2))] = draw(st.lists(YAML_LINES, max_size=3))
    return "\n".join(lines)


def plan(config: dict[str, Any]) -> Study:
    return plan_study(read_config(config))


def check_study(study: Study) -> None:
    """Fail unless a study's names are names, its figures fit their columns, and its terms can be told apart."""
    names = [
        study.config["study"],
        *study.model_ids.values(),
        *study.baseline_ids.values(),
        *study.dataset_ids.values(),
    ]
    for name in [*names, *study.source_ids.values(), *study.runs]:
        assert name == Path(name).name.strip(".")
        assert name.isascii()
        assert name.isprintable()
        assert " " not in name
    if study_kind(study.config) != TRAINED:
        assert not study.runs
        return
    assert 0 < len(study.runs) <= 100_000
    pa.Table.from_pylist(list(design_rows(study.runs.values())), schema=pa.schema([*DESIGN, ("path", pa.string())]))
    codings = codings_of(study.config["sweep"]["factors"])
    coded = coded_of(codings, {name: [point[name] for point in study.points] for name in codings})
    matrix = model_matrix(coded, terms(axes_of(codings), study.config["analysis"]["model"]))
    assert np.isfinite(matrix).all()
    assert math.isfinite(np.linalg.cond(matrix))


@pytest.mark.filterwarnings("error::RuntimeWarning")
@cases(800)
@hypothesis.given(config=configs())
def test_a_config_is_planned_or_its_mistakes_are_told(config):
    if study := outcome(lambda: plan(config.value)):
        check_study(study)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@cases(300)
@hypothesis.given(config=sweeps())
def test_a_sweep_is_planned_or_its_mistakes_are_told(config):
    if study := outcome(lambda: plan(config)):
        check_study(study)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@cases(400)
@hypothesis.given(text=config_texts())
def test_a_text_of_a_config_is_planned_or_its_mistakes_are_told(text):
    try:
        config = yaml.load(text, Loader=yaml.FullLoader)  # as Snakemake reads it
    except (yaml.YAMLError, ValueError, RecursionError):
        return  # which Snakemake tells
    if isinstance(config, dict) and (study := outcome(lambda: plan(config))):
        check_study(study)


CELLS = st.one_of(
    st.sampled_from(
        ["8", "32", "1e-4", "4e-4", "2", "2.5", "", "nan", "inf", '"', '"8"', " 16 ", "1_6", "9" * 140_000, "٣"]
    ),
    st.text(max_size=6),
)


@st.composite
def design_tables(draw: st.DrawFn) -> bytes:
    """Return a table of points as a CSV file, in which some cells, columns and bytes may be wrong."""
    grid = itertools.product(("2.5e-5", "1e-4", "4e-4"), ("8", "16", "32"), ("1", "2", "3"))
    rows = [["learning_rate", "batch_size", "epochs"], *map(list, grid)]
    for _ in range(draw(st.integers(1, 3)) if draw(st.booleans()) else 0):
        row, cell = draw(st.sampled_from(rows)), [draw(CELLS)]
        row[:] = draw(st.sampled_from([row + cell, cell + row, cell + row[1:]]))
    data = "\n".join(map(",".join, rows)).encode("utf-8", "surrogatepass")
    return damage(draw, data) if sometimes(draw, 3) else data


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder for files that each case writes anew."""
    return tmp_path_factory.mktemp("cases")


@cases(200)
@hypothesis.given(content=design_tables())
def test_a_table_of_points_is_planned_or_its_mistakes_are_told(folder, content):
    config = copy.deepcopy(CONFIGS[0])
    (folder / "points.csv").write_bytes(content)
    config["sweep"]["design"] = {"kind": "table", "file": str(folder / "points.csv")}
    if study := outcome(lambda: plan(config)):
        check_study(study)


# Data files -----------------------------------------------------------------------------------------------------------

FORMS = ("csv", "csv", "tsv", "jsonl")
LABELS = (
    "a",
    "b",
    "c",
    "0",
    "1",
    "1.0",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "None",
    "<script>alert(1)</script>",
    "é",
    "z" * 5000,
)
SENTENCES = (
    "good",
    "GOOD",
    "bad",
    "a\u2028b",
    "&amp;",
    "&#xD800;",
    "&nbsp;",
    'a "b" c',
    'open "',
    "=1+1",
    "x" * 200_000,
)
ENCODINGS = ("utf-8-sig", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-32")
HEADERS = ("label,text", "text", "text,label,label", "text,text", "", "0,1")
JSON_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.sampled_from([0, -1, 1.5, 2**64, 10**400, math.inf, math.nan, 1e308]),
        st.sampled_from(LABELS), st.sampled_from(SENTENCES), st.sampled_from(ODD_TEXTS), st.text(max_size=5),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)  # fmt: skip


@st.composite
def pairs(draw: st.DrawFn, texts: st.SearchStrategy[Any], labels: st.SearchStrategy[Any]) -> list[list[Any]]:
    """Return sentences with labels, of which a few are odd."""
    count = draw(st.sampled_from([0, 1, 4])) if sometimes(draw, 8) else 20
    names = draw(st.sampled_from(["a", "abcdefghijkl"])) if sometimes(draw, 8) else draw(st.sampled_from(["ab", "01"]))
    found = [[f"sentence {number}", names[number % len(names)]] for number in range(count)]
    for _ in range(draw(st.integers(1, 3)) if found and draw(st.booleans()) else 0):
        row = draw(st.sampled_from(found))
        row[:] = draw(st.one_of(st.tuples(texts, st.just(row[1])), st.tuples(st.just(row[0]), labels)))
    return found


@st.composite
def text_files(draw: st.DrawFn, form: str) -> bytes:
    """Return a CSV, TSV or JSONL file, in any encoding, perhaps damaged."""
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    if form == "jsonl":
        rows = draw(pairs(JSON_VALUES, JSON_VALUES))
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
        odd = st.one_of(
            JSON_VALUES.map(json.dumps), st.sampled_from(['{"text": "a", "text": "b"}', "", " ", "{", "[]"])
        )
    else:
        texts = st.one_of(st.sampled_from(SENTENCES), st.sampled_from(ODD_TEXTS), st.text(max_size=5))
        rows = draw(pairs(texts, st.one_of(st.sampled_from(LABELS), st.sampled_from(ODD_TEXTS), texts)))
        mark, comma = draw(st.sampled_from(['"', ""])) if form == "csv" else "", "," if form == "csv" else "\t"
        lines = [(draw(st.sampled_from(HEADERS)) if sometimes(draw, 6) else "text,label").replace(",", comma)]
        lines += [comma.join(f"{mark}{cell}{mark}" for cell in row) for row in rows]
        odd = st.one_of(texts, st.sampled_from([comma * 5, '"', f'"a{end}b"{comma}a', f"one{comma}two{comma}three"]))
    if sometimes(draw, 5):
        lines.insert(draw(st.integers(0, len(lines))), draw(odd))
    text = end.join(lines) + draw(st.sampled_from([end, ""]))
    encoding = draw(st.sampled_from(ENCODINGS)) if sometimes(draw, 6) else "utf-8"
    data = text.encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass")
    return damage(draw, data) if sometimes(draw, 3) else data


PARQUET_ODD = (
    pa.array([1.5, None]), pa.array([True, False]), pa.array([["a"], ["b"]]), pa.array([{"x": 1}, None]),
    pa.array([datetime.date(2024, 1, 1)] * 2), pa.array([Decimal("1.5")] * 2), pa.array([None, None]),
    pa.array([datetime.timedelta(1)] * 2), pa.array([datetime.datetime(1, 1, 1)] * 2), pa.array([b"\xff", b"a"]),
    pa.array([2**64 - 1, 0], pa.uint64()), pa.array([[1, 2], None], pa.list_(pa.int64(), 2)),
)  # fmt: skip
PARQUET_TYPES = (
    pa.string(), pa.string(), pa.large_string(), pa.binary(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())
)  # fmt: skip


@st.composite
def parquet_files(draw: st.DrawFn) -> bytes:
    """Return a Parquet file with columns of any type, doubled or missing, perhaps damaged."""
    texts = st.one_of(st.none(), st.sampled_from(SENTENCES), st.text(max_size=5))
    rows = draw(pairs(texts, st.one_of(st.none(), st.sampled_from(LABELS), texts)))
    columns = [pa.array([row[place] for row in rows]).cast(draw(st.sampled_from(PARQUET_TYPES))) for place in (0, 1)]
    if sometimes(draw, 4):
        odd = draw(st.sampled_from(PARQUET_ODD)).take(pa.array([number % 2 for number in range(len(rows))], pa.int64()))
        columns[draw(st.integers(0, 1))] = odd
    names = draw(st.sampled_from([["text", "label"]] * 8 + [["label", "text"], ["text", "text"], ["text", ""]]))
    if sometimes(draw, 6):
        columns, names = [*columns, columns[0]], [*names, draw(st.sampled_from(["text", "label", "other", "\n"]))]
    table = pa.Table.from_arrays(columns, names)
    if draw(st.booleans()) and len(set(names)) == len(names):
        with contextlib.suppress(pa.ArrowException, ValueError, TypeError):
            table = pa.Table.from_pandas(table.to_pandas())
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression=draw(st.sampled_from(["none", "snappy", "zstd", "gzip"])))
    data = buffer.getvalue().to_pybytes()
    return damage(draw, data) if draw(st.booleans()) else data


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """Return a data set's part of the config as the checks let it pass, without its files."""
    spec = {"source": "mine", "text": "text", "label": "label", "margin": 0.0}
    if sometimes(draw, 5):
        spec |= {
            "threshold": draw(st.sampled_from([0, 0.5, 1e308])),
            "margin": draw(st.sampled_from([0.0, 0.5, 1e308])),
        }
    if sometimes(draw, 8):
        spec |= draw(st.sampled_from([{"text": "0", "label": "1"}, {"label": "a\nb"}]))
    return spec | {"eval_examples": draw(st.sampled_from([2, 4, 8]))}


def check_data(spec: dict[str, Any], source: Path, *, hub: bool = False) -> None:
    """Fail unless a data set is refused in a fit message or gives sound tables."""
    if not (prepared := outcome(lambda: prepare(spec, source, hub=hub))):
        return
    parts, facts = prepared
    assert parts.pop("held_back").empty
    tables = [pa.Table.from_pandas(part, schema=EXAMPLES, preserve_index=False) for part in parts.values()]
    json.dumps(facts, allow_nan=False).encode()
    assert len(facts["classes"]) == len(set(facts["classes"])) >= 2
    for table in tables:
        assert set(table["label"].to_pylist()) == set(range(len(facts["classes"])))
        assert all(text.strip() and text == " ".join(text.split()) for text in table["text"].to_pylist())
    both = pa.concat_tables(tables)
    for column in ("example_id", "text"):
        assert len(set(both[column].to_pylist())) == len(both)
    assert (facts["train"], facts["eval"]) == tuple(map(len, tables))


@cases(700)
@hypothesis.given(data=st.data(), form=st.sampled_from(FORMS), spec=specs())
def test_a_text_file_is_prepared_or_its_mistakes_are_told(folder, data, form, spec):
    spec["file"] = f"all.{form}"
    (folder / spec["file"]).write_bytes(data.draw(text_files(form)))
    if form != "jsonl" and sometimes(data.draw, 8):
        spec["columns"] = data.draw(st.sampled_from([["text", "label"], ["id", "label", "text"]]))
    if sometimes(data.draw, 5):
        del spec["eval_examples"]
        spec["eval_file"] = f"eval.{form}"
        (folder / spec["eval_file"]).write_bytes(data.draw(text_files(form)))
    if sometimes(data.draw, 20):
        spec["file"] = data.draw(
            st.sampled_from([f"{text}.csv" for text in ODD_TEXTS] + ["../cases", "/dev/zero", "."])
        )
    check_data(spec, folder)


@cases(400)
@hypothesis.given(content=parquet_files(), spec=specs())
def test_a_parquet_file_is_prepared_or_its_mistakes_are_told(folder, content, spec):
    (folder / "all.parquet").write_bytes(content)
    check_data(spec | {"file": "all.parquet"}, folder)


CARD = "---\nconfigs:\n- config_name: default\n  data_files:\n  - {split: train, path: data/train-*}\n---\n# A card\n"


@cases(60)
@hypothesis.given(data=st.data(), content=parquet_files(), spec=specs())
def test_a_data_set_of_the_hub_is_prepared_or_its_mistakes_are_told(folder, data, content, spec):
    snapshot = Path(tempfile.mkdtemp(dir=folder))  # anew, since what is read is cached there
    (snapshot / "data").mkdir()
    (snapshot / "data" / "train-0.parquet").write_bytes(content)
    card = damage(data.draw, CARD.encode()) if sometimes(data.draw, 3) else CARD.encode()
    (snapshot / "README.md").write_bytes(card)
    check_data(spec | {"train_split": data.draw(st.sampled_from(["train"] * 4 + list(ODD_TEXTS)))}, snapshot, hub=True)


# Archives -------------------------------------------------------------------------------------------------------------

STEPS = ("a", "b", "c.csv", "..", "..", ".", "", "~", "A", "a\\b", "-", "d" * 300, "\udcff", "\x01", "ü")
LINK, HARD, DEVICE, FIFO, FOLDER = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE
KINDS = (tarfile.REGTYPE, tarfile.REGTYPE, LINK, LINK, HARD, DEVICE, tarfile.BLKTYPE, FIFO, FOLDER, tarfile.CONTTYPE)


@st.composite
def members(draw: st.DrawFn) -> list[tuple[str, bytes, str]]:
    """Return the name, kind and link of an archive's members, of which some reach outside, follow links or clash."""
    steps = st.lists(st.sampled_from(STEPS), min_size=1, max_size=4).map("/".join)
    names = st.one_of(st.sampled_from(["a", "b", "a/c.csv"]), steps, st.just("/outside/absolute"))
    return draw(st.lists(st.tuples(names, st.sampled_from(KINDS), names), min_size=1, max_size=5))


def tarred(found: list[tuple[str, bytes, str]], root: Path, mode: str) -> bytes:
    """Return a tar archive; /outside stands for a folder beside the one that it is unpacked into."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, link in found:
            member = tarfile.TarInfo(name.replace("/outside", f"{root}/outside"))
            member.type, member.linkname, member.size = kind, link.replace("/outside", f"{root}/outside"), 0
            member.size = 4 if member.isreg() else 0
            archive.addfile(member, io.BytesIO(b"text"))
    packers = {"": bytes, "gz": lambda data: gzip.compress(data, mtime=0), "bz2": bz2.compress, "xz": lzma.compress}
    return packers[mode](memory.getvalue())


def zipped(found: list[tuple[str, bytes, str]], root: Path, mode: str) -> bytes:
    """Return a zip archive; a link is marked as one, as zip does on Unix."""
    memory = io.BytesIO()
    methods = {"": zipfile.ZIP_STORED, "gz": zipfile.ZIP_DEFLATED, "bz2": zipfile.ZIP_BZIP2, "xz": zipfile.ZIP_LZMA}
    with zipfile.ZipFile(memory, "w", methods[mode]) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of names that occur twice
        for name, kind, link in found:
            member = zipfile.ZipInfo(name.replace("/outside", f"{root}/outside").replace("\udcff", "_"))
            member.external_attr = (stat.S_IFLNK if kind in (LINK, HARD) else stat.S_IFREG) << 16
            archive.writestr(member, link.replace("\udcff", "_") if kind in (LINK, HARD) else b"text")
    return memory.getvalue()


@pytest.mark.parametrize("make", [tarred, zipped])
@cases(250)
@hypothesis.given(data=st.data(), found=members(), mode=st.sampled_from(["", "gz", "bz2", "xz"]))
def test_an_archive_is_unpacked_within_its_folder_or_refused(folder, make, data, found, mode):
    root = Path(tempfile.mkdtemp(dir=folder))
    (root / "outside").write_bytes(b"as it was")
    content = make(found, root, mode)
    (root / "archive").write_bytes(damage(data.draw, content) if data.draw(st.booleans()) else content)
    outcome(lambda: unpack(root / "archive", root / "in", where="an archive"))
    outcome(lambda: archive_member(root, {"kind": "package", "package": "a==1", "archive": "no"}))
    assert {path.name for path in root.iterdir()} == {"archive", "in", "outside"}
    assert (root / "outside").read_bytes() == b"as it was"
    assert all(path.is_file() or path.is_dir() for path in root.rglob("*"))
    assert not any(path.is_symlink() or path.stat().st_nlink > 1 for path in root.rglob("*") if not path.is_dir())
    assert not {name for name in ("outside", "absolute") if (Path("/") / name).exists()}


# Models ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """Return the folder of a tiny model, with the vocabulary as older checkpoints have it."""
    path = tmp_path_factory.mktemp("model")
    make_model(path, layers=1, dim=8, heads=2)
    vocabulary = json.loads((path / "tokenizer.json").read_text())["model"]["vocab"]
    (path / "vocab.txt").write_text("\n".join(vocabulary))
    return path


def change_json(draw: st.DrawFn, text: str) -> str:
    """Return the text of a JSON value with up to two values replaced, removed or added anywhere in it."""
    value = json.loads(text)
    known = list(places(value))
    for _ in range(draw(st.integers(1, 2))):
        change = draw(st.sampled_from([tweak, remove, double, swap, "new"]))
        (parent, key), other = (known[draw(st.integers(0, 2**20)) % len(known)] for _ in range(2))
        with contextlib.suppress(KeyError, IndexError, TypeError, OverflowError):
            if change == "new":
                parent[key] = draw(JSON_VALUES)
            else:
                change(draw, parent, key, other)
    with contextlib.suppress(RecursionError, ValueError):  # one of a value within itself
        return json.dumps(value)
    return text


def change_weights(draw: st.DrawFn, data: bytes) -> bytes:
    """Return a safetensors file whose header says something else."""
    size = int.from_bytes(data[:8], "little")
    header = change_json(draw, data[8 : 8 + size].decode()).encode()
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


@cases(300)
@hypothesis.given(data=st.data(), lacks=st.sampled_from(["vocab.txt", "vocab.txt", "tokenizer.json"]))
def test_a_model_is_converted_or_its_mistakes_are_told(folder, model, data, lacks):
    root = Path(tempfile.mkdtemp(dir=folder))
    names = ["config.json", "model.safetensors", "tokenizer_config.json", "tokenizer.json", "vocab.txt"]
    parts = {name: (model / name).read_bytes() for name in names if name != lacks}
    name = data.draw(st.sampled_from(list(parts)))
    if data.draw(st.booleans()):
        parts[name] = damage(data.draw, parts[name])
    elif name.endswith(".json"):
        parts[name] = change_json(data.draw, parts[name].decode()).encode()
    elif name == "model.safetensors":
        parts[name] = change_weights(data.draw, parts[name])
    for name, content in parts.items():
        (root / name).write_bytes(content)
    output = root / "out"
    output.mkdir()
    if outcome(lambda: [*convert_model(check_model(root, where="a model"), output, where="a model"), "done"]):
        files.write_sums(output)
        known = load_file(output / "model.safetensors")["distilbert.embeddings.word_embeddings.weight"].shape[0]
        assert Architecture.from_config(json.loads((output / "config.json").read_text()))
        assert encode(["good film", "\N{SNOWMAN} " * 99, "\0"], [0, 1, 0], output).tokens.max() < known


# Files between jobs ---------------------------------------------------------------------------------------------------

MARKED = files.blank_seal()  # what a seal looks like, in a text that is none
KEPT_TEXTS = st.lists(
    st.one_of(st.sampled_from(["", "good film", MARKED, MARKED[:-1]]), st.text(max_size=9)), max_size=6
)


def check_kept(data: st.DataObject, path: Path, read: Act, original: Any) -> None:
    """Fail unless a file reads as it was written and, once damaged, is refused and set aside or reads the same."""
    assert read() == original
    before = path.read_bytes()
    path.write_bytes(damage(data.draw, before))
    found = outcome(read)
    assert found == original if found is not None else not path.exists()


@cases(150)
@hypothesis.given(data=st.data(), texts=KEPT_TEXTS)
def test_a_table_is_read_as_it_was_written_or_refused(folder, data, texts):
    path = folder / "table.parquet"
    columns = {"example_id": [str(number) for number in range(len(texts))], "text": texts, "label": [0] * len(texts)}
    table = pa.table(columns, schema=EXAMPLES)
    write_table(table, path)
    check_kept(data, path, lambda: read_table(path, EXAMPLES).to_pylist(), table.to_pylist())


@cases(150)
@hypothesis.given(data=st.data(), lengths=st.lists(st.integers(1, 9), min_size=1, max_size=20))
def test_token_ids_are_read_as_they_were_written_or_refused(folder, data, lengths):
    path, offsets = folder / "train.safetensors", np.cumsum([0, *lengths])
    encoded = Encoded(np.arange(offsets[-1], dtype=np.int32), offsets.astype(np.int64), np.arange(len(lengths)))
    save_encoded(encoded, path)

    def read() -> list[list[int]]:
        found = load_encoded(path)
        return [part.tolist() for part in (found.tokens, found.offsets, found.labels)]

    check_kept(data, path, read, [part.tolist() for part in (encoded.tokens, encoded.offsets, encoded.labels)])


@cases(150)
@hypothesis.given(data=st.data(), texts=KEPT_TEXTS)
def test_facts_are_read_as_they_were_written_or_refused(folder, data, texts):
    path = folder / "dataset.json"
    files.write_facts({"classes": texts, "train": len(texts)}, path)
    check_kept(data, path, lambda: files.read_facts(path), {"classes": texts, "train": len(texts)})


@cases(150)
@hypothesis.given(data=st.data(), spoilt=st.sampled_from(["config.json", "model.safetensors", files.SUMS, files.SUMS]))
def test_a_folder_is_as_it_was_written_or_refused(folder, model, data, spoilt):
    path = Path(tempfile.mkdtemp(dir=folder)) / "model"
    shutil.copytree(model, path)
    files.write_sums(path)
    sums = files.check_sums(path)
    (path / spoilt).write_bytes(damage(data.draw, (path / spoilt).read_bytes()))
    found = outcome(lambda: files.check_sums(path))
    assert found == sums if found is not None else not path.exists()
