"""Derivatives of networks with respect to their parameters."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def jacobian(apply: Callable, params, x: Float[Array, "samples inputs"]) -> Float[Array, "rows p"]:
    """The Jacobian ∂F(x)/∂θ, a row a sample and output, a column a parameter.

    Works for any network. Costs a backward pass a row, and memory samples × outputs × parameters.
    """
    tree = jax.jacrev(lambda params: apply(params, x).reshape(-1))(params)
    leaves = jax.tree.leaves(tree)
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=1)


def empirical_ntk(
    apply: Callable, params, x: Float[Array, "samples inputs"]
) -> Float[Array, "rows rows"]:
    """The empirical tangent kernel J Jᵀ of the samples, with J the :func:`jacobian`.

    Rows run over samples and, within a sample, over outputs.

    >>> apply = lambda params, x: x @ params
    >>> empirical_ntk(apply, jnp.zeros((2, 1)), jnp.array([[1.0, 0.0], [1.0, 2.0]])).tolist()
    [[1.0, 1.0], [1.0, 5.0]]
    """
    rows = jacobian(apply, params, x)
    return jnp.matmul(rows, rows.T, precision=jax.lax.Precision.HIGHEST)
