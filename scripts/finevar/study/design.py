"""From factors to settings to runs, each with an id made from everything that decides its result."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finevar.errors import InputError
from finevar.study.additions import added_points, judged_additions
from finevar.study.coding import (
    coded_of,
    codings_of,
    exists,
    model_matrix,
    plain_level,
    term_name,
    terms,
)
from finevar.study.conditions import parted
from finevar.study.consistency import Config, batch_problems
from finevar.study.design_checks import adding, level_problems, size_problems, smaller_model
from finevar.study.designs import DESIGNS, Design, Point
from finevar.study.factors import short_name
from finevar.study.identity import (
    Identities,
    baseline_identity,
    chosen,
    digest,
    model_ids,
    read_identities,
    source_ids,
    start_identity,
)
from finevar.study.kinds import TRAINED, study_kind
from finevar.study.matrices import aliased_terms
from finevar.study.paths import run_folder
from finevar.study.schemas import normalise, raise_problems
from finevar.study.seed_parts import COLUMNS, Seed, combination_count, effective, numbered, parts_of, seed_of
from finevar.study.settings import MODEL, TRAINING_DEFAULTS, in_effect, model_names, start_of, trained_with
from finevar.study.starting_models import depth_problems, layers_of

Settings = dict[str, Any]

BESIDE_ANALYSES = ("show_sentences", "evaluate_each_epoch")  # keys of `analysis` that change no fit


@dataclass(frozen=True)
class Run:
    """One fine-tuned model: a setting on a data set, at a seed.

    seed: its number in the study's tables. drawn: the seed that it trains with, which its id is made from.
    """

    run_id: str
    point_id: str
    dataset: str
    settings: Settings  # with the model that it starts from, where that is a factor
    seed: int
    drawn: Seed
    absent: tuple[str, ...] = ()  # nested factors that do not exist at its setting, and have their defaults

    @property
    def record(self) -> Settings:
        """Return what identifies the run in the study's tables: `own_record`, its seed there and that of each part."""
        parts = {COLUMNS[part]: seed for part, seed in parts_of(self.drawn).items()}
        return self.own_record | {"seed": self.seed} | parts

    @property
    def own_record(self) -> Settings:
        """Return what identifies the run in its own table, the same in all studies: ids, data set, seed and settings.

        Null are settings without effect, and the seed where parts of it differ.
        """
        names = {name: getattr(self, name) for name in ("run_id", "point_id", "dataset")}
        names["seed"] = self.drawn if isinstance(self.drawn, int) else None
        return names | dict.fromkeys(TRAINING_DEFAULTS) | self.settings | dict.fromkeys(self.absent)


@dataclass(frozen=True)
class Study:
    """Everything that the rules need to know, all of it from the config."""

    config: Config
    points: list[Point]
    runs: dict[str, Run]
    shorter: dict[str, str]  # for a run that another one is the beginning of, that one's id
    model_ids: dict[str, str]  # of the models that runs start from, by the names of their sources, the baseline's first
    baseline_ids: dict[str, str]  # of each model's baseline, likewise
    dataset_ids: dict[str, str]
    source_ids: dict[str, str]


def plan_study(config: Config) -> Study:
    """Expand a checked config into its settings and runs; raise InputError with all that stands in their way.

    A study of found models has neither, before its cards are read, nor does one of runs that a file lists.
    """
    if study_kind(config) != TRAINED:
        baseline = f"{config['study']}-baseline"
        fetched = config.get("cards", {}).get("hub")
        ids = {"cards": f"cards-{digest(fetched)}"} if fetched else {}
        return Study(config, [], {}, {}, {"": baseline}, {"": baseline}, dataset_ids={}, source_ids=ids)
    points = design_points(config)
    raise_problems(size_problems(config["sweep"], len(points)))
    known, unreadable = read_identities(config)
    raise_problems([*point_problems(config, points), *unreadable])
    runs, ids = plan_runs(config, points, known), model_ids(known)
    layers = {name: layers_of(config["sources"][name], model) for name, model in ids.items()}
    raise_problems(depth_problems(trainings(config, runs.values()), layers))
    return Study(
        config=config,
        points=points,
        runs=runs,
        shorter=shorter_runs(runs.values()),
        model_ids=ids,
        baseline_ids=baseline_ids(config, known),
        dataset_ids={name: f"{name}-{digest(identity)}" for name, identity in known.datasets.items()},
        source_ids=source_ids(config),
    )


