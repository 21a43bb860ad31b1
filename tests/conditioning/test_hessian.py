from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import floats
from jax.flatten_util import ravel_pytree

from lazyrich import networks, spectra
from lazyrich.conditioning import hessian, linear, linear_network, on_range, second_moment

SAMPLES = 30
WIDTHS = [(5, 6, 3), (5, 6, 4, 3), (3, 2, 4, 3, 2), (4, 3), (2, 3, 5)]


def drawn(widths, seed=0):
    rng = np.random.default_rng(seed)
    weights = [jnp.asarray(rng.normal(0, m**-0.5, (n, m))) for m, n in pairwise(widths)]
    x, y = rng.normal(size=(SAMPLES, widths[0])), rng.normal(size=(SAMPLES, widths[-1]))
    return weights, jnp.asarray(x), jnp.asarray(y)


def close(measured, expected, atol):
    np.testing.assert_allclose(measured, expected, rtol=0, atol=atol)


def by_loops(outputs, params, x, y):
    """The Hessian's parts from the Jacobian and Hessian of each output of each sample."""
    flat, unravel = ravel_pytree(params)
    f = jax.jit(lambda flat: outputs(unravel(flat), x))
    J, H, r = jax.jit(jax.jacfwd(f))(flat), jax.jit(jax.hessian(f))(flat), f(flat) - y
    return (
        jnp.einsum("scp,scq->pq", J, J) / len(x),
        jnp.einsum("sc,scpq->pq", r, H) / len(x),
    )


@pytest.mark.parametrize("widths", WIDTHS[:2])
def test_the_parts_are_what_they_are_defined_as_and_make_the_whole(widths):
    weights, x, y = drawn(widths)
    parts = hessian.split_hessian(linear_network, weights, x, y)
    for measured, expected in zip(parts, by_loops(linear_network, weights, x, y), strict=True):
        close(measured, expected, 1e-13)
    whole = hessian.loss_hessian(linear_network, weights, x, y)
    close(whole, sum(parts), 1e-13)
    assert np.abs(parts.functional).max() > 0.01


def test_any_network_is_split():
    network = networks.fully_connected((3, 4, 2), jnp.tanh)
    _, x, y = drawn((3, 4, 2))
    params = network.init(jax.random.key(0))
    parts = hessian.split_hessian(network.apply, params, x, y)
    for measured, expected in zip(parts, by_loops(network.apply, params, x, y), strict=True):
        close(measured, expected, 1e-13)
    close(hessian.loss_hessian(network.apply, params, x, y), sum(parts), 1e-13)


@pytest.mark.parametrize("widths", WIDTHS)
def test_the_functional_hessian_of_a_linear_network_is_exact(widths):
    weights, x, y = drawn(widths)
    Omega = hessian.linear_residual_correlation(weights, x, y)
    residual = np.asarray(linear_network(weights, x) - y)
    close(Omega, sum(np.outer(r, row) for r, row in zip(residual, x, strict=True)) / SAMPLES, 1e-14)
    expected = hessian.split_hessian(linear_network, weights, x, y).functional
    measured = hessian.linear_functional_hessian(weights, Omega)
    assert measured.shape == expected.shape
    close(measured, expected, 1e-13)


@given(arrays(float, 4 * 3 + 2 * 4 + 3 * 2, elements=floats(-2, 2, allow_subnormal=False)))
def test_the_functional_hessian_is_exact_for_any_weights(entries):
    _, x, y = drawn((3, 4, 2, 3))
    shapes = (4, 3), (2, 4), (3, 2)
    weights = [
        jnp.asarray(part.reshape(shape))
        for part, shape in zip(np.split(entries, (12, 20)), shapes, strict=True)
    ]
    expected = linear_functional(weights, x, y)
    measured = hessian.linear_functional_hessian(
        weights, hessian.linear_residual_correlation(weights, x, y)
    )
    close(measured, expected, 1e-12 * max(np.abs(expected).max(), 1))


@jax.jit
def linear_functional(weights, x, y):
    flat, unravel = ravel_pytree(weights)
    residual = linear_network(weights, x) - y
    return jax.hessian(lambda f: (residual * linear_network(unravel(f), x)).sum() / len(x))(flat)


@pytest.mark.parametrize("widths", [(5, 6, 3), (2, 3, 5), (4, 1, 4)])
def test_two_layers_have_the_singular_values_of_the_correlation(widths):
    weights, x, y = drawn(widths)
    Omega = hessian.linear_residual_correlation(weights, x, y)
    values = hessian.two_layer_functional_spectrum(Omega, widths[1])
    expected = np.linalg.eigvalsh(hessian.linear_functional_hessian(weights, Omega))
    assert values.shape == expected.shape
    close(values, expected, 1e-13)


