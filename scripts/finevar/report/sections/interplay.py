"""The report's section on interplay: which hyperparameters interact, and the slope of one over another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from finevar.report import analysis_tables
from finevar.report.parts import STOPPED, Labels, Section, Tables, chosen, group, rows_of, sentence
from finevar.study.coding import factor_of, level_of
from finevar.words import findings
from finevar.words.formatting import factor_label, joined, sentence_case

PART, PLACE, TITLE = "effects", 40, "Interplay"


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return for each pair of factors worth a sentence its sentences and its tables of simple slopes."""
    if not labels:
        return {"finding": STOPPED, "groups": []}
    pairs = findings.notable_pairs(tables["coefficients"], tables["johnson_neyman"])
    parts = [pair_group(tables, pair, labels, confidence, every=pair == pairs[0]) for pair in pairs]
    finding = findings.interplay_finding(tables["coefficients"], tables["johnson_neyman"], labels)
    named = named_groups(tables, labels, confidence)
    if not pairs:
        return {"finding": "" if named else finding, "groups": named}
    drawn = [group("", [], figures=["interplay"]), group("Which interact", [finding], fold=True)]
    return {"finding": "", "groups": [*drawn, *parts, *named]}


def named_groups(tables: Tables, labels: Labels, confidence: float) -> list[Any]:
    """Return a group for each interaction with levels that are names: its joint tests, and slopes within each level."""
    checks, slopes = tables["checks"], tables["slopes"].dropna(subset="moderator")
    simple = (slopes["units"] == "natural") & slopes["moderator"].str.contains("[", regex=False)
    joint = [name for name in checks["check"].unique() if name.startswith("joint[") and ":" in name]
    groups = []
    for check in joint:
        names = level_of(check).split(":")
        text = findings.joint_test_sentence(rows_of(checks, check=check), names, labels)
        own = slopes[simple & slopes["factor"].isin(names) & slopes["moderator"].map(factor_of).isin(names)]
        grids = [analysis_tables.slopes_by_level_table(own, labels, confidence)] if len(own) else []
        title = sentence_case(joined(list(map(factor_label, names))))
        groups.append(group(title, [text], tables=grids, fold=bool(groups)))
    return groups


def pair_group(tables: Tables, pair: findings.Pair, labels: Labels, confidence: float, *, every: bool) -> Any:
    """Return a pair's sentences, and its slopes at each level, both ways round."""
    slope, moderator = map(factor_label, pair)
    lines = tables["johnson_neyman"]
    ways = [way for way in (pair, pair[::-1]) if ((lines["factor"] == way[0]) & (lines["moderator"] == way[1])).any()]
    grids = [analysis_tables.simple_slopes_table(tables["slopes"], *way, labels, confidence) for way in ways]
    sentences = pair_sentences(tables, pair, labels, confidence, every=every)
    return group(f"Slope of {slope} over {moderator}", sentences, tables=grids, fold=True)


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
            row["verdict"] or "none",
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
