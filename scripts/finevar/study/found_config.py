"""The config of a study of found models: check everything at once, fill in defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finevar.errors import InputError
from finevar.metrics import ON_CARDS
from finevar.study.claim_files import read_claims
from finevar.study.coding import codings_of
from finevar.study.consistency import (
    Config,
    cut,
    factor_problems,
    level_problems,
    listed,
    metric_problems,
    nested_problems,
)
from finevar.study.content import is_file
from finevar.study.schemas import raise_problems, read_against, read_schema
from finevar.study.settings import FACTORS

PLACES = ("folder", "hub", "facts")


def read_found_config(raw: Mapping[str, Any]) -> Config:
    """Return the config with every default filled in; raise InputError with all of its problems."""
    config, problems = read_against(raw, read_schema("found"))
    config["analysis"]["claims"], wrong = read_claims(config, FACTORS)
    raise_problems([*problems, *wrong, *place_problems(config["cards"]), *found_problems(config)])
    return config


def card_files(folder: str | Path) -> list[Path]:
    """Return the files of a folder that are cards."""
    return sorted(path for path in Path(folder).rglob("*.md") if path.is_file())


def place_problems(cards: Config) -> Iterator[InputError]:
    """Yield what is wrong with where the cards are."""
    given = [key for key in PLACES if key in cards]
    if len(given) != 1:
        yield InputError(
            "config: cards",
            found=f"{' and '.join(given) or 'none'} of {', '.join(PLACES)}",
            allowed="exactly one of them",
            remedy="Say where the model cards are.",
        )
    for key, kind, name in (("folder", Path.is_dir, "folder"), ("facts", Path.is_file, "file")):
        if key in cards and not is_file(Path(cards[key]), kind):
            yield InputError(
                f"config: cards.{key}",
                found=f"no {name} {cut(repr(cards[key]))}",
                allowed="one that exists; paths are relative to the folder that Snakemake runs in",
                remedy="Correct the path.",
            )


def found_problems(config: Config) -> Iterator[InputError]:
    """Yield what does not fit together in factors, baseline and analysis."""
    settings, codings = config["baseline"]["settings"], codings_of(config["sweep"]["factors"])
    yield from nested_problems(codings)
    for name, coding in codings.items():
        yield from factor_problems(name, coding, set())
        if name in settings:
            yield from level_problems(name, coding, settings[name])
        else:
            yield InputError(
                "config: baseline.settings",
                found=f"no key {name!r}",
                allowed="a level of each factor",
                remedy=f"State the baseline's {name}.",
            )
    yield from metric_problems(config["analysis"])
    unknown = [name for name in config["analysis"]["responses"] if name not in ON_CARDS]
    if unknown:
        yield InputError(
            "config: analysis.responses",
            found=listed(unknown),
            allowed=f"{listed(sorted(ON_CARDS))}: what model cards state",
            remedy="Leave it out.",
        )
