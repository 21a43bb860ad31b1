import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from lazyrich import spectra
from lazyrich.spectra.goodness import ALTERNATIVES, _moments


def pareto(exponent, size, seed=0):
    return 1 + np.random.default_rng(seed).pareto(exponent - 1, size=size)


def log_normal(size, seed=0, spread=1.0):
    return np.exp(spread * np.random.default_rng(seed).normal(size=size))


# The bootstrap.


def test_samples_of_power_laws_have_p_values_of_all_sizes(key):
    values = np.stack([pareto(2.5, 60, seed) for seed in range(60)])
    p = spectra.power_law_goodness(key(), values, replicas=100).p_value
    assert p.shape == (60,)
    # The choice of the cut takes the data into account, which makes the test a little lenient.
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert (p < 0.1).mean() < 0.2


def test_what_is_no_power_law_has_a_small_p_value(key):
    values = 0.5 + np.random.default_rng(0).exponential(size=(3, 300))
    found = spectra.power_law_goodness(key(), values, replicas=100, smallest_tail=150)
    assert (found.p_value < 0.02).all()
    np.testing.assert_array_equal(found.fit, spectra.power_law_fit(values, smallest_tail=150))


def test_replicas_are_drawn_as_one_writes_it_down(key):
    values = np.sort(np.concatenate([np.linspace(0, 0.9, 25), pareto(2.0, 25, seed=3)]))
    fit = spectra.power_law_fit(values)
    rng, farther, replicas = np.random.default_rng(0), 0, 400
    cut, below = values[50 - fit.tail], values[: 50 - fit.tail]
    for _ in range(replicas):
        number = rng.binomial(50, int(fit.tail) / 50)
        above = cut * (1 - rng.random(number)) ** (1 / (1 - float(fit.exponent)))
        drawn = np.concatenate([above, rng.choice(below, 50 - number)])
        farther += spectra.power_law_fit(drawn).distance >= fit.distance
    expected = farther / replicas
    measured = spectra.power_law_goodness(key(), values, replicas=2000).p_value
    allowed = 3 * np.sqrt(expected * (1 - expected) * (1 / replicas + 1 / 2000))
    assert 0.05 < expected < 0.95
    np.testing.assert_allclose(measured, expected, atol=allowed)


def test_the_bootstrap_is_repeatable_and_compiled_and_takes_zeros_and_constants(key):
    once, values = key(), np.concatenate([np.zeros(10), pareto(2.0, 20)])
    compiled = jax.jit(lambda values: spectra.power_law_goodness(once, values, replicas=50))
    first = spectra.power_law_goodness(once, values, replicas=50)
    np.testing.assert_array_equal(first.p_value, compiled(values).p_value)
    assert 0 < first.p_value <= 1
    assert np.isnan(compiled(np.full(30, 2.0)).p_value)
    unknown = compiled(np.zeros(30))
    assert np.isnan(unknown.p_value) and unknown.fit.tail == 0
    assert compiled(values.astype("float32")).p_value.dtype == np.float32


def test_replicas_that_are_drawn_in_parts_are_as_many_and_give_the_same_share(key, monkeypatch):
    values = np.stack([pareto(2.0, 40, seed) for seed in range(2)])
    whole = spectra.power_law_goodness(key(), values, replicas=1000)
    monkeypatch.setattr(spectra.goodness, "AT_ONCE", 301 * values.size)
    parts = spectra.power_law_goodness(key(), values, replicas=1000)
    np.testing.assert_array_equal(parts.fit, whole.fit)
    np.testing.assert_allclose(1000 * parts.p_value, np.round(1000 * parts.p_value), atol=1e-9)
    np.testing.assert_allclose(parts.p_value, whole.p_value, atol=4 * np.sqrt(0.5 / 1000))
    again = spectra.power_law_goodness(key(), values, replicas=1000)
    assert (again.p_value != parts.p_value).any()


def test_settings_of_jax_against_promotion_change_no_p_value(key):
    once, values = key(), np.stack([pareto(2.0, 20), log_normal(20)])
    expected = spectra.power_law_goodness(once, values, replicas=30).p_value
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        found = spectra.power_law_goodness(once, values, replicas=30).p_value
    np.testing.assert_array_equal(found, expected)


