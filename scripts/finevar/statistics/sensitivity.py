"""Whether a term's p-value survives other reasonable ways to compute it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from finevar.statistics.covariance import Fit, clustered_by, fit_ols, jackknife_sums, jackknife_weights
from finevar.statistics.estimability import obstacle
from finevar.statistics.regression import Rows, Surface
from finevar.statistics.specifications import agreement, other_errors, unbounded
from finevar.statistics.suspects import without_suspects
from finevar.study.coding import design_matrix

PERMUTATIONS = 999
PERMUTATION_SEED = 20250102
LARGEST_PART = 1_000_000  # rearranged residuals held at once
MOST_CELLS = 200  # refits without a setting: all of them up to here, beyond it the most influential
SEEDS_FOR_MIXED = 6  # with fewer, the variance between seeds is hardly estimated


def sensitivity_rows(surface: Surface) -> Rows:
    """Return a row per term and specification, the default first: runs that are independent given their seed.

    All but `population`, which is what the study reports, are about these seeds and sentences, so that they compare.
    """
    numbers = [number for number, term in enumerate(surface.columns) if term]
    terms = [{"response": surface.response, "term": surface.names[number]} for number in numbers]
    found = {"default": estimates(surface.fit, numbers), "population": as_reported(surface, numbers)}
    found |= refits(surface, numbers)
    found["mixed_model"] = mixed_model(surface, numbers, surface.unequal)
    found["transformed"] = transformed(surface, numbers)
    found["permutation"] = permutation(surface, numbers)
    found |= without_odd_runs(surface, numbers)
    found |= {f"without_one_{column}": leave_out(surface, column, numbers) for column in ("cell", "seed", "dataset")}
    return [
        term | {"specification": name, "agrees": agreement(row, default, surface.alpha)} | row
        for name, rows in found.items()
        for term, default, row in zip(terms, found["default"], rows, strict=True)
    ]


def estimates(fit: Fit, numbers: Sequence[int]) -> Rows:
    """Return a fit's estimates of some parameters, a row each."""
    return parameter_rows(fit.params, fit.bse, fit.pvalues, numbers)


def as_reported(surface: Surface, numbers: Sequence[int]) -> Rows:
    """Return the estimates for new seeds and new sentences, a row each."""
    found = surface.read(np.eye(len(surface.names)))
    return parameter_rows(found.estimate, found.std_error, found.p_value, numbers)


def parameter_rows(params: np.ndarray, errors: np.ndarray, p_values: np.ndarray, numbers: Sequence[int]) -> Rows:
    """Return estimates, standard errors and p-values of some parameters, a row each."""
    found = np.column_stack([params, errors, p_values])[list(numbers)]
    return [dict(zip(("estimate", "std_error", "p_value"), row, strict=True)) for row in found.tolist()]


def transformed(surface: Surface, numbers: Sequence[int]) -> Rows:
    """Return p-values on a scale without bounds."""
    values = unbounded(surface)
    if values is None:
        return without(f"{surface.response} reaches a bound of its scale", numbers)
    return estimates(fit_ols(values, surface.fit.matrix, surface.errors), numbers)


def without(reason: str, numbers: Sequence[int]) -> Rows:
    """Return a specification's rows where it cannot be used."""
    return [{"reason": reason} for _ in numbers]


def refits(surface: Surface, numbers: Sequence[int]) -> dict[str, Rows]:
    """Return the rows of the same fit with other errors."""
    fit = surface.fit
    return {
        name: without(errors, numbers)
        if isinstance(errors, str)
        else estimates(fit_ols(fit.values, fit.matrix, errors), numbers)
        for name, errors in other_errors(surface, fit.matrix).items()
    }


