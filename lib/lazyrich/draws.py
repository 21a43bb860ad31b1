"""Normal random numbers that compile once for all shapes."""

import math
from collections.abc import Sequence

import jax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lazyrich.arithmetic import numpy_if_known

BLOCK = 2**16


def normal(key: jax.Array, shape: Sequence[int], std: ArrayLike = 1.0) -> Float[Array, "*shape"]:
    """Normal numbers of a shape, with mean zero.

    Compiling a draw takes longer than drawing, so they are drawn in blocks of one size: for small
    arrays ``jax.random.normal`` does less work.

    Args:
        key: a random key.
        shape: of the result.
        std: standard deviation.
    """
    blocks = [_block(key, i) for i in range(max(1, -(-math.prod(shape) // BLOCK)))]
    return _shaped(blocks, std, shape=tuple(shape))


@jax.jit
def _block(key, i):
    return jax.random.normal(jax.random.fold_in(key, i), (BLOCK,))


@numpy_if_known
def _shaped(xp, blocks, std, *, shape):
    return std * xp.concatenate(blocks)[: math.prod(shape)].reshape(shape)