def trainings(config: Config, runs: Iterable[Run]) -> dict[str, list[Settings]]:
    """Return the settings of the trainings that start from each model, its baseline's first where that is trained."""
    own = [config["baseline"]["settings"]] if "dataset" in config["baseline"] else []
    found = {name: list(own) for name in model_names(config)}
    for run in runs:
        found[start_of(run.settings, config)].append(run.settings)
    return found


def baseline_ids(config: Config, known: Identities) -> dict[str, str]:
    """Return the id of each model's baseline, which is the model itself where none is trained."""
    baseline = config["baseline"]
    if "dataset" not in baseline:
        return model_ids(known)
    start = f"{baseline['dataset']}-{short_name(baseline['settings'], baseline['seed'])}"
    return {name: f"{start}-{digest(baseline_identity(config, known, name))}" for name in known.models}


def design_points(config: Config) -> list[Point]:
    """Return the design's settings that are allowed, in a fixed order, without repeats."""
    return parted_points(config, DESIGNS[config["sweep"]["design"]["kind"]])[0]


def left_out(config: Config) -> tuple[int, int]:
    """Return how many settings a design's condition leaves out, and of how many.

    Of an optimal design they are those that it could choose, of any other one its own.
    """
    kind = config["sweep"]["design"]["kind"]
    allowed, forbidden = parted_points(config, DESIGNS["full_factorial" if kind == "optimal" else kind])
    return len(forbidden), len(allowed) + len(forbidden)


def parted_points(config: Config, kind: Design) -> tuple[list[Point], list[Point]]:
    """Return a kind of design's settings, the baseline's own where included, and those added: allowed and forbidden."""
    sweep, codings = config["sweep"], codings_of(config["sweep"]["factors"])
    points = kind.points(sweep["design"] | {"model": config["analysis"]["model"]}, codings)
    points = [normalise(point) for point in points]
    if sweep["design"]["include_baseline"]:
        points += own_baseline_levels(config).values()
    points += [normalise(point) for point in added_points(sweep)]
    different = [dict(pairs) for pairs in dict.fromkeys(tuple(point.items()) for point in points)]
    return parted(different, sweep["design"].get("where"), codings)


def point_problems(config: Config, points: Sequence[Point]) -> Iterator[InputError]:
    """Yield what is wrong with the settings taken together."""
    codings = codings_of(config["sweep"]["factors"])
    for point in points:
        shown = ", ".join(f"{name} {plain_level(level, 'g')}" for name, level in point.items() if level is not None)
        yield from batch_problems(f"point {shown}", with_settings(config, point))
    order = config["analysis"]["model"]
    columns = terms(codings, order)
    levels = {name: len({point[name] for point in points} - {None}) for name in codings}
    yield from level_problems(levels, columns, order, config["sweep"])
    coded = coded_of(codings, {name: [point[name] for point in points] for name in codings})
    aliased = aliased_terms(model_matrix(coded, columns), [term_name(term) for term in columns])
    if aliased:
        yield InputError(
            "config: sweep.design",
            found=f"{len(points)} settings that do not separate {', '.join(aliased)} from the terms before them",
            allowed=f"a design that separates all {len(columns)} terms of analysis.model: {order}",
            remedy=f"{adding(config['sweep'])} settings or levels{smaller_model(order)}.",
        )
    sweep = config["sweep"]
    seeds = combination_count(sweep)
    runs = len(points) * seeds * len(sweep["datasets"])
    parameters = len(columns) + seeds + len(sweep["datasets"]) - 2
    if runs <= parameters:
        yield InputError(
            "config: sweep",
            found=f"{runs} runs for {parameters} parameters (terms, seeds and data sets)",
            allowed="more runs than parameters",
            remedy="Add seeds or settings.",
        )


