from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import floats, sampled_from

from lazyrich.conditioning import relu
from lazyrich.networks import fully_connected

SIZES = [(8, 12, 20, 3), (6, 4, 9, 1), (5, 7, 3, 4)]  # samples, inputs, hidden units, outputs
SLOPES = [0.0, 0.01, 0.5, 1.0, -0.3]


def drawn(sizes, seed=0):
    n, d, m, k = sizes
    rng = np.random.default_rng(seed)
    V, W = rng.normal(0, d**-0.5, (m, d)), rng.normal(0, m**-0.5, (k, m))
    return [V, W], rng.normal(size=(n, d))


@cache
def dense(sizes):
    """A function of weights, samples and slope: J Jᵀ/n by automatic differentiation."""
    n, _, _, k = sizes

    @jax.jit
    def matrix(weights, x, slope):
        def outputs(weights):
            z = x @ weights[0].T
            return (jnp.where(z >= 0, z, slope * z) @ weights[1].T).ravel()

        J = [block.reshape(n * k, -1) for block in jax.jacrev(outputs)(weights)]
        return sum(block @ block.T for block in J) / n

    return matrix


@pytest.mark.parametrize("sizes", SIZES)
def test_the_sample_matrix_is_that_of_the_jacobian(sizes):
    weights, x = drawn(sizes)
    for slope in SLOPES:
        expected = dense(sizes)(weights, x, slope)
        measured = relu.leaky_relu_matrix(weights, x, slope)
        np.testing.assert_allclose(measured, expected, rtol=0, atol=1e-14 * np.abs(expected).max())


ENTRIES = floats(-2, 2, allow_subnormal=False)


@given(arrays(float, 9 * 4 + 9 + 6 * 4, elements=ENTRIES), sampled_from(SLOPES))
def test_the_sample_matrix_is_exact_for_any_weights_and_samples(entries, slope):
    V, W, x = entries[:36].reshape(9, 4), entries[36:45].reshape(1, 9), entries[45:].reshape(6, 4)
    expected = np.asarray(dense((6, 4, 9, 1))([V, W], x, slope))
    measured = relu.leaky_relu_matrix([V, W], x, slope)
    np.testing.assert_allclose(measured, expected, 0, 1e-12 * max(np.abs(expected).max(), 1e-30))


def test_the_network_is_the_leaky_relu_of_the_library():
    from lazyrich.kernels import empirical_ntk

    weights, x = drawn(SIZES[0])
    network = fully_connected((12, 20, 3), lambda z: jax.nn.leaky_relu(z, 0.1))
    params = [{"weight": jnp.asarray(W)} for W in weights]
    expected = empirical_ntk(network, params, jnp.asarray(x)) / len(x)
    np.testing.assert_allclose(relu.leaky_relu_matrix(weights, x, 0.1), expected, rtol=1e-12)


def test_the_matrix_is_the_sum_over_units_that_the_formula_says():
    (V, W), x = drawn(SIZES[2])
    z = V @ x.T
    hidden = np.where(z >= 0, z, 0.5 * z)
    expected = np.kron(hidden.T @ hidden, np.eye(4))
    for i in range(3):
        D = np.diag(np.where(z[i] >= 0, 1, 0.5))
        expected += np.kron(D @ x @ x.T @ D, np.outer(W[:, i], W[:, i]))
    np.testing.assert_allclose(relu.leaky_relu_matrix([V, W], x, 0.5), expected / 5, atol=1e-14)


@pytest.mark.parametrize("sizes", SIZES[:2])
def test_the_condition_number_is_over_all_samples_and_outputs(sizes):
    weights, x = drawn(sizes)
    values = np.linalg.eigvalsh(dense(sizes)(weights, x, 0.5))
    measured = relu.leaky_relu_condition_number(weights, x, 0.5)
    np.testing.assert_allclose(measured, values[-1] / values[0], rtol=1e-9)


