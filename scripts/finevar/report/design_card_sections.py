"""The design card's words and tables: cost, what a study can find, what more of it would bring, and the design."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finevar.analyses.effects import asked_of
from finevar.figures.detectable import alternative, detectable_chart
from finevar.figures.drawing import draw
from finevar.metrics import SMALLEST_SHARE_OF_BASELINE, SmallestEffect
from finevar.planning import power
from finevar.planning.alternatives import Variant
from finevar.planning.design_card import DesignFacts
from finevar.planning.forecast import about, room_sentence
from finevar.planning.power import Found
from finevar.report.cells import cell, columns, factor_titles, listed, table
from finevar.report.data_tables import seen_section
from finevar.report.design_comparison import comparison_tables
from finevar.report.parts import Section, Table, group
from finevar.report.separation import separation_sentence
from finevar.statistics.clustered import FEW_SEEDS
from finevar.statistics.covariance import errors_of
from finevar.statistics.detectable import MOST_SEEDS, POWER
from finevar.study.coding import changes_of
from finevar.study.design import continues_baseline
from finevar.study.seed_parts import is_crossed
from finevar.words.data import account_sentence
from finevar.words.design import condition_sentences
from finevar.words.formatting import (
    counted,
    factor_label,
    joined,
    response_label,
    sentence_case,
    term_label,
    unit_label,
)
from finevar.words.inspection import caution_sentences
from finevar.words.numbers import interval, level, number, percent, significant, whole_percent
from finevar.words.seeds import idle_sentences, seeds_text

PARTS = {
    "steps": "training steps",
    "starting": "starting processes, loading and saving weights",
    "evaluation": "evaluation",
    "snakemake": "Snakemake's own work",
}
SENTENCE_WORDS = "A hyperparameter's effect is taken to have a standard deviation between test sentences of"
PRIOR_WORDS = "as other studies found it (0.003 to 0.006 in accuracy and F1; in loss a rule of thumb)"

Sentences = list[str]


def runs_sentence(facts: DesignFacts) -> str:
    """Say what is planned, and how much of it is done."""
    sweep, forecast = facts.config["sweep"], facts.forecast
    points = facts.design.runs[list(facts.design.codings)].drop_duplicates()
    over = joined([factor_label(name) for name in facts.design.codings])
    done = forecast.runs - forecast.left
    return (
        f"{counted(forecast.runs, 'run')}: {counted(len(points), 'point')} "
        f"({sweep['design']['kind'].replace('_', ' ')} of {over}) at {seeds_text(sweep)} on "
        f"{joined(sweep['datasets'])}{f'; {done:,} of them are done' if done else ''}."
    )


def data_cautions(facts: DesignFacts) -> Sentences:
    """Return what the model does not see of the data, and which seeds draw nothing of it."""
    examples = {name: seen["parts"]["train"]["sentences"] for name, seen in facts.seen.items()}
    idle = idle_sentences(facts.config["sweep"], facts.design.runs, examples, keeps_head=keeps_head(facts))
    return [*(text for name, seen in facts.seen.items() for text in caution_sentences(name, seen)), *idle]


def keeps_head(facts: DesignFacts) -> bool:
    """Say whether every run goes on with the head of a baseline that is trained here, for the same classes."""
    classes = {tuple(sorted(seen["classes"])) for seen in facts.seen.values()}  # of all data that is trained on
    return continues_baseline(facts.config) and len(classes) == 1


def data_section(facts: DesignFacts) -> Section:
    """Return what the model sees of each data set."""
    return seen_section(facts.seen)


def cost_section(facts: DesignFacts) -> Section:
    """Return memory, disk and where the time goes, and what they were reckoned from."""
    forecast, pilot = facts.forecast, facts.pilot
    sentences = []
    if forecast.left:
        whole = forecast.total
        shares = [f"{whole_percent(getattr(whole, part) / whole.seconds)} is {words}" for part, words in PARTS.items()]
        sentences += [
            f"Of the runs' time, {joined(shares)}.",
            f"One after the other, the runs would take {about(whole.seconds)}. On a cluster, which may run more of "
            "them at once, the wait in its queue is not counted.",
            "A diverged run ends early, and one with frozen layers or LoRA beside others takes less time: both make "
            "the study shorter than given here.",
        ]
    sentences.append(
        f"Timed in {about(pilot['pilot_seconds'])} on {pilot['machine']['device']} in "
        f"{pilot['machine']['dtype_used']}, {pilot['concurrent']} at once. Whatever else ran then counts as the "
        "machine's own pace: time the pilot on an otherwise idle machine."
    )
    return {"finding": room_sentence(facts.forecast), "groups": [group("", sentences, folded=[pilot_table(pilot)])]}


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


def design_sentences(facts: DesignFacts) -> Sentences:
    """Say how well the design separates its terms."""
    design, found = facts.design, facts.diagnosis
    blocks = design.parameters - len(design.columns)
    names = joined([term_label(name) for name in found.aliased])
    apart = f"aliased: {names}" if names else "no term is aliased"
    counts = (
        f"{counted(design.parameters, 'parameter')} ({counted(len(design.columns), 'term')}, the intercept among them, "
        f"and {counted(blocks, 'block')} of seeds or data sets), rank {found.rank}, {apart}; "
        f"{counted(design.df_residual, 'residual degree')} of freedom."
    )
    return [counts, *condition_sentences(facts.config), separation_sentence(found)]


def design_section(facts: DesignFacts) -> Section:
    """Return the design's own quality."""
    finding, *rest = design_sentences(facts)
    rest.append(
        "A variance inflation factor (VIF) of 1 means that nothing of a term's effect is shared with the others."
    )
    rest += [f"Data set {name}. {account_sentence(data['account'])}" for name, data in facts.pilot["data"].items()]
    rows = [[term_label(name), number(value, 2)] for name, value in facts.diagnosis.vif.items()]
    return {
        "finding": finding,
        "groups": [
            group(
                "",
                rest,
                tables=comparison_tables(facts),
                folded=[table("Variance inflation of each term", ["Term", "VIF#"], rows)],
            )
        ],
    }


