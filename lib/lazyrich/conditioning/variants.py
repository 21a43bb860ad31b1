"""Other networks at the start: convolutions, batch normalisation, pruning.

Experiments like those of :mod:`lazyrich.conditioning.starts`.
"""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lazyrich import data as images
from lazyrich import derivatives, networks, spectra, validation
from lazyrich.arithmetic import matmul
from lazyrich.conditioning.convolutions import (
    filter_rank,
    filter_spectrum,
    kaiming_filters,
    toeplitz,
)
from lazyrich.conditioning.covariance import on_range, second_moment
from lazyrich.conditioning.linear import (
    Factors,
    two_layer_condition_number,
    two_layer_reduction,
)
from lazyrich.conditioning.normalisation import normalised_condition_number
from lazyrich.conditioning.pruning import magnitude_mask, pruned_kernel
from lazyrich.conditioning.starts import (
    draws_of,
    layer_widths,
    moment,
    samples,
)
from lazyrich.conditioning.weights import apply, kaiming
from lazyrich.training import stacked

ACTIVATIONS = {
    "leaky ReLU": lambda z: jax.nn.leaky_relu(z, 0.1),
    "GELU": partial(jax.nn.gelu, approximate=False),
}
"""The activations of :func:`pruned_start`, by name."""


class ConvolutionStart(NamedTuple):
    """Two convolutions as a dense network at Toeplitz weights, a row a draw."""

    condition_number: Float[Array, "draws"]
    """κ on whitened data."""
    reweighted: Float[Array, "draws"]
    """κ with the second Kronecker term divided by four times the number of samples."""


class FilterStart(NamedTuple):
    """Two convolutions with their filters as parameters, a row a draw."""

    condition_number: Float[Array, "draws"]
    """κ on whitened data."""
    rank: Int[Array, "draws"]
    """The numerical rank of the Gauss-Newton matrix from automatic differentiation."""


class NormalisedStart(NamedTuple):
    """κ of two linear layers with and without batch normalisation, a row a draw."""

    plain: Float[Array, "draws"]
    """Without, on the data as they are."""
    centred: Float[Array, "draws"]
    """Without, on centred data."""
    normalised: Float[Array, "draws"]
    """With batch normalisation."""


def convolution_start(
    key: jax.Array, channels: int, kernel: int, draws: int, length: int = 49, samples: int = 1000
) -> ConvolutionStart:
    """Kaiming starts of two convolutions, as a dense network at their Toeplitz matrices.

    Args:
        key: a random key.
        channels: the number of filters in each layer.
        kernel: s.
        draws: their number.
        length: d; the data are whitened, Σ = I.
        samples: n, by which the second Kronecker term is divided in `reweighted`, times four.
    """
    filters = kaiming_filters(key, channels, kernel, draws=draws)
    width = channels * (validation.whole("length", length, least=1) - kernel + 1)
    n = validation.whole("samples", samples, least=1)
    weights_of_the_second = jnp.array([[1.0], [1 / (4 * n)]])
    return ConvolutionStart(
        *two_layer_reduction(_toeplitz_factors(filters, length), width, weights_of_the_second)
    )


@partial(jax.jit, static_argnums=1)
def _toeplitz_factors(filters, length):
    """The factors A_1, C_1 and C_2 of two layers. A_2 is the identity, and large."""

    def one(filters):
        T1, T2 = toeplitz(filters, length)
        return matmul(T2, T2.T)[None], jnp.stack([jnp.eye(length), matmul(T1.T, T1)])

    return Factors(*jax.lax.map(one, filters))


def filter_start(
    key: jax.Array, channels: int, kernel: int, draws: int, length: int = 20
) -> FilterStart:
    """Kaiming starts of two convolutions, with respect to their filters.

    Arguments as for :func:`convolution_start`.
    """
    length = validation.whole("length", length, least=1)
    values, full = _filter_start(kaiming_filters(key, channels, kernel, draws=draws), length)
    rank = filter_rank(channels, kernel)
    return FilterStart(
        spectra.condition_number(values, rank), spectra.numerical_rank(spectra.eigenvalues(full))
    )


@partial(jax.jit, static_argnums=1)
def _filter_start(filters, length):
    x = length**0.5 * jnp.eye(length)  # samples whose second moment is I

    def network(filters, x):
        return apply(toeplitz(filters, length), x)

    def one(filters):
        return filter_spectrum(filters, length), derivatives.gauss_newton(network, filters, x)

    return jax.lax.map(one, filters)


def normalised_start(
    key: jax.Array, width: int, draws: int, data: str = "photographs", outputs: int = 10
) -> NormalisedStart:
    """Kaiming starts of two linear layers, with and without batch normalisation between them.

    Args:
        key: a random key.
        width: m.
        draws: their number.
        data: a name in :data:`~lazyrich.conditioning.starts.DATA`; not whitened.
        outputs: k.
    """
    x = samples(data).x
    raw, centred = moment(data), on_range(second_moment(x - x.mean(axis=0)))
    drawn = kaiming(key, layer_widths(x.shape[1], width, 2, outputs), draws)
    return stacked(
        NormalisedStart(
            two_layer_condition_number(weights, raw),
            two_layer_condition_number(weights, centred),
            normalised_condition_number(weights, centred),
        )
        for weights in draws_of(drawn)
    )


def pruned_start(
    key: jax.Array,
    share: float,
    draws: int,
    activation: str = "leaky ReLU",
    samples: int = 60,
    width: int = 100,
) -> Float[Array, "draws"]:
    """κ of pruned networks with two hidden layers on the digits, over all samples × 10 eigenvalues.

    The pixels are those of the first 150 digits, centred.

    Args:
        key: the same weights at every share.
        share: the share p of each layer's smallest weights that go.
        draws: their number.
        activation: a name in :data:`ACTIVATIONS`.
        samples: how many of the 150 images enter the tangent kernel.
        width: of both hidden layers.
    """
    activation = validation.one_of("activation", activation, ACTIVATIONS)
    x = images.digits(150).x
    x = (x - x.mean(axis=0))[: images.available(samples, len(x))]
    network, kernel = _prunable((x.shape[1], width, width, 10), activation)

    def start(i):
        params = network.init(jax.random.fold_in(key, i))
        values = spectra.eigenvalues(kernel(params, magnitude_mask(params, share), x))
        return spectra.condition_number(values, len(values))

    return stacked(map(start, range(validation.whole("draws", draws, least=1))))


@cache
def _prunable(widths, activation):
    """A network and its compiled kernel, the same for all shares."""
    network = networks.fully_connected(widths, ACTIVATIONS[activation])
    return network, jax.jit(partial(pruned_kernel, network))
