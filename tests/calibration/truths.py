"""Simulate studies sentence by sentence, of which the true means of every metric at every setting are known.

A run answers a sentence correctly where a latent margin is positive:

    margin = a(x) + difficulty + sum_j x_j interaction_j + seed's shift + sum_j x_j seed's slope_j + run's noise
             + what a seed, and what a run, does to that sentence alone

with x the coded levels. Over new seeds and new sentences the margin is normal (or a mixture of normals, where the run's
noise is t with 3 degrees of freedom), so a(x) is solved for the accuracy that is wanted at x. A sentence's loss is
softplus(-CONFIDENCE margin) times a factor of the setting, solved for the wanted mean loss. Errors fall on both labels
alike and labels are even, so the true F1 is the true accuracy. Truth never passes through the code under test.

Sizes are those of the default study's 54 runs on 500 Amazon sentences, in units of the standard deviation of the
margin, which there is the difference of the two logits, signed by the label, and has a standard deviation of 1.66.
Accuracy is 0.854 and loss 0.367 on average. A sentence's own difficulty makes 0.93 of the margins' deviation; its
slopes along rate, batch size and epochs have the deviations 0.21, 0.13 and 0.15. Seeds of one setting differ on 3.5 %
of sentences, and a fifth of that recurs in the seed's other runs. Accuracy varies between seeds by 0.0047 beyond the
sampling of sentences, by 0.002 at the lowest learning rate and 0.008 at the highest, where runs also differ on most
sentences; `growing` is harsher, as where some settings are unstable. Two seeds cannot show how much of it all runs of a
seed share: here half of the variance.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

from finevar.study.coding import Coding
from finevar.study.designs import DESIGNS

CODINGS = {
    "learning_rate": Coding((2.5e-5, 7e-5, 2e-4), "log2"),
    "batch_size": Coding((16, 32, 64), "log2"),
    "epochs": Coding((1, 2, 3), "identity"),
}
FACTORS = tuple(CODINGS)
BASELINE = {"learning_rate": 2e-4, "batch_size": 32, "epochs": 1}
RESPONSES = ("accuracy", "f1", "loss")
BETTER = {"accuracy": 1.0, "f1": 1.0, "loss": -1.0}  # the sign of an improvement
USUAL = {"accuracy": 0.85, "f1": 0.85, "loss": 0.36}  # the baseline's, and those at the centre of most designs
SMALLEST = {"accuracy": 0.01, "f1": 0.01, "loss": 0.05 * USUAL["loss"]}  # smallest effects of interest
SIZES = (0.0, 1.5, 3.0)  # the factors' effects in smallest effects, dealt to them by study
DATASETS = ("first", "second")
SENTENCES = 1000

# The 27 combinations of levels, which every design takes from, the last factor innermost.
GRID = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=len(FACTORS))))
CORNER = np.flatnonzero((GRID == (1, -1, 1)).all(1))[0]  # highest rate, smallest batch, most epochs
DEPTHS = (0.05, 0.1, 0.15, 0.2)  # accuracy that a cliff costs there; runs at the deepest do not yet count as collapsed

# Standard deviations of margins
DIFFICULTY, SEED_SENTENCE, RUN_SENTENCE = 0.93, 0.05, 0.11
INTERACTIONS = np.array([0.21, 0.13, 0.15])
STEEPNESS = float(stats.norm.pdf(special.ndtri(USUAL["accuracy"])))  # of accuracy along the margin
SHIFT = RUN = 0.005 / np.sqrt(2) / STEEPNESS  # together 0.005 of accuracy between seeds
SLOPE = 0.004 / STEEPNESS  # of a seed along each factor
CONFIDENCE = 1.7
BASELINE_SENTENCE = 0.2  # by which the baseline differs from the runs on a sentence

MIXTURE_NODES, NORMAL_NODES, HALVINGS = 64, 40, 50


@dataclass(frozen=True)
class Kind:
    """What a study's truth is like beyond additive effects and independent noise."""

    cliff: bool = False  # effects level off, and the corner falls
    growth: float = 1.0  # noise at the highest learning rate over that at the lowest
    slopes: bool = False  # seeds change the factors' effects
    tails: bool = False  # runs' noise is t with 3 degrees of freedom
    opposite: bool = False  # two data sets, on which effects have opposite signs


KINDS = {
    "clean": Kind(),
    "cliff": Kind(cliff=True),
    "growing": Kind(growth=6.0),
    "slopes": Kind(slopes=True),
    "tails": Kind(tails=True),
    "all": Kind(cliff=True, growth=6.0, slopes=True, tails=True),
    "opposite": Kind(opposite=True),
}


