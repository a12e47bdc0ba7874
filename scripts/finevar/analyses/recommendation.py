"""The one setting that a study recommends: the rule, and how every tried setting stands by it.

1. The primary metric: as the config says; else accuracy, or F1 where few of the evaluation sentences are of some class.
2. Candidates: tried settings that are not significantly worse than the best on it, nor by more than the smallest effect
   of interest; at which no run failed and most learnt something; that are in no metric significantly worse than the
   baseline as it is; and whose means the surfaces predict.
3. Of these the one with the best measured loss, then the cheapest.

Where the last two demands leave no candidate, the surfaces' is dropped first, as it is about the model and not about
the runs, then the baseline's but for the primary metric. Where that leaves none, either, nothing is recommended.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd

from finevar.analyses.fits import FittedStudy
from finevar.analyses.learning import Shares, unlearnt
from finevar.metrics import SECONDS, towards
from finevar.reasons import COLLAPSED, DIVERGED, FAILED, OK, Excluded, Primary
from finevar.statistics.ranking import rank_settings, regret_of
from finevar.statistics.regression import Surface
from finevar.statistics.setting_means import setting_names
from finevar.tables import Rows

RARE = 0.2  # share of the evaluation sentences, of a class that accuracy hardly shows
MOST = 0.5  # share of a setting's runs
RECOMMENDED, TIED, WORSE, EXCLUDED = ROLES = ("recommended", "tied", "worse", "excluded")


class Fault(NamedTuple):
    """What speaks against a setting."""

    code: Excluded
    response: str | None = None


@dataclass(frozen=True)
class Standing:
    """How the tried settings stand; each goes by its first point_id."""

    study: FittedStudy
    settings: pd.DataFrame  # levels of the factors, diverged, collapsed, unlearnt, seconds
    ranked: Mapping[str, pd.DataFrame]  # by response, see rank_settings()
    faults: Mapping[str, Sequence[Fault]]  # by setting
    primary: str
    primary_code: Primary

    @property
    def surface(self) -> Surface:
        """Return the surface of the primary metric."""
        return next(surface for surface in self.study.surfaces if surface.response == self.primary)

    @cached_property
    def order(self) -> list[str]:
        """Return the metrics that choose among candidates: the loss, or whatever else there is, then the primary."""
        others = [name for name in self.ranked if name != self.primary]
        return [*([name for name in others if name == "loss"] or others[:1]), self.primary]

    @cached_property
    def candidates(self) -> tuple[list[str], Excluded | None]:
        """Return the settings to choose from, and which fault had to be overlooked or leaves none."""
        best = self.ranked[self.primary]
        tied = {name: self.faults[name] for name in best.index[~best["worse"]]}
        kept = [name for name, found in tied.items() if not any(map(self.is_grave, found))]
        for overlooked in ((), (Excluded.OUTSIDE_BAND,), (Excluded.OUTSIDE_BAND, Excluded.WORSE_THAN_BASELINE)):
            if left := [name for name in kept if all(fault.code in overlooked for fault in tied[name])]:
                return left, overlooked[-1] if overlooked else None
        first = min(tied, key=lambda name: (abs(best["difference"].fillna(0.0)[name]), best["rank"][name]))
        return [], next(fault.code for fault in tied[first] if self.is_grave(fault))

    def is_grave(self, fault: Fault) -> bool:
        """Say whether a fault is never overlooked."""
        always = (*FAILED, Excluded.UNLEARNT, Excluded.BEHIND)
        return fault.code in always or fault == (Excluded.WORSE_THAN_BASELINE, self.primary)

    def merit(self, name: str) -> tuple[float, ...]:
        """Return a setting's values by which candidates are chosen, less being better."""
        means = [-towards(metric) * self.ranked[metric].loc[name, "mean"] for metric in self.order]
        seconds = float(self.settings.loc[name, SECONDS])
        return (*means, math.inf if math.isnan(seconds) else seconds)  # of runs that nobody timed

    @cached_property
    def recommended(self) -> str | None:
        """Return the setting to use, or None."""
        return min(self.candidates[0], key=self.merit, default=None)

    @cached_property
    def decided_by(self) -> str | None:
        """Return what chose among the candidates: the first metric in which they differ, or seconds."""
        kept = self.candidates[0]
        if len(kept) < 2:
            return self.primary if kept else None
        names = [*self.order, SECONDS]
        columns = zip(*sorted(map(self.merit, kept))[:2], strict=True)
        return next((name for name, (first, second) in zip(names, columns, strict=True) if first < second), names[-1])


def stand(study: FittedStudy, against_baseline: Iterable[Mapping[str, Any]], shares: Shares) -> Standing | None:
    """Return how a study's settings stand; None where the primary metric has no surface.

    against_baseline: rows of that table. shares: of each class among the evaluation sentences, by data set.
    """
    if not study.surfaces:
        return None
    rarest = min((share for known in shares.values() for share in known.values()), default=None)
    primary, code = primary_of(study.plan.primary, study.plan.responses, rarest)
    surface = next((each for each in study.surfaces if each.response == primary), None)
    if surface is None:
        return None
    settings = tried_settings(study, shares)
    lost = settings.index[settings[list(FAILED)].any(axis=1)]
    ranked = {surface.response: rank_settings(surface, lost) for surface in study.surfaces}
    worse = {(row["point_id"], row["response"]) for row in against_baseline if is_worse(row)}
    faults = {name: list(faults_of(name, settings, ranked, worse)) for name in settings.index}
    for name in behind(surface, ranked[primary]):
        faults[name].append(Fault(Excluded.BEHIND, primary))
    return Standing(study, settings, ranked, faults, primary, code)


