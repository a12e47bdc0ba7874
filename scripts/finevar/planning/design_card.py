"""What is known of a study before its runs, gathered for the design card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from finevar.analyses.recommendation import primary_of
from finevar.metrics import SmallestEffect, smallest_effect
from finevar.planning import power
from finevar.planning.alternatives import Variant, variants
from finevar.planning.comparison import Compared, compared_designs
from finevar.planning.forecast import Forecast, forecast_study
from finevar.planning.power import Design, Diagnosis, Found, Noise
from finevar.reasons import Reason


@dataclass(frozen=True)
class DesignFacts:
    """What is known of a study before its runs."""

    config: Mapping[str, Any]
    pilot: Mapping[str, Any]
    design: Design
    diagnosis: Diagnosis
    gate: Reason | None
    noise: dict[str, Noise]  # by response
    smallest_effects: dict[str, SmallestEffect]  # by response
    forecast: Forecast
    variants: list[Variant]  # the first is the study as planned
    compared: list[Compared]  # the first is the study's own design; none of too many combinations of levels
    seen: Mapping[str, Any]  # what the model sees of each data set, see data.inspection

    @property
    def confidence(self) -> float:
        """Return the level of the study's intervals."""
        return self.config["analysis"]["confidence"]

    def found(self, response: str) -> list[Found]:
        """Return what is found of each factor in a response; nothing where that is not known or a gate would stop."""
        return [] if self.gate else self.changes[response]

    @cached_property
    def changes(self) -> dict[str, list[Found]]:
        """Return what is found of each factor in each response, worked out once: seconds of root finding."""
        alpha, wanted = 1 - self.confidence, {name: each.value for name, each in self.smallest_effects.items()}
        return {
            name: power.found_changes(self.design, noise, alpha, wanted[name]) for name, noise in self.noise.items()
        }


def gather_design_facts(
    config: Mapping[str, Any],
    pilot: Mapping[str, Any],
    finished: pd.DataFrame,
    baselines: pd.DataFrame,
    seen: Mapping[str, Any],
) -> DesignFacts:
    """Work out what the design card says.

    finished, baselines: rows of columns.METRICS of the study's runs that are done, and of its baseline's evaluations.
    seen: what the model sees of each data set.
    """
    design = power.planned_design(config)
    done = set(finished["run_id"]) if len(finished) else set()
    examples = [data["eval_examples"] for data in pilot["data"].values()]
    responses = in_order(config["analysis"], seen)
    noise = {response: power.expected_noise(response, finished, examples) for response in responses}
    return DesignFacts(
        config=config,
        pilot=pilot,
        design=design,
        diagnosis=power.diagnose(design.matrix, design.names),
        gate=power.planned_gate(design),
        noise=noise,
        smallest_effects={name: smallest_effect_of(name, config, baselines) for name in responses},
        forecast=forecast_study(config, pilot, done),
        compared=list(compared_designs(config)),
        variants=list(variants(config, pilot, done, next(iter(noise.values())))),
        seen=seen,
    )


def in_order(analysis: Mapping[str, Any], seen: Mapping[str, Any]) -> list[str]:
    """Return the metrics, the one that will choose a setting first."""
    counts = [facts["parts"]["eval"]["by_class"] for facts in seen.values()]
    rarest = min((min(found) / sum(found) for found in counts), default=None)
    primary, _ = primary_of(analysis.get("primary"), analysis["responses"], rarest)
    return sorted(analysis["responses"], key=lambda name: name != primary)


def smallest_effect_of(response: str, config: Mapping[str, Any], baselines: pd.DataFrame) -> SmallestEffect:
    """Return the smallest change of a response that matters, as far as the baseline has been evaluated."""
    known = float(baselines[response].mean()) if len(baselines) else None
    return smallest_effect(response, config["analysis"]["smallest_effect"], known)
