"""Weights of deep linear networks F(x) = W^L ⋯ W^1 x, with d inputs, k outputs and no biases.

A network is the sequence of its matrices W^l, of shape (fan-out, fan-in).
"""

from collections.abc import Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.conditioning.covariance import matmul
from lazyrich.draws import normal


def kaiming(
    key: jax.Array, widths: Sequence[int], draws: int | None = None
) -> list[Float[Array, "*draws _ _"]]:
    """Weights at the start, W_ij ~ N(0, 1/fan-in).

    Args:
        key: a random key.
        widths: numbers of inputs, hidden units of each layer, and outputs.
        draws: how many networks, on a leading axis; by default one, without that axis.
    """
    widths = known_widths(widths)
    axes = () if draws is None else (validation.whole("draws", draws, least=1),)
    return [
        normal(jax.random.fold_in(key, layer), (*axes, *shape), shape[1] ** -0.5)
        for layer, shape in enumerate(zip(widths[1:], widths[:-1], strict=True))
    ]


def with_skips(weights: Sequence[ArrayLike], strength: ArrayLike) -> list[Float[Array, "_ _"]]:
    """The weights W^l + β I of a residual network, I rectangular where W^l is.

    Args:
        weights: W^1, …, W^L.
        strength: β.
    """
    return _with_skips(checked(weights), validation.floating("strength", strength))


@jax.jit
def _with_skips(weights, beta):
    return [W + beta.astype(W.dtype) * jnp.eye(*W.shape, dtype=W.dtype) for W in weights]


def apply(
    weights: Sequence[ArrayLike], x: Float[Array, "samples inputs"]
) -> Float[Array, "samples outputs"]:
    """The network's outputs W^L ⋯ W^1 x."""
    for W in weights:
        x = matmul(x, W.T)
    return x


# What the modules of this package share


def known_widths(widths):
    """The widths as positive integers, at least two of them."""
    widths = tuple(validation.whole("widths", width, least=1) for width in widths)
    if len(widths) < 2:
        raise ValueError(f"widths must name at least inputs and outputs, got {widths}")
    return widths


def checked(weights, inputs=None):
    """The weights as matrices of one dtype that fit together, and to the data."""
    weights = [validation.floating(f"weights[{i}]", W, ndim=2) for i, W in enumerate(weights)]
    shapes = [W.shape for W in weights]
    if not weights or any(W.ndim != 2 for W in weights):
        raise ValueError(f"weights must hold at least one matrix, got shapes {shapes}")
    if any(later[1] != earlier[0] for earlier, later in pairwise(shapes)):
        raise ValueError(f"weights must follow one another, (m, d), (k, m), …, got shapes {shapes}")
    dtypes = {W.dtype.name for W in weights}
    if len(dtypes) > 1:
        raise ValueError(f"weights must have one dtype, got {', '.join(sorted(dtypes))}")
    if inputs is not None and inputs.directions.shape[0] != shapes[0][1]:
        raise ValueError(
            f"inputs must have as many entries as weights[0] has columns, {shapes[0][1]}, "
            f"got {inputs.directions.shape[0]}"
        )
    return weights


def sizes(weights, inputs):
    """The widths, and the rank of the data."""
    widths = (weights[0].shape[1], *(len(W) for W in weights))
    return widths, widths[0] if inputs is None else len(inputs.variances)
