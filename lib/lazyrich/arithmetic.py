"""Arithmetic that does not depend on the device, sizes, and quotients with nothing below."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

# In full precision also on a GPU.
dot, matmul, einsum = (
    partial(product, precision=jax.lax.Precision.HIGHEST)
    for product in (jnp.dot, jnp.matmul, jnp.einsum)
)


def root_mean_square(x: Float[Array, "..."]) -> Float[Array, ""]:
    """√(mean x²) over all entries."""
    return jnp.sqrt((x**2).mean())


def ratio(x: ArrayLike, y: ArrayLike) -> Float[Array, "*shape"]:
    """x/y, and ``inf`` with gradient 0 where y ≤ 0.

    >>> ratio(jnp.array([1.0, 1.0]), jnp.array([2.0, 0.0])).tolist()
    [0.5, inf]
    """
    return jnp.where(y > 0, x / jnp.where(y > 0, y, 1), jnp.inf)
