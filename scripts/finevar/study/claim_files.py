"""Claims that a study is to test: read from the config and from claims files, checked, and made complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from finevar import ROOT
from finevar.errors import InputError
from finevar.study.coding import Category, changes_of, factor_of, factors_of, term_name, terms
from finevar.study.consistency import Config, cut, listed
from finevar.study.content import is_file
from finevar.study.schema_values import fill_defaults, read_numbers
from finevar.study.schemas import HARMLESS, drop_unknown_keys, problem_of, read_schema, schema_errors, shape_problems
from finevar.study.seed_parts import PARTS
from finevar.study.settings import SPECS
from finevar.study.yaml_files import read_yaml

POWERS = {"2": 2, "3": 3}  # as they are written

Claim = dict[str, Any]
Order = Mapping[str, tuple[str, ...]]  # all factors, those of the study first, each with its levels that are names
Placed = list[tuple[str, Claim]]  # each claim with the place that it stands at


def read_claims(config: Config, known: Sequence[str]) -> tuple[list[Claim], list[InputError]]:
    """Return a config's claims with every key, those of files in the place of their path, and what is wrong with them.

    known: the names of all settings that can be factors.
    """
    placed: Placed = []
    problems: list[InputError] = []
    for number, item in enumerate(config["analysis"]["claims"]):
        where = f"config: analysis.claims[{number}]"
        found, wrong = file_claims(item, where) if isinstance(item, str) else ([(where, item)], [])
        placed += found
        problems += wrong
    # A term is looked up by its name, so its factors stand in the study's order.
    order = {name: named_levels(factor.get("levels", ())) for name, factor in config["sweep"]["factors"].items()}
    order |= {name: named_levels(SPECS[name].get("enum", ())) for name in known if name not in order}
    placed = [(where, complete(claim, order)) for where, claim in placed]
    problems += [*name_problems(placed, config, order), *repeated_problems(placed)]
    return [claim for _, claim in placed], problems


def file_claims(name: str, where: str) -> tuple[Placed, list[InputError]]:
    """Return the claims of a file, each with its place, and what is wrong with the file."""
    try:
        raw = read_yaml(claims_path(name, where))
        for problem in shape_problems(raw, name):
            raise problem
    except InputError as problem:
        return [], [problem]
    schema = read_schema("claims")
    content = read_numbers(raw, schema)
    errors = schema_errors(content, schema)
    problems = [problem_of(error, cut(name)) for error in errors]
    if any(error.validator not in HARMLESS for error in errors):
        return [], problems
    drop_unknown_keys(errors)
    return [(f"{cut(name)}: claims[{number}]", claim) for number, claim in enumerate(content["claims"])], problems


def claims_path(name: str, where: str) -> Path:
    """Return a claims file's path, from the folder that Snakemake runs in or else from finevar's own."""
    if path := next(filter(is_file, (Path(name), ROOT / name)), None):
        return path
    raise InputError(
        where,
        found=f"{cut(repr(name))}, which is no file",
        allowed="a claim, or a claims file's path from the folder that Snakemake runs in or from finevar's own",
        remedy="Correct the path.",
    )


def complete(claim: Mapping[str, Any], order: Order) -> Claim:
    """Return a claim with every key, its term named as the model names it where it is a term."""
    schema = read_schema("claims")
    full = fill_defaults(claim, schema["$defs"]["claim"], schema)
    full["term"] = canonical(full["term"], order) or full["term"]
    return {"name": f"{full['term']} on {full['response']}"} | full


def canonical(text: str, order: Order) -> str | None:
    """Return a term as the model names it, or None where it is no product of factors, or of changes of some."""
    base, _, power = text.partition("^")
    names = [base] * POWERS[power] if power in POWERS else text.split(":")
    owners = list(map(factor_of, names))
    if len(names) > 3 or not all(is_factor(name, order) for name in names):
        return None
    if any(order[owner] and owners.count(owner) > 1 for owner in owners):  # of names there are no powers
        return None
    return term_name(tuple(sorted(names, key=lambda name: list(order).index(factor_of(name)))))


def ratio_parts(text: str) -> tuple[str, str] | None:
    """Return the two parts of the seed whose variances a term compares (init/order), or None where it is another."""
    names = tuple(text.split("/"))
    return names if len(names) == 2 and names[0] != names[1] and set(names) <= set(PARTS) else None


def is_factor(name: str, order: Order) -> bool:
    """Say whether a name is that of a factor, or of a change between two of its levels that are names."""
    return name in order or name in changes_of(named(factor_of(name), order), both_ways=True)


def named(factor: str, order: Order) -> dict[str, Category]:
    """Return the coding of a factor whose levels are names; nothing of another one."""
    return {factor: Category(order[factor])} if order.get(factor) else {}


def named_levels(levels: Sequence[Any] | Mapping[str, Any]) -> tuple[str, ...]:
    """Return levels that are names; none of numbers, which a category's levels may have each their own of."""
    return () if isinstance(levels, Mapping) else tuple(level for level in levels if isinstance(level, str))


