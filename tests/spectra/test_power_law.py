import tracemalloc
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lazyrich import spectra

numbers = st.one_of(st.just(0.0), st.just(1.0), st.floats(1e-6, 1e6))
spectrum = st.one_of(
    st.lists(numbers, min_size=size, max_size=size).filter(lambda v: np.count_nonzero(v) >= 3)
    for size in (4, 7, 20)
)


def pareto(exponent, size, seed=0):
    return 1 + np.random.default_rng(seed).pareto(exponent - 1, size=size)


def heavy(size, seed=0):
    W = np.random.default_rng(seed).standard_t(2.5, size=(3 * size // 2, size))
    return np.asarray(spectra.weight_spectrum(W))


def rounded(values):
    """To three digits, so that many are equal."""
    unit = 10 ** np.floor(np.log10(values) - 2)
    return np.round(values / unit) * unit


def mixed(size):
    """Nine parts in ten of a bulk, and a tail."""
    draws = np.random.default_rng(0).random(size)
    return np.where(draws < 0.9, 0.2 + 2 * draws, 2 * np.abs(10 * (1 - draws)) ** (-1 / 1.5))


def shares(size):
    return (np.arange(size) + 0.5) / size


KINDS = {
    "power law": lambda size: pareto(2.5, size),
    "quantiles of a power law": lambda size: (1 - shares(size)) ** (-1 / 1.5),
    "Marchenko-Pastur": lambda size: spectra.marchenko_pastur_quantile(shares(size), 2 / 3),
    "log-normal": lambda size: np.exp(np.random.default_rng(0).normal(size=size)),
    "exponential": lambda size: stats.expon.ppf(shares(size)),
    "uniform": lambda size: np.random.default_rng(0).random(size),
    "arithmetic": lambda size: np.linspace(1, 2, size),
    "geometric": lambda size: np.geomspace(1, 1e3, size),
    "many equal": lambda size: rounded(pareto(2.5, size)),
    "two values": lambda size: np.where(shares(size) < 0.5, 1.0, 2.0),
    "zeros below": lambda size: np.where(shares(size) < 0.3, 0, pareto(2.5, size)),
    "bulk and tail": mixed,
}
kinds = pytest.mark.parametrize("kind", KINDS)


def fits(values):
    """Exponent and distance at each cut, as one writes them down."""
    values, found = np.sort(values), []
    for i in range(len(values) - 1):
        tail = values[i:]
        N, total = len(tail), np.log(tail / tail[0]).sum() if tail[0] > 0 else np.nan
        if total > 0:
            exponent = 1 + N / total
            model = 1 - (tail / tail[0]) ** (1 - exponent)
            found.append((exponent, np.abs(model - np.arange(N) / N).max()))
        else:
            found.append((np.inf, 1 - 1 / N) if tail[0] > 0 else (np.nan, np.inf))
    return np.array(found)


def test_hill_cuts_at_the_median_and_counts_the_term_that_is_zero():
    values = np.exp([5.0, 0.0, 1.0, 3.0, 2.0])  # from place 2 on: 2, 3, 5
    np.testing.assert_allclose(spectra.hill(values), 1 + 3 / (0 + 1 + 3))
    np.testing.assert_allclose(spectra.hill(values[:4]), 1 + 2 / (0 + 2))
    assert spectra.hill(np.array([7.0])) == np.inf


def test_hill_finds_the_exponent_of_a_power_law():
    for exponent in (1.5, 2.0, 4.0):
        measured = spectra.hill(pareto(exponent, 40_000))
        np.testing.assert_allclose(measured, exponent, atol=4 * (exponent - 1) / np.sqrt(20_000))


@given(values=spectrum, factor=st.floats(1e-3, 1e3))
def test_neither_the_order_nor_the_scale_matters(values, factor):
    values = np.array(values)
    for measure in (spectra.hill, lambda v: spectra.power_law_fit(v).distance):
        once = measure(values)
        np.testing.assert_allclose(measure(factor * values[::-1]), once, rtol=1e-7, atol=1e-9)


def test_degenerate_spectra_have_the_limits_of_hill():
    assert spectra.hill(np.full(6, 3.0)) == np.inf
    assert spectra.hill(np.array([0.0, 0.0, 2.0, 2.0])) == np.inf
    assert spectra.hill(np.array([0.0, 0.0, 0.0, 1.0])) == 1  # rank one
    assert spectra.hill(np.array([0.0, 0.0, 1.0, np.e])) == 3


@given(values=spectrum, smallest=st.sampled_from([2, 3]))
def test_a_fit_is_the_best_of_all_cuts(values, smallest):
    fit = spectra.power_law_fit(np.array(values), smallest)
    all_fits = fits(values)[: len(values) + 1 - smallest]
    exponent, distance = all_fits[len(values) - int(fit.tail)]
    np.testing.assert_allclose(fit.distance, all_fits[:, 1].min(), atol=1e-9)
    np.testing.assert_allclose([fit.exponent, fit.distance], [exponent, distance], rtol=1e-7)


@kinds
def test_of_every_kind_of_spectrum_the_fit_is_the_best_of_all_cuts(kind):
    values = np.asarray(KINDS[kind](600))
    all_fits = fits(values)
    best = np.argmin(all_fits[:, 1])
    for fit in (spectra.power_law_fit(values), jax.jit(spectra.power_law_fit)(values)):
        # Neighbouring cuts may be equal but for rounding.
        np.testing.assert_allclose(fit.distance, all_fits[best, 1], rtol=1e-9)
        exponent, distance = all_fits[len(values) - int(fit.tail)]
        np.testing.assert_allclose([fit.exponent, fit.distance], [exponent, distance], rtol=1e-9)


@kinds
def test_many_eigenvalues_take_little_memory(kind):
    values = np.asarray(KINDS[kind](140_000))
    tracemalloc.start()
    try:
        spectra.power_law_fit(values)
        assert tracemalloc.get_traced_memory()[1] < 40 * values.nbytes
    finally:
        tracemalloc.stop()


def test_single_precision_sums_many_eigenvalues():
    values = pareto(4.0, 140_000)
    exact, single = (spectra.power_law_fit(v) for v in (values, values.astype("float32")))
    np.testing.assert_allclose(single.exponent, exact.exponent, rtol=1e-6)
    assert single.tail == exact.tail


def test_a_known_spectrum_is_fitted_without_a_program_for_its_size(caplog):
    with jax.log_compiles():
        spectra.power_law_fit(pareto(2.5, 411))
        assert not caplog.records
        jax.jit(spectra.power_law_fit)(pareto(2.5, 411))
        assert caplog.records


@pytest.mark.parametrize("batch", [(), (2,)])
def test_settings_of_jax_against_promotion_change_nothing(batch):
    values = np.broadcast_to(heavy(40), (*batch, 40))
    expected = spectra.power_law_fit(values)
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        for fit in (spectra.power_law_fit(values), jax.jit(spectra.power_law_fit)(values)):
            np.testing.assert_allclose(fit, expected, rtol=1e-12)


def test_a_fit_finds_exponent_and_cut_of_a_power_law_above_something_else():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.uniform(0, 1, size=600), pareto(2.5, 400)])
    fit = spectra.power_law_fit(values)
    np.testing.assert_allclose(fit.exponent, 2.5, atol=0.2)
    assert 300 < fit.tail < 500 and fit.distance < 0.03


