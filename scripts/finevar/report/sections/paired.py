"""The report's section on runs against the frozen baseline, sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from finevar.analyses.paired import COMPARED
from finevar.report.cells import ADJUSTED, DATASET, P_VALUE, cell, columns, level_columns, listed, ranged, whole
from finevar.report.parts import Cell, Column, Group, Labels, Row, Section, Table, Tables, chosen, group
from finevar.study.kinds import TRAINED
from finevar.words.comparisons import sides
from finevar.words.formatting import counted, joined, sentence_case, settings_text
from finevar.words.numbers import is_missing, number, p_text, percent

PART, PLACE, TITLE = "details", 82, "On the same sentences"
STUDIES = (TRAINED,)
NOTHING_PAIRED = "No run has finished with predictions, so none can be set beside the baseline."
MOST_ROWS = 200  # of a printed table


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return who beats the baseline: by sentences, over all points at once, and again with another seed.

    tables: metrics, paired, paired_points and against_baseline.
    """
    if tables["paired"].empty:
        return {"finding": NOTHING_PAIRED, "groups": []}
    levels = tables["metrics"].drop_duplicates("point_id").set_index("point_id")[list(factors)]
    groups = [runs_group(tables["paired"], levels), points_group(tables, levels, confidence)]
    if surfaces := surface_sentences(tables["against_baseline"], labels, confidence):
        groups.append(group("By the fitted surfaces", surfaces))
    return {"finding": runs_sentence(tables["paired"], confidence), "groups": groups}


def leveled(levels: pd.DataFrame) -> list[Column]:
    """Return the columns of a point's levels; levels: by point_id."""
    return level_columns(levels.columns, lambda row: levels.loc[row["point_id"]])


def surface_sentences(against: pd.DataFrame, labels: Labels, confidence: float) -> list[str]:
    """Count, by response and baseline, the points whose prediction differs from the baseline, all counted at once."""
    sentences = []
    known = against[against["response"].isin(list(labels))].dropna(subset="simultaneous_low")
    for (response, name), rows in known.groupby(["response", "baseline"], sort=False):
        better, worse = sides(rows, "simultaneous", response)
        sentences.append(
            f"{sentence_case(labels[response])} against {name}: {better:,} of {counted(len(rows), 'setting')} "
            f"better and {worse:,} worse by {percent(confidence)} intervals of the prediction that hold for all "
            f"settings at once and carry {name}'s own variance."
        )
    return sentences


# Runs -----------------------------------------------------------------------------------------------------------------


def runs_sentence(paired: pd.DataFrame, confidence: float) -> str:
    """Count the runs that are right on more sentences than the baseline, and on fewer."""
    shown = paired["p_adjusted"] < 1 - confidence
    net = paired["gained"] - paired["lost"]
    better, worse = int((shown & (net > 0)).sum()), int((shown & (net < 0)).sum())
    return (
        f"Of {counted(len(paired), 'finished run')}, {better:,} {'is' if better == 1 else 'are'} right on more "
        f"sentences than the frozen baseline (B0), {worse:,} on fewer, and {len(paired) - better - worse:,} are not "
        f"significantly different from it (exact McNemar tests at {percent(1 - confidence)}, adjusted for "
        f"{paired['family'].iloc[0]})."
    )


def runs_group(paired: pd.DataFrame, levels: pd.DataFrame) -> Group:
    """Return what the runs that gain most and least gained and lost."""
    net = (paired["gained"] - paired["lost"]) / paired["sentences"]
    sentences = [net_sentence(paired.loc[at], levels) for at in dict.fromkeys([net.idxmax(), net.idxmin()])]
    shown = paired.loc[net.sort_values(ascending=False, kind="stable").index]
    return group("Sentences gained and lost", sentences, folded=[runs_table(shown, levels)])


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
    some = "" if len(shown) == len(paired) else f", the {len(shown)} most extreme of {len(paired):,}"
    net = ("Net#", lambda row: number(row["gained"] - row["lost"], 0, sign=True))
    columned = [DATASET, *leveled(levels), *columns(str, seed="Seed#"), *columns(whole, gained="Gained#", lost="Lost#")]
    caption = f"Sentences gained and lost against the frozen baseline, a row a run{some}."
    return listed(caption, shown, [*columned, net, P_VALUE, ADJUSTED])


