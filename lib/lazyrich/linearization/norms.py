"""Sizes of tensors: injective norms, the largest values on unit vectors, by power iteration."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import binary_unit, einsum
from lazyrich.validation import ArrayLike

STARTS, ITERATIONS = 16, 200


def injective_norm(tensor: ArrayLike, key: jax.Array) -> Float[Array, ""]:
    """The injective norm of a tensor, max T·(v_1 ⊗ … ⊗ v_r) over unit vectors.

    Of a vector it is the length, of a matrix the largest singular value. Beyond that, alternating
    power iteration from 16 random starts finds a local maximum, the best of which is a lower
    bound that is almost always sharp for small tensors.

    Args:
        tensor: T with at least one axis.
        key: the starts.

    A power of two next to the largest entry is taken out first, so that no square leaves the
    floats.

    Raises:
        ValueError: if the tensor is empty or not finite, or its norm is not finite.

    >>> one = jnp.zeros((2, 2, 2)).at[0, 1, 0].set(3.0)
    >>> float(injective_norm(one, jax.random.key(0)))
    3.0
    """
    tensor = validation.floating("tensor", tensor, ndim=1)
    if tensor.size == 0:
        raise ValueError(f"tensor must not be empty, got shape {tensor.shape}")
    validation.random_key("key", key)
    unit = binary_unit(jnp, jnp.abs(tensor).max())
    norm = unit * _norm(tensor / unit, key)
    return validation.finite("tensor must be of a size whose norm is finite", norm)


def _norm(tensor, key):
    if tensor.ndim <= 2:
        return jnp.linalg.norm(tensor, ord=2)
    normal = jax.random.normal(key, (STARTS, sum(tensor.shape)), tensor.dtype)
    vectors = jnp.split(normal, np.cumsum(tensor.shape)[:-1], axis=1)

    def sweep(_, vectors):
        for axis in range(tensor.ndim):
            vectors[axis] = _unit(_without(tensor, vectors, axis))
        return vectors

    def from_start(vectors):
        vectors = jax.lax.fori_loop(0, ITERATIONS, sweep, [_unit(v) for v in vectors])
        return jnp.linalg.norm(_without(tensor, vectors, 0))

    return jax.vmap(from_start)(vectors).max()


def _unit(vector):
    vector = vector / binary_unit(jnp, jnp.abs(vector).max())
    length = jnp.linalg.norm(vector)
    return vector / jnp.where(length > 0, length, 1)


def _without(tensor, vectors, axis):
    """The tensor contracted with all vectors but that of one axis."""
    others = [i for i in range(tensor.ndim) if i != axis]
    operands = itertools.chain.from_iterable((vectors[i], [i]) for i in others)
    return einsum(tensor, list(range(tensor.ndim)), *operands, [axis])