@pytest.mark.parametrize("values", [pareto(2.2, 120), heavy(120), heavy(80, seed=1)])
def test_the_package_powerlaw_agrees(values):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import powerlaw

        everywhere = {"alpha": [0, np.inf]}
        theirs = powerlaw.Fit(values, verbose=0, parameter_ranges=everywhere)
        ours = spectra.power_law_fit(values, smallest_tail=3)
        np.testing.assert_allclose(ours.exponent, theirs.power_law.alpha, rtol=1e-10)
        np.testing.assert_allclose(ours.distance, theirs.power_law.D, rtol=1e-9)
        assert ours.tail == theirs.n_tail


def test_fits_are_compiled_mapped_and_scanned_and_keep_the_dtype():
    values = jnp.stack([jnp.asarray(heavy(50, seed)) for seed in range(3)])
    expected = [spectra.power_law_fit(row) for row in values]

    def in_scan(values):
        return jax.lax.scan(lambda _, row: (0, spectra.power_law_fit(row)), 0, values)[1]

    for batched in (spectra.power_law_fit, jax.jit(jax.vmap(spectra.power_law_fit)), in_scan):
        for place, fit in enumerate(zip(*batched(values), strict=True)):
            np.testing.assert_allclose(fit, expected[place], rtol=1e-12)
    single = spectra.power_law_fit(values[0].astype("float32"))
    assert single.exponent.dtype == single.distance.dtype == np.float32
    np.testing.assert_allclose(single.exponent, expected[0].exponent, rtol=1e-4)
    hills = jax.jit(jax.vmap(spectra.hill))(values.astype("float32"))
    assert hills.dtype == np.float32
    np.testing.assert_allclose(hills, [spectra.hill(row) for row in values], rtol=1e-4)


