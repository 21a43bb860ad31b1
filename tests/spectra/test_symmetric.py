import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import spectra
from lazyrich.spectra.symmetric import leading

EPSILON = np.finfo(float).eps


def with_spectrum(values, seed=0):
    basis, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values), len(values))))
    matrix = basis @ np.diag(values) @ basis.T
    return (matrix + matrix.T) / 2


def test_eigenvalues_are_those_a_matrix_was_built_from():
    values = np.array([-2.0, -1e-3, 0.0, 0.5, 7.0])
    measured = spectra.eigenvalues(with_spectrum(values))
    assert isinstance(measured, jax.Array)
    np.testing.assert_allclose(measured, values, atol=1e-14)


def test_eigenvalues_of_many_matrices_come_at_once_and_keep_the_dtype():
    values = np.array([[1.0, 2.0, 3.0], [-1.0, 0.0, 4.0]])
    many = np.stack([with_spectrum(row, seed) for seed, row in enumerate(values)])
    np.testing.assert_allclose(spectra.eigenvalues(many), values, atol=1e-14)
    single = spectra.eigenvalues(many.astype("float32"))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, values, atol=1e-6)


def test_single_precision_is_computed_as_such():
    # A rounded matrix has other eigenvalues, so the reference is of the rounded one.
    rounded = with_spectrum(np.logspace(-9, 0, 40)).astype("float32")
    exact = np.linalg.eigvalsh(rounded.astype(float))
    off = np.abs(np.asarray(spectra.eigenvalues(rounded), float) - exact)
    assert 1e-12 < off[0] < 1e-5 and off.max() < 1e-5
    assert off[0] > 1e-3 * np.abs(exact[0])  # more than rounding the answer would do
    many = spectra.eigenvalues(np.stack([rounded, 2 * rounded]))
    assert many.dtype == np.float32
    np.testing.assert_allclose(many[1], 2 * many[0], rtol=0, atol=1e-6)


def test_known_matrices_go_to_the_host_and_others_stay_in_the_program(monkeypatch):
    matrix = jnp.asarray(with_spectrum([1.0, 2.0, 5.0]))
    compiled = jax.jit(spectra.eigenvalues)(matrix)
    mapped = jax.vmap(spectra.eigenvalues)(matrix[None])[0]
    monkeypatch.setattr(np.linalg, "eigvalsh", lambda matrix: matrix[0] + 100)
    np.testing.assert_allclose(compiled, [1, 2, 5])
    np.testing.assert_allclose(mapped, [1, 2, 5])
    np.testing.assert_array_equal(spectra.eigenvalues(matrix), matrix[0] + 100)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)), r"matrix must be a square matrix, got shape \(2, 3\)"),
        (np.ones(3), r"matrix must have at least 2 axes, got shape \(3,\)"),
        (np.array([[1.0, 2.0], [0.0, 1.0]]), "matrix must be symmetric, got 2 between it and its"),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), "matrix must be finite, got nan"),
        (np.eye(2, dtype=int), "matrix must be an array of floats, got dtype int64"),
    ],
)
def test_a_matrix_without_a_real_spectrum_is_named(matrix, message):
    with pytest.raises(ValueError, match=message):
        spectra.eigenvalues(matrix)


def test_a_condition_number_is_over_as_many_eigenvalues_as_the_rank_says():
    values = np.array([0.5, -8.0, 0.25, 2.0])  # of either sign, in any order
    for rank, expected in ((1, 1.0), (2, 4.0), (3, 16.0), (4, 32.0)):
        assert spectra.pseudo_condition_number(values, rank) == expected
    many = spectra.pseudo_condition_number(np.stack([values, 2 * values, values**2]), 2)
    assert many.tolist() == [4, 4, 16]


