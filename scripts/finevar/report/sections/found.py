"""What the report says of models that were found: their cards, the gates, pooled or apart, and the claims beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from finevar.found.beside import ABSENT
from finevar.found.gates import ALIASING, NOTED, OWNERS, PASSED, SET_ASIDE, STOPPED, largest_owner
from finevar.found.pooling import APART, COMPARED, ERRORS, POOLED, POOLS, ROBUST, SPECIFICATIONS
from finevar.metrics import ON_CARDS
from finevar.reasons import Stop, Undecided
from finevar.report.cells import (
    DATASET,
    P_VALUE,
    cell,
    columns,
    crossed,
    factor_titles,
    level_columns,
    listed,
    metric_titles,
    ranged,
    table,
)
from finevar.report.parts import Cell, Labels, Row, Section, Table, Tables, chosen, group, sentence
from finevar.report.sections.claims import found_text, mark
from finevar.report.tables import coded_table
from finevar.study.coding import factors_of
from finevar.words.formatting import (
    counted,
    factor_label,
    joined,
    response_label,
    sentence_case,
    settings_text,
    term_label,
)
from finevar.words.numbers import NOTHING, estimated, is_missing, level, number, p_equals, p_text, percent, span

MARKS = {PASSED: "negligible", NOTED: "undecided", SET_ASIDE: "undecided", STOPPED: "effect"}
LONGEST_NOTE = 120  # characters of a reason that stands in a cell
NO_EXPERIMENT = (
    "Nobody assigned these settings: each owner chose them for a data set and a purpose, so settings, data and owners "
    "go together, and only what differs within a data set can be separated."
)


def scope(tables: Tables) -> str:
    """Say what the answer rests on."""
    looked = int(tables["found_gates"]["cards"].max())
    return f"{models_compared(tables['metrics'])}, out of {counted(looked, 'model card')}."


def models_compared(runs: pd.DataFrame) -> str:
    """Say how many models are compared, whose they are and on how much data."""
    owners, data = runs["owner"].nunique(), runs["dataset"].nunique()
    return f"{counted(len(runs), 'model')} of {counted(owners, 'owner')} on {counted(data, 'data set')}"


def support(tables: Tables, confidence: float) -> dict[str, Any]:
    """Return which claims these cards can carry, and why they cannot carry the others."""
    rows = tables["claims"].to_dict("records")
    carried = sum(row["verdict"] in ("replicated", "contradicted") for row in rows)
    count = f"{carried or 'none'} of the {counted(len(rows), 'claim')}"
    return {
        "finding": f"These cards can carry {count} stated before the study." if rows else "",
        "sentences": [sentence(support_sentence(row, tables, confidence), mark(row)) for row in rows],
    }


def support_sentence(row: Row, tables: Tables, confidence: float) -> str:
    """Say what these cards make of a claim, or all that keeps them from making anything of it."""
    name = sentence_case(row["name"])
    if not is_missing(row["estimate"]):
        found = f"{row['verdict']}, {found_text(row, confidence)}"
        return f"{name}: {found}, if owners who chose alike are alike otherwise."
    # Where the cards' gates stop all, a claim's own reason repeats them, all at once.
    repeated = is_missing(row["reason"]) or row["reason_code"] == Stop.CARDS
    own = [] if repeated else [row["reason"].rstrip(".")]
    reasons = [*own, *obstacles(row, tables, 1 - confidence)] or ["there is no estimate"]
    return f"{name}: cannot be carried. {sentence_case('; '.join(reasons))}."


def obstacles(row: Row, tables: Tables, alpha: float) -> Iterator[str]:
    """Yield what stands between the cards and a claim: an aliased term, a factor that does not vary, one owner.

    Last, what a regression of the pooled cards takes for it where that is gone within data sets.
    """
    gates = {gate["gate"]: gate for gate in tables["found_gates"].to_dict("records")}
    names, aliasing = factors_of(row["term"]), gates[ALIASING]
    if row["term"] in aliasing["terms"].split():
        which = term_label(row["term"])
        yield f"among the {aliasing['cards']} complete cards {which} is an exact combination of other terms"
    everywhere = chosen(tables["pooling"], response=row["response"], errors=ROBUST)
    for factor in chosen(everywhere, pool=COMPARED, specification=APART).to_dict("records"):
        if factor["factor"] in names and not is_missing(factor["reason"]):
            which = factor_label(factor["factor"])
            yield f"among the {factor['cards']} cards compared, {which} cannot be separated: {factor['reason']}"
    if gates[OWNERS]["verdict"] == STOPPED:
        yield largest_owner(tables["metrics"])
    for pool in POOLS if len(names) == 1 else ():
        both = chosen(everywhere, pool=pool, factor=names[0]).set_index("specification")
        if len(both) and both["estimate"].notna().all():
            kind, words = pooled_or_apart(both, alpha)
            if kind == "confounded":
                yield f"over {POOLS[pool]} {words}"


def cards_section(tables: Tables, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was found, gate by gate, the factors, and the models compared."""
    gates = tables["found_gates"].to_dict("records")
    stopped = [gate for gate in gates if gate["verdict"] == STOPPED]
    finding = scope(tables)
    if stopped:
        finding += f" No p-value is given, for {joined([str(gate['gate']) for gate in stopped])}."
    models = models_table(tables["metrics"], list(facts["factors"]))
    factors, own = facts["factors"], facts["config"]["baseline"]["settings"]
    levels = {name: f"{level(min(one.levels))} to {level(max(one.levels))}" for name, one in factors.items()}
    grids = [
        gates_table(gates),
        coded_table("What is compared, as the cards state it.", "Range", levels, factors, own),
    ]
    return {"finding": finding, "groups": [group("Gates before any p-value", [], tables=grids, folded=[models])]}