@pytest.mark.parametrize(
    "function", [relu.leaky_relu_matrix, relu.leaky_relu_condition_number, relu.leaky_relu_bounds]
)
def test_the_slope_may_be_an_array_or_traced(function):
    weights, x = drawn(SIZES[0])
    traced = jax.jit(jax.vmap(lambda slope: function(weights, x, slope)))(jnp.array([0.1, 0.5]))
    for i, slope in enumerate((0.1, 0.5)):
        expected = np.concatenate(
            [
                leaf.ravel()
                for leaf in jax.tree.leaves([part[i] for part in jax.tree.leaves(traced)])
            ]
        )
        for form in (slope, jnp.array(slope), np.array(slope), np.float64(slope)):
            leaves = jax.tree.leaves(function(weights, x, form))
            measured = np.concatenate([leaf.ravel() for leaf in leaves])
            np.testing.assert_allclose(measured, expected, rtol=1e-9, atol=1e-14)


def test_the_slope_takes_the_dtype_of_the_weights():
    weights, x = drawn(SIZES[0])
    single = [np.float32(W) for W in weights]
    for slope in (jnp.array(0.5, "float64"), 0, 1):
        matrix = relu.leaky_relu_matrix(single, np.float32(x), slope)
        assert matrix.dtype == np.float32
        expected = relu.leaky_relu_matrix(weights, x, float(slope))
        np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-5)


def test_a_sample_that_stands_twice_makes_it_infinite():
    weights, x = drawn(SIZES[0])
    assert np.isinf(relu.leaky_relu_condition_number(weights, np.concatenate([x, x[:1]]), 0.5))


def test_the_dtype_of_the_weights_is_kept():
    weights, x = drawn(SIZES[0])
    weights, x = [np.float32(W) for W in weights], np.float32(x)
    assert relu.leaky_relu_matrix(weights, x, 0.5).dtype == np.float32
    assert relu.leaky_relu_bounds(weights, x, 0.5).proven.dtype == np.float32


def test_extremes_are_those_of_the_gram_matrices():
    (V, W), x = drawn(SIZES[0])
    z = x @ V.T
    hidden = np.where(z >= 0, z, 0.1 * z)
    ends = relu.leaky_relu_extremes([V, W], x, 0.1)
    for pair, rows in zip(ends, (x, W, hidden, z), strict=True):
        values = np.linalg.eigvalsh(rows @ rows.T)
        np.testing.assert_allclose(pair, [values[0], values[-1]], rtol=1e-9)


@pytest.mark.parametrize("slope", SLOPES)
def test_the_bounds_are_put_together_as_they_say(slope):
    weights, x = drawn(SIZES[0])
    data, outputs, hidden, linear = relu.leaky_relu_extremes(weights, x, slope)
    bounds = relu.leaky_relu_bounds(weights, x, slope)
    top = data[1] * outputs[1] + hidden[1]
    linear_top = data[1] * outputs[1] + linear[1]
    bottom = slope**2 * data[0] * outputs[0] + hidden[0]
    linear_bottom = slope**2 * data[0] * outputs[0] + slope**2 * linear[0]
    np.testing.assert_allclose(bounds.proven, top / bottom, rtol=1e-12)
    np.testing.assert_allclose(bounds.linear_top, linear_top / bottom, rtol=1e-12)
    expected = top / linear_bottom if slope else np.inf
    np.testing.assert_allclose(bounds.linear_bottom, expected, rtol=1e-12)


@pytest.mark.parametrize("sizes", SIZES[:2])
def test_the_proven_bound_holds(sizes):
    for seed in range(20):
        weights, x = drawn(sizes, seed)
        for slope in SLOPES:
            bound = relu.leaky_relu_bounds(weights, x, slope).proven
            assert relu.leaky_relu_condition_number(weights, x, slope) <= bound * (1 + 1e-9)


def test_without_a_kink_the_bound_is_that_of_a_linear_network():
    weights, x = drawn(SIZES[0])
    bounds = relu.leaky_relu_bounds(weights, x, 1.0)
    np.testing.assert_allclose(bounds.linear_top, bounds.proven, rtol=1e-12)
    np.testing.assert_allclose(bounds.linear_bottom, bounds.proven, rtol=1e-9)


def test_eigenvalues_at_the_rounding_floor_bound_nothing():
    # More samples than inputs and hidden units: XᵀX and T are singular.
    weights, x = drawn((9, 3, 4, 2))
    bounds = relu.leaky_relu_bounds(weights, x, 0.5)
    assert np.isinf(bounds.proven) and np.isinf(bounds.linear_top)
    assert np.isinf(bounds.linear_bottom)


