"""What is known of a study before its runs, gathered for the design card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from finevar.metrics import SmallestEffect, smallest_effect
from finevar.planning import power
from finevar.planning.alternatives import Variant, variants
from finevar.planning.forecast import Forecast, forecast_study
from finevar.planning.power import Design, Detectable, Diagnosis, Noise
from finevar.reasons import Reason


@dataclass(frozen=True)
class DesignFacts:
    """What is known of a study before its runs."""

    config: Mapping[str, Any]
    pilot: Mapping[str, Any]
    design: Design
    diagnosis: Diagnosis
    gate: Reason | None
    detected: Detectable | None  # None where the gate would stop the analysis
    noise: dict[str, Noise]  # by response
    smallest_effects: dict[str, SmallestEffect]  # by response
    forecast: Forecast
    variants: list[Variant]  # the first is the study as planned

    @property
    def confidence(self) -> float:
        """Return the level of the study's intervals."""
        return self.config["analysis"]["confidence"]

    def rows(self, response: str) -> list[dict[str, Any]]:
        """Return a row per term of what is detected in a response; none where that is not known."""
        sd = self.noise[response].sd
        return [] if self.detected is None or sd is None else power.term_rows(self.design, self.detected, sd)


def gather_design_facts(
    config: Mapping[str, Any], pilot: Mapping[str, Any], finished: pd.DataFrame, baselines: pd.DataFrame
) -> DesignFacts:
    """Work out what the design card says.

    finished, baselines: rows of columns.METRICS of the study's runs that are done, and of its baseline's evaluations.
    """
    design = power.planned_design(config)
    done = set(finished["run_id"]) if len(finished) else set()
    gate = power.planned_gate(design)
    examples = min(data["eval_examples"] for data in pilot["data"].values())
    responses = config["analysis"]["responses"]
    return DesignFacts(
        config=config,
        pilot=pilot,
        design=design,
        diagnosis=power.diagnose(design.matrix, design.names),
        gate=gate,
        detected=None if gate else power.detectable_effects(design, 1 - config["analysis"]["confidence"]),
        noise={response: power.expected_noise(response, finished, examples) for response in responses},
        smallest_effects={name: smallest_effect_of(name, config, baselines) for name in responses},
        forecast=forecast_study(config, pilot, done),
        variants=list(variants(config, pilot, done)),
    )


def smallest_effect_of(response: str, config: Mapping[str, Any], baselines: pd.DataFrame) -> SmallestEffect:
    """Return the smallest change of a response that matters, as far as the baseline has been evaluated."""
    known = float(baselines[response].mean()) if len(baselines) else None
    return smallest_effect(response, config["analysis"]["smallest_effect"], known)
