import math
from functools import cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import floats

from lazyrich import spectra
from lazyrich.conditioning import (
    bounds,
    linear,
    matrix_free,
    on_range,
    relu,
    second_moment,
    with_skips,
)

SAMPLES = 40
RANKS = {
    (5, 7, 3): 15,
    (5, 7, 6, 3): 15,
    (5, 4, 6, 4, 3): 15,
    (6, 2, 5, 4): 16,
    (5, 6, 5, 6, 5, 3): 15,
    (4, 3, 5): 18,
    (4, 6, 1): 4,
    (1, 3, 2): 2,
    (3, 2): 6,
}  # r (d + k − r)
WIDTHS = list(RANKS)


def drawn(widths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, m**-0.5, (n, m)) for m, n in pairwise(widths)]


def data(widths):
    """Coloured samples, neither centred nor isotropic."""
    scales = np.linspace(0.3, 2, widths[0])
    return jnp.asarray(np.random.default_rng(0).normal(0.2, scales, (SAMPLES, widths[0])))


def deficient(widths):
    """Samples of rank min(d, 3)."""
    rng = np.random.default_rng(1)
    return jnp.asarray(rng.normal(size=(SAMPLES, 3)) @ rng.normal(size=(3, widths[0])))


CASES = [*((widths, data) for widths in WIDTHS), *((widths, deficient) for widths in WIDTHS[:6:2])]


@cache
def dense(widths, samples):
    """A function of weights: the Gauss-Newton matrix by automatic differentiation."""
    x = samples(widths)

    @jax.jit
    def matrix(weights):
        def outputs(weights):
            product = x.T
            for W in weights:
                product = W @ product
            return product.ravel()

        blocks = jax.jacrev(outputs)(weights)
        rows = jnp.concatenate([block.reshape(len(block), -1) for block in blocks], axis=1)
        return rows.T @ rows / SAMPLES

    return lambda weights: np.linalg.eigvalsh(matrix(weights))


@cache
def covariance(widths, samples):
    return on_range(second_moment(samples(widths)))


def exact(measured, dense):
    """Both spectra agree, and what only one of them has is zero."""
    n = min(len(measured), len(dense))
    bound = 1e-12 * max(dense[-1], 1e-30)
    np.testing.assert_allclose(measured[len(measured) - n :], dense[len(dense) - n :], 0, bound)
    for rest in (measured[: len(measured) - n], dense[: len(dense) - n]):
        np.testing.assert_allclose(rest, 0, atol=bound)


@pytest.mark.parametrize(("widths", "samples"), CASES)
def test_the_spectrum_is_that_of_the_gauss_newton_matrix(widths, samples):
    weights = drawn(widths)
    measured = linear.linear_spectrum(weights, covariance(widths, samples))
    assert (np.diff(measured) >= 0).all()
    exact(measured, dense(widths, samples)(weights))


SOME = [(5, 7, 6, 3), (4, 3, 5), (5, 4, 6, 4, 3)]
ENTRIES = floats(-2, 2, allow_subnormal=False)


@pytest.mark.parametrize("widths", SOME)
def test_the_spectrum_is_exact_for_any_weights(widths):
    shapes = list(zip(widths[1:], widths[:-1], strict=True))

    @given(arrays(float, sum(map(math.prod, shapes)), elements=ENTRIES))
    def check(entries):
        cuts = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        parts = zip(np.split(entries, cuts), shapes, strict=True)
        weights = [jnp.asarray(part.reshape(shape)) for part, shape in parts]
        for samples in (data, deficient):
            measured = linear.linear_spectrum(weights, covariance(widths, samples))
            exact(measured, dense(widths, samples)(weights))

    check()


@pytest.mark.parametrize("strength", [0.5, 1.0, -0.7])
def test_skips_are_weights_as_any_others(strength):
    widths = 5, 7, 6, 3
    weights = with_skips(drawn(widths), strength)
    exact(linear.linear_spectrum(weights, covariance(widths, data)), dense(widths, data)(weights))


