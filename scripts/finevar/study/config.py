"""A study's config: check everything at once, fill in defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finevar.study.additions import added_seeds, addition_problems
from finevar.study.claim_files import read_claims
from finevar.study.coding import codings_of
from finevar.study.conditions import condition_problems
from finevar.study.consistency import Config, cross_check, nested_problems
from finevar.study.design_checks import (
    design_problems,
    optimal_problems,
    seed_problems,
    size_problems,
    unused_level_problems,
)
from finevar.study.designs import DESIGNS
from finevar.study.found_config import read_found_config
from finevar.study.kinds import FOUND, LISTED, study_kind
from finevar.study.runs_config import read_runs_config
from finevar.study.schemas import raise_problems, read_against, read_schema
from finevar.study.settings import FACTORS, MODEL, TRAINING_DEFAULTS, in_effect
from finevar.study.starting_models import name_problems


def read_config(raw: Mapping[str, Any]) -> Config:
    """Return the config with every default filled in; raise InputError with all of its problems."""
    if (kind := study_kind(raw)) == FOUND:
        return read_found_config(raw)
    if kind == LISTED:
        return read_runs_config(raw)
    schema = read_schema("config")
    schema["$defs"]["design"]["properties"]["kind"]["enum"] = list(DESIGNS)  # the kinds that there are
    config, problems = read_against(raw, schema)
    config["analysis"]["claims"], wrong = read_claims(config, FACTORS)
    training = TRAINING_DEFAULTS | config["training"]
    baseline = training | config["baseline"]["settings"]
    baseline |= {MODEL: config["model"]} if MODEL in config["sweep"]["factors"] else {}  # its level of that factor
    wrong = [*wrong, *name_problems(config), *cross_check(config, set(config["training"]), baseline)]
    sweep, order = config["sweep"], config["analysis"]["model"]
    if any(nested_problems(codings_of(sweep["factors"]))):
        raise_problems([*problems, *wrong])  # designs are made of sound levels alone
    if unread := [*condition_problems(sweep)]:
        del sweep["design"]["where"]  # so that the other checks go on
    wrong += [*unread, *design_problems(sweep), *optimal_problems(sweep, order)]
    wrong += [*unused_level_problems(sweep), *size_problems(sweep), *addition_problems(sweep)]
    wrong += seed_problems(sweep, training)
    raise_problems([*problems, *wrong])
    if added := added_seeds(sweep):
        sweep["seeds"] = [*sweep["seeds"], *added]
    config["training"], config["baseline"]["settings"] = in_effect(training, sweep["factors"]), in_effect(baseline)
    return config
