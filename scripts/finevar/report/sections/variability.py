"""The report's section on where the variance between runs comes from: words and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from finevar.figures.variability import source_label
from finevar.report.cells import FACTOR, cell, columns, crossed, listed, metric_column, metric_titles
from finevar.report.parts import STOPPED, Cell, Labels, Row, Section, Table, Tables, group, rows_of
from finevar.words.formatting import counted, factor_label, joined, sentence_case, together
from finevar.words.numbers import NOTHING, is_missing, number, percent, significant, whole_percent

PART, PLACE, TITLE = "details", 65, "Where the variance comes from"
MOST_NAMED = 3  # sources in a sentence
WORTH_NAMING = 0.05  # least share of a source in a sentence
REPEATS = (
    "Repeats are no source here: the same settings and seed on the same machine and software give the same model, so a "
    "study trains them once."
)
SEEDS_MEANT = "Shares are about the study's own seeds; what other seeds would do is given as a standard deviation."
NOISE_MEANT = (
    "Intervals take noise for normal and equally large at all settings. Where its standard deviation grew sixfold "
    "along a factor, they held the truth in 90 to 98% of simulated studies, that of "
    f"{source_label('seed:point')} in 85%."
)


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return where the variance of each response comes from, and what seeds and sentences do."""
    ledger = tables["variability"]
    names = {name: label for name, label in labels.items() if name in set(ledger["response"])}
    if not names:
        return {"finding": STOPPED, "groups": []}
    found = {name: rows_of(ledger, response=name) for name in names}
    exact_limits = (ledger["ci_low"].notna() & (ledger["method"] == "grid")).any()
    sources = group(
        "Sources of variance",
        [*ledger_sentences(found, names), NOISE_MEANT if exact_limits else ""],
        figures=["variability"],
        tables=[share_table(found, names, confidence)],
        folded=[variance_table(found, names, confidence)],
    )
    others = group("Other seeds, other test sentences", [*shift_sentences(found, names, confidence), REPEATS])
    return {
        "finding": " ".join(largest_sentence(found[name], label, confidence) for name, label in names.items()),
        "groups": [sources, others],
    }


# Sentences ------------------------------------------------------------------------------------------------------------


def largest_sentence(rows: Sequence[Row], label: str, confidence: float) -> str:
    """Say which sources made most of the variance of a response, with their intervals."""
    shares = sorted((row for row in rows if not is_missing(row["share"])), key=lambda row: -row["share"])
    shown = [row for row in shares[:MOST_NAMED] if row["share"] >= WORTH_NAMING]
    parts = [f"{source_label(row['component'])} {whole_percent(row['share'])}{reach(row)}" for row in shown]
    level = f", with {percent(confidence)} intervals" if any(reach(row) for row in shown) else ""
    how = " by the fitted surface" if rows[0]["method"] == "surface" else ""
    return f"Variance of {label} between runs{how}{level}: {joined(parts)}."


def reach(row: Row) -> str:
    """Print a share's interval in brackets."""
    return "" if is_missing(row["ci_low"]) else f" ({ends_text(row['ci_low'], row['ci_high'])})"


def ends_text(low: float, high: float) -> str:
    """Print an interval of shares."""
    return f"{number(100 * low, 0)} to {whole_percent(high)}"


def ledger_sentences(found: Mapping[str, Sequence[Row]], labels: Labels) -> list[str]:
    """Say how responses were divided, those alike in one sentence."""
    alike = together((division_text(found[name]), label) for name, label in labels.items())
    return [f"{sentence_case(joined(names))}: {text}." for text, names in alike.items()]


def division_text(rows: Sequence[Row]) -> str:
    """Say how a response was divided: by which method, over how many runs, with or without its noise."""
    by_source = {row["component"]: row for row in rows}
    sampling = by_source["test_set"]
    if rows[0]["method"] == "surface":
        how = (
            "the runs are no complete grid of independent runs with every seed at every setting, so shares are those "
            "of the fitted surface, with factors spread evenly over their ranges; "
            f"{source_label('seed:point')} then holds what the surface does not follow, too"
        )
    else:
        runs = 1 + sum(int(row["df"]) for row in rows if row["kind"] != "shift" and not is_missing(row["df"]))
        how = f"{counted(runs, 'run')} of a complete grid, divided exactly"
        if is_missing(by_source["seed"]["share"]):
            return f"{how}; one seed leaves noise in every source, and there are no intervals"
    if is_missing(sampling["share"]):
        return f"{how}; the sampling of test sentences is {sampling['reason']}, so it inflates every source"
    took = [
        f"{whole_percent(row['test_set_share'])} of what {source_label(row['component'])} seemed to make"
        for row in rows
        if row["kind"] in ("factor", "seed") and not is_missing(row["test_set_share"])
    ]
    return f"{how}. Sampling of test sentences was {joined(took)}; it is taken out of them and shown by itself"


