import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import networks

WIDTHS = 3, 5, 4, 2


def drawn(*shape):
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape))


@pytest.fixture
def params():
    return [{"weight": drawn(n, m)} for n, m in zip(WIDTHS[1:], WIDTHS, strict=False)]


def test_standard_layers_keep_the_size_of_their_inputs():
    layers = networks.standard(WIDTHS, 1.7)
    assert [layer.multiplier for layer in layers] == [1, 1, 1]
    np.testing.assert_allclose(
        [layer.std for layer in layers], [1.7 / 3**0.5, 1.7 / 5**0.5, 1 / 4**0.5]
    )


def test_ntk_layers_have_the_size_in_their_multipliers():
    layers = networks.neural_tangent(WIDTHS, 1.7)
    assert [layer.std for layer in layers] == [1, 1, 1]
    np.testing.assert_allclose(
        [layer.multiplier for layer in layers], [1.7 / 3**0.5, 1.7 / 5**0.5, 1 / 4**0.5]
    )


def test_maximal_updates_move_the_layers_as_they_should():
    standard, maximal = (
        parametrisation(WIDTHS, 1.7)
        for parametrisation in (networks.standard, networks.maximal_update)
    )
    # The size at the start is multiplier · std, the speed under SGD multiplier².
    sizes = [a.multiplier * a.std / b.std for a, b in zip(maximal, standard, strict=True)]
    np.testing.assert_allclose(sizes, [1, 1, 4**-0.5])
    np.testing.assert_allclose([layer.multiplier**2 for layer in maximal], [5, 1, 1 / 4])
    one = networks.maximal_update((3, 5, 1), 2.0)
    np.testing.assert_allclose(one, [(5**0.5, 2 / 15**0.5), (5**-0.5, 5**-0.5)])


@pytest.mark.parametrize("parametrisation", [networks.standard, networks.maximal_update])
def test_a_network_is_its_layers_one_after_another(params, parametrisation):
    network = networks.fully_connected(WIDTHS, jnp.tanh, parametrisation)
    x, factors = drawn(7, 3), [layer.multiplier for layer in network.layers]
    first = np.tanh(factors[0] * x @ params[0]["weight"].T)
    second = np.tanh(factors[1] * first @ params[1]["weight"].T)
    features = network.features(params, x)
    assert len(features) == 3
    for measured, expected in zip(features, (x, first, second), strict=True):
        np.testing.assert_allclose(measured, expected, rtol=1e-12)
    outputs = factors[2] * second @ params[2]["weight"].T
    np.testing.assert_allclose(network.apply(params, x), outputs, rtol=1e-12)


def test_the_activation_is_relu_unless_another_is_asked_for(params):
    network = networks.fully_connected(WIDTHS)
    hidden = network.features(params, drawn(7, 3))[1]
    np.testing.assert_allclose(hidden, np.maximum(drawn(7, 3) @ params[0]["weight"].T, 0))


def test_weights_start_normal_with_the_deviations_of_their_layers(key):
    widths = 50, 80, 60, 40
    network = networks.fully_connected(widths, gain=1.5, scale=0.3)
    params = network.init(key())
    shapes = [layer["weight"].shape for layer in params]
    assert shapes == [(80, 50), (60, 80), (40, 60)]
    for layer, scale in zip(params, networks.standard(widths, 1.5), strict=True):
        weights = np.asarray(layer["weight"]) / (0.3 * scale.std)
        assert abs(weights.mean()) < 0.05 and abs(weights.std() - 1) < 0.05
        assert abs((weights**4).mean() - 3) < 0.5
    flat = [np.asarray(layer["weight"]).ravel()[:2400] for layer in params]
    assert np.abs(np.corrcoef(flat) - np.eye(3)).max() < 0.1


def test_scale_multiplies_the_same_draws_and_the_gain_is_that_of_relu(key):
    one = key()
    small, large = (networks.fully_connected((3, 4, 1), scale=k).init(one) for k in (0.5, 2.0))
    for a, b in zip(small, large, strict=True):
        np.testing.assert_allclose(4 * a["weight"], b["weight"])
    default = networks.fully_connected((3, 4, 1)).layers
    assert default == networks.standard((3, 4, 1), 2**0.5)


