"""Pruning at the start: what is left of a network without its smallest weights."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import einsum, numpy_if_known
from lazyrich.networks import Network
from lazyrich.validation import ArrayLike


def magnitude_mask(params, share: float):
    """1 where |W| is at least the `share`-quantile of its own array, else 0; a pytree as `params`.

    Args:
        params: a pytree of arrays, none of them empty.
        share: the share p of weights that go, 0 ≤ p < 1.
    """
    params = validation.parameters("params", params)
    jax.tree.map(partial(validation.filled, "params"), params)
    p = float(validation.scalar("share", validation.nonnegative("share", share)))
    if p >= 1:
        raise ValueError(f"share must be below 1, got {p}")
    return _magnitude_mask(params, p)


@numpy_if_known
def _magnitude_mask(xp, params, share):
    def kept(W):
        sizes = xp.abs(W)
        return (sizes >= xp.quantile(sizes, share)).astype(W.dtype)

    return jax.tree.map(kept, params)


def pruned_kernel(network: Network, params, mask, x: ArrayLike) -> Float[Array, "rows rows"]:
    """The tangent kernel J Jᵀ over the kept weights only, at the pruned network.

    Layer by layer, with h(x) the input of a layer, D(x) the derivatives of the outputs with respect
    to what it computes, and 1 or 0 in M_ij for each weight that is kept or not,

        Θ_ac(x, x') = Σ_layers multiplier² · Σ_i D_ai(x) D_ci(x') Σ_j M_ij h_j(x) h_j(x').

    Args:
        network: a layered network (:mod:`lazyrich.networks`).
        params: its parameters.
        mask: 0 or False for each weight that goes, anything else for the others, as `params`.
        x: the samples, shape (samples, inputs).

    Raises:
        ValueError: if the network does not show its layers, the others do not fit it, or the kernel
            is out of the range of its precision.
    """
    if network.sensitivities is None:
        raise ValueError("network must show its sensitivities, got one that does not")
    params, x, _ = validation.network(network.apply, params, x)
    dtype = jax.tree.leaves(params)[0].dtype
    mask = jax.tree.map(lambda M: (validation.array_of("mask", M) != 0).astype(dtype), mask)
    validation.like("mask", mask, "params", params)
    features, sensitivities = network.sensitivities(jax.tree.map(jnp.multiply, params, mask), x)
    samples, outputs = sensitivities[-1].shape[:2]
    kernel = 0.0
    for layer, h, D, M in zip(network.layers, features, sensitivities, mask, strict=True):
        M = jnp.column_stack(jax.tree.leaves(M)[::-1])  # a bias is the weight of a constant
        inner = layer.multiplier**2 * einsum("qj,ij,pj->qpi", h, M, h)
        kernel += einsum("qai,qpi,pci->qapc", D, inner, D)
    kernel = kernel.reshape(samples * outputs, samples * outputs)
    return validation.in_range("params and x", (params, x), kernel, vanishing=True)
