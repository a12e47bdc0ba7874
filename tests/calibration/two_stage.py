"""Simulate studies that are augmented by the two-stage rule: how often the interval then holds the truth.

Rates are per cent of studies in which the 95 % interval of a factor's change over its range holds the truth, with what
the first stage knew, and computed anew from all runs as if their number had been fixed; and the seeds it took, a mean.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from finevar.statistics.covariance import FirstStage
from finevar.statistics.regression import Surface, fit_surface
from finevar.statistics.two_stage import Precision
from finevar.study.coding import Coding, terms
from finevar.study.goals import contrasts_of

CONFIDENCE = 0.95
TIMES = 5  # as many studies as of the other topics, which take longer
FIRST = (4, 6)  # seeds
MOST = 200
SD, SLOPES = 0.01, 0.01  # between runs; between seeds' slopes
SENTENCE, NOISE = 0.05, 0.1  # between sentences' slopes; of a sentence in a run
NEARLY = 1.02  # sentences say a little else of themselves once there are more seeds
SENTENCES = 400
TRUTH = 0.02  # the change over the range
CODINGS = {"batch_size": Coding((16, 32, 64), "log2"), "epochs": Coding((1, 2, 3), "identity")}
PLACES = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=2)))  # the settings in coded units
COLUMNS = terms(CODINGS, "quadratic")
CONTRAST = contrasts_of(CODINGS, COLUMNS)["batch_size"]
Drawn = tuple[np.ndarray, np.ndarray]  # seeds' metrics [seeds, settings] and contributions [seeds, settings, sentences]


class Study(NamedTuple):
    """A kind of study, and the sentences that one of them draws."""

    first: int  # seeds
    slopes: float  # standard deviation of seeds' slopes
    own: np.ndarray  # slopes of sentences [sentences], perhaps none

    @property
    def wanted(self) -> float:
        """Return the half-width to augment for: twice the standard error that is to be expected of the first stage."""
        seed = 4 * (SD**2 / np.square(PLACES[:, 0]).sum() + self.slopes**2) / self.first
        sentence = 4 * SENTENCE**2 / len(self.own) if len(self.own) else 0.0
        return 2 * math.sqrt(seed + sentence)

    def drawn(self, seeds: int, generator: np.random.Generator) -> Drawn:
        """Return seeds of it."""
        values = TRUTH / 2 * PLACES[:, 0] + generator.normal(scale=SD, size=(seeds, len(PLACES)))
        values += generator.normal(scale=self.slopes, size=(seeds, 1)) * PLACES[:, 0]
        noise = generator.normal(scale=NOISE, size=(*values.shape, len(self.own)))
        each = values[..., None] + self.own * PLACES[:, :1] + noise
        return (each.mean(-1) if len(self.own) else values), each


def rates(studies: int, seed: int) -> Iterator[tuple[str, float]]:
    """Yield what was counted and its rate or mean."""
    generator = np.random.default_rng(seed)
    for first, slopes, sentences in itertools.product(FIRST, (0.0, SLOPES), (0, SENTENCES)):
        kind = [Study(first, slopes, generator.normal(scale=SENTENCE, size=sentences)) for _ in range(TIMES * studies)]
        found = np.mean([augmented(study, generator) for study in kind], axis=0)
        name = f"{first} seeds, {'other' if slopes else 'the same'} slopes in each, {sentences} sentences"
        for what, value in zip(("first stage kept", "computed anew", "as narrow as wanted"), 100 * found, strict=False):
            yield f"{name}: {what}", value
        yield f"{name}: seeds in the end", found[-1]


def augmented(study: Study, generator: np.random.Generator) -> tuple[bool, bool, bool, int]:
    """Return whether intervals hold the truth, with the first stage kept and anew, if narrow enough, and the seeds."""
    first = study.drawn(study.first, generator)
    begun = surface_of([first])
    known = Precision.of(begun.read(weights(begun)), CONFIDENCE)
    needed = known.seeds_needed(study.first, study.wanted, MOST) or MOST
    anew = surface_of([first, study.drawn(needed - study.first, generator)])
    unit = float((begun.spread.rows(weights(begun)[:, begun.unblocked]) ** 2).sum())
    stage = FirstStage(weights(anew)[0], math.sqrt(known.seed / unit), known.seed_df)
    kept = dataclasses.replace(anew, fit=dataclasses.replace(anew.fit, first_stages=(stage,)))
    narrow = Precision.of(kept.read(weights(kept)), CONFIDENCE).half_width() <= NEARLY * study.wanted
    return holds(kept), holds(anew), narrow, needed


def weights(surface: Surface) -> np.ndarray:
    """Return the contrast [1, parameters]."""
    return surface.padded(CONTRAST[None])


def surface_of(parts: Sequence[Drawn]) -> Surface:
    """Return the surface of seeds that were drawn."""
    values, each = (np.concatenate([part[number] for part in parts]) for number in (0, 1))
    seeds, settings = values.shape
    levels = {name: np.tile(coding.natural(PLACES[:, at]), seeds) for at, (name, coding) in enumerate(CODINGS.items())}
    runs = pd.DataFrame(levels | {"value": values.ravel(), "seed": np.repeat(np.arange(seeds), settings)})
    runs = runs.assign(dataset="d", point_id=np.tile(np.arange(settings), seeds), trajectory_id=runs.index)
    sentences = {"d": each.reshape(len(runs), -1)} if each.size else {}
    return fit_surface(runs, "value", CODINGS, COLUMNS, CONFIDENCE, sentences=sentences)


def holds(surface: Surface) -> bool:
    """Say whether the interval of the change holds the truth."""
    (low,), (high,) = surface.read(weights(surface)).interval(CONFIDENCE)
    return bool(low <= TRUTH <= high)
