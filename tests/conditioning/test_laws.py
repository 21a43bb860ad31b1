import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich.conditioning import laws


def close(measured, expected, rtol=1e-12):
    np.testing.assert_allclose(measured, expected, rtol)


def test_two_layers_of_known_size():
    m = np.array([50, 100, 200, 500, 1000, 2000.0])
    close(
        laws.two_layer_law(61, m, 10), [18.7347, 12.6934, 7.4579, 3.8560, 2.6422, 1.9995], rtol=1e-5
    )
    loose = laws.two_layer_loose_law(61, m, 10) / laws.two_layer_law(61, m, 10)
    close(loose, [np.inf, 5.212, 1.612, 1.115, 1.038, 1.013], rtol=5e-4)


@pytest.mark.parametrize(("d", "m", "k"), [(4, 9, 1), (9, 4, 1), (1, 4, 9), (16, 4, 9)])
def test_two_layers_have_their_edges_by_hand(d, m, k):
    w = [(1 + s * np.sqrt(k / m)) ** 2 for s in (-1, 1)]
    v = [(np.sqrt(m / d) + s) ** 2 for s in (-1, 1)]
    w[0], v[0] = (w[0] if m >= k else 0), (v[0] if m >= d else 0)
    smallest = w[0] + v[0]
    expected = (w[1] + v[1]) / smallest if smallest else np.inf
    close(laws.two_layer_law(d, m, k), expected)
    ratios = [high / low if low else np.inf for low, high in (w, v)]
    close(laws.two_layer_loose_law(d, m, k), max(ratios))


def test_the_loose_law_is_of_whichever_layer_is_worse():
    close(laws.two_layer_loose_law(1, 100, 25), 9)  # (1 + ½)²/(1 − ½)²
    close(laws.two_layer_loose_law(25, 100, 1), 9)  # (2 + 1)²/(2 − 1)²


def test_at_the_edge_a_square_layer_is_singular():
    assert np.isinf(laws.two_layer_loose_law(4, 4, 1)) and np.isinf(
        laws.two_layer_loose_law(1, 4, 4)
    )
    assert np.isinf(laws.two_layer_law(4, 4, 4))
    close(laws.two_layer_law(4, 4, 1), (1.5**2 + 4) / 0.5**2)


@pytest.mark.parametrize("law", [laws.two_layer_law, laws.two_layer_loose_law])
def test_an_infinite_law_has_a_slope_of_zero(law):
    assert jax.grad(lambda m: law(4.0, m, 4.0))(3.0) == 0


def test_wide_two_layers_approach_one_as_the_root_of_the_width():
    m = 1e8
    close((laws.two_layer_law(61, m, 10) - 1) / np.sqrt(61 / m), 4, rtol=1e-2)
    close(np.log(laws.depth_law(61, m, 10, 2)) / np.sqrt(61 / m), 4)


def test_the_depth_law_of_known_size():
    measured = [
        laws.depth_law(61, m, 10, L)
        for L, m in ((3, 1000), (4, 1000), (6, 1000), (4, 300), (6, 300), (8, 300), (12, 300))
    ]
    close(measured, [3.686, 4.620, 6.709, 16.345, 32.308, 57.056, 147.106], rtol=1e-4)


def test_the_depth_law_counts_in_how_many_terms_each_layer_stands():
    d, k, m = 30.0, 6.0, np.array([120.0, 500.0])
    for L in (2, 3, 5, 9):
        before = np.sqrt(sum(i**2 for i in range(L))) / (L - 1)
        after = np.sqrt(sum(i**2 for i in range(L - 1))) / (L - 1)
        expected = 4 * (before * np.sqrt(d / m) + after * np.sqrt(k / m))
        close(np.log(laws.depth_law(d, m, k, L)), expected)