def headline(facts: DesignFacts) -> str:
    """Say whether the first metric's smallest effect of interest will be found, and if not, what to add."""
    response = next((name for name in facts.noise if facts.found(name)), None)
    if response is None:
        return power_sentences(facts)[0]
    worst, smallest = worst_found(facts, response), facts.smallest_effects[response].value
    found = (
        f"Changes in {response_label(response)} of {significant(worst.change)} or more over a hyperparameter's range "
        f"will be found with {percent(POWER)} power"
    )
    if smallest is None:
        return f"{found}; the smallest effect of interest is not known yet."
    of_interest = f"the smallest effect of interest, {significant(smallest)}"
    if worst.change <= smallest:
        return f"{found}: no more than {of_interest}, so that the design is large enough."
    return f"{found}. For {of_interest}, {ways(worst)}."


def power_figures(facts: DesignFacts) -> list[dict[str, str]]:
    """Return for each metric of known noise a drawing of what is found, and the words that stand in its place."""
    figures = []
    for response in facts.noise:
        if changes := {each.factor: each.change for each in facts.found(response)}:
            known = (response, changes, facts.smallest_effects[response].value)
            figures.append({"svg": draw(detectable_chart(*known)).svg, "alternative": alternative(*known)})
    return figures


def worst_found(facts: DesignFacts, response: str) -> Found:
    """Return what is found of the factor that is hardest to find."""
    return max(facts.found(response), key=lambda each: each.change)


def power_sentences(facts: DesignFacts) -> Sentences:
    """Say what can be found in each response, or why nothing can."""
    if facts.gate:
        return [f"As planned, the analysis would stop: {facts.gate}"]
    return [power_sentence(facts, response) for response in facts.noise]


def power_sentence(facts: DesignFacts, response: str) -> str:
    """Say what can be found in a response, whether that is enough, and what would be."""
    label = response_label(response)
    if not facts.found(response):
        return f"{sentence_case(label)}: its noise is not known beforehand, so neither is what can be found in it."
    worst = worst_found(facts, response)
    return (
        f"{sentence_case(label)}: with {percent(POWER)} power the study finds a change of "
        f"{significant(worst.change)} over a factor's range; {enough(worst, facts.smallest_effects[response])}."
    )