def test_the_correlation_vanishes_at_the_least_squares_solution():
    weights, x, _ = drawn((5, 6, 3))
    noise = np.linalg.svd(x)[0][:, 5:8]  # orthogonal to every input
    Omega = hessian.linear_residual_correlation(weights, x, linear_network(weights, x) + noise)
    close(Omega, np.zeros((3, 5)), 1e-14)


def test_the_ranks_of_the_parts():
    weights, x, y = drawn((5, 6, 4, 3))
    parts = hessian.split_hessian(linear_network, weights, x, y)
    ranks = [
        int(spectra.numerical_rank(np.linalg.eigvalsh(matrix), 1e-10))
        for matrix in (parts.gauss_newton, sum(parts))
    ]
    assert ranks == [linear.linear_rank((5, 6, 4, 3)), 57]


def test_the_gauss_newton_part_is_that_of_the_reduced_matrix():
    weights, x, y = drawn((5, 6, 4, 3))
    values = np.linalg.eigvalsh(hessian.split_hessian(linear_network, weights, x, y).gauss_newton)
    close(values[-15:], linear.linear_spectrum(weights, on_range(second_moment(x))), 1e-13)


def test_a_correlation_that_does_not_fit_is_named():
    weights, *_ = drawn((5, 6, 3))
    for shape in ((5, 3), (2, 5), (3, 6), (3, 5, 1)):
        message = rf"Omega must have shape \(3, 5\), got \({', '.join(map(str, shape))}\)"
        with pytest.raises(ValueError, match=message):
            hessian.linear_functional_hessian(weights, np.ones(shape))
    with pytest.raises(ValueError, match=r"Omega must be one matrix .*, got \(2, 3, 5\)"):
        hessian.two_layer_functional_spectrum(np.ones((2, 3, 5)), 6)
    with pytest.raises(ValueError, match="Omega must be finite, got nan"):
        hessian.two_layer_functional_spectrum(np.full((3, 5), np.nan), 6)
    with pytest.raises(ValueError, match="width must be an integer of at least 1, got 0"):
        hessian.two_layer_functional_spectrum(np.ones((3, 5)), 0)


@pytest.mark.parametrize(
    "function",
    [
        lambda weights, x, y: hessian.loss_hessian(linear_network, weights, x, y),
        lambda weights, x, y: hessian.split_hessian(linear_network, weights, x, y),
        hessian.linear_residual_correlation,
    ],
)
def test_targets_that_do_not_fit_are_named(function):
    weights, x, y = drawn((5, 6, 3))
    message = r"y must have (the shape of the outputs,|shape) \(30, 3\), got \(30, 1\)"
    with pytest.raises(ValueError, match=message):
        function(weights, x, y[:, :1])


@jax.custom_vjp
def square(z):
    return z**2


square.defvjp(lambda z: (z**2, z), lambda z, g: (2 * z * g,))


def cube_by_a_loop(z):
    return jax.lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, c[1] * z), (0, z))[1]


@pytest.mark.parametrize(
    ("activation", "same"), [(square, lambda z: z**2), (cube_by_a_loop, lambda z: z**3)]
)
def test_a_network_with_derivatives_in_one_direction_takes_that(activation, same):
    weights, x, y = drawn((2, 3, 2))

    def network(activation):
        return lambda weights, x: activation(x @ weights[0].T) @ weights[1].T

    one, other = network(activation), network(same)
    whole, parts = (of(one, weights, x, y) for of in (hessian.loss_hessian, hessian.split_hessian))
    close(whole, hessian.loss_hessian(other, weights, x, y), 1e-12)
    close(whole, sum(parts), 1e-12)


def test_a_network_without_two_derivatives_is_named():
    def network(w, x):
        return jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), w * x)

    for function in (hessian.loss_hessian, hessian.split_hessian):
        with pytest.raises(ValueError, match="^apply must be twice differentiable: Pure callbacks"):
            function(network, np.ones(1), np.ones((2, 1)), np.ones((2, 1)))


def test_hessians_of_what_lies_on_a_disk():
    def network(w, x):
        return x @ w

    x, y, w = np.array([[200, 100]], np.uint8), np.array([[True]]), np.array([[0.5], [2.0]])
    expected = np.outer([200, 100], [200, 100])
    for params in (w, w.astype(">f8")):
        np.testing.assert_array_equal(hessian.loss_hessian(network, params, x, y), expected)
        np.testing.assert_array_equal(hessian.split_hessian(network, params, x, y)[0], expected)
    with pytest.raises(ValueError, match="^y must be an array without a mask"):
        hessian.loss_hessian(network, w, x, np.ma.array(y, mask=[[False]]))
    with pytest.raises(
        ValueError, match="^y must be finite, got inf"
    ):  # in the network's precision
        hessian.loss_hessian(network, w.astype("float32"), x, np.array([[1e40]]))
    with pytest.raises(ValueError, match="^params, x and y must be of a size whose result is in"):
        hessian.loss_hessian(network, w, 1e200 * x, y)
