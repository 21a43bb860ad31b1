"""Linear networks at the start: draws of one architecture, and how they are conditioned.

Each function is one experiment, given by a key and named scalars, so that a sweep can repeat it at
many of them. The same key gives the same weights wherever the widths are the same, so that data
and skip connections are compared draw by draw.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import data as images
from lazyrich import spectra, validation
from lazyrich.conditioning.bounds import (
    LayerExtremes,
    bounds_of,
    data_bounds,
    data_condition_number,
    extremes,
    partial_trace_bound,
    product_vector_bound,
)
from lazyrich.conditioning.covariance import Covariance, on_range, second_moment, whitened
from lazyrich.conditioning.linear import (
    Factors,
    factors,
    rank,
    reduced_matrix,
    two_layer_reduction,
)
from lazyrich.conditioning.weights import kaiming, known_widths, with_skips
from lazyrich.draws import normal

DATA: dict[str, Callable[[], images.Images]] = {
    "digits": lambda: images.digits(1000),
    "photographs": lambda: images.photographs(jax.random.key(0), 1000),
    "MNIST": lambda: images.mnist(1000),
    "CIFAR-10": lambda: images.cifar10(1000),
}
"""The data sets by name, a thousand images each."""


class LinearStart(NamedTuple):
    """Deep linear networks at the start, a row a draw."""

    condition_number: Float[Array, "draws"]
    """κ, from the whole spectrum of Ĝ."""
    ratio_of_sums: Float[Array, "draws"]
    """The bound κ(Σ) Σ_l M_l / Σ_l μ_l."""
    loose: Float[Array, "draws"]
    """The bound κ(Σ) max_l κ_l."""
    layers: LayerExtremes
    """The extremes of A_l and B_l, of shape (draws, layers)."""
    data: Float[Array, ""]
    """κ(Σ)."""


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


@cache
def samples(data: str, all_pixels: bool = False) -> images.Images:
    """The images of a data set by its name in :data:`DATA`.

    Args:
        data: the name.
        all_pixels: whether to keep the pixels that are 0 in all images.
    """
    x, labels = DATA[validation.one_of("data", data, DATA)]()
    return images.Images(x if all_pixels else x[:, (x != 0).any(axis=0)], labels)


def moments(data: str | int, whiten: bool = True) -> Covariance:
    """The second moment Σ of a data set on its range.

    Args:
        data: a name in :data:`DATA`, or a number of inputs with Σ = I.
        whiten: whether to give each direction the variance one.
    """
    if not isinstance(data, str):
        one = jnp.eye(validation.whole("data", data, least=1))
        return Covariance(jnp.ones(len(one)), one)
    inputs = on_range(second_moment(samples(data).x))
    return whitened(inputs) if whiten else inputs


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
        width: m.
        depth: the number L of weight matrices.
        draws: their number.
        data: a name in :data:`DATA`, or a number of inputs with Σ = I.
        whiten: whether the data are whitened.
        skip: strength β of the skip connections.
        outputs: k.
    """
    inputs = moments(data, whiten)
    widths = layer_widths(len(inputs.directions), width, depth, outputs)
    skip, known = validation.floating("skip", skip), rank(widths, len(inputs.variances))
    white, kappa = whitened(inputs), data_condition_number(inputs)

    def start(weights):
        A, B = factors(with_skips(weights, skip) if skip else weights, white)
        values = spectra.eigenvalues(coloured_matrix(Factors(A, B), inputs))
        ends = extremes(A, B)
        bounds = bounds_of(ends, kappa)
        return LinearStart(
            spectra.condition_number(values, known),
            bounds.ratio_of_sums,
            bounds.loose,
            ends,
            kappa,
        )

    return stacked(map(start, starts(key, widths, draws)))._replace(data=kappa)


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
    networks = starts(key, layer_widths(inputs, width, 2, outputs), draws)
    return stacked(two_layer_reduction(factors(weights), width) for weights in networks)


def certificate(
    key: jax.Array, widths: tuple[int, ...], draws: int, coloured: bool, samples: int = 50
) -> Certificate:
    """Kaiming starts between their bounds, on whitened or on coloured data.

    Args:
        key: the draws.
        widths: d, the hidden widths, k; none below min(s, k), s the rank of Σ, so that Ĝ is not
            singular.
        draws: their number.
        coloured: whether Σ is that of normal samples with standard deviations from 0.3 to 2 over
            the inputs, or I.
        samples: of those data.

    Raises:
        ValueError: if a layer is too narrow.
    """
    on_data, on_weights = jax.random.split(key)
    widths = known_widths(widths)
    inputs = moments(widths[0])
    if coloured:
        samples = validation.whole("samples", samples, least=1)
        x = normal(on_data, (samples, widths[0]))
        inputs = on_range(second_moment(x * jnp.linspace(0.3, 2.0, widths[0])))
    least = min(len(inputs.variances), widths[-1])
    if min(widths) < least:
        raise ValueError(
            f"widths must be at least {least}, so that Ĝ is not singular, got {widths}"
        )
    weights = kaiming(on_weights, widths, draws)
    return Certificate(*_certificate(weights, inputs, data_condition_number(inputs)))


# What the experiments share


def starts(key, widths, draws):
    """Kaiming starts one by one; more draws begin with the same ones."""
    for i in range(validation.whole("draws", draws, least=1)):
        yield kaiming(jax.random.fold_in(key, i), widths)


def layer_widths(inputs, width, depth, outputs):
    """d, the hidden widths and k of a network with hidden layers of one width."""
    hidden = validation.whole("depth", depth, least=1) - 1
    return (
        validation.whole("inputs", inputs, least=1),
        *[validation.whole("width", width, least=1)] * hidden,
        validation.whole("outputs", outputs, least=1),
    )


def stacked(draws):
    """What each draw gave, with the draws on a leading axis.

    One draw at a time needs the memory of one, and programs that know nothing of how many follow.
    """
    return jax.tree.map(lambda *each: jnp.asarray(np.stack(each)), *draws)


def draws_of(weights):
    """Networks that share a leading axis, one by one."""
    for i in range(len(weights[0])):
        yield [W[i] for W in weights]


@jax.jit
def _certificate(weights, inputs, data):
    def one(weights):
        both = factors(weights, inputs)
        values = spectra.eigenvalues(reduced_matrix(both))
        bounds = bounds_of(extremes(*factors(weights, whitened(inputs))), data)
        return (
            values[-1] / values[0],
            partial_trace_bound(both).ratio,
            product_vector_bound(both).ratio,
            data_bounds(weights, inputs)[1],
            bounds.ratio_of_sums,
            bounds.loose,
        )

    return jax.lax.map(one, weights)


@jax.jit
def coloured_matrix(factors, inputs):
    """Ĝ on data with the variances of Σ, from the factors on whitened data."""
    root = jnp.sqrt(inputs.variances)
    return reduced_matrix(Factors(factors.A, root[:, None] * factors.C * root))