def enough(found: Found, smallest: SmallestEffect) -> str:
    """Say how a change that is found compares with the smallest effect of interest, and what limits it."""
    if smallest.value is None:
        share = percent(SMALLEST_SHARE_OF_BASELINE)
        return f"the smallest effect of interest is {share} of the baseline's, not known yet"
    source = " (default; set your own)" if smallest.is_default else ""
    of_interest = f"the smallest effect of interest is {significant(smallest.value)}{source}"
    if found.change <= smallest.value:
        return f"{of_interest}, so that is enough"
    limit = "seeds" if found.seed_share > 0.5 else "test sentences"
    return (
        f"{of_interest}, so one of that size may well stay undecided. Most of the error is from {limit}: {ways(found)}"
    )


def ways(found: Found) -> str:
    """Say what would find the smallest effect of interest."""
    ways = [f"{found.seeds} seeds"] if found.seeds else []
    ways += [f"{found.sentences:,} sentences"] if found.sentences else []
    if not ways and found.both:
        ways = ["{:,} seeds with {:,} sentences".format(*found.both)]
    return f"{' or '.join(ways)} would do" if ways else f"not even {MOST_SEEDS} seeds would do"


def sentence_sds(facts: DesignFacts) -> dict[str, float]:
    """Return by response how much test sentences differ in what a factor changes, where that is known."""
    return {name: noise.sentence_sd for name, noise in facts.noise.items() if noise.sentence_sd is not None}


def noise_sentences(facts: DesignFacts) -> Sentences:
    """Say which noise the power rests on."""
    differ = [f"{significant(sd)} for {response_label(name)}" for name, sd in sentence_sds(facts).items()]
    measured = [f"{SENTENCE_WORDS} {joined(differ)}, as in the default study."] if differ else []
    measured += [
        f"{sentence_case(response_label(response))}: noise between seeds of {number(noise.sd)} "
        f"({percent(facts.confidence)} interval {interval(*noise.interval(facts.confidence))}, if it is normal), from "
        f"the study's own finished runs with {noise.df} degrees of freedom."
        for response, noise in facts.noise.items()
        if noise.df is not None
    ]
    prior = {response: noise.sd for response, noise in facts.noise.items() if noise.df is None}
    if not prior:
        return measured
    taken = joined([f"{number(sd)} for {response_label(name)}" for name, sd in prior.items() if sd is not None])
    rule = f"Noise between seeds is taken to be {taken}, {PRIOR_WORDS}. " if taken else ""
    return [*measured, f"{rule}Once {power.ENOUGH_DF} finished runs repeat a setting, the study's own noise is used."]


def power_section(facts: DesignFacts) -> Section:
    """Return what can be found in each response."""
    finding, *sentences = power_sentences(facts)
    if facts.gate:
        return {"finding": finding, "groups": []}
    tests = len(asked_of(facts.design.codings)) * len(facts.noise)
    stricter = number(power.strictness(facts.design.df_residual, 1 - facts.confidence, tests), 2)
    sentences += [
        *noise_sentences(facts),
        f"This is for one hyperparameter on one metric at {percent(1 - facts.confidence)}, for new seeds and new "
        f"sentences. The report adjusts for {tests} such questions: where nothing else moves, an effect has to be up "
        f"to {stricter} times as large.",
        *cautions(facts),
    ]
    tables = [found_table(facts, response) for response in facts.noise if facts.found(response)]
    return {"finding": finding, "groups": [group("", sentences, tables=tables[:1], folded=tables[1:])]}


def cautions(facts: DesignFacts) -> Sentences:
    """Say where the power is overstated, or a verdict cannot be had."""
    sentences = []
    count = errors_of(facts.design.runs).count
    if count is not None:
        each = len(facts.design.runs) / count
        sentences.append(
            f"The runs share {count} trajectories and are treated here as if their errors were independent. Where the "
            "errors of one trajectory are correlated, effects of everything but epochs must be larger, by up to "
            f"{number(each**0.5, 1)} times."
        )
    seeds, sweep = facts.design.seeds, facts.config["sweep"]
    if is_crossed(sweep):
        sentences.append(
            f"Noise is taken to come from the part of which there are fewest seeds, {seeds}, as runs that share it are "
            "not independent. Where other parts make it, smaller effects are found."
        )
    if seeds == 1:
        sentences.append("At one seed the study does not measure its noise, and the report cannot test lack of fit.")
    if seeds < FEW_SEEDS:
        sentences.append(f"The report calls nothing negligible with fewer than {FEW_SEEDS} seeds.")
    sentences.append("Where a seed changes what a factor does, effects have to be larger: only the runs will show it.")
    return sentences


