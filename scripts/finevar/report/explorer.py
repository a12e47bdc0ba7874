"""What the report's explorer knows: the fitted surfaces with their uncertainty, and every run, as one JSON document."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from finevar.analyses.baselines import have_own_baselines
from finevar.analyses.errors import MOST_CLASSES
from finevar.analyses.fits import baseline_value, failed_settings
from finevar.analyses.recommended import levels_of, recommended_point
from finevar.metrics import LOWER_IS_BETTER, OF_CALIBRATION, RESPONSES
from finevar.report.parts import Facts, Tables, chosen
from finevar.statistics.regression import LOGIT
from finevar.statistics.stored import Stored
from finevar.study.coding import Category, Coding, Codings, as_level, axes_of, categories_of, columns_at, exists, terms
from finevar.study.conditions import condition_tree
from finevar.study.settings import MODEL
from finevar.tables import are_found
from finevar.words.formatting import factor_label, response_labels, sentence_case, settings_list
from finevar.words.numbers import is_missing

DIGITS = 6  # more than any view shows
QUANTILES = 65  # of Student's t: interpolated, they are right to a thousandth
ENDS = ["estimate", "ci_low", "ci_high", "simultaneous_low", "simultaneous_high"]


def explorer_data(tables: Tables, labels: Mapping[str, str], facts: Facts) -> str:
    """Return the explorer's data as JSON that may stand within a script element.

    labels: names in words of the responses that no gate stopped.
    """
    codings = facts["factors"]
    axes = axes_of(codings)
    columns = terms(codings, facts["config"]["analysis"]["model"])
    metrics = tables["metrics"]
    tried = metrics.drop_duplicates(list(codings))
    shown = model_columns(metrics, facts) if are_found(metrics) else run_columns(metrics, facts)
    own = facts["config"]["baseline"]["settings"]
    document = {
        "factors": [factor(name, coding, codings) for name, coding in codings.items()],
        "terms": [[axes.index(axis) for axis in term] for term in columns],
        **({"axes": places_of_axes(codings)} if categories_of(codings) else {}),
        **({"where": condition_tree(where, codings)} if (where := condition_of(facts)) else {}),
        "baseline": levels_in(own, codings) if own else None,
        "recommended": levels_of(recommended_point(tables), metrics, codings) or None,
        "responses": [response(name, label, tables, tried, codings) for name, label in labels.items()],
        "pairs": pairs(tables, labels, codings),
        "tried": settings(tried, codings),
        "failed": settings(failed_settings(metrics, codings), codings),
        "columns": shown,
        "runs": [[plain(row[column["name"]]) for column in shown] for row in metrics.to_dict("records")],
        "logs": [log_of(row, facts) for row in metrics.to_dict("records")],
        "errors": errors(tables, metrics["run_id"].tolist()),
    }
    return json.dumps(document, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def condition_of(facts: Facts) -> str | None:
    """Return the condition that the design's settings fulfil; of found models there is none."""
    return facts["config"]["sweep"].get("design", {}).get("where")


def levels_in(settings: Mapping[str, Any], codings: Codings) -> dict[str, Any]:
    """Return the level of each factor in settings; None of one that does not exist there."""
    return {name: as_level(settings[name]) if exists(coding, settings) else None for name, coding in codings.items()}


def settings(rows: pd.DataFrame, codings: Codings) -> list[list[float]]:
    """Return the settings of rows, a row each, as coded levels, of levels that are names as their numbers."""
    coded = np.column_stack([place_along(name, rows, codings) for name in codings])
    return [list(map(plain, place)) for place in coded]


def place_along(name: str, rows: pd.DataFrame, codings: Codings) -> np.ndarray:
    """Return a factor's coded levels, or the numbers of levels that are names [places]."""
    if isinstance(coding := codings[name], Category):
        return rows[name].map(coding.levels.index).to_numpy(float)
    return columns_at(coding, rows[name], rows)[:, 0]


def places_of_axes(codings: Codings) -> list[list[int | None]]:
    """Return what each axis that terms multiply is of: the factor's number, and of a category the level's."""
    return [
        [number, level if isinstance(coding, Category) else None]
        for number, (name, coding) in enumerate(codings.items())
        for level, _ in enumerate(coding.axes(name))
    ]


