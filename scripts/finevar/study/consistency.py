"""What no single key of a config shows: references between keys, and settings that do not fit together."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from finevar.errors import InputError
from finevar.study.coding import Category, Coding, Codings, categories_of, codings_of, exists, nested_of, numbers_of
from finevar.study.dialects import SEPARATORS, TEXT_ONLY, format_of, is_text_encoding
from finevar.study.factors import setting
from finevar.study.settings import CONDITIONS, MODEL, TRAINING_DEFAULTS, has_names, model_names

Config = dict[str, Any]

PLACES = ("file", "eval_file", "label_file", "eval_label_file")  # keys that say where files lie
TABLE_KEYS = ("separator", "quoting", "quote", "skip")  # of files that have a separator
FILE_KEYS = (*PLACES, "format", "columns", "encoding", "label_from", *TABLE_KEYS)
HUB_KEYS = ("train_split", "eval_split", "subset")
PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?==.+")  # what pip could not take for an option


def cut(text: str, most: int = 80) -> str:
    """Return a text to print within a line: odd characters escaped, cut if it is long."""
    short = text if len(text) <= most else f"{text[: most - 3]}..."
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in short)


def listed(values: Iterable[Any], most: int = 20) -> str:
    """Return values to print within a line, only the first of many."""
    values = [*values]
    more = [f"and {len(values) - most} more"] if len(values) > most else []
    return ", ".join([*(cut(str(value)) for value in values[:most]), *more])


def nearest(name: str, known: Iterable[Any]) -> str | None:
    """Return the name that another may be meant for: with other case, blanks or a path before it, or else misspelt."""
    names, bare = [*map(str, known)], name.strip().casefold()
    same = [each for each in names if bare in (each.strip().casefold(), *re.split(r"[./]", each.strip().casefold()))]
    return next(iter([*same, *difflib.get_close_matches(name, names, n=1)]), None)


def plain(number: float) -> str:
    """Return a number as people write it, a whole one without its fraction of 0."""
    return str(number).removesuffix(".0")


def cross_check(config: Config, given: set[str], baseline: Mapping[str, Any]) -> Iterator[InputError]:
    """Yield what does not fit together.

    config: with the schema's defaults. given: the keys that `training` holds. baseline: all settings of the baseline.
    """
    yield from reference_problems(config)
    for name, dataset in config["datasets"].items():
        yield from dataset_problems(config, name, dataset)
    yield from source_problems(config)
    if "dataset" in config["baseline"]:
        yield from batch_problems("baseline.settings", baseline)
    codings = codings_of(config["sweep"]["factors"])
    yield from nested_problems(codings)
    for name, coding in codings.items():
        yield from factor_problems(name, coding, given)
        if name != MODEL and exists(coding, baseline):
            yield from level_problems(name, coding, baseline[name])
    for name, condition in CONDITIONS.items():
        for on, allowed in condition.items():
            if not exists_only(codings.get(name), on, allowed):
                yield from condition_problems(config, name, on, allowed)
    yield from metric_problems(config["analysis"])


def reference_problems(config: Config) -> Iterator[InputError]:
    """Yield names that refer to nothing."""
    _, *others = model_names(config)
    references = [("model", config["model"], "sources")]
    references += [(f"sweep.factors.{MODEL}.levels", name, "sources") for name in others]
    references += [(f"datasets.{name}.source", spec["source"], "sources") for name, spec in config["datasets"].items()]
    references += [("sweep.datasets", name, "datasets") for name in config["sweep"]["datasets"]]
    if "dataset" in config["baseline"]:
        references.append(("baseline.dataset", config["baseline"]["dataset"], "datasets"))
    for where, name, section in references:
        if name not in config[section]:
            yield InputError(
                f"config: {where}",
                found=cut(repr(name)),
                allowed=f"a name under `{section}`: {listed(config[section])}",
                remedy="Correct the name, or add it there.",
            )


def dataset_problems(config: Config, name: str, dataset: Config) -> Iterator[InputError]:
    """Yield what does not fit together within one data set."""
    where = f"config: datasets.{cut(name)}"
    kind = config["sources"].get(dataset["source"], {}).get("kind")
    needed, foreign = ("train_split", FILE_KEYS) if kind == "hub" else ("file", HUB_KEYS)
    if kind and needed not in dataset:
        allowed = f"{needed!r} for a {kind} source"
        yield InputError(where, found=f"no key {needed!r}", allowed=allowed, remedy=f"Add {needed}.")
    for key in foreign:
        if kind and key in dataset:
            yield superfluous(f"{where}.{key}", f"no such key for a {kind} source")
    yield from origin_problems(where, dataset, ("eval_file", "eval_split", "eval_examples"), "the evaluation sentences")
    yield from size_problems(where, dataset)
    yield from column_problems(where, dataset)
    yield from label_problems(where, dataset)
    yield from dialect_problems(where, dataset)


def origin_problems(where: str, dataset: Config, keys: Sequence[str], what: str) -> Iterator[InputError]:
    """Yield that not exactly one of the keys is there which say where something comes from."""
    given = [key for key in keys if key in dataset]
    if len(given) != 1:
        yield InputError(
            where,
            found=f"{' and '.join(given) or 'none'} of {', '.join(keys)}",
            allowed="exactly one of them",
            remedy=f"Say where {what} come from.",
        )


def size_problems(where: str, dataset: Config) -> Iterator[InputError]:
    """Yield numbers of sentences that are neither a whole number nor a share."""
    for key in ("eval_examples", "confirm_examples"):
        wanted = dataset.get(key, 2)
        if 1 <= wanted < 2 or (wanted > 2 and wanted != int(wanted)):
            allowed = "a whole number of 2 or more, or a share above 0 and below 1"
            yield InputError(f"{where}.{key}", found=plain(wanted), allowed=allowed, remedy="Correct the number.")


def column_problems(where: str, dataset: Config) -> Iterator[InputError]:
    """Yield what does not fit together in a data set's columns and labels."""
    texts = [*dataset.get("join", []), *as_list(dataset.get("text", []))]
    if dataset.get("label") in texts:
        allowed = "another column than that of the text"
        yield InputError(f"{where}.label", found=cut(repr(dataset["label"])), allowed=allowed, remedy="Correct one.")
    for key, names in (("text" if "text" in dataset else "join", texts), ("label", [dataset.get("label")])):
        unknown = [name for name in names if name and name not in dataset.get("columns", [name])]
        if unknown:
            yield InputError(
                f"{where}.{key}",
                found=listed(map(repr, unknown)),
                allowed=f"a name under `columns`: {listed(dataset['columns'])}",
                remedy=f"Correct `{key}` or `columns`.",
            )
    if dataset.get("format") in TEXT_ONLY:
        for key in ("text", "join", "columns", "label"):
            if key in dataset:
                yield superfluous(f"{where}.{key}", f"no columns in a file of format {dataset['format']}")
    elif ("text" in dataset) == ("join" in dataset):
        found = "text and join" if "text" in dataset else "neither text nor join"
        allowed = "`text`, the column with the sentence or both of a pair, or `join`, columns that make up a sentence"
        yield InputError(where, found=found, allowed=allowed, remedy="Give one of them.")
    if dataset["margin"] and "threshold" not in dataset:
        yield superfluous(f"{where}.margin", "no margin without a threshold")


