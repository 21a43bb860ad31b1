"""Other networks at the start: convolutions, batch normalisation, pruning."""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lazyrich import conditioning as cond
from lazyrich import curvature, networks, spectra
from lazyrich import data as data_of_all
from lazyrich.arithmetic import jit, numpy_if_known, quickly_compiled
from lazyrich.conditioning.linear import two_layer_reduction
from lazyrich.experiments.conditioning.data_sets import images, moment
from lazyrich.experiments.conditioning.starts import layer_widths
from lazyrich.spectra.symmetric import values_only
from lazyrich.training import each

PRUNED_ACTIVATIONS = {
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


class RawConvolutionStart(NamedTuple):
    """Two convolutions as a dense network at Toeplitz weights, on raw data, a row a draw."""

    condition_number: Float[Array, "draws"]
    """κ with the root of Σ."""
    halved: Float[Array, "draws"]
    """κ with Σ/2 where its root should stand."""


class FilterStart(NamedTuple):
    """Two convolutions with their filters as parameters, a row a draw."""

    condition_number: Float[Array, "draws"]
    """κ on whitened data."""
    rank: Int[Array, "draws"]
    """The numerical rank of the Gauss-Newton matrix from automatic differentiation."""
    error: Float[Array, "draws"]
    """Largest deviation of its eigenvalues from those in closed form, over the largest."""


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
    width = channels * (length - kernel + 1)
    weights_of_the_second = np.array([1.0, 1 / (4 * samples)])

    def start(filters):
        factors = _toeplitz_factors(cond.toeplitz(filters, length))
        return two_layer_reduction(factors, width, weights_of_the_second)

    kappa = each(start, cond.kaiming_filters(key, channels, kernel, draws=draws))
    return ConvolutionStart(*np.asarray(kappa).T)


def raw_convolution_start(
    key: jax.Array, channels: int, kernel: int, draws: int
) -> RawConvolutionStart:
    """The same on raw data of 36 inputs, the inner 6 × 6 pixels of the digits.

    Arguments as for :func:`convolution_start`.
    """
    x = np.asarray(images("digits", all_pixels=True).x).reshape(-1, 8, 8)[:, 1:-1, 1:-1]
    Sigma = np.asarray(cond.second_moment(x.reshape(-1, 36)))
    variances, Q = np.linalg.eigh(Sigma)
    root = Q * np.sqrt(variances) @ Q.T

    def start(filters):
        T1, T2 = map(np.asarray, cond.toeplitz(filters, 36))
        inner = T1.T @ T1
        found = []
        for half in (root, Sigma / 2):
            C = np.stack([Sigma, half @ inner @ half])
            found.append(two_layer_reduction(cond.Factors((T2 @ T2.T)[None], C), len(T1)))
        return np.array(found)

    kappa = each(start, cond.kaiming_filters(key, channels, kernel, draws=draws))
    return RawConvolutionStart(*np.asarray(kappa).T)


@numpy_if_known
def _toeplitz_factors(xp, layers):
    """The factors A_1, C_1 and C_2 of two layers. A_2 is the identity, and large."""
    T1, T2 = layers
    return cond.Factors((T2 @ T2.T)[None], xp.stack([xp.eye(T1.shape[1]), T1.T @ T1]))


def filter_start(
    key: jax.Array, channels: int, kernel: int, draws: int, length: int = 20
) -> FilterStart:
    """Kaiming starts of two convolutions, with respect to their filters.

    Arguments as for :func:`convolution_start`.
    """
    filters = cond.kaiming_filters(key, channels, kernel, draws=draws)
    values, full = each(partial(_filter_start, length=length), filters)
    automatic, rank = np.asarray(values_only(full)), cond.filter_rank(channels, kernel)
    kept, rows = np.asarray(values)[:, -rank:], automatic.shape[1]
    padded = np.concatenate([np.zeros((draws, rows - rank)), kept], axis=1)
    return FilterStart(
        spectra.pseudo_condition_number(values, rank),
        spectra.numerical_rank(automatic),
        np.abs(automatic - padded).max(1) / automatic[:, -1],
    )


@partial(quickly_compiled, static_argnames="length")  # a program for each size
def _filter_start(filters, length):
    x = length**0.5 * jnp.eye(length)  # samples whose second moment is I

    def network(filters, x):
        return cond.linear_network(cond.toeplitz(filters, length), x)

    return cond.filter_spectrum(filters, length), curvature.gauss_newton(network, filters, x)


def normalised_start(
    key: jax.Array, width: int, draws: int, data: str = "photographs", outputs: int = 10
) -> NormalisedStart:
    """Kaiming starts of two linear layers, with and without batch normalisation between them.

    Args:
        key: a random key.
        width: m.
        draws: their number.
        data: a name in :data:`~lazyrich.experiments.conditioning.data_sets.DATA_SETS`; not
            whitened.
        outputs: k.
    """
    x = np.asarray(images(data).x)
    raw, centred = moment(data), cond.on_range(cond.second_moment(x - x.mean(axis=0)))

    def start(weights):
        return NormalisedStart(
            cond.linear_two_layer_condition_number(weights, raw),
            cond.linear_two_layer_condition_number(weights, centred),
            cond.normalised_condition_number(weights, centred),
        )

    return each(start, cond.kaiming(key, layer_widths(x.shape[1], width, 2, outputs), draws))


def pruned_start(
    key: jax.Array,
    share: float,
    draws: int,
    activation: str = "leaky ReLU",
    samples: int = 60,
    width: int = 100,
    all_weights: bool = False,
) -> Float[Array, "draws"]:
    """κ of pruned networks with two hidden layers on the digits, over all samples × 10 eigenvalues.

    The pixels are those of the first 150 digits, centred. Hidden layers start with the gain √2, the
    library's default and that of ReLU, where the linear networks of the chapter have gain 1.

    Args:
        key: the same weights at every share.
        share: the share p of each layer's smallest weights that go.
        draws: their number.
        activation: a name in :data:`PRUNED_ACTIVATIONS`.
        samples: how many of the 150 images enter the tangent kernel.
        width: of both hidden layers.
        all_weights: whether derivatives with respect to weights that went count, too.
    """
    x = np.asarray(data_of_all.digits(150).x)
    x = jax.device_put((x - x.mean(axis=0))[:samples])
    init, kernel = _prunable((x.shape[1], width, width, 10), activation)

    def start(draw):
        params = init(jax.random.fold_in(key, draw))
        mask = cond.magnitude_mask(params, share)
        if all_weights:
            params = jax.tree.map(jnp.multiply, params, mask)
            mask = jax.tree.map(jnp.ones_like, mask)
        values = spectra.eigenvalues(kernel(params, mask, x))
        return spectra.pseudo_condition_number(values, len(values))

    return each(start, np.arange(draws))


@cache
def _prunable(widths, activation):
    """A network's start and its kernel, compiled once for all shares."""
    network = networks.fully_connected(widths, PRUNED_ACTIVATIONS[activation])
    return network.init, jit(partial(cond.pruned_kernel, network))
