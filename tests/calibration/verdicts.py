"""What is said of simulated studies of known truth (truths.py), and how often it is wrong.

What the workflow says of a study comes from answers() alone; all else here knows the truth and no rule.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tests.calibration import truths
from tests.calibration.truths import BETTER, CODINGS, FACTORS, GRID, RESPONSES, SMALLEST, Cell, Study, Truth

from finevar.analyses import baselines, claims, fits
from finevar.analyses.effects import ALL_DATASETS
from finevar.metrics import Evaluated
from finevar.reasons import COLLAPSED
from finevar.results.collapse import collapse
from finevar.statistics import checks, optimum, regression, setting_means
from finevar.study.coding import model_matrix, terms

CONFIDENCE = 0.95
WELL = 0.7  # accuracy above which no run has collapsed, as labels are nearly even
MODEL = "quadratic"
TERMS = terms(FACTORS, MODEL)
NATURAL = {name: coding.natural(GRID[:, number]) for number, (name, coding) in enumerate(CODINGS.items())}
MATRIX = model_matrix({name: coding.coded(NATURAL[name]) for name, coding in CODINGS.items()}, TERMS)  # [27, terms]
CHANGES = np.array([MATRIX[high] - MATRIX[low] for low, _, high in map(truths.lines, range(len(FACTORS)))])

Interval = np.ndarray  # [..., 2], low and high; not a number where nothing is said


class Answer(NamedTuple):
    """What is said of a metric, over all data sets or on one."""

    verdicts: dict[str, str]  # by factor: effect, small (an effect too small to matter), negligible or undecided
    effects: Interval  # of the changes from lowest to highest level [factors, 9, 2]
    coefficients: Interval  # of the coded terms [terms, 2], the intercept first
    predictions: Interval  # of the means at the settings that were tried [settings, 2]
    contenders: np.ndarray  # which of these are not separated from the best [settings]
    chosen: int  # which of these is recommended
    gain_low: float  # lower end of the 95 % interval of its improvement on the baseline
    misses: bool  # whether lack of fit is found
    by_means: bool  # whether settings are compared by their own means


Answers = dict[tuple[str, str | None], Answer]  # by metric and data set; none for a metric that a gate stops


# What the workflow says -----------------------------------------------------------------------------------------------


def answers(study: Study) -> tuple[Answers, list[str]]:
    """Analyse a study as the workflow does; return what it says of each metric, and its verdicts on the claims."""
    plan = fits.Plan(CODINGS, truths.BASELINE, RESPONSES, MODEL, CONFIDENCE, study.claims, SMALLEST)
    runs = study.runs.assign(status=np.where(collapsed_runs(study), COLLAPSED, "ok"))
    fitted = fits.FittedStudy.of(runs, plan, partial(outcomes, study))
    verdicts: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for row in fitted.effects:
        if row["verdict"] is not None:
            verdicts[row["response"], row["dataset"]][row["factor"]] = row["verdict"]
    found: Answers = {}
    for surface in fitted.surfaces:
        found[surface.response, None] = answer(surface, study, verdicts[surface.response, ALL_DATASETS])
        for dataset in surface.runs["dataset"].unique():
            if own := verdicts.get((surface.response, dataset)):
                found[surface.response, dataset] = found[surface.response, None]._replace(verdicts=own)
    return found, [row["verdict"] for row in claims.judge_claims(fitted)]


def answer(surface: regression.Surface, study: Study, verdicts: dict[str, str]) -> Answer:
    """Return what is said of one metric over all data sets."""
    places = surface.padded(MATRIX[study.settings])
    best, frozen = surface, baselines.against_frozen(surface)
    tried, compared, gains = np.arange(len(places)), places, places
    if by_means := setting_means.misses_settings(surface):
        best, frozen = setting_means.settings_surface(surface), setting_means.settings_surface(frozen)
        order = {f"setting{setting}": number for number, setting in enumerate(study.settings)}
        tried = np.array([order[name] for name in surface.points["point_id"]])
        compared, gains = setting_means.mean_contrasts(best), setting_means.mean_contrasts(frozen)
    chosen = int(np.argmax(BETTER[surface.response] * (compared @ best.fit.params)))
    gaps, *_ = optimum.rival_gaps(best, compared, chosen)
    low, high = (ends[chosen] for ends in frozen.family(gains).interval(CONFIDENCE))
    contenders = np.ones(len(places), bool)  # of a setting at which all runs failed nothing is said
    contenders[tried] = np.insert(gaps > 0, chosen, True)
    return Answer(
        verdicts=verdicts,
        effects=intervals(surface, surface.padded(CHANGES)),
        coefficients=intervals(surface, np.eye(len(surface.names))[: len(TERMS)]),
        predictions=intervals(surface, places),
        contenders=contenders,
        chosen=int(tried[chosen]),
        gain_low=low if BETTER[surface.response] > 0 else -high,
        misses=(checks.lack_of_fit(surface, surface.unequal).get("p_value") or 1.0) < surface.alpha,
        by_means=by_means,
    )


def intervals(surface: regression.Surface, weights: np.ndarray) -> Interval:
    """Return the 95 % intervals [..., 2] of contrasts [..., parameters]."""
    found = surface.read(weights.reshape(-1, weights.shape[-1]))
    return np.stack(found.interval(CONFIDENCE), axis=-1).reshape(*weights.shape[:-1], 2)


def collapsed_runs(study: Study) -> np.ndarray:
    """Say which runs [runs] the workflow takes for collapsed."""

    def collapsed(hits: np.ndarray, part: truths.Outcomes) -> bool:
        if hits.mean() > WELL:
            return False
        logits = np.eye(2)[(hits == part.labels).astype(int)]
        return collapse(Evaluated(logits, part.labels.astype(int)), part.baseline_hits.mean()) is not None

    return np.array([collapsed(hits, part) for part in study.outcomes.values() for hits in part.hits])


def outcomes(study: Study, runs: pd.DataFrame, response: str) -> tuple[regression.Sentences, regression.Sentences]:
    """Return what each sentence contributes to a metric, of finished runs and of the baseline, by data set."""
    sentences, frozen = {}, {}
    for name, part in study.outcomes.items():
        kept = study.runs.loc[study.runs["dataset"] == name, "run_id"].isin(runs["run_id"]).to_numpy()
        hits, losses = np.vstack([part.baseline_hits, part.hits[kept]]), [part.baseline_losses, *part.losses[kept]]
        each = np.array(losses) if response == "loss" else hits.astype(float)
        if response == "f1":
            each = f1_contributions(hits, part.labels)
        frozen[name], sentences[name] = each[0], each[1:]
    return sentences, frozen


def f1_contributions(hits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return F1 plus each sentence's influence on it [models, sentences]: a ratio of two sums, by the delta method."""
    both, either = 2.0 * (hits & labels), np.where(hits, 2.0 * labels, 1.0)  # of true positives; predicted or true
    f1 = both.sum(1, keepdims=True) / either.sum(1, keepdims=True)
    return f1 + (both - f1 * either) / either.mean(1, keepdims=True)