def gates_table(gates: Sequence[Row]) -> Table:
    """Return one row a gate: what it found and what follows."""

    def flagged(gate: Row) -> str:
        if gate["gate"] == ALIASING:
            return counted(gate["flagged"], "term")
        return f"{gate['flagged']:,} of {gate['cards']:,}"

    shown = [
        *columns(sentence_case, gate="Gate"),
        ("Verdict", lambda gate: cell(gate["verdict"], verdict=MARKS[gate["verdict"]])),
        ("Flagged#", flagged),
        ("Found", lambda gate: cell(gate["finding"], note=gate["consequence"])),
    ]
    caption = (
        "What was looked at before any regression. Set aside: those cards are not compared; noted: to be known when "
        "reading on; stopped: no p-value is given."
    )
    return listed(caption, gates, shown)


def models_table(runs: pd.DataFrame, factors: Sequence[str]) -> Table:
    """Return the models that are compared."""

    def model(row: Row) -> Cell:
        return cell(row["run_id"], note="" if is_missing(row["base_model"]) else f"from {row['base_model']}")

    shown = [("Model", model), DATASET, *level_columns(factors)]
    shown += columns(number, **metric_titles({name: response_label(name) for name in ON_CARDS}))
    shown += columns(lambda headline: headline, headline="Headline is row")
    return listed(f"The {counted(len(runs), 'model')} compared", runs, shown)


def pooling_section(rows: pd.DataFrame, labels: Labels, confidence: float) -> Section:
    """Return what each factor seems to do pooled, and what is left of it within data sets."""
    groups, kinds = [], []
    for pool, title in POOLS.items():
        found = chosen(rows, pool=pool)
        if found.empty:
            continue
        sentences = [*pooling_sentences(found, labels, confidence)]
        kinds += [one["kind"] for one in sentences]
        grids = [pooling_table(chosen(found, response=name), labels[name], confidence) for name in labels]
        groups.append(group(f"{sentence_case(title)} ({found['cards'].max()})", sentences, folded=grids))
    moved, total = kinds.count("confounded"), len(kinds)
    if not total:
        return {"finding": "No factor varies enough to be pooled or kept apart.", "groups": groups}
    finding = (
        f"In {moved} of {total} comparisons a setting that seems to move a metric in pooled cards does not within data "
        "sets: data sets differ in both."
        if moved
        else f"In none of {total} comparisons does a setting move a metric in pooled cards only."
    )
    return {"finding": finding, "groups": groups}


def pooling_sentences(rows: pd.DataFrame, labels: Labels, confidence: float) -> Iterator[dict[str, str]]:
    """Yield a sentence on each response and factor with an estimate both ways."""
    robust = rows[rows["errors"] == ROBUST]
    for (response, factor), pair in robust.groupby(["response", "factor"], sort=False):
        both = pair.set_index("specification")
        if both["estimate"].isna().any():
            continue
        kind, words = pooled_or_apart(both, 1 - confidence)
        text = f"{sentence_case(factor_label(factor))} on {labels[response]}: {words}."
        yield sentence(text, {"holds": "effect"}.get(kind, "undecided")) | {"kind": kind}


def pooled_or_apart(both: pd.DataFrame, alpha: float) -> tuple[str, str]:
    """Return how a pooled estimate fares within data sets, and that in words with both estimates.

    both: a response's and a factor's rows by specification.
    """
    pooled, apart = both.loc[POOLED], both.loc[APART]
    seen, left = (f"{estimated(row)}, {p_equals(row['p_value'])}" for row in (pooled, apart))
    before, after = pooled["p_value"] < alpha, apart["p_value"] < alpha
    if before and after:
        if (pooled["estimate"] > 0) == (apart["estimate"] > 0):
            return "holds", f"pooled {seen}; within data sets, too: {left}"
        return "confounded", f"pooled {seen}; within data sets it turns round: {left}"
    if before:
        return "confounded", f"pooled {seen}; with an effect of each data set that is gone: {left}"
    if after:
        return "hidden", f"pooled {seen}; only within data sets is it seen: {left}"
    return "nothing", f"pooled {seen}; within data sets {left}: neither shows an effect or its absence"