def label_problems(where: str, dataset: Config) -> Iterator[InputError]:
    """Yield what does not fit together in where labels come from."""
    yield from origin_problems(where, dataset, ("label", "label_from", "label_file"), "the labels")
    if "label_file" in dataset and dataset.get("format") != "lines":
        allowed = "`format: lines`, in which line by line one file has the texts and the other the labels"
        yield InputError(f"{where}.label_file", found="another format", allowed=allowed, remedy="Add `format: lines`.")
    wanted = "label_file" in dataset and "eval_file" in dataset
    if wanted and "eval_label_file" not in dataset:
        allowed = "the labels of eval_file, since those of file have a file of their own"
        yield InputError(where, found="no key 'eval_label_file'", allowed=allowed, remedy="Add eval_label_file.")
    elif "eval_label_file" in dataset and not wanted:
        yield superfluous(f"{where}.eval_label_file", "no such key without label_file and eval_file")


def dialect_problems(where: str, dataset: Config) -> Iterator[InputError]:
    """Yield what says how a file is written and means nothing for its format, and an encoding that there is none of."""
    names = [name for key in ("file", "eval_file") for name in as_list(dataset.get(key, []))]
    forms = {format_of(dataset, name) for name in names}
    if forms and not forms & {None, *SEPARATORS}:
        for key in TABLE_KEYS:
            if key in dataset:
                yield superfluous(f"{where}.{key}", f"no such key for files of format {listed(sorted(forms))}")
    if "quote" in dataset and dataset.get("quoting") == "none":
        yield superfluous(f"{where}.quote", "no quotation mark with `quoting: none`")
    elif dataset.get("quote", "") in {dataset.get("separator", SEPARATORS.get(form)) for form in forms}:
        yield InputError(
            f"{where}.quote",
            found=cut(repr(dataset["quote"])),
            allowed="another character than the separator of cells",
            remedy="Correct `quote` or `separator`.",
        )
    if "encoding" in dataset and not is_text_encoding(dataset["encoding"]):
        yield InputError(
            f"{where}.encoding",
            found=cut(repr(dataset["encoding"])),
            allowed="the name of an encoding as Python has it: utf-8, latin-1, cp1252, utf-16, shift_jis, gb18030, ...",
            remedy="Correct the name.",
        )


