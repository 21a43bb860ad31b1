"""The Hessian of the squared loss: the Gauss-Newton matrix, and the rest, the functional Hessian.

For the loss ½ |F − y|² averaged over n samples, with residuals r = F − y,

    H = G_O + H_F,   G_O = (1/n) Σ_i J_iᵀ J_i,   H_F = (1/n) Σ_i Σ_c r_ic ∇²F_c(x_i).

In a linear network H_F depends on the data through Ω = (1/n) Σ_i r_i x_iᵀ alone: the derivative of
Σ_i r_i·F(x_i)/n = tr(Ωᵀ W^L ⋯ W^1) by two layers l < l' is

    ∂²/∂W^l'_ab ∂W^l_ce = [W^(l'−1:l+1)]_bc [W^(l−1:1) Ωᵀ W^(L:l'+1)]_ea,

and none by one layer twice.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

import jax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from lazyrich import curvature, validation
from lazyrich.arithmetic import jit, numpy_if_known
from lazyrich.conditioning.linear import products
from lazyrich.conditioning.weights import fitting, outputs_of
from lazyrich.validation import ArrayLike

WAYS = (jax.jacrev, jax.jacfwd), (jax.jacfwd, jax.jacfwd), (jax.jacrev, jax.jacrev)
"""The derivatives whose second is taken of the first: as :func:`jax.hessian` does, and others."""


class HessianParts(NamedTuple):
    """The two parts of the Hessian, each p × p for p parameters in the order of the pytree."""

    gauss_newton: Float[Array, "p p"]
    """G_O."""
    functional: Float[Array, "p p"]
    """H_F."""


def loss_hessian(apply: Callable, params, x: ArrayLike, y: ArrayLike) -> Float[Array, "p p"]:
    """The Hessian of ½ |F − y|², averaged over samples, of any network ``apply(params, x)``.

    By automatic differentiation, in memory parameters²: for few parameters. It takes the direction
    that works, where a network has no derivative in one, as with a ``jax.custom_vjp`` or with a
    while loop.

    Args:
        apply: the network.
        params: its parameters, any pytree.
        x: the samples.
        y: their targets, of the shape of the outputs; integers are taken as floats.

    Raises:
        ValueError: if params, x or y are not finite or do not fit, the network is not twice
            differentiable, or the result is out of the range of its precision.
    """
    return _hessian(_loss_hessian, apply, *_problem(apply, params, x, y))


def split_hessian(apply: Callable, params, x: ArrayLike, y: ArrayLike) -> HessianParts:
    """G_O and H_F of any network, each by automatic differentiation of its own definition.

    Arguments, errors and cost as for :func:`loss_hessian`, which is their sum.
    """
    params, x, y = _problem(apply, params, x, y)
    functional = _hessian(_functional_part, apply, params, x, y)
    return HessianParts(curvature.gauss_newton(apply, params, x), functional)


def linear_residual_correlation(
    weights: Sequence[ArrayLike], x: ArrayLike, y: ArrayLike
) -> Float[Array, "outputs inputs"]:
    """Ω = (1/n) Σ_i r_i x_iᵀ of a linear network's residuals r = F(x) − y with its inputs.

    Args:
        weights: W^1, …, W^L.
        x: the samples, shape (n, d).
        y: their targets, shape (n, k).
    """
    weights, _, x, y = fitting(weights, x=(x, "n d"), y=(y, "n k"))
    Omega = _correlation(outputs_of(weights, x) - y, x)
    return validation.in_range("weights, x and y", (weights, x, y), Omega, vanishing=True)


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
    weights, _, Omega = fitting(weights, Omega=(Omega, "k d"))
    H = _functional_hessian(weights, Omega)
    return validation.in_range("weights and Omega", (weights, Omega), H, vanishing=True)


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


@jit(static_argnames=("apply", "twice"))
def _loss_hessian(apply, twice, params, x, y):
    def loss(params):
        return ((apply(params, x) - y) ** 2).sum() / (2 * len(x))

    return _second_derivative(twice, loss, params)


@jit(static_argnames=("apply", "twice"))
def _functional_part(apply, twice, params, x, y):
    residual = apply(params, x) - y

    def linearised(params):
        return (residual * apply(params, x)).sum() / len(x)

    return _second_derivative(twice, linearised, params)


def _second_derivative(twice, function, params):
    flat, unravel = ravel_pytree(params)
    first, second = twice
    return second(first(lambda flat: function(unravel(flat))))(flat)


def _problem(apply, params, x, y):
    """Parameters, samples and targets that fit the network."""
    params, x, outputs = validation.network(apply, params, x)
    return params, x, validation.as_outputs("y", y, outputs)


def _hessian(of, apply, params, x, y):
    """A second derivative in the directions that the network has."""
    for twice in WAYS:
        try:
            H = of(apply, twice, params, x, y)
            break
        except (TypeError, ValueError, NotImplementedError) as error:
            reason = error
    else:
        sentence = f"apply must be twice differentiable: {validation.first_line(reason)}"
        raise ValueError(sentence) from reason
    return validation.in_range("params, x and y", (params, x, y), H, vanishing=True)