# What is true of it ---------------------------------------------------------------------------------------------------


Score = tuple[str, str, float]  # what, of which metric, its value or share in one study


def scores(study: Study, found: Answers, judged: Sequence[str]) -> Iterator[Score]:
    """Yield every score of a study."""
    said = {response for response, _ in found}
    for response in RESPONSES:
        yield "nothing said", response, response not in said
    for (response, dataset), own in found.items():
        rates = [*verdict_scores(study.truth, response, dataset, own)]
        rates += interval_scores(study, response, own) if dataset is None else []
        yield from ((what, response, value) for what, value in rates if not np.isnan(value))
    for claim, verdict in zip(study.claims, judged, strict=True):
        if (holds := claim_holds(claim, study)) is None:
            continue
        yield f"{'true' if holds else 'false'} claim: replicated", claim["response"], verdict == "replicated"
        if holds:
            yield "true claim: contradicted", claim["response"], verdict == "contradicted"


def verdict_scores(truth: Truth, response: str, dataset: str | None, own: Answer) -> Iterator[tuple[str, float]]:
    """Yield how the verdicts on factors compare with the truth; a cliff gives every factor an effect somewhere."""
    largest = truth.largest_changes(response, dataset).round(9)
    for name, most in zip(FACTORS, largest, strict=True):
        verdict, size = own.verdicts.get(name), abs(truth.sizes[name])
        if verdict is None:  # withheld
            continue
        moves, small = verdict in ("effect", "small"), verdict in ("negligible", "small")
        if most == 0:
            yield "no effect: said to have one", moves
            yield "no effect: called negligible", small
        if most > SMALLEST[response]:
            yield "above smallest somewhere: called negligible", small
        if size > 0:
            yield f"{size:g} x smallest: found", moves
        if size == 1.5:
            yield "1.5 x smallest: called negligible", small


