"""Pruning at the start: what is left of a network without its smallest weights."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lazyrich import derivatives, validation
from lazyrich.networks import Network


def magnitude_mask(params, share: float):
    """1 where |W| is at least the `share`-quantile of its own array, else 0; a pytree as `params`.

    Args:
        params: a pytree of arrays.
        share: the share p of weights that go, 0 ≤ p < 1.
    """
    p = float(validation.nonnegative("share", share))
    if p >= 1:
        raise ValueError(f"share must be below 1, got {p}")

    def kept(W):
        sizes = jnp.abs(W)
        return (sizes >= jnp.quantile(sizes, p)).astype(W.dtype)

    return jax.tree.map(kept, params)


def pruned_kernel(
    network: Network, params, mask, x: Float[Array, "samples inputs"]
) -> Float[Array, "rows rows"]:
    """The tangent kernel J Jᵀ over the kept weights only, at the pruned network.

    Goes through the Jacobian, since a mask is no product over a layer's inputs and outputs.

    Args:
        network: a network; any other pair of functions that has ``apply`` will do.
        params: its parameters.
        mask: 1 for each weight that is kept and 0 for the others, as `params`.
        x: the samples.
    """

    def kept(params, x):
        return network.apply(jax.tree.map(jnp.multiply, params, mask), x)

    return derivatives.empirical_ntk(kept, params, x)
