"""The report's section on runs against the frozen baseline, sentence by sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.analyses.paired import COMPARED
from finevar.metrics import LOWER_IS_BETTER
from finevar.report.groups import group
from finevar.report.tables import Table, cell, factor_columns, ranged, table
from finevar.words.formatting import (
    counted,
    is_missing,
    joined,
    level,
    number,
    p_text,
    percent,
    sentence_case,
    settings_text,
)

NOTHING_PAIRED = "No run has finished with predictions, so none can be set beside the baseline."
MOST_ROWS = 200  # of a printed table

Tables = Mapping[str, pd.DataFrame]
Row = Mapping[str, Any]
Section = dict[str, Any]


def section(tables: Tables, labels: Mapping[str, str], factors: Sequence[str], confidence: float) -> Section:
    """Return who beats the baseline: by sentences, over all points at once, and again with another seed.

    tables: metrics, paired, paired_points and against_baseline.
    """
    if tables["paired"].empty:
        return {"finding": NOTHING_PAIRED, "groups": []}
    levels = tables["metrics"].drop_duplicates("point_id").set_index("point_id")[list(factors)]
    groups = [runs_group(tables["paired"], levels, confidence), points_group(tables, levels, confidence)]
    surfaces = surface_sentences(tables["against_baseline"], labels, confidence)
    if surfaces:
        groups.append(group("By the fitted surfaces", surfaces))
    return {"finding": runs_sentence(tables["paired"], confidence), "groups": groups}


# Runs -----------------------------------------------------------------------------------------------------------------


def runs_sentence(paired: pd.DataFrame, confidence: float) -> str:
    """Count the runs that are right on more sentences than the baseline, and on fewer."""
    told = paired["p_adjusted"] < 1 - confidence
    net = paired["gained"] - paired["lost"]
    better, worse = int((told & (net > 0)).sum()), int((told & (net < 0)).sum())
    return (
        f"Of {counted(len(paired), 'finished run')}, {better:,} {are(better)} right on more sentences than the frozen "
        f"baseline (B0), {worse:,} on fewer, and {len(paired) - better - worse:,} are not told from it (exact McNemar "
        f"tests at {percent(1 - confidence)}, adjusted for {paired['family'].iloc[0]})."
    )


def are(count: int) -> str:
    """Return the verb that goes with a count."""
    return "is" if count == 1 else "are"


def runs_group(paired: pd.DataFrame, levels: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Return what the runs that gain most and least gained and lost."""
    net = (paired["gained"] - paired["lost"]) / paired["sentences"]
    ends = dict.fromkeys([net.idxmax(), net.idxmin()])
    told = [net_sentence(paired.loc[at], levels) for at in ends]
    shown = paired.loc[net.sort_values(ascending=False, kind="stable").index]
    return group("Sentences gained and lost", told, folded=[runs_table(shown, levels)])


def net_sentence(row: Row, levels: pd.DataFrame) -> str:
    """Say what one run gained and lost."""
    place = settings_text(levels.loc[row["point_id"]])
    return (
        f"With {place} (seed {row['seed']}, {row['dataset']}): of {row['sentences']:,} sentences, {row['gained']:,} "
        f"are right that the baseline had wrong and {row['lost']:,} wrong that it had right, a net "
        f"{number(row['gained'] - row['lost'], 0, sign=True)} (adjusted p {p_text(row['p_adjusted'])})."
    )