def mixed_model(surface: Surface, numbers: Sequence[int], unequal: str | None) -> Rows:
    """Return p-values of a mixed model: seeds, or trajectories where runs share them, as random intercepts (REML)."""
    shared = surface.errors.clusters is not None
    seeds = surface.seeds
    if not shared and unequal:
        return without(unequal, numbers)
    if not shared and seeds < SEEDS_FOR_MIXED:
        return without(f"{seeds} seeds are too few: it takes {SEEDS_FOR_MIXED}", numbers)
    groups = surface.runs["trajectory_id" if shared else "seed"].to_numpy()
    fixed = surface.fit.matrix if shared else surface.fit.matrix[:, surface.unblocked]
    scale = float(np.std(surface.fit.values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a variance of zero is an answer: the fit is then ordinary least squares
        try:
            fit = MixedLM(surface.fit.values / scale, fixed, groups).fit(reml=True)
        except np.linalg.LinAlgError:
            return without("its likelihood has no proper maximum on these runs", numbers)
    params, errors = fit.fe_params * scale, fit.bse_fe * scale
    # Terms that differ between trajectories only have no more degrees of freedom than trajectories leave.
    df = len(np.unique(groups)) - fixed.shape[1] if shared else len(fixed) - fixed.shape[1] - len(np.unique(groups))
    return parameter_rows(params, errors, 2 * stats.t.sf(np.abs(params / errors), df), numbers)


def without_odd_runs(surface: Surface, numbers: Sequence[int]) -> dict[str, Rows]:
    """Return the rows of the same fit without its suspect runs, if there are any."""
    again = without_suspects(surface)
    if again is surface:
        return {}
    if isinstance(again, Surface):
        return {"without_suspects": estimates(again.fit, numbers)}
    return {"without_suspects": without("the other runs do not estimate every term", numbers)}


def permutation(surface: Surface, numbers: Sequence[int], draws: int = PERMUTATIONS) -> Rows:
    """Return Freedman and Lane's (1983) p-values: residuals without the term, permuted within seed and data set.

    The statistic is t by the default covariance, which keeps the test right where noise differs between settings
    (DiCiccio & Romano 2017). Where runs share trajectories, whole trajectories change sign instead of place.
    """
    fit = surface.fit
    projection = fit.bread @ fit.matrix.T
    weights = jackknife_weights(fit.matrix, fit.bread, surface.errors.clusters)
    observed = [studentised(surface, fit.values[:, None], projection, weights, number)[0] for number in numbers]
    bases = (np.linalg.qr(np.delete(fit.matrix, number, axis=1))[0] for number in numbers)
    reduced = [basis @ (basis.T @ fit.values) for basis in bases]  # fitted without the term
    larger = np.zeros(len(observed))
    for move in shuffles(surface, draws):
        for row, (number, fitted) in enumerate(zip(numbers, reduced, strict=True)):
            t = studentised(surface, fitted[:, None] + move(fit.values - fitted), projection, weights, number)
            larger[row] += (np.abs(t) >= abs(observed[row]) * (1 - 1e-12)).sum()
    return [{"p_value": float(count + 1) / (draws + 1), "refits": draws} for count in larger]


def studentised(
    surface: Surface, values: np.ndarray, projection: np.ndarray, weights: np.ndarray, number: int
) -> np.ndarray:
    """Return t of one parameter in the fits of many responses [runs, draws], by the default covariance."""
    params = projection @ values
    scores = values - surface.fit.matrix @ params
    scores *= weights[:, number, None]
    clusters = surface.errors.clusters
    if clusters is not None:
        scores = jackknife_sums(scores, clusters)
    return params[number] / np.sqrt(np.einsum("ij,ij->j", scores, scores))


def shuffles(surface: Surface, draws: int) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """Yield functions from residuals [runs] to their rearrangements [runs, draws], in parts that stay small."""
    generator = np.random.default_rng(PERMUTATION_SEED)
    runs, clusters = surface.runs, surface.errors.clusters
    part = max(1, min(draws, LARGEST_PART // len(runs)))
    blocks = list(runs.groupby(["dataset", "seed"], sort=False).indices.values())
    for start in range(0, draws, part):
        count = min(part, draws - start)
        if clusters is not None:
            signs = generator.choice([-1.0, 1.0], (int(clusters.max()) + 1, count))[clusters]
            yield lambda residual, signs=signs: residual[:, None] * signs
            continue
        places = np.empty((len(runs), count), dtype=np.intp)
        for rows in blocks:
            places[rows] = rows[np.argsort(generator.random((len(rows), count), dtype=np.float32), axis=0)]
        yield lambda residual, places=places: residual[places]


def leave_out(surface: Surface, column: str, numbers: Sequence[int]) -> Rows:
    """Return the range of each term's p-value over fits without one setting, seed or data set."""
    labels = surface.cells if column == "cell" else surface.runs[column].to_numpy()
    levels = pd.unique(labels)
    if len(levels) < 2:
        return without(f"the study has one {column.replace('dataset', 'data set')}", numbers)
    if len(levels) > MOST_CELLS and column == "cell":
        fit = surface.fit
        cook = pd.Series(fit.resid**2 * fit.leverages / (1 - fit.leverages) ** 2)
        levels = cook.groupby(labels).sum().nlargest(MOST_CELLS).index.to_numpy()
    found = [p for level in levels if (p := p_without(surface, labels != level)) is not None]
    if not found:
        return without(f"without any one {column} the runs cannot estimate the terms", numbers)
    ranges = np.array([np.min(found, axis=0), np.max(found, axis=0)])[:, list(numbers)].T.tolist()
    return [{"p_low": low, "p_high": high, "refits": len(found)} for low, high in ranges]


def p_without(surface: Surface, kept: np.ndarray) -> np.ndarray | None:
    """Return the terms' p-values of a fit on some of the runs [runs], or None where it cannot be made."""
    runs = surface.runs.loc[kept, [*surface.codings, "seed", "dataset"]]
    if all(runs[block].nunique() == surface.runs[block].nunique() for block in ("seed", "dataset")):
        matrix = surface.fit.matrix[kept]
    else:  # of fewer blocks, whose columns differ
        matrix, _ = design_matrix(runs, surface.codings, surface.columns)
    clusters = surface.errors.clusters
    errors = surface.errors if clusters is None else clustered_by(clusters[kept], "")
    return None if obstacle(matrix, errors) else fit_ols(surface.fit.values[kept], matrix, errors).pvalues