def interval_scores(study: Study, response: str, own: Answer) -> Iterator[tuple[str, float]]:
    """Yield the shares of intervals that hold the truth, and whether the recommendation does."""
    surface = study.truth.surface(response, None)
    here = surface[study.settings]
    nearest = np.linalg.lstsq(MATRIX[study.settings], here)[0]
    yield "simple effects: covered", held(own.effects, study.truth.simple_effects(response, None))
    yield "simple effects of the nearest quadratic: covered", held(own.effects, CHANGES @ nearest)
    yield "coefficients: covered", held(own.coefficients[1:], nearest[1:])
    yield "predictions: covered", held(own.predictions, here)
    yield "predictions of the nearest quadratic: covered", held(own.predictions, MATRIX[study.settings] @ nearest)
    better = BETTER[response] * here
    yield "best setting: missing among those not separated", not own.contenders[better.round(9).argmax()]
    yield "settings not separated", own.contenders.mean()
    gain = better[own.chosen] - BETTER[response] * truths.USUAL[response]
    yield "gain: lower bound too high", own.gain_low > gain
    missed = study.truth.means[response][:, study.settings] - MATRIX[study.settings] @ nearest
    curved = np.ptp(missed, axis=1).max() > 1e-6
    yield f"lack of fit: {'found' if curved else 'said without any'}", own.misses
    yield f"settings by their means: {'found to be missed' if curved else 'without lack of fit'}", own.by_means


def held(interval: Interval, truth: np.ndarray) -> float:
    """Return the share of intervals that hold the truth, of those that are given; not a number where none is."""
    given = ~np.isnan(interval).any(-1)
    inside = (interval[..., 0] <= truth) & (truth <= interval[..., 1])
    return float(inside[given].mean()) if given.any() else np.nan


def claim_holds(claim: dict[str, Any], study: Study) -> bool | None:
    """Say whether a claim over all data sets is true; None where it depends on where one looks.

    A direction is true where the factor's change has it at the centre, and so has the coefficient of the quadratic that
    is nearest to the truth at the settings tried; false where neither has it. That there is no effect is true where
    none is as large as the smallest effect anywhere (of an interaction: where there is none).
    """
    response, names = claim["response"], claim["term"].split(":")
    surface = study.truth.surface(response, None)
    nearest = np.linalg.lstsq(MATRIX[study.settings], surface[study.settings])[0]
    number = FACTORS.index(names[0])
    changes = study.truth.simple_effects(response, None)[number]
    if claim["finding"] == "none":
        alone = len(names) == 1
        size = study.truth.largest_changes(response, None)[number] if alone else np.ptp(changes)
        return True if size <= (SMALLEST[response] if alone else 1e-9) else None
    sign = 1 if claim["sign"] == "positive" else -1
    has = [sign * value > 1e-9 for value in (changes[len(changes) // 2], nearest[1 + number])]
    return all(has) if all(has) or not any(has) else None


# Many studies ---------------------------------------------------------------------------------------------------------

Counts = dict[tuple[str, str], tuple[int, float]]  # by score and metric: studies, and the sum of their values


def count(cell: Cell, numbers: range) -> Counts:
    """Simulate, analyse and score some studies of a cell; a score that a study has several times counts by its mean."""
    counts: Counts = defaultdict(lambda: (0, 0.0))
    for number in numbers:
        study = truths.simulate(cell, number)
        values = defaultdict(list)
        for what, response, value in scores(study, *answers(study)):
            values[what, response].append(value)
        for key, own in values.items():
            studies, total = counts[key]
            counts[key] = (studies + 1, total + float(np.mean(own)))
    return dict(counts)
