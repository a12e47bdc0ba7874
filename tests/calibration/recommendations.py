"""What following a rule costs: the recommended setting's true regret, in simulated studies of known truth (truths.py).

    python -m tests.calibration recommendations [--studies 200] [--kinds clean cliff] [--seeds 2 4 5]

The workflow's rule beside what people do without one: they take the setting of the highest measured mean, that of the
highest prediction, or that of the best single run. In `apart` the factor that accuracy depends on most moves the loss
the other way, so that what breaks ties costs accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing import get_context

import numpy as np
import pandas as pd
from tests.calibration import simulate, truths
from tests.calibration.truths import BETTER, CODINGS, GRID, RESPONSES, SMALLEST, USUAL, Cell, Study
from tests.calibration.verdicts import CONFIDENCE, MODEL, collapsed_runs, outcomes

from finevar.analyses.baselines import against_baseline_rows
from finevar.analyses.fits import FittedStudy, Plan
from finevar.analyses.recommendation import Standing, stand
from finevar.reasons import COLLAPSED

STUDIES, CHUNK = 200, 10
SEEDS = (2, 4, 5)
APART = "apart"
KINDS = (*truths.KINDS, APART)
PRIMARY = "accuracy"


def best_run(standing: Standing) -> str:
    """Return the setting of the run with the best value of the primary metric."""
    runs = next(surface.runs for surface in standing.study.surfaces if surface.response == PRIMARY)
    return runs.loc[runs[PRIMARY].idxmax(), "point_id"]


def tied_alone(standing: Standing) -> str:
    """Return what the rule would choose if whatever is not significantly worse were as good."""
    best = standing.ranked[PRIMARY]
    return min(best.index[~best["worse"]], key=standing.merit)


RULES: dict[str, Callable[[Standing], str | None]] = {
    "the rule": lambda standing: standing.recommended,
    "not significantly worse, then loss": tied_alone,
    "highest measured mean": lambda standing: standing.ranked[PRIMARY]["mean"].idxmax(),
    "highest predicted": lambda standing: standing.ranked[PRIMARY]["predicted"].idxmax(),
    "best single run": best_run,
}


def simulated(kind: str, seeds: int, number: int) -> Study:
    """Return a study of a kind."""
    if kind != APART:
        return truths.simulate(Cell(kind, collapsed=False, seeds=seeds), number)
    return apart(truths.simulate(Cell("clean", collapsed=False, seeds=seeds), number))


def apart(study: Study) -> Study:
    """Return a study in which the largest factor moves the loss, in mean and of each sentence, the other way."""
    truth = study.truth
    largest = max(truth.sizes, key=lambda name: abs(truth.sizes[name]))
    moved = SMALLEST["loss"] * truth.sizes[largest] * GRID[:, list(CODINGS).index(largest)]
    times = 1 + moved / truth.means["loss"][0]  # of size 1 moves by half the smallest effect to each end
    scale = times[np.repeat(study.settings, study.runs["seed"].nunique())]
    means = truth.means | {"loss": truth.means["loss"] * times}
    ((name, part),) = study.outcomes.items()
    part = replace(part, losses=part.losses * scale[:, None].astype(np.float32))
    runs = study.runs.assign(loss=study.runs["loss"] * scale)
    return replace(study, runs=runs, outcomes={name: part}, truth=replace(truth, means=means))


def standing_of(study: Study) -> Standing | None:
    """Return how a study's settings stand, as the workflow sees them; None where a gate stops the primary metric."""
    plan = Plan(CODINGS, truths.BASELINE, RESPONSES, MODEL, CONFIDENCE, smallest_effect=SMALLEST)
    status = np.where(collapsed_runs(study), COLLAPSED, "ok")
    fitted = FittedStudy.of(study.runs.assign(status=status, train_seconds=1.0), plan, partial(outcomes, study))
    return stand(fitted, fitted.rows(against_baseline_rows), shares={})


def scores(study: Study, setting: str) -> dict[str, float]:
    """Return what taking a setting costs in truth: regret by metric, and whether the baseline is better."""
    tried, own = np.unique(study.settings), int(setting.removeprefix("setting"))
    found = {}
    for metric in (PRIMARY, "loss"):
        values = BETTER[metric] * study.truth.surface(metric, None)
        found[f"regret in {metric}"] = values[tried].max() - values[own]
        found[f"worse than the baseline in {metric}"] = 100.0 * (values[own] < BETTER[metric] * USUAL[metric] - 1e-9)
    return found


def judged(kind: str, seeds: int, numbers: range) -> list[dict[str, float | str]]:
    """Return a row a study and rule."""
    rows = []
    for number in numbers:
        study = simulated(kind, seeds, number)
        standing = standing_of(study)
        for rule, choose in RULES.items():
            setting = standing and choose(standing)
            about = {"kind": kind, "seeds": seeds, "rule": rule, "nothing": 100.0 * (setting is None)}
            rows.append(about | (scores(study, setting) if setting else {}))
    return rows


def job(arguments: tuple[str, int, range]) -> list[dict[str, float | str]]:
    """Judge a chunk of studies."""
    return judged(*arguments)


def table(rows: pd.DataFrame) -> str:
    """Return means over studies in Markdown: a line a rule, count of seeds and kind."""
    means = rows.groupby(["kind", "seeds", "rule"], sort=False).mean()
    lines = [["kind", "seeds", "rule", *means.columns], ["---"] * (3 + len(means.columns))]
    for (kind, seeds, rule), row in means.iterrows():
        values = [f"{value:.4f}" if name.startswith("regret") else f"{value:.1f} %" for name, value in row.items()]
        lines.append([kind, str(seeds), rule, *values])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] = ()) -> None:
    """Simulate, and print each rule's mean cost."""
    chosen = simulate.options("recommendations", __doc__, arguments, studies=STUDIES, kinds=KINDS, seeds=SEEDS)
    with get_context("fork").Pool(chosen.processes, initializer=simulate.fewer_draws) as pool:
        found = pool.imap(job, simulate.chunks(chosen.kinds, chosen.seeds, chosen.studies, CHUNK))
        print(table(pd.DataFrame([row for rows in found for row in rows])))