# The likelihood ratios.


def by_search(values, tail, alternative):
    """Vuong's ratio with SciPy's laws, the log-normal one by a search for the most likely."""
    x = np.sort(values)[-tail:]
    rate = 1 / np.log(x / x[0]).mean()
    ours = stats.pareto(rate, scale=x[0]).logpdf(x)
    if alternative == "exponential":
        theirs = stats.expon(x[0], (x - x[0]).mean()).logpdf(x)
    else:

        def logs(parameters):
            law = stats.norm(parameters[0], np.exp(parameters[1]))
            return law.logpdf(np.log(x)) - np.log(x) - law.logsf(np.log(x[0]))

        start = [np.log(x).mean(), np.log(np.log(x).std())]
        options = {"xatol": 1e-10, "fatol": 1e-12, "maxiter": 10_000, "maxfev": 10_000}
        best = optimize.minimize(
            lambda p: -logs(p).sum(), start, method="Nelder-Mead", options=options
        )
        theirs = logs(best.x)
    difference = ours - theirs
    ratio = difference.sum() / np.sqrt(tail) / difference.std()
    return ratio, 2 * stats.norm.sf(abs(ratio))


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("tail", [40, 100])
def test_the_ratio_is_that_of_a_search_for_the_most_likely_laws(tail, alternative):
    for values in (log_normal(100), 1 + np.random.default_rng(1).random(size=100)):
        measured = spectra.likelihood_ratio(values, tail, alternative)
        np.testing.assert_allclose(measured, by_search(values, tail, alternative), rtol=1e-5)


