import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazyrich import derivatives, kernels, networks
from lazyrich.conditioning import pruning


def test_the_smallest_weights_of_each_layer_go():
    params = [
        {"weight": jnp.array([[1.0, -2.0], [3.0, -4.0]])},
        {"weight": jnp.array([[0.1, 9.0]])},
    ]
    first, second = pruning.magnitude_mask(params, 0.5)
    assert first["weight"].tolist() == [[0, 0], [1, 1]]
    assert second["weight"].tolist() == [[0, 1]]
    whole = pruning.magnitude_mask(params, 0.0)
    assert all((leaf == 1).all() for leaf in jax.tree.leaves(whole))
    assert first["weight"].dtype == params[0]["weight"].dtype


def test_the_share_of_weights_is_gone():
    weights = jax.random.normal(jax.random.key(0), (20, 25))
    for share in (0.2, 0.8):
        np.testing.assert_allclose(1 - pruning.magnitude_mask(weights, share).mean(), share)


def test_a_share_is_below_one():
    with pytest.raises(ValueError, match="share must be below 1, got 1.0"):
        pruning.magnitude_mask(jnp.ones(3), 1.0)
    with pytest.raises(ValueError, match="share must be not negative, got -0.1"):
        pruning.magnitude_mask(jnp.ones(3), -0.1)


def test_the_kernel_is_of_the_kept_weights_at_the_pruned_network(key):
    network = networks.fully_connected((3, 6, 5, 2), jnp.tanh)
    params, x = network.init(key()), jax.random.normal(key(), (4, 3))
    mask = pruning.magnitude_mask(params, 0.4)
    pruned = jax.tree.map(jnp.multiply, params, mask)
    J = np.asarray(jax.jit(lambda pruned: derivatives.jacobian(network.apply, pruned, x))(pruned))
    kept = np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(mask)]) > 0
    assert 0 < kept.sum() < len(kept)
    measured = jax.jit(lambda params: pruning.pruned_kernel(network, params, mask, x))(params)
    np.testing.assert_allclose(measured, J[:, kept] @ J[:, kept].T, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("widths", "activation", "scheme"),
    [
        ((3, 6, 5, 2), lambda z: jax.nn.leaky_relu(z, 0.1), networks.standard),
        ((4, 6, 1), jnp.tanh, networks.standard),
        ((3, 5, 4, 2), jax.nn.gelu, networks.maximal_update),
    ],
)
def test_the_kernel_is_the_derivative_of_the_masked_network(widths, activation, scheme, key):
    network = networks.fully_connected(widths, activation, scheme)
    params, x = network.init(key()), jax.random.normal(key(), (4, widths[0]))
    for share in (0.0, 0.5):
        mask = pruning.magnitude_mask(params, share)

        def masked(params, x, mask=mask):
            return network.apply(jax.tree.map(jnp.multiply, params, mask), x)

        J = np.asarray(jax.jit(lambda params, f=masked: derivatives.jacobian(f, params, x))(params))
        measured = pruning.pruned_kernel(network, params, mask, x)
        np.testing.assert_allclose(measured, J @ J.T, rtol=0, atol=1e-13 * (J**2).sum(1).max())
    whole = kernels.empirical_ntk(network, params, x)
    assert not np.allclose(measured, whole, rtol=0.01)


def test_one_share_is_for_all():
    # Without the check of annotations, which would refuse it in another sentence.
    with pytest.raises(ValueError, match=r"share must be one number, got shape \(2,\)"):
        inspect.unwrap(pruning.magnitude_mask)(np.ones((3, 2)), np.array([0.1, 0.2]))


def test_a_network_must_show_its_layers(key):
    network = networks.fully_connected((3, 6, 2), jnp.tanh)
    params = network.init(key())
    mask = pruning.magnitude_mask(params, 0.5)
    with pytest.raises(ValueError, match="network must show its sensitivities, got one that does"):
        pruning.pruned_kernel(network._replace(sensitivities=None), params, mask, jnp.ones((4, 3)))


def test_masks_may_be_of_truth_values_and_networks_may_have_biases(key):
    network = networks.fully_connected((3, 4, 2), jnp.tanh, bias=0.5)
    params, x = network.init(key()), jax.random.normal(key(), (4, 3))
    mask = jax.tree.map(lambda W: np.asarray(W) > -0.2, params)
    larger = jax.tree.map(lambda M: 1e40 * M, mask)
    pruned = jax.tree.map(jnp.multiply, params, mask)
    J = derivatives.jacobian(network.apply, pruned, x)
    kept = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(mask)])
    for one in (mask, larger):
        measured = pruning.pruned_kernel(network, params, one, x)
        np.testing.assert_allclose(measured, J[:, kept] @ J[:, kept].T, rtol=1e-12, atol=1e-14)


def test_what_does_not_fit_the_network_is_named(key):
    network = networks.fully_connected((3, 4, 2), jnp.tanh)
    params, x = network.init(key()), jnp.ones((4, 3))
    mask = pruning.magnitude_mask(params, 0.4)
    with pytest.raises(ValueError, match="^mask must be a pytree with the shapes of params, got"):
        pruning.pruned_kernel(network, params, mask[:1], x)
    with pytest.raises(ValueError, match=r"^apply must take params and x, of shape \(4, 2\)"):
        pruning.pruned_kernel(network, params, mask, x[:, 1:])
    with pytest.raises(ValueError, match="^params must be finite, got nan"):
        pruning.magnitude_mask([np.array([np.nan])], 0.5)
