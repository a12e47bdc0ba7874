"""What the report's sections from interplay to sensitivity hold: words and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.planning.power import diagnose
from finevar.reasons import OK
from finevar.report import analysis_tables
from finevar.report.parts import Labels, Section, Tables, sentence
from finevar.report.separation import separation_sentence
from finevar.study.coding import Codings, design_matrix, terms
from finevar.words import caveats, comparisons, findings
from finevar.words.effects import population_sentence
from finevar.words.formatting import factor_label, sentence_case

STOPPED = "No result: every response was stopped by a gate."


def rows_of(table: pd.DataFrame, **values: Any) -> list[dict[str, Any]]:
    """Return a table's rows with these values, in order."""
    return chosen(table, **values).to_dict("records")


def chosen(table: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """Return the part of a table with these values."""
    for name, value in values.items():
        table = table[table[name] == value]
    return table


def interplay(tables: Tables, labels: Labels, confidence: float) -> Section:
    """Return for each pair of factors worth a sentence its sentences and its tables of simple slopes."""
    if not labels:
        return {"finding": STOPPED, "pairs": []}
    coefficients = tables["coefficients"]
    pairs = findings.notable_pairs(coefficients)
    parts = []
    for pair in pairs:
        slope, moderator = (factor_label(name) for name in pair)
        grids = [
            analysis_tables.simple_slopes_table(tables["slopes"], *way, labels, confidence)
            for way in (pair, pair[::-1])
        ]
        sentences = pair_sentences(tables, pair, labels, confidence, every=not parts)
        title = f"Slope of {slope} over {moderator}"
        parts.append({"title": title, "sentences": sentences, "tables": grids, "drawn": not parts})
    return {"finding": findings.interplay_finding(coefficients, labels), "pairs": parts}


def pair_sentences(
    tables: Tables, pair: findings.Pair, labels: Labels, confidence: float, *, every: bool
) -> list[Mapping[str, Any]]:
    """Return a sentence a response on a pair of factors; only where they interact unless all are asked for."""
    natural = findings.interactions(tables["coefficients"], "natural")
    rows = [(name, findings.pair_row(natural, name, pair)) for name in labels]
    return [
        sentence(
            f"{slope_line(tables, name, pair, labels[name], confidence)} "
            f"{findings.slope_change_sentence(row, pair[1], confidence)}",
            row["verdict"],
        )
        for name, row in rows
        if row and (every or row["verdict"] == "effect")
    ]


def slope_line(tables: Tables, response: str, pair: findings.Pair, label: str, confidence: float) -> str:
    """Return the sentence on one slope along one moderator."""
    who = {"response": response, "factor": pair[0], "moderator": pair[1]}
    simple = chosen(tables["slopes"], place="simple", units="natural", **who).sort_values("moderator_level")
    ranges = rows_of(tables["johnson_neyman"], **who)
    return findings.slope_line_sentence(simple.to_dict("records"), ranges, label, confidence)


def interplay_answer(tables: Tables, labels: Labels, confidence: float) -> list[str]:
    """Return for the report's answer the lines on epochs over batch size, where both are factors."""
    if findings.FIRST_PAIR not in findings.notable_pairs(tables["coefficients"])[:1]:
        return []
    return [slope_line(tables, name, findings.FIRST_PAIR, label, confidence) for name, label in labels.items()]


def slopes(tables: Tables, labels: Labels, confidence: float) -> Section:
    """Return slopes at the baseline, mid-range and on average, and where signs change."""
    if not labels:
        return {"finding": STOPPED, "sentences": [], "table": None}
    same = "The slopes at the baseline are the relative analysis: its first-order terms, with the same p-values."
    turns = findings.sign_changes_sentence(tables["johnson_neyman"], labels)
    return {
        "finding": findings.baseline_slopes_sentence(tables["slopes"], labels, 1 - confidence),
        "sentences": [text for text in (turns, same) if text],
        "table": analysis_tables.slopes_table(tables["slopes"], labels, confidence),
    }


def predicted_best(tables: Tables, labels: Labels) -> dict[str, dict[str, float]]:
    """Return each factor's level where a response is predicted best, by response."""
    places = tables["optimum_factors"]
    return {
        response: {row["factor"]: row["best"] for row in rows_of(places, response=response)}
        for response in labels
        if response in set(tables["predicted_best"]["response"])
    }


def optimum(tables: Tables, labels: Labels, confidence: float) -> Section:
    """Return for each response which setting is predicted best, by how much it may miss, and where the optimum is."""
    if not labels:
        return {"finding": STOPPED, "responses": []}
    levels = predicted_best(tables, labels)
    parts = [optimum_of(tables, name, levels[name], labels[name], confidence) for name in levels]
    population = population_sentence(tables["predicted_best"], tables["metrics"]["seed"].nunique())
    finding = f"{findings.predicted_best_sentence(levels, labels)} {population}".strip()
    return {"finding": finding, "responses": parts}


def optimum_of(tables: Tables, response: str, levels: Mapping[str, float], label: str, confidence: float) -> Section:
    """Return one response's sentences and tables."""
    (best,), (point,) = (rows_of(tables[name], response=response) for name in ("predicted_best", "optima"))
    places, axes, path = (chosen(tables[name], response=response) for name in ("optimum_factors", "canonical", "ridge"))
    grids = [analysis_tables.optimum_table(places, confidence)]
    grids += [analysis_tables.canonical_table(axes)] if len(axes) else []
    grids += [analysis_tables.ridge_table(path, label, confidence)] if len(path) else []
    sentences = [
        findings.best_sentence(best, levels, label, confidence),
        findings.regret_sentence(best, confidence),
        findings.stationary_sentence(point, places.to_dict("records"), label, confidence),
    ]
    return {"title": sentence_case(label), "sentences": sentences, "tables": grids}


def baselines(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return how the tried points compare with B0 and B1, and what matching by data set and seed gains."""
    if not labels:
        return {"against": [], "matching": [], "table": None, "tables": []}
    against, matched = tables["against_baseline"], tables["matched"]
    levels = tables["metrics"].drop_duplicates("point_id").set_index("point_id")[list(factors)]
    counts, matching, grids = [], [], []
    for response, label in labels.items():
        rows = chosen(against, response=response)
        parts = rows.groupby("baseline", sort=False)
        counts += [comparisons.against_baseline_sentence(part, label, confidence) for _, part in parts]
        matching.append(comparisons.matching_sentence(chosen(matched, response=response), label))
        if rows["estimate"].notna().any():
            grids.append(analysis_tables.against_baseline_table(rows, levels, label, confidence))
    counts.append(population_sentence(against, tables["metrics"]["seed"].nunique()))
    matching += comparisons.ancova_sentences(matched, labels, confidence)
    terms = analysis_tables.matched_terms_table(tables["coefficients"], labels, confidence)
    grids += [terms] if terms["rows"] else []
    spread = analysis_tables.matched_table(matched, labels)
    return {"against": counts, "matching": matching, "table": spread, "tables": grids}


def checks(tables: Tables, labels: Labels, factors: Codings, model: str, confidence: float) -> Section:
    """Return whether the fits may be believed: lack of fit first, then ladder, residuals and influential runs."""
    if not labels:
        return {"finding": STOPPED, "groups": [], "table": None, "tables": []}
    alpha = 1 - confidence
    by_check = {(row["response"], row["check"]): row for row in tables["checks"].to_dict("records")}
    found = [by_check[name, "lack_of_fit"] for name in labels]
    lack = caveats.lack_of_fit_sentences(found, labels, model=model, alpha=alpha)
    unseen = caveats.unseen_cliffs_sentence({name: tables["metrics"][name].nunique() for name in factors}, model)
    ladders = [(chosen(tables["ladder"], response=name), label) for name, label in labels.items()]
    runs = [(by_check[name, "largest_cook"], by_check[name, "largest_leverage"], labels[name]) for name in labels]
    groups = {
        "The model ladder": [caveats.ladder_sentence(rungs, label, alpha) for rungs, label in ladders],
        "Noise, shape and residuals": caveats.residual_sentences(tables["checks"], labels, alpha),
        "Separation of terms": [separation(tables["metrics"], factors, model)],
        "Influential runs": [caveats.influence_sentence(*found) for found in runs],
    }
    return {
        "finding": " ".join([*lack, unseen]).strip(),
        "groups": [{"title": title, "sentences": sentences} for title, sentences in groups.items()],
        "table": analysis_tables.ladder_table(tables["ladder"], labels),
        "tables": [
            analysis_tables.checks_table(tables["checks"], labels),
            analysis_tables.influence_table(tables["influence"], labels),
        ],
    }


def separation(metrics: pd.DataFrame, factors: Codings, model: str) -> str:
    """Say how well the runs that count separate the surface's terms."""
    done = metrics[metrics["status"] == OK]
    return separation_sentence(diagnose(*design_matrix(done, factors, terms(list(factors), model))))


def sensitivity(tables: Tables, labels: Labels, confidence: float) -> Section:
    """Return which terms change under other specifications, and all p-values."""
    if not labels:
        return {"finding": STOPPED, "sentences": [], "tables": []}
    rows = tables["sensitivity"]
    return {
        "finding": caveats.sensitivity_sentence(rows, labels, confidence),
        "sentences": caveats.untried_sentences(rows, labels),
        "tables": [
            analysis_tables.sensitivity_table(chosen(rows, response=name), label) for name, label in labels.items()
        ],
    }