def name_problems(placed: Placed, config: Config, order: Order) -> Iterator[InputError]:
    """Yield claims about a metric that the study does not analyse, about what is no term, or with an empty sign.

    A term of another factor, or beyond the study's model, is sound: the study leaves such a claim undecided.
    """
    analysis, factors = config["analysis"], list(config["sweep"]["factors"])
    axes = [axis for name in factors for axis in (named(name, order)[name].axes(name) if order[name] else [name])]
    own = [term_name(tuple(map(factor_of, term))) for term in terms(axes, analysis["model"]) if term]
    changes = [change for name in factors for change in changes_of(named(name, order))]
    own = list(dict.fromkeys([*own, *changes]))
    others = [name for name in order if name not in factors]
    for where, claim in placed:
        if claim["response"] not in analysis["responses"]:
            found, remedy = cut(repr(claim["response"])), "Correct the name, or add it to analysis.responses."
            yield InputError(f"{where}.response", found=found, allowed=listed(analysis["responses"]), remedy=remedy)
        if ratio_parts(claim["term"]):
            yield from ratio_problems(where, claim)
        elif canonical(claim["term"], order) is None:
            found = cut(repr(claim["term"]))
            allowed = f"{listed(own, len(own))}; or a term of other factors, which are {listed(others)}"
            allowed += f"; or two parts of the seed, such as init/order, of {listed(PARTS)}"
            yield InputError(f"{where}.term", found=found, allowed=allowed, remedy="Correct the name.")
        elif claim["sign"] and (whole := [name for name in factors_of(claim["term"]) if order.get(name)]):
            example = next(iter(changes_of(named(whole[0], order))))
            yield InputError(
                f"{where}.sign",
                found=f"{claim['sign']}, of {listed(whole)} as a whole",
                allowed="null, or a sign of a change between two levels",
                remedy=f"Leave out the sign, or name two levels in the term: {example}.",
            )


def ratio_problems(where: str, claim: Claim) -> Iterator[InputError]:
    """Yield what is wrong with a claim on two parts of the seed: that neither says larger nor that they are alike."""
    if claim["finding"] == "not_significant" or (claim["finding"] == "effect") != bool(claim["sign"]):
        yield InputError(
            f"{where}.finding",
            found=f"{claim['finding']} with sign {claim['sign'] or 'null'}, of two parts of the seed",
            allowed="effect with a sign (positive: the first makes more variance), or none without one (comparable)",
            remedy="Say which part makes more by finding: effect and sign, or that they are alike by finding: none.",
        )


def repeated_problems(placed: Placed) -> Iterator[InputError]:
    """Yield claims that share their name, or all that they say, with one before."""
    said = ("response", "term", "framework", "levels", "finding", "sign")
    for what, keys in (("name", ("name",)), ("statement", said)):
        labels = [tuple(claim[key] for key in keys) for _, claim in placed]
        first = {label: placed[labels.index(label)][0] for label, count in Counter(labels).items() if count > 1}
        for (where, claim), label in zip(placed, labels, strict=True):
            if where != first.get(label, where):
                yield InputError(
                    where,
                    found=f"the {what} of {first[label]} again, {cut(repr(claim['name']))}",
                    allowed="claims that differ from each other",
                    remedy=f"Remove one, or give it {'another name' if what == 'name' else 'other content'}.",
                )
