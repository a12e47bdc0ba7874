"""Simulate studies of a known surface under several kinds of noise, and count what the analysis gets wrong.

Every study is analysed by the functions that the workflow runs. A rate is a share of studies: of p-values below 5 %
where nothing moves the metric, of 95 % intervals that hold the truth, of lack-of-fit tests that see a cliff.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from unittest import mock

import numpy as np
import pandas as pd

from finevar.analyses import baselines, effects
from finevar.analyses import fits as readings
from finevar.statistics import checks, families, ladder, optimum, regression, sensitivity, simultaneous, slopes
from finevar.study.coding import Coding, model_matrix, term_name, terms

NOISES = ("independent", "shared_seeds", "growing", "trajectories")
ALPHA = 0.05
SD = 0.01
GROWTH = 6.0  # noise at the highest learning rate over noise at the lowest
PERMUTATIONS, FEWER_DRAWS, FEWER_CHANGES = 199, 2_000, 499  # enough where studies are many
# A surface with its maximum inside the design, in coded units; its stationary point is at (0.2, -0.1, 0.3).
TRUTH = {
    "intercept": 0.85,
    "learning_rate": 0.010,
    "batch_size": -0.008,
    "epochs": 0.014,
    "learning_rate:batch_size": 0.005,
    "learning_rate:epochs": -0.004,
    "batch_size:epochs": 0.006,
    "learning_rate^2": -0.020,
    "batch_size^2": -0.0325,
    "epochs^2": -0.021,
}
BASELINE = {"learning_rate": 2e-5, "batch_size": 32, "epochs": 3}


FEWER = (
    (families, "DRAWS", FEWER_DRAWS),
    (simultaneous, "DRAWS", FEWER_DRAWS),
    (checks, "SIGN_CHANGES", FEWER_CHANGES),
)


@contextlib.contextmanager
def drawing_less() -> Iterator[None]:
    """Have the block draw less."""
    with contextlib.ExitStack() as held:
        for constant in FEWER:
            held.enter_context(mock.patch.object(*constant))
        yield


def fewer_draws() -> None:
    """Make this process draw less, and collect no garbage among its modules, as multipletests often asks for."""
    for module, name, count in FEWER:
        setattr(module, name, count)
    gc.freeze()


def options(
    part: str, doc: str, arguments: Sequence[str], *, studies: int, kinds: Sequence[str], seeds: Sequence[int]
) -> argparse.Namespace:
    """Read what a part simulates; studies, kinds, seeds: its defaults, of which the kinds are all that there are."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.calibration {part}", description=doc.splitlines()[0])
    parser.add_argument("--studies", type=int, default=studies, help="of each kind; %(default)s by default")
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=list(kinds), help="of truth")
    parser.add_argument("--seeds", nargs="+", type=int, default=seeds, help="of a study")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="%(default)s by default")
    return parser.parse_args(arguments)


def chunks(kinds: Sequence[str], seeds: Sequence[int], studies: int, size: int) -> Iterator[tuple[str, int, range]]:
    """Yield the studies to simulate, so many at a time."""
    for kind, count in itertools.product(kinds, seeds):
        yield from ((kind, count, range(first, min(first + size, studies))) for first in range(0, studies, size))


@dataclass(frozen=True)
class Design:
    """A full factorial with seeds."""

    name: str
    codings: dict[str, Coding]
    seeds: int

    @property
    def truth(self) -> np.ndarray:
        """Return the true coefficients of the quadratic surface."""
        return np.array([TRUTH[term_name(term)] for term in terms(list(self.codings), "quadratic")])


def design(name: str, rates: tuple[float, ...], batches: tuple[float, ...], seeds: int) -> Design:
    """Return a design over learning rate, batch size and epochs 1 to 3."""
    codings = {"learning_rate": Coding(rates, "log2"), "batch_size": Coding(batches, "log2")}
    return Design(name, codings | {"epochs": Coding((1, 2, 3), "identity")}, seeds)


DESIGNS = {
    "large": design("large", (1e-5, 2e-5, 4e-5, 8e-5), (16, 32, 64), 6),  # 216 runs
    "small": design("small", (1e-5, 2e-5, 4e-5), (16, 32, 64), 2),  # 54 runs, the default study's size
}


