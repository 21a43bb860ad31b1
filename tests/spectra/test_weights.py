import jax
import jax.numpy as jnp
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
    for shape in ((3, 50), (50, 3), (4, 4), (2, 3, 5)):
        spectra.weight_spectrum(np.ones(shape))
    assert sizes == [(3, 3), (3, 3), (4, 4), (2, 3, 3)]


def test_what_rounding_makes_negative_is_zero():
    W = np.outer(np.arange(1.0, 9), np.linspace(0.1, 0.7, 6))
    assert np.linalg.eigvalsh(W.T @ W)[0] < 0
    values = spectra.weight_spectrum(W)
    assert (values >= 0).all()
    np.testing.assert_allclose(values[-1], (W**2).sum())


def test_spectra_are_compiled_mapped_and_kept_in_single_precision():
    W = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 4)))
    expected = spectra.weight_spectrum(W)
    assert expected.shape == (2, 4)
    for function in (jax.jit(spectra.weight_spectrum), jax.vmap(spectra.weight_spectrum)):
        np.testing.assert_allclose(function(W), expected, rtol=1e-12)
    single = spectra.weight_spectrum(W.astype("float32"))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=1e-4)


def test_the_stable_rank_is_of_frobenius_and_spectral_norm():
    W = np.random.default_rng(0).normal(size=(3, 7, 5))
    ranks = spectra.stable_rank(spectra.weight_spectrum(W))
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
        (lambda: spectra.weight_spectrum(np.ones((0, 3))), "at least one row and one column"),
        (lambda: spectra.weight_spectrum(np.ones((3, 0))), "at least one row and one column"),
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
