"""What is said of simulated studies with a nested factor, sliding levels, a condition and an optimal design.

    python -m tests.calibration nested [--studies 300] [--kinds clean slopes] [--seeds 4 5]

The factors are those of config/studies/lora.yaml. The metric is a mean over sentences of normal values with the
deviations of the default study's losses, so that the truth of a setting is a sum of its factors' own effects, which are
none, 1.5 or 3 times the smallest effect of interest, dealt to them by study. In `slopes` seeds change them.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tests.calibration import simulate

from finevar.analyses.claims import judge_claims
from finevar.analyses.fits import FittedStudy, Plan
from finevar.statistics.regression import Sentences, Surface, predicted
from finevar.statistics.simple_effects import simple_effects
from finevar.study.coding import codings_of
from finevar.study.designs import DESIGNS

STUDIES, CHUNK = 300, 10
KINDS, SEEDS = ("clean", "slopes"), (4, 5)
FULL, LORA = (1e-4, 2e-4, 4e-4), (1e-3, 2e-3, 4e-3)
NAMES = {"method": ("full", "lora"), "schedule": ("linear", "constant")}
NUMBERS = {"batch_size": (8, 16, 32), "lora_rank": (2, 8, 32)}
FACTORS = {
    "method": {"levels": NAMES["method"]},
    "learning_rate": {"levels": {"full": FULL, "lora": LORA}, "coding": "log2"},
    "batch_size": {"levels": NUMBERS["batch_size"], "coding": "log2"},
    "schedule": {"levels": NAMES["schedule"]},
    "lora_rank": {"levels": NUMBERS["lora_rank"], "coding": "log2", "when": {"method": "lora"}},
}
CODINGS = codings_of(FACTORS)
ASKED = {name: f"{name}[{NAMES[name][1]}-{NAMES[name][0]}]" if name in NAMES else name for name in FACTORS}
WHERE = "not (learning_rate == 4e-3 and schedule == constant)"
DESIGN = {"kind": "optimal", "runs": 27, "where": WHERE, "model": "quadratic"}
RESPONSE, USUAL, SMALLEST, CONFIDENCE = "loss", 0.36, 0.018, 0.95
SIZES = (0.0, 0.0, 1.5, 1.5, 3.0)  # in smallest effects

# Standard deviations, of which the design card takes the same (planning/power)
SENTENCES, DIFFICULTY, INTERACTION, ALONE = 1000, 0.45, 0.09, 0.1
SHIFT = RUN = 0.012 / 2**0.5
SLOPE = 0.008

Levels = Mapping[str, Any]  # of a setting, by factor
Score = tuple[str, float]


class Study(NamedTuple):
    """A simulated study."""

    runs: pd.DataFrame  # as the workflow aggregates them
    sentences: Sentences  # what each run has on each sentence
    sizes: dict[str, float]  # signed change from each factor's lowest level, or its first name, to its last


def position(name: str, levels: Levels) -> float:
    """Return where a setting lies along a factor, from -1 to 1; 0 where it has no level of it."""
    level = levels[name]
    if level is None or level != level:
        return 0.0
    known = NAMES.get(name) or NUMBERS.get(name) or (LORA if levels["method"] == "lora" else FULL)
    if name in NAMES:
        return 2.0 * known.index(level) - 1
    _, middle, high = np.log2(known)
    return float((np.log2(level) - middle) / (high - middle))


def true_mean(sizes: Mapping[str, float], levels: Levels) -> float:
    """Return the metric's expectation at a setting."""
    return USUAL + sum(size / 2 * position(name, levels) for name, size in sizes.items())


@functools.cache
def planned(seeds: int) -> pd.DataFrame:
    """Return the runs of the design without metrics, seeds innermost."""
    points = pd.DataFrame(DESIGNS["optimal"].points(DESIGN, CODINGS))
    points = points.assign(point_id=[f"setting{number}" for number in range(len(points))], is_baseline_point=False)
    runs = points.merge(pd.DataFrame({"seed": range(seeds)}), how="cross")
    names = [f"run{number}" for number in range(len(runs))]
    known = {"dataset": "amazon", "status": "ok", "dtype_used": "float32", f"baseline_{RESPONSE}": USUAL}
    return runs.assign(run_id=names, trajectory_id=names, **known)


def simulated(kind: str, seeds: int, number: int) -> Study:
    """Return a study of a kind, always the same."""
    generator = np.random.default_rng([KINDS.index(kind), seeds, number])
    dealt = SMALLEST * generator.permutation(SIZES) * generator.choice((-1.0, 1.0), len(SIZES))
    runs, sizes = planned(seeds), dict(zip(FACTORS, dealt.tolist(), strict=True))
    rows = runs.to_dict("records")
    places = np.array([[position(name, row) for name in FACTORS] for row in rows])
    own = SLOPE * (kind == "slopes") * generator.standard_normal((seeds, len(FACTORS)))
    means = np.array([true_mean(sizes, row) for row in rows]) + (places * own[runs["seed"]]).sum(1)
    means += SHIFT * generator.standard_normal(seeds)[runs["seed"]] + RUN * generator.standard_normal(len(runs))
    each = means[:, None] + DIFFICULTY * generator.standard_normal(SENTENCES)
    each += places @ (INTERACTION * generator.standard_normal((len(FACTORS), SENTENCES)))
    each += ALONE * generator.standard_normal(each.shape)
    return Study(runs.assign(**{RESPONSE: each.mean(1)}), {"amazon": each}, sizes)


# What is said, and what is true ---------------------------------------------------------------------------------------


