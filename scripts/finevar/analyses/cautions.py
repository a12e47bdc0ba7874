"""What to check before relying on the recommended setting, and what to run next: codes with their numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from finevar.analyses.additions import added_rows
from finevar.analyses.baselines import at_baseline, have_own_baselines
from finevar.analyses.effects import ALL_DATASETS
from finevar.analyses.fits import FittedStudy, baseline_value
from finevar.analyses.learning import Shares, learning_rows
from finevar.analyses.recommendation import Standing, ranking_rows, recommendation_rows, stand
from finevar.metrics import SECONDS, towards
from finevar.reasons import COLLAPSED, FAILED, OK, Caution, Head, Next
from finevar.results.collapse import below_chance
from finevar.statistics.clustered import FEW_SEEDS
from finevar.statistics.crossed import crossed_parts, independent_seeds
from finevar.statistics.ranking import comparison, regret_of
from finevar.statistics.setting_means import setting_names
from finevar.statistics.two_stage import Precision
from finevar.statistics.verdicts import UNDECIDED
from finevar.study.coding import Coding, as_level, categories_of, numbers_of
from finevar.study.confirmation import BASELINE
from finevar.study.goals import contrasts_of
from finevar.study.kinds import TRAINED
from finevar.study.presence import numbers_for
from finevar.study.settings import SPECS, rounded
from finevar.tables import ADVICE, Rows, are_found, baseline_keys, kind_of_runs

RIVALS = 2  # that a confirmation trains beside the recommended setting
MOST_TIMES = 10.0  # as many seeds or sentences as the study has; nobody would run more to settle what is best


def recommend(
    study: FittedStudy,
    against_baseline: Rows,
    checks: Iterable[Mapping[str, Any]],
    shares: Shares,
    *,
    confirm_seeds: int | None = None,
) -> dict[str, Rows]:
    """Return rows of the tables ranking, recommendation, cautions and next_runs.

    All are empty for found models, whose settings nobody assigned; where the primary metric has no surface, all but
    what is said of runs that learnt nothing, and of classes taken for one another.
    against_baseline, checks: rows of these tables. shares: see stand(). confirm_seeds: of a confirmation; None is as
    many as the study has.
    """
    nothing: dict[str, Rows] = {name: [] for name in ADVICE}
    if are_found(study.metrics):
        return nothing
    standing = stand(study, against_baseline, shares)
    learning = learning_rows(study.metrics, shares, recommended=bool(standing and standing.recommended))
    said = [*learning, *mistaken_rows(study.metrics), *added_rows(study.plan.additions)]
    if standing is None:
        return nothing | {"cautions": said}
    found = {"ranking": ranking_rows(standing), "recommendation": recommendation_rows(standing)}
    if standing.recommended is None:
        return found | {"cautions": [*said, *emptied(standing)], "next_runs": []}
    edges = list(edge_rows(standing))
    cautions = [*said, *emptied(standing), *edges, *fit_rows(standing, checks), *size_rows(standing)]
    cautions += [*metric_rows(standing), *failed_rows(standing)]
    ranked = [row["point_id"] for row in found["recommendation"]]
    return found | {"cautions": cautions, "next_runs": list(next_rows(standing, edges, ranked, confirm_seeds))}


# What to check --------------------------------------------------------------------------------------------------------


def emptied(standing: Standing) -> Iterator[dict[str, Any]]:
    """Yield which demand was dropped, as no candidate met it, or left nothing to recommend."""
    if code := standing.candidates[1]:
        yield {"code": Caution.EMPTIED, "detail": code, "response": standing.primary}


def edge_rows(standing: Standing) -> Iterator[dict[str, Any]]:
    """Yield each factor of which the recommended level is the lowest or the highest, and what the next level costs."""
    at = standing.settings.loc[standing.recommended]
    for factor, coding in numbers_for(standing.study.plan.codings, at).items():
        following = next_level(factor, coding, float(at[factor]))
        if following is not None:
            moved = {name: as_level(at[name]) for name in standing.study.plan.codings} | {factor: following}
            runs = runs_of_setting(standing)
            yield {
                "code": Caution.EDGE,
                "factor": factor,
                "level": float(at[factor]),
                "next_level": following,
                "detail": "high" if at[factor] == max(coding.levels) else "low",
                "runs": runs,
                "seconds": runs * seconds_at(standing, moved),
            }


def next_level(factor: str, coding: Coding, level: float) -> float | None:
    """Return the level as far beyond an end as its neighbour is within; None inside, or where a setting cannot have it.

    Distances are on the factor's own scale.
    """
    levels = sorted(coding.levels)
    if level not in (levels[0], levels[-1]):
        return None
    own, neighbour = coding.coded([level, levels[1] if level == levels[0] else levels[-2]])
    following = rounded(factor, float(coding.natural(2 * own - neighbour)))
    spec = SPECS.get(factor, {"minimum": 0} if levels[0] >= 0 else {})  # of another's setting, as its levels are
    above = spec.get("minimum", -math.inf) <= following and spec.get("exclusiveMinimum", -math.inf) < following
    below = following <= spec.get("maximum", math.inf) and following < spec.get("exclusiveMaximum", math.inf)
    return following if above and below and following != level else None


def seconds_at(standing: Standing, levels: Mapping[str, float]) -> float:
    """Return about how long a run takes at some levels: a product of powers of them, fitted to the tried settings.

    NaN where none was timed.
    """
    factors = [name for name, coding in numbers_of(standing.study.plan.codings).items() if not coding.when]
    known = standing.settings.dropna(subset=SECONDS)
    if known.empty:
        return math.nan
    positive = [name for name in factors if known[name].min() > 0 and levels[name] > 0]

    def matrix(places: pd.DataFrame) -> np.ndarray:
        return np.column_stack([np.ones(len(places)), np.log(places[positive].to_numpy(float))])

    powers = np.linalg.lstsq(matrix(known), np.log(known[SECONDS].to_numpy(float)))[0]
    return float(np.exp(matrix(pd.DataFrame([levels])) @ powers)[0])


def runs_of_setting(standing: Standing) -> int:
    """Return how many runs a setting has: one for each seed and data set."""
    metrics = standing.study.metrics
    return metrics["seed"].nunique() * metrics["dataset"].nunique()


def fit_rows(standing: Standing, checks: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the metrics of which the surface misses the recommended setting's mean, or lacks fit."""
    for metric, table in standing.ranked.items():
        row = table.loc[standing.recommended]
        if not row["ci_low"] <= row["mean"] <= row["ci_high"]:
            yield {"code": Caution.MISSED, "response": metric, "value": row["mean"], "limit": row["predicted"]}
    for row in checks:
        p_value = row.get("p_value")
        if row["check"] == "lack_of_fit" and p_value is not None and p_value < 1 - standing.study.plan.confidence:
            yield {"code": Caution.LACK_OF_FIT, "response": row["response"], "p_value": p_value}