class Cell(NamedTuple):
    """A kind of study, which is simulated many times."""

    kind: str
    collapsed: bool  # whether one to three runs answer one class
    seeds: int
    design: str = "central_composite"


@dataclass(frozen=True, eq=False)
class Truth:
    """What a study estimates: expectations over new seeds and new sentences, [data sets, 27 settings] each."""

    means: Mapping[str, np.ndarray]  # by response
    margins: np.ndarray  # a(x)
    loss_scales: np.ndarray
    sizes: Mapping[str, float]  # signed, of each factor, in smallest effects

    def surface(self, response: str, dataset: str | None) -> np.ndarray:
        """Return the true means [27]; without a data set their mean over all."""
        means = self.means[response]
        return means.mean(0) if dataset is None else means[DATASETS.index(dataset)]

    def simple_effects(self, response: str, dataset: str | None) -> np.ndarray:
        """Return the change from each factor's lowest to its highest level at the others' levels [factors, 9]."""
        surface = self.surface(response, dataset)
        return np.array([surface[high] - surface[low] for low, _, high in map(lines, range(len(FACTORS)))])

    def largest_changes(self, response: str, dataset: str | None) -> np.ndarray:
        """Return the largest change between two levels of each factor, anywhere [factors]; over all data sets."""
        means = self.means[response] if dataset is None else self.surface(response, dataset)[None]
        return np.array([np.ptp(means[:, lines(number)], axis=1).max() for number in range(len(FACTORS))])


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What a data set's runs, and its baseline, did on each sentence."""

    labels: np.ndarray  # [sentences], of two classes as false and true
    hits: np.ndarray  # [runs, sentences]
    losses: np.ndarray  # float32 [runs, sentences]
    baseline_hits: np.ndarray  # [sentences]
    baseline_losses: np.ndarray


@dataclass(frozen=True, eq=False)
class Study:
    """A simulated study."""

    runs: pd.DataFrame  # as the workflow aggregates them
    outcomes: Mapping[str, Outcomes]  # by data set, its runs in their order
    claims: list[dict[str, Any]]
    settings: np.ndarray  # which of the 27 it tried, in the runs' order
    truth: Truth


def lines(factor: int) -> np.ndarray:
    """Return the settings [levels, 9] that differ in one factor only, by its level and the others'."""
    numbers = np.arange(len(GRID)).reshape((3,) * len(FACTORS))
    return np.moveaxis(numbers, factor, 0).reshape(3, -1)


# Truth ----------------------------------------------------------------------------------------------------------------


@functools.cache
def truth_of(kind: Kind, sizes: tuple[float, ...], depth: float) -> Truth:
    """Return the truth of factors' signed sizes, and of the accuracy lost at the corner, which the loss rises by."""
    levels = np.array([-0.5, 0.3, 0.5] if kind.cliff else [-0.5, 0.0, 0.5])
    change = levels[GRID.astype(int) + 1] @ np.array(sizes)
    signs = np.array([1.0, -1.0] if kind.opposite else [1.0])[:, None]
    fall = depth * (np.arange(len(GRID)) == CORNER)
    means = {
        name: USUAL[name] + BETTER[name] * (SMALLEST[name] * signs * change - fall) for name in ("accuracy", "loss")
    }
    variances, weights = margin_variances(kind)
    margins = solve_margins(means["accuracy"], variances, weights)
    scales = means["loss"] / mean_softplus(margins, variances, weights)
    means["f1"] = means["accuracy"]
    return Truth(means, margins, scales, dict(zip(FACTORS, sizes, strict=True)))


