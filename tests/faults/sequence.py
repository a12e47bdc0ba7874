"""A study that is edited again and again, started after each edit, and compared with one made from nothing."""

from __future__ import annotations

import copy
import hashlib
import json
import random
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml
from tests.faults.edits import ALL, EDITS, NEW, NOTHING, PREPARATION, Desk, Edit, lay_out, make_desk, toggle_factor
from tests.faults.kills import Outcome
from tests.faults.processes import left
from tests.faults.study import HUNG, ROOT, Place, Told, differences, run, wrong_ending

# Weights that are kept, and the file in which a tokenizer says, beside all else, where it came from.
NO_RESULT = re.compile(r"^left: .*/model$|/tokenizer_config\.json has other bytes$")
UNREAD = (".swp", ".txt")  # notes beside the data
CHEAP = {"fetch_model", "fetch_data", "prepare_dataset", "encode_dataset", "check_data", "write_design"}
GIVEN_BACK = {"train_baseline", "finetune_run", "evaluate_baseline", "evaluate_run"}


@dataclass(frozen=True)
class Work:
    """What a study's results show of the work that was done for them."""

    trainings: int  # that ended, ever
    evaluations: dict[str, str]  # metrics of each model: time that it took is in them, so that none is twice the same

    def since(self, before: Work) -> tuple[int, int]:
        """Return how many trainings and evaluations there have been since."""
        anew = [name for name, digest in self.evaluations.items() if before.evaluations.get(name) != digest]
        return self.trainings - before.trainings, len(anew)


def trials(place: Place, count: int, seed: int) -> Iterator[tuple[str, Outcome]]:
    """Yield each edit's number and outcome; of those that are possible, one that was made the fewest times so far."""
    draw, made = random.Random(f"{seed} edits"), Counter()
    desk = begin(place, draw)
    for number in range(1, count + 1):
        possible = [edit for edit in EDITS if edit.possible(desk)]
        fewest = min(made[edit.name] for edit in possible)
        edit = draw.choice([edit for edit in possible if made[edit.name] == fewest])
        made[edit.name] += 1
        yield str(number), trial(place, desk, edit, number)


def sequence(place: Place, names: Sequence[str]) -> Iterator[tuple[str, Outcome]]:
    """Yield the outcome of each of these edits, one after the other."""
    desk, kinds = begin(place, random.Random(0)), {edit.name: edit for edit in EDITS}
    for number, name in enumerate(names, 1):
        yield str(number), trial(place, desk, kinds[name], number)


def begin(place: Place, draw: random.Random) -> Desk:
    """Return a study that is through; in a short campaign it begins with one factor, for half as many runs."""
    desk = make_desk(place.root / "edited", draw)
    if place.goals:
        toggle_factor(desk)
    start_over(desk, fresh(place, desk))
    remember(place, desk)
    return desk


def trial(place: Place, desk: Desk, edit: Edit, number: int) -> Outcome:
    """Make an edit, start once and compare; where something is wrong, go on from what was made from nothing."""
    before = work_done(desk.folder)
    edit.do(desk)
    (desk.folder / "config.yaml").write_text(yaml.safe_dump(desk.config), encoding="utf-8")
    told = run(place, desk.folder, *desk.options, *goal(place, desk), project=desk.project)
    desk.options = ()
    reference = fresh(place, desk)
    trained, evaluated = work_done(desk.folder).since(before)
    jobs, wanted = jobs_of(told.text), models(reference, desk.config["study"])
    allowed = {ALL: len(wanted), NEW: len(wanted - set(before.evaluations))}.get(edit.most, 0)
    wrong = too_much(edit.most, trained, evaluated, jobs, allowed) + judge(told, desk, reference)
    notes = [f"at most {edit.most}", f"trained {trained} and evaluated {evaluated} of {len(wanted)}"]
    notes += [f"jobs: {shown(jobs)}"]
    if wrong:
        keep(place, desk, told, number)
        start_over(desk, reference)
    remember(place, desk)
    return Outcome(edit.name, wrong, told.seconds, 0, max(0, trained - allowed), notes, told.text)


# What was done --------------------------------------------------------------------------------------------------------


def work_done(folder: Path) -> Work:
    """Return the work that a study's results show."""
    logs = [path.read_text(encoding="utf-8") for path in (folder / "results").rglob("attempts.log")]
    metrics = [
        path
        for pattern in ("runs/*/*/metrics.parquet", "baselines/*/*/metrics.parquet")
        for path in (folder / "results").glob(pattern)
    ]
    digests = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in metrics}
    return Work(sum(log.count(" finished at step ") for log in logs), digests)


def models(reference: Path, study: str) -> set[str]:
    """Return the metrics file of each model of a study made from nothing: runs and baseline."""
    design = pd.read_csv(reference / "results" / study / "design.csv")
    baselines = reference.glob("results/baselines/*/*/metrics.parquet")
    return {f"{path}/metrics.parquet" for path in design["path"]} | {
        str(path.relative_to(reference)) for path in baselines
    }