# Points ---------------------------------------------------------------------------------------------------------------


def points_group(tables: Tables, levels: pd.DataFrame, confidence: float) -> Group:
    """Return which points beat the baseline on such sentences, and how surely a run of another seed would."""
    sentences, folded = [], []
    for response, rows in ((name, chosen(tables["paired_points"], response=name)) for name in COMPARED):
        sentences += [bands_sentence(rows, response, confidence), chances_sentence(rows, response, levels, confidence)]
        folded.append(points_table(rows, response, levels, confidence))
    sentences.append(
        "The intervals of the differences are about these trained models on other such sentences; the probability is "
        "about a model of another seed on these sentences, whose noise is taken to be normal and, unless it is shown "
        "to differ, the same at all settings."
    )
    return group("Settings tried", sentences, folded=folded)


def bands_sentence(rows: pd.DataFrame, response: str, confidence: float) -> str:
    """Count the points that are better and worse than the baseline, each alone and all at once."""
    known = rows.dropna(subset="simultaneous_low")
    where = (
        counted(len(known), "setting") if rows["dataset"].nunique() == 1 else f"{len(known):,} settings and data sets"
    )
    if known.empty:
        return f"Mean {response} over seeds minus that of the baseline has no interval: {rows['reason'].iloc[0]}."
    alone, at_once = (sides(known, kind, response) for kind in ("ci", "simultaneous"))
    seeds = joined([str(count) for count in sorted(set(known["seeds"]))], "or")
    return (
        f"Mean {response} over {seeds} seeds, minus that of the baseline on the same sentences: of {where}, "
        f"{at_once[0]:,} better and {at_once[1]:,} worse by {percent(confidence)} intervals that hold for all of them "
        f"at once ({alone[0]:,} and {alone[1]:,} by intervals for one alone)."
    )


def chances_sentence(rows: pd.DataFrame, response: str, levels: pd.DataFrame, confidence: float) -> str:
    """Say at how many points another run would beat the baseline for sure, and where that is least likely."""
    known = rows.dropna(subset="probability")
    if known.empty:
        return f"How surely another run would beat the baseline in {response} is not known: {rows['reason'].iloc[0]}"
    sure = int((known["probability_low"] >= confidence).sum())
    least = known.loc[known["probability_low"].idxmin()]
    return (
        f"At {sure:,} of {counted(len(known), 'setting')} a run of another seed beats the baseline's {response} on "
        f"these sentences with a probability of {percent(confidence)} or more, by the lower end of its "
        f"{percent(confidence)} interval. It is lowest with {settings_text(levels.loc[least['point_id']])} on "
        f"{least['dataset']}: {chance(least['probability'])} ({chance_span(least)})."
    )


def chance(value: float) -> str:
    """Print a probability, never as 0 or 1."""
    if is_missing(value):
        return number(value)
    return "< 0.001" if value < 0.001 else "> 0.999" if value > 0.999 else number(value, 3)


def chance_span(row: Row) -> str:
    """Print the interval of a probability."""
    return f"{chance(row['probability_low'])} to {chance(row['probability_high'])}"


def points_table(rows: pd.DataFrame, response: str, levels: pd.DataFrame, confidence: float) -> Table:
    """Return the points with their differences and probabilities; of very many, the first."""

    def probability(row: Row) -> Cell:
        missing = is_missing(row["probability"])
        return cell(chance(row["probability"]), note=row["reason"] if missing else chance_span(row))

    some = "" if len(rows) <= MOST_ROWS else f", the first {MOST_ROWS} of {len(rows):,}"
    caption = (
        f"{sentence_case(response)} minus the frozen baseline's at each setting{some}, with {percent(confidence)} "
        "interval for one setting and for all at once, and the probability that a run of another seed beats "
        "the baseline."
    )
    shown = [DATASET, *leveled(levels), ("Difference#", ranged), ("All at once#", partial(ranged, ends="simultaneous"))]
    return listed(caption, rows.head(MOST_ROWS), [*shown, ("Probability#", probability)])
