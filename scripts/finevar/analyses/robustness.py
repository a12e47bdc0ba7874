"""Whether what is reported survives other reasonable analyses of the same runs.

Two readings of one question: `sensitivity` varies one choice at a time and looks at each term, `robustness` varies all
of them at once and looks at each conclusion: the verdict on a factor, and the setting predicted best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from finevar.analyses.effects import change_weights
from finevar.analyses.fits import FittedStudy
from finevar.analyses.gates import levels_text
from finevar.metrics import towards
from finevar.reasons import Stop
from finevar.statistics.covariance import contrasts
from finevar.statistics.estimability import Obstacle
from finevar.statistics.optimum import compared_points, point_contrasts
from finevar.statistics.regression import Surface
from finevar.statistics.sensitivity import sensitivity_rows
from finevar.statistics.setting_means import misses_settings
from finevar.statistics.specifications import agreement, specifications
from finevar.study.coding import changes_of
from finevar.tables import Rows


def robustness_tables(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of the tables sensitivity and robustness; in both, what is reported comes first."""
    verdicts = {(row["response"], row["factor"]): row["verdict"] for row in study.effects if not row["dataset"]}
    robustness = study.rows(lambda surface: response_rows(surface, verdicts))
    return {"sensitivity": study.rows(sensitivity_rows), "robustness": robustness}


def response_rows(surface: Surface, verdicts: Mapping[tuple[str, str], str]) -> Rows:
    """Return for each conclusion on one response a row a specification; factor "" is the setting predicted best.

    verdicts: by response and factor.
    """
    tried, points = specifications(surface), surface.points
    read, _, weights = compared_points(surface, points, by_means=misses_settings(surface))
    best = int(np.argmax(towards(surface.response) * weights @ read.fit.params))
    asked = changes_of(surface.codings)
    by_factor = zip(*(change_rows(found, list(asked)) for _, found in tried), strict=True)
    rows = []
    for factor, changes in zip(asked, by_factor, strict=True):
        about = {"response": surface.response, "factor": factor, "conclusion": verdicts[surface.response, factor]}
        agrees = [{"agrees": agreement(row, changes[0], surface.alpha)} for row in changes]
        rows += [about | names | row | said for (names, _), row, said in zip(tried, changes, agrees, strict=True)]
    about = {"response": surface.response, "factor": "", "conclusion": str(points["point_id"].iloc[best])}
    return rows + [about | names | (without(found) or setting_row(found, points, best)) for names, found in tried]


def change_rows(found: Surface | Obstacle, factors: Sequence[str]) -> Rows:
    """Return the change along each factor in a specification, better above zero, or why there is none.

    The p-values are single ones: the verdict that is reported counts all effects, so it may be undecided where p is
    below the error rate.
    """
    if isinstance(found, Obstacle):
        return [without(found)] * len(factors)
    changes = contrasts(found.fit, np.array([change_weights(found, name) for name in factors]), found.confidence)
    sign = towards(found.response)
    return [{"estimate": sign * change.estimate, "p_value": change.p_value} for change in changes]


def setting_row(surface: Surface, points: pd.DataFrame, best: int) -> dict[str, Any]:
    """Return by how much another tried setting is better than the one predicted best, and whether that is significant.

    best: the number of the one predicted best. Its p is one-sided and counts all other settings (Bonferroni), since the
    best of them is looked at; there is none where the specification predicts the same setting best.
    """
    values, weights = oriented_values(surface, points)
    own = int(np.argmax(values))
    if own == best:
        return {"estimate": 0.0, "agrees": True}
    better = towards(surface.response) * (weights[own] - weights[best])
    gap = next(contrasts(surface.fit, better[None], surface.confidence))
    p_value = min(1.0, gap.p_value / 2 * (len(values) - 1))
    return {"estimate": gap.estimate, "p_value": p_value, "agrees": p_value >= surface.alpha}


def oriented_values(surface: Surface, points: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the predictions at the tried settings, higher being better, and their weights [settings, parameters]."""
    weights = point_contrasts(surface, points)
    return towards(surface.response) * weights @ surface.fit.params, weights


def without(found: Surface | Obstacle) -> dict[str, str]:
    """Say why the runs cannot support a specification; nothing where they do."""
    if isinstance(found, Surface):
        return {}
    if found.code == Stop.FEW_LEVELS:
        return {"reason": levels_text(found.levels)}
    if found.code == Stop.ALIASED:
        return {"reason": f"the runs cannot separate these terms from those before them: {', '.join(found.aliased)}"}
    what = "trajectories" if found.code == Stop.FEW_CLUSTERS else "runs"
    return {"reason": f"the {what} are too few for its terms"}
