"""Response surfaces: one fit per response, read as absolute and as relative to the baseline.

y = Q(x) b + blocks + e, Q the terms of the surface in coded units, seeds and data sets as fixed blocks coded to sum to
zero, so that every other estimate is a mean over them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.special import expit, logit
from statsmodels.stats.diagnostic import het_breuschpagan

from finevar.statistics import families
from finevar.statistics.bounds import bounds_of
from finevar.statistics.clustered import FEW_SEEDS, Clustered, Contrasts
from finevar.statistics.covariance import BY_PART, BY_SEED, Errors, Estimate, Fit, errors_of, fit_ols, wald_test
from finevar.statistics.crossed import part_numbers
from finevar.statistics.robust import cell_numbers, winsorised
from finevar.statistics.two_stage import keep_first_stages, moved_stages
from finevar.study.coding import Codings, Term, coded_of, design_matrix, model_matrix, positions_of, unblocked

SHARED = "runs share trajectories, so their errors are not independent"
UNEQUAL = "noise differs between settings (Breusch-Pagan), which this test does not allow for"
NEW_SENTENCES, THESE_SENTENCES = "new seeds and new sentences", "these sentences"
LINEAR, CLIPPED, LOGIT = ("linear", "clipped", "logit")  # that a prediction is made on
NEAR_BOUND = 0.05  # of a metric's range: settings nearer to its ends have predictions on the logit scale
Rows = list[dict[str, Any]]
Forbids = Callable[[Mapping[str, np.ndarray]], np.ndarray]
Sentences = Mapping[str, np.ndarray]  # what each test sentence contributes to a metric, by data set


@dataclass(frozen=True, eq=False)  # each is itself alone, so that what follows from one can be kept with lru_cache
class Surface:
    """A fitted response surface and what its verdicts are measured against."""

    response: str
    codings: Codings
    columns: list[Term]
    names: list[str]  # of all parameters: terms, then blocks
    fit: Fit
    errors: Errors
    runs: pd.DataFrame
    confidence: float
    pure_error_sd: float | None
    pure_error_df: int
    noise_df: float  # degrees of freedom that the pure error is worth, see noise_df()
    test_set_se: float | None
    smallest_effect: float | None = None  # the smallest change that matters to the user; None where it is not known
    sentences: Sentences = field(default_factory=dict)  # of the runs, by data set [its runs in their order, sentences]
    frozen: Sentences = field(default_factory=dict)  # of the baseline, by data set [sentences]; or each run's own's
    own_errors: bool = False  # intervals are those of `errors` alone, and not for new seeds and new sentences
    excluded: pd.DataFrame | None = None  # natural levels of the settings at which every run of a data set failed
    forbids: Forbids | None = None  # what the design's condition says of coded places

    def coded(self, places: pd.DataFrame | None = None) -> dict[str, np.ndarray]:
        """Return the coded values of each axis [places] from natural levels; of all runs without places."""
        if places is None:
            return self.coded_runs
        return coded_of(self.codings, places)

    @cached_property
    def coded_runs(self) -> dict[str, np.ndarray]:
        """Return the coded values of each axis [runs]."""
        return self.coded(self.runs)

    @cached_property
    def points(self) -> pd.DataFrame:
        """Return the tried settings at which runs finished on every data set, a row each."""
        first = np.flatnonzero(~self.runs[list(self.codings)].duplicated())
        excluded = self.is_excluded({name: coded[first] for name, coded in self.coded_runs.items()})
        return self.runs.iloc[first[~excluded]].reset_index(drop=True)

    def is_excluded(self, coded: Mapping[str, np.ndarray]) -> np.ndarray:
        """Say for coded places [places] whether the nearest setting that was tried is one at which all runs failed.

        Nothing is predicted or recommended there.
        """
        places = positions_of(self.codings, coded)
        if self.excluded is None or self.excluded.empty:
            return np.zeros(len(places), bool)
        tried = pd.concat([self.excluded, self.runs[list(self.codings)]]).drop_duplicates()
        levels = positions_of(self.codings, self.coded(tried))
        return cdist(places, levels).argmin(1) < len(self.excluded)

    def is_forbidden(self, coded: Mapping[str, np.ndarray]) -> np.ndarray:
        """Say for coded places [places] whether the design's condition forbids them: nothing is predicted there."""
        return self.forbids(coded) if self.forbids else np.zeros(len(next(iter(coded.values()))), bool)

    @cached_property
    def cells(self) -> np.ndarray:
        """Return the number of each run's setting, data sets apart [runs]."""
        return cell_numbers(self.runs)

    @cached_property
    def breusch_pagan(self) -> tuple[float, float, float]:
        """Return F, denominator df and p of the test whether noise depends on the factors.

        Koenker's (1981) studentised form; with clusters a Wald test under CR3.
        """
        exog = np.column_stack([np.ones(len(self.runs)), *self.coded().values()])
        if self.errors.clusters is None:
            _, _, f_value, p = het_breuschpagan(self.fit.resid, exog)
            return float(f_value), float(len(exog) - exog.shape[1]), float(p)
        f_value, p = wald_test(fit_ols(self.fit.resid**2, exog, self.errors), list(range(1, exog.shape[1])))
        return f_value, self.fit.df, p

    @property
    def unequal(self) -> str | None:
        """Return why tests that need independent errors of one variance cannot be used, or None."""
        if self.errors.clusters is not None:
            return SHARED
        return UNEQUAL if self.breusch_pagan[-1] < self.alpha else None

    @property
    def has_own_noise(self) -> bool:
        """Say whether noise between seeds differs between settings and is known for each: no runs share a course."""
        return self.errors.clusters is None and self.unequal is not None

    @property
    def alpha(self) -> float:
        """Return the error rate that goes with the confidence."""
        return 1 - self.confidence

    @cached_property
    def seeds(self) -> int:
        """Return the number of seeds."""
        return self.runs["seed"].nunique()

    @property
    def shows_absence(self) -> bool:
        """Say whether an effect may be called negligible: found models, which have no seeds, or enough seeds."""
        return "owner" in self.runs or self.seeds >= FEW_SEEDS

    @cached_property
    def population(self) -> str | None:
        """Say whom intervals hold for; None of models that were found."""
        if "owner" in self.runs:
            return None
        return NEW_SENTENCES if self.sentences else THESE_SENTENCES

    @cached_property
    def is_by_seed(self) -> bool:
        """Say whether seeds are enough for a variance of their own; found models have none."""
        return self.seeds >= FEW_SEEDS and "owner" not in self.runs and not self.own_errors

    @property
    def reported_errors(self) -> Errors:
        """Return the errors that the estimates' intervals allow for: by seed, or with few seeds the fit's own."""
        if not self.is_by_seed:
            return self.errors
        if (parts := part_numbers(self.runs)) is None:
            return Errors("CR2", pd.factorize(self.runs["seed"])[0], BY_SEED)
        return Errors("CR2", parts[:, parts.max(0).argmin()], BY_PART)  # of the part that has fewest seeds

    @cached_property
    def unblocked(self) -> np.ndarray:
        """Return which parameters are no seed's block [parameters]: for new seeds, what a seed shifts is an error."""
        return unblocked(self.names)

    @cached_property
    def spread(self) -> Clustered:
        """Return the errors of the estimates for new seeds and new sentences.

        With few seeds the fit's own covariance stands for the seeds', as it does of models that were found.
        """
        kept, datasets = self.unblocked, pd.factorize(self.runs["dataset"])
        few = None if self.is_by_seed else dataclasses.replace(self.fit, cov=self.fit.cov[np.ix_(kept, kept)])
        if self.sentences and not self.own_errors:
            numbers, parts = datasets[0], [self.sentences[name] for name in datasets[1]]
        else:  # two sentences alike, which add no variance
            numbers, parts = np.zeros(len(self.runs), dtype=int), [np.repeat(self.fit.values[:, None], 2, axis=1)]
        crossed = part_numbers(self.runs) if few is None else None
        return Clustered(self.fit.matrix[:, kept], self.runs["seed"].to_numpy(), numbers, parts, few, crossed)

    def read(self, weights: np.ndarray, *, new_sentences: bool = True) -> Contrasts:
        """Return linear combinations [rows, parameters] of the parameters for new seeds and new sentences, or these."""
        own = weights[:, self.unblocked]
        found = self.spread.contrasts(own, new_sentences=new_sentences)
        found = keep_first_stages(found, weights, self.spread.rows(own), self.fit.first_stages)
        return dataclasses.replace(found, estimate=weights @ self.fit.params)

    def family(self, weights: np.ndarray) -> families.Family:
        """Return linear combinations [rows, parameters] of the parameters that are judged together."""
        judged = families.family(self.spread, weights[:, self.unblocked])
        return dataclasses.replace(judged, found=dataclasses.replace(judged.found, estimate=weights @ self.fit.params))

    @cached_property
    def cov(self) -> np.ndarray:
        """Return the covariance of all parameters for new seeds and new sentences, without negative eigenvalues."""
        spread = self.spread
        rows = spread.rows(np.eye(int(self.unblocked.sum())))
        own = rows @ families.root(spread.seed_cov + sum(spread.sentence_covs) - spread.both_cov)
        factor = np.zeros((len(self.names), own.shape[1]))
        factor[self.unblocked] = own
        return factor @ factor.T

    @cached_property
    def df(self) -> float:
        """Return the least degrees of freedom of a term's estimate."""
        return float(np.nanmin(self.read(np.eye(len(self.names))[: len(self.columns)]).df))

    def against_frozen(self) -> Sentences:
        """Return the runs' contributions less the frozen baseline's, where both are known."""
        both = self.sentences.keys() & self.frozen.keys()
        known = len(both) == len(self.sentences)
        return {name: each - self.frozen[name] for name, each in self.sentences.items()} if known else {}

    def padded(self, weights: np.ndarray) -> np.ndarray:
        """Return weights of the terms [..., terms] as weights of all parameters, blocks averaged."""
        blocks = np.zeros((*weights.shape[:-1], len(self.names) - len(self.columns)))
        return np.concatenate([weights, blocks], axis=-1)


