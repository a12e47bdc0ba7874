"""Write the config of a study on a file of one's own: columns guessed or asked for, a design with its cost.

usage: python -m finevar.commands.new --data FILE [--text COLUMN] [--label COLUMN] [--name NAME]
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from finevar import ROOT
from finevar.data.corpus import prepare
from finevar.errors import InputError
from finevar.files import write_bytes
from finevar.study.config import read_config
from finevar.study.consistency import as_list, cut, listed
from finevar.study.containers import opened
from finevar.study.content import is_file
from finevar.study.design import Run, plan_study
from finevar.study.dialects import SUFFIXES, format_of
from finevar.study.yaml_files import load_config
from finevar.words.formatting import counted
from finevar.words.numbers import duration

STUDIES = Path("config/studies")
TEMPLATE = Path(__file__).parent / "templates" / "study.yaml"
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
TEXT_NAMES = r"text|sentence|review|body|content|comment|message|tweet|post|question|description"
LABEL_NAMES = r"label|class|category|target|sentiment|intent|topic|queue|rating|stars|tag|y"
SEPARATORS, ENCODINGS = ",;\t|", ("utf-8-sig", "cp1252")
MOST_ROWS = 5_000  # that columns are guessed from
MOST_CLASSES = 200  # of a column that is guessed to hold classes
EVALUATED, MOST_EVALUATED, MOST_TRAINED = 0.3, 1_000, 400  # share of examples; examples
# Of the pretrained encoder on one core with bfloat16, words counted: make bench. A rough guide; the design card times.
TRAINED_WORDS, EVALUATED_WORDS, RUN_SECONDS, REPORT_SECONDS = 1_100, 3_500, 3.0, 60.0


def main(arguments: Sequence[str]) -> int:
    """Write the config and say what comes next; return the exit status."""
    parser = argparse.ArgumentParser(prog="make new", description="Write a study of your own data.")
    parser.add_argument("--data", type=Path, help="a file: CSV, TSV, JSONL or Parquet")
    parser.add_argument("--text", help="the column with the text, or two of a pair as ONE,OTHER; guessed by default")
    parser.add_argument("--label", help="the column with the class; guessed by default")
    parser.add_argument("--name", help="of the study and its config; the file's by default")
    options = parser.parse_args(arguments)
    try:
        data = options.data or Path(ask("File with texts and labels", None, "--data FILE"))
        print("\n".join(write_study(data, options.text, options.label, options.name)))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def write_study(data: Path, text: str | None, label: str | None, name: str | None) -> list[str]:
    """Write a study's config; return what to say of it.

    Raises InputError where the file cannot be used as it is, and where the config is there already.
    """
    if not is_file(data):
        where, remedy = cut(str(data), 300), "Correct --data."
        raise InputError(where, found="no such file", allowed="a file with texts and labels", remedy=remedy)
    study = re.sub(r"[^a-z0-9_]+", "_", (name or data.name.partition(".")[0]).lower()).strip("_") or "mine"
    config = STUDIES / f"{study}.yaml"
    if config.exists():
        remedy = "Edit it, remove it, or give another --name."
        raise InputError(str(config), found="a config", allowed="a name that is free", remedy=remedy)
    reading, rows = look(data)
    text = columns_in(text or choose("text", rows, ranked_texts(rows)), rows)
    others = rows.drop(columns=text, errors="ignore")
    label = label or choose("label", others, ranked_labels(others))
    spec = {"file": data.name, "text": text, "label": label, "folder": data.parent, "reading": reading}
    known = about(spec, data, len(rows), rows[label].astype(str).nunique() if label in rows else 1)
    content = filled(spec | known, config, study)
    config.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(content.encode(), config)
    read_config(load_config(config))  # what is written here can be read
    texts = listed(map(repr, as_list(text)))
    return [
        f"{config}: {known['kept']:,} examples, text from {texts}, {len(known['names'])} classes from {label!r}.",
        "Look it over: a comment explains each part. Then:",
        f"  make design-card CONFIG={config}   # what the design can find, minutes, memory, disk",
        f"  make study CONFIG={config}",
    ]


# Columns --------------------------------------------------------------------------------------------------------------


def look(path: Path) -> tuple[dict[str, str], pd.DataFrame]:
    """Return the keys that the file needs to be read, and its first rows."""
    form = format_of({}, path)
    if form is None:
        allowed = f"one of {', '.join(SUFFIXES)}"
        raise InputError(str(path), found=f"suffix {path.suffix!r}", allowed=allowed, remedy="Rename it.")
    with opened(path) as file:
        stored = file.read()
    if form == "parquet":
        return {}, pd.read_parquet(io.BytesIO(stored)).head(MOST_ROWS)
    encoding, content = decoded(stored, path)
    if form in ("json", "jsonl"):
        return {}, pd.read_json(io.StringIO(content), lines=form == "jsonl", dtype=False).head(MOST_ROWS)
    usual = "\t" if form == "tsv" else ","
    separator = max(SEPARATORS, key=lambda each: (content.partition("\n")[0].count(each), each == usual))
    reading = {} if separator == usual else {"separator": separator}
    reading |= {} if encoding == ENCODINGS[0] else {"encoding": encoding}
    lines = csv.reader(io.StringIO(content, newline=""), delimiter=separator)
    names, *rows = (row for _, row in zip(range(MOST_ROWS), lines, strict=False))
    return reading, pd.DataFrame([row for row in rows if len(row) == len(names)], columns=names)


def decoded(content: bytes, path: Path) -> tuple[str, str]:
    """Return the encoding in which a file's content is text, the likeliest one, and that text."""
    for encoding in ENCODINGS:
        with contextlib.suppress(UnicodeDecodeError):
            return encoding, content.decode(encoding)
    raise InputError(str(path), found="no text", allowed="text in UTF-8", remedy="Save it as CSV in UTF-8.")


