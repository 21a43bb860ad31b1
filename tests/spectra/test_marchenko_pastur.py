import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from lazyrich import spectra

ratios = st.floats(1e-3, 20.0)
shares = st.floats(0.0, 1.0)


def test_a_large_random_matrix_fills_the_marchenko_pastur_law():
    for rows, columns in ((150, 450), (450, 150)):
        X = 1.5 * np.random.default_rng(0).normal(size=(rows, columns))
        lower, upper = spectra.marchenko_pastur_edges(rows / columns, 1.5**2)
        values = np.linalg.eigvalsh(X @ X.T / columns)[-min(rows, columns) :]
        np.testing.assert_allclose([values[0], values[-1]], [lower, upper], rtol=0.06)


def test_marchenko_pastur_edges_have_a_unit_variance_and_broadcast():
    lower, upper = spectra.marchenko_pastur_edges(np.array([0.25, 1.0, 4.0]))
    assert lower.tolist() == [0.25, 0, 1] and upper.tolist() == [2.25, 4, 9]
    with pytest.raises(ValueError, match="ratio must be positive, got 0.0"):
        spectra.marchenko_pastur_edges(0.0)
    with pytest.raises(ValueError, match="variance must be positive, got -1.0"):
        spectra.marchenko_pastur_edges(1.0, -1.0)


@pytest.mark.parametrize("ratio", [1e-4, 0.1, 2 / 3, 1.0, 1.7, 10.0])
def test_the_distribution_is_the_integral_of_the_density(ratio):
    low, high = map(float, spectra.marchenko_pastur_edges(ratio))
    for share in (0.03, 0.3, 0.8, 0.99):
        x = low + share * (high - low)
        above, _ = integrate.quad(
            lambda y: float(spectra.marchenko_pastur_density(y, ratio)), x, high, epsabs=1e-12
        )
        measured = spectra.marchenko_pastur_distribution(x, ratio)
        np.testing.assert_allclose(measured, 1 - above, rtol=0, atol=1e-11)


def test_the_law_ends_at_its_edges_and_has_its_mass_at_zero():
    for ratio, mass in ((0.25, 0.0), (1.0, 0.0), (4.0, 0.75)):
        low, high = spectra.marchenko_pastur_edges(ratio)
        at = jnp.array([-1e-300, 0.0, 0.99 * low, high, 1e300])
        measured = spectra.marchenko_pastur_distribution(at, ratio)
        np.testing.assert_allclose(measured, [0, mass, mass, 1, 1], atol=1e-15)
        ends = jnp.array([-1.0, 0.0, low, high, high + 1])
        assert not spectra.marchenko_pastur_density(ends, ratio).any()
    middle = spectra.marchenko_pastur_density(np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    np.testing.assert_allclose(middle, np.array([np.sqrt(3), np.sqrt(7) / 4]) / (2 * np.pi))


@pytest.mark.parametrize("ratio", [0.2, 2 / 3, 1.0, 3.0])
def test_the_first_moments_are_those_of_random_matrices(ratio):
    low, high = map(float, spectra.marchenko_pastur_edges(ratio))
    theta, weights = np.polynomial.legendre.leggauss(200)
    theta, weights = np.pi * (theta + 1) / 2, np.pi / 2 * weights
    x = (low + high) / 2 - (high - low) / 2 * np.cos(theta)
    mass = spectra.marchenko_pastur_density(x, ratio) * (high - low) / 2 * np.sin(theta) * weights
    moments = [float((mass * x**k).sum()) for k in (1, 2, 3)]
    np.testing.assert_allclose(moments, [1, 1 + ratio, 1 + 3 * ratio + ratio**2], rtol=1e-12)


@given(ratio=ratios, share=shares)
def test_a_quantile_is_the_inverse_of_the_distribution(ratio, share):
    x = spectra.marchenko_pastur_quantile(share, ratio)
    mass = max(1 - 1 / ratio, 0)
    np.testing.assert_allclose(
        spectra.marchenko_pastur_distribution(x, ratio), max(share, mass), atol=2e-12
    )
    low, high = spectra.marchenko_pastur_edges(ratio)
    assert x <= high * (1 + 1e-12)
    assert x >= low * (1 - 1e-12) if share > mass + 1e-12 else x >= 0


def test_medians_are_known_and_zero_where_most_eigenvalues_are():
    assert round(float(spectra.marchenko_pastur_median(2 / 3)), 4) == 0.7724
    many = spectra.marchenko_pastur_median(np.array([1e-9, 1.5, 1.999, 2.0, 5.0]))
    np.testing.assert_allclose(many[0], 1, atol=1e-6)
    assert (many[1:3] > 0).all() and not many[3:].any()
    one = spectra.marchenko_pastur_quantile(0.5, 1.5)
    np.testing.assert_array_equal(one, many[1])


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(1 / 3, 3.1175), (1 / 2, 2.7058), (2 / 3, 2.4492), (0.8, 2.2981), (0.9, 2.2041)],
)
def test_the_hill_value_of_the_law_is_that_of_its_integral(ratio, expected):
    assert round(float(spectra.marchenko_pastur_hill(ratio)), 4) == expected
    low, high = map(float, spectra.marchenko_pastur_edges(ratio))
    median = float(spectra.marchenko_pastur_median(ratio))

    def integrand(x):
        return np.log(x / median) * np.sqrt((high - x) * (x - low)) / (2 * np.pi * ratio * x)

    integral, _ = integrate.quad(integrand, median, high, epsabs=1e-13, epsrel=1e-11)
    np.testing.assert_allclose(spectra.marchenko_pastur_hill(ratio), 1 + 0.5 / integral, rtol=1e-8)