def factor(name: str, coding: Coding | Category, codings: Codings) -> dict[str, Any]:
    """Return how a factor's slider works: coded from -1 to 1, labelled in natural units; or a selector's levels.

    when: of a nested factor, the number of its category and those of the levels at which it exists. by: of one that
    slides, the number of its category and, by its levels' numbers, the middles and levels.
    """
    if isinstance(coding, Category):
        named = {"name": name, "label": sentence_case(factor_label(name))}
        return named | {"levels": list(coding.levels), "scale": coding.scale}
    return {
        "name": name,
        "label": sentence_case(factor_label(name)),
        "levels": [float(level) for level in sorted(coding.template.levels)],
        "scale": coding.scale,
        "whole": all(float(level).is_integer() for level in coding.levels),
        "middle": coding.middle,
        "half_range": coding.half_range,
        **({"when": when_of(coding, codings)} if coding.when else {}),
        **({"by": by_of(coding, codings)} if coding.by else {}),
    }


def by_of(coding: Coding, codings: Codings) -> list[Any]:
    """Return the number of the category that a factor slides with, and its middle and levels at each of its levels."""
    own = [coding.at(level) for level in codings[coding.by.category].levels]
    return [list(codings).index(coding.by.category), [each.middle for each in own], [list(each.levels) for each in own]]


def when_of(coding: Coding, codings: Codings) -> list[Any]:
    """Return the number of a nested factor's category and those of the levels at which it exists."""
    category, levels = coding.when
    return [list(codings).index(category), list(map(codings[category].levels.index, levels))]


def response(name: str, label: str, tables: Tables, tried: pd.DataFrame, codings: Codings) -> dict[str, Any]:
    """Return a response's surface, what its intervals need, and those of the settings tried as the ranking has them.

    rates: 1 / degrees of freedom of seeds and of sentences. quantiles: of Student's t at 1 / degrees of freedom from 0
    to the sum of the two, in even steps.
    """
    surface, ranked = Stored.of(tables["covariances"], name), chosen(tables["ranking"], response=name)
    rates = [1 / surface.seed_df, 1 / surface.sentence_df]
    grid = np.linspace(0, sum(rates), QUANTILES)
    with np.errstate(divide="ignore"):
        quantiles = stats.t.ppf((1 + surface.confidence) / 2, 1 / grid)
    known = ranked.set_index("point_id")[["predicted", "ci_low", "ci_high"]]
    return {
        "name": name,
        "label": label,
        "lower_is_better": name in LOWER_IS_BETTER,
        "logit": surface.scale == LOGIT,
        "bounds": [end if math.isfinite(end) else None for end in RESPONSES[name].bounds],
        "params": surface.params.tolist(),
        "covs": [[[float(f"{value:.9g}") for value in row] for row in cov] for cov in surface.covs.tolist()],
        "rates": rates,
        "quantiles": list(map(plain, quantiles.tolist())),
        "at": [list(map(plain, row)) for row in known.reindex(tried["point_id"]).to_numpy(float)],
        "baseline": baseline_of(tables["metrics"], name, codings),
    }


def baseline_of(metrics: pd.DataFrame, name: str, codings: Codings) -> Any:
    """Return a response's value of the baseline; of several models each one's, in the order of the factor's levels."""
    if not have_own_baselines(metrics):
        return plain(baseline_value(metrics, name))
    groups = dict(list(metrics.groupby(MODEL)))
    return [plain(baseline_value(groups[level], name)) for level in codings[MODEL].levels]


def pairs(tables: Tables, labels: Mapping[str, str], codings: Codings) -> dict[str, Any] | None:
    """Return what any two settings differ by, a row a pair in the order of combinations(); None without any.

    A metric's rows hold the difference and its four ends; those of the sentences, how many are gained and lost.
    """
    found, counted = tables["setting_pairs"], tables["pair_sentences"]
    names = list(dict.fromkeys([*found["point_id"], *found["other"]]))
    if not names:
        return None

    def rows(table: pd.DataFrame, columns: list[str]) -> list[list[Any] | None]:
        values = (list(map(plain, row)) for row in table[columns].to_numpy(float))
        known = dict(zip(zip(table["point_id"], table["other"], strict=True), values, strict=True))
        return [known.get(pair) for pair in combinations(names, 2)]

    return {
        "settings": [
            {"name": name, "label": settings_list(levels_of(name, tables["metrics"], codings))} for name in names
        ],
        "metrics": [
            {"label": label, "less": name in LOWER_IS_BETTER, "rows": rows(found[found["response"] == name], ENDS)}
            for name, label in labels.items()
        ],
        "sentences": int(counted["sentences"].max()) if len(counted) else 0,
        "moved": rows(counted, ["gained", "lost"]),
    }


