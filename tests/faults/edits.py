"""What people do to a study between two starts, each with the most that it may rerun."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import tiny
from tests.faults.study import PLAIN, ROOT, make_fresh

DAY = 86400
NOTHING = "nothing"
PREPARATION = "preparation of data"  # and fetching: no training, no evaluation, no analysis
ANALYSIS = "analysis"  # no training and no evaluation
NEW = "new runs only"  # runs of which there were no results, and what is analysed
ALL = "all"
GRID = [("0.001", "8"), ("0.001", "16"), ("0.009", "8"), ("0.009", "16")]
CONFIG = copy.deepcopy(PLAIN)  # with few short runs, and two factors
CONFIG["baseline"]["settings"] |= {"epochs": 2, "train_examples": 48}
CONFIG["sweep"]["factors"] = {
    "learning_rate": {"levels": [1e-3, 9e-3], "coding": "log10"},
    "batch_size": {"levels": [8, 16]},
}
CONFIG["training"] = {"max_length": 32, "train_examples": 32, "epochs": 2}
DEFAULTS = {"weight_decay": 0.0, "clip_norm": 1.0, "warmup": 0.0, "schedule": "linear", "frozen_layers": 0}


@dataclass
class Desk:
    """A study that is edited: its folder and config, the clone that starts it, and options of the next start alone."""

    folder: Path
    config: dict[str, Any]
    draw: random.Random
    project: Path = ROOT
    options: tuple[str, ...] = ()
    past: list[tuple[Path, dict[str, Any]]] = field(default_factory=list)  # files and config of earlier starts

    @property
    def data(self) -> Path:
        """Return the file of the study's sentences."""
        source, dataset = self.config["sources"]["texts"], self.config["datasets"]["texts"]
        return self.folder / source["path"] / dataset["file"]

    @property
    def model(self) -> Path:
        """Return the folder of the model that the study starts from."""
        return self.folder / self.config["sources"]["model"]["path"]

    @property
    def results(self) -> Path:
        """Return the folder of all results."""
        return self.folder / "results"

    @property
    def factors(self) -> dict[str, Any]:
        """Return the factors of the study."""
        return self.config["sweep"]["factors"]


@dataclass(frozen=True)
class Edit:
    """A kind of edit: its name, the most that it may rerun, what it does, and when there is something to do."""

    name: str
    most: str
    do: Callable[[Desk], None]
    possible: Callable[[Desk], bool] = lambda desk: True


def make_desk(folder: Path, draw: random.Random) -> Desk:
    """Lay out a study that has not been started yet; its model's folder is as transformers would leave it."""
    config = copy.deepcopy(CONFIG)
    make_fresh(folder, config)
    (folder / "mine/model/SHA256SUMS").unlink()
    return Desk(folder, config, draw)


# Data -----------------------------------------------------------------------------------------------------------------


def edit_rows(desk: Desk, change: Callable[[list[str]], list[str]]) -> None:
    """Write the data file anew with its rows changed, under the same name and inode."""
    head, *rows = desk.data.read_text(encoding="utf-8").splitlines()
    desk.data.write_text("".join(f"{line}\n" for line in (head, *change(rows))), encoding="utf-8")


def flip_labels(desk: Desk) -> None:
    """Give every third row the other label, beginning anywhere; the file's size stays."""
    first = desk.draw.randrange(3)
    edit_rows(desk, lambda rows: [flipped(row) if number % 3 == first else row for number, row in enumerate(rows)])


def flipped(row: str) -> str:
    """Return a row with the other label."""
    text, label, *more = row.split(",")
    return ",".join([text, {"positive": "negative", "negative": "positive"}[label], *more])


def flip_unseen(desk: Desk) -> None:
    """Change labels and restore the file's time: neither its size nor its date tells."""
    keeping_date(desk.data, lambda: flip_labels(desk))


def flip_older(desk: Desk) -> None:
    """Change labels and leave the file dated yesterday, as `cp -p` and unpacking an archive do."""
    flip_labels(desk)
    make_older(desk.data)


