"""The design card's words and tables on cost and on the design itself, and what its sections are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finevar.planning.design_card import DesignFacts
from finevar.report.cells import table
from finevar.report.groups import group
from finevar.report.kinds import Group, Section, Table
from finevar.words.formatting import counted, factor_label, joined, term_label
from finevar.words.numbers import duration, number, significant

PARTS = {
    "steps": "training steps",
    "starting": "starting processes, loading and saving weights",
    "evaluation": "evaluation",
    "snakemake": "Snakemake's own work",
}
Sentences = list[str]


def section(finding: str, *groups: Group) -> Section:
    """Return a section of the page."""
    return {"finding": finding, "groups": list(groups)}


# Cost -----------------------------------------------------------------------------------------------------------------


def runs_sentence(facts: DesignFacts) -> str:
    """Say what is planned, and how much of it is done."""
    sweep, forecast = facts.config["sweep"], facts.forecast
    points = facts.design.runs[list(facts.design.codings)].drop_duplicates()
    over = joined([factor_label(name) for name in facts.design.codings])
    done = forecast.runs - forecast.left
    return (
        f"{counted(forecast.runs, 'run')}: {counted(len(points), 'point')} "
        f"({sweep['design']['kind'].replace('_', ' ')} of {over}) at {counted(len(sweep['seeds']), 'seed')} on "
        f"{joined(sweep['datasets'])}{f'; {done:,} of them are done' if done else ''}."
    )


def time_sentence(facts: DesignFacts) -> str:
    """Say how long the study takes from here."""
    forecast = facts.forecast
    if not forecast.left:
        return f"All runs are done; analysis and report take about {about(forecast.seconds)}."
    those = f"The {forecast.left:,} runs {'that are left ' if forecast.left < forecast.runs else ''}take"
    runs = "The run that is left takes" if forecast.left == 1 else those
    at_once = f", {forecast.concurrent} at a time" if forecast.concurrent > 1 else ""
    return (
        f"{runs} about {about(forecast.seconds)} on the machine of the pilot{at_once}, from the trained baseline to "
        "the report."
    )


def room_sentence(facts: DesignFacts) -> str:
    """Say how much memory and disk the study takes from here."""
    forecast = facts.forecast
    if not forecast.left:
        return "Analysis and report take less than 1 GB of memory and a few MB of disk."
    brief = f", and for a while up to {size_text(forecast.transient)} more" if forecast.transient else ""
    memory, disk = size_text(forecast.memory_mb * 2**20), size_text(forecast.disk)
    return f"They take about {memory} of memory at most, {disk} of disk{brief}."


def about(seconds: float) -> str:
    """Print a forecast duration, which two digits suffice for."""
    return duration(float(f"{seconds:.2g}")).replace(".0 ", " ")


def size_text(size: float) -> str:
    """Print bytes as MB or GB."""
    value, unit = (size / 1e9, "GB") if size >= 1e9 else (size / 1e6, "MB")
    return f"{value:,.{0 if value >= 10 else 1}f} {unit}"


def cost_section(facts: DesignFacts) -> Section:
    """Return memory, disk and where the time goes, and what they were reckoned from."""
    forecast, pilot = facts.forecast, facts.pilot
    sentences = []
    if forecast.left:
        whole = forecast.total
        shares = [f"{100 * getattr(whole, part) / whole.seconds:.0f} % is {words}" for part, words in PARTS.items()]
        sentences += [
            f"Of the runs' time, {joined(shares)}.",
            f"One after the other, the runs would take {about(whole.seconds)}. On a cluster, which may run more of "
            "them at once, the wait in its queue is not counted.",
            "A diverged run ends early, and one with frozen layers takes less time: both make the study shorter than "
            "given here.",
        ]
    sentences.append(
        f"Timed in {about(pilot['pilot_seconds'])} on {pilot['machine']['device']} in "
        f"{pilot['machine']['dtype_used']}, {pilot['concurrent']} at once. Whatever else ran then counts as the "
        "machine's own pace: time the pilot on an otherwise idle machine."
    )
    return section(room_sentence(facts), group("", sentences, folded=[pilot_table(pilot)]))


def pilot_table(pilot: Mapping[str, Any]) -> Table:
    """Return what the pilot timed."""
    rows = [
        [
            f"a training step of {row['batch_size']} sentences",
            significant(row["seconds"], 3),
            number(row["tokens"], 0),
            number(row["peak_memory_mb"] * 2**20 / 1e6, 0),
        ]
        for row in pilot["steps"]
    ]
    jobs = {"training": "the job of a training of one step", "evaluation": "the job of an evaluation"}
    rows += [[words, significant(pilot[name]["seconds"], 3), "", ""] for name, words in jobs.items()]
    rows.append(["Snakemake's own work for one job", significant(pilot["overhead_seconds"], 3), "", ""])
    return table("What the pilot timed", ["Part", "Seconds#", "Tokens#", "Memory, MB#"], rows)


# Design ---------------------------------------------------------------------------------------------------------------


def design_sentences(facts: DesignFacts) -> Sentences:
    """Say how well the design separates its terms."""
    design, found = facts.design, facts.diagnosis
    blocks = design.parameters - len(design.columns)
    largest = max(found.vif.values())
    names = joined([term_label(name) for name in found.aliased])
    apart = f"aliased: {names}" if names else "no term is aliased"
    sentences = [
        f"{counted(design.parameters, 'parameter')} ({counted(len(design.columns), 'term')}, the intercept among them, "
        f"and {counted(blocks, 'block')} of seeds or data sets), rank {found.rank}, {apart}; "
        f"{counted(design.df_residual, 'residual degree')} of freedom; largest VIF {number(largest, 2)}."
    ]
    if found.worst_pair:
        first, second, r = found.worst_pair
        sentences.append(
            f"The most correlated pair is {term_label(first)} with {term_label(second)}, r = {number(r, 2)}; the "
            f"condition number is {number(found.condition, 1)}."
        )
    return sentences


def design_section(facts: DesignFacts) -> Section:
    """Return the design's own quality."""
    finding, *rest = design_sentences(facts)
    rest.append(
        "A variance inflation factor (VIF) of 1 means that nothing of a term's effect is shared with the others."
    )
    rows = [[term_label(name), number(value, 2)] for name, value in facts.diagnosis.vif.items()]
    return section(finding, group("", rest, folded=[table("Variance inflation of each term", ["Term", "VIF#"], rows)]))
