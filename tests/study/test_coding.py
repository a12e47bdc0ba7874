"""Coded units and model terms against closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from finevar.study.coding import Coding, model_matrix, step_unit, term_group, term_name, term_of, terms

SCALES = {"identity": (1.0, 2.0, 4.0), "log2": (8.0, 16.0, 64.0), "log10": (1e-5, 1e-4, 1e-2)}


def test_identity_is_centred_and_scaled():
    coding = Coding((1, 2, 4), "identity")
    assert coding.coded([1, 2, 4]) == pytest.approx([-1, -1 / 3, 1])
    assert (coding.middle, coding.half_range) == (2.5, 1.5)


def test_log2_counts_doublings():
    assert Coding((8, 16, 32), "log2").coded([8, 16, 32]) == pytest.approx([-1, 0, 1])
    assert Coding((64, 8), "log2").coded([16]) == pytest.approx([-1 / 3])


def test_log10_counts_decades():
    assert Coding((1e-5, 1e-3), "log10").coded([1e-4]) == pytest.approx([0], abs=1e-12)


def test_the_order_of_levels_does_not_matter():
    assert Coding((4, 1, 2), "identity").coded([1, 4]) == pytest.approx([-1, 1])


@pytest.mark.parametrize("scale", SCALES)
def test_natural_undoes_coded(scale):
    coding = Coding(SCALES[scale], scale)
    values = np.linspace(min(coding.levels), max(coding.levels), 7)
    assert coding.natural(coding.coded(values)) == pytest.approx(values, rel=1e-12)
    assert coding.natural([-1, 1]) == pytest.approx([min(coding.levels), max(coding.levels)], rel=1e-12)


@pytest.mark.parametrize(
    ("levels", "scale", "start", "one_step_on"),
    [((8, 64), "log2", 8, 16), ((1e-5, 1e-3), "log10", 1e-5, 2e-5), ((1, 4), "identity", 1, 2)],
)
def test_a_natural_step_is_a_doubling_or_one_unit(levels, scale, start, one_step_on):
    coding = Coding(levels, scale)
    assert coding.step == pytest.approx(float(coding.coded(one_step_on) - coding.coded(start)), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "scale", "unit"),
    [
        ("learning_rate", "log10", "per doubling of learning_rate"),
        ("batch_size", "log2", "per doubling of batch_size"),
        ("epochs", "identity", "per epoch"),
        ("dropout", "identity", "per unit of dropout"),
    ],
)
def test_a_step_is_named(name, scale, unit):
    assert step_unit(name, scale) == unit


def test_terms_of_the_quadratic():
    named = [term_name(term) for term in terms(["a", "b", "c"], "quadratic")]
    assert named == ["intercept", "a", "b", "c", "a:b", "a:c", "b:c", "a^2", "b^2", "c^2"]


@pytest.mark.parametrize(("order", "count"), [("first_order", 5), ("interactions", 11), ("quadratic", 15)])
def test_each_order_holds_those_before_it(order, count):
    assert len(terms(list("abcd"), order)) == count  # 1 + k, + k (k - 1) / 2, + k
    assert terms(list("abcd"), "quadratic")[:count] == terms(list("abcd"), order)


def test_groups_of_terms():
    assert [term_group(term) for term in [(), ("a",), ("a", "b"), ("a", "a")]] == [
        "intercept",
        "first_order",
        "two_way",
        "quadratic",
    ]


def test_the_model_matrix_multiplies_columns():
    coded = {"a": np.array([-1.0, 2.0]), "b": np.array([3.0, 5.0])}
    assert model_matrix(coded, terms(["a", "b"], "quadratic")).tolist() == [[1, -1, 3, -3, 1, 9], [1, 2, 5, 10, 4, 25]]


def variance_inflation(columns: np.ndarray) -> list[float]:
    """Return 1 / (1 - R2) of each column on the others and a constant: the diagonal of the inverse correlation."""
    return list(np.diag(np.linalg.inv(np.corrcoef(columns, rowvar=False))))


def grid(log_coded: bool) -> np.ndarray:
    """Return the quadratic's columns, without intercept, on a 4 x 4 x 4 grid in doublings."""
    levels = {"learning_rate": (1e-5, 2e-5, 4e-5, 8e-5), "batch_size": (8, 16, 32, 64), "epochs": (1, 2, 4, 8)}
    natural = dict(zip(levels, np.array(list(itertools.product(*levels.values()))).T, strict=True))
    if log_coded:
        natural = {name: Coding(levels[name], "log2").coded(column) for name, column in natural.items()}
    return model_matrix(natural, terms(list(levels), "quadratic"))[:, 1:]


def test_log_coding_leaves_no_collinearity():
    assert variance_inflation(grid(log_coded=True)) == pytest.approx([1.0] * 9, abs=1e-9)
    assert max(variance_inflation(grid(log_coded=False))) > 10


def test_a_name_leads_back_to_its_term():
    for term in [(), ("a",), ("a", "b"), ("a", "a"), ("a", "a", "a")]:
        assert term_of(term_name(term)) == term