def size_rows(standing: Standing) -> Iterator[dict[str, Any]]:
    """Yield that seeds, or test sentences, are few for the primary metric."""
    surface, best = standing.surface, standing.ranked[standing.primary]
    if (seeds := min(int(best.loc[standing.recommended, "seeds"]), independent_seeds(surface.runs))) < FEW_SEEDS:
        detail = "part" if crossed_parts(surface.runs) else None
        yield {"code": Caution.FEW_SEEDS, "count": seeds, "limit": float(FEW_SEEDS), "detail": detail}
    error, smallest = surface.test_set_se, surface.smallest_effect
    if error is not None and smallest is not None and error > smallest:
        found = {"count": sentences(standing), "value": error, "limit": smallest}
        yield {"code": Caution.FEW_SENTENCES, "response": standing.primary} | found


def metric_rows(standing: Standing) -> Iterator[dict[str, Any]]:
    """Yield the metrics in which the recommended setting is the worst of all, or worse than the baseline as it is."""
    metrics = standing.study.metrics
    if have_own_baselines(metrics):  # the recommended setting's own
        metrics = metrics[setting_names(metrics, standing.study.plan.codings) == standing.recommended]
    for metric, table in standing.ranked.items():
        row, frozen = table.loc[standing.recommended], baseline_value(metrics, metric)
        about = {"response": metric, "value": row["mean"]}
        if metric != standing.primary and row["rank"] == len(table) > 1:
            yield {"code": Caution.WORST_IN, "count": len(table)} | about
        if frozen is not None and towards(metric) * (row["mean"] - frozen) < 0:
            yield {"code": Caution.WORSE_THAN_BASELINE_IN, "limit": frozen} | about


