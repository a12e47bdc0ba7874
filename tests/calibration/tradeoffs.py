"""How often the trade-offs are wrong: true front members called dominated, cosines, prices and desirability missed.

Two metrics over the grid of a simulated study, with noise that goes together in the two. Every study is analysed by the
functions that the workflow runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pandas as pd
from tests.calibration import simulate

from finevar.analyses import disagreements, pareto, tradeoffs
from finevar.analyses import fits as readings
from finevar.metrics import towards
from finevar.study.coding import model_matrix, terms

TOGETHER = 0.6  # correlation of the two metrics' noise
# The truth of loss, in the order of a quadratic's terms: it rises with learning rate and epochs, where accuracy gains.
LOSS = np.array([0.40, 0.030, -0.010, 0.020, 0.004, 0.010, -0.002, 0.015, 0.006, 0.008])
STEEP = 0.2  # of loss from one setting of the front to the next; accuracy rises by next to nothing


def coded_points(shape: simulate.Design) -> pd.DataFrame:
    """Return the coded levels of every tried point, by its id."""
    points = simulate.empty_study(shape).drop_duplicates("point_id").set_index("point_id")
    return pd.DataFrame({name: coding.coded(points[name]) for name, coding in shape.codings.items()}, points.index)


def surfaces(shape: simulate.Design) -> dict[str, pd.Series]:
    """Return the true values of two quadratic surfaces at the tried points."""
    places = coded_points(shape)
    matrix = model_matrix({name: places[name].to_numpy() for name in places}, terms(list(places), "quadratic"))
    return {
        name: pd.Series(matrix @ truth, places.index) for name, truth in (("accuracy", shape.truth), ("loss", LOSS))
    }


def flat_front(shape: simulate.Design) -> dict[str, pd.Series]:
    """Return true values that put every tried point on the front, in the way that noise hides best.

    Loss is far worse from each point to the next, and accuracy better by next to nothing: the least favourable case of
    an intersection-union test.
    """
    order = pd.Series(np.arange(len(coded_points(shape)), dtype=float), coded_points(shape).index)
    return {"accuracy": 0.85 + 1e-9 * order, "loss": STEEP * order}


def study(
    shape: simulate.Design, noise: str, truth: dict[str, pd.Series], generator: np.random.Generator
) -> pd.DataFrame:
    """Return a study of two metrics, as the aggregate holds it."""
    runs, other = (simulate.simulate(shape, noise, generator) for _ in range(2))
    errors = {"accuracy": runs["null"] - 0.85, "loss": mixed(runs["null"] - 0.85, other["null"] - 0.85)}
    values = {name: runs["point_id"].map(truth[name]) + errors[name] for name in truth}
    frozen = {f"baseline_{name}": value.mean() for name, value in values.items()}
    return runs.assign(**values, **frozen, device="cpu", threads=2, train_seconds=1.0)


def mixed(first: pd.Series, second: pd.Series) -> pd.Series:
    """Return noise of the same size that goes together with the first."""
    return TOGETHER * first + (1 - TOGETHER**2) ** 0.5 * second


def plan_of(shape: simulate.Design) -> readings.Plan:
    """Return what to trade off: accuracy and loss."""
    wanted = {"responses": ["accuracy", "loss"], "weights": {}}
    return readings.Plan(
        shape.codings, simulate.BASELINE, ["accuracy", "loss"], "quadratic", 1 - simulate.ALPHA, tradeoffs=wanted
    )


def called_dominated(shape: simulate.Design, noise: str, generator: np.random.Generator) -> bool:
    """Say whether any point is called dominated in a study where all are on the true front."""
    plan = plan_of(shape)
    runs = study(shape, noise, flat_front(shape), generator)
    found = pareto.pareto_tables(readings.FittedStudy.of(runs, plan))["pareto_points"]
    return any(row["verdict"] == "dominated" for row in found)


def true_gradients(shape: simulate.Design) -> dict[str, np.ndarray]:
    """Return the true gradients [points and centre, factors] of the two surfaces, turned so that up is better.

    By central differences, which are exact for a quadratic.
    """
    places = np.vstack([coded_points(shape).to_numpy(), np.zeros(len(shape.codings))])
    names, columns = list(shape.codings), terms(list(shape.codings), "quadratic")

    def values(at: np.ndarray, truth: np.ndarray) -> np.ndarray:
        return model_matrix(dict(zip(names, at.T, strict=True)), columns) @ truth

    steps = np.eye(len(names)) / 2
    signed = {"accuracy": shape.truth, "loss": -LOSS}
    return {
        name: np.stack([values(places + step, truth) - values(places - step, truth) for step in steps], axis=1)
        for name, truth in signed.items()
    }


def intervals(shape: simulate.Design, noise: str, generator: np.random.Generator) -> Iterator[tuple[str, bool]]:
    """Yield kind and success of every interval on a study of two known surfaces."""
    plan, truth = plan_of(shape), surfaces(shape)
    runs = study(shape, noise, truth, generator)
    analysed = readings.FittedStudy.of(runs, plan)
    fitted = analysed.surfaces
    draws = disagreements.joint_draws(fitted)
    slopes = true_gradients(shape)
    cosines = (slopes["accuracy"] * slopes["loss"]).sum(1)
    cosines /= np.linalg.norm(slopes["accuracy"], axis=1) * np.linalg.norm(slopes["loss"], axis=1)
    rows = disagreements.disagreement_rows(fitted, draws)[:-1]
    for row, cosine in zip(rows, cosines, strict=True):
        yield "cosine of two gradients", bool(row["ci_low"] <= cosine <= row["ci_high"])
        yield "cosine has the sign that is told", row["verdict"] != ("agree" if cosine < 0 else "disagree")
    held = []
    for row in tradeoffs.price_rows(fitted):
        values = truth[row["response"]] * towards(row["response"])
        price = values[row["own_best"]] - values[row["point_id"]]
        held.append(row["ci_low"] <= price <= row["ci_high"])
    yield "prices, all at once", all(held)
    found = tradeoffs.desirability_rows(fitted, draws, analysed)
    together = np.sqrt(np.prod([true_desirability(found, name, truth[name]) for name in truth], axis=0))
    for row, value in zip([row for row in found if row["response"] == ""], together, strict=True):
        yield "desirability", bool(row["ci_low"] <= value <= row["ci_high"])


def true_desirability(rows: list[dict], response: str, truth: pd.Series) -> np.ndarray:
    """Return the true values between the worst and the best prediction, which the study takes for the scale's ends."""
    values = [row["value"] for row in rows if row["response"] == response]
    ends = (min(values), max(values)) if towards(response) > 0 else (max(values), min(values))
    return np.clip((truth.to_numpy() - ends[0]) / (ends[1] - ends[0]), 0, 1)


def rates(studies: int, seed: int) -> Iterator[tuple[str, float]]:
    """Yield what was counted, and its per cent of studies, for every design and noise."""
    for number, (name, shape) in enumerate(simulate.DESIGNS.items()):
        for other, noise in enumerate(simulate.NOISES):
            generator = np.random.default_rng([seed, number, other])
            false = [called_dominated(shape, noise, generator) for _ in range(studies)]
            yield f"{name}, {noise}: a point of the true front called dominated", 100 * float(np.mean(false))
            held = defaultdict(list)
            for _ in range(studies):
                for kind, success in intervals(shape, noise, generator):
                    held[kind].append(success)
            for kind, found in held.items():
                yield f"{name}, {noise}: {kind}", 100 * float(np.mean(found))
