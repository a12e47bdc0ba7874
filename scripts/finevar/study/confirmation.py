"""What `make confirm` trains: some of a study's settings with fresh seeds, as results/<study>/confirm.csv lists them.

The file is written when a confirmation is asked for, and names the runs of the study that the settings were chosen by:
after any change of these it is stale, and its runs are no longer part of what Snakemake makes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from finevar.errors import InputError
from finevar.files import write_bytes
from finevar.study.additions import following_seeds
from finevar.study.consistency import Config
from finevar.study.design import Run, Study, design_rows, plan_runs
from finevar.study.designs import Point
from finevar.study.identity import digest
from finevar.study.paths import confirmation_file, place
from finevar.study.schemas import normalise
from finevar.study.seed_parts import combination_count, varied
from finevar.study.settings import has_names

FEWEST_SEEDS = 3  # with two, an interval for new seeds has one degree of freedom
RECOMMENDED, RIVAL, BASELINE = "recommended", "rival", "baseline"


def fresh_seeds(sweep: Mapping[str, Any]) -> list[int]:
    """Return the seeds of a confirmation: those after the study's largest."""
    used = {seed for seeds in varied(sweep).values() for seed in seeds}
    count = sweep.get("confirm_seeds") or max(FEWEST_SEEDS, combination_count(sweep))
    return following_seeds(used, count)


def chosen_from(run_ids: Iterable[str]) -> str:
    """Return a digest of a study's runs: of their data, settings, seeds and starting model."""
    return digest(sorted(run_ids))


def confirmation_runs(study: Study, points: Iterable[Point], seeds: Iterable[int]) -> dict[str, Run]:
    """Return the runs of some settings with some seeds, by the ids that the study itself would give them.

    A seed changes all parts that the study varies; where it crosses them, too.
    """
    sweep = study.config["sweep"] | {"seeds": list(seeds), "vary": list(varied(study.config["sweep"]))}
    return plan_runs(study.config | {"sweep": sweep}, list(points))


def evaluation_folder(config: Config, run: Run) -> Path:
    """Return where a run's evaluation is that confirms its setting: on the sentences held back, if there are any."""
    kind = "confirmation" if "confirm_examples" in config["datasets"][run.dataset] else "run"
    return place(kind, dataset=run.dataset, run=run.run_id)


def write_plan(study: Study, settings: Iterable[tuple[str, Point]]) -> Path:
    """List the runs of settings, each with its role, with fresh seeds; leave the file as it is where it lists them."""
    settings, path = list(settings), confirmation_file(study.config["study"])
    roles = {tuple(point.values()): role for role, point in settings}
    runs = confirmation_runs(study, (point for _, point in settings), fresh_seeds(study.config["sweep"]))
    names, made_of = list(study.config["sweep"]["factors"]), chosen_from(study.runs)
    rows = [
        {"role": roles[tuple(row[name] for name in names)], "chosen_from": made_of} | row
        for row in design_rows(runs.values())
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    content = text.getvalue().encode()
    if not path.exists() or path.read_bytes() != content:
        write_bytes(content, path)
    return path


def planned_runs(study: Study) -> dict[str, Run]:
    """Return the runs that a study's confirm.csv lists; none where there is no such file, or where it is stale.

    Raises InputError where it is not as write_plan() leaves it.
    """
    path = confirmation_file(study.config["study"])
    if not path.exists():
        return {}
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        if rows[0]["chosen_from"] != chosen_from(study.runs):
            return {}
        names = list(study.config["sweep"]["factors"])
        points = dict.fromkeys(
            tuple(row[name] if has_names(name) else float(row[name]) if row[name] else None for name in names)
            for row in rows
        )
        runs = confirmation_runs(
            study,
            (normalise(dict(zip(names, point, strict=True))) for point in points),
            dict.fromkeys(int(row["seed"]) for row in rows),
        )
        if [*runs] != [row["run_id"] for row in rows]:
            raise ValueError("other runs than its settings and seeds give")
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(
            str(path),
            found=f"content that cannot be used ({error})",
            allowed="the runs as `make confirm` lists them",
            remedy="Delete the file, and call `make confirm` again.",
        ) from None
    return runs