def runs_table(paired: pd.DataFrame, levels: pd.DataFrame) -> Table:
    """Return the runs from the largest net gain to the largest net loss; of very many runs, both ends."""
    shown = paired
    if len(paired) > MOST_ROWS:
        shown = pd.concat([paired.head(MOST_ROWS // 2), paired.tail(MOST_ROWS // 2)])
    rows = [
        [
            row["dataset"],
            *(level(value) for value in levels.loc[row["point_id"]]),
            f"{row['seed']}",
            f"{row['gained']:,}",
            f"{row['lost']:,}",
            number(row["gained"] - row["lost"], 0, sign=True),
            p_text(row["p_value"]),
            p_text(row["p_adjusted"]),
        ]
        for row in shown.to_dict("records")
    ]
    some = "" if len(shown) == len(paired) else f", the {len(shown)} most extreme of {len(paired):,}"
    columns = ["Data set", *factor_titles(levels), "Seed#", "Gained#", "Lost#", "Net#", "p#", "Adjusted p#"]
    return table(f"Sentences gained and lost against the frozen baseline, a row a run{some}.", columns, rows)


def factor_titles(levels: pd.DataFrame) -> list[str]:
    """Return the titles of the factors' columns."""
    return factor_columns(levels.columns)


# Points ---------------------------------------------------------------------------------------------------------------


def points_group(tables: Tables, levels: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Return which points beat the baseline on such sentences, and how surely a run of another seed would."""
    points, told, folded = tables["paired_points"], [], []
    for response in COMPARED:
        rows = points[points["response"] == response]
        told += [bands_sentence(rows, response, confidence), chances_sentence(rows, response, levels, confidence)]
        folded.append(points_table(rows, response, levels, confidence))
    told.append(
        "The intervals of the differences are about these trained models on other such sentences; the probability is "
        "about a model of another seed on these sentences, whose noise is taken to be normal and, unless it is shown "
        "to differ, the same at all points."
    )
    return group("Tried points", told, folded=folded)


def bands_sentence(rows: pd.DataFrame, response: str, confidence: float) -> str:
    """Count the points that are better and worse than the baseline, each alone and all at once."""
    known = rows.dropna(subset="simultaneous_low")
    where = counted(len(known), "point") if rows["dataset"].nunique() == 1 else f"{len(known):,} points and data sets"
    if known.empty:
        return f"Mean {response} over seeds minus that of the baseline has no interval: {rows['reason'].iloc[0]}."
    alone, at_once = (sides(known, kind, response) for kind in ("ci", "simultaneous"))
    seeds = joined([str(count) for count in sorted(set(known["seeds"]))], "or")
    return (
        f"Mean {response} over {seeds} seeds, minus that of the baseline on the same sentences: of {where}, "
        f"{at_once[0]:,} better and {at_once[1]:,} worse by {percent(confidence)} intervals that hold for all of them "
        f"at once ({alone[0]:,} and {alone[1]:,} by intervals for one alone)."
    )


def sides(rows: pd.DataFrame, kind: str, response: str) -> tuple[int, int]:
    """Return how many intervals lie on the better and on the worse side of zero."""
    above, below = int((rows[f"{kind}_low"] > 0).sum()), int((rows[f"{kind}_high"] < 0).sum())
    return (below, above) if response in LOWER_IS_BETTER else (above, below)


def chances_sentence(rows: pd.DataFrame, response: str, levels: pd.DataFrame, confidence: float) -> str:
    """Say at how many points another run would beat the baseline for sure, and where that is least likely."""
    known = rows.dropna(subset="probability")
    if known.empty:
        return f"How surely another run would beat the baseline in {response} is not told: {rows['reason'].iloc[0]}"
    sure = int((known["probability_low"] >= confidence).sum())
    least = known.loc[known["probability_low"].idxmin()]
    return (
        f"At {sure:,} of {counted(len(known), 'point')} a run of another seed beats the baseline's {response} on these "
        f"sentences with a probability of {percent(confidence)} or more, by the lower end of its "
        f"{percent(confidence)} interval. It is lowest with {settings_text(levels.loc[least['point_id']])} on "
        f"{least['dataset']}: {chance(least['probability'])} ({chance(least['probability_low'])} to "
        f"{chance(least['probability_high'])})."
    )


def chance(value: float) -> str:
    """Print a probability, never as 0 or 1."""
    if is_missing(value):
        return number(value)
    return "< 0.001" if value < 0.001 else "> 0.999" if value > 0.999 else number(value, 3)


def points_table(rows: pd.DataFrame, response: str, levels: pd.DataFrame, confidence: float) -> Table:
    """Return the points with their differences and probabilities; of very many, the first."""
    printed = [
        [
            row["dataset"],
            *(level(value) for value in levels.loc[row["point_id"]]),
            ranged(row["estimate"], row["ci_low"], row["ci_high"]),
            ranged(row["estimate"], row["simultaneous_low"], row["simultaneous_high"]),
            probability_cell(row),
        ]
        for row in rows.head(MOST_ROWS).to_dict("records")
    ]
    some = "" if len(rows) <= MOST_ROWS else f", the first {MOST_ROWS} of {len(rows):,}"
    caption = (
        f"{sentence_case(response)} minus the frozen baseline's at each point{some}, with {percent(confidence)} "
        "interval for one point and for all at once, and the probability that a run of another seed beats the baseline."
    )
    columns = ["Data set", *factor_titles(levels), "Difference#", "All at once#", "Probability#"]
    return table(caption, columns, printed)


def probability_cell(row: Row) -> dict[str, Any]:
    """Return a probability with its interval, or the reason why there is none."""
    if is_missing(row["probability"]):
        return cell(number(None), note=row["reason"])
    return cell(
        chance(row["probability"]), note=f"{chance(row['probability_low'])} to {chance(row['probability_high'])}"
    )


# Surfaces -------------------------------------------------------------------------------------------------------------


def surface_sentences(against: pd.DataFrame, labels: Mapping[str, str], confidence: float) -> list[str]:
    """Count, by response and baseline, the points whose prediction differs from the baseline, all counted at once."""
    told = []
    for (response, name), rows in against.dropna(subset="simultaneous_low").groupby(
        ["response", "baseline"], sort=False
    ):
        if response in labels:
            better, worse = sides(rows, "simultaneous", response)
            told.append(
                f"{sentence_case(labels[response])} against {name}: {better:,} of {counted(len(rows), 'tried point')} "
                f"better and {worse:,} worse by {percent(confidence)} intervals of the prediction that hold for all "
                f"points at once and carry {name}'s own variance."
            )
    return told
