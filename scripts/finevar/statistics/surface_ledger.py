"""The variance ledger of a fitted surface, for designs that are no complete balanced grid.

The surface's polynomial in coded units is rewritten in products of Legendre polynomials, orthonormal for factors that
are spread evenly and independently over their ranges; then the variance that a set of factors makes is the sum of the
squared coefficients of the products with exactly these factors (Sudret 2008). The square of an estimate exceeds that
of its coefficient by its error variance, so that is taken out. Seeds and data sets are the fit's blocks, each level
equally often. What the surface leaves is counted to seed x setting.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from scipy.special import chdtri

from finevar.statistics.anova import DATASET, SEED, SEED_POINT, source_rank
from finevar.statistics.covariance import jackknife_weights
from finevar.statistics.ledger import DRAWS, Ledger, Sentences, draw_effects, draw_errors, taken_by
from finevar.statistics.regression import Surface
from finevar.study.coding import Coding, Codings, Term, categories_of, factor_of, nested_of

Product = dict[str, int | str]  # of some factors: the degree of a number's polynomial, or a level that is a name


class Effects(NamedTuple):
    """The effects whose squares are parts of a surface's variance."""

    matrix: np.ndarray  # [effects, parameters]
    sources: tuple[str, ...]
    membership: np.ndarray  # which source an effect is counted to, as zeros and ones [effects, sources]
    directions: np.ndarray  # of each source's estimated effects [effects, sources], of length 1, or 0 without any

    @classmethod
    def of(cls, surface: Surface) -> Effects:
        """Return the effects of a fitted surface."""
        matrix, names = orthonormal_effects(surface)
        sources = tuple(sorted(set(names), key=lambda name: source_rank(name, list(surface.codings))))
        membership = np.array([[float(name == source) for source in sources] for name in names])
        own = (matrix @ surface.fit.params)[:, None] * membership
        length = np.linalg.norm(own, axis=0)
        return cls(matrix, sources, membership, np.divide(own, length, out=np.zeros_like(own), where=length > 0))


def surface_ledger(surface: Surface, columns: Sequence[np.ndarray] = (), draws: int = DRAWS) -> Ledger:
    """Return the ledger of a fitted surface; columns: of test sentences, by data set [sentences, runs].

    Where runs share trajectories the columns must be left out: their errors are taken for independent between runs.
    """
    parts, fit = Effects.of(surface), surface.fit
    errors = np.diag(parts.matrix @ fit.cov @ parts.matrix.T) @ parts.membership
    squares = (parts.matrix @ fit.params) ** 2 @ parts.membership
    sources = (*parts.sources, SEED_POINT)
    sentences = [surface_sentences(surface, parts, column) for column in columns]
    drawn, cautious = draw_surface(surface, parts, sentences, draws)
    settings = [source for source in parts.sources if source not in (SEED, DATASET)]
    ranks = [float(np.linalg.matrix_rank(parts.matrix[own > 0])) for own in parts.membership.T]
    return Ledger(
        sources=sources,
        df=np.array([*ranks, fit.df_resid]),
        found=np.append(squares - errors, fit.ssr / fit.df_resid),
        taken=taken_by(sentences, len(sources)),
        known=bool(columns),
        drawn=drawn,
        cautious=cautious,
        division=np.array([[float(source == name) for name in settings] for source in sources]),
        holds=np.array([[float(name in source.split(":")) for name in surface.codings] for source in settings]),
    )


