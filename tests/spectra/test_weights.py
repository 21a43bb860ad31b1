import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyrich import spectra

shapes = st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(0, 99))


@given(shapes)
def test_the_spectrum_is_of_squared_singular_values_and_zeros(shape):
    height, width, seed = shape
    W = np.random.default_rng(seed).normal(size=(height, width))
    values = spectra.weight_spectrum(W)
    expected = np.zeros(width)
    expected[width - min(shape[:2]) :] = np.linalg.svd(W, compute_uv=False)[::-1] ** 2
    np.testing.assert_allclose(values, expected, atol=1e-13 * expected[-1])
    assert values.shape == (width,) and (np.diff(values) >= 0).all() and (values >= 0).all()
    assert np.count_nonzero(values) <= height


def test_only_the_smaller_gram_matrix_is_diagonalised(monkeypatch):
    sizes = []
    known = np.linalg.eigvalsh
    monkeypatch.setattr(np.linalg, "eigvalsh", lambda A: sizes.append(A.shape) or known(A))
    for shape in ((3, 50), (50, 3), (4, 4), (3, 2, 5)):
        spectra.weight_spectrum(np.ones(shape))
    assert sizes == [(3, 3), (3, 3), (4, 4), (3, 3)]


def test_what_rounding_makes_negative_is_zero():
    W = np.outer(np.arange(1.0, 9), np.linspace(0.1, 0.7, 6))
    assert np.linalg.eigvalsh(W.T @ W)[0] < 0
    values = spectra.weight_spectrum(W)
    assert (values >= 0).all()
    np.testing.assert_allclose(values[-1], (W**2).sum())


def test_spectra_are_compiled_mapped_and_kept_in_single_precision():
    W = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 4)))
    expected = np.stack([spectra.weight_spectrum(one) for one in W])
    np.testing.assert_allclose(jax.vmap(spectra.weight_spectrum)(W), expected, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(spectra.weight_spectrum)(W[0]), expected[0], rtol=1e-12)
    single = spectra.weight_spectrum(W[0].astype("float32"))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected[0], rtol=1e-4)


def test_noise_of_rounding_is_no_tail():
    assert spectra.hill(spectra.weight_spectrum(np.ones((50, 30)))) == 1
    draws = np.random.default_rng(0)
    values = spectra.weight_spectrum(draws.normal(size=(256, 8)) @ draws.normal(size=(8, 128)))
    assert np.count_nonzero(values) == 8 == spectra.numerical_rank(values)
    with pytest.raises(ValueError, match="at least 20 positive numbers a spectrum, got 8"):
        spectra.power_law_fit(values, 20)
    with pytest.raises(ValueError, match="eigenvalues of a tail must be positive"):
        spectra.likelihood_ratio(values, 70, "log-normal")
    assert spectra.shape(values, 256).name == "Rank-collapse"


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [("float32", s) for s in (1e-15, 1e18)] + [("float64", s) for s in (1e-140, 1e-20, 1e150)],
)
def test_the_scale_of_the_weights_does_not_matter(dtype, scale):
    W = np.random.default_rng(0).normal(size=(60, 40)).astype(dtype)
    values = spectra.weight_spectrum(W * np.array(scale, dtype))
    assert spectra.numerical_rank(values) == 40 == np.count_nonzero(values)
    expected = (np.linalg.norm(W) / np.linalg.norm(W, 2)) ** 2
    np.testing.assert_allclose(spectra.stable_rank(values), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [("float32", 1e-20), ("float32", 1e20), ("float64", 1e-160), ("float64", 1e160)],
)
def test_a_spectrum_that_is_no_float_is_refused(dtype, scale):
    W = np.random.default_rng(0).normal(size=(60, 40)).astype(dtype) * np.array(scale, dtype)
    with pytest.raises(ValueError, match=f"W must be of a size .* in the range of {dtype}, got"):
        spectra.weight_spectrum(W)
    assert spectra.weight_spectrum(np.zeros((3, 2))).tolist() == [0, 0]


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16])
def test_half_precision_is_computed_in_single(dtype):
    W = np.random.default_rng(0).normal(size=(6, 4)).astype(dtype)
    values = spectra.weight_spectrum(W)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, spectra.weight_spectrum(W.astype("float32")))


