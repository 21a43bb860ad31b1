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
from jaxtyping import Array, Float

from lazyrich import data as images
from lazyrich import spectra, validation
from lazyrich.conditioning.bounds import (
    LayerExtremes,
    bounds_of,
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
from lazyrich.conditioning.weights import kaiming, wide_enough, with_skips
from lazyrich.draws import normal
from lazyrich.training import stacked

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


@cache
def moment(data: str, all_pixels: bool = False) -> Covariance:
    """The second moment of a data set as it is, on its range. Arguments as for :func:`samples`."""
    return on_range(second_moment(samples(data, all_pixels).x))


def moments(data: str | int, whiten: bool = True) -> Covariance:
    """The second moment Σ of a data set on its range.

    Args:
        data: a name in :data:`DATA`, or a number of inputs with Σ = I.
        whiten: whether to give each direction the variance one.
    """
    if not isinstance(data, str):
        one = jnp.eye(validation.whole("data", data, least=1))
        return Covariance(jnp.ones(len(one)), one)
    inputs = moment(data)
    return whitened(inputs) if validation.flag("whiten", whiten) else inputs


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
        data: a name in :data:`DATA`, or a number of inputs with Σ = I.
        whiten: whether the data are whitened.
        skip: strength β of the skip connections.
        outputs: k.
    """
    inputs = moments(data, whiten)
    widths = layer_widths(len(inputs.directions), width, depth, outputs)
    skip = validation.scalar("skip", validation.floating("skip", skip))
    known = rank(widths, len(inputs.variances))
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
    widths = validation.widths("widths", widths)
    inputs = moments(widths[0])
    if validation.flag("coloured", coloured):
        inputs = on_range(second_moment(coloured_samples(on_data, samples, widths[0])))
    weights = kaiming(on_weights, wide_enough(widths, len(inputs.variances)), draws)
    return Certificate(*_certificate(weights, inputs, data_condition_number(inputs)))


# What the experiments share


def mapped(function, *many):
    """A function of one network, over many, one after another on one device.

    For functions with eigenproblems: an ensemble would solve them all at once on a GPU, and may
    wait for ever on several devices of a CPU.
    """
    return jax.lax.map(lambda one: function(*one), many)


def starts(key, widths, draws):
    """Kaiming starts one by one; more draws begin with the same ones."""
    for i in range(validation.whole("draws", draws, least=1)):
        yield kaiming(jax.random.fold_in(key, i), widths)


def coloured_samples(key, samples, inputs):
    """Normal samples, with standard deviations from 0.3 to 2 over the inputs."""
    x = normal(key, (validation.whole("samples", samples, least=1), inputs))
    return x * jnp.linspace(0.3, 2.0, inputs)


def layer_widths(inputs, width, depth, outputs):
    """d, the hidden widths and k of a network with hidden layers of one width."""
    hidden = validation.whole("depth", depth, least=1) - 1
    return (
        validation.whole("inputs", inputs, least=1),
        *[validation.whole("width", width, least=1)] * hidden,
        validation.whole("outputs", outputs, least=1),
    )


def draws_of(weights):
    """Networks that share a leading axis, one by one."""
    for i in range(len(weights[0])):
        yield [W[i] for W in weights]


@jax.jit
def _certificate(weights, inputs, data):
    def one(weights):
        both, white = factors(weights, inputs), factors(weights, whitened(inputs))
        kappa, kappa_white = (
            values[-1] / values[0]
            for values in (spectra.eigenvalues(reduced_matrix(part)) for part in (both, white))
        )
        bounds = bounds_of(extremes(*white), data)
        return (
            kappa,
            partial_trace_bound(both).ratio,
            product_vector_bound(both).ratio,
            data * kappa_white,
            bounds.ratio_of_sums,
            bounds.loose,
        )

    return mapped(one, weights)


@jax.jit
def coloured_matrix(factors, inputs):
    """Ĝ on data with the variances of Σ, from the factors on whitened data."""
    root = jnp.sqrt(inputs.variances)
    return reduced_matrix(Factors(factors.A, root[:, None] * factors.C * root))
