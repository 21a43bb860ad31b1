"""The closed forms beside the same matrices by automatic differentiation.

Dense and slow, so for a handful of parameters.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazyrich import conditioning as cond
from lazyrich import curvature, kernels, networks, spectra
from lazyrich.arithmetic import quickly_compiled
from lazyrich.draws import normal
from lazyrich.experiments.conditioning.data_sets import coloured_samples
from lazyrich.experiments.conditioning.variants import PRUNED_ACTIVATIONS


class SpectrumPair(NamedTuple):
    """One spectrum in closed form and by automatic differentiation, both ascending."""

    exact: Float[Array, "_"]
    """The closed form's eigenvalues, none of which must be zero."""
    automatic: Float[Array, "p"]
    """All eigenvalues of the Gauss-Newton matrix JᵀJ/n of p parameters."""


class TwoLayerPair(NamedTuple):
    """Two layers in closed form and by automatic differentiation."""

    condition_number: Float[Array, ""]
    """κ from two small problems."""
    automatic: Float[Array, "p"]
    """All eigenvalues of the Gauss-Newton matrix, ascending."""


class AlignedBounds(NamedTuple):
    """Layers that share their singular vectors in one order."""

    condition_number: Float[Array, ""]
    """κ, from the whole spectrum."""
    ratio_of_sums: Float[Array, ""]
    """The bound that is κ here."""
    loose: Float[Array, ""]
    """The maximum over layers."""


class Hessians(NamedTuple):
    """The Hessian of a linear network and its parts, each p × p for p parameters."""

    whole: Float[Array, "p p"]
    """H, by automatic differentiation of the loss."""
    parts: cond.HessianParts
    """G_O and H_F, each by automatic differentiation of its own definition."""
    functional: Float[Array, "p p"]
    """H_F in closed form."""
    residual_correlation: Float[Array, "k d"]
    """Ω, on which alone H_F depends beside the weights."""


def linear_spectra(
    key: jax.Array, widths: tuple[int, ...], samples: int = 40, skip: float = 0.0
) -> SpectrumPair:
    """A Kaiming start of a linear network on coloured data.

    The data are normal, with standard deviations from 0.3 to 2 over the inputs.

    Args:
        key: a random key.
        widths: d, the hidden widths, k.
        samples: n.
        skip: strength β of the skip connections.
    """
    weights, x = _on_coloured_data(key, widths, samples)
    weights = cond.with_skips(weights, skip)
    exact = cond.linear_spectrum(weights, cond.on_range(cond.second_moment(x)))
    return SpectrumPair(exact, spectra.eigenvalues(_gauss_newton(cond.linear_network, weights, x)))


def two_layer_numbers(key: jax.Array, widths: tuple[int, int, int]) -> TwoLayerPair:
    """κ of two layers, and the spectrum. Arguments as for :func:`linear_spectra`, n = 40."""
    weights, x = _on_coloured_data(key, widths, 40)
    inputs = cond.on_range(cond.second_moment(x))
    kappa = cond.linear_two_layer_condition_number(weights, inputs)
    return TwoLayerPair(kappa, spectra.eigenvalues(_gauss_newton(cond.linear_network, weights, x)))


def aligned_bounds(
    key: jax.Array, widths: tuple[int, ...], coloured: bool = False
) -> AlignedBounds:
    """Layers U_l S_l U_(l−1)ᵀ with orthogonal U_l, and singular values S_l in one order.

    All largest eigenvalues of all terms of Ĝ then belong to one vector, and so do all smallest, so
    that the ratio of sums is κ at any depth; with data, if their variances along U_0 have the same
    order.

    Args:
        key: a random key.
        widths: d, the hidden widths, k.
        coloured: whether the variances of the data differ.
    """
    on_vectors, on_sizes = jax.random.split(key)
    U = [
        np.linalg.qr(np.asarray(normal(jax.random.fold_in(on_vectors, i), (n, n))))[0]
        for i, n in enumerate(widths)
    ]
    weights = []
    for i, (before, after) in enumerate(zip(U[:-1], U[1:], strict=True)):
        rank = min(len(before), len(after))
        logs = np.asarray(normal(jax.random.fold_in(on_sizes, i), (rank,), 0.4))
        weights.append(after[:, :rank] * np.exp(np.sort(logs)[::-1]) @ before[:, :rank].T)
    inputs = cond.Covariance(np.geomspace(1.0, 0.01 if coloured else 1.0, widths[0]), U[0])
    bounds = cond.linear_bounds(weights, inputs)
    kappa = cond.linear_condition_number(weights, inputs)
    return AlignedBounds(kappa, bounds.ratio_of_sums, bounds.loose)


def normalised_spectra(
    key: jax.Array, widths: tuple[int, int, int] = (8, 10, 3), samples: int = 60
) -> SpectrumPair:
    """A Kaiming start of two layers with batch normalisation, through the statistics of the batch.

    Arguments as for :func:`linear_spectra`.
    """
    weights, x = _on_coloured_data(key, widths, samples)
    x = np.asarray(x) + 1.0  # a mean that must not matter
    inputs = cond.on_range(cond.second_moment(x - x.mean(axis=0)))
    params = cond.normalised_parameters(weights)
    automatic = _gauss_newton(cond.normalised_outputs, params, jax.device_put(x))
    return SpectrumPair(cond.normalised_spectrum(weights, inputs), spectra.eigenvalues(automatic))


def pruned_kernels(
    key: jax.Array, activation: str, share: float = 0.4
) -> Float[np.ndarray, "2 rows rows"]:
    """The kernel over the kept weights, and that of the network as a function of kept weights.

    The second is by automatic differentiation of p ↦ f(p ∘ mask).

    Args:
        key: a random key.
        activation: a name in
            :data:`~lazyrich.experiments.conditioning.variants.PRUNED_ACTIVATIONS`.
        share: the share of each layer's smallest weights that go.
    """
    network = networks.fully_connected((6, 7, 5, 3), PRUNED_ACTIVATIONS[activation])
    params, x = network.init(key), jax.device_put(normal(key, (5, 6)))
    mask = cond.magnitude_mask(params, share)

    def pruned(params, x):
        return network.apply(jax.tree.map(jnp.multiply, params, mask), x)

    automatic = kernels.empirical_ntk(pruned, params, x)
    return np.stack([cond.pruned_kernel(network, params, mask, x), automatic])


def hessians(key: jax.Array, widths: tuple[int, ...]) -> Hessians:
    """A Kaiming start of a linear network with 30 normal samples and normal targets.

    Arguments as for :func:`linear_spectra`.
    """
    on_weights, on_data = jax.random.split(key)
    weights = cond.kaiming(on_weights, widths)
    drawn = np.asarray(normal(on_data, (30, widths[0] + widths[-1])))
    x, y = map(jax.device_put, np.split(drawn, [widths[0]], axis=1))
    Omega = cond.linear_residual_correlation(weights, x, y)
    whole, parts = _hessians(weights, x, y)
    return Hessians(whole, parts, cond.linear_functional_hessian(weights, Omega), Omega)


def _on_coloured_data(key, widths, samples):
    on_weights, on_data = jax.random.split(key)
    return cond.kaiming(on_weights, widths), coloured_samples(on_data, samples, widths[0])


_gauss_newton = quickly_compiled(curvature.gauss_newton, static_argnames="apply")


@quickly_compiled
def _hessians(weights, x, y):
    given = cond.linear_network, weights, x, y
    return cond.loss_hessian(*given), cond.split_hessian(*given)
