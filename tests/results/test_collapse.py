"""Which finished runs have collapsed, by counts worked out here."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from finevar.metrics import Evaluated
from finevar.reasons import Collapse
from finevar.results.collapse import collapse, surely_above


def evaluated(*counts: tuple[int, int, int], classes: int = 2) -> Evaluated:
    """Return so many examples of a label that a class was predicted for: (label, predicted, count)."""
    labels = np.repeat([label for label, _, _ in counts], [count for *_, count in counts])
    predicted = np.repeat([answer for _, answer, _ in counts], [count for *_, count in counts])
    return Evaluated(np.eye(classes, dtype=np.float32)[predicted], labels)


@pytest.mark.parametrize(
    ("counts", "baseline", "code"),
    [
        ([(0, 1, 200), (1, 1, 300)], 0.85, Collapse.ONE_CLASS),  # always the larger class
        ([(0, 0, 200), (1, 0, 300)], 0.85, Collapse.ONE_CLASS),  # always the smaller one
        ([(0, 1, 190), (0, 0, 10), (1, 1, 300)], 0.85, Collapse.ONE_CLASS),  # 98 % of the answers
        ([(0, 1, 189), (0, 0, 11), (1, 1, 300)], 0.85, Collapse.NO_BETTER),  # 0.622 is no more than 0.6 + 2 x 0.0219
        ([(0, 1, 189), (0, 0, 11), (1, 1, 300)], 0.64, None),  # nor is the baseline's accuracy
        ([(0, 0, 40), (0, 1, 160), (1, 1, 290), (1, 0, 10)], 0.85, None),  # 0.66
        ([(0, 0, 100), (0, 1, 100), (1, 1, 150), (1, 0, 150)], 0.85, Collapse.NO_BETTER),  # by chance
        ([(0, 0, 8), (0, 1, 7), (1, 1, 485)], 0.99, None),  # a rare class, half of it found
        ([(0, 1, 15), (1, 1, 485)], 0.99, Collapse.ONE_CLASS),  # none of it
        ([(0, 1, 2), (1, 1, 498)], 0.998, None),  # nothing sure can be said of two examples
        ([(1, 1, 500)], 1.0, None),  # there is one class alone
    ],
)
def test_of_two_classes(counts, baseline, code):
    found = collapse(evaluated(*counts), baseline)
    assert (found and found.code) == code


def test_of_several_classes():
    always = evaluated(*((label, 3, 100) for label in range(5)), classes=5)
    assert collapse(always, 0.7).code == Collapse.ONE_CLASS
    two = evaluated(*((label, 3 * (label > 1), 100) for label in range(5)), classes=5)  # accuracy 0.4
    assert collapse(two, 0.7) is None


def test_two_standard_errors_are_those_of_the_binomial():
    assert surely_above(0.6, 500) == pytest.approx(0.6 + 2 * stats.binom(500, 0.6).std() / 500)


def test_chance_alone_seldom_makes_a_collapse():
    """A model of accuracy 0.75 on two equal classes: its 500 answers are never taken for a coin's in 2,000 studies."""
    draw = np.random.default_rng(2)
    hits = draw.binomial(250, 0.75, (2000, 2))
    found = [
        collapse(evaluated((0, 0, a), (0, 1, 250 - a), (1, 1, b), (1, 0, 250 - b)), 0.85) for a, b in hits.tolist()
    ]
    assert not any(found)