def empty_study(shape: Design) -> pd.DataFrame:
    """Return the runs of a design without metrics, seeds innermost."""
    rows = []
    for levels in itertools.product(*(coding.levels for coding in shape.codings.values())):
        point = dict(zip(shape.codings, levels, strict=True))
        own = all(point[name] == level for name, level in BASELINE.items())
        rows += [
            point | {"point_id": str(levels), "seed": seed, "is_baseline_point": own, "dataset": "amazon"}
            for seed in range(shape.seeds)
        ]
    runs = pd.DataFrame(rows)
    return runs.assign(run_id=[f"run{number}" for number in range(len(runs))], status="ok", dtype_used="float32")


def simulate(shape: Design, noise: str, generator: np.random.Generator) -> pd.DataFrame:
    """Return a study: column null holds noise about a constant, column known the same noise about the true surface."""
    runs = empty_study(shape)
    coded = {name: coding.coded(runs[name]) for name, coding in shape.codings.items()}
    error = generator.normal(scale=SD, size=len(runs))
    shifts, spread, own = np.zeros(shape.seeds), SD, None
    runs["trajectory_id"] = runs["run_id"]
    if noise == "shared_seeds":
        shifts, spread = generator.normal(scale=2 * SD, size=shape.seeds), SD * 5**0.5
        error += shifts[runs["seed"]]
    if noise == "growing":
        growth = GROWTH ** ((coded["learning_rate"] + 1) / 2)
        error, spread = error * growth, SD * float((growth**2).mean()) ** 0.5
        own = SD * float(growth[runs["is_baseline_point"]][0])
    if noise == "trajectories":
        course = runs.groupby(["learning_rate", "batch_size", "seed"], sort=False).ngroup().to_numpy()
        error = 0.6 * error + generator.normal(scale=0.8 * SD, size=course.max() + 1)[course]
        runs["trajectory_id"] = course.astype(str)
    surface = model_matrix(coded, terms(list(shape.codings), "quadratic")) @ shape.truth
    at_baseline = surface[runs["is_baseline_point"]].mean()
    frozen = at_baseline + shifts.mean() + generator.normal(scale=own or spread)
    facts = {"spread": spread, "shift": shifts.mean(), "baseline_null": 0.8, "baseline_known": frozen}
    facts["covariate"] = shifts[runs["seed"]]  # a baseline of each seed that metrics move with one for one
    return runs.assign(null=0.85 + error, known=surface + error, cliff=0.85 + error, **facts)


def fitted(runs: pd.DataFrame, response: str, shape: Design) -> regression.Surface:
    """Fit a response as the workflow does."""
    columns = terms(list(shape.codings), "quadratic")
    return regression.fit_surface(runs, response, shape.codings, columns, 1 - ALPHA)


# What is counted ------------------------------------------------------------------------------------------------------


def p_values(runs: pd.DataFrame, shape: Design, *, draws: int = PERMUTATIONS) -> Iterator[tuple[str, str, float]]:
    """Yield kind, name and value of every p that is reported on a study where nothing moves the metric."""
    surface = fitted(runs, "null", shape)
    yield from coefficient_p(surface)
    for row in ladder.ladder_rows(surface, "quadratic", surface.unequal):
        yield "ladder, sequential F", row["rung"], row["p_value"]
        yield "ladder, Wald F", row["rung"], row["p_robust"]
    for row in checks.check_rows(surface):
        if "p_value" in row:
            yield f"check: {row['check']}", row["check"], row["p_value"]
    for name, rows in sensitivity_p(surface, draws).items():
        for row, term in zip(rows, surface.names[1:], strict=False):
            yield f"sensitivity: {name}", term, row.get("p_value")
    for row in slopes.slope_rows(surface, BASELINE):
        if row["units"] == "coded":
            yield f"slopes: {row['place']}", f"{row['factor']}{number_of(row)}", row["p_value"]
    yield "slope of one against the baseline", "", ancova(surface).get("p_value")


def ancova(surface: regression.Surface) -> dict:
    """Return the test of the slope on each seed's baseline, whose truth is one."""
    return baselines.ancova(surface, surface.runs, "covariate", ["dataset", "seed"])