def add_row(desk: Desk) -> None:
    """Add a sentence that is not there yet."""
    there = desk.data.read_text(encoding="utf-8")
    pairs = tiny.make_sentences(200, seed=desk.draw.randrange(1000))
    text, label = next(pair for pair in pairs if f"\n{pair[0]}," not in there)
    columns = there.partition("\n")[0].count(",") - 1
    edit_rows(desk, lambda rows: [*rows, f"{text},{label}{',x' * columns}"])


def remove_row(desk: Desk) -> None:
    """Remove a sentence."""
    place = desk.draw.random()
    edit_rows(desk, lambda rows: rows[: int(place * len(rows))] + rows[int(place * len(rows)) + 1 :])


def shuffle_rows(desk: Desk) -> None:
    """Put the sentences into another order."""
    edit_rows(desk, lambda rows: desk.draw.sample(rows, len(rows)))


def add_column(desk: Desk) -> None:
    """Add a column that the study does not read."""
    head, *rows = desk.data.read_text(encoding="utf-8").splitlines()
    lines = [f"{head},more{head.count(',')}", *(f"{row},x" for row in rows)]
    desk.data.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def put_note(desk: Desk) -> None:
    """Put a file beside the data that is none of the study's: an editor's, or a note."""
    name = desk.draw.choice([f".{desk.data.name}.swp", "notes.txt", f"notes-{desk.draw.randrange(1000)}.txt"])
    beside = desk.data.with_name(name)
    beside.unlink(missing_ok=True)  # so that the folder's date changes either way
    beside.write_text("to do\n", encoding="utf-8")


def rename_data(desk: Desk) -> None:
    """Give the data file another name, in the config as well."""
    old, name = desk.data, f"texts-{desk.draw.randrange(10**6)}.csv"
    old.rename(old.with_name(name))
    desk.config["datasets"]["texts"]["file"] = name


def move_data(desk: Desk) -> None:
    """Move the folder of the data, in the config as well."""
    move_source(desk, "texts")


def move_model(desk: Desk) -> None:
    """Move the folder of the model, in the config as well."""
    move_source(desk, "model")


def move_source(desk: Desk, name: str) -> None:
    """Move the folder of a source, in the config as well."""
    source = desk.config["sources"][name]
    path = f"mine/{name}-{desk.draw.randrange(10**6)}"
    (desk.folder / source["path"]).rename(desk.folder / path)
    source["path"] = path


# Dates ----------------------------------------------------------------------------------------------------------------


def keeping_date(path: Path, change: Callable[[], object]) -> None:
    """Change a file and restore its time."""
    before = path.stat()
    change()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def make_older(path: Path) -> None:
    """Date a file yesterday."""
    when = time.time() - DAY
    os.utime(path, (when, when))


def shift_results(desk: Desk, seconds: float) -> None:
    """Shift the dates of all results, folders included, as a clock that was wrong would have them."""
    for path in [desk.results, *desk.results.rglob("*")]:
        when = path.lstat().st_mtime + seconds
        os.utime(path, (when, when), follow_symlinks=False)


# Model ----------------------------------------------------------------------------------------------------------------


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Write a JSON file anew, changed."""
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def edit_heads(desk: Desk) -> None:
    """Give the model another number of attention heads: the same weights, other results."""
    edit_json(desk.model / "config.json", lambda config: config.update(n_heads=6 - config["n_heads"]))


def replace_weights(desk: Desk) -> None:
    """Put other weights in place of the model's, dated yesterday."""
    other = desk.folder.with_name("other-weights")
    tiny.make_model(other, seed=desk.draw.randrange(1000))
    shutil.copyfile(other / "model.safetensors", desk.model / "model.safetensors")
    make_older(desk.model / "model.safetensors")
    shutil.rmtree(other)


def swap_words(desk: Desk) -> None:
    """Swap the numbers of a good and a bad word in the tokenizer."""

    def swap(tokenizer: dict[str, Any]) -> None:
        words, (one, two) = tokenizer["model"]["vocab"], [desk.draw.choice(kind) for kind in (tiny.GOOD, tiny.BAD)]
        words[one], words[two] = words[two], words[one]

    edit_json(desk.model / "tokenizer.json", swap)


