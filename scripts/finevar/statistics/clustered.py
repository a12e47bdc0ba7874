"""Contrasts of a surface for new seeds and new test sentences: errors clustered by both.

Every run gives each sentence of its test set a contribution, whose mean is the run's metric. An estimate is k'y of the
runs' metrics y, k of least squares without seeds' blocks: what a seed shifts is part of the population. Its variance is
V_seed + V_sentence - V_both (Cameron, Gelbach & Miller 2011), at least the larger of the first two:

- V_seed: CR2 by seed (Bell & McCaffrey 2002; Pustejovsky & Tipton 2018) with Satterthwaite's degrees of freedom. On a
  balanced design that is the variance of the mean of the contrast's own estimates per seed, seeds - 1 degrees.
- V_sentence: u_s = sum_r k_r z_rs varies between the N sentences of a data set: var(u) / N, added over data sets.
- V_both, which the other two both contain: CR2 by seed of each sentence's own contrast, about its mean over sentences,
  averaged over sentences, / N. On a balanced design: the variance of the sentence x seed residuals / (seeds x N).

All three are quadratic forms in the coordinates of an orthonormal basis U of the design: the runs enter only by
U_g' z_g of each seed g, and CR2's (I - U_g U_g')^(-1/2) U_g is U_g (I - U_g'U_g)^(-1/2).

Where the parts of seeds are crossed, runs that share a part's seed are clustered, for each part in turn, and what parts
have in common, counted twice, is taken out (see crossed): V_init + V_order - V_init:order, at least the largest of a
part alone, with Satterthwaite's degrees of freedom, at least the fewest of a part, and these where a part has two
seeds. V_both likewise, without the bounds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from finevar.statistics.covariance import Fit
from finevar.statistics.crossed import Set, part_sets, set_df, shared_cov

SINGULAR = 1e-10  # a seed of leverage 1 in a direction: nothing else estimates it, and it has no residual there
TWO = 2  # seeds of a crossed part, whose variance has one degree of freedom: no more is then counted of the whole
FEW_SEEDS = 4  # with fewer, their own variance is too poor and HC3 takes its place


@dataclass(frozen=True)
class Contrasts:
    """Estimates [rows], their variances by source, and the degrees of freedom of each source."""

    estimate: np.ndarray
    seed: np.ndarray
    sentence: np.ndarray  # 0, like both, for these sentences
    both: np.ndarray
    seed_df: np.ndarray  # NaN where an estimate rests on one seed alone, which says nothing of new seeds
    sentence_df: np.ndarray
    is_staged: np.ndarray | bool = False  # of those whose seeds a two-stage rule added, see two_stage

    @cached_property
    def variance(self) -> np.ndarray:
        """Return the variance of each estimate."""
        return two_way(self.seed, self.sentence, self.both)

    @cached_property
    def std_error(self) -> np.ndarray:
        """Return the standard error of each estimate."""
        return np.sqrt(self.variance)

    @cached_property
    def df(self) -> np.ndarray:
        """Return the degrees of freedom of each variance."""
        with np.errstate(divide="ignore", invalid="ignore"):
            seed_df = np.where(self.is_staged, self.seed_df * self.seed / self.variance, self.seed_df)
        return welch(self.variance, self.seed, seed_df, self.sentence, self.sentence_df)

    @cached_property
    def t(self) -> np.ndarray:
        """Return each estimate over its standard error; NaN where both are 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.estimate / self.std_error

    @cached_property
    def p_value(self) -> np.ndarray:
        """Return the two-sided p-value of each estimate against zero."""
        return 2 * stats.t.sf(np.abs(self.t), self.df)

    def interval(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of each estimate's t interval."""
        reach = stats.t.ppf((1 + confidence) / 2, self.df) * self.std_error
        return self.estimate - reach, self.estimate + reach


def two_way(seed: np.ndarray, sentence: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Return the variance under both sources: never less than under either."""
    return np.maximum(seed + sentence - both, np.maximum(seed, sentence))


def welch(
    variance: np.ndarray, seed: np.ndarray, seed_df: np.ndarray, sentence: np.ndarray, sentence_df: np.ndarray
) -> np.ndarray:
    """Return the degrees of freedom of a variance of two parts (Satterthwaite 1946)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return variance**2 / (seed**2 / seed_df + sentence**2 / sentence_df)


@dataclass(frozen=True)
class Clustered:
    """One metric of all runs, sentence by sentence, and the least squares whose contrasts are asked for."""

    design: np.ndarray  # [runs, parameters] of full rank, with data sets' blocks and without seeds'
    seeds: np.ndarray  # [runs]
    datasets: np.ndarray  # number of each run's data set [runs], from 0
    contributions: Sequence[np.ndarray]  # by data set [its runs, its sentences]; a run's mean is its metric
    few: Fit | None = None  # below FEW_SEEDS: the fit of this design, which then has seeds' blocks, for V_seed
    parts: np.ndarray | None = None  # the number of each run's seed of every crossed part [runs, parts], from 0

    def against(self, frozen: Sequence[np.ndarray]) -> Clustered:
        """Return the same for each run's difference from a frozen model, whose contributions are [its sentences]."""
        pairs = zip(self.contributions, frozen, strict=True)
        return dataclasses.replace(self, contributions=[np.subtract(*pair, dtype=float) for pair in pairs])

    def contrasts(self, weights: np.ndarray, *, new_sentences: bool = True) -> Contrasts:
        """Return combinations [rows, parameters] of the parameters for new seeds, and new sentences or these."""
        rows = self.rows(weights)
        by_dataset = np.array([new_sentences * quadratic(rows, cov) for cov in self.sentence_covs])
        sentence = by_dataset.sum(0)
        last = np.array([part.shape[1] - 1 for part in self.contributions])
        with np.errstate(divide="ignore", invalid="ignore"):
            sentence_df = sentence**2 / (by_dataset**2 / last[:, None]).sum(0)
        seed, seed_df = self.between_seeds(rows)
        return Contrasts(
            estimate=rows @ (self.basis.T @ self.metric),
            seed=seed,
            sentence=sentence,
            both=new_sentences * quadratic(rows, self.both_cov),
            seed_df=seed_df,
            sentence_df=np.where(sentence > 0, sentence_df, np.inf),
        )

    def between_seeds(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return V_seed of combinations [rows, coordinates], and its degrees of freedom."""
        if self.few is not None:
            return quadratic(rows, self.seed_cov), np.full(len(rows), self.few.df)
        own = np.array([quadratic(rows, cov) for cov in self.cluster_covs])
        own_df = np.array([satterthwaite(rows, grams) for grams in self.grams])
        if self.parts is None:
            return own[0], own_df[0]
        shared = np.array([quadratic(rows, cov) for cov in self.shared_covs.values()])
        signs = [sign_of(each) for each in self.shared_covs]
        shared_df = np.array([set_df(self.levels, each) for each in self.shared_covs])
        seed = np.maximum(own.sum(0) + signs @ shared, own.max(0))
        with np.errstate(divide="ignore", invalid="ignore"):
            df = seed**2 / ((own**2 / own_df).sum(0) + (shared**2 / shared_df[:, None]).sum(0))
        fewest = own_df.min(0)
        return seed, fewest if min(self.levels) == TWO else np.maximum(np.where(seed > 0, df, 0), fewest)

    def rows(self, weights: np.ndarray) -> np.ndarray:
        """Return weights of the parameters [rows, parameters] as weights of the basis' coordinates."""
        _, scale, right = self.decomposed
        return weights @ right.T / scale

    @cached_property
    def decomposed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the singular value decomposition of the design."""
        return np.linalg.svd(self.design, full_matrices=False)

    @property
    def basis(self) -> np.ndarray:
        """Return the orthonormal basis of the design [runs, parameters]."""
        return self.decomposed[0]

    @cached_property
    def metric(self) -> np.ndarray:
        """Return the metric [runs]."""
        out = np.empty(len(self.design))
        for number, part in enumerate(self.contributions):
            out[self.datasets == number] = part.mean(1, dtype=float)
        return out

    @property
    def clusters(self) -> list[np.ndarray]:
        """Return what runs are clustered by [runs]: their seeds or, of crossed ones, the seeds of each part."""
        return [self.seeds] if self.parts is None else list(self.parts.T)

    @property
    def levels(self) -> tuple[int, ...]:
        """Return the seeds of every crossed part; none where none are crossed."""
        return () if self.parts is None else tuple(self.parts.max(0) + 1)

    @cached_property
    def grams(self) -> list[np.ndarray]:
        """Return U_g'U_g of each cluster [clusters, parameters, parameters], for each clustering."""
        return [by_seed(self.basis, self.basis, labels) for labels in self.clusters]

    @cached_property
    def cluster_covs(self) -> list[np.ndarray]:
        """Return the CR2 covariance of the coordinates for each clustering."""
        out = []
        for labels, grams in zip(self.clusters, self.grams, strict=True):
            sums = by_seed(self.basis, self.metric[:, None], labels)
            scores = cr2_roots(grams) @ (sums - grams @ sums.sum(0))
            out.append(scores[..., 0].T @ scores[..., 0])
        return out

    @cached_property
    def shared_covs(self) -> dict[Set, np.ndarray]:
        """Return what sets of crossed parts have in common in the coordinates' covariance."""
        scores = by_combination(self.basis, self.metric[:, None], self.parts, self.levels)
        return {each: shared_cov(scores, each, self.levels) for each in part_sets(len(self.levels), 2)}

    @cached_property
    def seed_cov(self) -> np.ndarray:
        """Return V_seed of the coordinates; the sum over crossed parts, which is no less than V_seed."""
        if self.few is None:
            return sum(self.cluster_covs)
        _, scale, right = self.decomposed
        back = scale[:, None] * right
        return back @ self.few.cov @ back.T

    @cached_property
    def sentence_parts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return V_sentence and V_both of the coordinates, by data set."""
        own = [self.datasets == number for number in range(len(self.contributions))]
        return [
            sentence_covs(self.basis[rows], part, [labels[rows] for labels in self.clusters], self.levels)
            for rows, part in zip(own, self.contributions, strict=True)
        ]

    @property
    def sentence_covs(self) -> list[np.ndarray]:
        """Return V_sentence of the coordinates, by data set."""
        return [sentence for sentence, _ in self.sentence_parts]

    @property
    def both_cov(self) -> np.ndarray:
        """Return V_both of the coordinates."""
        return sum(both for _, both in self.sentence_parts)


def sentence_covs(
    basis: np.ndarray, values: np.ndarray, clusters: Sequence[np.ndarray], levels: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return V_sentence and V_both [coordinates, coordinates] of one data set's contributions [runs, sentences].

    basis: the data set's rows of the design's. Sentences are fitted by an orthonormal basis of these rows. clusters:
    labels of the runs, for each clustering. levels: of crossed parts, which are the clusterings then.
    """
    own, scale, right = np.linalg.svd(basis, full_matrices=False)
    kept = scale > SINGULAR
    own, back = own[:, kept], scale[kept, None] * right[kept]
    totals = centred(own.T @ values)
    sentence, both = totals @ totals.T, np.zeros((len(totals), len(totals)))
    for labels in clusters:
        grams = by_seed(own, own, labels)
        for label, gram, root in zip(np.unique(labels), grams, cr2_roots(grams), strict=True):
            mine = labels == label
            scores = root @ (centred(own[mine].T @ values[mine]) - gram @ totals)
            both += scores @ scores.T
    if levels:
        scores = centred(by_combination(own, values, np.column_stack(clusters), levels))
        both += sum(sign_of(each) * shared_cov(scores, each, levels) for each in part_sets(len(levels), 2))
    sentences = values.shape[1]
    return tuple(back.T @ cov @ back / (sentences * (sentences - 1)) for cov in (sentence, both))


def by_combination(basis: np.ndarray, values: np.ndarray, parts: np.ndarray, levels: tuple[int, ...]) -> np.ndarray:
    """Return U_g' e_g of each combination [seeds of each part, coordinates, columns], e the residuals of values.

    Zero where a combination has no run.
    """
    totals = basis.T @ values
    scores = np.zeros((*levels, *totals.shape))
    for combination in np.unique(parts, axis=0):
        mine = (parts == combination).all(1)
        scores[tuple(combination)] = basis[mine].T @ values[mine] - basis[mine].T @ basis[mine] @ totals
    return scores


def sign_of(parts: Set) -> int:
    """Return how a set of parts counts in the variance for new seeds of all."""
    return 1 if len(parts) % 2 else -1


def centred(values: np.ndarray) -> np.ndarray:
    """Return values [..., sentences] less their means over sentences."""
    return values - values.mean(-1, keepdims=True)


def by_seed(basis: np.ndarray, values: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Return U_g' v_g of each seed [seeds, coordinates, columns] from rows of runs."""
    return np.stack([basis[seeds == seed].T @ values[seeds == seed] for seed in np.unique(seeds)])


def cr2_roots(grams: np.ndarray) -> np.ndarray:
    """Return (I - U_g'U_g)^(-1/2) of each seed, Moore-Penrose's where it is singular."""
    values, vectors = np.linalg.eigh(grams)
    rest = 1 - values
    roots = np.where(rest > SINGULAR, np.maximum(rest, SINGULAR) ** -0.5, 0)
    return (vectors * roots[:, None]) @ vectors.transpose(0, 2, 1)


def quadratic(rows: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Return the variances [rows] of linear combinations [rows, coordinates] under a covariance."""
    return np.maximum(((rows @ cov) * rows).sum(1), 0)


def satterthwaite(rows: np.ndarray, grams: np.ndarray) -> np.ndarray:
    """Return the degrees of freedom of CR2 variances of combinations [rows, coordinates], runs of equal noise supposed.

    The variance is y'LL'y, with P = L'L [seeds, seeds] = diag(d) - F F': tr(P)^2 / tr(P^2). NaN where tr(P) is less
    than the combination's own variance: it rests on one seed alone.
    """
    adjusted = np.einsum("gij,kj->kgi", cr2_roots(grams), rows)
    factors = np.einsum("gij,kgj->kgi", grams, adjusted)
    diagonal, squares = (adjusted * factors).sum(2), (factors**2).sum(2)
    gram = np.einsum("kgi,kgj->kij", factors, factors)
    trace = (diagonal - squares).sum(1)
    second = (diagonal**2 - 2 * diagonal * squares).sum(1) + (gram**2).sum((1, 2))
    alone = trace < (1 - 1e-6) * (rows**2).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(alone, np.nan, trace**2 / second)
