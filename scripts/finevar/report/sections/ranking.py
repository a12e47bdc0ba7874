"""The report's ranking: all settings by the primary metric, as measured and as the model has them, on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import pandas as pd

from finevar.analyses.baselines import at_baseline, have_own_baselines
from finevar.metrics import LOWER_IS_BETTER
from finevar.reasons import Excluded
from finevar.report.cells import level_or_dash
from finevar.report.parts import Facts, Labels, Row, Section, Tables
from finevar.report.recommendation import advice
from finevar.study.coding import plain_level
from finevar.words.formatting import counted, factor_label, levels_there, sentence_case
from finevar.words.numbers import NOTHING, duration, is_missing, number
from finevar.words.recommendation import EXCLUDED_FOR

PART, PLACE, TITLE = "answer", 10, "All settings, ranked"
SHOWN = 12  # settings that are not folded; the recommended one never is
LEFT, RIGHT = 8.0, 292.0  # ends of the scale, in pixels of a strip 300 wide
BADGES = ("recommended", "tied", "excluded")  # of roles
TICKS = 4
DOT = " \N{MIDDLE DOT} "


def of_study(tables: Tables, labels: Labels, facts: Facts) -> Section | None:
    """Return a row a setting with its strip, the scale's ticks, and the words of the legend; None without advice."""
    advised = advice(tables, labels, list(facts["factors"])) if labels else None
    if advised is None or not advised.recommendation:
        return None
    primary = str(advised.recommendation[0]["primary"])
    by_point = {(row["point_id"], row["response"]): row for row in advised.ranking}
    measured = [row for row in advised.recommendation if not is_missing(mean_of(by_point, row, primary))]
    better = primary not in LOWER_IS_BETTER
    measured.sort(key=lambda row: mean_of(by_point, row, primary), reverse=better)
    first = [row for place, row in enumerate(measured) if place < SHOWN or row["role"] == "recommended"]
    runs = dict(list(tables["metrics"].groupby("point_id")))
    baseline = baseline_mean(tables["metrics"], primary)
    points = [row["point_id"] for row in first]
    scale = Scale.of([by_point[name, primary] for name in points], [runs[name][primary] for name in points], baseline)
    metrics = [name for name in advised.labels if any(key[1] == name for key in by_point)]

    def shown(row: Row) -> dict[str, Any]:
        name = row["point_id"]
        own = [by_point.get((name, metric)) for metric in metrics]
        strip = scale.strip(by_point[name, primary], runs[name][primary].dropna())
        return setting_row(row, advised.levels[name], own, runs[name]["run_id"].iloc[0]) | {"strip": strip}

    return {
        "template": "ranking.html",
        "title": f"All settings, ranked by measured {advised.labels[primary]}",
        "heads": [sentence_case(advised.labels[name]) for name in metrics],
        "factors": DOT.join(factor_label(name) for name in facts["factors"]),
        "shown": [shown(row) for row in first],
        "rest": [shown(row) for row in measured if row not in first],
        "ticks": scale.ticks(),
        "baseline": None if baseline is None else {"at": scale.at(baseline), "words": number(baseline, 3)},
        "seeds": counted(int(tables["metrics"]["seed"].nunique()), "seed"),
    }


def mean_of(by_point: Mapping[Any, Row], row: Row, metric: str) -> float | None:
    """Return a setting's measured mean; None where no run of it counts."""
    found = by_point.get((row["point_id"], metric))
    return None if found is None else found["mean"]


def baseline_mean(metrics: pd.DataFrame, primary: str) -> float | None:
    """Return the mean at the baseline's own settings, else of the baseline as it is; None where neither is known.

    Several models' baselines have no value in common: None, unless the study's own was trained again.
    """
    again = metrics.loc[at_baseline(metrics), primary].dropna()
    if again.empty and have_own_baselines(metrics):
        return None
    frozen = metrics[f"baseline_{primary}"].dropna() if f"baseline_{primary}" in metrics else again
    known = again if len(again) else frozen
    return float(known.mean()) if len(known) else None


def setting_row(row: Row, levels: Mapping[str, Any], means: Sequence[Row | None], run: str) -> dict[str, Any]:
    """Return what a row says of a setting; row: of the table recommendation; means: of the ranking, by metric."""
    behind = is_missing(row["reason_code"]) or row["reason_code"] == Excluded.BEHIND
    role = "" if row["role"] == "excluded" and behind else row["role"]
    return {
        "role": role,
        "badge": role if role in BADGES else "",
        "reason": "" if behind else EXCLUDED_FOR[row["reason_code"]],
        "levels": DOT.join(map(level_or_dash, levels.values())),
        "link": "#explore?" + address(levels, run),
        "metrics": [(NOTHING, False) if one is None else (number(one["mean"], 3), bool(one["worse"])) for one in means],
        "seconds": duration(row["seconds"]),
    }


def address(levels: Mapping[str, Any], run: str) -> str:
    """Return the explorer's address of a setting: its sliders, its runs alone in the table, one of them opened."""
    values = {name: plain_level(value, ".6g") for name, value in levels_there(levels).items()}
    named = [name for name, value in levels.items() if isinstance(value, str)]
    only = {f"only.{name}": f"{value}..{value}" for name, value in values.items() if name not in named}
    only |= {f"has.{name}": values[name] for name in named}
    return urlencode(values | only | {"runs": run})


class Scale:
    """From a metric's values to pixels of a strip."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high if high > low else low + 1e-9

    @classmethod
    def of(cls, rows: Sequence[Row], runs: Sequence[pd.Series], baseline: float | None) -> Scale:
        """Return the scale that holds means, runs and intervals of some settings, and the baseline."""
        values = [row[name] for row in rows for name in ("mean", "ci_low", "ci_high")]
        values += [value for own in runs for value in own] + [baseline]
        known = [float(value) for value in values if not is_missing(value)]
        return cls(min(known), max(known))

    def at(self, value: float) -> float:
        """Return where a value is, in pixels; one beyond the scale is at its end."""
        share = (value - self.low) / (self.high - self.low)
        return round(LEFT + min(max(share, 0.0), 1.0) * (RIGHT - LEFT), 1)

    def holds(self, value: float) -> bool:
        """Say whether a value is on the scale."""
        return not is_missing(value) and self.low - 1e-12 <= value <= self.high + 1e-12

    def strip(self, row: Row, runs: pd.Series) -> dict[str, Any]:
        """Return where a setting's mean, its runs and the model's interval are."""
        known = not (is_missing(row["ci_low"]) or is_missing(row["ci_high"]))
        return {
            "mean": self.at(row["mean"]) if self.holds(row["mean"]) else None,
            "runs": [self.at(value) for value in runs if self.holds(value)],
            "ends": [self.at(row["ci_low"]), self.at(row["ci_high"])] if known else None,
        }

    def ticks(self) -> list[dict[str, Any]]:
        """Return round values along the scale, with where they are."""
        step = next(
            size * 10.0**power
            for power in range(-6, 7)
            for size in (1, 2, 5)
            if (self.high - self.low) / (size * 10.0**power) <= TICKS + 1
        )
        first, decimals = int(self.low / step) + 1, max(len(f"{step:.6f}".rstrip("0").partition(".")[2]), 1)
        values = [number * step for number in range(first, first + TICKS + 2) if number * step <= self.high]
        return [{"at": self.at(value), "words": number(value, decimals)} for value in values]
