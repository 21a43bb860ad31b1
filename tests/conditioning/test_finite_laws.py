import jax
import numpy as np
import pytest

from lazyrich import spectra
from lazyrich.conditioning import (
    finite_laws,
    kaiming,
    laws,
    linear_bounds,
    linear_condition_number,
)

LAWS_OF_DEPTH = finite_laws.finite_depth_law, finite_laws.finite_ratio_of_sums_law


def close(measured, expected, rtol=1e-12):
    np.testing.assert_allclose(measured, expected, rtol)


def simulated_ends(size, width, matrices, draws):
    """The mean ends of Gram matrices of products of normal matrices."""
    rng, ends = np.random.default_rng(1), []
    for _ in range(draws):
        product = rng.normal(0, width**-0.5, (width, size))
        for _ in range(matrices - 1):
            product = rng.normal(0, width**-0.5, (width, width)) @ product
        ends.append(np.linalg.eigvalsh(product.T @ product)[[0, -1]])
    return np.mean(ends, axis=0)


@pytest.mark.parametrize(("size", "width", "matrices"), [(40, 160, 1), (40, 160, 3), (30, 60, 1)])
def test_the_ends_of_products_are_those_of_random_matrices(size, width, matrices):
    found = simulated_ends(size, width, matrices, draws=100)
    close(finite_laws.product_ends(size, width, matrices), found, rtol=0.04)


def test_the_ends_of_large_matrices_are_the_edges():
    low, high = spectra.marchenko_pastur_edges(0.25)
    n = 1e9
    close(finite_laws.product_ends(n, 4 * n, 1), [low, high], rtol=1e-5)


def test_the_largest_end_of_one_matrix_is_that_of_johnstone():
    mean = spectra.largest_eigenvalue_mean(450, 300) / 450
    close(finite_laws.product_ends(300, 450, 1)[1], mean, rtol=1e-3)


def test_without_matrices_all_eigenvalues_are_one():
    assert finite_laws.product_ends(7, 9, 0).tolist() == [1, 1]


@pytest.mark.parametrize("width", [7, 9])
def test_a_product_that_is_not_wide_is_singular(width):
    assert finite_laws.product_ends(9, width, np.array([1.0, 2.0]))[:, 0].tolist() == [0, 0]


@pytest.mark.parametrize(("d", "m", "k"), [(30, 90, 8), (60, 40, 8)])
def test_two_layers_of_finite_size_are_drawn(d, m, k):
    rng, kappa = np.random.default_rng(2), []
    for _ in range(200):
        V, W = rng.normal(0, d**-0.5, (m, d)), rng.normal(0, m**-0.5, (k, m))
        values = np.add.outer(np.linalg.eigvalsh(W @ W.T), np.linalg.eigvalsh(V.T @ V))
        kappa.append(values.max() / values.min())
    close(finite_laws.finite_two_layer_law(d, m, k), np.exp(np.log(kappa).mean()), rtol=0.05)


def test_finite_laws_of_two_layers_agree():
    sizes = 61, np.array([100.0, 1000.0]), 10
    close(finite_laws.finite_ratio_of_sums_law(*sizes, 2), finite_laws.finite_two_layer_law(*sizes))


@pytest.mark.parametrize("matrices", [1, 2, 4, 11])
def test_products_of_wide_matrices_are_known_to_second_order(matrices):
    j, c, n = matrices, 1e-3, 1e15
    low, high = finite_laws.product_ends(n, n / c, j)
    share = np.log(high / low) / (4 * np.sqrt(j * c)) - 1
    close(share, c * (j + 6 + 1 / j) / 24, rtol=1e-2)


def test_finite_laws_become_those_of_large_matrices():
    n = 1e9
    sizes = 3 * n, 12 * n, n
    close(finite_laws.finite_two_layer_law(*sizes), laws.two_layer_law(*sizes), rtol=1e-4)
    d, m, k = 3 * n, 1e8 * n, n
    for L in (2, 3, 7):
        finite = finite_laws.finite_depth_law(d, m, k, L)
        close(np.log(finite), np.log(laws.depth_law(d, m, k, L)), rtol=1e-3)


def test_the_ratio_of_sums_lets_all_layers_fluctuate_together():
    d, m, k = 3e9, 1e17, 1e9
    for L in (2, 3, 7):
        before = sum(np.sqrt(i * d / m) for i in range(1, L)) / (L - 1)
        after = sum(np.sqrt(j * k / m) for j in range(L - 1)) / (L - 1)
        finite = finite_laws.finite_ratio_of_sums_law(d, m, k, L)
        close(np.log(finite), 4 * (before + after), rtol=1e-3)
    # for many layers κ to the power 2/√3
    of_many = [law(d, 1e3 * m, k, 1000) for law in LAWS_OF_DEPTH]
    close(np.log(of_many[1]) / np.log(of_many[0]), 2 / np.sqrt(3), rtol=5e-3)


@pytest.mark.parametrize("law", LAWS_OF_DEPTH)
def test_what_has_no_law_of_depth_is_named(law):
    with pytest.raises(ValueError, match="depth must be an integer of at least 2, got 1"):
        law(3, 4, 2, 1)
    with pytest.raises(ValueError, match="width must be positive, got 0.0"):
        law(3, 0, 2, 3)
    with pytest.raises(ValueError, match="inputs and width and outputs must broadcast"):
        law(np.ones(2), np.ones(3), 2, 3)


def test_products_that_have_no_ends_are_named():
    for size, width, matrices, what in (
        (3, 4, -1, "matrices must be not negative, got -1.0"),
        (0, 4, 1, "size must be positive, got 0.0"),
        (3, 0, 1, "width must be positive, got 0.0"),
        (2, np.ones(2), np.ones(3), "size and width and matrices must broadcast"),
    ):
        with pytest.raises(ValueError, match=f"^{what}"):
            finite_laws.product_ends(size, width, matrices)


def test_the_depth_law_leaves_out_at_most_a_third_of_the_ratio_of_two_layers():
    c, n = np.array([0.01, 0.1, 0.25]), 1e9
    exact = 2 * np.arctanh(2 * np.sqrt(c) / (1 + 2 * c))
    off = exact / np.log(finite_laws.finite_depth_law(n, n / c, 1e-3, 2)) - 1
    assert np.all((off > 0) & (off < c / 3))
    close(off[0], c[0] / 3, rtol=0.05)


def test_many_layers_of_finite_size_are_drawn():
    d, m, k, L = 30, 240, 6, 4
    found = []
    for draw in range(20):
        weights = kaiming(jax.random.key(draw), (d, m, m, m, k))
        bound = linear_bounds(weights).ratio_of_sums
        found.append(np.log([linear_condition_number(weights), bound]))
    laws_of = (
        finite_laws.finite_depth_law(d, m, k, L),
        finite_laws.finite_ratio_of_sums_law(d, m, k, L),
    )
    close(np.mean(found, axis=0), np.log(laws_of), rtol=0.06)