def test_a_singular_matrix_has_an_infinite_condition_number():
    for factor, finite in ((1.1, True), (0.9, False), (0.0, False), (-1.1, True)):
        values = np.array([1.0, factor * 3 * EPSILON, 0.5]) * 1e5
        measured = spectra.pseudo_condition_number(values, 3)
        assert np.isfinite(measured) == finite
        if finite:
            np.testing.assert_allclose(measured, 1 / (abs(factor) * 3 * EPSILON))
    assert np.isinf(spectra.pseudo_condition_number(np.zeros(2), 1))
    small = np.array([1e-8, 1.0])
    assert np.isinf(spectra.pseudo_condition_number(small.astype("float32"), 2))
    assert np.isfinite(spectra.pseudo_condition_number(small, 2))


def test_condition_numbers_are_compiled_mapped_and_differentiated():
    values = jnp.array([[0.5, 2.0], [0.0, 1.0]])
    compiled = jax.jit(jax.vmap(lambda values: spectra.pseudo_condition_number(values, 2)))(values)
    assert compiled.tolist() == [4, np.inf]
    slopes = jax.grad(lambda v: spectra.pseudo_condition_number(v, 2))(values[0])
    assert slopes.tolist() == [-8, 2]
    assert np.isfinite(jax.grad(lambda v: spectra.pseudo_condition_number(v, 2))(values[1])).all()


@pytest.mark.parametrize(
    ("values", "rank", "message"),
    [
        (np.ones(3), 4, "rank must be at most the number of eigenvalues, 3, got 4"),
        (np.ones(3), 0, "rank must be an integer of at least 1, got 0"),
        (np.array([1.0, np.inf]), 1, "eigenvalues must be finite, got inf"),
        (np.arange(3), 1, "eigenvalues must be an array of floats, got dtype int64"),
        (1.0, 1, "eigenvalues must have at least 1 axes"),
    ],
)
def test_what_has_no_condition_number_is_named(values, rank, message):
    with pytest.raises(ValueError, match=message):
        spectra.pseudo_condition_number(values, rank)


def test_the_numerical_rank_counts_what_is_above_a_threshold():
    values = np.array([[1e-3, -0.1, 10.0], [0.0, 0.2, 0.1]])
    for threshold, ranks in ((1e-5, [3, 2]), (1e-3, [2, 2]), (0.1, [1, 2]), (0.6, [1, 1])):
        assert spectra.numerical_rank(values, threshold).tolist() == ranks
    assert spectra.numerical_rank(np.array([1.0, 2.0]), 1.0) == 0  # strictly above
    noise = np.array([0.9 * 3 * EPSILON, 1.1 * 3 * EPSILON, 1.0])
    assert spectra.numerical_rank(noise) == 2
    assert spectra.numerical_rank(100 * noise) == 2
    with pytest.raises(ValueError, match="threshold must be not negative, got -1.0"):
        spectra.numerical_rank(values, -1.0)


def test_the_default_threshold_is_where_the_precision_ends():
    values = np.array([[1e-9, 1e-5, 1.0], [0.0, 0.0, 2.0]])
    assert spectra.numerical_rank(values).tolist() == [3, 1]
    single = jax.jit(spectra.numerical_rank)(values.astype("float32"))
    assert single.tolist() == [2, 1] and jnp.issubdtype(single.dtype, jnp.integer)
    assert spectra.numerical_rank(np.zeros(3)) == 0
    with pytest.raises(ValueError, match="eigenvalues must be finite, got nan"):
        spectra.numerical_rank(np.array([1.0, np.nan]))


def test_the_leading_eigenvalues_are_the_largest_with_their_vectors():
    A = np.random.default_rng(0).normal(size=(9, 9))
    A = jnp.asarray(A + A.T)
    expected = np.linalg.eigvalsh(A)[:-4:-1]
    for find in (leading, jax.jit(leading, static_argnums=1)):
        values, vectors = find(A, 3)
        np.testing.assert_allclose(values, expected)
        np.testing.assert_allclose(A @ vectors, vectors * values, atol=1e-13)
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-14)
        for part in find(A.at[0, 1].set(jnp.nan), 3):
            assert np.isnan(part).all()


def test_eigenvalues_that_are_no_floats_are_refused():
    with pytest.raises(ValueError, match="matrix must be of a size whose result is in the range"):
        spectra.eigenvalues(np.full((4, 4), 1e308))