def test_the_depth_law_is_first_order_free_probability():
    # With k = 0 the law is that of B_2 + … + B_L. In V = U S, U orthonormal, the next layer W
    # meets U alone: W U is Gaussian again, and Uᵀ Wᵀ W U the Gram matrix of d Gaussian columns.
    d, m, L = 100, 10_000, 4
    rng, S, total = np.random.default_rng(0), np.eye(d), 0
    for _ in range(L - 1):
        gram = np.cov(rng.normal(size=(d, m)), bias=True)
        S = np.linalg.cholesky(gram).T @ S
        total += S.T @ S
    values = np.linalg.eigvalsh(total)
    close(np.log(values[-1] / values[0]), np.log(laws.depth_law(d, m, 1e-9, L)), rtol=0.05)


def test_two_layers_on_separated_data_of_known_size():
    close(laws.separated_law(4.0, 16.0, 1.0), (4 + 1.25**2) / (13 / 4 + 0.75**2))
    m = 1e8
    close((laws.separated_law(61, m, 1e-12) - 1) * m / 61, 60 / 61, rtol=1e-3)  # (d − 1)/m


def test_separated_data_see_the_diagonal_of_the_layers():
    # With k = 0, W Wᵀ = 1. The variances lie four orders apart.
    d, m, draws = 8, 100, 2000
    V = np.random.default_rng(0).normal(0, d**-0.5, (draws, m, d))
    scale = np.logspace(0, 7, d) ** 0.5
    G = (np.eye(d) + V.swapaxes(1, 2) @ V) * np.outer(scale, scale)
    values = np.linalg.eigvalsh(G)
    ratio = values[:, -1] / values[:, 0] / 1e7
    close(np.log(ratio).mean(), np.log(laws.separated_law(d, m, 1e-12)), rtol=0.2)


def test_widths_in_proportion_to_depth_have_a_limit():
    close(laws.proportional_law(61, 10, np.array([60, 120.0])), [26.3476, 10.1068], rtol=1e-5)
    deep = laws.depth_law(61, 60 * 1e6, 10, 1_000_000)
    close(deep, laws.proportional_law(61, 10, 60), rtol=1e-4)
    close(np.log(laws.proportional_law(4, 9, 3)), 4 * (2 + 3) / 3)


@pytest.mark.parametrize("name", ["inputs", "width", "outputs"])
@pytest.mark.parametrize(
    "law", [laws.two_layer_law, laws.two_layer_loose_law, laws.separated_law, laws.depth_law]
)
def test_sizes_are_positive(law, name):
    sizes = {"inputs": 3, "width": 4, "outputs": 2}
    sizes |= {"depth": 3} if law is laws.depth_law else {}
    with pytest.raises(ValueError, match=f"{name} must be positive, got 0.0"):
        law(**{**sizes, name: 0})


def test_what_has_no_law_is_named():
    with pytest.raises(ValueError, match="depth must be an integer of at least 2, got 1"):
        laws.depth_law(3, 4, 2, 1)
    with pytest.raises(ValueError, match="width_per_layer must be positive, got -1.0"):
        laws.proportional_law(3, 2, -1)


def test_the_separated_law_is_for_widths_from_the_input_on():
    assert laws.separated_law(61.0, jnp.array([10.0, 60.0]), 10.0).tolist() == [jnp.inf] * 2
    assert 1 < laws.separated_law(61.0, 61.0, 10.0) < jnp.inf


def test_sizes_that_do_not_fit_are_named():
    for law in (laws.two_layer_law, laws.separated_law):
        with pytest.raises(ValueError, match="^inputs and width and outputs must broadcast"):
            law(np.ones(2), np.ones(3), 2)


def test_a_law_that_no_float_holds_is_one_sentence():
    for law in (laws.two_layer_law, laws.two_layer_loose_law, laws.separated_law):
        with pytest.raises(ValueError, match="^inputs, width, outputs must be of a size whose"):
            law(1e-200, 1e200, 3)
    with pytest.raises(ValueError, match="^inputs, width, outputs must be of a size whose"):
        laws.depth_law(1e6, 1, 1, 3)
    with pytest.raises(ValueError, match="^inputs, width_per_layer, outputs must be of a size"):
        laws.proportional_law(1e6, 1, 1)
