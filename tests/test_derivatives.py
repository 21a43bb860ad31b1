import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.jet import jet
from jax.flatten_util import ravel_pytree

from lazyrich import derivatives, networks

SAMPLES, OUTPUTS = 4, 2


@pytest.fixture(scope="module")
def network():
    """A network with its parameters, and samples."""
    rng = np.random.default_rng(0)
    apply = networks.fully_connected((3, 5, OUTPUTS), jnp.tanh).apply
    params = [{"weight": jnp.asarray(rng.normal(size=shape))} for shape in ((5, 3), (OUTPUTS, 5))]
    return apply, params, jnp.asarray(rng.normal(size=(SAMPLES, 3)))


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


def test_the_tangent_kernel_is_that_of_the_layers(network):
    apply, params, x = network
    hidden = np.tanh(x @ params[0]["weight"].T)
    K = derivatives.empirical_ntk(apply, params, x).reshape(SAMPLES, OUTPUTS, SAMPLES, OUTPUTS)
    back = np.einsum("oh,sh->soh", params[1]["weight"], 1 - hidden**2)
    expected = np.einsum("soh,tph,si,ti->sotp", back, back, x, x)
    expected += np.einsum("sh,th,op->sotp", hidden, hidden, np.eye(OUTPUTS))
    np.testing.assert_allclose(K, expected, rtol=1e-12, atol=1e-13)


def test_the_largest_eigenvalue_is_found_without_the_kernel(network):
    expected = np.linalg.eigvalsh(derivatives.empirical_ntk(*network))[-1]
    top = derivatives.largest_ntk_eigenvalue(*network, iterations=200)
    np.testing.assert_allclose(top, expected, rtol=1e-6)
    assert derivatives.largest_ntk_eigenvalue(*network, iterations=1) < expected


def test_the_largest_eigenvalue_is_also_found_beside_a_constant_vector():
    linear = lambda w, x: x @ w  # noqa: E731
    x = jnp.array([[3.0, 1.0], [-3.0, 1.0]])  # its top vector is (1, −1)
    top = derivatives.largest_ntk_eigenvalue(linear, jnp.ones(2), x)
    np.testing.assert_allclose(top, 18)
    both = lambda w, x: jnp.stack([x @ w, -x @ w], axis=-1)  # noqa: E731
    np.testing.assert_allclose(derivatives.largest_ntk_eigenvalue(both, jnp.ones(2), x), 36)
    assert derivatives.largest_ntk_eigenvalue(lambda w, x: 0 * x @ w, jnp.ones(2), x) == 0
    loop = lambda w, x: jax.lax.while_loop(lambda y: y[0] < 9, jnp.exp, x @ w)  # noqa: E731
    with pytest.raises(ValueError, match="apply must be differentiable by jax.vjp and jax.jvp: "):
        derivatives.largest_ntk_eigenvalue(loop, jnp.ones(2), x)


def test_any_parameters_will_do():
    def apply(params, x):
        return params["scale"] * x @ params["matrix"] + params["shift"]

    params = {"scale": jnp.array(2.0), "matrix": jnp.ones((2, 1)), "shift": jnp.zeros(1)}
    x = jnp.array([[1.0, 3.0], [0.0, -1.0]])
    K = derivatives.empirical_ntk(apply, params, x)
    np.testing.assert_allclose(K, 4 * x @ x.T + np.outer([4, -1], [4, -1]) + 1)


NETWORKS = {
    "one output": ((3, 6, 1), jnp.tanh, networks.standard),
    "several outputs": ((3, 6, 5, 2), jax.nn.gelu, networks.standard),
    "multipliers": ((4, 3, 6, 5, 2), jnp.tanh, networks.maximal_update),
    "ReLU": ((3, 8, 4, 3), jax.nn.relu, networks.maximal_update),
}


@pytest.mark.parametrize(("widths", "activation", "scheme"), NETWORKS.values(), ids=NETWORKS)
def test_layer_by_layer_the_kernel_is_that_of_the_jacobian(widths, activation, scheme, key):
    network = networks.fully_connected(widths, activation, scheme)
    params, x = network.init(key()), jax.random.normal(key(), (SAMPLES + 3, widths[0]))
    J = np.asarray(jax.jit(lambda params: derivatives.jacobian(network.apply, params, x))(params))
    K = jax.jit(lambda params: derivatives.empirical_ntk(network, params, x))(params)
    assert K.shape == (len(J), len(J))
    np.testing.assert_allclose(K, J @ J.T, rtol=0, atol=1e-13 * (J**2).sum(1).max())


@pytest.mark.parametrize("layered", [True, False])
def test_a_kernel_with_other_samples_is_that_of_their_jacobians(layered, key):
    network = networks.fully_connected((3, 6, 5, 2), jnp.tanh, networks.maximal_update)
    params, x = network.init(key()), jax.random.normal(key(), (SAMPLES, 3))
    others = jax.random.normal(key(), (SAMPLES + 1, 3))
    kind = network if layered else network.apply
    K = jax.jit(lambda params: derivatives.empirical_ntk(kind, params, x, others))(params)
    J, J_others = (derivatives.jacobian(network.apply, params, each) for each in (x, others))
    assert K.shape == (2 * SAMPLES, 2 * SAMPLES + 2)
    np.testing.assert_allclose(K, J @ J_others.T, rtol=0, atol=1e-13 * (J**2).sum(1).max())