def as_list(value: Any) -> list[Any]:
    """Return a value that may be a list of them as a list."""
    return value if isinstance(value, list) else [value]


def source_problems(config: Config) -> Iterator[InputError]:
    """Yield keys of a source that its use leaves without a meaning."""
    uses = {spec["source"]: ("data", ("path", "weights_sha256")) for spec in config["datasets"].values()}
    uses |= dict.fromkeys(model_names(config), ("the model", ("archive", "archive_sha256")))
    for name, (use, foreign) in uses.items():
        source = config["sources"].get(name, {})
        for key in foreign:
            if source.get("kind") == "package" and key in source:
                yield superfluous(f"config: sources.{cut(name)}.{key}", f"no such key for a source of {use}")
    for name, source in config["sources"].items():
        if source["kind"] == "package" and not PACKAGE.fullmatch(source["package"]):
            yield InputError(
                f"config: sources.{cut(name)}.package",
                found=cut(repr(source["package"])),
                allowed="name==version, the name with a letter or digit at both ends",
                remedy="Correct the name.",
            )


def superfluous(where: str, allowed: str) -> InputError:
    """Return the problem of a key that means nothing where it stands."""
    return InputError(where, found="a value", allowed=allowed, remedy="Remove it.")


def batch_problems(where: str, settings: Mapping[str, Any]) -> Iterator[InputError]:
    """Yield that the settings of a training ask for a batch of more examples than there are."""
    examples = settings["train_examples"]
    if examples is not None and settings["batch_size"] > examples:
        yield InputError(
            f"config: {where}",
            found=f"batch_size {settings['batch_size']} with train_examples {examples}",
            allowed="a batch no larger than the data",
            remedy="Lower batch_size or raise train_examples.",
        )