def test_without_a_covariance_the_data_are_white():
    weights = drawn((5, 7, 3))
    x = np.linalg.qr(np.random.default_rng(0).normal(size=(SAMPLES, 5)))[0] * SAMPLES**0.5
    given = linear.linear_spectrum(weights, on_range(second_moment(x)))
    np.testing.assert_allclose(linear.linear_spectrum(weights), given, rtol=1e-12)
    exact(linear.linear_spectrum(weights), dense((5, 7, 3), lambda widths: jnp.asarray(x))(weights))


def test_partial_products_are_those_of_the_layers_after_and_before():
    weights = drawn((5, 7, 6, 3))
    inputs = covariance((5, 7, 6, 3), data)
    V, U, W = map(np.asarray, weights)
    after, before = linear.partial_products(weights)
    for measured, expected in zip(after, (W @ U, W, np.eye(3)), strict=True):
        np.testing.assert_allclose(measured, expected, rtol=1e-12, atol=1e-14)
    for measured, expected in zip(before, (np.eye(5), V, U @ V), strict=True):
        np.testing.assert_allclose(measured, expected, rtol=1e-12, atol=1e-14)
    R = np.asarray(inputs.directions * np.sqrt(inputs.variances))
    _, with_data = linear.partial_products(weights, inputs)
    for measured, expected in zip(with_data, before, strict=True):
        np.testing.assert_allclose(measured, expected @ R, atol=1e-13)


def test_the_factors_are_grams_and_make_the_matrix():
    weights, inputs = drawn((5, 7, 6, 3)), covariance((5, 7, 6, 3), data)
    after, before = linear.partial_products(weights, inputs)
    A, C = linear.linear_factors(weights, inputs)
    assert A.shape == (3, 3, 3) and C.shape == (3, 5, 5)
    for layer in range(3):
        np.testing.assert_allclose(A[layer], after[layer] @ after[layer].T, atol=1e-13)
        np.testing.assert_allclose(C[layer], before[layer].T @ before[layer], atol=1e-13)
    matrix = linear.reduced_matrix(linear.Factors(A, C))
    expected = sum(np.kron(A[layer], C[layer]) for layer in range(3))
    np.testing.assert_allclose(matrix, expected, rtol=1e-13)


@pytest.mark.parametrize(("widths", "rank"), RANKS.items())
def test_the_rank_is_that_of_the_spectrum(widths, rank):
    weights = drawn(widths)
    assert linear.linear_rank(widths) == rank
    for samples in [samples for one, samples in CASES if one == widths]:
        inputs = covariance(widths, samples)
        values = linear.linear_spectrum(weights, inputs)
        assert spectra.numerical_rank(values, 1e-12) == linear.linear_rank(
            widths, len(inputs.variances)
        )


def test_the_rank_on_data_of_fewer_dimensions_is_that_of_their_span():
    for rest in ((7, 6, 3), (2, 5, 4), (4, 1)):
        for s in (1, 2, 3, 6):
            assert linear.linear_rank((6, *rest), s) == linear.linear_rank((s, *rest))
    with pytest.raises(
        ValueError, match="data_rank must be at most the number of inputs, 6, got 7"
    ):
        linear.linear_rank((6, 3), 7)
    with pytest.raises(ValueError, match="data_rank must be an integer of at least 1, got 0"):
        linear.linear_rank((6, 3), 0)
    with pytest.raises(ValueError, match=r"a sequence of at least 2 integers, got \(6,\)"):
        linear.linear_rank((6,))


@pytest.mark.parametrize(("widths", "samples"), CASES)
def test_the_condition_number_is_over_the_part_that_is_not_zero(widths, samples):
    weights, inputs = drawn(widths), covariance(widths, samples)
    values = dense(widths, samples)(weights)
    expected = values[-1] / values[-linear.linear_rank(widths, len(inputs.variances))]
    measured = linear.linear_condition_number(weights, inputs)
    np.testing.assert_allclose(measured, expected, rtol=1e-9)
    white = linear.linear_spectrum(weights)
    expected = white[-1] / white[-linear.linear_rank(widths)]
    np.testing.assert_allclose(linear.linear_condition_number(weights), expected, rtol=1e-12)


