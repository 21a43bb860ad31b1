import numpy as np
import pytest

from lazyrich.spectra.lanczos import CHECKED, ends_by_lanczos

DRAWS = np.random.default_rng(0)


def symmetric(values):
    """A dense matrix with these eigenvalues, and a count of the products with it."""
    Q, _ = np.linalg.qr(DRAWS.normal(size=(len(values), len(values))))
    matrix, taken = Q @ np.diag(values) @ Q.T, []

    def product(v):
        taken.append(v)
        return matrix @ v

    return product, taken


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(1, 2, 90),
        np.logspace(-4, 3, 70),
        np.concatenate([[-5.0, -5.0], np.linspace(1, 9, 60), [30.0]]),
        np.array([3.0]),
        np.array([2.0, 2.0]),
    ],
    ids=["narrow", "wide", "negative and twice", "one", "equal"],
)
def test_both_ends_are_those_of_the_matrix(values):
    product, taken = symmetric(values)
    ends = ends_by_lanczos(product, len(values), 1e-6, len(values))
    np.testing.assert_allclose(ends[:2], [values.min(), values.max()], rtol=1e-8)
    assert max(ends.residuals) < 1e-6
    assert ends.steps <= len(values) and len(taken) == ends.steps + 2


def test_it_stops_when_both_are_certified_and_not_before():
    values = np.concatenate([[0.1], np.linspace(1, 2, 400), [5.0]])
    product, _ = symmetric(values)
    coarse, fine = (ends_by_lanczos(product, 402, tolerance, 402) for tolerance in (1e-2, 1e-8))
    assert coarse.steps < fine.steps < 100 and fine.steps % CHECKED == 0
    assert max(coarse.residuals) < 1e-2 and max(fine.residuals) < 1e-8


def test_the_residuals_are_those_of_what_was_reached():
    product, _ = symmetric(np.logspace(-4, 3, 70))
    ends = ends_by_lanczos(product, 70, 1e-6, 12)
    assert ends.steps == 12 and ends.residuals[0] > 1e-3
    assert ends.smallest > 1e-4 and ends.largest < 1e3 * (1 + 1e-12)


def test_where_all_is_zero_nothing_is_certified():
    ends = ends_by_lanczos(lambda v: 0 * v, 5, 1e-6, 5)
    assert ends[:2] == (0, 0) and ends.residuals == (np.inf, np.inf) and ends.steps == 1


@pytest.mark.parametrize("unit", [2.0**-20, 2.0**10])
def test_the_number_of_products_does_not_depend_on_the_unit(unit):
    values = np.concatenate([[0.1], np.linspace(1, 2, 400), [5.0]])
    product, _ = symmetric(values)
    one = ends_by_lanczos(product, 402, 1e-4, 402)
    other = ends_by_lanczos(lambda v: unit * product(v), 402, 1e-4, 402)
    assert other.steps == one.steps
    np.testing.assert_allclose(other.residuals, one.residuals, rtol=1e-3)