def claim(name: str, sign: str | None) -> dict[str, Any]:
    """Return a claim on a factor: of a sign an effect, else none."""
    said = {"name": name, "response": RESPONSE, "term": ASKED.get(name, name), "sign": sign}
    rest = {"statement": "", "source": "", "p": None, "framework": None}
    return said | rest | {"finding": "effect" if sign else "none"}


def scores(study: Study) -> Iterator[Score]:
    """Yield what is said of a study beside the truth, each as a share of what it can be said of."""
    signs = {name: "positive" if size >= 0 else "negative" for name, size in study.sizes.items()}
    claims = [claim(name, sign) for name, sign in signs.items()]
    claims += [claim(term, None) for term in ("learning_rate:method[lora-full]", "learning_rate:lora_rank")]
    plan = Plan(CODINGS, {}, [RESPONSE], "quadratic", CONFIDENCE, claims, {RESPONSE: SMALLEST}, where=WHERE)
    fitted = FittedStudy.of(study.runs, plan, lambda runs, response: (study.sentences, {}))
    verdicts = {row["factor"]: row["verdict"] for row in fitted.effects}
    for name, size in study.sizes.items():
        if name == "method" and study.sizes["lora_rank"]:
            continue  # at a rank, the change of method is one of the rank, too
        yield from verdict_scores(name, round(abs(size) / SMALLEST, 6), verdicts[ASKED[name]])
    for row in judge_claims(fitted):
        told, size = row["verdict"], study.sizes.get(row["name"])
        if size is None:
            yield "no interaction: claim of none contradicted", told == "contradicted"
        else:
            yield f"{'true' if size else 'false'} claim: replicated", told == "replicated"
            yield "claim of a sign: contradicted where true", told == "contradicted" if size else np.nan
    (surface,) = fitted.surfaces
    yield from coverage(surface, study.sizes)


def verdict_scores(name: str, size: float, verdict: str) -> Iterator[Score]:
    """Yield how the verdict on a factor compares with its size, in smallest effects."""
    kind = "nested factor, " if FACTORS[name].get("when") else ""
    moves, small = verdict in ("effect", "small"), verdict in ("negligible", "small")
    if size:
        yield f"{kind}{size:g} x smallest: found", moves
        yield f"{kind}{size:g} x smallest: called negligible", small
    else:
        yield f"{kind}no effect: said to have one", moves
        yield f"{kind}no effect: called negligible", small


def coverage(surface: Surface, sizes: Mapping[str, float]) -> Iterator[Score]:
    """Yield the shares of 95 % intervals that hold the truth, of simple effects by factor and of predictions."""
    for name in FACTORS:
        found = simple_effects(surface, name)
        others = [dict(zip(found.others, each, strict=True)) for each in zip(*found.others.values(), strict=True)]
        ends = zip(found.from_levels, found.to_levels, others, strict=True)
        true = [
            true_mean(sizes, at(rest, name, end)) - true_mean(sizes, at(rest, name, start)) for start, end, rest in ends
        ]
        yield f"simple effects of {name}: covered", held(surface, found.weights, np.array(true))
    tried = surface.points.to_dict("records")
    rows = zip(predicted(surface, surface.coded(surface.points)), tried, strict=True)
    inside = [row["ci_low"] <= true_mean(sizes, levels) <= row["ci_high"] for row, levels in rows]
    yield "predictions: covered", float(np.mean(inside))


def at(levels: Levels, name: str, level: Any) -> Levels:
    """Return a setting at another level of a factor: of a method with its own rate, and a rank where it has one."""
    changed = {**levels, name: level}
    lora = changed["method"] == "lora"
    if isinstance(rates := changed["learning_rate"], str):  # of both methods
        changed["learning_rate"] = float(rates.split(" and ")[lora])
    return changed if lora else changed | {"lora_rank": None}


def held(surface: Surface, weights: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of contrasts [contrasts, parameters] whose interval holds the truth [contrasts]."""
    low, high = surface.read(weights).interval(CONFIDENCE)
    return float(np.mean((low <= truth) & (truth <= high)))


# Many studies ---------------------------------------------------------------------------------------------------------


def rates(job: tuple[str, int, range]) -> tuple[str, int, dict[str, list[float]]]:
    """Return the scores of a chunk of studies; one that a study has several times counts by its mean."""
    kind, seeds, numbers = job
    found: dict[str, list[float]] = defaultdict(list)
    for number in numbers:
        values: dict[str, list[float]] = defaultdict(list)
        for what, value in scores(simulated(kind, seeds, number)):
            values[what].append(float(value))
        for what, own in values.items():
            if not np.isnan(own).all():
                found[what].append(float(np.nanmean(own)))
    return kind, seeds, dict(found)


def table(found: Mapping[tuple[str, int], Mapping[str, Sequence[float]]]) -> str:
    """Return mean scores in Markdown, in per cent: a line a score, a column a kind and count of seeds."""
    names = sorted({name for own in found.values() for name in own})
    lines = [["%", *(f"{kind}, {seeds} seeds" for kind, seeds in found)], ["---"] * (1 + len(found))]
    lines += [[name, *(f"{100 * np.mean(own.get(name, [np.nan])):.1f}" for own in found.values())] for name in names]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] = ()) -> None:
    """Simulate, and print the rates."""
    chosen = simulate.options("nested", __doc__, arguments, studies=STUDIES, kinds=KINDS, seeds=SEEDS)
    jobs = simulate.chunks(chosen.kinds, chosen.seeds, chosen.studies, CHUNK)
    found: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with get_context("fork").Pool(chosen.processes, initializer=simulate.fewer_draws) as pool:
        for kind, seeds, own in pool.imap(rates, jobs):
            for what, values in own.items():
                found[kind, seeds][what] += values
    print(table(found))