def test_weights_of_lower_rank_have_no_condition_number():
    assert np.isinf(linear.linear_condition_number([np.diag([2.0, 0.0]), np.diag([3.0, 0.0])]))
    # the smallest eigenvalue is 1, since the layers lose different directions
    assert linear.linear_condition_number([np.diag([2.0, 0.0]), np.diag([3.0, 1.0])]) == 13


TWO = [(6, 9, 4), (9, 6, 4), (6, 5, 9), (7, 2, 3), (3, 2, 2), (4, 6, 1)]


@pytest.mark.parametrize("samples", [data, deficient])
@pytest.mark.parametrize("widths", TWO)
def test_two_layers_need_no_matrix_of_all_outputs_and_inputs(widths, samples):
    for seed in range(3):
        weights, inputs = drawn(widths, seed), covariance(widths, samples)
        measured = linear.linear_two_layer_condition_number(weights, inputs)
        np.testing.assert_allclose(
            measured, linear.linear_condition_number(weights, inputs), rtol=1e-8
        )
        measured = linear.linear_two_layer_condition_number(weights)
        np.testing.assert_allclose(measured, linear.linear_condition_number(weights), rtol=1e-10)


def test_two_layers_on_white_data_add_their_squared_singular_values():
    V, W = drawn((5, 7, 3))
    v, w = (np.linalg.svd(matrix, compute_uv=False) ** 2 for matrix in (V, W))
    np.testing.assert_allclose(linear.linear_spectrum([V, W]), np.sort(np.add.outer(w, v).ravel()))
    for weight in (1.0, 0.01, 30.0):
        expected = (w[0] + weight * v[0]) / (w[-1] + weight * v[-1])
        measured = linear.two_layer_reduction(linear.linear_factors([V, W]), 7, weight)
        np.testing.assert_allclose(measured, expected, rtol=1e-12)


def test_the_weight_of_the_second_term_acts_where_that_term_is_alone():
    V, W = drawn((2, 3, 5))  # two of five w_i vanish
    v, w = (np.linalg.svd(matrix, compute_uv=False) ** 2 for matrix in (V, W))
    expected = (w[0] + 0.1 * v[0]) / (0.1 * v[-1])
    measured = linear.two_layer_reduction(linear.linear_factors([V, W]), 3, 0.1)
    np.testing.assert_allclose(measured, expected, rtol=1e-12)


def test_two_layers_are_two():
    with pytest.raises(ValueError, match="weights must hold 2 matrices, got 3"):
        linear.linear_two_layer_condition_number([np.eye(2)] * 3)


def test_wide_skips_leave_the_condition_of_the_data():
    inputs = covariance((5, 7, 6, 3), data)
    weights = with_skips(drawn((5, 7, 6, 3)), 1e6)
    expected = inputs.variances[-1] / inputs.variances[0]
    np.testing.assert_allclose(linear.linear_condition_number(weights, inputs), expected, rtol=1e-4)


def test_layers_that_share_singular_vectors_have_products_of_their_values():
    # Σ_l Π_(l'>l) (s_l'i + β)² Π_(l'<l) (s_l'j + β)²
    rng, beta = np.random.default_rng(0), 0.7
    U, s = np.linalg.qr(rng.normal(size=(4, 4)))[0], rng.random((3, 4))
    weights = with_skips([U @ np.diag(row) @ U.T for row in s], beta)
    t = (s + beta) ** 2
    one, two, three = t[1] * t[2], t[2], np.ones(4)
    expected = sum(np.outer(a, c) for a, c in ((one, three), (two, t[0]), (three, t[0] * t[1])))
    np.testing.assert_allclose(
        linear.linear_spectrum(weights), np.sort(expected.ravel()), rtol=1e-12
    )


def test_draws_of_one_shape_are_mapped():
    widths = 5, 7, 3
    inputs = covariance(widths, data)
    keys = jax.random.split(jax.random.key(0), 3)
    many = jax.vmap(lambda key: [jax.random.normal(key, (n, m)) for m, n in pairwise(widths)])(keys)

    def everything(weights):
        return (
            linear.linear_spectrum(weights, inputs),
            linear.linear_condition_number(weights, inputs),
            linear.linear_two_layer_condition_number(weights, inputs),
        )

    values = jax.jit(jax.vmap(everything))(many)
    for i in range(3):
        for value, single in zip(values, everything([W[i] for W in many]), strict=True):
            np.testing.assert_allclose(value[i], single, rtol=1e-9)