def jobs_of(text: str) -> Counter[str]:
    """Return how many jobs of each rule a start has run, by what Snakemake says."""
    return Counter(re.findall(r"^(?:local)?rule (\w+):$", text, re.MULTILINE)) - Counter(all=99)


def shown(jobs: Counter[str]) -> str:
    """Return the jobs in words: those that matter by name, the others by their number."""
    named = [f"{jobs[rule]} {rule}" for rule in (*sorted(CHEAP), *sorted(GIVEN_BACK)) if jobs[rule]]
    others = sum(count for rule, count in jobs.items() if rule not in CHEAP | GIVEN_BACK)
    return ", ".join(named + ([f"{others} of analysis"] if others else [])) or "none"


def too_much(most: str, trained: int, evaluated: int, jobs: Counter[str], allowed: int) -> list[str]:
    """Return what was done beyond what an edit asks for; a job that gave finished outputs back has done nothing."""
    wrong = [f"{trained} trained, {allowed} needed"] if trained > allowed else []
    wrong += [f"{evaluated} evaluated, {allowed} needed"] if evaluated > allowed else []
    beyond = set(jobs) - {NOTHING: set(), PREPARATION: CHEAP | GIVEN_BACK}.get(most, set(jobs))
    return wrong + ([f"reran {', '.join(sorted(beyond))}"] if beyond and not wrong else [])


# Comparison -----------------------------------------------------------------------------------------------------------


def judge(told: Told, desk: Desk, reference: Path) -> list[str]:
    """Return all that is wrong with a study that was started after an edit."""
    wrong = wrong_ending(told)
    if told.status == HUNG:
        return wrong
    study = desk.config["study"]
    found = differences(desk.folder, reference, study)
    wrong += [line for line in found if not NO_RESULT.search(line)]
    wrong += left_behind(desk.folder / "results" / study, reference / "results" / study)
    return wrong + [f"still runs: {words}" for words in left(desk.folder, within=5)]


def left_behind(folder: Path, reference: Path) -> list[str]:
    """Return the files of a study's own folder that one made from nothing does not have."""
    one, two = ({str(path.relative_to(top)) for path in top.rglob("*")} for top in (folder, reference))
    return [f"left behind: {name}" for name in sorted(one - two)]


def fresh(place: Place, desk: Desk) -> Path:
    """Return the folder of a study made from nothing with the same config and files; made once for each."""
    folder = place.root / "fresh" / identity(desk)
    if folder.exists():
        return folder
    beside = folder.with_suffix(".made")
    beside.mkdir(parents=True)
    lay_out(desk.folder, beside)
    (beside / "config.yaml").write_text(yaml.safe_dump(desk.config), encoding="utf-8")
    told = run(place, beside, *goal(place, desk))
    if told.status:
        raise RuntimeError(f"the study made from nothing failed:\n{told.text}")
    beside.rename(folder)
    return folder


def identity(desk: Desk) -> str:
    """Return a hash of a study's config and of the content of its own files."""
    files = [path for path in [*desk.folder.glob("mine/**/*"), desk.folder / "points.csv"] if path.is_file()]
    found = {str(path.relative_to(desk.folder)): path.read_bytes() for path in files if path.suffix not in UNREAD}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
    return hashlib.sha256(json.dumps([desk.config, digests], sort_keys=True).encode()).hexdigest()[:12]


def goal(place: Place, desk: Desk) -> list[str]:
    """Return what a start is asked for: all, or where the campaign has goals, the study's metrics."""
    return ["--", f"results/{desk.config['study']}/metrics.parquet"] if place.goals else []


# The desk -------------------------------------------------------------------------------------------------------------


def start_over(desk: Desk, reference: Path) -> None:
    """Put the study made from nothing in place of the one that was edited, and begin with the clone that made it."""
    subprocess.run(["rm", "-rf", str(desk.folder)], check=True)
    subprocess.run(["cp", "-a", str(reference), str(desk.folder)], check=True)
    desk.project = ROOT


def remember(place: Place, desk: Desk) -> None:
    """Note the study's own files and its config, so that a later edit can go back to them."""
    files = place.root / "past" / str(len(desk.past))
    files.mkdir(parents=True)
    lay_out(desk.folder, files)
    desk.past.append((files, copy.deepcopy(desk.config)))


def keep(place: Place, desk: Desk, told: Told, number: int) -> None:
    """Keep a study with which something is wrong, and what its start said."""
    kept = place.root / f"edit-{number}"
    subprocess.run(["cp", "-a", str(desk.folder), str(kept)], check=True)
    (kept / "told.txt").write_text(told.text, encoding="utf-8")