def test_a_parametrisation_of_ones_own_is_used():
    layers = [networks.LayerScale(2.0, 0.1), networks.LayerScale(3.0, 0.2)]
    network = networks.fully_connected((1, 1, 1), lambda x: x, lambda widths, gain: layers)
    params = [{"weight": jnp.array([[5.0]])}, {"weight": jnp.array([[7.0]])}]
    assert network.layers == layers and network.apply(params, jnp.array([[1.0]])) == 2 * 5 * 3 * 7


def test_a_network_is_compiled_mapped_and_differentiated(params):
    network = networks.fully_connected(WIDTHS, jnp.tanh)
    x = drawn(7, 3)
    many = jax.jit(jax.vmap(network.apply, (None, 0)))(params, jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(many[0], network.apply(params, x), rtol=1e-12)
    gradient = jax.grad(lambda params: network.apply(params, x)[0, 0])(params)
    np.testing.assert_allclose(gradient[2]["weight"][0], network.features(params, x)[2][0])
    assert (gradient[2]["weight"][1] == 0).all()


@pytest.mark.parametrize("parametrisation", [networks.standard, networks.maximal_update])
def test_features_and_sensitivities_make_the_derivative_by_each_weight(params, parametrisation):
    network = networks.fully_connected(WIDTHS, jnp.tanh, parametrisation)
    x = drawn(7, 3)
    features, sensitivities = network.sensitivities(params, x)
    jacobian = jax.jacrev(network.apply)(params, x)
    assert len(features) == len(sensitivities) == 3
    for i, (h, D) in enumerate(zip(features, sensitivities, strict=True)):
        assert D.shape == (7, 2, WIDTHS[i + 1])
        np.testing.assert_array_equal(h, network.features(params, x)[i])
        derivative = network.layers[i].multiplier * jnp.einsum("sco,si->scoi", D, h)
        np.testing.assert_allclose(derivative, jacobian[i]["weight"], rtol=1e-12, atol=1e-14)
    assert (sensitivities[2] == jnp.eye(2)).all()


def test_biases_are_added_and_count_as_weights_of_a_constant(key):
    network = networks.fully_connected(WIDTHS, jnp.tanh, networks.neural_tangent, bias=0.3)
    params, x = network.init(key()), drawn(7, 3)
    assert [layer["bias"].shape for layer in params] == [(5,), (4,), (2,)]
    hidden = x
    for layer, one in zip(network.layers, params, strict=True):
        before = layer.multiplier * hidden @ one["weight"].T + 0.3 * one["bias"]
        hidden = np.tanh(before)
    np.testing.assert_allclose(network.apply(params, x), before, rtol=1e-12)
    jacobian = jax.jacrev(network.apply)(params, x)
    both = zip(*network.sensitivities(params, x), network.layers, jacobian, strict=True)
    for h, D, layer, slopes in both:
        derivative = layer.multiplier * jnp.einsum("sco,si->scoi", D, h)
        np.testing.assert_allclose(derivative[..., :-1], slopes["weight"], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(derivative[..., -1], slopes["bias"], rtol=1e-12, atol=1e-14)


def test_what_does_not_fit_is_named():
    with pytest.raises(
        ValueError, match=r"widths must be a sequence of at least 3 integers, got \(3, 1\)"
    ):
        networks.fully_connected((3, 1))
    with pytest.raises(ValueError, match="widths must be an integer of at least 1, got 0"):
        networks.fully_connected((3, 0, 1))
    for name, bad in (("gain", 0.0), ("gain", -1.0), ("scale", 0.0), ("scale", -1.0)):
        with pytest.raises(ValueError, match=f"{name} must be positive, got {bad}"):
            networks.fully_connected((3, 4, 1), **{name: bad})
    with pytest.raises(ValueError, match="bias must be not negative, got -0.1"):
        networks.fully_connected((3, 4, 1), bias=-0.1)
    with pytest.raises(ValueError, match="scale must be finite, got nan"):
        networks.fully_connected((3, 4, 1), scale=np.nan)


def test_an_activation_is_a_function_and_a_key_a_key():
    with pytest.raises(ValueError, match="activation must be a function, got 'relu'"):
        networks.fully_connected.__wrapped__((3, 2, 1), "relu")
    with pytest.raises(ValueError, match="key must be one jax.random.key"):
        networks.fully_connected((3, 2, 1)).init(jnp.zeros(2))