def test_hill_of_a_large_random_matrix_is_that_of_the_law():
    rng = np.random.default_rng(0)
    for height, width in ((600, 400), (400, 560)):
        W = rng.normal(size=(height, width))
        measured = spectra.hill(spectra.weight_spectrum(W))
        law = spectra.marchenko_pastur_hill(width / height)
        np.testing.assert_allclose(measured, law, rtol=0.01)
    assert spectra.marchenko_pastur_hill(2.0) == 1 == spectra.marchenko_pastur_hill(7.0)


def test_the_hill_value_of_a_narrow_law_is_that_of_a_semicircle():
    # x = 1 + √r s with s on (−2, 2): the mean of s above 0 is 8/(3π), on half of all.
    for ratio, allowed in ((1e-6, 1e-2), (1e-12, 1e-5), (1e-15, 1e-6)):
        measured = float(spectra.marchenko_pastur_hill(ratio)) * ratio**0.5
        np.testing.assert_allclose(measured, 3 * np.pi / 8, rtol=allowed)
    for dtype in ("float32", "float64"):
        least = np.finfo(dtype).eps
        assert np.isfinite(spectra.marchenko_pastur_hill(least))
        with pytest.raises(ValueError, match="^ratio must be from"):
            spectra.marchenko_pastur_hill(np.array([1, least / 2], dtype))


def test_the_hill_value_falls_until_the_median_is_zero():
    values = spectra.marchenko_pastur_hill(np.linspace(0.05, 1.99, 40))
    assert (np.diff(values) < 0).all() and (values > 1).all()


@pytest.mark.parametrize("ratio", [0.3, 1.0, 2.5])
def test_the_distance_is_that_of_kolmogorov_and_smirnov(ratio):
    sample = 1.3 * np.random.default_rng(0).exponential(size=50)
    expected = stats.kstest(sample, lambda x: spectra.marchenko_pastur_distribution(x, ratio))
    if ratio <= 1:  # SciPy knows no masses
        measured = spectra.marchenko_pastur_distance(sample, ratio)
        np.testing.assert_allclose(measured, expected.statistic)
    fitting = spectra.marchenko_pastur_quantile((np.arange(40) + 0.5) / 40, ratio)
    np.testing.assert_allclose(spectra.marchenko_pastur_distance(fitting, ratio), 0.5 / 40)


def test_zeros_are_as_far_off_as_their_number_is_from_the_mass():
    values = np.array([0.0] * 6 + [4.0] * 2)  # beyond the edge 4, against three quarters at zero
    law = float(spectra.marchenko_pastur_distribution(4.0, 4.0))
    measured = spectra.marchenko_pastur_distance(values, 4.0)
    np.testing.assert_allclose(measured, max(law - 0.75, 1 - law))
    np.testing.assert_allclose(spectra.marchenko_pastur_distance(np.zeros(3), 4.0), 0.25)
    assert spectra.marchenko_pastur_distance(np.full(3, 99.0), 4.0) == 1
    assert spectra.marchenko_pastur_distance(-np.ones(3), 0.5) == 1


def test_random_matrices_lie_close_to_their_own_law_and_far_from_others():
    W = np.random.default_rng(0).normal(size=(2, 300, 200))
    values = jax.vmap(spectra.weight_spectrum)(W) / 300
    near = spectra.marchenko_pastur_distance(values, 2 / 3)
    assert near.shape == (2,) and (near < 5 / 200).all()
    paired = spectra.marchenko_pastur_distance(values, np.array([2 / 3, 0.5]))
    assert paired[0] == near[0] and paired[1] > 0.05


def test_the_law_is_compiled_mapped_and_kept_in_single_precision():
    x = jnp.linspace(0.1, 3, 5, dtype=jnp.float32)
    ratio = jnp.float32(0.7)
    functions = (
        spectra.marchenko_pastur_density,
        spectra.marchenko_pastur_distribution,
        spectra.marchenko_pastur_distance,
    )
    for function in functions:
        single = jax.jit(function)(x, ratio)
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, function(x.astype(float), 0.7), atol=2e-6)
    for function in (spectra.marchenko_pastur_median, spectra.marchenko_pastur_hill):
        single = jax.vmap(function)(jnp.stack([ratio, ratio]))
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, function(0.7), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spectra.marchenko_pastur_density(1.0, 0.0), "ratio must be positive, got 0.0"),
        (lambda: spectra.marchenko_pastur_distribution(np.nan, 1.0), "x must be finite, got nan"),
        (lambda: spectra.marchenko_pastur_quantile(1.5, 1.0), "probability must be from 0 to 1"),
        (lambda: spectra.marchenko_pastur_median(-1.0), "ratio must be positive, got -1.0"),
        (lambda: spectra.marchenko_pastur_hill(0.0), "ratio must be positive, got 0.0"),
        (
            lambda: spectra.marchenko_pastur_distance(np.zeros(0), 1.0),
            r"eigenvalues must hold at least one number, got shape \(0,\)",
        ),
        (lambda: spectra.marchenko_pastur_distance(1.0, 1.0), "eigenvalues must have at least 1"),
    ],
)
def test_what_the_law_does_not_cover_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_largest_eigenvalue_lies_within_the_edge_as_much_as_in_samples():
    draws = np.random.default_rng(0).standard_normal((400, 60, 40))
    largest = np.linalg.norm(draws, ord=2, axis=(1, 2)) ** 2
    error = largest.std(ddof=1) / 20
    expected = spectra.largest_eigenvalue_mean(60, 40)
    assert abs(largest.mean() - expected) < 3 * error + 0.2  # the law's own error is of order one
    assert abs(largest.mean() - (60**0.5 + 40**0.5) ** 2) > 10 * error
    with pytest.raises(ValueError, match="rows must be an integer of at least 2, got 1"):
        spectra.largest_eigenvalue_mean(1, 3)
