"""The Pareto front of the tried settings: on the observed means, and as far as noise allows.

A setting's mean over seeds is compared with every other setting's in every metric at once. What all runs of a seed have
in common cancels in a difference of two settings, so noise is what setting means and seeds together leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from finevar.analyses.fits import FittedStudy, Plan
from finevar.metrics import SECONDS, towards
from finevar.reasons import OK, Untraded
from finevar.statistics.crossed import DEPENDENT, crossed_parts
from finevar.statistics.noise import modelled_noise, noise_model
from finevar.statistics.regression import Surface
from finevar.statistics.setting_means import setting_names
from finevar.tables import Rows
from finevar.words.formatting import counted

ALL_DATASETS = ""  # the mean over data sets
ONE_SEED = "without a second seed it is unknown how much a mean would move"
Noise = np.ndarray  # variance between seeds and its degrees of freedom [2, settings]


def wanted_metrics(plan: Plan) -> list[str]:
    """Return the metrics to trade off, as the config names them; without a choice all responses and seconds."""
    return list(plan.tradeoffs.get("responses") or [*plan.responses, SECONDS])


# Means and their noise ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Means:
    """Means over seeds of the tried settings, and the noise of each and of every difference; NaN with one seed."""

    values: np.ndarray  # [settings]
    runs: np.ndarray  # [settings]
    variances: np.ndarray  # [settings]
    gap_variances: np.ndarray  # [settings, settings]
    gap_df: np.ndarray  # [settings, settings]: the degrees of freedom that each of those is worth
    unknown: str  # why the noise is not known, where it is not

    @property
    def known(self) -> bool:
        """Say whether the noise is known."""
        return not np.isnan(self.variances).any()


def seed_means(runs: pd.DataFrame, points: Sequence[str], noise: Noise | None) -> Means:
    """Return the settings' means over seeds in an additive model of settings and seeds.

    runs: columns point, seed, trajectory_id and value. noise: the variance between seeds at each setting and its
    degrees of freedom; None pools it over the settings. Where several runs share a trajectory, errors that are
    correlated count once: the pooled variance and its degrees of freedom are those of that many fewer points.
    """
    values = runs["value"].to_numpy(float)
    cells, seeds = pd.Categorical(runs["point"], categories=points).codes, pd.factorize(runs["seed"])[0]
    members = np.eye(len(points))[cells].T
    counts = members.sum(1)
    average = members / counts[:, None]
    shifts = np.eye(seeds.max() + 1)[seeds] - 1 / (seeds.max() + 1)
    within = shifts - members.T @ (average @ shifts)
    to_shifts = np.linalg.pinv(within)
    weights = average - (average @ shifts) @ to_shifts
    alike = len(runs) / runs["trajectory_id"].nunique()
    rest = len(runs) - len(points) - np.linalg.matrix_rank(within) * alike
    crossed = bool(crossed_parts(runs))
    if rest < 1 or crossed:
        noise = np.full((2, len(points)), np.nan)
    elif noise is None:
        left = values - members.T @ (average @ values)
        left = left - within @ (to_shifts @ left)
        noise = np.tile([[float((left**2).sum()) / rest], [rest / alike]], len(points))
    cov = (weights * noise[0][cells]) @ weights.T
    unknown = DEPENDENT if crossed else ONE_SEED
    return Means(weights @ values, counts, np.diag(cov), gap_variances(cov), gap_df(np.diag(cov), noise[1]), unknown)


def gap_variances(cov: np.ndarray) -> np.ndarray:
    """Return the variances of all differences of two values with this covariance."""
    own = np.diag(cov)
    return np.maximum(own[:, None] + own - 2 * cov, 0)


def gap_df(variances: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Return the degrees of freedom that estimated variances' sums, two by two, are worth.

    The least there can be: variances of one model err together, so their standard errors, each sqrt(2 / df) of its
    variance, are added.
    """
    errors = variances / np.sqrt(df)
    with np.errstate(invalid="ignore"):  # no noise at all
        return ((variances[:, None] + variances) / (errors[:, None] + errors)) ** 2


def averaged(parts: Sequence[Means]) -> Means:
    """Return the means over data sets, each with noise of its own (degrees of freedom after Satterthwaite 1946)."""
    square = len(parts) ** 2
    gaps = np.stack([part.gap_variances for part in parts]) / square
    with np.errstate(invalid="ignore"):  # a setting against itself
        df = gaps.sum(0) ** 2 / (gaps**2 / np.stack([part.gap_df for part in parts])).sum(0)
    variances = np.sum([part.variances for part in parts], axis=0) / square
    values, runs = np.mean([part.values for part in parts], axis=0), np.sum([part.runs for part in parts], axis=0)
    return Means(values, runs, variances, gaps.sum(0), df, parts[0].unknown)


