"""Normal random numbers that compile once for all shapes."""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lazyrich.arithmetic import jit, numpy_if_known

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


def standard_normal(
    key: jax.Array, shape: Sequence[int]
) -> Float[Array, "*shape"] | Float[np.ndarray, "*shape"]:
    """The numbers of ``jax.random.normal``, by one program for all shapes up to a block's size.

    With JAX's own keys a number depends on the key and on its place alone, so that those of a
    small array are the first ones of a block. They come as NumPy's, where the key is known.
    """
    size = math.prod(shape)
    if isinstance(key, jax.core.Tracer):
        return jax.random.normal(key, tuple(shape))
    if size > BLOCK:
        return np.asarray(jax.random.normal(key, tuple(shape)))
    return np.asarray(_first(key))[:size].reshape(shape)


def standard_normals(
    key: jax.Array, shapes: Sequence[Sequence[int]], axes: Sequence[int] = ()
) -> list[Array | np.ndarray]:
    """Arrays of several shapes, cut one after another from one :func:`standard_normal` draw.

    One draw for all, since compiling a draw takes longer than drawing.

    Args:
        key: a random key.
        shapes: of the arrays.
        axes: what stands in front of each shape, and of the draw.
    """
    ends = list(accumulate(map(math.prod, shapes), initial=0))
    numbers = standard_normal(key, (*axes, ends[-1]))
    pieces = (numbers[..., start:end] for start, end in pairwise(ends))
    return [piece.reshape((*axes, *shape)) for piece, shape in zip(pieces, shapes, strict=True)]


@jit
def _first(key):
    return jax.random.normal(key, (BLOCK,))


@jit
def _block(key, i):
    return jax.random.normal(jax.random.fold_in(key, i), (BLOCK,))


@numpy_if_known
def _shaped(xp, blocks, std, *, shape):
    return std * xp.concatenate(blocks)[: math.prod(shape)].reshape(shape)