def test_an_infinite_bound_has_a_slope_of_zero():
    weights, x = drawn((9, 3, 4, 2))
    slopes = jax.grad(lambda x: relu.leaky_relu_bounds(weights, x, 0.5).linear_bottom)(x)
    assert not slopes.any()


def counterexample(z, slope):
    """The extremes of T and of its linear stand-in for V X = z."""
    z = np.array(z)
    ends = relu.leaky_relu_extremes([z, np.eye(len(z))], np.eye(len(z)), slope)
    return np.asarray(ends.hidden), np.asarray(ends.linear)


def test_the_hidden_layer_is_no_contraction_of_its_linear_part():
    hidden, linear = counterexample([[1.0, -1.0], [1.0, 1.0]], 0.5)
    np.testing.assert_allclose([hidden[1], linear[1]], [2.25, 2], rtol=1e-12)
    hidden, linear = counterexample([[1.0, -1.0], [-1.0, 0.25]], 0.5)
    assert abs(hidden[0]) < 1e-15
    np.testing.assert_allclose(0.5**2 * linear[0], 0.049, atol=5e-4)


@pytest.mark.parametrize(
    "function", [relu.leaky_relu_matrix, relu.leaky_relu_condition_number, relu.leaky_relu_bounds]
)
@pytest.mark.parametrize(
    ("weights", "x", "slope", "message"),
    [
        ([np.ones((2, 3))], np.ones((4, 3)), 0.5, "weights must hold 2 matrices, got 1"),
        ([np.ones((2, 3)), np.ones((1, 2))], np.ones((4, 2)), 0.5, r"x must have shape \(n, 3"),
        ([np.ones((2, 3)), np.ones((1, 2))], np.ones((4, 3, 3)), 0.5, r"3\), got \(4, 3, 3\)"),
        (
            [np.ones((2, 3)), np.ones((1, 2))],
            np.ones((0, 3)),
            0.5,
            r"x must have shape \(n, 3\), got \(0, 3\)",
        ),
        ([np.ones((2, 3)), np.ones((1, 2))], np.ones((4, 3)), np.ones(2), r"slope must be one num"),
        ([np.ones((2, 3)), np.ones((1, 2))], np.ones((4, 3)), 1.1, "from -1 to 1, got 1.1"),
        ([np.ones((2, 3)), np.ones((1, 2))], np.ones((4, 3)), -1.1, "from -1 to 1, got -1.1"),
        ([np.ones((2, 3)), np.ones((1, 2))], np.ones((4, 3)), np.nan, "slope must be finite"),
        ([np.ones((2, 3)), np.ones((1, 2))], np.ones((4, 3), complex), 0.5, "x .* complex"),
    ],
)
def test_what_does_not_fit_is_named(function, weights, x, slope, message):
    with pytest.raises(ValueError, match=message):
        function(weights, x, slope)


def test_samples_of_another_precision_are_refused():
    weights = [jnp.ones((3, 2)), jnp.ones((1, 3))]
    with pytest.raises(
        ValueError, match=r"x must have the dtype of weights\[0\], float64, got float32"
    ):
        relu.leaky_relu_matrix(weights, jnp.ones((4, 2), jnp.float32), 0.1)


@pytest.mark.parametrize("sizes", SIZES[:2])
def test_the_spectrum_is_that_of_the_tangent_kernel(sizes):
    weights, x = drawn(sizes)
    values = relu.leaky_relu_spectrum(weights, x, 0.1)
    expected = np.linalg.eigvalsh(dense(sizes)(weights, x, 0.1))
    assert (np.diff(values) >= 0).all()
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12 * expected[-1])
    kappa = relu.leaky_relu_condition_number(weights, x, 0.1)
    np.testing.assert_allclose(kappa, values[-1] / values[0], rtol=1e-12)


def test_samples_of_integers_are_those_of_floats():
    weights, _ = drawn(SIZES[1])
    x = np.random.default_rng(0).integers(0, 256, (6, 4)).astype(np.uint8)
    for function in (relu.leaky_relu_matrix, relu.leaky_relu_bounds, relu.leaky_relu_extremes):
        for part, same in zip(
            function(weights, x, 0.1), function(weights, 1.0 * x, 0.1), strict=True
        ):
            np.testing.assert_array_equal(part, same)
