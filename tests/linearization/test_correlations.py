import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import networks
from lazyrich.kernels import empirical_ntk
from lazyrich.linearization import (
    contracted,
    correlation_tensor,
    gradient_norms,
    update_direction,
)
from linearization.small import (
    PARAMS,
    X_TEST,
    C,
    X,
    apply,
    close,
    derivative,
    drawn,
    flat,
)

ETA, ALPHA = 0.3, 1.7
V = update_direction(apply, PARAMS, X, C)
J = derivative(1, X)


def scaled(params, x):
    return ALPHA * apply(params, x)


# The update direction


def test_the_update_direction_is_the_gradient_of_the_outputs_against_the_residual():
    assert jax.tree.structure(V) == jax.tree.structure(PARAMS)
    close(flat(V), np.asarray(C) @ J, rtol=1e-12, atol=1e-14)


def test_the_residual_has_an_entry_for_each_output():
    for residual in (C[:, None], C[:4], C[:1], C[0]):
        with pytest.raises(
            ValueError, match=r"residual must have the shape of the outputs, \(5,\), go"
        ):
            update_direction(apply, PARAMS, X, residual)
    with pytest.raises(ValueError, match="residual must be finite"):
        update_direction(apply, PARAMS, X, C * jnp.nan)
    two = networks.fully_connected((3, 4, 2), jnp.tanh)
    params = two.init(jax.random.key(0))
    v = update_direction(two.apply, params, X, drawn(5, 2))
    jacobian = jax.jacrev(lambda params: (two.apply(params, X) * drawn(5, 2)).sum())(params)
    close(flat(v), flat(jacobian), rtol=1e-12)


# Contractions along it


def test_contractions_are_those_of_the_dense_derivatives_and_of_their_definition():
    terms = contracted(apply, PARAMS, X_TEST, V, 4, ETA)
    dense = np.asarray(C) @ J
    for d in range(1, 5):
        tensor = derivative(d, X_TEST)
        for _ in range(d):
            tensor = tensor @ dense
        close(terms[d - 1], ETA**d / math.factorial(d) * tensor, atol=1e-14)


def test_contractions_of_sines_are_in_closed_form():
    v, w, dv, dw = (np.asarray(p) for p in (PARAMS["v"], PARAMS["w"], V["v"], V["w"]))
    z, dz = np.asarray(X_TEST) @ w.T, np.asarray(X_TEST) @ dw.T
    terms = contracted(apply, PARAMS, X_TEST, V, 6, ETA)
    for d in range(1, 7):
        slopes = [dz**k / math.factorial(k) * np.sin(z + k * np.pi / 2) for k in (d - 1, d)]
        close(terms[d - 1], ETA**d * (slopes[1] @ v + slopes[0] @ dv), rtol=1e-11, atol=1e-14)


def test_the_first_contraction_is_the_kernel_against_the_residual():
    K = empirical_ntk(apply, PARAMS, jnp.concatenate([X_TEST, X]))
    close(contracted(apply, PARAMS, X_TEST, V, 1, ETA)[0], ETA * K[:2, 2:] @ C, rtol=1e-12)


def test_the_gradient_norms_are_those_of_the_dense_derivatives():
    norms = gradient_norms(apply, PARAMS, X_TEST, V, 3, ETA)
    assert norms.shape == (3, 2)
    for d in range(1, 4):
        tensor = derivative(d + 1, X_TEST)
        for _ in range(d):
            tensor = tensor @ flat(V)
        expected = ETA ** (d + 0.5) / math.factorial(d) * np.linalg.norm(tensor, axis=-1)
        close(norms[d - 1], expected, rtol=1e-12)


