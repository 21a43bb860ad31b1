import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.jet import jet
from jax.flatten_util import ravel_pytree

from lazyrich import derivatives, networks
from small_networks import OUTPUTS, SAMPLES


def test_a_jacobian_has_a_row_a_sample_and_output_and_a_column_a_parameter(network):
    apply, params, x = network
    J = np.asarray(jax.jit(lambda params: derivatives.jacobian(apply, params, x))(params))
    assert J.shape == (SAMPLES * OUTPUTS, 5 * 3 + OUTPUTS * 5)
    flat, unravel = ravel_pytree(params)
    outputs = jax.jit(lambda flat: apply(unravel(flat), x).reshape(-1))
    for j in range(J.shape[1]):
        shift = 1e-5 * np.eye(len(flat))[j]
        slope = (outputs(flat + shift) - outputs(flat - shift)) / 2e-5
        np.testing.assert_allclose(J[:, j], slope, atol=1e-8)


def test_few_parameters_are_differentiated_forwards(monkeypatch):
    def apply(params, x):
        return jnp.tanh(x @ params["matrix"]) * params["scale"]

    x = jnp.asarray(np.random.default_rng(0).normal(size=(9, 2)))
    params = {"matrix": jnp.array([[1.0, 0.5], [-2.0, 1.0]]), "scale": jnp.array(0.7)}
    expected = derivatives.jacobian(apply, params, x)
    assert expected.shape == (18, 5)
    used = []
    for name in ("jacfwd", "jacrev"):
        original = getattr(jax, name)
        monkeypatch.setattr(jax, name, lambda f, g=original, name=name: used.append(name) or g(f))
    for samples, mode in ((3, "jacfwd"), (2, "jacrev")):
        J = derivatives.jacobian(apply, params, x[:samples])
        np.testing.assert_allclose(J, expected[: 2 * samples], rtol=1e-13, atol=1e-15)
        assert used.pop() == mode and not used
    assert derivatives.jacobian(apply, {**params, "scale": jnp.ones(2)}, x[:3]).shape == (6, 6)
    assert used == ["jacrev"]  # as many rows as parameters


# Taylor coefficients


def test_taylor_coefficients_are_those_of_a_known_series():
    params, direction = (
        {"a": jnp.array(0.3), "b": jnp.array([1.0, 2.0])},
        {"a": 2.0, "b": jnp.ones(2)},
    )
    coefficients = derivatives.taylor_coefficients(
        lambda p: jnp.exp(p["a"]) * p["b"] ** 2, params, direction, 5
    )
    exponential = np.polynomial.Polynomial([2.0**k / math.factorial(k) for k in range(6)])
    for i, b in enumerate((1.0, 2.0)):
        series = np.exp(0.3) * exponential * np.polynomial.Polynomial([b, 1]) ** 2
        np.testing.assert_allclose(coefficients[:, i], series.coef[:6], rtol=1e-13)


@pytest.mark.parametrize("activation", [jnp.tanh, jnp.sin, jax.nn.sigmoid, jax.scipy.special.erf])
def test_taylor_coefficients_are_those_of_jet(activation, key):
    network = networks.fully_connected((3, 6, 5, 2), activation, networks.neural_tangent)
    params, direction = network.init(key()), network.init(key())
    x = jax.random.normal(key(), (4, 3))
    flat, unravel = ravel_pytree(params)
    series = [ravel_pytree(direction)[0]] + [jnp.zeros_like(flat)] * 4
    value, rest = jet(lambda flat: network.apply(unravel(flat), x), (flat,), (series,))
    coefficients = derivatives.taylor_coefficients(
        lambda params: network.apply(params, x), params, direction, 5
    )
    assert coefficients.shape == (6, 4, 2)
    for k, derivative in enumerate([value, *rest]):
        expected = np.asarray(derivative) / math.factorial(k)
        np.testing.assert_allclose(coefficients[k], expected, rtol=1e-10, atol=1e-12)


def test_taylor_coefficients_can_be_differentiated_and_vectorised(network):
    apply, params, x = network

    def second(p):
        return derivatives.taylor_coefficients(lambda p: apply(p, x[:1])[0, 0], p, params, 2)[2]

    slope = jax.grad(second)(params)
    shift = 1e-5
    moved = [jax.tree.map(lambda w, s=s: w + s * shift * w, params) for s in (1, -1)]
    expected = (second(moved[0]) - second(moved[1])) / (2 * shift)
    inner = sum((a["weight"] * b["weight"]).sum() for a, b in zip(slope, params, strict=True))
    np.testing.assert_allclose(inner, expected, rtol=1e-7)
    many = jax.tree.map(lambda w: jnp.stack([w, 2 * w]), params)
    rows = jax.vmap(second)(many)
    np.testing.assert_allclose(rows[1], second(jax.tree.map(lambda w: 2 * w, params)), rtol=1e-12)


def test_orders_that_are_not_whole_or_below_zero_are_refused():
    with pytest.raises(ValueError, match="order must be an integer of at least 0, got -1"):
        derivatives.taylor_coefficients(jnp.sin, 0.0, 1.0, -1)
    assert derivatives.taylor_coefficients(jnp.cos, 0.0, 1.0, 0).tolist() == [1.0]


@pytest.mark.parametrize("activation", [jax.nn.relu, lambda z: z * jnp.abs(z), jnp.tanh])
def test_a_kink_within_the_step_leaves_a_jump_that_does_not_shrink(activation):
    params, direction = jnp.array([1.0, -1.0]), jnp.array([1.0, 2.0])
    f = lambda w: activation(w @ jnp.array([1.0, 1.0]))  # noqa: E731
    kinked, smooth = (
        [
            float(derivatives.jumps(f, start, direction, 2, h)[k])
            for k in (1, 2)
            for h in (1e-3, 1e-5)
        ]
        for start in (params, params + 1)
    )
    assert max(smooth) < 0.1 and smooth[1] <= smooth[0] and smooth[3] <= smooth[2]
    if activation is jnp.tanh:
        assert kinked[1] < 1e-4 and kinked[3] < 1e-3
    else:
        assert max(kinked[1], kinked[3]) > 1


def test_the_step_of_a_jump_is_positive():
    with pytest.raises(ValueError, match="step must be positive, got 0.0"):
        derivatives.jumps(jnp.abs, 0.0, 1.0, 1, 0.0)


def test_samples_in_nested_lists_will_do():
    # The annotations that tests check would refuse them first.
    jacobian = inspect.unwrap(derivatives.jacobian)
    apply = lambda params, x: x @ params  # noqa: E731
    assert jacobian(apply, jnp.ones(2), [[1.0, 2.0]]).tolist() == [[1.0, 2.0]]


def test_what_has_no_jacobian_is_refused():
    apply = lambda params, x: x @ params  # noqa: E731
    for params, x, sentence in (
        (jnp.ones(3), jnp.ones((0, 3)), "x must hold samples"),
        (jnp.ones(3, int), jnp.ones((2, 3)), "params must be an array of floats, got dtype int"),
        ([], jnp.ones((2, 3)), "params must hold at least one array"),
        (jnp.ones(3), jnp.ones((2, 4)), r"apply must take params and x, of shape \(2, 4\)"),
    ):
        with pytest.raises(ValueError, match=sentence):
            derivatives.jacobian(apply, params, x)
    with pytest.raises(ValueError, match="direction must be a pytree with the shapes of params"):
        derivatives.taylor_coefficients(lambda params: params["a"], {"a": 1.0}, {"b": 1.0}, 1)
