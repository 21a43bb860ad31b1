import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from lazyrich import spectra
from lazyrich.spectra.inverse_gamma import _cubic, _gamma_rule

CASES = [(r, k) for r in (0.2, 2 / 3, 1.0, 1.5) for k in (1.0, 2.5, 10.0)]


def drawn(inputs, hidden, shape, of_rows, seed=0):
    """Eigenvalues of WᵀW/h, with inverse-gamma variances of its columns or of its rows."""
    rng = np.random.default_rng(seed)
    number = hidden if of_rows else inputs
    # Quantiles rather than draws, which would move the law itself.
    variances = shape / stats.gamma(shape).ppf((np.arange(number) + 0.5) / number)
    W = rng.normal(size=(hidden, inputs))
    W = W * (np.sqrt(variances)[:, None] if of_rows else np.sqrt(variances))
    return np.linalg.eigvalsh(W.T @ W / hidden)


@pytest.mark.parametrize(("ratio", "shape"), CASES)
def test_the_distribution_is_the_integral_of_the_density(ratio, shape):
    ends = np.array([0.3, 1.0, 2.0, 6.0])
    u, weights = np.polynomial.legendre.leggauss(60)
    for low, high in zip(ends[:-1], ends[1:], strict=True):
        x = (low + high) / 2 + (high - low) / 2 * u
        inside = (high - low) / 2 * weights @ spectra.inverse_gamma_density(x, ratio, shape)
        below = spectra.inverse_gamma_distribution(np.array([low, high]), ratio, shape)
        # At r = 1.5 an edge may lie within.
        np.testing.assert_allclose(np.diff(below), inside, atol=1e-3 if ratio > 1 else 1e-8)


@pytest.mark.parametrize(("ratio", "shape"), CASES)
def test_the_mass_is_one_with_that_at_zero(ratio, shape):
    at = np.array([-1.0, 0.0, 1e-9, 1e9])
    mass = max(0, 1 - 1 / ratio)
    found = spectra.inverse_gamma_distribution(at, ratio, shape)
    np.testing.assert_allclose(found, [0, mass, mass, 1], atol=1e-4)
    assert not spectra.inverse_gamma_density(at[:2], ratio, shape).any()


@pytest.mark.parametrize("ratio", [0.2, 2 / 3, 1.5])
def test_without_a_spread_of_variances_it_is_the_law_of_marchenko_and_pastur(ratio):
    x = np.linspace(0.01, 5, 50)
    expected = spectra.marchenko_pastur_distribution(x, ratio)
    off = [
        np.abs(spectra.inverse_gamma_distribution(x, ratio, k) - expected).max()
        for k in (1e2, 1e3, 1e4)
    ]
    assert off[2] < off[1] < off[0] and off[2] < 2e-3


def test_the_tail_is_that_of_the_population():
    for shape in (0.7, 1.0, 2.0):
        x = np.array([1e3, 2e3])
        density = spectra.inverse_gamma_density(x, 2 / 3, shape)
        np.testing.assert_allclose(
            np.log(density[1] / density[0]) / np.log(2), -shape - 1, atol=0.01
        )
        np.testing.assert_allclose(density, stats.invgamma(shape, scale=shape).pdf(x), rtol=0.02)


@pytest.mark.parametrize("shape", [1.5, 4.0])
@pytest.mark.parametrize("of_rows", [False, True])
def test_large_matrices_have_this_spectrum(shape, of_rows):
    values, c = drawn(300, 450, shape, of_rows), 2 / 3
    if of_rows:
        below = (spectra.inverse_gamma_distribution(values / c, 1 / c, shape) - (1 - c)) / c
    else:
        below = spectra.inverse_gamma_distribution(values, c, shape)
    assert stats.kstest(np.asarray(below), "uniform").statistic < 0.012


@pytest.mark.parametrize("shape", [0.5, 1.0, 7.0, 1e3])
def test_means_over_the_gamma_law_are_its_integrals(shape):
    g, weights = _gamma_rule(jnp.asarray(shape))
    for v in (0.7, 0.3 + 0.5j, -0.4 + 0.2j):
        law = stats.gamma(shape, scale=1 / shape)

        def share(p, part, law=law, v=v):
            return part(1 / (law.ppf(p) + v))

        parts = [integrate.quad(share, 0, 1, args=(f,), limit=200)[0] for f in (np.real, np.imag)]
        np.testing.assert_allclose((weights / (g + v)).sum(), complex(*parts), rtol=1e-5, atol=1e-8)