def test_an_external_scale_multiplies_by_alpha_to_the_1_less_D_less_d():
    # The network α F with the rate η/α², whose update direction has the factor α.
    v = update_direction(scaled, PARAMS, X, C)
    for function, few in ((contracted, 4), (gradient_norms, 2)):
        close(
            function(apply, PARAMS, X_TEST, V, few, ETA, ALPHA),
            function(scaled, PARAMS, X_TEST, v, few, ETA / ALPHA**2),
            rtol=1e-12,
        )
    for d in (1, 2, 3):
        close(
            correlation_tensor(apply, PARAMS, X_TEST, X[:2], d, ETA, ALPHA),
            correlation_tensor(scaled, PARAMS, X_TEST, X[:2], d, ETA / ALPHA**2),
            rtol=1e-12,
        )


def test_several_outputs_keep_their_axis():
    two = networks.fully_connected((3, 4, 2), jnp.tanh, networks.neural_tangent, gain=1.0)
    params = two.init(jax.random.key(0))
    v = update_direction(two.apply, params, X, drawn(5, 2))
    terms = contracted(two.apply, params, X_TEST, v, 2)
    norms = gradient_norms(two.apply, params, X_TEST, v, 2)
    assert terms.shape == norms.shape == (2, 2, 2)
    for output in range(2):
        one = lambda params, x, output=output: two.apply(params, x)[:, output]  # noqa: E731
        close(terms[..., output], contracted(one, params, X_TEST, v, 2), rtol=1e-12)
        close(norms[..., output], gradient_norms(one, params, X_TEST, v, 2), rtol=1e-12)


def test_multilinear_networks_have_none_beyond_their_layers():
    for name, last in ((lambda z: z, 2), (jax.nn.relu, 2)):
        network = networks.fully_connected((3, 8, 1), name, networks.neural_tangent, gain=1.0)
        params = network.init(jax.random.key(1))
        v = update_direction(network.apply, params, X, C[:, None])
        C0 = contracted(network.apply, params, X_TEST, v, 4)
        C1 = gradient_norms(network.apply, params, X_TEST, v, 3)
        assert (np.abs(C0[last - 1]) > 0).all() and (np.abs(C0[last:]) < 1e-14).all()
        assert (C1[last - 2] > 0).all() and (C1[last - 1 :] < 1e-14).all()


@pytest.mark.parametrize("function", [contracted, gradient_norms])
@pytest.mark.parametrize("order", [0, -1])
def test_orders_begin_at_one(function, order):
    with pytest.raises(ValueError, match="order must be an integer of at least 1"):
        function(apply, PARAMS, X, V, order)


@pytest.mark.parametrize("numbers", [{"rate": 0.0}, {"scale": -1.0}, {"rate": jnp.ones(2)}])
def test_rate_and_scale_are_positive_numbers(numbers):
    with pytest.raises(ValueError, match="(rate|scale) must be (positive|one number)"):
        contracted(apply, PARAMS, X, V, 2, **numbers)


def test_float32_is_refused_where_it_would_round_a_term_away():
    params, v = (jax.tree.map(lambda leaf: leaf.astype(jnp.float32), tree) for tree in (PARAMS, V))
    x = X_TEST.astype(jnp.float32)
    terms = contracted(apply, params, x, v, 2, ETA)
    assert terms.dtype == jnp.float32
    close(terms, contracted(apply, PARAMS, X_TEST, V, 2, ETA), rtol=1e-4)
    with pytest.raises(ValueError, match=r"params must be float64 for order 5, got float32"):
        contracted(apply, params, x, v, 6, 1e-2)
    assert contracted(apply, PARAMS, X_TEST, V, 6, 1e-2).shape == (6, 2)


# The whole tensors


@pytest.mark.parametrize("order", [1, 2, 3])
def test_tensors_are_those_of_the_dense_derivatives(order):
    tensor = np.asarray(correlation_tensor(apply, PARAMS, X_TEST, X, order, ETA))
    expected = derivative(order, X_TEST)
    for _ in range(order):
        expected = np.moveaxis(expected @ J.T, -1, 1)
    assert tensor.shape == (2, *[5] * order)
    close(tensor, ETA**order / math.factorial(order) * expected, atol=1e-13)
    for _ in range(order):
        tensor = tensor @ np.asarray(C)
    close(tensor, contracted(apply, PARAMS, X_TEST, V, order, ETA)[-1], atol=1e-13)