def failed_rows(standing: Standing) -> Iterator[dict[str, Any]]:
    """Yield the settings next to the recommended one, a level away at most in each number, at which runs failed."""
    settings, codings = standing.settings, standing.study.plan.codings
    numbers = pd.DataFrame({name: pd.factorize(settings[name], sort=True)[0] for name in codings}, settings.index)
    away = (numbers - numbers.loc[standing.recommended]).abs()
    near = (away.max(axis=1) <= 1) & (away[list(categories_of(codings))] == 0).all(axis=1)
    for name, row in settings[near & settings[list(FAILED)].any(axis=1)].iterrows():
        failed = int(row[list(FAILED)].sum())
        yield {"code": Caution.FAILED_NEAR, "detail": name, "count": failed, "runs": runs_of_setting(standing)}


def mistaken_rows(metrics: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield where classes are taken for one another: worse than chance, runs or the baseline, or a head replaced."""
    done = metrics[metrics["status"].isin([OK, COLLAPSED])]
    for detail, part, prefix in (
        ("baseline", done.drop_duplicates(baseline_keys(done)), "baseline_"),
        ("runs", done, ""),
    ):
        accuracy, chance = (part[f"{prefix}{name}"].astype(float) for name in ("accuracy", "chance"))
        below = below_chance(accuracy, chance, part["eval_examples"])
        if below.any():
            found = {"value": float(accuracy[below].mean()), "limit": float(chance[below].mean())}
            yield {"code": Caution.BELOW_CHANCE, "detail": detail, "count": int(below.sum()), "runs": len(part)} | found
        if replaced := int((part[f"{prefix}head"] == Head.REPLACED).sum()):
            yield {"code": Caution.HEAD_REPLACED, "detail": detail, "count": replaced, "runs": len(part)}


def sentences(standing: Standing) -> int:
    """Return how many sentences a run was evaluated on, of the smallest data set."""
    return int(standing.study.metrics["eval_examples"].min())


# What to run next -----------------------------------------------------------------------------------------------------


def next_rows(
    standing: Standing, edges: Rows, ranked: Sequence[str], confirm_seeds: int | None
) -> Iterator[dict[str, Any]]:
    """Yield what to run next, what it costs, and of which settings or factor it would settle something.

    edges: of edge_rows(). ranked: the settings in the recommendation's order.
    """
    seeds = standing.study.metrics["seed"].nunique()
    for row in edges:
        about = {"response": standing.primary, "factor": row["factor"], "level": row["next_level"], "seeds": seeds}
        yield {"code": Next.EXTEND, "runs": row["runs"], "seconds": row["seconds"]} | about
    kept = [name for name in ranked if name in standing.candidates[0]]
    times = times_needed(standing, kept)
    if 1 < times <= MOST_TIMES:
        yield more_row(standing, kept, times)
    yield from augment_rows(standing)
    tried = standing.study.metrics.drop_duplicates("point_id")
    own = tried.loc[at_baseline(tried), "point_id"]
    untried = [BASELINE] if standing.study.plan.baseline else []
    compared = own[own.isin(ranked)] if len(own) else untried
    confirmed = list(dict.fromkeys([*ranked[: 1 + RIVALS], *compared]))
    yield {"code": Next.CONFIRM, "response": standing.primary} | cost(standing, confirmed, confirm_seeds or seeds)
    if times <= 1 and not edges:
        yield {"code": Next.STOP, "response": standing.primary, "runs": 0, "seconds": 0.0}


def times_needed(standing: Standing, kept: Sequence[str]) -> float:
    """Return how many times as many seeds or sentences would show the recommended setting to be as good as the best.

    1 where it is shown already, to within the smallest effect of interest, or has no rival. Intervals shrink with the
    root of seeds or sentences, so that these grow by the square of what the regret's bound is too large by. kept: the
    candidates, the recommended one first.
    """
    surface = standing.surface
    if len(kept) < 2 or surface.smallest_effect is None:
        return 1.0
    regret = regret_of(surface, standing.recommended)
    return (regret.reach / surface.smallest_effect) ** 2 if regret.bound > surface.smallest_effect else 1.0


def more_row(standing: Standing, kept: Sequence[str], times: float) -> dict[str, Any]:
    """Return what so many times as many seeds or sentences cost, by whichever is the larger source of variance."""
    surface = standing.surface
    compared, weights = comparison(surface)
    rows = [surface.points["point_id"].tolist().index(name) for name in kept[:2]]
    gap = compared.read(weights[rows[:1]] - weights[rows[1:]])
    seeds, whole = surface.seeds, standing.study.metrics
    about = {"response": standing.primary, "point_ids": " ".join(kept)}
    if seeds < FEW_SEEDS or gap.seed[0] >= gap.sentence[0]:
        extra = max(math.ceil(seeds * times), FEW_SEEDS) - seeds
        return {"code": Next.SEEDS} | about | cost(standing, kept, extra)
    needed = math.ceil(sentences(standing) * times)
    total = {"runs": len(whole), "seconds": float(whole["train_seconds"].sum(min_count=1))}
    return {"code": Next.SENTENCES, "sentences": needed, "seeds": seeds} | about | total


def augment_rows(standing: Standing) -> Iterator[dict[str, Any]]:
    """Yield the undecided effect on the primary metric that may be the largest, where more seeds would settle it.

    None where parts of the seed are crossed, whose variance no two-stage rule goes by.

    An interval half as wide to each side as the smallest effect of interest does, whatever the estimate: it excludes no
    change at all, or every change that matters.
    """
    surface, study = standing.surface, standing.study
    is_independent = surface.is_by_seed and not crossed_parts(surface.runs)
    if surface.smallest_effect is None or not is_independent or kind_of_runs(study.metrics) != TRAINED:
        return
    known, goal = contrasts_of(surface.codings, surface.columns), surface.smallest_effect / 2
    about = {"response": standing.primary, "dataset": ALL_DATASETS, "verdict": UNDECIDED}
    undecided = [row for row in study.effects if about.items() <= row.items() and row["factor"] in known]
    for row in sorted(undecided, key=lambda row: -max(-row["ci_low"], row["ci_high"]))[:1]:
        found = surface.read(surface.padded(known[row["factor"]])[None])
        precision, seeds = Precision.of(found, surface.confidence), surface.seeds
        needed = precision.seeds_needed(seeds, goal, int(MOST_TIMES * seeds))
        if needed is not None and needed > seeds:
            about = {"response": standing.primary, "factor": row["factor"], "half_width": goal}
            spent = cost(standing, list(standing.settings.index), needed - seeds)
            yield {"code": Next.AUGMENT} | about | spent | {"point_ids": None}


def cost(standing: Standing, names: Sequence[str], seeds: int) -> dict[str, Any]:
    """Return the runs and seconds of training some settings with some seeds each; BASELINE: its own, not tried yet.

    The seconds are NaN where none was timed.
    """
    runs, known = seeds * standing.study.metrics["dataset"].nunique(), standing.settings[SECONDS]
    each = [seconds_at(standing, standing.study.plan.baseline) if name == BASELINE else known[name] for name in names]
    about = {"point_ids": " ".join(names), "seeds": seeds}
    return about | {"runs": len(names) * runs, "seconds": float(pd.Series(each).sum(min_count=1)) * runs}
