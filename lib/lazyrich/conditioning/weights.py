"""Weights of deep linear networks F(x) = W^L ⋯ W^1 x, with d inputs, k outputs and no biases.

A network is the sequence of its matrices W^l, of shape (fan-out, fan-in).
"""

from collections.abc import Sequence
from itertools import pairwise

import jax
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import numpy_if_known
from lazyrich.conditioning.covariance import checked_moment
from lazyrich.draws import normal
from lazyrich.validation import ArrayLike


def kaiming(
    key: jax.Array, widths: Sequence[int], draws: int | None = None
) -> list[Float[Array, "*draws _ _"]]:
    """Weights at the start, W_ij ~ N(0, 1/fan-in).

    Args:
        key: a random key.
        widths: numbers of inputs, hidden units of each layer, and outputs.
        draws: how many networks, on a leading axis; by default one, without that axis.
    """
    widths = validation.widths("widths", widths)
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
    strength = validation.scalar("strength", validation.floating("strength", strength))
    return _with_skips(checked(weights), strength)


def linear_network(weights: Sequence[ArrayLike], x: ArrayLike) -> Float[Array, "samples outputs"]:
    """The outputs W^L ⋯ W^1 x of a deep linear network, for each sample, a row of x."""
    weights = checked(weights)
    return outputs_of(weights, samples_for(weights, x))


# What the modules of this package share


@numpy_if_known
def outputs_of(xp, weights, x):
    """:func:`linear_network` of checked weights and samples."""
    for W in weights:
        x = x @ W.T
    return x


def checked(weights, inputs=None, layers=None):
    """The weights of one network as matrices of one dtype that fit together, and to the data.

    `layers` is their number, where it is fixed.
    """
    weights = [validation.floating(f"weights[{i}]", W, ndim=2) for i, W in enumerate(weights)]
    shapes = [W.shape for W in weights]
    fit = all(later[-1] == earlier[0] for earlier, later in pairwise(shapes))
    if not weights or any(W.ndim != 2 for W in weights) or not fit:
        raise ValueError(
            "weights must be the matrices of one network (jax.vmap takes many), which follow one "
            f"another, (m, d), (k, m), …, got shapes {shapes}"
        )
    if layers not in (None, len(weights)):
        raise ValueError(f"weights must hold {layers} matrices, got {len(weights)}")
    dtypes = {W.dtype.name for W in weights}
    if len(dtypes) > 1:
        raise ValueError(f"weights must have one dtype, got {', '.join(sorted(dtypes))}")
    if inputs is not None:
        checked_moment(inputs, shapes[0][1], weights[0].dtype)
    return weights


def samples_for(weights, x):
    """The samples in rows, of the inputs and the dtype of checked weights."""
    x = validation.samples("x", x, entries=weights[0].shape[1])
    if x.dtype != weights[0].dtype:
        raise ValueError(f"x must have the dtype of the weights, {weights[0].dtype}, got {x.dtype}")
    return x


def wide_enough(widths, data_rank):
    """The widths, none below min(s, k), so that Ĝ is not singular."""
    least = min(data_rank, widths[-1])
    if min(widths) < least:
        raise ValueError(
            f"widths must be at least {least}, so that Ĝ is not singular, got {widths}"
        )
    return widths


def sizes(weights, inputs):
    """The widths, and the rank of the data."""
    widths = (weights[0].shape[1], *(len(W) for W in weights))
    return widths, widths[0] if inputs is None else len(inputs.variances)


@numpy_if_known
def _with_skips(xp, weights, beta):
    return [W + beta.astype(W.dtype) * xp.eye(*W.shape, dtype=W.dtype) for W in weights]