def errors(tables: Tables, runs: Sequence[str]) -> dict[str, Any] | None:
    """Return what each run gets wrong: its counts of true and predicted class, and wrong sentences; None without any.

    Whole numbers: a count is [true class, predicted class, sentences], a sentence [number of its text, predicted class,
    its probability in per cent]; a text stands with its true class.
    """
    counts, wrong, names = tables["run_confusion"], tables["run_sentences"], tables["classes"]
    if counts.empty:
        return None
    datasets = list(dict.fromkeys(counts["dataset"]))
    named = names.drop_duplicates(["dataset", "label"]).groupby("dataset")["label_name"].agg(list)
    place = counts.drop_duplicates("run_id").set_index("run_id")["dataset"].map(datasets.index)
    texts = wrong.drop_duplicates(["dataset", "example_id"])
    wrong = wrong.assign(
        text=wrong.groupby(["dataset", "example_id"], sort=False).ngroup(),
        probability=(100 * wrong["probability"]).round(),
    )
    return {
        "classes": [named[name] for name in datasets],
        "most": MOST_CLASSES,
        "of": [int(place.get(run, 0)) for run in runs],
        "counts": by_run(counts[["run_id", "label", "predicted", "count"]], runs),
        "texts": list(zip(texts["text"], texts["label"].tolist(), strict=True)),
        "wrong": by_run(wrong[["run_id", "text", "predicted", "probability"]], runs),
    }


def by_run(rows: pd.DataFrame, runs: Iterable[str]) -> list[list[list[int]]]:
    """Return the whole numbers in a table's rows of each run, in the order of the runs."""
    found = {name: own.drop(columns="run_id").to_numpy(int).tolist() for name, own in rows.groupby("run_id")}
    return [found.get(run, []) for run in runs]


def run_columns(metrics: pd.DataFrame, facts: Facts) -> list[dict[str, Any]]:
    """Return the columns of the runs' table: metrics first, those that were fitted pinned, then levels, seed, name."""
    columns = [column for column in metric_columns(metrics, facts) if metrics[column["name"]].notna().any()]
    columns += factor_columns(facts)
    columns.append({"name": "seed", "label": "Seed", "kind": "number"})
    if metrics["dataset"].nunique() > 1:
        columns.append({"name": "dataset", "label": "Data set", "kind": "text"})
    columns.append({"name": "status", "label": "Status", "kind": "text"})
    columns.append({"name": "train_seconds", "label": "Training s", "kind": "number"})
    return [*columns, {"name": "run_id", "label": "Run", "kind": "text"}]


def model_columns(metrics: pd.DataFrame, facts: Facts) -> list[dict[str, Any]]:
    """Return the columns of the table of found models: metrics, levels, whose each is, its data set."""
    kept = [*metric_columns(metrics, facts), *factor_columns(facts)]
    kept = [column for column in kept if metrics[column["name"]].notna().any()]
    texts = {"owner": "Owner", "dataset": "Data set", "run_id": "Model"}
    return [*kept, *({"name": name, "label": label, "kind": "text"} for name, label in texts.items())]


def metric_columns(metrics: pd.DataFrame, facts: Facts) -> list[dict[str, Any]]:
    """Return the columns of the metrics: the study's own, then those of calibration."""
    names = list(dict.fromkeys([*facts["config"]["analysis"]["responses"], *OF_CALIBRATION]))
    labels = response_labels(metrics, names)
    return [
        {
            "name": name,
            "label": sentence_case(labels[name]),
            "kind": "metric",
            "pinned": name in facts["config"]["analysis"]["responses"],
            "lower_is_better": name in LOWER_IS_BETTER,
        }
        for name in names
    ]


def factor_columns(facts: Facts) -> list[dict[str, Any]]:
    """Return the columns of the factors."""
    return [
        {"name": name, "label": sentence_case(factor_label(name)), **kind_of_column(coding)}
        for name, coding in facts["factors"].items()
    ]


def kind_of_column(coding: Coding | Category) -> dict[str, Any]:
    """Return what the runs' table does with a factor's levels."""
    if isinstance(coding, Category):
        return {"kind": "text", "level": True}
    return {"kind": "factor", "scale": coding.scale}


def plain(value: Any) -> Any:
    """Return a table's value as JSON holds it: rounded, and null where it is missing."""
    if is_missing(value):
        return None
    return value if isinstance(value, str) else float(f"{float(value):.{DIGITS}g}")


def log_of(row: Mapping[str, Any], facts: Facts) -> str | None:
    """Return where a run's log lies, relative to the report, None where it is not there; of a found model its card."""
    if "owner" in row:
        source = "" if is_missing(row["source"]) else str(row["source"])
        return source if source.startswith("https://") else "#cards"
    path = f"{'../..' if facts['interim'] else '..'}/logs/finetune_run/{row['dataset']}/{row['run_id']}.log"
    return path if (Path(facts["folder"]) / path).exists() else None