def test_single_precision_loses_nothing_to_the_scale():
    values = heavy(200).astype("float32")
    exact = spectra.power_law_fit(values.astype(float))
    single = spectra.power_law_fit(values * np.float32(1e20))
    np.testing.assert_allclose(single.exponent, exact.exponent, rtol=1e-4)


def test_no_array_of_all_pairs_is_made():
    many = jax.ShapeDtypeStruct((50, 1000), float)
    compiled = jax.jit(spectra.power_law_fit).lower(many).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 20 * 50 * 1000 * 8


def test_degenerate_spectra_have_known_fits():
    constant = spectra.power_law_fit(np.full(5, 2.0))
    assert (constant.exponent, constant.distance, constant.tail) == (np.inf, 0.5, 2)
    assert spectra.power_law_fit(np.full(5, 2.0), 4).distance == 0.75
    zeros = spectra.power_law_fit(np.array([0.0, 0.0, 1.0, 3.0]))
    np.testing.assert_allclose(zeros, spectra.power_law_fit(np.array([1.0, 3.0])), rtol=1e-14)
    unknown = jax.jit(spectra.power_law_fit)(jnp.array([[0.0, 0.0, 1.0], [0.0, 1.0, 2.0]]))
    assert np.isnan(unknown.exponent[0]) and np.isinf(unknown.distance[0])
    assert unknown.tail.tolist() == [0, 2] and np.isfinite(unknown.exponent[1])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1e-9])
def test_what_is_wrong_in_compiled_code_does_not_look_like_a_fit(wrong):
    values = np.stack([np.r_[heavy(12), 1.0], np.r_[heavy(12), wrong]])
    hills, fits = jax.jit(lambda v: (spectra.hill(v), spectra.power_law_fit(v)))(values)
    assert np.isfinite(hills[0]) and np.isnan(hills[1])
    assert np.isfinite(fits.exponent[0]) and np.isnan(fits.exponent[1])
    assert fits.tail[0] > 0 == fits.tail[1] and np.isinf(fits.distance[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spectra.hill(np.array([1.0, -1e-9])), "eigenvalues must be not negative"),
        (lambda: spectra.hill(np.array([1.0, np.nan])), "eigenvalues must be finite, got nan"),
        (lambda: spectra.hill(np.zeros(3)), "at least 1 positive numbers a spectrum, got 0"),
        (lambda: spectra.hill(np.zeros(0)), "at least 1 positive numbers a spectrum, got 0"),
        (lambda: spectra.hill(2.0), "eigenvalues must have at least 1 axes"),
        (lambda: spectra.power_law_fit(np.arange(3)), "eigenvalues must be an array of floats"),
        (lambda: spectra.power_law_fit(np.array([1.0, np.inf])), "eigenvalues must be finite"),
        (
            lambda: spectra.power_law_fit(np.array([[1.0, 2.0], [0.0, 2.0]])),
            "eigenvalues must hold at least 2 positive numbers a spectrum, got 1",
        ),
        (
            lambda: spectra.power_law_fit(np.ones(3), smallest_tail=4),
            "eigenvalues must hold at least 4 positive numbers a spectrum, got 3",
        ),
        (
            lambda: spectra.power_law_fit(np.ones(3), smallest_tail=1),
            "smallest_tail must be an integer of at least 2, got 1",
        ),
    ],
)
def test_what_is_no_spectrum_of_a_gram_matrix_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