def test_rows_of_a_tensor_run_over_samples_and_outputs():
    two = networks.fully_connected((3, 4, 2), jnp.tanh)
    params = two.init(jax.random.key(0))
    tensor = correlation_tensor(two.apply, params, X, X, 1, 0.5)
    close(tensor, 0.5 * empirical_ntk(two, params, X), rtol=1e-12, atol=1e-14)
    assert correlation_tensor(two.apply, params, X, drawn(8, 3), 1).shape[1:] == (16,)
    for inputs, outputs in ((9, 18), (10, 20)):
        message = f"inputs must have at most 16 outputs in all, got {outputs}"
        with pytest.raises(ValueError, match=message):
            correlation_tensor(two.apply, params, X, drawn(inputs, 3), 2)


# What does not fit


def test_a_direction_has_the_shapes_of_the_parameters():
    for bad in (V["v"], {"v": V["v"]}, V | {"w": V["w"][:1]}):
        with pytest.raises(ValueError, match="direction must be a pytree with the shapes of par"):
            contracted(apply, PARAMS, X, bad, 1)
        with pytest.raises(ValueError, match="direction must be a pytree with the shapes of par"):
            gradient_norms(apply, PARAMS, X, bad, 1)


@pytest.mark.parametrize("function", [contracted, gradient_norms])
def test_parameters_inputs_and_direction_are_finite_floats(function):
    for leaf, sentence in ((V["v"] * jnp.nan, "finite, got nan"), (jnp.ones(4, int), "of floats")):
        with pytest.raises(ValueError, match=f"params must be .*{sentence}"):
            function(apply, PARAMS | {"v": leaf}, X, V, 1)
        with pytest.raises(ValueError, match=f"direction must be .*{sentence}"):
            function(apply, PARAMS, X, V | {"v": leaf}, 1)
    with pytest.raises(ValueError, match="x must be finite, got nan"):
        function(apply, PARAMS, X * jnp.nan, V, 1)
    with pytest.raises(ValueError, match=r"x must hold samples .*, got shape \(0, 3\)"):
        function(apply, PARAMS, X[:0], V, 1)
    with pytest.raises(ValueError, match=r"apply must take params and x, of shape \(5, 2\): "):
        function(apply, PARAMS, X[:, :2], V, 1)


@jax.custom_vjp
def _backwards_alone(z):
    return jnp.sin(z)


_backwards_alone.defvjp(lambda z: (jnp.sin(z), z), lambda z, g: (g * jnp.cos(z),))


def sine(params, x):
    return jnp.sin(apply(params, x))


def one_way(params, x):
    return _backwards_alone(apply(params, x))


def loop(params, x):
    """The sine, which JAX differentiates forwards alone."""
    step = lambda s: (s[0] + 1, jnp.sin(s[1]))  # noqa: E731
    return jax.lax.while_loop(lambda s: s[0] < 1, step, (0, apply(params, x)))[1]


@pytest.mark.parametrize("function", [contracted, gradient_norms])
def test_a_network_without_derivatives_is_refused(function):
    with pytest.raises(ValueError, match="apply must be differentiable 2 times by jax.jvp"):
        function(one_way, PARAMS, X, V, 2)
    if function is gradient_norms:
        with pytest.raises(ValueError, match="apply must be differentiable 2 times by jax.jvp, th"):
            function(loop, PARAMS, X, V, 2)
    else:
        close(function(loop, PARAMS, X, V, 2), function(sine, PARAMS, X, V, 2))
    whole = lambda params, x: jnp.round(apply(params, x)).astype(int)  # noqa: E731
    with pytest.raises(ValueError, match="apply must give an array of floats, got .*int"):
        function(whole, PARAMS, X, V, 1)
    root = lambda params, x: jnp.sqrt(0 * apply(params, x))  # noqa: E731
    with pytest.raises(ValueError, match="finite derivatives, got inf or nan in order 1"):
        function(root, PARAMS, X, V, 2)


