"""Runs against the frozen baseline, sentence by sentence: what was gained and lost, and whether a run would win."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from finevar.analyses.baselines import NO_SEEDS
from finevar.analyses.fits import FittedStudy
from finevar.metrics import towards
from finevar.results.predictions import Predictions, example_contributions, own_baselines
from finevar.statistics.bounds import limits, within
from finevar.statistics.crossed import DEPENDENT, crossed_parts
from finevar.statistics.noise import noise_at
from finevar.statistics.regression import Surface
from finevar.statistics.simultaneous import intervals
from finevar.statistics.verdicts import adjust_families, columns_key
from finevar.tables import Rows

COMPARED = ("accuracy", "loss")
ENDS = ("estimate", "ci_low", "ci_high", "simultaneous_low", "simultaneous_high")
DRAWS = 2_000  # of the sentences: the standard error of a tail probability of 5 % is 0.5 %
DRAW_SEED = 20250102
CHUNK = 4_000_000  # sentences drawn at a time
FEW_DIFFERENCES = 10  # with fewer, one draw in e^10 or more would hold no sentence on which models differ
TOO_ALIKE = f"runs and baseline differ on fewer than {FEW_DIFFERENCES} sentences, too few to draw from"
NO_NOISE = "seeds do not differ here"


def paired_rows(models: pd.DataFrame, found: Mapping[str, Predictions]) -> Rows:
    """Return for each run how many sentences it gained and lost against the baseline, and McNemar's exact p.

    The p-values are adjusted over all runs of the study. models: of models_of(), in the order of the predictions.
    """
    rows: Rows = []
    for dataset, who in models.groupby("dataset", sort=False):
        right, runs = example_contributions(found[dataset], "accuracy").astype(bool), who[who["role"] == "run"]
        right, own = parted(right, who)
        gained, lost = (right & ~own).sum(1), (~right & own).sum(1)
        counts = {"sentences": right.shape[1], "gained": gained, "lost": lost, "p_value": mcnemar(gained, lost)}
        runs = runs[["run_id", "dataset", "point_id", "seed"]].astype({"seed": int})
        rows += runs.assign(**counts).to_dict("records")
    adjust_families(rows, columns_key(()), "fdr_bh", "McNemar test")
    return rows


def parted(each: np.ndarray, who: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return what is known of a data set's models [models, sentences] of its runs, and of each run's own baseline.

    who: the models, the baselines first.
    """
    is_run = (who["role"] == "run").to_numpy()
    names = who.loc[~is_run, "run_id"].tolist()
    return each[is_run], each[: len(names)][own_baselines(who[is_run], names)]


