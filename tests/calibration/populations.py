"""How often inference for new seeds and new sentences is wrong: intervals, families of simple effects, seed x factor.

Studies of 15 central composite settings of three factors and 1,000 sentences, all on the scale of accuracy. Seeds shift
all their runs and may change slopes; sentences differ in difficulty and in what the first factor does to them.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from scipy import stats

from finevar.statistics.clustered import FEW_SEEDS, Clustered, Contrasts, cr2_roots
from finevar.statistics.covariance import INDEPENDENT, fit_ols
from finevar.statistics.families import family, root, scaled
from finevar.statistics.seed_slopes import SlopesTest, seed_slopes_test

CORNERS = list(itertools.product((-1.0, 1.0), repeat=3))
AXES = [tuple(end if factor == axis else 0.0 for factor in range(3)) for axis in range(3) for end in (-1, 1)]
SETTINGS = np.array([*CORNERS, *AXES, (0, 0, 0)])
SENTENCES = 1000
EFFECT = 0.03  # of the first factor from end to end
# Standard deviations. A run's accuracy differs between seeds by 0.006 in all, its sentences' own noise with it.
SHIFT, TURN, RUN, SENTENCE, DIFFICULTY = 0.004, 0.004, 0.0025, 0.12, 0.3
FEW_DRAWS = 2_000
ALPHA = 0.05


def quadratic(places: np.ndarray) -> np.ndarray:
    """Return the full quadratic model's columns [places, 10] of coded places [places, 3]."""
    pairs = [places[:, a] * places[:, b] for a, b in itertools.combinations_with_replacement(range(3), 2)]
    return np.column_stack([np.ones(len(places)), places, *pairs])


def simple_effects() -> np.ndarray:
    """Return the contrasts [27, parameters] between the first factor's levels at every setting of the others."""
    rows = []
    for others in np.unique(SETTINGS[:, 1:], axis=0):
        low, middle, high = quadratic(np.array([[level, *others] for level in (-1, 0, 1)]))
        rows += [middle - low, high - middle, high - low]
    return np.array(rows)


def study(
    draw: np.random.Generator,
    seeds: int,
    *,
    effect: float = 0.0,
    turn: float = TURN,
    tails: bool = False,
    sentence_turn: float = 0.15,
) -> Clustered:
    """Return a study of known effect; tails: seeds differ by t of 3 degrees of freedom, of the same deviation."""

    def between(*shape: int) -> np.ndarray:
        return draw.standard_t(3, shape) / np.sqrt(3) if tails else draw.standard_normal(shape)

    places, seed = np.tile(SETTINGS, (seeds, 1)), np.repeat(np.arange(seeds), len(SETTINGS))
    metric = 0.85 + effect / 2 * places[:, 0] + SHIFT * between(seeds)[seed] + RUN * between(len(seed))
    metric += (places * turn * between(seeds, 3)[seed]).sum(1)
    sentences = DIFFICULTY * draw.standard_normal(SENTENCES)
    sentences = sentences + sentence_turn * places[:, :1] * draw.standard_normal(SENTENCES)
    noise = SENTENCE * draw.standard_normal((len(seed), SENTENCES))
    return of_one_dataset(quadratic(places), seed, metric[:, None] + sentences + noise)


def of_one_dataset(design: np.ndarray, seed: np.ndarray, values: np.ndarray) -> Clustered:
    """Return the inference of a study of one data set; with few seeds by HC3 with seeds' blocks that sum to zero."""
    seeds, none = seed.max() + 1, np.zeros(len(seed), int)
    if seeds >= FEW_SEEDS:
        return Clustered(design, seed, none, [values])
    blocks = (seed[:, None] == np.arange(seeds - 1)).astype(float) - (seed[:, None] == seeds - 1)
    design = np.column_stack([design, blocks])
    return Clustered(design, seed, none, [values], few=fit_ols(values.mean(1), design, INDEPENDENT))


def wald(clustered: Clustered, weights: np.ndarray, *, new_sentences: bool) -> tuple[float, float, float]:
    """Return F, its denominator's degrees of freedom and p of the hypothesis that all combinations [rows] are zero.

    For these sentences clubSandwich's HTZ (Pustejovsky & Tipton 2018); else new sentences' covariance is added to the
    seeds', and its spread to theirs. p is 1 where too few seeds leave no degrees of freedom.
    """
    rows = clustered.rows(weights)
    parts = [(clustered.seed_cov, htz_df(clustered, rows))]
    parts += [(cov, SENTENCES - 1) for cov in clustered.sentence_covs if new_sentences]
    values, vectors = np.linalg.eigh(rows @ (sum(cov for cov, _ in parts)) @ rows.T)
    white, q = vectors / np.sqrt(values), len(rows)
    shares = [(white.T @ rows @ cov @ rows.T @ white, df) for cov, df in parts]
    spread = sum(((share**2).sum() + np.trace(share) ** 2) / df for share, df in shares)
    rest = q * (q + 1) / spread - q + 1
    estimate = white.T @ rows @ (clustered.basis.T @ clustered.metric)
    f_value = float(estimate @ estimate) / q * rest / (rest + q - 1)
    return f_value, float(rest), float(stats.f.sf(f_value, q, rest)) if rest > 0 else 1.0


