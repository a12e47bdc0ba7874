"""The report's first screen: which setting to use, what it gains over the baseline, how sure that is, what is open."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from finevar.analyses.baselines import have_own_baselines
from finevar.analyses.recommended import recommended_point
from finevar.reasons import FAILED
from finevar.report.parts import Labels, Row, Tables, chosen
from finevar.report.recommendation import advice
from finevar.report.sections import failures
from finevar.words.effects import deciding_sentence, effect_label
from finevar.words.formatting import counted, joined, sentence_case, settings_list, term_label, together
from finevar.words.numbers import estimated, is_missing, percent, span
from finevar.words.recommendation import caution_sentences, headline, next_sentences, sure_sentence

OPENINGS = {"B0": "Over the baseline{} as it is", "B1": "Over runs{} at the baseline's own settings"}

MOST_NAMED = 5  # settings

Line = dict[str, str]  # title and text


def summary(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> list[Line]:
    """Return the first screen's lines; where every response was stopped by a gate none, or that nothing was learnt.

    labels: names in words of the responses that no gate stopped.
    """
    found = advice(tables, labels, factors)
    if found and found.learnt_nothing:
        lines = {"Use": headline(found), "Check first": " ".join(caution_sentences(found))}
    elif not labels:
        return []
    else:
        lines = {
            "Use": headline(found).removeprefix("Use ") if found else "",
            "It gains": gains(tables, labels, confidence) if found else "",
            "How sure": sure_sentence(found, confidence) if found else "",
            "Check first": " ".join(caution_sentences(found)) if found else "",
            "Next": " ".join(next_sentences(found)) if found else "",
            "Undecided": undecided(tables, labels),
        }
    return [{"title": title, "text": sentence_case(text)} for title, text in lines.items() if text]


def gains(tables: Tables, labels: Labels, confidence: float) -> str:
    """Say what the recommended setting gains over the baselines in each metric, with an interval."""
    name, sentences = recommended_point(tables), []
    whose = " of its model" if have_own_baselines(tables["metrics"]) else ""
    for baseline, opening in OPENINGS.items():
        rows = chosen(tables["against_baseline"], baseline=baseline, point_id=name).dropna(subset="estimate")
        own = [gain_text(row, labels[row["response"]]) for row in rows.to_dict("records") if row["response"] in labels]
        sentences += [f"{opening.format(whose)}: {', '.join(own)}."] if own else []
    meaning = f"In parentheses: {percent(confidence)} intervals, which hold at all settings tried at once."
    return " ".join([*sentences, meaning]) if sentences else ""


def gain_text(row: Row, label: str) -> str:
    """Print a difference from a baseline with its interval; one that holds over all settings where there is one."""
    simultaneous = not (is_missing(row["simultaneous_low"]) or is_missing(row["simultaneous_high"]))
    ends = "simultaneous" if simultaneous else "ci"
    return f"{label} {estimated(row, ends=ends)} ({span(row, ends)})"


def undecided(tables: Tables, labels: Labels) -> str:
    """Name the effects that are undecided."""
    rows = chosen(tables["effects"], verdict="undecided")
    if rows.empty:
        return "None: every effect is shown, or shown to be negligible. Interactions are reported below."
    effects = rows.to_dict("records")
    alike = together((effect_label(row), labels.get(row["response"], row["response"])) for row in effects)
    parts = [f"{factor} on {joined(responses)}" for factor, responses in alike.items()]
    return f"{sentence_case('; '.join(parts))}. {deciding_sentence(effects)}".rstrip()


# Cautions -------------------------------------------------------------------------------------------------------------


def cautions(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> list[str]:
    """Say which runs failed and which are suspect, and what that changes; nothing where there are none."""
    return [text for text in (failed_runs(tables, factors, confidence), suspect_runs(tables, labels)) if text]


def failed_runs(tables: Tables, factors: Sequence[str], confidence: float) -> str:
    """Name the settings at which runs diverged or collapsed, with the rate and its interval."""
    rows, metrics = tables["failures"], tables["metrics"]
    if rows.empty or not failures.failed(rows.iloc[0]):
        return ""
    lost = metrics[metrics["status"].isin(FAILED)]
    parts = [
        f"{settings_list(part.iloc[0][list(factors)])} ({failures.failed_text(part['status'].value_counts())})"
        for _, part in lost.groupby(["dataset", "point_id"], sort=False)
    ]
    more = f" and {counted(len(parts) - MOST_NAMED, 'more setting')}" if len(parts) > MOST_NAMED else ""
    return f"{failures.finding_sentence(rows.iloc[0], confidence)} At {'; '.join(parts[:MOST_NAMED])}{more}."


def suspect_runs(tables: Tables, labels: Labels) -> str:
    """Name the runs that are far from what the others lead to expect, and the terms that change without them."""
    rows = tables["influence"]
    rows = rows[rows["suspect"].fillna(False).astype(bool) & rows["response"].isin(list(labels))]
    if rows.empty:
        return ""
    named = together((row["run_id"], labels[row["response"]]) for row in rows.to_dict("records"))
    parts = [f"{run} ({joined(on)})" for run, on in named.items()]
    they, it = ("They stay", "them") if len(parts) > 1 else ("It stays", "it")
    return (
        f"Suspect, far from what the other runs lead to expect: {joined(parts)}. {they} in all fits; without {it} "
        f"{changed_without(chosen(tables['sensitivity'], specification='without_suspects'), labels)}."
    )


def changed_without(rows: pd.DataFrame, labels: Labels) -> str:
    """Say which terms change without suspect runs; rows: of the table sensitivity on that."""
    known = rows[rows["agrees"].notna()]
    if known.empty:
        return "not every term can be estimated"
    changed = known[~known["agrees"].astype(bool)].to_dict("records")
    terms = together((labels[row["response"]], term_label(row["term"])) for row in changed)
    parts = [f"{joined(names)} on {label}" for label, names in terms.items()]
    return f"these terms change: {'; '.join(parts)}" if parts else "every term stands"