def mcnemar(gained: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Return the exact two-sided p [runs] of as many gains as losses (McNemar 1947; binomial)."""
    return np.minimum(2 * stats.binom.cdf(np.minimum(gained, lost), gained + lost, 0.5), 1.0)


def paired_point_rows(models: pd.DataFrame, found: Mapping[str, Predictions], study: FittedStudy) -> Rows:
    """Return, for accuracy and loss at each tried setting, the mean of run minus baseline, and who would win.

    Two intervals by bootstrap over sentences: one for the setting alone, one for all settings and data sets at once.
    They are about these trained models on other such sentences. The probability is about other seeds on these
    sentences. study: fitted to these two metrics.
    """
    rows: Rows = []
    surfaces = {surface.response: surface for surface in study.surfaces}
    for response in COMPARED:
        names, differences = point_differences(models, found, response)
        bands = bootstrap_bands(differences, study.plan.confidence)
        if response in surfaces:
            chances = winning_chances(names, surfaces[response])
        else:
            gate = f"no noise between seeds to compare with: {study.stopped[response]}"
            chances = [{"reason": gate} for _ in names]
        for name, band, chance in zip(names, bands, chances, strict=True):
            between = limits(response, name.pop("frozen"))
            reasons = [part.pop("reason") for part in (band, chance) if "reason" in part]
            row = name | {"response": response} | band | chance | {"reason": "; ".join(reasons) or None}
            rows.append(within(row, ENDS, between))
    return rows


def point_differences(
    models: pd.DataFrame, found: Mapping[str, Predictions], response: str
) -> tuple[Rows, list[np.ndarray]]:
    """Return the tried settings, with the baseline's mean as `frozen`, and by data set run minus baseline.

    The latter is the mean over seeds [settings, sentences].
    """
    names: Rows = []
    differences = []
    for dataset, who in models.groupby("dataset", sort=False):
        each, own = parted(example_contributions(found[dataset], response), who)
        codes, points = pd.factorize(who.loc[who["role"] == "run", "point_id"])
        members = np.eye(len(points))[codes].T
        seeds = members.sum(1)
        differences.append(members / seeds[:, None] @ (each - own))
        size, first = {"dataset": dataset, "sentences": each.shape[1]}, np.unique(codes, return_index=True)[1]
        frozen = [float(own[number].mean()) for number in first]
        known = zip(points, seeds.astype(int).tolist(), frozen, strict=True)
        names += [{"point_id": point, "seeds": count} | size | {"frozen": value} for point, count, value in known]
    return names, differences


def bootstrap_bands(differences: Sequence[np.ndarray], confidence: float) -> Rows:
    """Return means over sentences with an interval for each setting alone and one for all at once, a row a setting.

    differences: by data set [settings, sentences]. Symmetric bootstrap-t over sentences (Hall 1988), drawn for all
    settings together, so that the largest |t| of a draw gives the simultaneous interval (Romano and Wolf 2005). A
    setting where models hardly differ has a reason instead.
    """
    rows = [{"estimate": float(mean)} for part in differences for mean in part.mean(1)]
    differ = [(row != 0).sum() >= FEW_DIFFERENCES for part in differences for row in part]
    if not any(differ):
        return [row | {"reason": TOO_ALIKE} for row in rows]
    errors = np.concatenate([part.std(1) / np.sqrt(max(part.shape[1] - 1, 1)) for part in differences]).tolist()
    t = np.concatenate([drawn_t(part) for part in differences], axis=1)
    alone = np.quantile(t, confidence, axis=0).tolist()
    at_once = float(np.quantile(t[:, differ].max(1), confidence))
    return [
        row | (intervals(row["estimate"], error, own, at_once) if enough else {"reason": TOO_ALIKE})
        for row, error, own, enough in zip(rows, errors, alone, differ, strict=True)
    ]


def drawn_t(values: np.ndarray) -> np.ndarray:
    """Return |t| of the means of drawn sentences about the true ones [draws, settings]; values [settings, sentences].

    Infinite where a draw holds nothing but equal values.
    """
    generator, count = np.random.default_rng(DRAW_SEED), values.shape[1]
    centred = (values - values.mean(1, keepdims=True)).T
    most = max(1, CHUNK // count)
    parts = []
    for start in range(0, DRAWS, most):
        weights = generator.multinomial(count, np.full(count, 1 / count), size=min(most, DRAWS - start)) / count
        shift, square = weights @ centred, weights @ centred**2
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(shift) / np.sqrt(np.maximum(square - shift**2, 0) / (count - 1))
        parts.append(np.where(np.isnan(t), np.inf, t))
    return np.concatenate(parts)


def winning_chances(names: Rows, surface: Surface) -> Rows:
    """Return for each tried setting how likely a run of another seed is better than the baseline on these sentences.

    The noise is that between all seeds of a setting, what a seed does to all of its runs included, for another seed has
    a shift of its own.
    """
    response = surface.response
    if surface.pure_error_sd is None:
        return [{"reason": NO_SEEDS} for _ in names]
    if crossed_parts(surface.runs):
        return [{"reason": DEPENDENT} for _ in names]
    cells = surface.runs.groupby(["dataset", "point_id"], sort=False)
    places = cells[[*surface.codings, f"baseline_{response}"]].first()
    places["gap"] = towards(response) * (cells[response].mean() - places[f"baseline_{response}"])
    own = places.loc[[(name["dataset"], name["point_id"]) for name in names]]
    noise = noise_at(surface, own[list(surface.codings)].to_dict("records"))
    found = zip(own["gap"], noise, names, strict=True)
    return [winning_chance(gap, *spread, name["seeds"], surface.confidence) for gap, spread, name in found]


def winning_chance(gap: float, variance: float, df: float, seeds: int, confidence: float) -> dict[str, Any]:
    """Return the probability of a gain by a new seed, with its interval.

    gap: mean over seeds minus baseline, up is better. With normal noise between seeds the probability is the normal
    distribution function at delta = (mean - baseline) / sd, and sqrt(seeds) gap / s follows the noncentral t with
    noncentrality sqrt(seeds) delta, which is inverted: exact where the variance has these degrees of freedom (Owen
    1968, one-sided tolerance limits read the other way round).
    """
    if variance <= 0:
        return {"reason": NO_NOISE}
    root = np.sqrt(seeds)
    t, tail = root * gap / np.sqrt(variance), (1 - confidence) / 2
    low, high = (special.nctdtrinc(df, p, t) / root for p in (1 - tail, tail))
    return {
        "probability": float(special.ndtr(t / root)),
        "probability_low": float(special.ndtr(low)),
        "probability_high": float(special.ndtr(high)),
    }