def coefficient_p(surface: regression.Surface) -> Iterator[tuple[str, str, float]]:
    """Yield the p-values of the terms: at the centre, at the baseline, and with matched baselines."""
    relative, _ = regression.fit_relative(surface, BASELINE)
    found = {"absolute": surface, "relative": relative, "matched": baselines.fit_matched(surface, BASELINE)}
    for framework, fit in found.items():
        for row in readings.coefficient_rows(fit, framework):
            if row["units"] == "coded" and row["group"] in readings.SPAN:
                yield f"coefficients ({framework})", row["term"], row["p_value"]


def sensitivity_p(surface: regression.Surface, draws: int) -> dict[str, list[dict]]:
    """Return the rows of every specification but the refits without parts, a term each."""
    numbers = [number for number, term in enumerate(surface.columns) if term]
    return sensitivity.refits(surface, numbers) | {
        "mixed_model": sensitivity.mixed_model(surface, numbers, surface.unequal),
        "transformed": sensitivity.transformed(logit_ready(surface), numbers),
        "permutation": sensitivity.permutation(surface, numbers, draws),
    }


def logit_ready(surface: regression.Surface) -> regression.Surface:
    """Return the surface under the name of a response that has a bounded scale."""
    return replace(surface, response="accuracy")


def intervals(runs: pd.DataFrame, shape: Design) -> Iterator[tuple[str, str, bool]]:
    """Yield kind, name and success of every 95 % interval on a study of a known surface."""
    surface, truth = fitted(runs, "known", shape), shape.truth
    at = dict(zip([term_name(term) for term in surface.columns], truth, strict=True))
    for row in readings.coefficient_rows(surface, "absolute"):
        if row["units"] == "coded" and row["term"] in at and row["term"] != "intercept":
            yield "coefficients", row["term"], holds(row, at[row["term"]])
    for row in effects.effect_rows(surface):
        yield "effects", row["factor"], row["ci_low"] <= 2 * at[row["factor"]] <= row["ci_high"]
    for row in slopes.slope_rows(surface, BASELINE):
        if row["units"] == "coded":
            yield (
                f"slopes: {row['place']}",
                f"{row['factor']}{number_of(row)}",
                holds(row, true_slope(row, runs, shape)),
            )
    yield from matched(surface, at, runs, shape)
    yield from predictions(surface, runs, shape)
    yield from best_places(surface, shape)
    if "estimate" in (row := ancova(surface)):
        yield "slope against the baseline", "", holds(row, 1.0)
    centre = optimum.region_statistic(surface, stationary(shape)[None], list(surface.codings))[0]
    yield "region of the stationary point", "", bool(centre <= optimum.region_limit(surface, len(surface.codings)))


def matched(
    surface: regression.Surface, at: dict[str, float], runs: pd.DataFrame, shape: Design
) -> Iterator[tuple[str, str, bool]]:
    """Yield the success of the terms of the fit to each run minus B1 of its seed, read at the baseline's levels."""
    fit = baselines.fit_matched(surface, BASELINE)
    for row in readings.coefficient_rows(fit, "matched"):
        if row["units"] != "coded" or row["group"] == "block":
            continue
        truth = 0.0 if row["term"] == "intercept" else at[row["term"]]
        if row["group"] == "first_order":
            truth = true_slope({"place": "baseline", "factor": row["term"]}, runs, shape)
        yield "coefficients (matched)", row["term"], holds(row, truth)


def best_places(surface: regression.Surface, shape: Design) -> Iterator[tuple[str, str, bool]]:
    """Yield the success of the predictions at the stationary point and along the ridge path."""

    def value(place: np.ndarray) -> float:
        coded = dict(zip(shape.codings, place[:, None], strict=True))
        return float((model_matrix(coded, surface.columns) @ shape.truth)[0])

    point = optimum.canonical_analysis(*optimum.quadratic_form(surface))[1]
    row = next(regression.predicted(surface, dict(zip(shape.codings, point[:, None], strict=True))))
    yield "prediction at the stationary point", "", holds(row, value(stationary(shape)))
    slope, curve = true_form(shape)
    for row in optimum.ridge_rows(surface):
        if row["factor"] == "epochs":
            best = optimum.best_at_radius(slope, curve, row["radius"])
            yield "predictions along the ridge", f"{row['radius']:.1f}", holds(row, value(best))