def stacked(widths, inputs=None, draws=3):
    """The factors of many networks, and the weights of each."""
    many = [drawn(widths, seed) for seed in range(draws)]
    each = [linear.linear_factors(weights, inputs) for weights in many]
    return linear.Factors(*map(jnp.stack, zip(*each, strict=True))), many


def test_matrices_of_many_networks_come_at_once():
    factors, _ = stacked((5, 7, 6, 3), covariance((5, 7, 6, 3), data), draws=4)
    two_by_two = linear.Factors(*(part.reshape(2, 2, *part.shape[1:]) for part in factors))
    for many, shape in ((factors, (4,)), (two_by_two, (2, 2))):
        matrices = linear.reduced_matrix(many)
        assert matrices.shape == (*shape, 15, 15)
        for i, matrix in enumerate(matrices.reshape(4, 15, 15)):
            pairs = zip(factors.A[i], factors.C[i], strict=True)
            expected = sum(np.kron(A, C) for A, C in pairs)
            np.testing.assert_allclose(matrix, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("widths", [(6, 9, 4), (6, 5, 9), (7, 2, 3)])
def test_many_networks_of_two_layers_are_reduced_at_several_inner_weights(widths):
    d, m, k = widths
    inputs = covariance(widths, data)
    factors, many = stacked(widths, inputs)
    several = linear.two_layer_reduction(factors, m, jnp.array([[1.0], [0.01]]))
    assert several.shape == (2, 3)
    for i, (V, W) in enumerate(many):
        R = np.asarray(inputs.directions * np.sqrt(inputs.variances))
        for measured, weight in zip(several[:, i], (1, 0.01), strict=True):
            G = np.kron(W @ W.T, R.T @ R) + weight * np.kron(np.eye(k), R.T @ V.T @ V @ R)
            values = np.linalg.eigvalsh(G)
            expected = values[-1] / values[-linear.linear_rank(widths)]
            np.testing.assert_allclose(measured, expected, rtol=1e-8)
    np.testing.assert_allclose(linear.two_layer_reduction(factors, m), several[0], rtol=1e-12)
    # Only the first of the A enters: the second, the identity, may be left out.
    short = linear.Factors(factors.A[:, :1], factors.C)
    np.testing.assert_array_equal(
        linear.two_layer_reduction(short, m), linear.two_layer_reduction(factors, m)
    )


def test_without_a_covariance_partial_products_keep_the_dtype():
    for products in linear.partial_products([np.float32(W) for W in drawn((5, 7, 3))]):
        assert {product.dtype.name for product in products} == {"float32"}


def test_the_dtype_of_the_weights_is_kept():
    weights = [np.float32(W) for W in drawn((5, 7, 3))]
    inputs = on_range(np.diag(np.float32([0.5, 1, 2, 3, 4])))
    for value in (
        *linear.linear_factors(weights, inputs),
        linear.linear_spectrum(weights, inputs),
        linear.linear_condition_number(weights),
        linear.linear_two_layer_condition_number(weights, inputs),
        linear.two_layer_reduction(linear.linear_factors(weights, inputs), 7, np.array([0.5, 1.0])),
    ):
        assert value.dtype == np.float32


FACTORS = linear.Factors(np.ones((2, 3, 3)), np.ones((2, 4, 4)))
NO_FACTORS = {
    "shapes": (
        FACTORS._replace(A=np.ones((2, 3, 4))),
        r"factors.A must have shape \(layers, k, k\), got \(2, 3, 4\)",
    ),
    "layers": (
        FACTORS._replace(C=np.ones((1, 4, 4))),
        r"factors.C must have .*2, s, s\), got \(1, 4, 4\)",
    ),
    "axes": (FACTORS._replace(C=np.ones((4, 4))), r"factors.C must have shape .*, got \(4, 4\)"),
    "nan": (FACTORS._replace(A=np.full((2, 3, 3), np.nan)), "factors.A must be finite, got nan"),
}
OF_FACTORS = {
    "reduced_matrix": linear.reduced_matrix,
    "partial_trace_bound": bounds.partial_trace_bound,
    "product_vector_bound": bounds.product_vector_bound,
    "extreme_eigenvalues": matrix_free.extreme_eigenvalues,
}


@pytest.mark.parametrize("function", OF_FACTORS.values(), ids=OF_FACTORS)
@pytest.mark.parametrize(("factors", "message"), NO_FACTORS.values(), ids=NO_FACTORS)
def test_factors_that_are_none_are_named(function, factors, message):
    with pytest.raises(ValueError, match=message):
        function(factors)


@pytest.mark.parametrize("name", [name for name in OF_FACTORS if name != "reduced_matrix"])
def test_factors_are_those_of_one_network(name):
    many = linear.Factors(*(part[None] for part in FACTORS))
    with pytest.raises(ValueError, match=r"factors.A must have shape \(lay.*, got \(1, 2, 3, 3\)"):
        OF_FACTORS[name](many)


def test_what_the_reduced_matrix_takes_is_named():
    with pytest.raises(ValueError, match="factors must be a Factors, got a tuple"):
        linear.checked_factors(tuple(FACTORS), many=True)


@pytest.mark.parametrize("widths", [(5, 7, 3), (5, 7, 6, 3), (3, 2)])
@pytest.mark.parametrize("power", [-960, -500, -66, -12, 12, 66, 500, 960])
def test_the_condition_number_is_free_of_scale_to_the_bit(widths, power):
    weights, inputs = drawn(widths), covariance(widths, data)
    of_all = [linear.linear_condition_number]
    of_all += [linear.linear_two_layer_condition_number] if len(widths) == 3 else []
    for condition_number in of_all:
        expected = condition_number(weights, inputs)
        scaled = [np.ldexp(W, power + 1) for W in weights]
        assert condition_number(scaled, inputs) == expected
        coloured = inputs._replace(variances=np.ldexp(np.asarray(inputs.variances), power))
        assert condition_number(weights, coloured) == expected
        assert jax.jit(condition_number)(scaled, coloured) == pytest.approx(
            float(expected), rel=1e-10
        )


@pytest.mark.parametrize("scale", [1e-20, 1e18])
def test_in_single_precision_the_condition_number_is_free_of_scale(scale):
    weights = [W.astype("float32") for W in drawn((5, 7, 3))]
    scaled = [W * np.float32(scale) for W in weights]
    measured = linear.linear_condition_number(scaled)
    assert measured.dtype == np.float32
    np.testing.assert_allclose(measured, linear.linear_condition_number(weights), rtol=1e-4)


def test_deep_networks_of_ordinary_weights_are_as_they_are():
    weights = drawn((20, *[40] * 150, 4))
    values = linear.linear_spectrum(weights)
    measured = linear.linear_condition_number(weights)
    np.testing.assert_allclose(measured, values[-1] / values[0], rtol=1e-12)


def test_a_network_that_is_zero_has_no_condition_number():
    zeros = [np.zeros((7, 5)), np.zeros((3, 7))]
    assert np.isinf(linear.linear_condition_number(zeros))
    last = [np.diag([1.0, 2.0, 4.0]), np.zeros((2, 3))]  # as many a network starts
    assert linear.linear_condition_number(last) == 16


def test_a_spectrum_beyond_all_floats_is_one_sentence():
    weights = [1e160 * W for W in drawn((5, 7, 3))]
    for function in (linear.linear_spectrum, linear.linear_factors, bounds.layer_extremes):
        with pytest.raises(ValueError, match="^weights and inputs must be of a size whose result"):
            function(weights)


def test_layers_too_far_apart_for_any_float_are_one_sentence():
    V, W = drawn((5, 7, 3))
    for function in (
        linear.linear_condition_number,
        linear.linear_two_layer_condition_number,
        bounds.linear_bounds,
        lambda weights: relu.leaky_relu_condition_number(weights, np.ones((2, 5)), 0.1),
        lambda weights: relu.leaky_relu_bounds(weights, np.ones((2, 5)), 0.1),
    ):
        with pytest.raises(
            ValueError, match="^weights and .* must be of a size whose result is in"
        ):
            function([1e-200 * V, 1e200 * W])