# Dominance ------------------------------------------------------------------------------------------------------------


def nondominated(values: np.ndarray) -> np.ndarray:
    """Say which settings of values [settings, metrics], more being better, are on the Pareto front.

    Settings that tie in every metric are all kept.
    """
    found = [(values >= row).all(1) & (values > row).any(1) for row in values]
    return ~np.array([better.any() for better in found])


def dominance_p(means: Sequence[Means]) -> np.ndarray:
    """Return p-values [settings, settings] of the hypothesis that the second setting does not dominate the first.

    means: of each metric, more being better. It is dominated only where every single metric shows it, so the largest of
    the one-sided p-values is that of all (intersection-union; Berger 1982).
    """
    largest = np.zeros_like(means[0].gap_variances)
    for metric in means:
        gaps = metric.values - metric.values[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            p = stats.t.sf(gaps / np.sqrt(metric.gap_variances), metric.gap_df)
        largest = np.maximum(largest, np.where(metric.gap_variances > 0, p, 1.0))
    return largest


def judged_points(means: Sequence[Means], points: Sequence[str], alpha: float) -> Rows:
    """Return each setting's place: efficient on the observed means, shown to be dominated, or open.

    Bonferroni over the others that may dominate a point, Holm over the points: in at least 1 - alpha of studies no
    setting of the true front is called dominated.
    """
    efficient = nondominated(np.column_stack([metric.values for metric in means]))
    rows = [{"point_id": point, "efficient": bool(kept)} for point, kept in zip(points, efficient, strict=True)]
    if not all(metric.known for metric in means):
        return [row | {"reason": next(metric.unknown for metric in means if not metric.known)} for row in rows]
    if len(points) < 2:
        return [row | {"verdict": "efficient"} for row in rows]
    single = dominance_p(means)
    p_values = np.minimum(single.min(1) * (len(points) - 1), 1.0)
    adjusted = multipletests(p_values, method="holm")[1]
    for row, best, p, p_holm in zip(rows, single.argmin(1), p_values.tolist(), adjusted.tolist(), strict=True):
        verdict = "dominated" if p_holm < alpha else "efficient" if row["efficient"] else "open"
        row |= {"p_value": p, "p_adjusted": p_holm, "verdict": verdict}
        row["dominated_by"] = points[best] if verdict == "dominated" else None
    return rows


# Tables ---------------------------------------------------------------------------------------------------------------


def pareto_tables(study: FittedStudy) -> dict[str, Rows]:
    """Return rows of the tables pareto and pareto_points: of each data set, and of the mean over several.

    Responses that a gate stops are left out, and seconds that cannot be compared.
    """
    tables: dict[str, Rows] = {"pareto": [], "pareto_points": []}
    metrics, plan = study.metrics, study.plan
    known = {surface.response: surface for surface in study.surfaces}
    names = [name for name in wanted_metrics(plan) if name in known]
    if names and SECONDS in wanted_metrics(plan):
        why = incomparable_seconds(metrics)
        tables["pareto"] += [{"response": SECONDS, "reason": why, "reason_code": Untraded.SECONDS}] if why else []
        names += [] if why else [SECONDS]
    if len(names) < 2:
        return tables
    own = own_points(study, names)
    tables["pareto"] += list(unmeasured_rows(study, names))
    by_metric = {name: metric_means(study, known.get(name), own) for name in names}
    for dataset, ids in own.items():
        means = {name: found[dataset] for name, found in by_metric.items()}
        tables["pareto"] += mean_rows(means, dataset, list(ids.values()))
        better = [replace(metric, values=towards(name) * metric.values) for name, metric in means.items()]
        judged = judged_points(better, list(ids.values()), 1 - plan.confidence)
        tables["pareto_points"] += [{"dataset": dataset} | row for row in judged]
    return tables


def unmeasured_rows(study: FittedStudy, names: Sequence[str]) -> Rows:
    """Return, for each metric and data set, how many settings are left out as no run there has a value of it."""
    points = study.metrics["point_id"].map(shared_names(study))
    rows: Rows = []
    for name in names:
        found = is_measured(study, name).groupby([study.metrics["dataset"], points], sort=False).any()
        for dataset, known in found.groupby(level=0, sort=False):
            if lacks := int((~known).sum()):
                who = f"{lacks} of {counted(len(known), 'setting')} on {dataset}"
                why = f"{who} {'has' if lacks == 1 else 'have'} no value of it"
                rows.append({"response": name, "reason": why, "reason_code": Untraded.NO_VALUE})
    return rows


def is_measured(study: FittedStudy, name: str) -> pd.Series:
    """Say which runs have a value of a metric, or failed, which is a result of another kind."""
    column = "train_seconds" if name == SECONDS else name
    return study.metrics[column].notna() | (study.metrics["status"] != OK)


def incomparable_seconds(metrics: pd.DataFrame) -> str | None:
    """Return why the seconds of training cannot be compared, or None."""
    done = metrics[metrics["status"] == "ok"]
    if not (done["train_seconds"] > 0).all():
        return "not every run has its seconds of training"
    if len(done[["device", "threads"]].drop_duplicates()) > 1:
        return "runs were trained on different devices or numbers of threads, so their seconds do not compare"
    return None


def own_points(study: FittedStudy, names: Sequence[str] = ()) -> dict[str, dict[str, str]]:
    """Return, for each data set, the settings by a name that data sets share: that of the first with the same levels.

    With several data sets that have the same settings, the mean over them comes last. Settings at which all runs failed
    on some data set are left out of all; those without a value of one of some metrics on a data set, of that one, which
    has no entry where none is left.
    """
    shared = shared_names(study)
    points = study.metrics["point_id"].map(shared)
    here = [study.metrics["dataset"], points]
    finished = (study.metrics["status"] == OK).groupby(here).transform("any")
    kept = dict.fromkeys(name for name in shared.values() if name not in set(points[~finished]))
    measured = pd.Series(True, study.metrics.index)
    for name in names:
        known = is_measured(study, name) & (study.metrics["status"] == OK)
        measured &= known.groupby(here).transform("any")
    own: dict[str, dict[str, str]] = {}
    for dataset, found in study.metrics[measured].groupby("dataset", sort=False)["point_id"]:
        ids = {shared[point]: point for point in reversed(found.unique())}
        own[dataset] = {point: ids[point] for point in kept if point in ids}
    own = {dataset: ids for dataset, ids in own.items() if ids}
    everywhere = len(own) == study.metrics["dataset"].nunique() > 1
    if everywhere and all(len(ids) == len(kept) for ids in own.values()):
        own[ALL_DATASETS] = {point: point for point in kept}
    return own


def shared_names(study: FittedStudy) -> dict[str, str]:
    """Return the first id of a point with its levels, for each point."""
    first = setting_names(study.metrics, study.plan.codings)
    return dict(zip(study.metrics["point_id"], first, strict=True))


def metric_means(study: FittedStudy, surface: Surface | None, own: Mapping[str, Mapping[str, str]]) -> dict[str, Means]:
    """Return a metric's means by data set; seconds, as logarithms, where there is no surface."""
    runs = study.metrics[study.metrics["status"] == "ok"] if surface is None else surface.runs
    values = np.log(runs["train_seconds"].to_numpy(float)) if surface is None else surface.fit.values
    runs = runs.assign(value=values, point=runs["point_id"].map(shared_names(study)))
    found = {}
    for dataset, ids in own.items():
        if dataset != ALL_DATASETS:
            here = runs[(runs["dataset"] == dataset) & runs["point"].isin(ids.keys())]
            found[dataset] = seed_means(here, list(ids), setting_noise(surface, here, list(ids)))
    return found | ({ALL_DATASETS: averaged(list(found.values()))} if ALL_DATASETS in own else {})


def setting_noise(surface: Surface | None, runs: pd.DataFrame, points: Sequence[str]) -> Noise | None:
    """Return each setting's own noise, where seeds show it."""
    if surface is None or noise_model(surface) is None:
        return None
    levels = runs.drop_duplicates("point").set_index("point").loc[list(points), list(surface.codings)]
    return np.array(modelled_noise(surface, levels.to_dict("records"))).T


def mean_rows(means: Mapping[str, Means], dataset: str, points: Sequence[str]) -> Rows:
    """Return a row a setting and metric; seconds as geometric means."""
    rows = []
    for name, metric in means.items():
        values, errors = metric.values, np.sqrt(metric.variances)
        if name == SECONDS:
            values, errors = np.exp(values), np.exp(values) * errors
        columns = {"dataset": dataset, "point_id": points, "response": name, "mean": values}
        columns |= {"std_error": errors} if metric.known else {"reason": metric.unknown}
        rows += pd.DataFrame(columns | {"runs": metric.runs.astype(int)}).to_dict("records")
    return rows
