"""A fitted surface as the table covariances holds it: enough to predict anywhere, with the intervals of predicted()."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

from finevar.statistics.bounds import bounds_of
from finevar.statistics.clustered import quadratic, two_way, welch
from finevar.statistics.regression import LINEAR, LOGIT, Surface, on_scale
from finevar.study.coding import Term, model_matrix, term_name, term_of

SOURCES = ("seed", "sentence", "both")  # of variance, see clustered


@dataclass(frozen=True)
class Stored:
    """What predictions of a response are read from: terms, estimates, and covariances by source."""

    response: str
    scale: str  # linear or logit
    terms: Sequence[Term]
    params: np.ndarray  # [terms]
    covs: np.ndarray  # [SOURCES, terms, terms]
    seed_df: float  # the fewest of a tried setting, so that no interval is too short
    sentence_df: float
    confidence: float

    @classmethod
    def of(cls, table: pd.DataFrame, response: str) -> Stored:
        """Read a response from the table."""
        rows = table[table["response"] == response]
        first, count = rows.iloc[0], rows["term"].nunique()
        return cls(
            response,
            first["scale"],
            list(map(term_of, rows["other"].iloc[:count])),
            rows["estimate"].to_numpy()[::count],
            np.stack([rows[name].to_numpy().reshape(count, count) for name in SOURCES]),
            first["seed_df"],
            np.inf if np.isnan(first["sentence_df"]) else first["sentence_df"],
            first["confidence"],
        )

    def predict(self, coded: Mapping[str, np.ndarray]) -> pd.DataFrame:
        """Return predicted, ci_low and ci_high at coded places [places] by factor, within the metric's bounds."""
        matrix = model_matrix(coded, self.terms)
        value, (seed, sentence, both) = matrix @ self.params, (quadratic(matrix, cov) for cov in self.covs)
        variance = two_way(seed, sentence, both)
        df = welch(variance, seed, self.seed_df, sentence, self.sentence_df)
        reach = stats.t.ppf((1 + self.confidence) / 2, df) * np.sqrt(variance)
        ends, (least, most) = np.stack([value, value - reach, value + reach], axis=1), bounds_of(self.response)
        ends = least + (most - least) * expit(ends) if self.scale == LOGIT else ends.clip(least, most)
        return pd.DataFrame(ends, columns=["predicted", "ci_low", "ci_high"])


def stored_rows(surface: Surface) -> list[dict[str, Any]]:
    """Return a row for every pair of the surface's terms, on the scale that predictions are made on."""
    own = on_scale(surface)
    spread, names = own.spread, list(map(term_name, own.columns))
    rows = spread.rows(np.eye(int(own.unblocked.sum())))[: len(names)]
    covs = [rows @ cov @ rows.T for cov in (spread.seed_cov, sum(spread.sentence_covs), spread.both_cov)]
    tried = own.read(own.padded(model_matrix(own.coded(own.points), own.columns)))
    about = {
        "response": own.response,
        "scale": LINEAR if own is surface else LOGIT,
        "seed_df": float(np.nanmin(tried.seed_df)),
        "sentence_df": finite(float(tried.sentence_df.min())),
        "confidence": own.confidence,
    }
    return [
        about
        | {"term": term, "other": other, "estimate": float(own.fit.params[i])}
        | {name: float(cov[i, j]) for name, cov in zip(SOURCES, covs, strict=True)}
        for i, term in enumerate(names)
        for j, other in enumerate(names)
    ]


def finite(value: float) -> float | None:
    """Return a number, None where it is infinite."""
    return value if np.isfinite(value) else None
