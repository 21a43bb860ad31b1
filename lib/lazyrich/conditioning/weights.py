"""Weights of deep linear networks F(x) = W^L ⋯ W^1 x, with d inputs, k outputs and no biases.

A network is the sequence of its matrices W^l, of shape (fan-out, fan-in).
"""

from collections.abc import Sequence

import jax
from jaxtyping import Array, Float

from lazyrich import validation
from lazyrich.arithmetic import binary_unit, numpy_if_known
from lazyrich.conditioning.covariance import Covariance, axes_of
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
    beta = validation.scalar("strength", validation.floating("strength", strength))
    weights, _ = fitting(weights)
    result = _with_skips(weights, beta)
    return validation.in_range("weights and strength", (weights, beta), result, vanishing=True)


def linear_network(weights: Sequence[ArrayLike], x: ArrayLike) -> Float[Array, "samples outputs"]:
    """The outputs W^L ⋯ W^1 x of a deep linear network, for each sample, a row of x.

    Args:
        weights: W^1, …, W^L.
        x: the samples, shape (samples, inputs); integers are taken as floats.
    """
    weights, _, x = fitting(weights, x=(x, "n d"))
    outputs = outputs_of(weights, x)
    return validation.in_range("weights and x", (weights, x), outputs, vanishing=True)


# What the modules of this package share


@numpy_if_known
def outputs_of(xp, weights, x):
    """:func:`linear_network` of weights and samples that fit."""
    for W in weights:
        x = x @ W.T
    return x


def fitting(weights, inputs=None, layers=None, **others):
    """One network's weights, Σ, and other arrays with the names of their axes, all of one dtype.

    The axes are "d", "m1", "m2", …, "k" of the network, "s" of Σ, and any others. `layers` is the
    number of weights, where it is fixed.
    """
    if len(weights) != (layers or len(weights)) or len(weights) == 0:
        raise ValueError(f"weights must hold {layers or 'some'} matrices, got {len(weights)}")
    widths = ["d", *(f"m{layer}" for layer in range(1, len(weights))), "k"]
    pairs = enumerate(zip(weights, widths[1:], widths[:-1], strict=True))
    arrays = {f"weights[{i}]": (W, f"{rows} {columns}") for i, (W, rows, columns) in pairs}
    moment = {} if inputs is None else axes_of(inputs)
    arrays = validation.fitting(**arrays, **moment, **others)
    weights, arrays = list(arrays[: len(weights)]), arrays[len(weights) :]
    if inputs is None:
        return weights, None, *arrays
    return weights, Covariance(*arrays[:2]), *arrays[2:]


@numpy_if_known
def in_units(xp, weights, inputs):
    """The weights over a power of two, and the variances over one of four, which leaves κ as it is.

    So no square of them leaves the floats, and no bit is lost. Weights of ordinary size are left
    alone, since products of many layers might leave them if their entries were near 1.
    """
    sizes = xp.stack([xp.abs(W).max() for W in weights])
    unit = binary_unit(xp, xp.exp2(xp.log2(sizes).mean()))
    unit = xp.where((unit > 2.0**-8) & (unit < 2.0**8), 1, unit)
    if inputs is not None:
        inputs = Covariance(variances_in_units(xp, inputs), inputs.directions)
    return [W / unit for W in weights], inputs


def variances_in_units(xp, inputs):
    """The variances over a power of four, whose roots are those of the variances to the bit."""
    unit = binary_unit(xp, xp.sqrt(inputs.variances.max()))
    return inputs.variances / unit / unit


def sizes(weights, inputs):
    """The widths, and the rank of the data."""
    widths = (weights[0].shape[1], *(len(W) for W in weights))
    return widths, widths[0] if inputs is None else len(inputs.variances)


@numpy_if_known
def _with_skips(xp, weights, beta):
    return [W + beta.astype(W.dtype) * xp.eye(*W.shape, dtype=W.dtype) for W in weights]