def primary_of(chosen: str | None, responses: Sequence[str], rarest: float | None) -> tuple[str, Primary]:
    """Return the metric that decides first, and why.

    chosen: the config's. rarest: the smallest share of the evaluation sentences that a class has, where that is known.
    """
    if chosen:
        return chosen, Primary.CHOSEN
    if rarest is not None and rarest < RARE and "f1" in responses:
        return "f1", Primary.RARE_CLASS
    return "accuracy" if "accuracy" in responses else responses[0], Primary.DEFAULT


def tried_settings(study: FittedStudy, shares: Shares) -> pd.DataFrame:
    """Return a row a setting: its levels, how many of its runs diverged and collapsed, and seconds of training one.

    And, as `unlearnt`, the share of its runs that show nothing learnt.
    """
    runs = study.metrics.assign(setting=setting_names(study.metrics, study.plan.codings))
    found = runs.groupby("setting", sort=False)
    counts = {status: (runs["status"] == status).groupby(runs["setting"]).sum() for status in FAILED}
    counts["unlearnt"] = unlearnt(runs, shares).groupby(runs["setting"]).mean()
    seconds = runs[runs["status"] == OK].groupby("setting")["train_seconds"].mean()
    return found[list(study.plan.codings)].first().assign(**counts, **{SECONDS: seconds})


def is_worse(row: Mapping[str, Any]) -> bool:
    """Say whether a row of against_baseline shows a setting to be worse than the baseline as it is."""
    sign = towards(row["response"])
    end = row.get("simultaneous_high" if sign > 0 else "simultaneous_low")
    return row["baseline"] == "B0" and end is not None and sign * end < 0


def faults_of(
    name: str, settings: pd.DataFrame, ranked: Mapping[str, pd.DataFrame], worse: set[tuple[str, str]]
) -> Iterable[Fault]:
    """Yield what speaks against a setting; worse: settings and metrics in which the baseline is better."""
    for status, code in ((DIVERGED, Excluded.DIVERGED), (COLLAPSED, Excluded.COLLAPSED)):
        if settings.loc[name, status]:
            yield Fault(code)
    if settings.loc[name, "unlearnt"] > MOST:
        yield Fault(Excluded.UNLEARNT)
    yield from (Fault(Excluded.WORSE_THAN_BASELINE, metric) for metric in ranked if (name, metric) in worse)
    for metric, table in ranked.items():
        if name in table.index and table.loc[name, "outside"]:
            yield Fault(Excluded.OUTSIDE_BAND, metric)


def behind(surface: Surface, table: pd.DataFrame) -> pd.Index:
    """Return the settings whose means are below the best by more than the smallest effect of interest.

    Where seeds are few a real loss need not be significant, and another metric must not pay for it.
    """
    gap = towards(surface.response) * table["difference"]
    return table.index[gap < -(math.inf if surface.smallest_effect is None else surface.smallest_effect)]


# Tables ---------------------------------------------------------------------------------------------------------------


def ranking_rows(standing: Standing) -> Rows:
    """Return the rows of the table ranking; a setting without a mean has its name alone."""
    tables = [table.reindex(standing.settings.index).assign(response=name) for name, table in standing.ranked.items()]
    rows = pd.concat(tables).rename_axis("point_id").reset_index()
    return rows.astype(object).where(rows.notna(), None).to_dict("records")


def recommendation_rows(standing: Standing) -> Rows:
    """Return the rows of the table recommendation, in the order in which settings would be taken."""
    about = {"primary": standing.primary, "primary_code": standing.primary_code, "decided_by": standing.decided_by}
    rows = []
    for name in standing.settings.index:
        role, fault = role_of(standing, name)
        reason = {"reason_code": fault.code, "reason_response": fault.response} if fault else {}
        rows.append({"point_id": name, "role": role, SECONDS: standing.settings.loc[name, SECONDS]} | about | reason)
    rows.sort(key=lambda row: (ROLES.index(row["role"]), place(standing, row["point_id"], row["role"])))
    if standing.recommended:
        regret = regret_of(standing.surface, standing.recommended)
        rows[0] |= {"expected_regret": regret.expected, "regret_bound": regret.bound}
        rows[0] |= {"smallest_effect": standing.surface.smallest_effect}
    return [row | {"rank": number} for number, row in enumerate(rows, 1)]


def role_of(standing: Standing, name: str) -> tuple[str, Fault | None]:
    """Return a setting's role, and what speaks against it first."""
    kept, _ = standing.candidates
    fault = next(iter(standing.faults[name]), None)
    if name in kept:
        return (RECOMMENDED if name == standing.recommended else TIED), fault
    best = standing.ranked[standing.primary]
    return (WORSE if name in best.index and best.loc[name, "worse"] else EXCLUDED), fault


def place(standing: Standing, name: str, role: str) -> tuple[float, ...]:
    """Return a setting's place among those of its role: candidates by the rule, others by the primary metric."""
    if role in (RECOMMENDED, TIED):
        return standing.merit(name)
    table = standing.ranked[standing.primary]
    return (float(table.loc[name, "rank"]) if name in table.index else float("inf"),)