def test_between_grid_points_cubics_are_exact():
    cubic = np.polynomial.Polynomial([1.0, -2.0, 0.5, 0.3])
    places = np.linspace(0, 9, 40)
    found = _cubic(jnp.asarray(cubic(np.arange(10.0))), jnp.asarray(places))
    np.testing.assert_allclose(found, cubic(places), rtol=1e-12)


def test_a_fit_is_the_most_likely_law_on_any_scale():
    values = np.stack([drawn(300, 450, 3.0, False, seed) for seed in range(2)])
    fit = spectra.inverse_gamma_fit(values, 2 / 3)
    assert (fit.distance < 0.05).all()

    def likelihood(shape, scale):
        x = values / scale[:, None]
        density = spectra.inverse_gamma_density(x, 2 / 3, shape[:, None])
        return np.log(density / scale[:, None]).sum(axis=-1)

    best = likelihood(fit.shape, fit.scale)
    assert (best > likelihood(np.full(2, 3.0), np.ones(2)) - 0.1).all()
    for grow, stretch in ((1.3, 1), (1 / 1.3, 1), (1, 1.05), (1, 1 / 1.05)):
        assert (best > likelihood(grow * fit.shape, stretch * fit.scale)).all()
    scaled = spectra.inverse_gamma_fit(50 * values[:, ::-1], 2 / 3)
    np.testing.assert_allclose(scaled.scale, 50 * fit.scale, rtol=1e-9)
    np.testing.assert_allclose((scaled.shape, scaled.distance), (fit.shape, fit.distance))


def test_the_law_is_more_likely_than_a_power_law_where_it_is_true():
    values = np.stack([drawn(300, 450, 3.0, False, seed) for seed in range(2)])
    ratio, p = spectra.inverse_gamma_likelihood_ratio(values, 150, 2 / 3)
    assert (ratio < -2).all()
    np.testing.assert_allclose(p, 2 * stats.norm.sf(np.abs(ratio)), rtol=1e-9)
    one = spectra.inverse_gamma_likelihood_ratio(7 * values[1], 150, 2 / 3)
    np.testing.assert_allclose(one.ratio, ratio[1], rtol=1e-6)


def test_a_power_law_is_its_limit_and_never_wins():
    quantiles = 1 - (np.arange(200) + 0.5) / 200
    values = quantiles ** (-1 / np.array([[1.5], [2.5]]))
    ratio, p = spectra.inverse_gamma_likelihood_ratio(values, 200, 2 / 3)
    assert (ratio <= 0).all() and (p > 0.1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: spectra.inverse_gamma_density(1.0, 0.5, 0.1),
            r"shape must be from 0.5 to 10000.0, got 0.1",
        ),
        (
            lambda: spectra.inverse_gamma_distribution(1.0, -0.5, 2.0),
            "ratio must be positive, got -0.5",
        ),
        (
            lambda: spectra.inverse_gamma_density(np.ones(2), 0.5, np.ones(3)),
            r"x and ratio and shape must broadcast .*, got shapes \(2,\) and \(\) and \(3,\)",
        ),
        (
            lambda: spectra.inverse_gamma_fit(np.array([0.0, 1.0, 2.0]), 0.5),
            "eigenvalues must hold at least 3 positive numbers a spectrum, got 2",
        ),
        (
            lambda: spectra.inverse_gamma_fit(np.ones(3), np.ones(3)),
            r"ratio must be one number, got shape \(3,\)",
        ),
        (
            lambda: spectra.inverse_gamma_likelihood_ratio(np.ones(5), 3, 0.5),
            "eigenvalues of a tail must be positive and differ",
        ),
        (
            lambda: spectra.inverse_gamma_likelihood_ratio(np.arange(5.0), 6, 0.5),
            "tail must be from 2 to 5, got 6",
        ),
    ],
)
def test_what_has_no_such_law_is_named(call, message):
    with pytest.raises(ValueError, match="^" + message):
        call()


def test_in_compiled_code_what_is_no_spectrum_is_nan():
    values = jnp.array([[1.0, 2.0, 3.0, 5.0], [1.0, jnp.nan, 2.0, 3.0]])
    found = jax.jit(lambda v: spectra.inverse_gamma_fit(v, 0.5))(values)
    assert np.isfinite(found.distance).tolist() == [True, False]
