"""What the closed forms are held against: the same matrices by automatic differentiation.

Dense and slow, so for a handful of parameters. Each function is one experiment, given by a key and
named scalars.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from lazyrich import derivatives, spectra, validation
from lazyrich.conditioning.covariance import on_range, second_moment
from lazyrich.conditioning.hessian import (
    HessianParts,
    functional_hessian,
    loss_hessian,
    residual_correlation,
    split_hessian,
)
from lazyrich.conditioning.linear import spectrum, two_layer_condition_number
from lazyrich.conditioning.normalisation import (
    normalised_outputs,
    normalised_parameters,
    normalised_spectrum,
)
from lazyrich.conditioning.weights import apply, kaiming, with_skips
from lazyrich.draws import normal


class Spectra(NamedTuple):
    """One spectrum in closed form and by automatic differentiation, both ascending."""

    exact: Float[Array, "_"]
    """The closed form's eigenvalues, none of which must be zero."""
    automatic: Float[Array, "p"]
    """All eigenvalues of the Gauss-Newton matrix JᵀJ/n of p parameters."""


class Hessians(NamedTuple):
    """The Hessian of a linear network and its parts, each p × p for p parameters."""

    whole: Float[Array, "p p"]
    """H, by automatic differentiation of the loss."""
    parts: HessianParts
    """G_O and H_F, each by automatic differentiation of its own definition."""
    functional: Float[Array, "p p"]
    """H_F in closed form."""
    residual_correlation: Float[Array, "k d"]
    """Ω, on which alone H_F depends beside the weights."""


def linear_spectra(
    key: jax.Array, widths: tuple[int, ...], samples: int = 40, skip: float = 0.0
) -> Spectra:
    """A Kaiming start of a linear network on coloured data.

    The data are normal, with standard deviations from 0.3 to 2 over the inputs.

    Args:
        key: a random key.
        widths: d, the hidden widths, k.
        samples: n.
        skip: strength β of the skip connections.
    """
    weights, x, inputs = _coloured(key, widths, samples)
    weights = with_skips(weights, validation.floating("skip", skip))
    full = jax.jit(partial(derivatives.gauss_newton, apply))(weights, x)
    return Spectra(spectrum(weights, inputs), spectra.eigenvalues(full))


def two_layer_numbers(
    key: jax.Array, widths: tuple[int, int, int], samples: int = 40
) -> tuple[Float[Array, ""], Float[Array, "p"]]:
    """κ of two layers from two small problems, and the spectrum by automatic differentiation.

    Arguments as for :func:`linear_spectra`.
    """
    weights, x, inputs = _coloured(key, widths, samples)
    full = jax.jit(partial(derivatives.gauss_newton, apply))(weights, x)
    return two_layer_condition_number(weights, inputs), spectra.eigenvalues(full)


def normalised_spectra(
    key: jax.Array, widths: tuple[int, int, int] = (8, 10, 3), samples: int = 60
) -> Spectra:
    """A Kaiming start of two layers with batch normalisation, through the statistics of the batch.

    Arguments as for :func:`linear_spectra`.
    """
    weights, x, _ = _coloured(key, widths, samples)
    x = x + 1.0  # a mean that must not matter
    centred = on_range(second_moment(x - x.mean(axis=0)))
    params, unravel = ravel_pytree(normalised_parameters(weights))

    def network(params, x):
        return normalised_outputs(unravel(params), x)

    full = jax.jit(partial(derivatives.gauss_newton, network))(params, x)
    return Spectra(normalised_spectrum(weights, centred), spectra.eigenvalues(full))


def hessians(key: jax.Array, widths: tuple[int, ...], samples: int = 30) -> Hessians:
    """A Kaiming start of a linear network with normal data and normal targets.

    Arguments as for :func:`linear_spectra`.
    """
    on_weights, on_data = jax.random.split(key)
    weights, n = kaiming(on_weights, widths), validation.whole("samples", samples, least=1)
    x, y = jnp.split(normal(on_data, (n, widths[0] + widths[-1])), [widths[0]], 1)
    Omega = residual_correlation(weights, x, y)
    return Hessians(
        loss_hessian(apply, weights, x, y),
        split_hessian(apply, weights, x, y),
        functional_hessian(weights, Omega),
        Omega,
    )


def _coloured(key, widths, samples):
    on_weights, on_data = jax.random.split(key)
    weights, n = kaiming(on_weights, widths), validation.whole("samples", samples, least=1)
    x = normal(on_data, (n, widths[0])) * jnp.linspace(0.3, 2.0, widths[0])
    return weights, x, on_range(second_moment(x))
