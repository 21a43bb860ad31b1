import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import curvature, jacobians, kernels, networks
from lazyrich.derivatives import jacobian
from small_networks import NETWORKS, OUTPUTS, SAMPLES, dense, drawn

named = pytest.mark.parametrize("name", NETWORKS)


def of(name):
    apply, params, shape = NETWORKS[name]
    x, others = (
        np.random.default_rng(seed).normal(size=(n, *shape)) for seed, n in ((1, 5), (2, 3))
    )
    return apply, params, x, others, dense(apply, params, x), dense(apply, params, others)


def traced(kernel, rows, columns):
    return np.einsum("icjc->ij", kernel.reshape(rows, -1, columns, kernel.shape[1] // columns))


@named
@pytest.mark.parametrize("memory", [1, 3000, 20000, kernels.MEMORY])
def test_the_kernel_is_the_product_of_jacobians_in_any_memory(name, memory):
    apply, params, x, others, J, K = of(name)
    close = lambda found, expected: np.testing.assert_allclose(found, expected, atol=1e-12)  # noqa: E731
    close(kernels.empirical_ntk(apply, params, x, memory=memory), J @ J.T)
    close(kernels.empirical_ntk(apply, params, x, others, memory=memory), J @ K.T)
    of_samples = kernels.empirical_ntk(apply, params, x, traced=True, memory=memory)
    close(of_samples, traced(J @ J.T, 5, 5))
    of_both = kernels.empirical_ntk(apply, params, x, others, traced=True, memory=memory)
    close(of_both, traced(J @ K.T, 5, 3))


@named
def test_a_block_is_made_in_pieces_of_samples_and_outputs(name, monkeypatch):
    apply, params, x, others, J, K = of(name)
    monkeypatch.setattr(jacobians, "TOGETHER", 2)
    monkeypatch.setattr(jacobians, "AT_ONCE", 1)
    found = kernels.empirical_ntk(apply, params, x, others)
    np.testing.assert_allclose(found, J @ K.T, atol=1e-12)
    np.testing.assert_allclose(kernels.empirical_ntk(apply, params, x), J @ J.T, atol=1e-12)


@named
def test_products_need_no_kernel(name):
    apply, params, x, others, J, K = of(name)
    v = np.random.default_rng(3).normal(size=(len(K), 2))
    np.testing.assert_allclose(kernels.ntk_product(apply, params, x, v, others), J @ K.T @ v)
    one = kernels.ntk_product(apply, params, x, J[:, 0])
    np.testing.assert_allclose(one, J @ (J.T @ J[:, 0]), atol=1e-12)


@pytest.mark.parametrize("share", [1.0, 1e-3])
def test_samples_that_mix_are_refused(share):
    def mixing(params, x):
        return (x + share * x.mean(0)) @ params

    x = np.random.default_rng(0).normal(size=(5, 3))
    with pytest.raises(ValueError, match="apply must treat each sample by itself"):
        kernels.empirical_ntk(mixing, np.ones((3, 2)), x)


@pytest.mark.parametrize(("rows", "some"), [(1, 1), (4, 2), (7, 3), (100, 3), (2, 3)])
def test_blocks_share_out_all_rows_and_are_no_larger_than_asked(rows, some):
    whole = jacobians.Block(slice(0, 5), slice(0, 3))
    covered = np.zeros((5, 3), int)
    for block in jacobians.blocks(whole, rows, some):
        covered[block] += 1
        samples, outputs = (one.stop - one.start for one in block)
        assert samples * outputs <= rows or samples == 1
        assert outputs <= some
    assert (covered == 1).all()


# Layered networks


def test_the_tangent_kernel_is_that_of_the_layers(network):
    apply, params, x = network
    hidden = np.tanh(x @ params[0]["weight"].T)
    K = kernels.empirical_ntk(apply, params, x).reshape(SAMPLES, OUTPUTS, SAMPLES, OUTPUTS)
    back = np.einsum("oh,sh->soh", params[1]["weight"], 1 - hidden**2)
    expected = np.einsum("soh,tph,si,ti->sotp", back, back, x, x)
    expected += np.einsum("sh,th,op->sotp", hidden, hidden, np.eye(OUTPUTS))
    np.testing.assert_allclose(K, expected, rtol=1e-12, atol=1e-13)


def test_the_largest_eigenvalue_is_found_without_the_kernel(network):
    expected = np.linalg.eigvalsh(kernels.empirical_ntk(*network))[-1]
    top = kernels.largest_ntk_eigenvalue(*network, iterations=200)
    np.testing.assert_allclose(top, expected, rtol=1e-6)
    assert kernels.largest_ntk_eigenvalue(*network, iterations=1) < expected


def test_the_largest_eigenvalue_is_also_found_beside_a_constant_vector():
    linear = lambda w, x: x @ w  # noqa: E731
    x = jnp.array([[3.0, 1.0], [-3.0, 1.0]])  # its top vector is (1, −1)
    top = kernels.largest_ntk_eigenvalue(linear, jnp.ones(2), x)
    np.testing.assert_allclose(top, 18)
    both = lambda w, x: jnp.stack([x @ w, -x @ w], axis=-1)  # noqa: E731
    np.testing.assert_allclose(kernels.largest_ntk_eigenvalue(both, jnp.ones(2), x), 36)
    assert kernels.largest_ntk_eigenvalue(lambda w, x: 0 * x @ w, jnp.ones(2), x) == 0
    loop = lambda w, x: jax.lax.while_loop(lambda y: y[0] < 9, jnp.exp, x @ w)  # noqa: E731
    with pytest.raises(ValueError, match="apply must be differentiable by jax.vjp and jax.jvp: "):
        kernels.largest_ntk_eigenvalue(loop, jnp.ones(2), x)


def test_any_parameters_will_do():
    def apply(params, x):
        return params["scale"] * x @ params["matrix"] + params["shift"]

    params = {"scale": jnp.array(2.0), "matrix": jnp.ones((2, 1)), "shift": jnp.zeros(1)}
    x = jnp.array([[1.0, 3.0], [0.0, -1.0]])
    K = kernels.empirical_ntk(apply, params, x)
    np.testing.assert_allclose(K, 4 * x @ x.T + np.outer([4, -1], [4, -1]) + 1)


LAYERED = {
    "one output": ((3, 6, 1), jnp.tanh, networks.standard),
    "several outputs": ((3, 6, 5, 2), jax.nn.gelu, networks.standard),
    "multipliers": ((4, 3, 6, 5, 2), jnp.tanh, networks.maximal_update),
    "ReLU": ((3, 8, 4, 3), jax.nn.relu, networks.maximal_update),
}


@pytest.mark.parametrize(("widths", "activation", "scheme"), LAYERED.values(), ids=LAYERED)
def test_layer_by_layer_the_kernel_is_that_of_the_jacobian(widths, activation, scheme, key):
    network = networks.fully_connected(widths, activation, scheme)
    params, x = network.init(key()), jax.random.normal(key(), (SAMPLES + 3, widths[0]))
    J = np.asarray(jax.jit(lambda params: jacobian(network.apply, params, x))(params))
    K = jax.jit(lambda params: kernels.empirical_ntk(network, params, x))(params)
    assert K.shape == (len(J), len(J))
    np.testing.assert_allclose(K, J @ J.T, rtol=0, atol=1e-13 * (J**2).sum(1).max())


@pytest.mark.parametrize("layered", [True, False])
def test_a_kernel_with_other_samples_is_that_of_their_jacobians(layered, key):
    network = networks.fully_connected((3, 6, 5, 2), jnp.tanh, networks.maximal_update)
    params, x = network.init(key()), jax.random.normal(key(), (SAMPLES, 3))
    others = jax.random.normal(key(), (SAMPLES + 1, 3))
    kind = network if layered else network.apply
    K = jax.jit(lambda params: kernels.empirical_ntk(kind, params, x, others))(params)
    J, J_others = (jacobian(network.apply, params, each) for each in (x, others))
    assert K.shape == (2 * SAMPLES, 2 * SAMPLES + 2)
    np.testing.assert_allclose(K, J @ J_others.T, rtol=0, atol=1e-13 * (J**2).sum(1).max())


def test_a_layered_kernel_needs_no_jacobian():
    network = networks.fully_connected((16, 128, 128, 1), jnp.tanh)
    params = jax.eval_shape(network.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((32, 16), float)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(params))

    def memory(network):
        kernel = jax.jit(lambda params, x: kernels.empirical_ntk(network, params, x))
        return kernel.lower(params, x).compile().memory_analysis().temp_size_in_bytes

    assert memory(network) < min(memory(network.apply), 32 * parameters * 8) / 8


def test_a_network_that_does_not_show_its_layers_goes_through_its_jacobian(network):
    apply, params, x = network
    bare = networks.Network(None, apply, None, ())
    K = kernels.empirical_ntk(apply, params, x)
    np.testing.assert_array_equal(kernels.empirical_ntk(bare, params, x), K)


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
    kernel = kernels.empirical_ntk(same, params, x)
    J = jacobian(network.apply, params, x)
    np.testing.assert_allclose(J, jacobian(same.apply, params, x), atol=1e-12)
    G = curvature.gauss_newton(network.apply, params, x)
    np.testing.assert_allclose(G, J.T @ J / samples, atol=1e-12)
    for kind in (network.apply, network):
        found = kernels.empirical_ntk(kind, params, x)
        np.testing.assert_allclose(found, kernel, atol=1e-12)
    compiled = jax.jit(lambda params: kernels.empirical_ntk(network, params, x))
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
        K = kernels.empirical_ntk(network, params, np.array(x, dtype))
        expected = kernels.empirical_ntk(network, params, np.array(x, float))
        assert expected == K and (bias or K.item() == 2 * x[0][0] ** 2)


# What is refused


def test_samples_in_nested_lists_will_do():
    # The annotations that tests check would refuse them first.
    kernel = inspect.unwrap(kernels.empirical_ntk)
    linear = lambda params, x: x @ params  # noqa: E731
    assert kernel(linear, jnp.ones(2), [[1.0, 2.0]], [[3.0, 1.0]]).tolist() == [[5.0]]


def test_samples_of_bytes_have_a_kernel_of_floats():
    K = kernels.empirical_ntk(lambda w, x: x @ w, jnp.ones(1), np.array([[200]], np.uint8))
    assert K.tolist() == [[40000.0]]


def test_each_sample_is_treated_by_itself():
    def normalised(params, x):
        z = x @ params
        return (z - z.mean(0)) / z.std(0)

    params, x = drawn(3, 2), drawn(5, 3)
    for call in (
        lambda: kernels.empirical_ntk(normalised, params, x),
        lambda: kernels.ntk_product(normalised, params, x, drawn(10)),
    ):
        with pytest.raises(ValueError, match="apply must treat each sample by itself"):
            call()


def test_a_last_layer_of_zeros_hides_no_mixing_of_samples():
    def normalised(params, x):
        z = x @ params["body"]
        return (z + (z - z.mean(0)) / z.std(0)) @ params["head"]

    params = {"body": drawn(3, 4), "head": np.zeros((4, 2))}
    with pytest.raises(ValueError, match="apply must treat each sample by itself"):
        kernels.empirical_ntk(normalised, params, np.repeat(drawn(3, 3), 2, axis=0))


def test_others_have_as_many_outputs():
    along = lambda w, x: jnp.einsum("n...d,d->n...", x, w)  # noqa: E731
    for call in (
        lambda: kernels.empirical_ntk(along, np.ones(3), drawn(2, 3), drawn(3, 4, 3)),
        lambda: kernels.ntk_product(along, np.ones(3), drawn(2, 3), np.ones(12), drawn(3, 4, 3)),
    ):
        with pytest.raises(ValueError, match="others must have as many outputs a sample as x, 1"):
            call()


def test_more_memory_than_a_number_of_32_bits():
    K = kernels.empirical_ntk(lambda w, x: x @ w, np.ones(1), np.ones((2, 1)), memory=2**40)
    assert K.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("apply", "sentence"),
    [
        (lambda w, x: (x @ w).sum(0), "apply must give outputs with 5 samples along the first"),
        (lambda w, x: jnp.log(x @ w - 100), "apply must give finite outputs on x, got inf or nan"),
        (lambda w, x: jnp.sqrt(0 * x @ w), "must leave derivatives whose products are finite"),
        (lambda w, x: (x @ w) > 0, "apply must give an array of floats"),
        (lambda w, x: x @ w[0], r"apply must take params and x, of shape \(5, 3\)"),
        (lambda w, x: (x @ w)[:, :0], "apply must give outputs, and params hold numbers, got none"),
        (lambda w, x: x.reshape(5, 3) @ w, "apply must take any number of samples: "),
    ],
)
def test_a_network_without_kernel_is_refused(apply, sentence):
    with pytest.raises(ValueError, match=sentence):
        kernels.empirical_ntk(apply, drawn(3, 2), drawn(5, 3))


def test_others_and_vectors_fit():
    for network in (lambda w, x: x @ w[0]["weight"].T, networks.fully_connected((3, 2, 1))):
        params = [{"weight": np.ones((2, 3))}, {"weight": np.ones((1, 2))}]
        with pytest.raises(ValueError, match=r"others must hold samples .*, got shape \(0, 3\)"):
            kernels.empirical_ntk(network, params, np.ones((2, 3)), np.ones((0, 3)))
    linear = lambda w, x: x @ w  # noqa: E731
    for v in (drawn(9), drawn(10, 2, 2), drawn(10, 0)):
        with pytest.raises(ValueError, match="v must have 10 rows, got shape"):
            kernels.ntk_product(linear, drawn(3, 2), drawn(5, 3), v)
    with pytest.raises(ValueError, match="memory must be an integer of at least 1, got 0"):
        kernels.empirical_ntk(linear, drawn(3, 2), drawn(5, 3), memory=0)
