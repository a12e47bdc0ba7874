"""Add the runs to a finished study that bring the interval of one effect to a wanted half-width.

usage: python -m finevar.commands.augment [--configfile FILE] [--goal "EFFECT:METRIC HALFWIDTH"] [--by seeds|points]

Tells what more seeds and what more settings would take, then writes the cheaper way into the config, as an entry of
sweep.additions. Without a goal: what the report advises. `make augment` calls it, and `make study` runs what is new.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from finevar.analyses.fits import FittedStudy, Plan
from finevar.commands.analysis_jobs import read_outcomes
from finevar.commands.status import (
    DEFAULT_CONFIG,
    check_trained,
    look,
    of_this_version,
    prepared_positives,
    read_study,
    seconds_left,
    spell,
)
from finevar.errors import InputError
from finevar.planning.augmentation import SEEDS, WAYS, Question, Way, entry_of
from finevar.reasons import Next
from finevar.results.study_tables import read_analysis, read_metrics
from finevar.study.config import read_config
from finevar.study.design import Study, fit_params, plan_study
from finevar.study.goals import Goal, check_goal, contrasts_of, read_goal
from finevar.study.paths import place, table_file
from finevar.study.yaml_edits import add_entry, with_addition
from finevar.study.yaml_files import load_config
from finevar.words.formatting import counted, joined, settings_list
from finevar.words.numbers import PLUS_MINUS, percent, significant


class Offer(NamedTuple):
    """A way to a goal, and what it costs."""

    way: Way
    runs: int
    seconds: float | None  # None where the pace of the runs so far is not known


def finished_metrics(study: Study) -> Path:
    """Return the table of a study's runs; raise InputError where it did not train them, or they are not all there."""
    name = study.config["study"]
    check_trained(study, "Add models, or lines to the file of runs, by hand.")
    if isinstance(study.config["sweep"]["seeds"], Mapping):
        raise InputError(
            f"study {name}, sweep.seeds",
            found="seeds that are given part by part, of which a run has several",
            allowed="seeds that are independent of each other, as the two-stage rule supposes",
            remedy="Add values to the parts in sweep.seeds, or settings to the design, by hand.",
        )
    table, progress = place("study", study=name) / "metrics.parquet", look(study.runs.values())
    gathered = set(read_metrics(table)["run_id"]) if len(progress.done) == len(study.runs) and table.exists() else set()
    if gathered != study.runs.keys():
        left = len(study.runs) - len(progress.done)
        raise InputError(
            f"study {name}",
            found=f"{counted(left, 'run')} not done" if left else "runs that are not analysed yet",
            allowed="a study that is finished, since its own runs say what it takes",
            remedy="Call `make study` first.",
        )
    return table


def advised_goal(study: Study) -> Goal:
    """Return the goal that the report advises; raise InputError where it advises none."""
    table = table_file(study.config["study"], "next_runs")
    rows = read_analysis(table)
    for row in rows[rows["code"] == Next.AUGMENT].to_dict("records"):
        return Goal(row["factor"], row["response"], row["half_width"])
    raise InputError(
        "GOAL",
        found="nothing, and a report that advises no such addition",
        allowed="an effect, a metric and the half-width that its interval is to have",
        remedy='Name them, as in: make augment GOAL="batch_size:loss 0.01".',
    )


def question_of(study: Study, table: Path, goal: Goal) -> Question:
    """Return a goal with the fit of its response; raise InputError where the study cannot answer it."""
    plan, metrics = Plan.of(argparse.Namespace(**fit_params(study))), read_metrics(table)
    check_goal(goal, contrasts_of(plan.codings, plan.columns), plan.responses)
    folders = [place("baseline", baseline=known) for known in study.baseline_ids.values()]
    datasets = study.config["sweep"]["datasets"]
    baselines = [str(folder / name / "predictions.parquet") for folder in folders for name in datasets]
    plan = dataclasses.replace(plan, responses=[goal.response])
    fitted = FittedStudy.of(metrics, plan, read_outcomes(metrics, baselines))
    if not fitted.surfaces:
        raise InputError(
            f"GOAL, metric {goal.response}",
            found=fitted.stopped[goal.response].sentence,
            allowed="a metric that the report analyses",
            remedy="Choose another metric.",
        )
    return Question(study, fitted.surfaces[0], goal)