def htz_df(clustered: Clustered, rows: np.ndarray) -> float:
    """Return the degrees of freedom of the CR2 covariance of combinations [rows, coordinates]."""

    def products(rows: np.ndarray) -> np.ndarray:
        adjusted = np.einsum("gij,kj->kgi", cr2_roots(clustered.grams[0]), rows)
        factors = np.einsum("gij,kgj->kgi", clustered.grams[0], adjusted)
        own = np.einsum("kgi,lgi->klg", adjusted, factors)
        return own[..., None] * np.eye(len(clustered.grams[0])) - np.einsum("kgi,lhi->klgh", factors, factors)

    values, vectors = np.linalg.eigh(np.trace(products(rows), axis1=2, axis2=3))
    p = products((vectors / np.sqrt(values)).T @ rows)
    q = len(rows)
    return q * (q + 1) / (np.einsum("stgh,tsgh->", p, p) + np.einsum("ssgh,ttgh->", p, p))


def covered(clustered: Clustered, effect: float) -> bool:
    """Say whether the interval of the first factor's effect, from end to end mid-range, holds the truth."""
    weights = np.zeros((1, clustered.design.shape[1]))
    weights[0, 1] = 2
    low, high = clustered.contrasts(weights).interval(1 - ALPHA)
    return bool(low[0] <= effect <= high[0])


def slopes_test(clustered: Clustered) -> SlopesTest:
    """Test whether seeds change slopes."""
    cells = np.unique(clustered.design[:, :10], axis=0, return_inverse=True)[1]
    surface = clustered.design[:, :10]
    return seed_slopes_test(clustered.metric, surface[:, 1:4], clustered.seeds, cells, surface)


def multivariate_t(clustered: Clustered, found: Contrasts, weights: np.ndarray) -> float:
    """Return the p-value of the largest |t| under one t of the estimated correlations and fewest degrees of freedom."""
    rows, draw = clustered.rows(weights), np.random.default_rng(0)
    cov = clustered.seed_cov + (sum(clustered.sentence_covs) - clustered.both_cov if found.sentence.any() else 0)
    shape = scaled(rows @ root(cov), np.ones(len(rows)))
    normal = np.abs(draw.standard_normal((FEW_DRAWS, shape.shape[1])) @ shape.T).max(1)
    largest = normal * np.sqrt(found.df.min() / draw.chisquare(found.df.min(), FEW_DRAWS))
    return float((largest >= np.abs(found.t).max()).mean())


def findings(clustered: Clustered, *, new_sentences: bool) -> Iterator[tuple[str, bool]]:
    """Yield whether the first factor is found to have an effect, by test."""
    weights = simple_effects()
    judged = family(clustered, weights, new_sentences=new_sentences, draws=FEW_DRAWS)
    yield "largest of the draws", bool(judged.p_value.min() < ALPHA)
    yield "multivariate t", multivariate_t(clustered, judged.found, weights) < ALPHA
    yield "Bonferroni", bool(judged.found.p_value.min() * len(weights) < ALPHA)
    basis = np.linalg.svd(weights, full_matrices=False)[2][:4]  # the same hypothesis in four constraints
    yield "joint Wald", wald(clustered, basis, new_sentences=new_sentences)[2] < ALPHA


KINDS = {
    "no effect, seeds keep slopes": {"turn": 0.0},
    "no effect": {},
    "no effect, slopes differ twice as much": {"turn": 2 * TURN},
    "no effect, heavy tails": {"tails": True},
    "no effect, heavy tails, slopes differ twice as much": {"tails": True, "turn": 2 * TURN},
    "effect 0.03": {"effect": EFFECT},
    "effect 0.03, heavy tails": {"effect": EFFECT, "tails": True},
}
# For these sentences the truth is theirs, so that they keep the factor's slope.
POPULATIONS = {"new sentences": {}, "these sentences": {"sentence_turn": 0.0}}


def rates(studies: int, seed: int) -> Iterator[tuple[str, float]]:
    """Yield what is counted, and in how many per cent of studies it happens."""
    for seeds, turn in itertools.product((2, 3, 4, 5, 6), (0.0, TURN)):
        drawn = (np.random.default_rng([seed, seeds, number]) for number in range(studies))
        made = (study(draw, seeds, effect=EFFECT, turn=turn) for draw in drawn)
        held, found = zip(*((covered(one, EFFECT), slopes_test(one).p_value < 0.1) for one in made), strict=True)
        name = f"{seeds} seeds, slopes {'differ' if turn else 'agree'}"
        yield f"{name}: interval holds the effect", 100 * float(np.mean(held))
        yield f"{name}: seed x factor found", 100 * float(np.mean(found))
    for (population, fixed), (kind, truth) in itertools.product(POPULATIONS.items(), KINDS.items()):
        counts: dict[str, int] = defaultdict(int)
        for number in range(studies):
            one = study(np.random.default_rng([seed, number]), 5, **truth | fixed)
            for name, found in findings(one, new_sentences=not fixed):
                counts[name] += found
        for name, count in counts.items():
            yield f"5 seeds, {population}, {kind}: {name}", 100 * count / studies
