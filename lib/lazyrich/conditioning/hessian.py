"""The Hessian of the squared loss: the Gauss-Newton matrix, and the rest, the functional Hessian.

For the loss ½ |F − y|² averaged over n samples, with residuals r = F − y,

    H = G_O + H_F,   G_O = (1/n) Σ_i J_iᵀ J_i,   H_F = (1/n) Σ_i Σ_c r_ic ∇²F_c(x_i).

In a linear network H_F depends on the data through Ω = (1/n) Σ_i r_i x_iᵀ alone: the derivative of
Σ_i r_i·F(x_i)/n = tr(Ωᵀ W^L ⋯ W^1) by two layers l < l' is

    ∂²/∂W^l'_ab ∂W^l_ce = [W^(l'−1:l+1)]_bc [W^(l−1:1) Ωᵀ W^(L:l'+1)]_ea,

and none by one layer twice.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import NamedTuple

import jax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from lazyrich import derivatives, validation
from lazyrich.arithmetic import numpy_if_known
from lazyrich.conditioning.linear import products
from lazyrich.conditioning.weights import checked, outputs_of, samples_for
from lazyrich.validation import ArrayLike


class HessianParts(NamedTuple):
    """The two parts of the Hessian, each p × p for p parameters in the order of the pytree."""

    gauss_newton: Float[Array, "p p"]
    """G_O."""
    functional: Float[Array, "p p"]
    """H_F."""


@partial(jax.jit, static_argnames="network")
def loss_hessian(
    network: Callable,
    params,
    x: Float[Array, "samples inputs"],
    y: Float[Array, "samples outputs"],
) -> Float[Array, "p p"]:
    """The Hessian of ½ |F − y|², averaged over samples, of any network ``network(params, x)``.

    By automatic differentiation, in memory parameters²: for few parameters.
    """

    def loss(params):
        return (_residuals(network(params, x), y) ** 2).sum() / (2 * len(x))

    return _second_derivative(loss, params)


@partial(jax.jit, static_argnames="network")
def split_hessian(
    network: Callable,
    params,
    x: Float[Array, "samples inputs"],
    y: Float[Array, "samples outputs"],
) -> HessianParts:
    """G_O and H_F of any network, each by automatic differentiation of its own definition.

    Arguments and cost as for :func:`loss_hessian`, which is their sum.
    """
    residual = _residuals(network(params, x), y)

    def linearised(params):
        return (residual * network(params, x)).sum() / len(x)

    return HessianParts(
        derivatives.gauss_newton(network, params, x), _second_derivative(linearised, params)
    )


def linear_residual_correlation(
    weights: Sequence[ArrayLike], x: ArrayLike, y: ArrayLike
) -> Float[Array, "outputs inputs"]:
    """Ω = (1/n) Σ_i r_i x_iᵀ of a linear network's residuals r = F(x) − y with its inputs.

    Args:
        weights: W^1, …, W^L.
        x: the samples, shape (n, d).
        y: their targets, shape (n, k).
    """
    weights = checked(weights)
    x, y = samples_for(weights, x), validation.samples("y", y)
    return _correlation(_residuals(outputs_of(weights, x), y), x)


@numpy_if_known
def _correlation(xp, residuals, x):
    return residuals.T @ x / len(x)


def linear_functional_hessian(
    weights: Sequence[ArrayLike], Omega: ArrayLike
) -> Float[Array, "p p"]:
    """H_F of a linear network from Ω, its parameters ordered by layers, each row by row.

    Args:
        weights: W^1, …, W^L.
        Omega: Ω of :func:`linear_residual_correlation`, shape (k, d).
    """
    weights = checked(weights)
    allowed = len(weights[-1]), weights[0].shape[1]
    Omega = validation.floating("Omega", Omega, ndim=2)
    if Omega.shape != allowed:
        raise ValueError(f"Omega must have shape {allowed}, got {Omega.shape}")
    return _functional_hessian(weights, Omega)


@numpy_if_known
def _functional_hessian(xp, weights, Omega):
    after, before = products(xp, weights)
    blocks = [[xp.zeros((W.size, V.size), W.dtype) for V in weights] for W in weights]
    for low in range(len(weights)):
        identity = xp.eye(len(weights[low]), dtype=weights[low].dtype)
        between = accumulate(weights[low + 1 : -1], lambda P, W: W @ P, initial=identity)
        for high, middle in zip(range(low + 1, len(weights)), between, strict=False):
            outside = before[low] @ Omega.T @ after[high]
            block = xp.einsum("bc,ea->abce", middle, outside)
            block = block.reshape(weights[high].size, weights[low].size)
            blocks[high][low], blocks[low][high] = block, block.T
    return xp.block(blocks)


def two_layer_functional_spectrum(Omega: ArrayLike, width: int) -> Float[Array, "p"]:
    """The eigenvalues of H_F for two layers, ascending: ± the singular values of Ω, each m times.

    The weights do not matter. Beside them stand m |d − k| zeros.

    Args:
        Omega: Ω of :func:`linear_residual_correlation`, shape (k, d).
        width: m.
    """
    m = validation.whole("width", width, least=1)
    return _plus_and_minus(validation.matrix("Omega", Omega), width=m)


@numpy_if_known
def _plus_and_minus(xp, Omega, *, width):
    values = xp.linalg.svd(Omega, compute_uv=False)
    zeros = xp.zeros(abs(Omega.shape[0] - Omega.shape[1]), Omega.dtype)
    return xp.sort(xp.repeat(xp.concatenate([-values, zeros, values]), width))


def _residuals(outputs, y):
    if outputs.shape != y.shape:
        raise ValueError(f"y must have the shape of the outputs, {outputs.shape}, got {y.shape}")
    return outputs - y


def _second_derivative(function, params):
    flat, unravel = ravel_pytree(params)
    return jax.hessian(lambda flat: function(unravel(flat)))(flat)