def offer_of(question: Question, way: Way, content: dict) -> Offer:
    """Return what a way costs, by the runs that it adds to a config as it is written and by the pace of those done."""
    entry = entry_of(way, question.goal, date.today().isoformat())
    study = plan_study(read_config(with_addition(content, entry)))
    progress, rows = of_this_version(look(study.runs.values()), prepared_positives(study))
    return Offer(way, progress.left, seconds_left(study, progress, rows))


def offer_text(offer: Offer) -> str:
    """Say what a way adds, what it costs and which half-width is to be expected."""
    facts, way = offer.way.facts, offer.way
    added = f"{counted(way.count, 'more setting')} at every seed"
    if way.kind == SEEDS:
        added = f"{counted(way.count, 'more seed')} ({joined(list(map(str, facts['seeds'])))}) at every setting"
    took = "" if offer.seconds is None else f", about {spell(offer.seconds)}"
    return (
        f"{way.kind}: {added}, {counted(offer.runs, 'run')}{took}; expected {PLUS_MINUS}{significant(way.half_width)}"
    )


def cheapest(offers: Sequence[Offer]) -> Offer:
    """Return the offer that takes least time, or where that is not known fewest runs."""
    timed = all(offer.seconds is not None for offer in offers)
    return min(offers, key=lambda offer: offer.seconds if timed else offer.runs)


def augment(config: Path, text: str, by: str) -> int:
    """Tell what leads to a goal and write it into a config; return the exit status: 1 where nothing does."""
    content, study = load_config(config), read_study(config)
    table = finished_metrics(study)
    question = question_of(study, table, read_goal(text) if text else advised_goal(study))
    goal, now = question.goal, question.half_width
    sure = percent(question.surface.confidence)
    print(f"Goal: {goal.contrast} on {goal.response} to {PLUS_MINUS}{goal.half_width:g}, a {sure} interval.")
    print(f"Now: {PLUS_MINUS}{significant(now)} of {counted(len(study.runs), 'run')}.")
    if now <= goal.half_width:
        print("The goal is met already; nothing was written.")
        return 0
    ways = question.ways()
    offers = [offer_of(question, way, content) for way in ways if way.facts]
    for line in (*map(offer_text, offers), *(f"{way.kind}: {way.obstacle}" for way in ways if way.obstacle)):
        print(f"  {line}.")
    allowed = [offer for offer in offers if by in ("", offer.way.kind)]
    if not allowed:
        print(f"The goal cannot be met{f' by {by}' if by else ''}; nothing was written.")
        return 1
    way, runs, _ = cheapest(allowed)
    add_entry(config, entry_of(way, goal, date.today().isoformat()))
    print(f"Added to {config}, as an entry of sweep.additions: {counted(way.count, way.kind.removesuffix('s'))}.")
    for point in way.facts.get("points", ()):
        print(f"  {settings_list(point)}")
    print(f"`make study` runs the {counted(runs, 'new run')}; what is done is not run again.")
    return 0


def main(arguments: Sequence[str]) -> int:
    """Augment the study that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(prog="finevar.commands.augment", description="Add runs that settle a question.")
    parser.add_argument("--configfile", type=Path, default=Path(DEFAULT_CONFIG), help=f"default: {DEFAULT_CONFIG}")
    parser.add_argument("--goal", default="", help='such as "batch_size:loss 0.01"; what the report advises without it')
    parser.add_argument("--by", default="", choices=["", *WAYS], help="the way to take; the cheaper one without it")
    options = parser.parse_args(arguments)
    try:
        return augment(options.configfile, options.goal, options.by)
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