def test_the_package_powerlaw_agrees_up_to_its_search():
    names = dict(zip(ALTERNATIVES, ("lognormal", "exponential"), strict=True))
    values = np.sort(log_normal(200, seed=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import powerlaw

        for tail in (60, 200):
            theirs = powerlaw.Fit(values, xmin=values[-tail], verbose=0)
            for ours, name in names.items():
                expected = theirs.distribution_compare("power_law", name, normalized_ratio=True)
                measured = spectra.likelihood_ratio(values, tail, ours)
                np.testing.assert_allclose(measured, expected, rtol=1e-2)


@given(seed=st.integers(0, 99), factor=st.floats(1e-3, 1e3))
def test_a_log_normal_law_is_never_less_likely_and_the_scale_does_not_matter(seed, factor):
    values = log_normal(30, seed)
    for alternative in ALTERNATIVES:
        ratio, p = spectra.likelihood_ratio(values, 20, alternative)
        np.testing.assert_allclose(p, 2 * stats.norm.sf(abs(ratio)), rtol=1e-9)
        scaled = spectra.likelihood_ratio(factor * values[::-1], 20, alternative)
        np.testing.assert_allclose(scaled, (ratio, p), rtol=1e-6, atol=1e-9)
        assert alternative == "exponential" or ratio <= 1e-12


def test_where_the_power_law_is_the_limit_of_log_normal_laws_there_is_no_difference():
    y = np.array([0.0, 0.1, 0.2, 0.3, 5.0])  # mean(y²) > 2 mean(y)²
    assert spectra.likelihood_ratio(np.exp(y), 5, "log-normal") == (0, 1)
    near = np.sort(stats.expon.ppf((np.arange(200) + 0.5) / 200))
    shares = np.linspace(0.9, 1.1, 9)
    ratios = [spectra.likelihood_ratio(np.exp(near**s), 200, "log-normal").ratio for s in shares]
    assert (np.diff(ratios) >= 0).all() and ratios[0] < -0.3 and ratios[-1] == 0


def test_many_tails_are_compared_at_once_and_compiled():
    values = np.stack([log_normal(50, seed) for seed in range(3)])
    tails = np.array([10, 30, 50])
    for alternative in ALTERNATIVES:
        expected = [
            spectra.likelihood_ratio(row, int(tail), alternative)
            for row, tail in zip(values, tails, strict=True)
        ]

        def compared(row, tail, alternative=alternative):
            return spectra.likelihood_ratio(row, tail, alternative)

        for function in (compared, jax.jit(jax.vmap(compared))):
            found = np.stack(function(values, tails), axis=-1)
            np.testing.assert_allclose(found, expected, rtol=1e-9)
        single = compared(values[0].astype("float32"), 30)
        assert single.ratio.dtype == np.float32
        np.testing.assert_allclose(single.ratio, compared(values[0], 30).ratio, rtol=0.02)


def test_what_cannot_be_compared_in_compiled_code_is_nan():
    values = np.array([[1.0, 2, 2, 2], [0, 0, 1, 2], [1, np.nan, 2, 3], [1, 2, 3, 4]])
    for alternative in ALTERNATIVES:
        compared = jax.jit(lambda v, kind=alternative: spectra.likelihood_ratio(v, 3, kind))
        assert np.isfinite(compared(values).ratio).tolist() == [False] * 3 + [True]
        assert np.isfinite(compared(values).p_value).tolist() == [False] * 3 + [True]


@pytest.mark.parametrize("a", [-1e3, -8.0, 0.0, 3.0, 4.999, 5.001, 30.0, 1e4])
def test_the_moments_of_a_truncated_normal_law_are_its_integrals(a):
    log_normaliser, mean, square = _moments(jnp.asarray(a))
    center, scale = max(-a, 0), 1 / max(a, 1)
    ends = max(center - 40, 0), center + 40 * scale

    def moment(k):
        def integrand(s):
            return s**k * np.exp(-a * (s - center) - (s**2 - center**2) / 2)

        return integrate.quad(integrand, *ends, points=[center], epsrel=1e-12, limit=200)[0]

    # The exponent at the centre is taken out, which for a < 0 is a²/2.
    total, once, twice = (moment(k) for k in range(3))
    np.testing.assert_allclose(log_normaliser, np.log(total) + min(a, 0) ** 2 / 2, rtol=1e-8)
    np.testing.assert_allclose([mean, square], [once / total, twice / total], rtol=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: spectra.likelihood_ratio(log_normal(5), 3, "normal"),
            "alternative must be one of 'log-normal', 'exponential', got 'normal'",
        ),
        (
            lambda: spectra.likelihood_ratio(log_normal(5), 6, "exponential"),
            "tail must be from 2 to 5, got 6",
        ),
        (
            lambda: spectra.likelihood_ratio(log_normal(5), 1, "exponential"),
            "tail must be from 2 to 5, got 1",
        ),
        (
            lambda: spectra.likelihood_ratio(log_normal(5), 2.0, "exponential"),
            "tail must be of integers, got dtype float64",
        ),
        (
            lambda: spectra.likelihood_ratio(np.ones(5), 3, "exponential"),
            "eigenvalues of a tail must be positive and differ",
        ),
        (
            lambda: spectra.likelihood_ratio(np.array([0.0, 0.0, 1.0]), 2, "exponential"),
            "eigenvalues of a tail must be positive and differ",
        ),
        (
            lambda: spectra.power_law_goodness(jax.random.key(0), log_normal(5), replicas=0),
            "replicas must be an integer of at least 1, got 0",
        ),
        (
            lambda: spectra.power_law_goodness(jax.random.key(0), -log_normal(5)),
            "eigenvalues must be not negative",
        ),
        (
            lambda: spectra.power_law_goodness(jax.random.key(0), np.array([0.0, 1.0])),
            "eigenvalues must hold at least 2 positive numbers a spectrum, got 1",
        ),
    ],
)
def test_what_cannot_be_tested_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_tails_too_long_for_an_exponential_are_compared_all_the_same():
    values = np.geomspace(1e-300, 1e300, 50)
    ratio, p_value = spectra.likelihood_ratio(values, 30, "exponential")
    assert ratio > 1 and 0 <= p_value < 0.5
    # From where e^y is in range on, both ways of writing it down are the same.
    tails = [np.geomspace(1, np.exp(top), 40) for top in (354.0, 355.5)]
    near, far = (spectra.likelihood_ratio(tail, 40, "exponential").ratio for tail in tails)
    np.testing.assert_allclose(near, far, rtol=1e-2)
