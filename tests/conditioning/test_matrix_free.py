from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.conditioning import linear, matrix_free, on_range


def factors(widths, variances=None):
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, m**-0.5, (n, m)) for m, n in pairwise(widths)]
    return linear.linear_factors(
        weights, None if variances is None else on_range(np.diag(variances))
    )


@pytest.mark.parametrize(
    ("widths", "variances"),
    [
        ((20, 60, 60, 60, 5), None),
        ((20, 60, 60, 60, 5), np.logspace(0, 6, 20)),
        ((6, 30, 1), None),
        ((20, 10, 10, 5), np.logspace(0, 2, 20)),
    ],
)
def test_both_ends_are_found_without_the_matrix(widths, variances):
    known = factors(widths, variances)
    values = np.linalg.eigvalsh(linear.reduced_matrix(known))
    ends = matrix_free.extreme_eigenvalues(known)
    np.testing.assert_allclose(ends.largest, values[-1], rtol=1e-12)
    np.testing.assert_allclose(ends.smallest, values[0], rtol=1e-8)
    assert min(ends.residuals) >= 0 and max(ends.residuals) <= 1e-8


def test_the_residuals_are_those_of_unit_vectors():
    values, vectors = np.diag([2.0, 5.0]), np.array([3.0, 4.0])
    value, residual = matrix_free._rayleigh(lambda z: values @ z, vectors)
    unit = vectors / 5
    assert value == pytest.approx(2 * 0.36 + 5 * 0.64)
    assert residual == pytest.approx(np.linalg.norm(values @ unit - value * unit) / value)


def test_a_residual_above_the_tolerance_is_an_error():
    with pytest.raises(RuntimeError, match="residuals must reach 1e-20, got"):
        matrix_free.extreme_eigenvalues(factors((20, 60, 60, 60, 5)), tolerance=1e-20)
    with pytest.raises(ValueError, match="tolerance must be positive, got 0.0"):
        matrix_free.extreme_eigenvalues(factors((6, 30, 1)), tolerance=0.0)


@pytest.mark.parametrize(("residual", "accepted"), [(0.9e-8, True), (1.1e-8, False)])
def test_eight_digits_are_asked_for(monkeypatch, residual, accepted):
    monkeypatch.setattr(matrix_free, "_rayleigh", lambda apply, z: (1.0, residual))
    if accepted:
        assert matrix_free.extreme_eigenvalues(factors((6, 30, 1))).residuals == (residual,) * 2
    else:
        with pytest.raises(RuntimeError, match="residuals must reach 1e-08, got 1.1e-08"):
            matrix_free.extreme_eigenvalues(factors((6, 30, 1)))


NARROW = [(4, 2, 3), (6, 5, 3, 5), (8, 3, 3, 8), (3, 1, 3), (2, 1, 2)]
SINGULAR = [linear.Factors(jnp.zeros((1, 2, 2)), jnp.eye(3)[None]), *map(factors, NARROW)]


@pytest.mark.parametrize("singular", SINGULAR)
def test_a_singular_matrix_is_named(singular):
    for dtype in ("float64", "float32"):
        known = linear.Factors(*(part.astype(dtype) for part in singular))
        with pytest.raises(ValueError, match="factors must make a nonsingular matrix, got"):
            matrix_free.extreme_eigenvalues(known)


@pytest.mark.parametrize("widths", [(1, 1), (1, 5, 1), (2, 3, 1), (2, 2)])
def test_the_smallest_matrices_have_ends_too(widths):
    known = factors(widths)
    values = np.linalg.eigvalsh(linear.reduced_matrix(known))
    ends = matrix_free.extreme_eigenvalues(known)
    np.testing.assert_allclose([ends.smallest, ends.largest], values[[0, -1]], rtol=1e-13)


def test_single_precision_is_certified_to_as_many_digits():
    known = linear.Factors(*(part.astype("float32") for part in factors((20, 60, 60, 60, 5))))
    ends = matrix_free.extreme_eigenvalues(known)
    values = np.linalg.eigvalsh(np.float64(linear.reduced_matrix(known)))
    np.testing.assert_allclose([ends.smallest, ends.largest], values[[0, -1]], rtol=1e-6)
    assert max(ends.residuals) <= 1e-8
