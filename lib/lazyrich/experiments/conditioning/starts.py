"""Linear networks at the start: draws of one architecture, and how they are conditioned.

The same key gives the same weights wherever the widths are the same, so that data and skip
connections are compared draw by draw.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from lazyrich import conditioning as cond
from lazyrich import spectra
from lazyrich.arithmetic import numpy_if_known
from lazyrich.conditioning.bounds import bounds_of, extremes
from lazyrich.conditioning.linear import matrix_of, two_layer_reduction
from lazyrich.experiments.conditioning.data_sets import coloured_samples, inputs_of
from lazyrich.spectra.symmetric import values_only
from lazyrich.training import each


class LinearStart(NamedTuple):
    """Deep linear networks at the start, a row a draw."""

    condition_number: Float[Array, "draws"]
    """κ, from the whole spectrum of Ĝ."""
    ratio_of_sums: Float[Array, "draws"]
    """The bound κ(Σ) Σ_l M_l / Σ_l μ_l."""
    loose: Float[Array, "draws"]
    """The bound κ(Σ) max_l κ_l."""
    layers: cond.LayerExtremes
    """The extremes of A_l and B_l, of shape (draws, layers)."""
    data: Float[Array, "draws"]
    """κ(Σ), the same in each draw."""


class Certificate(NamedTuple):
    """κ between its bounds, a row a draw."""

    condition_number: Float[Array, "draws"]
    """κ."""
    partial_traces: Float[Array, "draws"]
    """From below, by partial traces."""
    product_vectors: Float[Array, "draws"]
    """From below, by product vectors."""
    data: Float[Array, "draws"]
    """From above, κ(Σ) κ_white."""
    ratio_of_sums: Float[Array, "draws"]
    """From above, the ratio of sums."""
    loose: Float[Array, "draws"]
    """From above, the maximum over layers."""


def linear_start(
    key: jax.Array,
    width: int,
    depth: int,
    draws: int,
    data: str | int = "digits",
    whiten: bool = True,
    skip: float = 0.0,
    outputs: int = 10,
) -> LinearStart:
    """Kaiming starts of a linear network with hidden layers of one width.

    Args:
        key: the draws.
        width: m; a depth of 1 has none.
        depth: the number L of weight matrices.
        draws: their number.
        data: a name in :data:`~lazyrich.experiments.conditioning.data_sets.DATA_SETS`, or a number
            of inputs with Σ = I.
        whiten: whether the data are whitened.
        skip: strength β of the skip connections.
        outputs: k.
    """
    inputs = inputs_of(data, whiten)
    widths = layer_widths(len(inputs.directions), width, depth, outputs)
    white, conditions = cond.whitened(inputs), conditions_on(inputs, widths)

    def start(draw):
        weights = cond.kaiming(jax.random.fold_in(key, draw), widths)
        weights = cond.with_skips(weights, skip) if skip else weights
        return conditions(*cond.linear_factors(weights, white))

    return each(start, np.arange(draws))


def two_layer_start(
    key: jax.Array, width: int, draws: int, inputs: int = 784, outputs: int = 10
) -> Float[Array, "draws"]:
    """κ of Kaiming starts of two layers on whitened data, from two problems of the inputs' size.

    Args:
        key: the draws.
        width: m.
        draws: their number.
        inputs: d.
        outputs: k.
    """

    def start(draw):
        weights = cond.kaiming(jax.random.fold_in(key, draw), (inputs, width, outputs))
        return two_layer_reduction(cond.linear_factors(weights), width)

    return each(start, np.arange(draws))


def separated_start(
    key: jax.Array, width: int, draws: int, inputs: int = 11, outputs: int = 10
) -> Float[np.ndarray, "draws"]:
    """κ/κ(Σ) of Kaiming starts of two layers on data with variances 1, 1/10, 1/100, ….

    From the two extreme blocks of Ĝ, the smallest eigenvalue through the inverse of its block,
    since it lies below the rounding of the block itself. Arguments as for :func:`two_layer_start`.
    """
    V, W = map(np.asarray, cond.kaiming(key, (inputs, width, outputs), draws))
    root = 10.0 ** (-np.arange(inputs) / 2)
    w = np.linalg.eigvalsh(W @ W.swapaxes(1, 2))[:, [0, -1], None, None]
    low, high = (w[:, i] * np.eye(inputs) + V.swapaxes(1, 2) @ V for i in (0, 1))
    largest = np.linalg.eigvalsh(root[:, None] * high * root)[:, -1]
    inverse = np.linalg.inv(low) / root[:, None] / root
    return largest * np.linalg.eigvalsh(inverse)[:, -1] * root[-1] ** 2


def released_start(
    key: jax.Array, draws: int, widths: tuple[int, ...] = (192, 500, 500, 10)
) -> LinearStart:
    """Xavier starts W_ij ~ N(0, 2/(fan-in + fan-out)) on whitened data, as the released runs have.

    Args:
        key: the draws.
        draws: their number.
        widths: d, the hidden widths, k.
    """
    conditions = conditions_on(inputs_of(widths[0]), widths)

    def start(draw):
        weights = cond.kaiming(jax.random.fold_in(key, draw), widths)
        scaled = [W * (2 * W.shape[1] / sum(W.shape)) ** 0.5 for W in weights]
        return conditions(*cond.linear_factors(scaled))

    return each(start, np.arange(draws))


def certificate(
    key: jax.Array, widths: tuple[int, ...], draws: int, coloured: bool, samples: int = 50
) -> Certificate:
    """Kaiming starts between their bounds, on whitened or on coloured data.

    All draws share the same data, and so one Σ: they vary by their weights alone.

    Args:
        key: the draws.
        widths: d, the hidden widths, k; none below min(s, k), s the rank of Σ, so that Ĝ is not
            singular.
        draws: their number.
        coloured: whether Σ is that of normal samples with standard deviations from 0.3 to 2 over
            the inputs, or I.
        samples: of those data.
    """
    on_data, on_weights = jax.random.split(key)
    inputs = inputs_of(widths[0])
    if coloured:
        x = coloured_samples(on_data, samples, widths[0])
        inputs = cond.on_range(cond.second_moment(x))

    def of_one(weights):
        factors, upper = cond.linear_factors(weights, inputs), cond.linear_bounds(weights, inputs)
        return Certificate(
            cond.linear_condition_number(weights, inputs),
            cond.partial_trace_bound(factors).ratio,
            cond.product_vector_bound(factors).ratio,
            cond.linear_data_bounds(weights, inputs)[1],
            upper.ratio_of_sums,
            upper.loose,
        )

    return each(of_one, cond.kaiming(on_weights, widths, draws))


# What the experiments share


def layer_widths(inputs, width, depth, outputs):
    """d, the hidden widths and k of a network with hidden layers of one width."""
    return (inputs, *[width] * (depth - 1), outputs)


def conditions_on(inputs: cond.Covariance, widths: tuple[int, ...]) -> Callable:
    """How networks of these widths are conditioned, from their factors on whitened data.

    Returns:
        A function of A_l and B_l that gives what :class:`LinearStart` holds of one network.
    """
    rank = cond.linear_rank(widths, len(inputs.variances))
    kappa = cond.data_condition_number(inputs)

    def conditions(A, B):
        values = values_only(matrix_of(_coloured(A, B, inputs.variances)))
        ends = extremes(A, B)
        upper = bounds_of(ends, kappa)
        condition = spectra.pseudo_condition_number(values, rank)
        return LinearStart(condition, upper.ratio_of_sums, upper.loose, ends, kappa)

    return conditions


@numpy_if_known
def _coloured(xp, A, B, variances):
    """The factors of Ĝ on data with these variances."""
    root = xp.sqrt(variances)
    return cond.Factors(A, root[:, None] * B * root)
