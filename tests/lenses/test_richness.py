import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import brentq

from lazyrich.lenses import (
    large_sample_richness,
    linear_displacement,
    shrinkage,
    teacher_richness,
    total_richness,
)

LEVELS = (0.9, 0.3, 0.01)


def close(measured, expected, rtol=1e-9, atol=0.0):
    np.testing.assert_allclose(measured, expected, rtol, atol)


@pytest.fixture
def task():
    """A Jacobian of eight samples, and labels."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(8, 12)), rng.normal(size=8)


@pytest.mark.parametrize("level", LEVELS)
def test_the_residual_is_that_of_a_matrix_exponential(task, level):
    J, y = task
    K = J @ J.T

    def residual(time):
        return expm(-K * time) @ y

    time = brentq(lambda t: residual(t) @ residual(t) / (y @ y) - level, 0, 1e3, xtol=1e-14)
    alpha = np.linalg.solve(K, y - residual(time))
    found = linear_displacement(K, y, level)
    close(found.residual, alpha, rtol=1e-8)
    close(found.dimension, alpha @ K @ alpha, rtol=1e-8)


@pytest.mark.parametrize("level", LEVELS)
def test_the_dimension_is_the_square_of_what_parameters_move(task, level):
    J, y = task
    theta, rate = np.zeros(12), 1e-3 / np.linalg.norm(J, 2) ** 2
    J = J[:4]
    y = y[:4]
    while ((J @ theta - y) ** 2).sum() > level * (y**2).sum():
        theta += rate * J.T @ (y - J @ theta)
    found = linear_displacement(J @ J.T, y, level)
    close(found.dimension, theta @ theta, rtol=1e-2)
    close(total_richness(found.dimension, 3.0, 50.0) ** 2, 2 * 9 * theta @ theta / 50, rtol=1e-2)


def test_the_residual_scales_with_labels_and_kernel(task):
    J, y = task
    K = J @ J.T
    one, other = linear_displacement(K, y, 0.1), linear_displacement(1e30 * K, 1e-20 * y, 0.1)
    close(other.residual, 1e-50 * np.asarray(one.residual), rtol=1e-8)
    close(other.dimension, 1e-70 * np.asarray(one.dimension), rtol=1e-8)


def test_a_kernel_without_what_the_labels_need_gives_inf():
    y = np.array([1.0, 1.0])
    assert np.isinf(linear_displacement(np.diag([1.0, 0.0]), y, 0.4).dimension)
    found = linear_displacement(np.diag([1.0, 0.0]), y, 0.6)
    close(found.residual, [1 - 0.2**0.5, 0], atol=1e-12)


def test_along_one_direction_both_parts_agree():
    """Without a nugget the kernel is 2 μ₁² X̃ X̃ᵀ, and a single sample has one direction."""
    x, mu = np.array([[3.0, 4.0]]), 0.65
    K = 2 * mu**2 * x @ x.T / 2
    found = linear_displacement(K, np.array([0.7]), 0.1)
    total = total_richness(found.dimension, 2.0, 64.0)
    close(teacher_richness(found.residual, x, x[0] / 5, 2.0, 64.0, mu), total)


@pytest.mark.parametrize(("ratio", "ridge"), [(1.0, 0.2181), (4.0, 0.2181), (0.5, 1.0)])
def test_shrinkage_is_that_of_a_large_matrix(ratio, ridge):
    x = np.random.default_rng(0).normal(size=(int(600 * ratio), 600))
    values = np.linalg.eigvalsh(x.T @ x / 600)
    close(shrinkage(ratio, ridge), (values / (values + ridge)).mean(), rtol=5e-3)


def test_shrinkage_has_its_limits():
    close(shrinkage(1e9, 0.2), 1, rtol=1e-8)
    close(shrinkage(1e-9, 0.2), 1e-9 / 1.2, rtol=1e-6)
    with pytest.raises(ValueError, match="ridge must be from"):
        shrinkage(1.0, 0.0)


def test_with_many_samples_richness_depends_on_the_knob_alone():
    rng, mu, b, gamma, n = np.random.default_rng(0), 0.65, 0.92, 3.0, 256.0
    x = rng.normal(size=(1200, 20))
    K = 2 * mu**2 * x @ x.T / 20 + 1e-9 * np.eye(1200)
    labels = b * x[:, 0]
    found = linear_displacement(K, labels, 0.001)
    limit = large_sample_richness(gamma, n, 20.0, mu, b)
    # What is left of the labels at this level is a share √0.001 of them.
    close(total_richness(found.dimension, gamma, n), limit, rtol=0.05)
    beta = np.eye(20)[0]
    close(teacher_richness(found.residual, x, beta, gamma, n, mu), limit, rtol=0.05)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="level must be from 0.001 to 0.999"):
        linear_displacement(np.eye(2), np.ones(2), 1.5)
    with pytest.raises(ValueError, match="kernel must be symmetric"):
        linear_displacement(np.triu(np.ones((2, 2))), np.ones(2), 0.5)
    with pytest.raises(ValueError, match="y must have shape"):
        linear_displacement(np.eye(2), np.ones(3), 0.5)
    with pytest.raises(ValueError, match="scale must be from 0"):
        total_richness(1.0, -1.0, 4.0)
