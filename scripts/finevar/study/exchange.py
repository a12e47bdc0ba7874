"""The best settings for a budget: point exchange over candidate rows of a model matrix (Fedorov 1972)."""

from __future__ import annotations

import numpy as np

STARTS = 20
GAIN = 1e-9  # of the criterion, below which two choices count as equal: so every machine takes the first of them


def exchanged(
    candidates: np.ndarray,
    size: int,
    *,
    criterion: str = "I",
    seed: int = 0,
    fixed: np.ndarray | None = None,
    moments: np.ndarray | None = None,
) -> list[int]:
    """Return which candidates, each at most once, make the best design, in order.

    candidates: [candidates, parameters]; where all of them together hardly separate the parameters, as levels are too
    close, the first are returned. criterion: I, the average variance of a prediction over the candidates, or D, the
    determinant of the parameters' covariance. fixed: rows that the design has already [rows, parameters], besides the
    `size` that are chosen. moments: M of what I makes small, trace(M Cov), where it is not the candidates' own: cc' for
    the variance of one contrast c.
    """
    rows, parameters = candidates.shape
    given = np.zeros((parameters, parameters)) if fixed is None else fixed.T @ fixed
    if not separates(candidates, given):
        return list(range(size))
    moments = candidates.T @ candidates / rows if moments is None else moments
    generator = np.random.default_rng(seed)
    best, least = np.empty(0, dtype=int), np.inf
    for _ in range(STARTS):
        chosen = improved(candidates, start(candidates, size, given, generator), given, moments, criterion)
        reached = loss(inverse(candidates[chosen], given), moments, criterion)
        if best.size == 0 or reached < least - GAIN * max(abs(least), 1):
            best, least = chosen, reached
    return sorted(map(int, best))


def start(candidates: np.ndarray, size: int, given: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return random candidates [size] that separate all parameters."""
    while True:
        chosen = generator.permutation(len(candidates))[:size]
        if separates(candidates[chosen], given):
            return chosen


def separates(matrix: np.ndarray, given: np.ndarray) -> bool:
    """Say whether rows, with those given, separate all parameters, and not by their last digits alone."""
    return bool(np.linalg.matrix_rank(given + matrix.T @ matrix, tol=1e-6) == matrix.shape[1])


def improved(
    candidates: np.ndarray, chosen: np.ndarray, given: np.ndarray, moments: np.ndarray, criterion: str
) -> np.ndarray:
    """Return the design after exchanges, each the best of all pairs, until none gains anything."""
    while True:
        gains = exchange_gains(candidates, chosen, inverse(candidates[chosen], given), moments, criterion)
        gains[chosen] = -np.inf
        if gains.size == 0 or gains.max() <= GAIN:
            return chosen
        added, removed = divmod(int(np.argmax(gains >= gains.max() - GAIN)), len(chosen))
        chosen = np.where(np.arange(len(chosen)) == removed, added, chosen)


def exchange_gains(
    candidates: np.ndarray, chosen: np.ndarray, covariance: np.ndarray, moments: np.ndarray, criterion: str
) -> np.ndarray:
    """Return what each exchange gains [candidates, chosen], as a share of the criterion.

    By rank-one updates of the covariance: removing x adds (Cx)(Cx)' / (1 - x'Cx), adding x takes the like with +.
    """
    spread = candidates @ covariance
    shared = spread @ candidates[chosen].T
    own = (spread * candidates).sum(1)[:, None]
    left = np.maximum(1 - own[chosen].T, 1e-12)
    added = 1 + own + shared**2 / left
    if criterion == "D":
        return left * added - 1
    weighted = spread @ moments @ covariance
    across = weighted @ candidates[chosen].T
    alone = (weighted * candidates).sum(1)[:, None]
    lost = alone[chosen].T / left
    won = (alone + 2 * shared * across / left + lost / left * shared**2) / added
    return (won - lost) / np.trace(moments @ covariance)


def inverse(matrix: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return the parameters' covariance, for noise of 1 in a run, from the rows chosen and those given."""
    return np.linalg.inv(given + matrix.T @ matrix)


def loss(covariance: np.ndarray, moments: np.ndarray, criterion: str) -> float:
    """Return what the criterion minimises: the average variance of a prediction, or log det of the covariance."""
    if criterion == "D":
        return float(np.linalg.slogdet(covariance)[1])
    return float(np.trace(moments @ covariance))
