"""How often intervals hold where parts of the seed are crossed: of contrasts, shares and ratios of variances."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator

import numpy as np
from tests.calibration.populations import ALPHA, SETTINGS, quadratic

from finevar.statistics.clustered import Clustered
from finevar.statistics.components import Components
from finevar.statistics.crossed import part_sets

SENTENCES, RUN, SENTENCE, DIFFICULTY, TURN = 100, 0.0015, 0.04, 0.04, 0.02
KINDS = {  # standard deviations of what the first part, the second and both together do to the mean and to each slope
    "one part": (0.006, 0.0, 0.0),
    "two parts": (0.004, 0.004, 0.002),
    "their interaction": (0.0, 0.0, 0.005),
    "noise": (0.0, 0.0, 0.0),
}
COMPONENTS = {"alike": (1.0, 1.0, 0.7), "one part": (1.0, 0.0, 0.5), "interaction": (0.3, 0.3, 1.0)}
CONTRASTS = {"first factor": 1, "second factor": 2}  # which of the quadratic's columns


def study(draw: np.random.Generator, seeds: tuple[int, int], kind: str, missing: float) -> Clustered:
    """Return a study without effects, at every combination of the seeds of two parts, without a share of its runs."""
    first, second, setting = np.indices((*seeds, len(SETTINGS))).reshape(3, -1)
    places, both = SETTINGS[setting], first * seeds[1] + second
    metric = RUN * draw.standard_normal(len(both))
    for sd, part in zip(KINDS[kind], (first, second, both), strict=True):
        own = sd * draw.standard_normal((part.max() + 1, 4))[part]
        metric += (own * np.column_stack([np.ones(len(places)), places])).sum(1)
    sentences = DIFFICULTY * draw.standard_normal(SENTENCES) + TURN * places[:, :1] * draw.standard_normal(SENTENCES)
    sentences = sentences + SENTENCE * draw.standard_normal((seeds[0], SENTENCES))[first]
    values = metric[:, None] + sentences + SENTENCE * draw.standard_normal((len(both), SENTENCES))
    kept = draw.random(len(both)) >= missing
    parts, none = np.column_stack([first, second])[kept], np.zeros(kept.sum(), int)
    return Clustered(quadratic(places)[kept], both[kept], none, [values[kept]], parts=parts)


def held(clustered: Clustered) -> np.ndarray:
    """Say of each contrast whether its interval holds zero, the truth."""
    weights = np.eye(clustered.design.shape[1])[list(CONTRASTS.values())]
    low, high = clustered.contrasts(weights).interval(1 - ALPHA)
    return (low <= 0) & (high >= 0)


def components(draw: np.random.Generator, settings: int, alike: float, sds: tuple[float, ...]) -> Components:
    """Return 3 x 3 seeds at so many settings; alike: the share of each variance that all settings have in common."""
    values = np.zeros((settings, 3, 3))
    for each, sd in zip(part_sets(2), sds, strict=True):
        shape = tuple(3 if part in each else 1 for part in range(2))
        values += sd * math.sqrt(alike) * draw.standard_normal(shape)
        values += sd * math.sqrt(1 - alike) * draw.standard_normal((settings, *shape))
    return Components(values)


def components_hold(found: Components, sds: tuple[float, ...]) -> np.ndarray:
    """Say whether the intervals of the three shares, and of the ratio of the two parts, hold the truth."""
    truth = np.square(sds) / np.square(sds).sum()
    low, high = found.share_limits(1 - ALPHA)
    _, least, most = found.ratio((0,), (1,), 1 - ALPHA)
    ratio = math.inf if sds[1] == 0 else (sds[0] / sds[1]) ** 2
    return np.append((low[:3] <= truth) & (truth <= high[:3]), least <= ratio <= most)


def rates(studies: int, seed: int) -> Iterator[tuple[str, float]]:
    """Yield what is counted, and in how many per cent of studies it happens."""
    for seeds, kind, missing in itertools.product(((3, 3), (4, 4), (2, 5)), KINDS, (0.0, 0.05)):
        draws = (np.random.default_rng([seed, *seeds, number]) for number in range(studies))
        made = [study(draw, seeds, kind, missing) for draw in draws]
        name = f"{seeds[0]} x {seeds[1]} seeds, {kind}, {missing:.0%} missing"
        alone = [held(dataclasses.replace(one, parts=None)) for one in made]
        for how, found in (("crossed", [*map(held, made)]), ("taken for independent", alone)):
            for contrast, rate in zip(CONTRASTS, np.mean(found, axis=0), strict=True):
                yield f"{name}: {how}, {contrast}", 100 * float(rate)
    for settings, alike, (kind, sds) in itertools.product((1, 4, 15), (0.0, 0.5, 1.0), COMPONENTS.items()):
        draws = (np.random.default_rng([seed, settings, number]) for number in range(studies))
        found = [components_hold(components(draw, settings, alike, sds), sds) for draw in draws]
        name = f"components {kind}, {settings} settings, {alike:.0%} in common"
        for what, rate in zip(("first", "second", "both", "ratio"), np.mean(found, axis=0), strict=True):
            yield f"{name}: {what}", 100 * float(rate)