def factor_problems(name: str, coding: Coding | Category, given: set[str]) -> Iterator[InputError]:
    """Yield what is wrong with one factor beyond the schema's reach."""
    where, levels = f"config: sweep.factors.{name}", coding.levels
    if name in given:
        found, allowed = "a factor that `training` fixes too", "one place for each setting"
        yield InputError(where, found=found, allowed=allowed, remedy=f"Remove training.{name}.")
    if isinstance(coding, Category):
        return
    if coding.logarithmic and min(levels) <= 0:
        yield InputError(
            f"{where}.coding",
            found=f"{coding.scale} with the level {plain(min(levels))}",
            allowed="levels above 0 under a logarithm",
            remedy="Use coding: identity, or drop that level.",
        )
    elif not has_range(coding):
        yield InputError(
            f"{where}.levels",
            found=f"{min(levels):g} to {max(levels):g}, too close or too far apart for the coding {coding.scale}",
            allowed="lowest and highest levels that differ by more than a billionth of themselves",
            remedy="Give other levels.",
        )
    if setting(name).mixes_units(levels):
        yield InputError(
            f"{where}.levels",
            found=listed(map(plain, levels)),
            allowed=f"all shares (below 1) or all numbers of {setting(name).unit} (1 or more); 0 goes with both",
            remedy=f"Use one kind of {setting(name).words}.",
        )


def exists_only(coding: Coding | Category | None, on: str, allowed: Sequence[Any]) -> bool:
    """Say whether a factor is nested in another one's levels, all among these."""
    when = coding.when if isinstance(coding, Coding) else None
    return when is not None and when.category == on and {*when.levels} <= {*allowed}


def condition_problems(config: Config, name: str, on: str, allowed: Sequence[Any]) -> Iterator[InputError]:
    """Yield that a setting stands where it has no effect, as another one has none of the values that it takes."""
    factors, training, own = config["sweep"]["factors"], config["training"], config["baseline"]["settings"]
    fixed = training.get(on, TRAINING_DEFAULTS[on])
    tried, of_baseline = factors.get(on, {"levels": [fixed]})["levels"], own.get(on, fixed)
    for where, given, values, place in (
        (f"sweep.factors.{name}", factors, tried, f"training.{on}"),
        (f"sweep.factors.{name}", factors, [of_baseline], f"baseline.settings.{on}"),
        (f"training.{name}", training, [*tried, of_baseline], f"training.{on}"),
        (f"baseline.settings.{name}", own, [of_baseline], f"baseline.settings.{on}"),
    ):
        if name in given and not (all if given is factors else any)(value in allowed for value in values):
            nests = given is factors and not has_names(name)  # which only numbers do
            unvaried = f" and remove sweep.factors.{on}" if on in factors and place == f"training.{on}" else ""
            yield InputError(
                f"config: {where}",
                found=f"a value, and {place} {listed(dict.fromkeys(values))}",
                allowed=f"{setting(name).words} with {on} {' or '.join(allowed)} alone",
                remedy=f"Set {place} to {allowed[0]}{unvaried}, or remove {where}."
                + (f" Beside a factor {on}, give it when: {{{on}: {allowed[0]}}}." if nests else ""),
            )


def nested_problems(codings: Codings) -> Iterator[InputError]:
    """Yield nested factors that depend on no category, on levels that it lacks, or on all; and ill sliding levels."""
    categories = categories_of(codings)
    for name, coding in numbers_of(codings).items():
        if coding.by:
            yield from sliding_problems(name, coding, categories)
    for name, coding in nested_of(codings).items():
        where, (category, levels) = f"config: sweep.factors.{name}.when", coding.when
        if category not in categories:
            yield InputError(
                where,
                found=cut(repr(category)),
                allowed=f"a factor whose levels are names: {listed(categories) or 'this study has none'}",
                remedy="Remove `when`, or name a factor of this study.",
            )
        elif unknown := [level for level in levels if level not in categories[category].levels]:
            yield InputError(
                f"{where}.{category}",
                found=listed(map(repr, unknown)),
                allowed=f"levels of {category}: {listed(categories[category].levels)}",
                remedy="Correct the name, or add it there.",
            )
        elif set(levels) == set(categories[category].levels):
            allowed = f"some levels of {category}, not all of them"
            yield InputError(f"{where}.{category}", found=listed(levels), allowed=allowed, remedy="Remove `when`.")