def test_a_step_and_a_tensor_are_differentiated_backwards():
    v = update_direction(one_way, PARAMS, X, C)
    jax.tree.map(close, v, update_direction(sine, PARAMS, X, C))
    with pytest.raises(ValueError, match="apply must be differentiable 2 times by jax.jvp: "):
        correlation_tensor(one_way, PARAMS, X, X[:2], 2)
    for call in (
        lambda: update_direction(loop, PARAMS, X, C),
        lambda: correlation_tensor(loop, PARAMS, X, X[:2], 2),
    ):
        with pytest.raises(ValueError, match="apply must be differentiable by jax.vjp: Reverse-m"):
            call()


def test_what_leaves_the_floats_is_refused():
    root = lambda params, x: x[:, 0] * jnp.sqrt(params)  # noqa: E731
    steep = lambda params, x: 1e200 * apply(params, x)  # noqa: E731
    for order in (1, 2):
        with pytest.raises(ValueError, match="apply must have finite derivatives, .* in order 1"):
            correlation_tensor(root, 0.0, X, X, order)
    with pytest.raises(ValueError, match="apply must have finite derivatives, .* in order 2"):
        correlation_tensor(steep, PARAMS, X_TEST, X, 2)
    with pytest.raises(ValueError, match="apply must have finite derivatives, .* in order 0"):
        update_direction(lambda params, x: jnp.nan * apply(params, x), PARAMS, X, C)
    with pytest.raises(ValueError, match="apply must have finite derivatives, .* in order 1"):
        update_direction(steep, PARAMS, X, 1e200 * C)
    sentence = "rate and scale must leave finite correlations, got inf or nan in order 2"
    with pytest.raises(ValueError, match=sentence):
        contracted(apply, PARAMS, X_TEST, V, 3, rate=1e300)
    with pytest.raises(ValueError, match="rate and scale .* in order 1"):
        gradient_norms(apply, PARAMS, X_TEST, V, 1, rate=1e300)
    with pytest.raises(ValueError, match=sentence):
        correlation_tensor(apply, PARAMS, X_TEST, X, 2, rate=1e300)


def test_inputs_may_be_nested_lists():
    # The annotations that tests check would refuse them first.
    x, few = X.tolist(), X[:2].tolist()
    same = lambda one, other: close(flat(one), flat(other), rtol=1e-13)  # noqa: E731
    same(inspect.unwrap(update_direction)(apply, PARAMS, x, C), V)
    for function in (contracted, gradient_norms):
        same(inspect.unwrap(function)(apply, PARAMS, x, V, 2), function(apply, PARAMS, X, V, 2))
    tensor = correlation_tensor(apply, PARAMS, X, X[:2], 2)
    same(inspect.unwrap(correlation_tensor)(apply, PARAMS, x, few, 2), tensor)


def test_a_step_and_a_tensor_ask_for_samples_and_floats():
    with pytest.raises(ValueError, match="params must be an array of floats, got dtype int"):
        update_direction(apply, {"v": jnp.ones(4, int), "w": PARAMS["w"]}, X, C)
    with pytest.raises(ValueError, match="inputs must hold samples"):
        correlation_tensor(apply, PARAMS, X, X[:0], 2)
    with pytest.raises(ValueError, match="inputs must be finite, got nan"):
        correlation_tensor(apply, PARAMS, X, X * jnp.nan, 2)
    with pytest.raises(ValueError, match="order must leave at most 1048576 entries a row, got 9"):
        correlation_tensor(apply, PARAMS, X_TEST, X, 9)