def swap_words_older(desk: Desk) -> None:
    """Do so and leave the tokenizer dated yesterday."""
    swap_words(desk)
    make_older(desk.model / "tokenizer.json")


def edit_tokenizer_config(desk: Desk) -> None:
    """Change in the tokenizer's config what nothing depends on; all of its content is in the model's id."""
    name = f"someone/model-{desk.draw.randrange(10**6)}"
    edit_json(desk.model / "tokenizer_config.json", lambda config: config.update(name_or_path=name))


# Config ---------------------------------------------------------------------------------------------------------------


def toggle(values: list[Any], value: Any) -> None:
    """Add a value to a list, or remove it where it is there."""
    values.remove(value) if value in values else values.append(value)


def toggle_default(desk: Desk) -> None:
    """Write a setting out at its default, or leave it out again."""
    key = desk.draw.choice(sorted(DEFAULTS))
    if desk.config["training"].pop(key, None) is None:
        desk.config["training"][key] = DEFAULTS[key]


def toggle_factor(desk: Desk) -> None:
    """Fix the batch size at a level that it had, or make a factor of it again."""
    if desk.factors.pop("batch_size", None):
        desk.config["training"]["batch_size"] = 8
    else:
        del desk.config["training"]["batch_size"]
        desk.factors["batch_size"] = {"levels": [8, 16]}


def toggle_table(desk: Desk) -> None:
    """Take the points from a table, with a point that the grid does not have, or from the grid again."""
    if desk.config["sweep"].pop("design", None) is None:
        desk.config["sweep"]["design"] = {"kind": "table", "file": "points.csv"}
        write_points(desk, [*GRID, ("0.003", "16")])


def is_table(desk: Desk) -> bool:
    """Tell whether the points come from a table."""
    return "design" in desk.config["sweep"]


def read_points(desk: Desk) -> list[tuple[str, ...]]:
    """Return the rows of the table."""
    lines = (desk.folder / "points.csv").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split(",")) for line in lines[1:]]