def run_noise(kind: Kind, coded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a run's deviations, of all its sentences and of single ones, at coded levels [settings, factors].

    Growing noise is the usual one at the lowest learning rate; of single sentences, at the middle one.
    """
    return RUN * kind.growth ** ((coded[:, 0] + 1) / 2), RUN_SENTENCE * kind.growth ** (coded[:, 0] / 2)


def margin_variances(kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    """Return variances [27, parts] and weights [parts] of the normals whose mixture the margins about a(x) are.

    A t variable with 3 degrees of freedom and variance 1 is normal with variance 1 over a chi-square with 3.
    """
    run, alone = run_noise(kind, GRID)
    seed = SHIFT**2 + kind.slopes * SLOPE**2 * (GRID**2).sum(1)
    sentence = DIFFICULTY**2 + GRID**2 @ INTERACTIONS**2 + SEED_SENTENCE**2 + alone**2
    if not kind.tails:
        return (seed + sentence + run**2)[:, None], np.ones(1)
    nodes, weights = np.polynomial.legendre.leggauss(MIXTURE_NODES)
    own = 1 / stats.chi2.ppf((nodes + 1) / 2, 3)
    return (seed + sentence)[:, None] + run[:, None] ** 2 * own, weights / 2


def solve_margins(accuracies: np.ndarray, variances: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the a(x) [data sets, settings] at which margins are positive with these probabilities, by bisection."""
    low, high = np.full((2, *accuracies.shape), [[[-9.0]], [[9.0]]])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = special.ndtr(middle[..., None] / np.sqrt(variances)) @ weights < accuracies
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def mean_softplus(margins: np.ndarray, variances: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the expectation of softplus(-CONFIDENCE margin) [data sets, settings], by Gauss and Hermite."""
    nodes, own = np.polynomial.hermite_e.hermegauss(NORMAL_NODES)
    values = margins[..., None, None] + np.sqrt(variances)[..., None] * nodes
    return np.logaddexp(0, -CONFIDENCE * values) @ (own / own.sum()) @ weights


# Studies --------------------------------------------------------------------------------------------------------------


def simulate(cell: Cell, number: int, sentences: int = SENTENCES) -> Study:
    """Return a cell's study of some number, always the same: which factor has which effect, sentences, seeds, runs."""
    kind = KINDS[cell.kind]
    generator = np.random.default_rng([list(KINDS).index(cell.kind), cell.collapsed, cell.seeds, number])
    sizes = generator.permutation(SIZES) * generator.choice((-1.0, 1.0), len(FACTORS))
    truth = truth_of(kind, tuple(sizes.tolist()), float(generator.choice(DEPTHS)) * kind.cliff)
    runs, settings = planned(cell.design, cell.seeds, len(truth.margins))
    drawn = [
        outcomes(margins, scales, kind, settings, (cell.seeds, sentences), generator)
        for margins, scales in zip(truth.margins, truth.loss_scales, strict=True)
    ]
    if cell.collapsed:
        for run in generator.choice(len(runs), generator.integers(1, 4), replace=False):
            part, own = divmod(run, len(runs) // len(drawn))
            collapse(drawn[part], own, generator)
    measured = pd.concat([pd.DataFrame(metrics(part)) for part in drawn], ignore_index=True)
    named = dict(zip(DATASETS, drawn, strict=False))
    return Study(pd.concat([runs, measured], axis=1), named, claims_of(truth), settings, truth)


@functools.cache
def planned(design: str, seeds: int, datasets: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the runs of a design without metrics, seeds innermost, and which of the 27 settings it has."""
    points = pd.DataFrame(DESIGNS[design].points({}, CODINGS))
    levels = np.column_stack([np.searchsorted(coding.levels, points[name]) for name, coding in CODINGS.items()])
    settings = levels @ 3 ** np.arange(len(FACTORS))[::-1]
    points = points.assign(point_id=[f"setting{number}" for number in settings], is_baseline_point=False)
    runs = points.merge(pd.DataFrame({"seed": range(seeds)}), how="cross")
    runs = pd.concat([runs.assign(dataset=name) for name in DATASETS[:datasets]], ignore_index=True)
    names = [f"run{number}" for number in range(len(runs))]
    runs = runs.assign(run_id=names, trajectory_id=names, status="ok", dtype_used="float32")
    return runs.astype(dict.fromkeys(runs.select_dtypes("str"), object)), settings  # Arrow is slow on so few


def outcomes(
    margins: np.ndarray,
    loss_scales: np.ndarray,
    kind: Kind,
    settings: np.ndarray,
    counts: tuple[int, int],
    generator: np.random.Generator,
) -> Outcomes:
    """Draw one data set's sentences, and what its runs and its baseline do on them; counts: of seeds and sentences."""
    seeds, sentences = counts

    def normal(*shape: int) -> np.ndarray:
        return generator.standard_normal(shape, np.float32)

    coded = GRID[settings]
    run, alone = run_noise(kind, coded)
    difficulty = DIFFICULTY * normal(sentences)
    by_sentence = margins[settings, None] + difficulty + coded @ (INTERACTIONS[:, None] * normal(3, sentences))
    own = generator.standard_t(3, (len(settings), seeds)) / np.sqrt(3) if kind.tails else normal(len(settings), seeds)
    by_seed = SHIFT * normal(seeds) + kind.slopes * SLOPE * coded @ normal(3, seeds) + run[:, None] * own
    drawn = normal(len(settings), seeds, sentences)
    drawn *= alone[:, None, None].astype(np.float32)
    drawn += by_sentence[:, None].astype(np.float32)
    drawn += by_seed[..., None].astype(np.float32)
    drawn += np.float32(SEED_SENTENCE) * normal(seeds, sentences)
    centre, scale = baseline_margin()
    frozen = (centre + difficulty + BASELINE_SENTENCE * normal(sentences)).astype(np.float32)
    return Outcomes(
        labels=generator.random(sentences) < 0.5,
        hits=(drawn > 0).reshape(-1, sentences),
        losses=(loss_scales[settings, None, None].astype(np.float32) * softplus(drawn)).reshape(-1, sentences),
        baseline_hits=frozen > 0,
        baseline_losses=np.float32(scale) * softplus(frozen),
    )


@functools.cache
def baseline_margin() -> tuple[float, float]:
    """Return the baseline's mean margin and its factor of the loss; it is one model, so only sentences vary."""
    variance = np.array([[DIFFICULTY**2 + BASELINE_SENTENCE**2]])
    centre = solve_margins(np.array([[USUAL["accuracy"]]]), variance, np.ones(1))
    return centre.item(), USUAL["loss"] / mean_softplus(centre, variance, np.ones(1)).item()


def softplus(margins: np.ndarray) -> np.ndarray:
    """Return the losses of margins, float32; faster than logaddexp and as good to seven digits."""
    return np.log(1 + np.exp(np.float32(-CONFIDENCE) * margins))


def collapse(part: Outcomes, run: int, generator: np.random.Generator) -> None:
    """Make a run answer one class with little confidence, in place."""
    part.hits[run] = part.labels == (generator.random() < 0.5)
    sure = generator.uniform(0.05, 0.5)
    part.losses[run] = np.where(part.hits[run], np.logaddexp(0, -sure), np.logaddexp(0, sure))


def metrics(part: Outcomes) -> dict[str, np.ndarray | float]:
    """Return each run's metrics with their standard errors from sentences, and the baseline's, [runs] each."""
    count = len(part.labels)
    accuracy, loss = part.hits.mean(1), part.losses.mean(1, dtype=np.float64)
    f1, f1_se = f1_of(part.hits, part.labels)
    frozen = {
        "accuracy": part.baseline_hits.mean(),
        "f1": f1_of(part.baseline_hits[None], part.labels)[0][0],
        "loss": part.baseline_losses.mean(dtype=np.float64),
    }
    return {
        "accuracy": accuracy,
        "f1": f1,
        "loss": loss,
        "accuracy_se": np.sqrt(accuracy * (1 - accuracy) / count),
        "f1_se": f1_se,
        "loss_se": part.losses.std(1, ddof=1) / np.sqrt(count),
        **{f"baseline_{name}": np.full(len(loss), value) for name, value in frozen.items()},
    }


def f1_of(hits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return F1 of the true class [runs] from hits [runs, sentences], and its standard error by the delta method.

    F1 = 2 TP / (2 TP + FP + FN). A sentence adds (2 - 2 F1), -F1 or 0 over that denominator, as it is a true positive,
    an error or a true negative.
    """
    right = hits[:, labels].sum(1)
    wrong = hits.shape[1] - hits.sum(1)
    whole = 2 * right + wrong
    f1 = 2 * right / whole
    return f1, np.sqrt(right * (2 - 2 * f1) ** 2 + wrong * f1**2) / whole


def claims_of(truth: Truth) -> list[dict[str, Any]]:
    """Return claims on a study: its effects with their signs, a false one, and effects that are not there.

    Which of them hold is asked of the truth, see verdicts.claim_holds(): a cliff makes some of them doubtful.
    """
    large, medium, none = sorted(truth.sizes, key=lambda name: -abs(truth.sizes[name]))
    better = {name: int(np.sign(size)) for name, size in truth.sizes.items()}

    def claim(response: str, term: str, sign: int) -> dict[str, Any]:
        stated = {"finding": "effect" if sign else "none", "sign": {1: "positive", -1: "negative"}.get(sign)}
        told = {"statement": "", "source": "", "p": None, "framework": None}
        return {"name": f"{response} {term}", "response": response, "term": term} | stated | told

    return [
        claim("accuracy", large, better[large]),
        claim("accuracy", medium, better[medium]),
        claim("accuracy", none, 0),
        claim("loss", large, -better[large]),
        claim("loss", medium, better[medium]),
        claim("f1", "learning_rate:epochs", 0),
    ]