def fit_surface(
    runs: pd.DataFrame,
    response: str,
    codings: Codings,
    columns: list[Term],
    confidence: float,
    errors: Errors | None = None,
    **known: Any,
) -> Surface:
    """Fit the absolute surface of a response; errors are read from the runs where they are not given.

    known: smallest_effect, sentences and frozen of the surface.
    """
    errors = errors_of(runs) if errors is None else errors
    matrix, names = design_matrix(runs, codings, columns)
    fit = fit_ols(runs[response].to_numpy(float), matrix, errors)
    error, error_df = pure_error(runs, response)
    worth = noise_df(runs, response, errors)
    se = f"{response}_se"
    test_set = float(runs[se].median()) if se in runs and runs[se].notna().any() else None
    start = (response, codings, columns, names, fit, errors, runs, confidence)
    return Surface(*start, error, error_df, worth, test_set, **known)


def pure_error(runs: pd.DataFrame, response: str) -> tuple[float | None, int]:
    """Return the standard deviation among the seeds of one setting, pooled over settings, and its degrees of freedom.

    A deviation beyond three robust standard deviations counts as three, so that one odd run does not decide it.
    """
    cell = cell_numbers(runs)
    size, df = np.bincount(cell), len(runs) - int(cell.max(initial=-1)) - 1
    if df < 1:
        return None, df
    shares, repeated = (1 - 1 / size)[cell], (size > 1)[cell]
    enlarged = (within(runs, response, cell)[repeated]) / np.sqrt(shares[repeated])
    return float(np.sqrt((winsorised(enlarged) ** 2 @ shares[repeated]) / df)), df