def test_a_kernel_becomes_the_matrix_that_its_rows_say():
    kernel = np.random.default_rng(0).normal(size=(8, 4, 3, 3))
    by_outputs = kernel.reshape(8, 36)
    np.testing.assert_array_equal(spectra.as_matrix(kernel), by_outputs)
    last = np.moveaxis(kernel, 0, -1)
    np.testing.assert_array_equal(spectra.as_matrix(last, rows=-1), by_outputs)
    both = spectra.as_matrix(kernel, rows=(0, 2))
    np.testing.assert_array_equal(both, kernel.swapaxes(1, 2).reshape(24, 12))
    np.testing.assert_array_equal(spectra.as_matrix(by_outputs, rows=1), by_outputs.T)
    values = spectra.weight_spectrum(last, rows=-1)
    np.testing.assert_allclose(values, spectra.weight_spectrum(by_outputs))
    np.testing.assert_array_equal(spectra.as_matrix(kernel, rows=np.int64(0)), by_outputs)
    for rows in (4, -5, (), (0, 0), (0, -4), (0, 1, 2, 3), True):
        with pytest.raises(ValueError, match=r"rows must be some axes of W, .* not all, got "):
            spectra.as_matrix(kernel, rows=rows)


def test_the_stable_rank_is_of_frobenius_and_spectral_norm():
    W = np.random.default_rng(0).normal(size=(3, 7, 5))
    ranks = spectra.stable_rank(jax.vmap(spectra.weight_spectrum)(W))
    norms = [np.linalg.norm(one) ** 2 / np.linalg.norm(one, 2) ** 2 for one in W]
    np.testing.assert_allclose(ranks, norms)
    assert spectra.stable_rank(np.array([0.0, 3.0, 0.0])) == 1
    assert spectra.stable_rank(np.full(6, 2.0)) == 6


def test_participation_counts_the_vectors_that_take_part():
    assert spectra.participation(np.array([0.0, 1.0, 0.0])) == 1
    many = spectra.participation(np.array([[0.25] * 4, [0.5, 0.5, 0.0, 0.0]]))
    assert many.tolist() == [4, 2]
    np.testing.assert_allclose(spectra.participation(np.array([0.9, 0.1])), 1 / 0.82)
    assert jax.jit(spectra.participation)(jnp.array([0.5, 0.5])) == 2
    np.testing.assert_allclose(spectra.participation(np.array([0.5, 0.1])), 1 / 0.26)
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(9, 9)))[0]
    assert 1 < spectra.participation((basis**2).astype("float32")).min() < 9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spectra.weight_spectrum(np.ones(3)), "W must have at least 2 axes"),
        (lambda: spectra.weight_spectrum(np.ones((0, 3))), "W must hold at least one number"),
        (lambda: spectra.weight_spectrum(np.ones((3, 0))), "W must hold at least one number"),
        (lambda: spectra.weight_spectrum(np.full((2, 2), np.nan)), "W must be finite, got nan"),
        (lambda: spectra.weight_spectrum(np.ones((2, 2), int)), "W must be an array of floats"),
        (lambda: spectra.stable_rank(np.zeros(2)), "at least 1 positive numbers a spectrum"),
        (lambda: spectra.stable_rank(np.array([-1.0, 2.0])), "eigenvalues must be not negative"),
        (lambda: spectra.participation(np.array([0.5, 0.6])), "or to less but not 0, got .* 1.1"),
        (lambda: spectra.participation(np.zeros(2)), "or to less but not 0, got a sum of 0"),
        (lambda: spectra.participation(np.array([1.5, -0.5])), "overlaps must be not negative"),
    ],
)
def test_what_has_no_spectrum_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
