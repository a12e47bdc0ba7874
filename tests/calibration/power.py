"""How often simulated studies find a change exactly as large as the design card says they would with 80 % power.

Studies are simulated sentence by sentence (`truths`), every factor changing the accuracy by what the card says is found
of it. The card knows the average noise between seeds and between sentences, as after a study alike. That noise grows,
or seeds change slopes, it does not know: there the rates show how far it is off.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from tests.calibration import truths

from finevar.analyses.effects import change_weights
from finevar.planning import power
from finevar.statistics import families
from finevar.statistics.regression import Surface, fit_surface
from finevar.statistics.simple_effects import simple_effects
from finevar.study.coding import design_matrix, terms

DESIGN, ALPHA, DRAWS = "central_composite", 0.05, 5_000
SEEDS = (2, 4, 5, 8)
COLUMNS = terms(list(truths.FACTORS), "quadratic")


def simulated(kind: str, seeds: int, sizes: tuple[float, ...], generator: np.random.Generator) -> Surface:
    """Return the fitted accuracy of a study whose factors change it by sizes, in smallest effects."""
    truth = truths.truth_of(truths.KINDS[kind], sizes, 0.0)
    runs, settings = truths.planned(DESIGN, seeds, 1)
    counts = (seeds, truths.SENTENCES)
    drawn = truths.outcomes(truth.margins[0], truth.loss_scales[0], truths.KINDS[kind], settings, counts, generator)
    runs = pd.concat([runs, pd.DataFrame(truths.metrics(drawn))], axis=1)
    sentences = {truths.DATASETS[0]: drawn.hits.astype(float)}
    return fit_surface(runs, "accuracy", truths.CODINGS, COLUMNS, 1 - ALPHA, sentences=sentences)


def noises(kind: str, seeds: int, studies: int, seed: int) -> dict[str, power.Noise]:
    """Return what the card knows, by factor: averages over studies in which nothing moves the accuracy."""
    between, sentence = [], []
    for number in range(studies):
        surface = simulated(kind, seeds, (0.0,) * len(truths.FACTORS), np.random.default_rng([seed, seeds, number]))
        found = surface.read(np.array([change_weights(surface, name) for name in truths.FACTORS]))
        between.append(surface.pure_error_sd**2)
        sentence.append(np.maximum(found.sentence - found.both, 0) * truths.SENTENCES)
    sd, each = float(np.sqrt(np.mean(between))), np.sqrt(np.mean(sentence, axis=0)).tolist()
    return {
        name: power.Noise(sd, None, sentence_sd, truths.SENTENCES)
        for name, sentence_sd in zip(truths.FACTORS, each, strict=True)
    }


def found(kind: str, seeds: int, studies: int, seed: int) -> dict[str, float]:
    """Return, for each factor, the share of studies that find its change."""
    runs, _ = truths.planned(DESIGN, seeds, 1)
    design = power.Design(runs, truths.CODINGS, COLUMNS, *design_matrix(runs, truths.CODINGS, COLUMNS))
    told = noises(kind, seeds, studies, seed)
    changes = {name: power.found_change(design, noise, ALPHA, None, name).change for name, noise in told.items()}
    sizes = tuple(change / truths.SMALLEST["accuracy"] for change in changes.values())
    shares = np.zeros(len(sizes))
    for number in range(studies):
        surface = simulated(kind, seeds, sizes, np.random.default_rng([seed + 1, seeds, number]))
        shares += [smallest_p(surface, name) < ALPHA for name in truths.FACTORS]
    return dict(zip(changes, shares / studies, strict=True))


def smallest_p(surface: Surface, factor: str) -> float:
    """Return the p-value that a factor changes nothing anywhere."""
    weights = simple_effects(surface, factor).weights[:, surface.unblocked]
    return float(np.nanmin(families.family(surface.spread, weights, draws=DRAWS).p_value))


def rates(studies: int, seed: int) -> Iterator[tuple[str, float]]:
    """Yield each kind of study, seeds and factor with the per cent of studies that find it: 80 are promised."""
    for kind in ("clean", "growing", "slopes", "tails"):
        for seeds in SEEDS:
            for factor, share in found(kind, seeds, studies, seed).items():
                yield f"{kind}, {seeds} seeds: {factor} found", 100 * share
