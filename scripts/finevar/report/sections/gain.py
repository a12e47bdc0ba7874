"""The report's section on the recommended setting's gain: how much of it each hyperparameter brings."""

from __future__ import annotations

from collections.abc import Sequence

from finevar.analyses.gain import moved
from finevar.analyses.recommended import recommended_point
from finevar.report.cells import columns, level_or_dash, listed, metric_column, ranged
from finevar.report.parts import Labels, Row, Section, Table, Tables, group, rows_of
from finevar.study.kinds import LISTED, TRAINED
from finevar.words.formatting import factor_label, joined, sentence_case
from finevar.words.numbers import is_missing, number, percent, span

PART, PLACE, TITLE = "effects", 50, "What brings the gain"
STUDIES = (TRAINED, LISTED)
NOTHING_TO_DIVIDE = "Nothing is recommended, so that there is no gain to divide."
NO_START = "The baseline has no settings, so that there is no gain to divide."
NOTHING_NEW = "The recommended setting is the baseline's own, so that there is no gain to divide."


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return what the recommended setting gains over the baseline's own settings, divided among the factors."""
    shares = tables["gain_shares"]
    whole = {name: row for name in labels for row in rows_of(shares, response=name) if row["factor"] == ""}
    known = {name: row for name, row in whole.items() if is_missing(row["reason"])}
    if not whole:
        return {"finding": NO_START if recommended_point(tables) else NOTHING_TO_DIVIDE, "groups": []}
    if not known:
        reasons = dict.fromkeys(str(row["reason"]) for row in whole.values())
        return {"finding": f"The gain is not divided: {'; '.join(reasons)}.", "groups": []}
    rows = shares[moved(shares) & shares["response"].isin(list(known))].to_dict("records")
    if len(rows) == len(known):
        return {"finding": NOTHING_NEW, "groups": []}
    gains = [f"{labels[name]} {number(row['estimate'], 3, sign=True)} ({span(row)})" for name, row in known.items()]
    finding = (
        f"From the baseline's own settings to the recommended one the fitted surfaces predict: {', '.join(gains)}; in "
        f"parentheses {percent(confidence)} intervals."
    )
    missed = [labels[name] for name, row in known.items() if row["missed"]]
    words = [missed_sentence(missed), measured_sentence(known, labels)]
    table = shares_table(rows, labels, confidence)
    return {"finding": finding, "groups": [group("", words, figures=["gain"], folded=[table])]}


def missed_sentence(missed: Sequence[str]) -> str:
    """Say on which metrics the surface, and so its division, is only roughly right."""
    return f"The surface misses settings' means on {joined(missed)}, so take its shares as rough." if missed else ""


def measured_sentence(known: dict[str, Row], labels: Labels) -> str:
    """Say by how much the measured means of the two settings differ, where both were tried."""
    parts = [
        f"{labels[name]} {number(row['measured'], 3, sign=True)}"
        for name, row in known.items()
        if not is_missing(row["measured"])
    ]
    return f"Measured, the two settings' means differ by {', '.join(parts)}." if parts else ""


def shares_table(rows: Sequence[Row], labels: Labels, confidence: float) -> Table:
    """Return a row a metric and factor that changes, the whole gain first."""
    shown = [
        *metric_column(labels),
        ("Hyperparameter", lambda row: sentence_case(factor_label(row["factor"])) if row["factor"] else "All together"),
        *columns(level_or_dash, from_level="From#", to_level="To#"),
        ("Share#", ranged),
        ("At once#", lambda row: span(row, "simultaneous")),
    ]
    caption = (
        f"Shares of the predicted gain, with {percent(confidence)} intervals alone and for all of a metric at once."
    )
    return listed(caption, rows, shown)
