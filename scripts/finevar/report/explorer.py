"""What the report's explorer knows: the fitted surfaces with their uncertainty, and every run, as one JSON document."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from finevar.analyses.fits import failed_settings
from finevar.analyses.recommended import levels_of, recommended_point
from finevar.metrics import LOWER_IS_BETTER, OF_CALIBRATION, RESPONSES
from finevar.study.coding import Coding, Codings, Term, term_name, terms
from finevar.tables import are_found
from finevar.words.formatting import factor_label, response_labels, sentence_case, settings_list
from finevar.words.numbers import is_missing

DIGITS = 6  # more than any view shows
ENDS = ["estimate", "ci_low", "ci_high", "simultaneous_low", "simultaneous_high"]

Tables = Mapping[str, pd.DataFrame]
Facts = Mapping[str, Any]


def explorer_data(tables: Tables, labels: Mapping[str, str], facts: Facts) -> str:
    """Return the explorer's data as JSON that may stand within a script element.

    labels: names in words of the responses that no gate stopped.
    """
    codings = facts["factors"]
    columns = terms(list(codings), facts["config"]["analysis"]["model"])
    metrics = tables["metrics"]
    shown = model_columns(metrics, facts) if are_found(metrics) else run_columns(metrics, facts)
    document = {
        "factors": [factor(name, coding) for name, coding in codings.items()],
        "terms": [[list(codings).index(name) for name in term] for term in columns],
        "baseline": {name: float(facts["config"]["baseline"]["settings"][name]) for name in codings},
        "recommended": levels_of(recommended_point(tables), metrics, codings) or None,
        "responses": [response(name, label, columns, tables, facts) for name, label in labels.items()],
        "pairs": pairs(tables, labels, codings),
        "tried": settings(metrics, codings),
        "failed": settings(failed_settings(metrics, codings), codings),
        "columns": shown,
        "runs": [[plain(row[column["name"]]) for column in shown] for row in metrics.to_dict("records")],
        "logs": [log_of(row, facts) for row in metrics.to_dict("records")],
    }
    return json.dumps(document, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def settings(rows: pd.DataFrame, codings: Codings) -> list[list[float]]:
    """Return the settings of rows, each once, as coded levels."""
    places = rows[list(codings)].drop_duplicates()
    coded = np.column_stack([coding.coded(places[name]) for name, coding in codings.items()])
    return [list(map(plain, place)) for place in coded]


def factor(name: str, coding: Coding) -> dict[str, Any]:
    """Return how a factor's slider works: coded from -1 to 1, labelled in natural units."""
    return {
        "name": name,
        "label": sentence_case(factor_label(name)),
        "levels": [float(level) for level in sorted(coding.levels)],
        "scale": coding.scale,
        "whole": all(float(level).is_integer() for level in coding.levels),
        "middle": coding.middle,
        "half_range": coding.half_range,
    }


def response(name: str, label: str, columns: list[Term], tables: Tables, facts: Facts) -> dict[str, Any]:
    """Return a response's surface: coefficients and their covariance in the terms' order, and the metric's bounds."""
    names = [term_name(term) for term in columns]
    rows = tables["coefficients"]
    rows = rows[(rows["response"] == name) & (rows["framework"] == "absolute") & (rows["units"] == "coded")]
    fitted = rows.set_index("term").loc[names]
    found = tables["covariances"]
    grid = found[found["response"] == name].pivot(index="term", columns="other", values="covariance").loc[names, names]
    fit = tables["fits"].query("response == @name and framework == 'absolute'").iloc[0]
    confidence = facts["config"]["analysis"]["confidence"]
    return {
        "name": name,
        "label": label,
        "lower_is_better": name in LOWER_IS_BETTER,
        "bounds": [end if math.isfinite(end) else None for end in RESPONSES[name].bounds],
        "params": fitted["estimate"].tolist(),
        "cov": grid.to_numpy().tolist(),
        "quantile": float(stats.t.ppf((1 + confidence) / 2, fitted["df"].min())),  # so that no interval is too short
        "baseline": plain(fit["baseline_value"]),
    }


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


def run_columns(metrics: pd.DataFrame, facts: Facts) -> list[dict[str, Any]]:
    """Return the columns of the runs' table: metrics first, those that were fitted pinned, then levels, seed, name."""
    columns = metric_columns(metrics, facts) + factor_columns(facts)
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
        {"name": name, "label": sentence_case(factor_label(name)), "kind": "factor", "scale": coding.scale}
        for name, coding in facts["factors"].items()
    ]


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
