import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from lazyrich.heavy_tails import normal_mean, normal_means


def expected(function, precision=1e-15):
    def weighted(g):
        return function(g) * math.exp(-(g**2) / 2) / math.sqrt(2 * math.pi)

    return quad(weighted, -30, 30, epsabs=precision, epsrel=1e-13, limit=300, points=[0])[0]


def slope(g):
    return 1 / np.cosh(g) ** 2


MEAN_SLOPE = expected(slope)


@pytest.mark.parametrize(
    ("constant", "value", "printed"),
    [
        ("SLOPE", MEAN_SLOPE, 0.60571),
        ("SLOPE_VARIANCE", expected(lambda g: (slope(g) - MEAN_SLOPE) ** 2), 0.09752),
        ("SLOPE_CURVATURE", expected(lambda g: slope(g) * (g**2 - 1)), -0.36360),
        ("FEATURE_POWER", expected(lambda g: np.tanh(g) ** 2), 0.39429),
        ("TEACHER_SLOPE", expected(lambda g: 1 / (1 + np.exp(-g))), 0.5),
        ("TEACHER_POWER", expected(lambda g: np.log1p(np.exp(g)) ** 2), 0.92125),
        ("EVEN_POWER", expected(lambda g: np.log(2 * np.cosh(g / 2)) ** 2), 0.67125),
    ],
)
def test_the_constants_are_integrals(constant, value, printed):
    np.testing.assert_allclose(getattr(normal_means, constant), value, rtol=1e-13)
    assert round(value, 5) == printed


def test_the_power_of_the_teacher_is_that_of_its_parts():
    # softplus(g) = g/2 + log(2 cosh(g/2)), odd and even
    parts = normal_means.TEACHER_SLOPE**2 + normal_means.EVEN_POWER
    np.testing.assert_allclose(normal_means.TEACHER_POWER, parts, rtol=1e-14)


@given(st.integers(1, 5), st.floats(0.1, 5.0))
def test_means_are_exact_to_rounding(power, frequency):
    moment = np.prod(np.arange(2 * power - 1, 0, -2))
    np.testing.assert_allclose(normal_mean(lambda g: g ** (2 * power)), moment, rtol=1e-12)
    np.testing.assert_allclose(normal_mean(lambda g: g ** (2 * power - 1)), 0, atol=1e-11)
    wave = normal_mean(lambda g: np.cos(frequency * g))
    np.testing.assert_allclose(wave, np.exp(-(frequency**2) / 2), atol=1e-14)


@pytest.mark.parametrize("tau", [0.1, 3.0, 20.0])
def test_steep_functions_are_no_harder(tau):
    value = expected(lambda g: np.tanh(tau * g + 0.7), precision=1e-10)
    np.testing.assert_allclose(normal_mean(lambda g: np.tanh(tau * g + 0.7)), value, rtol=1e-8)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (1.0, "function must be one of points, got a float"),
        (lambda g: 1.0, r"function must give values on a last axis of 1281, got shape \(\)"),
        (lambda g: g[:, None], r"function must give values .*, got shape \(1281, 1\)"),
        (lambda g: g[1:], r"function must give values .*, got shape \(1280,\)"),
    ],
)
def test_what_has_no_mean_over_points_is_named(function, message, unchecked):
    with pytest.raises(ValueError, match="^" + message):
        unchecked(normal_mean)(function)


def test_kinks_and_growth_cost_what_the_text_says():
    np.testing.assert_allclose(normal_mean(np.abs), (2 / np.pi) ** 0.5, rtol=1 / 64**2)
    share = normal_mean(lambda g: (g > 0.3).astype(float))
    np.testing.assert_allclose(share, norm.sf(0.3), atol=1 / 64)
    np.testing.assert_allclose(normal_mean(lambda g: np.exp(0.25 * g**2)), 2**0.5, rtol=1e-11)
    assert normal_mean(lambda g: np.exp(0.499 * g**2)) < 0.5 * (1 - 0.998) ** -0.5


def test_many_means_are_over_the_last_axis():
    scales = np.arange(6.0).reshape(2, 3)
    means = normal_mean(lambda g: (scales[..., None] * g) ** 2)
    np.testing.assert_allclose(means, scales**2, rtol=1e-13)
