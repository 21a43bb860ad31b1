import jax
import numpy as np
import pytest
from scipy.integrate import quad

from lazyrich.heavy_tails import normal_mean
from lazyrich.lenses import SINE_CORRELATION, gaussian_moments, sine_teacher

erf = jax.scipy.special.erf


def test_the_moments_of_erf_are_the_closed_ones():
    expected = (
        2 / np.sqrt(3 * np.pi),
        2 / np.pi * np.arcsin(2 / 3),
        4 / np.pi / 5**0.5,
        -4 / np.pi**0.5 / 3**1.5,
    )
    np.testing.assert_allclose(gaussian_moments(erf), expected, rtol=1e-12)


def test_the_moments_of_tanh_are_those_of_a_quadrature():
    def mean(function):
        return quad(lambda g: function(g) * np.exp(-g * g / 2) / np.sqrt(2 * np.pi), -12, 12)[0]

    def slope(g):
        return 1 / np.cosh(g) ** 2

    third = lambda g: slope(g) * (6 * np.tanh(g) ** 2 - 2)  # noqa: E731
    expected = [slope, lambda g: np.tanh(g) ** 2, lambda g: slope(g) ** 2, third]
    np.testing.assert_allclose(gaussian_moments(jax.numpy.tanh), [*map(mean, expected)], rtol=1e-9)


def test_nuggets_are_what_the_kernel_of_two_samples_lacks():
    moments = gaussian_moments(erf)

    def kernel(t):
        own = 4 / np.pi / np.sqrt(9 - 4 * t * t)
        return 2 / np.pi * np.arcsin(2 * t / 3) + t * own

    linear = (kernel(1e-6) - kernel(-1e-6)) / 2e-6
    nugget = moments.output_nugget + moments.hidden_nugget
    np.testing.assert_allclose(linear, 2 * moments.slope**2, rtol=1e-9)
    np.testing.assert_allclose(kernel(1) - linear, nugget, rtol=1e-8)


def test_the_teacher_has_power_one_and_its_correlation():
    beta = np.array([0.6, 0.8])

    def labels(z):
        return np.asarray(sine_teacher(z[:, None] * beta, beta))

    np.testing.assert_allclose(normal_mean(lambda z: labels(z) ** 2), 1, rtol=1e-12)
    np.testing.assert_allclose(normal_mean(lambda z: z * labels(z)), SINE_CORRELATION, rtol=1e-12)


def test_what_is_no_activation_is_refused():
    with pytest.raises(ValueError, match="activation must be differentiable by jax.grad"):
        gaussian_moments(lambda g: float(g))
    with pytest.raises(ValueError, match="direction must be a unit vector"):
        sine_teacher(np.eye(2), np.ones(2))