def plan_runs(config: Config, points: Sequence[Point], known: Identities | None = None) -> dict[str, Run]:
    """Return every run of the study by its id; known: the identities of its model and data, read where not given."""
    runs = []
    known = known or read_identities(config)[0]
    starts = {name: start_identity(config, known, name) for name in known.models}
    for dataset, point in itertools.product(config["sweep"]["datasets"], points):
        settings = in_effect(with_settings(config, point))
        absent = tuple(name for name, level in point.items() if level is None)
        where = {"dataset": known.datasets[dataset], "settings": chosen(settings)}
        where["baseline"] = starts[start_of(settings, config)]
        for number, parts in numbered(config["sweep"]).items():
            seed = seed_of(effective(parts, settings))
            run_id = f"{short_name(settings, seed)}-{digest(where | {'seed': seed})}"
            point_id = f"{short_name(settings)}-{digest(where)}"
            runs.append(Run(run_id, point_id, dataset, settings, number, seed, absent))
    repeated = [run_id for run_id, count in Counter(run.run_id for run in runs).items() if count > 1]
    if repeated:
        raise InputError(
            "config: sweep",
            found=f"different runs with one id, {', '.join(repeated)}",
            allowed="an id for each run",
            remedy="Two data sets have the same content under two names, or hashes collide: change one slightly.",
        )
    return {run.run_id: run for run in runs}


def with_settings(config: Config, point: Point) -> Settings:
    """Return all settings of a run at a point; of a factor that does not exist there its default."""
    return config["training"] | {name: level for name, level in point.items() if level is not None}


def shares_trajectory(settings: Mapping[str, Any]) -> bool:
    """Return whether a run of more epochs begins as shorter ones do: nothing in it depends on the number of steps."""
    return settings["schedule"] == "constant" and not 0 < trained_with("warmup", settings["warmup"]) < 1


def shorter_runs(runs: Iterable[Run]) -> dict[str, str]:
    """Return, for each run that begins with others of the study, the id of the longest of them."""
    trajectories: dict[tuple, list[Run]] = {}
    for run in runs:
        if shares_trajectory(run.settings):
            rest = tuple((name, value) for name, value in run.settings.items() if name != "epochs")
            trajectories.setdefault((run.dataset, run.seed, rest), []).append(run)
    ordered = (sorted(members, key=lambda run: run.settings["epochs"]) for members in trajectories.values())
    return {later.run_id: run.run_id for members in ordered for run, later in itertools.pairwise(members)}


def baseline_levels(config: Config, **own: str) -> Point:
    """Return the baseline's level of each factor; none of a study that compares its runs with each other alone.

    own: the model, of another one's baseline than the study's.
    """
    settings, codings = config["baseline"]["settings"], codings_of(config["sweep"]["factors"])
    if not settings:
        return {}
    settings = settings | own
    return {name: settings[name] if exists(coding, settings) else None for name, coding in codings.items()}


def own_baseline_levels(config: Config) -> dict[str, Point]:
    """Return each model's baseline's level of each factor, the study's first."""
    several = MODEL in config["sweep"]["factors"]
    return {name: baseline_levels(config, **({MODEL: name} if several else {})) for name in model_names(config)}


def continues_baseline(config: Mapping[str, Any]) -> bool:
    """Say whether every run starts from a baseline that is trained here; else it starts from the pretrained model."""
    return "dataset" in config["baseline"] and config["sweep"]["start"] == "baseline"


def fit_params(study: Study) -> dict[str, Any]:
    """Return what of a study's config decides its fits and analyses: the params of the rules that make them."""
    config, design = study.config, study.config["sweep"].get("design", {})
    analysis = {key: part for key, part in config["analysis"].items() if key not in BESIDE_ANALYSES}
    analysis |= {key: part for key, part in design.items() if key == "where"}
    added = judged_additions(config, list(study.runs.values()))
    return {
        "factors": config["sweep"]["factors"],
        "baseline": baseline_levels(config),
        "analysis": analysis | ({"additions": added} if added else {}),
    }


def design_rows(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Return a row per run: ids, data set, seed, settings and folder."""
    return [run.record | {"path": str(run_folder(run))} for run in runs]


def any_of(names: Sequence[str]) -> str:
    """Return the pattern that matches exactly these names, for a wildcard; nothing where there are none."""
    return "|".join(map(re.escape, names)) or r"(?!)"