def draw_surface(
    surface: Surface, parts: Effects, sentences: Sequence[Sentences], draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the variances of each source and of test-set sampling [draws, sources + 1], as they are and cautious.

    As for a grid, with the covariance of the fit; the noise's scale is a chi-square on the fit's degrees of freedom.
    """
    fit = surface.fit
    sampling, sampling_along, levels = draw_errors(sentences, draws, len(parts.sources) + 1)
    ratio = fit.df / chdtri(fit.df, 1 - levels[:, -1:])
    cov = parts.matrix @ fit.cov @ parts.matrix.T
    along = np.einsum("is,ij,js->s", parts.directions, cov, parts.directions)
    errors = np.maximum(np.diag(cov) @ parts.membership * ratio + sampling[:, :-1], 0)
    unit = np.maximum(along * ratio + sampling_along[:, :-1], 0)
    rest = np.maximum(fit.ssr / fit.df_resid * ratio - sampling[:, -1:], 0)
    squares = (parts.matrix @ fit.params) ** 2 @ parts.membership
    beside = [rest, np.maximum(sampling.sum(1, keepdims=True), 0)]
    return tuple(np.hstack([found, *beside]) for found in draw_effects(squares, errors, unit, levels[:, :-1]))


def surface_sentences(surface: Surface, parts: Effects, columns: np.ndarray) -> Sentences:
    """Return what test sentences' columns [sentences, runs] add to the effects' squares, the residual variance last.

    The noise in a column is taken out as it is of the runs, by its residuals and HC3 (MacKinnon & White 1985).
    """
    fit = surface.fit
    params = columns @ fit.matrix @ fit.bread
    effects, residuals = params @ parts.matrix.T, (columns - params @ fit.matrix.T) ** 2
    weights = jackknife_weights(fit.matrix, fit.bread, None) @ parts.matrix.T
    squares = effects**2 @ parts.membership - residuals @ (weights**2 @ parts.membership)
    along = (effects @ parts.directions) ** 2 - residuals @ (weights @ parts.directions) ** 2
    rest = residuals.sum(1, keepdims=True) / fit.df_resid
    return Sentences(np.hstack([squares, rest]), np.hstack([along, rest]))


def orthonormal_effects(surface: Surface) -> tuple[np.ndarray, list[str]]:
    """Return the matrix [effects, parameters] whose squared effects are parts of variance, and each part's source."""
    products = products_of(surface)
    rows = [
        surface.padded(np.array([product_weight(term, product, surface.codings) for term in surface.columns]))
        for product in products
    ]
    names = [":".join(product) for product in products]
    for block in (DATASET, SEED):
        columns = [number for number, name in enumerate(surface.names) if name.startswith(f"{block}[")]
        levels = np.zeros((len(columns) + 1, len(surface.names)))
        levels[:-1, columns] = np.eye(len(columns))
        levels[-1, columns] = -1  # blocks are coded to sum to zero
        if columns:
            rows += list(levels / math.sqrt(len(levels)))
            names += [block] * len(levels)
    return np.array(rows), names


def products_of(surface: Surface) -> list[Product]:
    """Return the products of orthonormal functions that the terms are made of, each once."""
    found = {}
    for term in filter(None, surface.columns):
        degrees, nests = Counter(map(factor_of, term)), nests_of(term, surface.codings)
        parts = {name: [degree] for name, degree in degrees.items()}
        parts |= {name: surface.codings[name].levels for name in degrees if name in categories_of(surface.codings)}
        if nests:
            parts |= {name: [None, *surface.codings[name].levels] for name in nests}
            parts = {name: parts[name] for name in surface.codings if name in parts}
        for each in itertools.product(*parts.values()):
            found[tuple((name, part) for name, part in zip(parts, each, strict=True) if part is not None)] = None
    return list(map(dict, found))


def product_weight(term: Term, product: Product, codings: Codings) -> float:
    """Return the coefficient that a term has on a product of orthonormal functions."""
    owners = dict.fromkeys([*map(factor_of, term), *nests_of(term, codings), *product])
    return math.prod(function_weight(name, codings, term, product.get(name)) for name in owners)


def function_weight(name: str, codings: Codings, term: Term, function: int | str | None) -> float:
    """Return the coefficient that a term's powers of one factor, or its column of a category, have on a function of it.

    Of a category each level is a function, as a level of a block is. A factor nested in it makes the term 0 at the
    levels where it does not exist.
    """
    coding = codings[name]
    if isinstance(coding, Coding):
        return power_weights(term.count(name))[function or 0]
    own = [axis in term for axis in coding.axes(name)]
    values = coding.columns(coding.levels)[:, own].prod(1)
    for nested in nested_in(name, term, codings):
        values = values * np.isin(coding.levels, codings[nested].when.levels)
    if function is None:
        return float(values.mean())
    return float(values[coding.levels.index(function)] - values.mean()) / math.sqrt(len(coding.levels))


def nested_in(category: str, term: Term, codings: Codings) -> list[str]:
    """Return the factors of a term that exist at some levels of a category alone."""
    return [name for name, own in nested_of(codings).items() if name in term and own.when.category == category]


def nests_of(term: Term, codings: Codings) -> list[str]:
    """Return the categories that factors of a term are nested in: the term is 0 at their other levels."""
    return [category for category in categories_of(codings) if nested_in(category, term, codings)]


@cache
def power_weights(power: int) -> np.ndarray:
    """Return x^power in polynomials of degree 0 to 3 that are orthonormal for x uniform on -1 to 1.

    Legendre's P_n has the mean square 1 / (2 n + 1) there.
    """
    weights = legendre.poly2leg(np.eye(4)[power])
    return np.pad(weights, (0, 4 - len(weights))) / np.sqrt(2 * np.arange(4) + 1)