def within(runs: pd.DataFrame, response: str, cell: np.ndarray) -> np.ndarray:
    """Return each run's deviation [runs] from the mean of its setting; cell: number of each run's [runs]."""
    values = runs[response].to_numpy(float)
    return values - (np.bincount(cell, values) / np.bincount(cell))[cell]


def noise_df(runs: pd.DataFrame, response: str, errors: Errors) -> float:
    """Return the degrees of freedom that the pure error is worth (Satterthwaite 1946).

    What all runs of a seed have in common counts once a seed, not once a run; likewise for trajectories.
    """
    cell, seed = cell_numbers(runs), pd.factorize(runs["seed"])[0]
    deviations, sizes = within(runs, response, cell), np.bincount(seed)
    common, total = float((np.bincount(seed, deviations) ** 2 / sizes).sum()), float(deviations @ deviations)
    df, shared = len(runs) - int(cell.max()) - 1, len(sizes) - 1
    own = df - shared
    if shared < 1 or own < 1 or total == 0:
        return float(max(df, 1))
    worth = total**2 / (common**2 / shared + (total - common) ** 2 / own)
    return worth if errors.count is None else worth * errors.count / len(runs)


def contrast(surface: Surface, weights: np.ndarray) -> Estimate:
    """Return a linear combination [parameters] of the parameters with its t interval and its p against zero."""
    return next(contrasts(surface, weights[None]))


def contrasts(surface: Surface, weights: np.ndarray, *, new_sentences: bool = True) -> Iterator[Estimate]:
    """Yield linear combinations [rows, parameters] of the parameters with t intervals and p-values against zero."""
    yield from estimates(surface.read(weights, new_sentences=new_sentences), surface.confidence)


def estimates(found: Contrasts, confidence: float) -> Iterator[Estimate]:
    """Yield what was read of each contrast with its t interval and its p-value against zero."""
    columns = (found.estimate, found.std_error, *found.interval(confidence), found.p_value)
    yield from map(Estimate._make, zip(*(column.tolist() for column in columns), strict=True))