def shift_sentences(found: Mapping[str, Sequence[Row]], labels: Labels, confidence: float) -> list[str]:
    """Say how far other seeds, and other test sentences, would move all runs of a data set together."""
    sentences = []
    for name, label in labels.items():
        shifts = {row["component"]: row for row in found[name] if row["kind"] == "shift"}
        parts = []
        if row := shifts.get("other_seeds"):
            ends = f"{significant(row['sd_low'])} to {significant(row['sd_high'])}"
            parts.append(
                f"from seed to seed the mean of all settings moves by a standard deviation of {significant(row['sd'])} "
                f"({percent(confidence)} interval {ends}, {counted(int(row['df']), 'degree')} of freedom)"
            )
        if row := shifts.get("other_sentences"):
            parts.append(
                "another draw of as many test sentences would move all runs together by a standard deviation of "
                f"{significant(row['sd'])}, which changes no comparison between runs"
            )
        if parts:
            sentences.append(f"{sentence_case(label)}: {'; '.join(parts)}.")
    seeds = any(row["component"] == "other_seeds" for rows in found.values() for row in rows)
    return [SEEDS_MEANT, *sentences] if seeds else sentences


def importance_sentence(rows: Sequence[Row], label: str, confidence: float) -> str:
    """Say which factor makes most of the variance between settings of a response."""
    known = [row for row in rows if not is_missing(row["shapley"])]
    if not known:
        return f"{sentence_case(label)}: {rows[0]['reason']}."
    best = max(known, key=lambda row: row["shapley"])
    rivals = [factor_label(row["factor"]) for row in known if row is not best and overlaps(row, best)]
    interval, open_end = "", ""
    if not is_missing(best["shapley_ci_low"]):
        ends = ends_text(best["shapley_ci_low"], best["shapley_ci_high"])
        interval = f" ({percent(confidence)} interval {ends})"
        open_end = f"; undecided whether that is the most, as the interval overlaps that of {joined(rivals, 'or')}"
    surface = " by the fitted surface" if best["method"] == "surface" else ""
    return (
        f"{sentence_case(label)}{surface}: {factor_label(best['factor'])} makes {whole_percent(best['shapley'])} of "
        f"the variance between settings{interval}{open_end if rivals else ''}."
    )


def overlaps(row: Row, best: Row) -> bool:
    """Say whether the intervals of two factors leave open which makes more; they do where there are none."""
    if is_missing(row["shapley_ci_high"]) or is_missing(best["shapley_ci_low"]):
        return True
    return bool(row["shapley_ci_high"] >= best["shapley_ci_low"])


# Tables ---------------------------------------------------------------------------------------------------------------


def share_table(found: Mapping[str, Sequence[Row]], labels: Labels, confidence: float) -> Table:
    """Return one row a source, one column a response: share of the variance, interval."""
    rows = pd.DataFrame(own_sources(found))
    down = {source: [sentence_case(source_label(source))] for source in rows["component"].unique()}
    caption = f"Share of the variance between runs{with_interval(found, confidence)}; {NOTHING} is not known."
    return crossed(caption, rows, ("component", "response"), ["Source"], down, metric_titles(labels), {"": share_cell})


def own_sources(found: Mapping[str, Sequence[Row]]) -> list[Row]:
    """Return the rows of sources of the study's own variance, not those of what others would do."""
    return [row for rows in found.values() for row in rows if row["kind"] != "shift"]


def share_cell(row: Row, name: str = "share", ends: str = "ci") -> Cell:
    """Return a cell with a share and, below it, its interval."""
    low, high = row[f"{ends}_low"], row[f"{ends}_high"]
    known = not (is_missing(row[name]) or is_missing(low))
    return cell(whole_percent(row[name]), note=ends_text(low, high) if known else "")


def with_interval(found: Mapping[str, Sequence[Row]], confidence: float, column: str = "ci_low") -> str:
    """Say in a caption that there are intervals, where there are."""
    known = any(not is_missing(row[column]) for rows in found.values() for row in rows)
    return f" with {percent(confidence)} interval" if known else ""


def variance_table(found: Mapping[str, Sequence[Row]], labels: Labels, confidence: float) -> Table:
    """Return every row of the ledger with its variance, standard deviation and reason."""
    shown = [*metric_column(labels), *columns(source_label, component="Source")]
    shown += [*columns(significant, sd="Standard deviation#"), ("Share#", share_cell)]
    shown += columns(whole_percent, test_set_share="Taken out#")
    shown += columns(lambda df: number(df, 0), df="Df#")
    shown += columns(lambda reason: "" if is_missing(reason) else sentence_case(reason), reason="Reason")
    caption = (
        f"Every source: standard deviation, share of the variance{with_interval(found, confidence)}, the part of it "
        "that test-set sampling had made and that was taken out, degrees of freedom."
    )
    return listed(caption, own_sources(found), shown)


def importance_table(
    worth: Mapping[str, Sequence[Row]], labels: Labels, factors: Sequence[str], confidence: float
) -> Table:
    """Return one row a response and factor: first-order, total and Shapley share of the variance between settings."""
    rows = [row for found in worth.values() for row in sorted(found, key=lambda row: factors.index(row["factor"]))]
    shapley = ("Shapley share#", partial(share_cell, name="shapley", ends="shapley_ci"))
    shares = columns(whole_percent, first_order="Alone#", total="With interactions#")
    caption = (
        "Share of the variance between settings: of a factor alone, with all interactions it takes part in, and with "
        f"an equal part of each (Shapley; sums to 100%){with_interval(worth, confidence, 'shapley_ci_low')}."
    )
    return listed(caption, rows, [*metric_column(labels), FACTOR, *shares, shapley])