def found_table(facts: DesignFacts, response: str) -> Table:
    """Return one row a factor: the smallest change found, in natural units and over the range, and what it takes."""
    bound = facts.smallest_effects[response].value
    shown = [
        ("Factor", lambda row: cell(factor_label(row["factor"]), note=unit_label(row["unit"]))),
        *columns(significant, slope="Natural units#", change="Over the range#"),
        ("Share of interest#", lambda row: "" if bound is None else whole_percent(row["change"] / bound)),
        *columns(whole_percent, seed_share="From seeds#"),
        *columns(needed, seeds="Seeds needed#", sentences="Sentences needed#"),
    ]
    caption = f"Smallest changes of {response_label(response)} found with {percent(POWER)} power"
    return listed(caption, map(vars, facts.found(response)), shown)


def needed(count: int | None) -> str:
    """Print how many of something find the smallest effect of interest, if any number does."""
    return "" if count is None else f"{count:,}"


def variant_name(variant: Variant, planned: Variant) -> str:
    """Say what is different in a variant."""
    if variant.factor:
        return f"one more level, {factor_label(variant.factor)} {level(variant.level)}"
    what = "combinations of seeds" if variant.are_crossed else "seeds"
    return f"{variant.seeds} {what}" if variant.seeds != planned.seeds else "as planned"


def more_sentences(facts: DesignFacts) -> Sentences:
    """Say what more seeds and more levels would add."""
    planned, *larger = facts.variants
    return [f"{sentence_case(variant_name(variant, planned))}: {bought(variant, planned)}." for variant in larger]


def bought(variant: Variant, planned: Variant) -> str:
    """Say what a variant costs and by how much it lowers what can be found."""
    cost = f"{variant.runs - planned.runs:,} more runs, {about(variant.seconds - planned.seconds)} more"
    if variant.slopes is None:
        return f"{cost}, and the analysis would stop"
    if planned.slopes is None:
        return f"{cost}, and the analysis would not stop"
    if not planned.slopes:
        return cost
    names = [variant.factor] if variant.factor else list(planned.slopes)
    change = max(variant.slopes[name] / planned.slopes[name] for name in names) - 1
    of_what = factor_label(variant.factor) if variant.factor else "every factor"
    smaller = f"{whole_percent(abs(change))} {'larger' if change > 0 else 'smaller'}"
    return f"{cost}, the smallest slope found of {of_what} {smaller}"


def more_section(facts: DesignFacts) -> Section:
    """Return what more seeds and levels would add."""
    seeds, *levels = more_sentences(facts)
    if not levels:
        levels = ["The settings are not a grid of levels: to extend the design, add settings or widen the levels."]
    first = next(iter(facts.noise))
    folded = [variants_table(facts, first)] if facts.found(first) else []
    levels.append("Only the new runs are trained; those that are done count as done.")
    return {"finding": seeds, "groups": [group("", levels, tables=folded)]}


def variants_table(facts: DesignFacts, response: str) -> Table:
    """Return one row a variant: runs, time, and the smallest slope found of each factor."""
    planned = facts.variants[0]
    names = list(changes_of(facts.design.codings))
    rows = [
        [
            sentence_case(variant_name(variant, planned)),
            f"{variant.runs:,}",
            about(variant.seconds),
            *("" if variant.slopes is None else significant(variant.slopes[name]) for name in names),
        ]
        for variant in facts.variants
    ]
    titles = ["Study", "Runs#", "Time from now#", *factor_titles(names).values()]
    caption = (
        f"Smallest slopes of {response_label(response)} found with {percent(POWER)} power, per doubling of a "
        "factor on a logarithmic scale, else per unit. In other metrics they change by the same shares."
    )
    return table(caption, titles, rows)