def fit_relative(surface: Surface, baseline: Mapping[str, float]) -> tuple[Surface, float]:
    """Fit y - y0 about the baseline's levels; return it with the largest deviation from the absolute fit's reading.

    The two are one fit (fitted values, residuals, second-order terms; first-order terms are the absolute surface's
    slopes at the baseline), which the deviation checks on every quantity: relative to the largest of its kind.
    """
    frozen = surface.runs[f"baseline_{surface.response}"].to_numpy(float)
    change = surface.runs[surface.response].to_numpy(float) - frozen
    matrix, names = design_matrix(surface.runs, surface.codings, surface.columns, baseline)
    moved = slopes_at(surface, baseline)
    stages = moved_stages(surface.fit.first_stages, moved)
    fit = dataclasses.replace(fit_ols(change, matrix, surface.errors), first_stages=stages)
    relative = dataclasses.replace(surface, names=names, fit=fit, sentences=surface.against_frozen())
    kept = [number for number, term in enumerate(surface.columns) if term]
    read = moved[kept]
    pairs = [
        (fit.resid, surface.fit.resid),
        (fit.params[kept], read @ surface.fit.params),
        (fit.bse[kept], surface.fit.std_errors(read)),
    ]
    return relative, max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def slopes_at(surface: Surface, levels: Mapping[str, float]) -> np.ndarray:
    """Return the contrasts [terms, parameters] that read each term of the surface about other levels as its origin.

    The slope of x_j at x0 is b_j + 2 b_jj x0_j + sum_k b_jk x0_k; a term of the highest order stays what it is.
    """
    x0 = {axis: float(x) for axis, (x,) in surface.coded({name: [level] for name, level in levels.items()}).items()}
    weights = [[shift_weight(term, other, x0) for other in surface.columns] for term in surface.columns]
    return surface.padded(np.array(weights))


def shift_weight(term: Term, other: Term, x0: Mapping[str, float]) -> float:
    """Return the weight of `other`'s coefficient in `term`'s after moving the origin to x0.

    Expand prod((d_k + x0_k)^n_k) over the factors of `other`: the part whose d-product is `term`.
    """
    if any(term.count(name) > other.count(name) for name in term):
        return 0.0
    powers = [(other.count(name), term.count(name), x0[name]) for name in set(other)]
    return float(math.prod(math.comb(full, kept) * level ** (full - kept) for full, kept, level in powers))


# Predictions ----------------------------------------------------------------------------------------------------------


def predicted(surface: Surface, coded: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """Yield the columns of a prediction of the mean response at each of some coded places, blocks averaged.

    None of them where the nearest setting that was tried is one at which all runs failed, or the place is forbidden.
    """
    rows = contrasts(on_scale(surface), surface.padded(model_matrix(coded, surface.columns)))
    for row, out in zip(rows, surface.is_excluded(coded) | surface.is_forbidden(coded), strict=True):
        found = within_bounds(surface, *row[:4])
        yield dict.fromkeys(found) if out else found


def within_bounds(surface: Surface, value: float, error: float, low: float, high: float) -> dict[str, Any]:
    """Return the columns of a prediction, read from on_scale(), which never leaves the metric's bounds.

    On the logit scale the standard error is by the delta method; else the prediction and its interval are clipped.
    """
    least, most = bounds_of(surface.response)
    scale, numbers = LINEAR, (value, low, high)
    if on_scale(surface) is not surface:
        share = expit(np.array(numbers))
        scale, numbers = LOGIT, least + (most - least) * share
        error *= (most - least) * share[0] * (1 - share[0])
    elif low < least or high > most:
        scale, numbers = CLIPPED, np.clip(numbers, least, most)
    value, low, high = map(float, numbers)
    found = {"predicted": value, "std_error": error, "ci_low": low, "ci_high": high, "scale": scale}
    return found | {"population": surface.population}


@lru_cache(maxsize=16)
def on_scale(surface: Surface) -> Surface:
    """Return the surface that predictions are read from: of logits where a setting's mean is near a bound, else itself.

    Each sentence's contribution moves a run's logit by the delta method. A run on a bound counts as half as far from it
    as the nearest other run. Simulated with 500 sentences, 2 and 4 seeds: 95 % intervals hold the truth in 94 to 97 %
    of studies up to five sentences from the bound, in 86 to 93 % at two or three; linear ones often reach beyond it.
    """
    low, high = bounds_of(surface.response)
    if math.isinf(high):
        return surface
    share = (surface.fit.values - low) / (high - low)
    means = np.bincount(surface.cells, share) / np.bincount(surface.cells)
    if np.minimum(means, 1 - means).min() >= NEAR_BOUND:
        return surface
    distance = np.minimum(share, 1 - share)
    least = distance[distance > 0].min(initial=NEAR_BOUND) / 2
    share = np.clip(share, least, 1 - least)
    logits, slopes = logit(share), 1 / (share * (1 - share) * (high - low))
    own = surface.runs["dataset"].to_numpy()
    sentences = {
        name: logits[own == name][:, None] + slopes[own == name][:, None] * (each - each.mean(1, keepdims=True))
        for name, each in surface.sentences.items()
    }
    fit = fit_ols(logits, surface.fit.matrix, surface.errors)
    return dataclasses.replace(surface, fit=fit, sentences=sentences)
