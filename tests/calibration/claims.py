"""How often claims are called replicated or contradicted although the truth is otherwise, in simulated studies.

Five claims are made on one metric. Their terms all have the same true change: none, exactly the smallest effect of
interest (two standard deviations between seeds), or six of these deviations. A rate is a share of studies in which any
of the five is judged so, or where it says "each", of claims.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from tests.calibration import simulate

from finevar.analyses import claims, fits
from finevar.study.coding import model_matrix, term_group, term_name

TERMS = [("learning_rate",), ("batch_size",), ("epochs",), ("learning_rate", "epochs"), ("batch_size", "epochs")]
SIZES = {"no effect": 0.0, "effect at the bound": 2.0, "large effect": 6.0}  # in standard deviations between seeds
SAID = {"an increase": ("effect", "positive"), "a decrease": ("effect", "negative"), "no effect": ("none", None)}


def claim(term: tuple[str, ...], finding: str, sign: str | None) -> dict[str, Any]:
    """Return a claim about the simulated metric."""
    said = {"term": term_name(term), "finding": finding, "sign": sign, "response": "accuracy", "framework": None}
    return said | {"name": term_name(term), "statement": "", "source": "", "p": None}


def study(shape: simulate.Design, size: float, generator: np.random.Generator) -> pd.DataFrame:
    """Return runs whose metric changes by so many standard deviations by every claimed term, as claims read it."""
    runs = simulate.empty_study(shape)
    coded = {name: coding.coded(runs[name]) for name, coding in shape.codings.items()}
    whole = [claims.WHOLE.get(term_group(term), fits.SPAN["first_order"]) for term in TERMS]
    values = 0.8 + model_matrix(coded, TERMS) @ (size * simulate.SD / np.array(whole))
    values += generator.normal(scale=simulate.SD, size=len(runs))
    return runs.assign(accuracy=values, trajectory_id=runs["run_id"], baseline_accuracy=0.8)


def verdicts(runs: pd.DataFrame, shape: simulate.Design) -> dict[str, list[str]]:
    """Return the verdicts on the five claims, by what they say."""
    smallest = {"accuracy": SIZES["effect at the bound"] * simulate.SD}
    plan = fits.Plan(shape.codings, {}, ["accuracy"], "quadratic", 1 - simulate.ALPHA, smallest_effect=smallest)
    fitted = fits.FittedStudy.of(runs, plan)
    found = {}
    for what, said in SAID.items():
        stated = replace(plan, claims=[claim(term, *said) for term in TERMS])
        found[what] = [row["verdict"] for row in claims.judge_claims(replace(fitted, plan=stated))]
    return found


def rates(studies: int, seed: int, design: str = "small") -> Iterator[tuple[str, float]]:
    """Yield what is counted, and in how many per cent of studies, or of claims, it happens."""
    shape = simulate.DESIGNS[design]
    for truth, size in SIZES.items():
        counts: Counter[str] = Counter()
        for number in range(studies):
            runs = study(shape, size, np.random.default_rng([seed, list(SIZES).index(truth), number]))
            for what, judged in verdicts(runs, shape).items():
                for verdict in ("replicated", "contradicted"):
                    counts[f"{what} claimed: any {verdict}"] += verdict in judged
                    counts[f"{what} claimed: each {verdict}"] += judged.count(verdict) / len(TERMS)
        for what, count in counts.items():
            yield f"{truth}, {what}", 100 * count / studies
