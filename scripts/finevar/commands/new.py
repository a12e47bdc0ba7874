"""Write the config of a study on a file of one's own: columns guessed or asked for, a design with its cost.

usage: python -m finevar.commands.new --data FILE [--text COLUMN] [--label COLUMN] [--name NAME] [--key "KEY: VALUE"]
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import math
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
from finevar.data.reading import read_bytes, read_table
from finevar.errors import InputError
from finevar.files import write_bytes
from finevar.study.config import read_config
from finevar.study.consistency import as_list, cut, listed
from finevar.study.content import is_file
from finevar.study.design import Run, plan_study
from finevar.study.dialects import SEPARATORS, format_of, stated_separator
from finevar.study.schemas import problem_of, raise_problems, read_schema, schema_errors
from finevar.study.yaml_files import load_config
from finevar.words.formatting import counted
from finevar.words.numbers import duration

STUDIES = Path("config/studies")
TEMPLATE = Path(__file__).parent / "templates" / "study.yaml"
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
TEXT_NAMES = r"text|sentence|review|body|content|comment|message|tweet|post|question|description"
LABEL_NAMES = r"label|class|category|target|sentiment|intent|topic|queue|rating|stars|tag|y"
LIKELY_SEPARATORS = ",;\t|"
OWN = ("source", "file", "text", "label", "eval_examples")  # keys of the data set that are found or asked for here
MOST_ROWS = 5_000  # that columns are guessed from
MOST_CLASSES = 200  # of a column that is guessed to hold classes
EVALUATED, MOST_EVALUATED, MOST_TRAINED = 0.3, 1_000, 400  # share of examples; examples
LARGEST_BATCH, FEWEST_TRAINED = 32, 4  # examples; a batch and two halves of it are levels
# Of the pretrained encoder on one core with bfloat16, words counted: make bench. A rough guide; the design card times.
TRAINED_WORDS, EVALUATED_WORDS, RUN_SECONDS, REPORT_SECONDS = 1_100, 3_500, 3.0, 60.0


def main(arguments: Sequence[str]) -> int:
    """Write the config and say what comes next; return the exit status."""
    parser = argparse.ArgumentParser(prog="make new", description="Write a study of your own data.")
    parser.add_argument("--data", type=Path, help="a file: CSV, TSV, JSONL or Parquet")
    parser.add_argument("--text", help="the column with the text, or two of a pair as ONE,OTHER; guessed by default")
    parser.add_argument("--label", help="the column with the class; guessed by default")
    parser.add_argument("--name", help="of the study and its config; the file's by default")
    parser.add_argument(
        "--key", action="append", default=[], help="of the data set, as a config has it: 'threshold: 3'"
    )
    options = parser.parse_args(arguments)
    try:
        data = options.data or Path(ask("File with texts and labels", None, "--data FILE"))
        print("\n".join(write_study(data, options.text, options.label, options.name, options.key)))
    except InputError as error:
        print(error, *hints(error), sep="\n", file=sys.stderr)
        return 1
    return 0


def hints(error: InputError) -> list[str]:
    """Return how to give, here, the keys of the data set that an error's remedy speaks of."""
    keys = [key for key in dataset_keys() if re.search(rf"`{key}\b|\b{key}: ", error.remedy)]
    return [f"""Here such a key is an option: ARGS="--data FILE --key '{key}: VALUE'".""" for key in keys[:1]]


def dataset_keys() -> list[str]:
    """Return the keys of a data set that may be given beside those that are found here."""
    return [key for key in read_schema("config")["$defs"]["dataset"]["properties"] if key not in OWN]


def read_keys(given: Sequence[str]) -> dict[str, Any]:
    """Return keys of the data set that are given as YAML; raise InputError for what is none of them."""
    keys: dict[str, Any] = {}
    for text in given:
        try:
            keys |= yaml.safe_load(text)
        except (TypeError, ValueError, yaml.YAMLError):
            remedy = "Write it as in a config, such as --key 'drop_rare_classes: 2'."
            raise InputError("--key", found=cut(repr(text)), allowed="a key and its value", remedy=remedy) from None
    schema = read_schema("config")
    known = {key: schema["$defs"]["dataset"]["properties"][key] for key in dataset_keys()}
    errors = schema_errors(keys, {"properties": known, "additionalProperties": False, "$defs": schema["$defs"]})
    raise_problems(problem_of(error, "--key") for error in errors)
    return keys