def pooling_table(rows: pd.DataFrame, label: str, confidence: float) -> Table:
    """Return one row a specification and kind of errors, one pair of columns a factor."""

    def change(row: Row) -> Cell:
        return cell(NOTHING, note=row["reason"]) if is_missing(row["estimate"]) else ranged(row)

    def errors(row: Row) -> Cell:
        clusters = row["clusters"]
        return cell(row["errors"], note="" if is_missing(clusters) else counted(int(clusters), "cluster"))

    ways = [f"{row.specification} {row.errors}" for row in rows.itertuples()]
    order = [f"{specification} {kind}" for specification in SPECIFICATIONS for kind in ERRORS]
    first = rows.assign(way=ways).drop_duplicates("way").set_index("way")
    down = {way: [sentence_case(first.at[way, "specification"]), errors(first.loc[way])] for way in order}
    sets = rows["datasets"].max()
    caption = (
        f"{sentence_case(label)}: change from the lowest to the highest level, {percent(confidence)} intervals, "
        f"{counted(int(rows['cards'].max()), 'card')} on {counted(int(sets), 'data set')}. First-order terms; these p "
        "are what such a regression prints, not adjusted, and no evidence where a gate stops them."
    )
    titles, shown = factor_titles(rows["factor"].unique()), {"": change, "p#": P_VALUE[1]}
    return crossed(caption, rows.assign(way=ways), ("way", "factor"), ["Data sets", "Errors"], down, titles, shown)


def beside_group(rows: pd.DataFrame, confidence: float) -> dict[str, Any] | None:
    """Return what a study that trained finds of the same claims, or None where none is named."""
    designed = rows[rows["kind"] == "designed"]
    if designed.empty:
        return None
    study, found = designed["study"].iloc[0], rows[rows["kind"] == "found"]
    counts = designed["verdict"].value_counts()
    verdicts = joined([f"{count} {verdict}" for verdict, count in counts.items()])
    finding = f"Of the same claims, study {study}, which trained its models, has {verdicts}."
    if (designed["reason_code"] == Undecided.NO_RESULTS).all():
        absent = f"Study {study} {ABSENT[Undecided.NO_RESULTS]}"
        return {"finding": f"{absent}: run it, then this study again, and both stand side by side.", "table": None}
    printed = [
        [
            cell(sentence_case(ours["name"]), note=f"{ours['framework']}; {ours['source']}"),
            cell(p_text(ours["p_published"]), note=ours["finding"] if is_missing(ours["sign"]) else ours["sign"]),
            *finding_cells(ours),
            *finding_cells(theirs),
        ]
        for ours, theirs in zip(found.to_dict("records"), designed.to_dict("records"), strict=True)
    ]
    heads = ["Claim", "Published p", "Found models", "p#", f"Study {study}", "p#"]
    caption = (
        f"The same claims on found models and in study {study}: the change over the whole range of each study's "
        f"levels, with {percent(confidence)} interval, and p with all claims counted. The two ranges may differ."
    )
    return {"finding": finding, "table": table(caption, heads, printed)}


def finding_cells(row: Row) -> list[Any]:
    """Return the cells of one study's finding of a claim."""
    if is_missing(row["estimate"]):
        note = "" if is_missing(row["reason"]) or len(row["reason"]) >= LONGEST_NOTE else row["reason"]
        return [cell("no estimate", verdict="undecided", note=note), NOTHING]
    ends = "" if is_missing(row["from_level"]) else f", {level(row['from_level'])} to {level(row['to_level'])}"
    note = f"{estimated(row)} ({span(row)}){ends}"
    return [cell(row["verdict"], verdict=mark(row), note=note), p_text(row["p_adjusted"])]


def baseline(spec: Mapping[str, Any], labels: Labels) -> dict[str, Any]:
    """Return what the baseline is and what is published of it."""
    figures = [f"{labels.get(name, response_label(name))} {number(value)}" for name, value in spec["metrics"].items()]
    published = joined(figures) if figures else "no figures"
    return {
        "sentence": f"Every relative figure is taken against {spec['name']}, as published: {published}.",
        "settings": settings_text(spec["settings"]),
        "origin": spec["origin"],
    }


def sources(runs: pd.DataFrame, cards: Mapping[str, Any]) -> Table:
    """Return where the cards come from and what wrote them."""
    place = next(str(cards[key]) for key in ("facts", "folder", "hub") if key in cards)
    kinds = runs["kind"].fillna("unknown").value_counts()
    rows = [
        ["Cards", place],
        ["Revisions", f"{counted(runs['revision'].dropna().nunique(), 'commit')} recorded"],
        ["Written by", ", ".join(f"{name} ({count})" for name, count in kinds.items())],
    ]
    return table("Where the cards come from; each is named in cards.csv with its source.", ["What", "Value"], rows)