def write_points(desk: Desk, points: list[tuple[str, ...]]) -> None:
    """Write the table anew."""
    lines = ["learning_rate,batch_size", *(",".join(point) for point in points)]
    (desk.folder / "points.csv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def change_point(desk: Desk) -> None:
    """Put another point in place of the one that the grid does not have."""
    points = [(f"0.00{digit}", size) for digit in (2, 3, 4, 5, 6) for size in ("8", "16")]
    write_points(desk, [*GRID, desk.draw.choice([point for point in points if point not in read_points(desk)])])


def older_table(desk: Desk) -> None:
    """Change a point and leave the table dated yesterday."""
    change_point(desk)
    make_older(desk.folder / "points.csv")


def remove_point_older(desk: Desk) -> None:
    """Remove a point and leave the table dated yesterday."""
    write_points(desk, GRID)
    make_older(desk.folder / "points.csv")


def toggle_study(desk: Desk) -> None:
    """Give the study another name, or its first one."""
    desk.config["study"] = {"toy": "other", "other": "toy"}[desk.config["study"]]


def set_weights(kept: str) -> Callable[[Desk], None]:
    """Return the edit of whether weights are kept."""
    return lambda desk: desk.config.update(keep_weights=kept)


def keeps_weights(desk: Desk) -> bool:
    """Tell whether weights are kept."""
    return desk.config.get("keep_weights") == "all"


def toggle_held_out(desk: Desk) -> None:
    """Hold fewer sentences out, or as many as before."""
    dataset = desk.config["datasets"]["texts"]
    dataset["eval_examples"] = 70 - dataset["eval_examples"]


# Results, clone and command -------------------------------------------------------------------------------------------


def flip_after_clock(desk: Desk) -> None:
    """Change labels now, beside results that a clock a day ahead has dated."""
    shift_results(desk, DAY)
    flip_labels(desk)


def copy_results(desk: Desk) -> None:
    """Put a copy in place of all results: new dates, no hard links."""
    beside = desk.folder / "copied"
    subprocess.run(["cp", "-r", str(desk.results), str(beside)], check=True)
    shutil.rmtree(desk.results)
    beside.rename(desk.results)


def clone_anew(desk: Desk) -> None:
    """Start from a new clone of the project, all of its files dated now, over what the old one has made."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    desk.project = desk.folder.with_name(f"clone-{desk.draw.randrange(10**6)}")
    for name in filter(lambda name: (ROOT / name).is_file(), listed.split("\0")):
        (desk.project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, desk.project / name)


def force_trainings(desk: Desk) -> None:
    """Ask Snakemake for all trainings once more."""
    desk.options = ("--forcerun", "finetune_run")


def return_to_past(desk: Desk) -> None:
    """Put files and config back to what they were at some earlier start, dated now, as a checkout does."""
    files, config = desk.draw.choice(desk.past[:-1])
    lay_out(files, desk.folder)
    desk.config = copy.deepcopy(config)


def lay_out(files: Path, folder: Path) -> None:
    """Put copies of a study's own files into a folder, dated now."""
    for name in ("mine", "points.csv"):
        remove(folder / name)
        if (files / name).exists():
            subprocess.run(["cp", "-r", str(files / name), str(folder / name)], check=True)


def remove(path: Path) -> None:
    """Remove a file or a folder, if there is one."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


EDITS = (
    Edit("labels changed", ALL, flip_labels),
    Edit("labels changed, older file", ALL, flip_older),
    Edit("labels changed, same date", ALL, flip_unseen),
    Edit("row added", ALL, add_row),
    Edit("row removed", ALL, remove_row),
    Edit("rows shuffled", PREPARATION, shuffle_rows),
    Edit("data touched", NOTHING, lambda desk: os.utime(desk.data)),
    Edit("note beside the data", NOTHING, put_note),
    Edit("data file renamed", ANALYSIS, rename_data),
    Edit("data folder moved", ANALYSIS, move_data),
    Edit("column added", ALL, add_column),
    Edit("attention heads", ALL, edit_heads),
    Edit("weights replaced, older", ALL, replace_weights),
    Edit("tokenizer edited", ALL, swap_words),
    Edit("tokenizer edited, older", ALL, swap_words_older),
    Edit("tokenizer config", ALL, edit_tokenizer_config),
    Edit("model folder moved", ANALYSIS, move_model),
    Edit("level added or removed", NEW, lambda desk: toggle(desk.factors["learning_rate"]["levels"], 3e-3)),
    Edit("seed added or removed", NEW, lambda desk: toggle(desk.config["sweep"]["seeds"], 2)),
    Edit("factor fixed or freed", NEW, toggle_factor, lambda desk: not is_table(desk)),
    Edit("table or grid", NEW, toggle_table, lambda desk: "batch_size" in desk.factors),
    Edit("table row changed", NEW, change_point, is_table),
    Edit("table row changed, older", NEW, older_table, is_table),
    Edit("table row removed, older", NEW, remove_point_older, is_table),
    Edit("default written out", NOTHING, toggle_default),
    Edit("study renamed", ANALYSIS, toggle_study),
    Edit("responses", ANALYSIS, lambda desk: toggle(desk.config["analysis"]["responses"], "f1")),
    Edit("weights kept", ALL, set_weights("all"), lambda desk: not keeps_weights(desk)),
    Edit("weights let go", NOTHING, set_weights("none"), keeps_weights),
    Edit("other held-out sentences", ALL, toggle_held_out),
    Edit("results dated ahead", ANALYSIS, lambda desk: shift_results(desk, DAY)),
    Edit("results dated back", ANALYSIS, lambda desk: shift_results(desk, -DAY)),
    Edit("dated ahead, then labels", ALL, flip_after_clock),
    Edit("results copied", ANALYSIS, copy_results),
    Edit("new clone", ANALYSIS, clone_anew),
    Edit("trainings forced", ANALYSIS, force_trainings),
    Edit("earlier state", ALL, return_to_past, lambda desk: len(desk.past) > 1),
)