def write_study(
    data: Path, text: str | None, label: str | None, name: str | None, keys: Sequence[str] = ()
) -> list[str]:
    """Write a study's config; return what to say of it.

    keys: of the data set, as YAML. Raises InputError where the file cannot be used as it is, and where the config is
    there already.
    """
    if not is_file(data):
        where, remedy = cut(str(data), 300), "Correct --data."
        raise InputError(where, found="no such file", allowed="a file with texts and labels", remedy=remedy)
    study = re.sub(r"[^a-z0-9_]+", "_", (name or data.name.partition(".")[0]).lower()).strip("_") or "mine"
    config = STUDIES / f"{study}.yaml"
    if config.exists():
        remedy = "Edit it, remove it, or give another --name."
        raise InputError(str(config), found="a config", allowed="a name that is free", remedy=remedy)
    reading = read_keys(keys)
    reading |= {key: value for key, value in guessed(data, reading).items() if key not in reading}
    rows = first_rows(data, reading)
    text = None if "join" in reading else columns_in(text or choose("text", rows, ranked_texts(rows)), rows)
    rest = rows.drop(columns=reading.get("join", text), errors="ignore")
    label = None if "label_from" in reading else label or choose("label", rest, ranked_labels(rest))
    columns = {key: name for key, name in (("text", text), ("label", label)) if name}
    spec = {"file": data.name, "folder": data.parent, "columns": columns, "reading": reading}
    known = about(spec, data, len(rows), rows[label].map(str).nunique() if label in rows else 1)
    content = filled(spec | known, config, study)
    config.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(content.encode(), config)
    read_config(load_config(config))  # what is written here can be read
    return [
        f"{config}: {known['kept']:,} examples, {len(known['names'])} classes; columns: "
        f"{listed(name for value in columns.values() for name in as_list(value)) or 'none'}.",
        "Look it over: a comment explains each part. Then:",
        f"  make design-card CONFIG={config}   # what the design can find, minutes, memory, disk",
        f"  make study CONFIG={config}",
    ]


# Columns --------------------------------------------------------------------------------------------------------------


def guessed(path: Path, keys: Mapping[str, Any]) -> dict[str, str]:
    """Return the separator and the encoding that a file needs to be read, where they are not the usual ones."""
    form = format_of(keys, path)
    if form not in SEPARATORS:
        return {}
    content = read_bytes(path, cut(str(path), 300))
    encoding = keys.get("encoding") or likely_encoding(content)
    with contextlib.suppress(LookupError, UnicodeError):
        content = content.decode(encoding).encode()
    line = content.removeprefix(codecs.BOM_UTF8).decode(errors="replace").partition("\n")[0]
    usual = SEPARATORS[form]
    separator = max(LIKELY_SEPARATORS, key=lambda each: (line.count(each), each == usual))
    found = {} if encoding == "utf-8" else {"encoding": encoding}
    return found | ({} if separator == usual or stated_separator(line) else {"separator": separator})


def likely_encoding(content: bytes) -> str:
    """Return the encoding in which a file's content is text, the likeliest one."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding in ("utf-8", "cp1252"):
        with contextlib.suppress(UnicodeDecodeError):
            content.decode(encoding)
            return encoding
    return "latin-1"


def first_rows(path: Path, reading: Mapping[str, Any]) -> pd.DataFrame:
    """Return the first rows of a file, the columns whose names are there once; raise InputError of no row."""
    rows = read_table(reading, path)
    if rows.empty:
        where, remedy = cut(str(path), 300), "Give a file of texts and labels."
        raise InputError(where, found="no example", allowed="an example or more", remedy=remedy)
    return rows.loc[:, ~rows.columns.duplicated(keep=False)].rename(columns=str).head(MOST_ROWS)


def ranked_texts(rows: pd.DataFrame) -> list[str]:
    """Return the columns that may hold texts, the likeliest first: by name, then by length."""
    words = {name: rows[name].map(str).str.split().str.len().mean() for name in rows if is_written(rows[name])}
    likely = [name for name, count in words.items() if count >= 2]
    return sorted(likely, key=lambda name: (not re.search(TEXT_NAMES, name.lower()), -words[name]))


def columns_in(text: str, rows: pd.DataFrame) -> str | list[str]:
    """Return the column that a user names or, where it is two with a comma between, both of a sentence pair."""
    pair = [name.strip() for name in text.split(",")]
    return pair if text not in rows and len(pair) == 2 and {*pair} <= {*rows} else text


def ranked_labels(rows: pd.DataFrame) -> list[str]:
    """Return the columns that may hold classes, the likeliest first: by name, then by how few values they have."""
    counts = {name: rows[name].map(str).nunique() for name in rows}
    most = min(MOST_CLASSES, len(rows) / 3)
    likely = [name for name, count in counts.items() if 2 <= count <= most]
    return sorted(likely, key=lambda name: (not re.fullmatch(rf".*\b({LABEL_NAMES})\b.*", name.lower()), counts[name]))


def is_written(column: pd.Series) -> bool:
    """Say whether a column holds strings."""
    return bool(column.map(lambda cell: isinstance(cell, str)).any())


def choose(what: str, rows: pd.DataFrame, ranked: Sequence[str]) -> str:
    """Return the column to take: what the user says, who is offered the likeliest."""
    for name in rows:
        values = pd.unique(rows[name].map(str))[:3]
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
        whole = {"file": spec["file"], "margin": 0, "eval_examples": evaluated} | spec["columns"] | spec["reading"]
        parts, facts = prepare(whole, data.parent, hub=False)
        wanted = min(evaluated, max(most_evaluated(sum(map(len, parts.values()))), len(facts["classes"])))
    used, trained = pd.concat(parts.values()), min(len(parts["train"]), MOST_TRAINED)
    if trained < FEWEST_TRAINED:
        found, allowed = f"{trained} examples to train on", f"{FEWEST_TRAINED} or more"
        raise InputError(cut(str(data), 300), found=found, allowed=allowed, remedy="Add examples.")
    return {
        "rows": facts["read"],
        "kept": len(used),
        "names": facts["classes"],
        "words": float(used["text"].str.split().str.len().mean()),
        "eval": evaluated,
        "pool": len(parts["train"]),
        "train": trained,
        "batch": min(LARGEST_BATCH, 2 ** int(math.log2(trained))),  # the largest
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