def test_a_layered_kernel_needs_no_jacobian():
    network = networks.fully_connected((16, 128, 128, 1), jnp.tanh)
    params = jax.eval_shape(network.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((32, 16), float)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(params))

    def memory(network):
        kernel = jax.jit(lambda params, x: derivatives.empirical_ntk(network, params, x))
        return kernel.lower(params, x).compile().memory_analysis().temp_size_in_bytes

    assert memory(network.apply) > 32 * parameters * 8
    assert memory(network) < 32 * parameters * 8 / 10


def test_a_network_that_does_not_show_its_layers_goes_through_its_jacobian(network):
    apply, params, x = network
    bare = networks.Network(None, apply, None, ())
    K = derivatives.empirical_ntk(apply, params, x)
    np.testing.assert_array_equal(derivatives.empirical_ntk(bare, params, x), K)


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


def test_the_gauss_newton_matrix_has_the_spectrum_of_the_kernel(network):
    apply, params, x = network
    G = derivatives.gauss_newton(apply, params, x)
    J = derivatives.jacobian(apply, params, x)
    np.testing.assert_allclose(G, sum(np.outer(row, row) for row in J) / SAMPLES, atol=1e-13)
    K = derivatives.empirical_ntk(apply, params, x) / SAMPLES
    values = np.linalg.eigvalsh(G)
    np.testing.assert_allclose(values[-len(K) :], np.linalg.eigvalsh(K), atol=1e-12)
    np.testing.assert_allclose(values[: -len(K)], 0, atol=1e-13)


# Whatever stands on a disk, and whatever JAX differentiates in one direction only


@jax.custom_vjp
def backwards_alone(z):
    return jnp.tanh(z)


backwards_alone.defvjp(
    lambda z: (jnp.tanh(z), z), lambda z, slope: (slope * (1 - jnp.tanh(z) ** 2),)
)


def forwards_alone(z):
    """tanh, in a loop whose length JAX does not know."""
    return jax.lax.while_loop(lambda s: s[0] < 1, lambda s: (s[0] + 1, jnp.tanh(s[1])), (0, z))[1]


@pytest.mark.parametrize("activation", [backwards_alone, forwards_alone])
@pytest.mark.parametrize("samples", [3, 40])
def test_the_direction_in_which_a_network_is_differentiable_is_taken(activation, samples):
    widths, x = (3, 5, 2), np.random.default_rng(0).normal(size=(samples, 3))
    network, same = (networks.fully_connected(widths, f) for f in (activation, jnp.tanh))
    params = same.init(jax.random.key(0))
    kernel = derivatives.empirical_ntk(same, params, x)
    J = derivatives.jacobian(network.apply, params, x)
    np.testing.assert_allclose(J, derivatives.jacobian(same.apply, params, x), atol=1e-12)
    G = derivatives.gauss_newton(network.apply, params, x)
    np.testing.assert_allclose(G, J.T @ J / samples, atol=1e-12)
    for kind in (network.apply, network):
        found = derivatives.empirical_ntk(kind, params, x)
        np.testing.assert_allclose(found, kernel, atol=1e-12)
    compiled = jax.jit(lambda params: derivatives.empirical_ntk(network, params, x))
    np.testing.assert_allclose(compiled(params), kernel, atol=1e-12)


@pytest.mark.parametrize(
    ("x", "dtype"), [([[200]], "u1"), ([[200]], "i4"), ([[-100]], "i1"), ([[True]], "?")]
)
def test_a_layered_kernel_of_integers_is_that_of_the_same_numbers_in_floats(x, dtype):
    unit = [{"weight": np.ones((1, 1))}] * 2
    for bias in (0.0, 300.0):
        network = networks.fully_connected(
            (1, 1, 1),
            lambda z: z,
            lambda widths, gain: [networks.LayerScale(1.0, 1.0)] * 2,
            bias=bias,
        )
        params = [layer | {"bias": np.ones(1)} if bias else layer for layer in unit]
        K = derivatives.empirical_ntk(network, params, np.array(x, dtype))
        expected = derivatives.empirical_ntk(network, params, np.array(x, float))
        assert expected == K and (bias or K.item() == 2 * x[0][0] ** 2)


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
    jacobian, kernel = map(inspect.unwrap, (derivatives.jacobian, derivatives.empirical_ntk))
    apply = lambda params, x: x @ params  # noqa: E731
    assert jacobian(apply, jnp.ones(2), [[1.0, 2.0]]).tolist() == [[1.0, 2.0]]
    assert kernel(apply, jnp.ones(2), [[1.0, 2.0]], [[3.0, 1.0]]).tolist() == [[5.0]]


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
    for network in (apply, networks.fully_connected((3, 2, 1), jnp.tanh)):
        params = jnp.ones(3) if network is apply else network.init(jax.random.key(0))
        with pytest.raises(ValueError, match=r"others must hold samples .*, got shape \(0, 3\)"):
            derivatives.empirical_ntk(network, params, jnp.ones((2, 3)), jnp.ones((0, 3)))
    with pytest.raises(ValueError, match="direction must be a pytree with the shapes of params"):
        derivatives.taylor_coefficients(lambda params: params["a"], {"a": 1.0}, {"b": 1.0}, 1)