def number_of(row: dict) -> str:
    """Return a slope's place as text."""
    return f" {row['place']} {row.get('moderator', '')} {row.get('moderator_level', '')}"


def holds(row: dict, truth: float) -> bool:
    """Say whether an interval holds the truth."""
    return bool(row["ci_low"] <= truth <= row["ci_high"])


def true_form(shape: Design) -> tuple[np.ndarray, np.ndarray]:
    """Return b [factors] and symmetric B [factors, factors] of the true surface y = b0 + x'b + x'Bx."""
    names = list(shape.codings)
    curves = np.diag([TRUTH[f"{name}^2"] for name in names])
    for i, j in itertools.combinations(range(len(names)), 2):
        curves[i, j] = curves[j, i] = TRUTH[f"{names[i]}:{names[j]}"] / 2
    return np.array([TRUTH[name] for name in names]), curves


def stationary(shape: Design) -> np.ndarray:
    """Return the true stationary point."""
    slopes, curves = true_form(shape)
    return np.linalg.solve(-2 * curves, slopes)


def true_slope(row: dict, runs: pd.DataFrame, shape: Design) -> float:
    """Return the true slope that a row of the slopes table estimates, by differences of the true surface."""
    if row["place"] == "baseline":
        place = {name: coding.coded([BASELINE[name]]) for name, coding in shape.codings.items()}
    elif row["place"] == "average":
        place = {name: coding.coded(runs[name]) for name, coding in shape.codings.items()}
    else:
        place = {name: np.zeros(1) for name in shape.codings}
        if row["place"] == "simple":
            place[row["moderator"]] = shape.codings[row["moderator"]].coded([row["moderator_level"]])
    ends = [place | {row["factor"]: place[row["factor"]] + step} for step in (0.5, -0.5)]
    columns = terms(list(shape.codings), "quadratic")
    high, low = (float((model_matrix(end, columns) @ shape.truth).mean()) for end in ends)
    return high - low


def predictions(surface: regression.Surface, runs: pd.DataFrame, shape: Design) -> Iterator[tuple[str, str, bool]]:
    """Yield the success of predicted means, the band of the setting predicted best and differences from the baselines.

    Predictions are for new seeds. B0 is one model, so its own value is part of the difference's truth.
    """
    points = surface.points
    places = surface.coded(points)
    truth = model_matrix(places, surface.columns) @ shape.truth
    told = list(regression.predicted(surface, places))
    for number, row in enumerate(told):
        yield "predicted means", str(number), holds(row, truth[number])
    best, _ = optimum.predicted_best(surface)
    numbers = {point: number for number, point in enumerate(points["point_id"])}
    at = numbers[best["point_id"]]
    reach = (best["ci_high"] - best["predicted"]) / best["std_error"]
    errors = [abs(row["predicted"] - truth[n]) / row["std_error"] for n, row in enumerate(told)]
    yield "band over all settings at once", "", bool(max(errors) <= reach)
    yield "bound of the regret (at least)", "", bool(truth.max() - truth[at] <= best["regret_bound"])
    retrained = float(truth[points["is_baseline_point"].to_numpy()][0])
    own = {"B0": float(runs["baseline_known"].iloc[0]), "B1": retrained}
    at_once: dict[str, list[bool]] = {}
    for row in baselines.against_baseline_rows(surface):
        if row.get("estimate") is None:
            continue
        where = numbers[row["point_id"]]
        gap, name = truth[where] - own[row["baseline"]], row["baseline"]
        yield f"difference from {name}", str(where), holds(row, gap)
        at_once.setdefault(name, []).append(bool(row["simultaneous_low"] <= gap <= row["simultaneous_high"]))
    for name, held in at_once.items():
        yield f"difference from {name}, all settings at once", "", all(held)


def lack_of_fit_p(runs: pd.DataFrame, shape: Design, cliff: float) -> float | None:
    """Return the lack-of-fit p of a study whose metric falls by some deviations at the highest learning rate."""
    rate = runs["learning_rate"] == max(shape.codings["learning_rate"].levels)
    surface = fitted(runs.assign(cliff=runs["cliff"] - cliff * SD * rate), "cliff", shape)
    return checks.lack_of_fit(surface, surface.unequal).get("p_value")