def ranked_texts(rows: pd.DataFrame) -> list[str]:
    """Return the columns that may hold texts, the likeliest first: by name, then by length."""
    words = {name: rows[name].astype(str).str.split().str.len().mean() for name in rows if is_written(rows[name])}
    likely = [name for name, count in words.items() if count >= 2]
    return sorted(likely, key=lambda name: (not re.search(TEXT_NAMES, name.lower()), -words[name]))


def columns_in(text: str, rows: pd.DataFrame) -> str | list[str]:
    """Return the column that a user names or, where it is two with a comma between, both of a sentence pair."""
    pair = [name.strip() for name in text.split(",")]
    return pair if text not in rows and len(pair) == 2 and {*pair} <= {*rows} else text


def ranked_labels(rows: pd.DataFrame) -> list[str]:
    """Return the columns that may hold classes, the likeliest first: by name, then by how few values they have."""
    counts = {name: rows[name].astype(str).nunique() for name in rows}
    most = min(MOST_CLASSES, len(rows) / 3)
    likely = [name for name, count in counts.items() if 2 <= count <= most]
    return sorted(likely, key=lambda name: (not re.fullmatch(rf".*\b({LABEL_NAMES})\b.*", name.lower()), counts[name]))


def is_written(column: pd.Series) -> bool:
    """Say whether a column holds strings."""
    return bool(column.map(lambda cell: isinstance(cell, str)).any())


def choose(what: str, rows: pd.DataFrame, ranked: Sequence[str]) -> str:
    """Return the column to take: what the user says, who is offered the likeliest."""
    for name in rows:
        values = pd.unique(rows[name].astype(str))[:3]
        print(f"  {name}: {listed(cut(value, 40) for value in values)}")
    return ask(f"Column with the {what}", ranked[0] if ranked else None, f"--{what} COLUMN")


def ask(what: str, guess: str | None, option: str) -> str:
    """Return what a user types, or the guess; where nobody can answer, the guess."""
    if sys.stdin.isatty():
        return input(f"{what}{f' [{guess}]' if guess else ''}: ").strip() or guess or ask(what, guess, option)
    if guess is None:
        raise InputError("make new", found="nothing to guess from", allowed=what, remedy=f'Say ARGS="{option}".')
    print(f"{what}: {guess} (guessed; {option} takes another)")
    return guess


# Config ---------------------------------------------------------------------------------------------------------------


def about(spec: Mapping[str, Any], data: Path, rows: int, classes: int) -> dict[str, Any]:
    """Return what the preparation of the data finds and how many examples a study evaluates on.

    rows, classes: of the data, at least; of each class one is evaluated on.
    """
    evaluated = 0
    wanted = max(most_evaluated(rows), classes)
    while evaluated != wanted:  # the share is of what is usable, which is known afterwards
        evaluated = wanted
        parts, facts = prepare(spec | spec["reading"] | {"eval_examples": evaluated}, data.parent, hub=False)
        wanted = min(evaluated, max(most_evaluated(sum(map(len, parts.values()))), len(facts["classes"])))
    used = pd.concat(parts.values())
    return {
        "rows": facts["read"],
        "kept": len(used),
        "names": facts["classes"],
        "words": float(used["text"].str.split().str.len().mean()),
        "eval": evaluated,
        "pool": len(parts["train"]),
        "train": min(len(parts["train"]), MOST_TRAINED),
    }


def most_evaluated(examples: int) -> int:
    """Return of how many examples a study is evaluated on, of those there are."""
    return min(MOST_EVALUATED, max(1, round(EVALUATED * examples)))


def filled(known: Mapping[str, Any], config: Path, study: str) -> str:
    """Return the config's text: the template filled in twice, since the cost follows from the design."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["yaml"] = scalar
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    values = known | {"config": config, "study": study, "schema": os.path.relpath(SCHEMA, config.parent)}
    planned = yaml.safe_load(template.render(values, settings=0, runs=0, cost=""))
    runs = plan_study(read_config(planned)).runs.values()
    settings = len({run.point_id for run in runs}) - 1
    return template.render(values, settings=settings, runs=len(runs), cost=cost(list(runs), known))


def scalar(value: Any) -> str:
    """Return a value as YAML writes it in a line."""
    return (
        yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000).removesuffix("...\n").strip()
    )


def cost(runs: Sequence[Run], known: Mapping[str, Any]) -> str:
    """Say about how long the runs take on this machine's cores."""
    epochs = sum(run.settings["epochs"] for run in runs)
    training = known["words"] * known["train"] * epochs / TRAINED_WORDS
    evaluation = known["words"] * known["eval"] * len(runs) / EVALUATED_WORDS
    cores = len(os.sched_getaffinity(0))
    seconds = REPORT_SECONDS + (training + evaluation + RUN_SECONDS * len(runs)) / cores
    return f"roughly {duration(seconds)} on {counted(cores, 'core')}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
