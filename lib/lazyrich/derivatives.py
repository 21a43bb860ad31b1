"""Derivatives of networks with respect to their parameters."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich.arithmetic import matmul
from lazyrich.networks import Network


def jacobian(apply: Callable, params, x: Float[Array, "samples inputs"]) -> Float[Array, "rows p"]:
    """The Jacobian ∂F(x)/∂θ, a row a sample and output, a column a parameter.

    Works for any network. Costs a backward pass a row or a forward pass a parameter, whichever are
    fewer, and memory samples × outputs × parameters.
    """
    blocks = _blocks(apply, params, x)
    return blocks[0] if len(blocks) == 1 else jnp.concatenate(blocks, axis=1)


def empirical_ntk(
    network: Callable | Network, params, x: Float[Array, "samples inputs"]
) -> Float[Array, "rows rows"]:
    """The empirical tangent kernel J Jᵀ of the samples, with J the :func:`jacobian`.

    Rows run over samples and, within a sample, over outputs. A layered network is treated layer by
    layer: with h(x) the input of a layer and D(x) the derivatives of the outputs with respect to
    what it computes, the kernel is

        Θ_ac(x, x') = Σ_layers multiplier² · h(x)·h(x') · D_a(x)·D_c(x'),

    at the cost of matrix products with samples × outputs rows, and no Jacobian. Any other network,
    given by its function ``apply(params, x)``, goes through the Jacobian, whose memory is samples ×
    outputs × parameters.

    >>> apply = lambda params, x: x @ params
    >>> empirical_ntk(apply, jnp.zeros((2, 1)), jnp.array([[1.0, 0.0], [1.0, 2.0]])).tolist()
    [[1.0, 1.0], [1.0, 5.0]]
    """
    if isinstance(network, Network) and network.sensitivities is not None:
        return _layer_wise(network, params, x)
    apply = network.apply if isinstance(network, Network) else network
    return sum(matmul(block, block.T) for block in _blocks(apply, params, x))


def gauss_newton(apply: Callable, params, x: Float[Array, "samples inputs"]) -> Float[Array, "p p"]:
    """The Gauss-Newton matrix Jᵀ J/samples of the loss ½ |F − y|², averaged over the samples.

    It has the non-zero spectrum of the :func:`empirical_ntk` over the number of samples. Through
    the Jacobian, so for few parameters.
    """
    rows = jacobian(apply, params, x)
    return matmul(rows.T, rows) / len(x)


def _layer_wise(network, params, x):
    features, sensitivities = network.sensitivities(params, x)
    samples, outputs = sensitivities[-1].shape[:2]
    kernel = 0.0
    for layer, h, D in zip(network.layers, features, sensitivities, strict=True):
        D = D.reshape(samples * outputs, -1)
        inner = layer.multiplier**2 * matmul(h, h.T)[:, None, :, None]
        kernel += inner * matmul(D, D.T).reshape(samples, outputs, samples, outputs)
    return kernel.reshape(samples * outputs, samples * outputs)


def _blocks(apply, params, x):
    """The columns of the Jacobian that belong to each array of parameters."""

    def flat(params):
        return apply(params, x).reshape(-1)

    rows = math.prod(jax.eval_shape(flat, params).shape)
    leaves = jax.tree.leaves(params)
    derivative = jax.jacrev if rows <= sum(jnp.size(leaf) for leaf in leaves) else jax.jacfwd
    return [leaf.reshape(rows, -1) for leaf in jax.tree.leaves(derivative(flat)(params))]