def sliding_problems(name: str, coding: Coding, categories: Mapping[str, Category]) -> Iterator[InputError]:
    """Yield levels that slide with none or several categories, or of which one's level has more, or a wider range."""
    where, parts = f"config: sweep.factors.{name}.levels", coding.by.levels
    alike = [other for other, own in categories.items() if {*own.levels} == {*dict(parts)}]
    owners = [f"{other} ({listed(own.levels)})" for other, own in categories.items()]
    counts, spans = {len(own) for _, own in parts}, [coding.at(level).half_range for level, _ in parts]
    if len(alike) > 1:
        found, allowed = f"the levels of {' and of '.join(alike)}", "those of one factor of names, and of no other"
    elif not coding.by.category:
        found = listed(level for level, _ in parts)
        allowed = f"all levels of a factor of names: {listed(owners) or 'none here'}"
    elif len(counts) > 1:
        found, allowed = f"{listed(sorted(counts))} levels", "as many at each"
    elif max(spans) > (1 + 1e-6) * min(spans):
        found = listed(f"{level}: {plain(own[0])} to {plain(own[-1])}" for level, own in parts)
        allowed = f"ranges that are as wide as each other on the scale {coding.scale}, so that a step is one everywhere"
    else:
        return
    yield InputError(where, found=found, allowed=allowed, remedy="Correct the levels, or give one list for all.")


def has_range(coding: Coding) -> bool:
    """Return whether the levels of a coding have a range that can be computed with."""
    with np.errstate(over="ignore"):
        middle, half_range = coding.middle, coding.half_range
    return np.isfinite([middle, half_range]).all() and half_range > max(1e-9 * abs(middle), 1e-300)


def level_problems(name: str, coding: Coding | Category, baseline: float | str | None) -> Iterator[InputError]:
    """Yield why a factor cannot be set against the baseline's own level of it."""
    levels = coding.levels
    if isinstance(coding, Category):
        if baseline not in levels:
            yield InputError(
                f"config: baseline.settings.{name}",
                found=str(baseline),
                allowed=f"one of the factor's levels, {listed(levels)}, as there is nothing between names",
                remedy=f"Add {baseline} to sweep.factors.{name}.levels, or state the level that the baseline had.",
            )
        return
    if baseline is None:
        allowed = "a number, since it is a factor"
    elif coding.logarithmic and baseline <= 0:
        allowed = f"a number above 0, since the factor's coding is {coding.scale}"
    elif setting(name).mixes_units([*levels, baseline]) and not setting(name).mixes_units(levels):
        allowed = f"the kind of the factor's levels, {listed(map(plain, levels))}"
    else:
        return
    yield InputError(
        f"config: baseline.settings.{name}",
        found="null" if baseline is None else plain(baseline),
        allowed=allowed,
        remedy="Add the value that the baseline was trained with.",
    )


def metric_problems(analysis: Config) -> Iterator[InputError]:
    """Yield metrics that are weighed against each other, or decide, and are not analysed, and weights of none."""
    asked, responses = analysis["tradeoffs"], analysis["responses"]
    known = [*responses, "seconds"]
    wanted = known if asked["responses"] is None else asked["responses"]
    for key, names, allowed, remedy in (
        ("primary", [analysis.get("primary", responses[0])], responses, "Add it to analysis.responses."),
        ("tradeoffs.responses", wanted, known, "Add it to analysis.responses, or leave it out."),
        ("tradeoffs.weights", asked["weights"], wanted, "Add it to analysis.tradeoffs.responses, or leave it out."),
    ):
        if unknown := [name for name in names if name not in allowed]:
            where = f"config: analysis.{key}"
            yield InputError(where, found=listed(unknown), allowed=listed(allowed), remedy=remedy)
